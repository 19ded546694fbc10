//! What is taken from the spool, and what is let go by to be told again.

use super::{Work, room::Admission};
use crate::{alarms::Alarm, kafka::cluster::Topic, spool::port::Notice};
use brink_proto::ids::Name;
use std::collections::BTreeMap;

impl Work {
    /// Takes what finds room.
    pub(super) fn take_notices(&mut self) {
        let mut held: BTreeMap<Name, usize> = BTreeMap::new();
        for (stream, route) in &self.routes {
            *held.entry(stream.topic).or_default() += route.lane.len();
        }
        while let Ok(notice) = self.sink.spool.notices.peek().copied() {
            let topic = notice.topic();
            let of_topic = held.entry(topic).or_default();
            let mut room = std::mem::take(&mut self.room);
            let admission = room.admit(&notice, *of_topic, || self.may_go_by(&topic));
            self.room = room;
            if admission == Admission::Waits {
                return;
            }
            let _ = self.sink.spool.notices.pop();
            if admission == Admission::Enters {
                *of_topic += self.take_notice(&notice);
            }
        }
    }

    /// Takes a notice into its lane; how many frames that has more.
    fn take_notice(&mut self, notice: &Notice) -> usize {
        let (missing, frames) = match *notice {
            Notice::Frame(frame) => {
                let missing = self.lane(frame.batch.stream).push(frame);
                if missing.is_some() {
                    self.sink.counters.deliveries.taken.add(u64::from(frame.batch.count));
                }
                (missing.unwrap_or(0), usize::from(missing.is_some()))
            }
            Notice::Lost { stream, end, .. } => (self.lane(stream).lost(end), 0),
            Notice::Again { .. } => (0, 0),
        };
        if missing > 0 {
            self.sink.alarms.raise(Alarm::SequenceGap);
            tracing::error!(events = missing, "events are missing in the log");
            self.sink.counters.deliveries.quarantined_missing.add(missing);
        }
        frames
    }

    /// Whether a topic is not taken now, and others are: then its frames may go by.
    fn may_go_by(&self, topic: &Name) -> bool {
        self.is_stuck(topic) && self.topics.iter().any(|other| !self.is_stuck(other))
    }

    fn is_stuck(&self, topic: &Name) -> bool {
        let found = self.contact.cluster().and_then(|cluster| cluster.topics.get(topic));
        let is_there = matches!(found, Some(Topic::There { .. }));
        let mut routes = self.routes.iter().filter(|(stream, _)| stream.topic == *topic);
        !is_there || routes.any(|(_, route)| route.trouble.is_some())
    }

    /// Asks the spool for frames that went by, of a topic that is taken again and has room.
    pub(super) fn ask_again(&mut self) {
        if self.deciding.is_some() || !self.room.owes() {
            return;
        }
        let mut room = std::mem::take(&mut self.room);
        let wanted = room.ask(|topic| {
            let of_topic = self.routes.iter().filter(|(stream, _)| stream.topic == *topic);
            (!self.is_stuck(topic)).then(|| of_topic.map(|(_, route)| route.lane.len()).sum())
        });
        self.room = room;
        if let Some(command) = wanted {
            self.command(command, Vec::new());
        }
    }
}

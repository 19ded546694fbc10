//! What is taken from the spool, and what is let go by to be told again.

use super::{Route, Work};
use crate::spool::port::Notice;
use brink_proto::ids::{Name, StreamId};
use std::collections::{BTreeMap, BTreeSet};

impl Work {
    /// Takes what finds room.
    pub(super) fn take_notices(&mut self) {
        if self.sink.spool.notices.is_empty() {
            return;
        }
        let stuck = self.stuck();
        let mut held: BTreeMap<Name, usize> = BTreeMap::new();
        for (stream, route) in &self.routes {
            *held.entry(stream.topic).or_default() += route.lane.len();
        }
        while let Some(notice) = self.room.next(&mut self.sink.spool.notices, &held, &stuck) {
            *held.entry(notice.topic()).or_default() += self.take_notice(&notice);
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
        self.sink.counters.deliveries.note_missing(missing, &self.sink.alarms);
        frames
    }

    /// The topics that are not taken now: they are not there or are refused, or what they have
    /// reaches nobody.
    fn stuck(&self) -> BTreeSet<Name> {
        let cluster = self.contact.cluster();
        let is_there = |topic: &Name| cluster.is_some_and(|cluster| cluster.has(topic));
        let is_stuck = |(stream, route): &(&StreamId, &Route)| {
            route.trouble.is_some() || (route.lane.len() > 0 && !self.is_reached(stream))
        };
        let absent = self.topics.iter().filter(|topic| !is_there(topic)).copied();
        let stuck = self.routes.iter().filter(is_stuck).map(|(stream, _)| stream.topic);
        absent.chain(stuck).collect()
    }

    /// Asks the spool for frames that went by, of a topic that is taken again and has room.
    pub(super) fn ask_again(&mut self) {
        if self.deciding.is_some() || !self.room.owes() {
            return;
        }
        let stuck = self.stuck();
        let wanted = self.room.ask(|topic| {
            let of_topic = self.routes.iter().filter(|(stream, _)| stream.topic == *topic);
            (!stuck.contains(topic)).then(|| of_topic.map(|(_, route)| route.lane.len()).sum())
        });
        if let Some(command) = wanted {
            self.command(command, Vec::new());
        }
    }
}

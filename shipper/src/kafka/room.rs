//! Which frames find room in the sink, so that a topic that is not taken holds up no other one.
//!
//! Frames of a topic that is in trouble, and has filled its room, go by; the spool tells them again
//! once the topic is taken and has room. A topic that is only slow is waited for instead: what goes
//! by has to be read twice.

use crate::spool::port::{Command, Notice};
use brink_proto::{
    frame::{FrameHeader, LogPosition},
    ids::Name,
};
use rtrb::Consumer;
use std::collections::{BTreeMap, BTreeSet};

/// BOUND: frames of one topic in the lanes, 2 MiB of headers.
const TOPIC_FRAMES_MAX: usize = 8 * 1024;

/// What is done with a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    /// It goes to its lane.
    Enters,
    /// It is let go, to be told again.
    GoesBy,
    /// It stays with the spool, and what is behind it as well.
    Waits,
}

/// The room of all topics.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// BOUND: one for each topic.
    gone_by: BTreeMap<Name, GoneBy>,
}

#[derive(Debug)]
struct GoneBy {
    /// The first frame that went by, or news of lost ones.
    from: LogPosition,
    /// Whether the spool was asked for it.
    asked: bool,
}

impl Room {
    /// The next notice that enters. `held` says how many frames of each topic the sink has, and
    /// `stuck` which topics are not taken now.
    pub(crate) fn next(
        &mut self,
        notices: &mut Consumer<Notice>,
        held: &BTreeMap<Name, usize>,
        stuck: &BTreeSet<Name>,
    ) -> Option<Notice> {
        while let Ok(notice) = notices.peek().copied() {
            let topic = notice.topic();
            // While nothing is taken of any topic, there is nothing that it could hold up.
            let is_taken = |other: &Name| !stuck.contains(other);
            let may_go_by = || !is_taken(&topic) && held.keys().any(is_taken);
            let of_topic = held.get(&topic).copied().unwrap_or_default();
            let admission = self.admit(&notice, of_topic, may_go_by);
            if admission == Admission::Waits {
                return None;
            }
            let _ = notices.pop();
            if admission == Admission::Enters {
                return Some(notice);
            }
        }
        None
    }

    /// What is done with the next notice, of whose topic `held` frames are in the lanes.
    fn admit(
        &mut self,
        notice: &Notice,
        held: usize,
        may_go_by: impl FnOnce() -> bool,
    ) -> Admission {
        if let Some(gone) = self.gone_by.get_mut(&notice.topic()) {
            match notice {
                Notice::Again { from, .. } if *from == gone.from => {
                    self.gone_by.remove(&notice.topic());
                }
                // What was there at the start is told behind what came later, and lies before it.
                Notice::Frame(FrameHeader { position, .. }) | Notice::Lost { position, .. }
                    if *position < gone.from =>
                {
                    *gone = GoneBy { from: *position, asked: false };
                }
                Notice::Again { .. } | Notice::Frame(_) | Notice::Lost { .. } => {}
            }
            return Admission::GoesBy;
        }
        match notice {
            Notice::Again { .. } => Admission::GoesBy,
            Notice::Frame(frame) if held >= TOPIC_FRAMES_MAX => {
                if !may_go_by() {
                    return Admission::Waits;
                }
                let gone = GoneBy { from: frame.position, asked: false };
                self.gone_by.insert(notice.topic(), gone);
                Admission::GoesBy
            }
            Notice::Frame(_) | Notice::Lost { .. } => Admission::Enters,
        }
    }

    /// Whether frames went by and are not told again yet.
    pub(crate) fn owes(&self) -> bool {
        !self.gone_by.is_empty()
    }

    /// What the spool is to be asked for, of a topic that is taken again: `takes` says how many of
    /// its frames are in the lanes then. It counts as asked for.
    pub(crate) fn ask(&mut self, takes: impl Fn(&Name) -> Option<usize>) -> Option<Command> {
        let is_due = |(topic, gone): &(&Name, &mut GoneBy)| {
            !gone.asked && takes(topic).is_some_and(|held| held <= TOPIC_FRAMES_MAX / 2)
        };
        let (topic, gone) = self.gone_by.iter_mut().find(is_due)?;
        gone.asked = true;
        Some(Command::Again { topic: *topic, from: gone.from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use brink_proto::ids::Sequence;

    fn at(generation: u32) -> LogPosition {
        LogPosition::new(generation, 4096)
    }

    fn frame(topic: &str, generation: u32) -> Notice {
        let batch = sample::batch(&format!("e/7/0/{topic}"), 0, 1);
        Notice::Frame(sample::frame(batch, at(generation)))
    }

    const FULL: usize = TOPIC_FRAMES_MAX;

    #[test]
    fn a_topic_in_trouble_lets_its_frames_go_by_and_is_told_them_again_from_the_first() {
        let mut room = Room::default();
        let topic = Name::new("a").unwrap();
        assert_eq!(room.admit(&frame("a", 5), FULL - 1, || true), Admission::Enters);
        assert_eq!(room.admit(&frame("a", 6), FULL, || false), Admission::Waits);
        assert!(!room.owes());
        assert_eq!(room.admit(&frame("a", 6), FULL, || true), Admission::GoesBy);
        assert_eq!(room.admit(&frame("b", 7), 0, || true), Admission::Enters);
        // Once one has gone by, all behind it do, whatever room there is.
        assert_eq!(room.admit(&frame("a", 8), 0, || false), Admission::GoesBy);
        assert!(room.owes());
        assert_eq!(room.ask(|_| None), None, "it is in trouble still");
        assert_eq!(room.ask(|_| Some(FULL)), None, "it has no room yet");
        let again = Command::Again { topic, from: at(6) };
        assert_eq!(room.ask(|_| Some(FULL / 2)), Some(again));
        assert_eq!(room.ask(|_| Some(0)), None, "it was asked for");
        // What was on its way goes by, until the spool begins again.
        assert_eq!(room.admit(&frame("a", 9), 0, || true), Admission::GoesBy);
        let again = Notice::Again { topic, from: at(6) };
        assert_eq!(room.admit(&again, 0, || true), Admission::GoesBy);
        assert!(!room.owes());
        assert_eq!(room.admit(&frame("a", 6), 0, || true), Admission::Enters);
    }

    #[test]
    fn an_older_frame_that_goes_by_while_the_spool_is_asked_is_asked_for_as_well() {
        let mut room = Room::default();
        let topic = Name::new("a").unwrap();
        room.admit(&frame("a", 6), FULL, || true);
        assert!(room.ask(|_| Some(0)).is_some());
        room.admit(&frame("a", 2), 0, || true);
        room.admit(&Notice::Again { topic, from: at(6) }, 0, || true);
        assert_eq!(room.admit(&frame("a", 6), 0, || true), Admission::GoesBy, "2 is owed");
        assert_eq!(room.ask(|_| Some(0)), Some(Command::Again { topic, from: at(2) }));
        room.admit(&Notice::Again { topic, from: at(2) }, 0, || true);
        assert_eq!(room.admit(&frame("a", 2), 0, || true), Admission::Enters);
    }

    #[test]
    fn news_of_lost_frames_that_go_by_are_asked_for_as_frames_are() {
        let mut room = Room::default();
        let topic = Name::new("a").unwrap();
        room.admit(&frame("a", 6), FULL, || true);
        assert!(room.ask(|_| Some(0)).is_some());
        // Nothing else is left of the segment, and nothing follows in the stream.
        let stream = "e/3/0/a".parse().unwrap();
        let lost = Notice::Lost { stream, end: Sequence(10), position: at(2) };
        assert_eq!(room.admit(&lost, 0, || true), Admission::GoesBy);
        assert_eq!(room.ask(|_| Some(0)), Some(Command::Again { topic, from: at(2) }));
        room.admit(&Notice::Again { topic, from: at(2) }, 0, || true);
        assert_eq!(room.admit(&lost, 0, || true), Admission::Enters);
    }
}

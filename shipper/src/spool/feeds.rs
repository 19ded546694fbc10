//! What a port is told of next: frames of this start at once, what was there at the start at its
//! own pace, and what its sink wants to be told again.
//!
//! ```text
//!  generations   the start's first one
//!  ├──── old, paced ────┼──── live, at once ────▶
//!            ├──── a topic, told again ─────────▶
//! ```
//!
//! A start writes into segments of its own, and its streams have its incarnation. So no stream lies
//! on both sides of that line, and each is told in order whichever side is told first. What has
//! just come is never behind what has waited for hours.

use super::port::Notice;
use brink_proto::{frame::LogPosition, ids::Name};
use std::time::Duration;

/// A place between two notices of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The segment of the next notice, or one that is gone before it.
    pub(crate) generation: u32,
    /// The next notice in the segment's index.
    pub(crate) at: usize,
    /// The first generation that is not told from here.
    pub(crate) until: u32,
}

/// What lies at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Notice(Notice),
    /// Headers that have to be read first, and enough were in this turn.
    Later,
    /// Nothing more, now.
    Nothing,
}

/// A topic that is told again.
pub(crate) struct Again {
    pub(crate) topic: Name,
    pub(crate) from: LogPosition,
    pub(crate) place: Place,
    /// Whether the sink was told that it begins.
    pub(crate) announced: bool,
}

impl Again {
    /// Whether a notice is told here.
    pub(crate) fn tells(&self, notice: &Notice) -> bool {
        notice.topic() == self.topic && notice.position() >= Some(self.from)
    }
}

/// Where a port is in the log.
pub(crate) struct Feeds {
    first_live: u32,
    pub(crate) live: Place,
    /// None once all of it was told.
    pub(crate) old: Option<Place>,
    /// BOUND: one for each topic.
    pub(crate) again: Vec<Again>,
    pub(crate) pace: Pace,
}

impl Feeds {
    /// A port that was told of nothing yet. Segments from `first_live` on are of this start; of
    /// what lies below, so many bytes a second are told.
    pub(crate) fn new(first_live: u32, replay_bytes_per_s: u64) -> Feeds {
        Feeds {
            first_live,
            live: Place { generation: first_live, at: 0, until: u32::MAX },
            old: Some(Place { generation: 0, at: 0, until: first_live }),
            again: Vec::new(),
            pace: Pace::new(replay_bytes_per_s),
        }
    }

    /// Whether all that lies in a segment was told.
    pub(crate) fn has_told(&self, generation: u32) -> bool {
        let place = if generation < self.first_live { self.old } else { Some(self.live) };
        place.is_none_or(|place| place.generation > generation)
    }

    /// Whether a place stands in a segment, and its index is used. Of one that a place comes to
    /// later the headers are read again: how much waits to be told is no matter of memory.
    pub(crate) fn stands_in(&self, generation: u32) -> bool {
        let again = self.again.iter().map(|again| again.place);
        let mut places = again.chain(self.old).chain([self.live]);
        places.any(|place| place.generation == generation)
    }

    /// Tells a topic again from there on.
    pub(crate) fn tell_again(&mut self, topic: Name, from: LogPosition) {
        self.again.retain(|again| again.topic != topic);
        let place = Place { generation: from.generation(), at: 0, until: u32::MAX };
        self.again.push(Again { topic, from, place, announced: false });
    }

    /// Whether a notice is told by a feed of its topic's own.
    pub(crate) fn is_told_again(&self, notice: &Notice) -> bool {
        self.again.iter().any(|again| again.topic == notice.topic())
    }
}

/// How fast what has waited is told: it takes bandwidth, a disk and cores that live traffic needs.
pub(crate) struct Pace {
    bytes_per_s: u64,
    /// May be overdrawn by one frame. BOUND: what one second brings.
    left: i64,
    at: Duration,
}

impl Pace {
    fn new(bytes_per_s: u64) -> Pace {
        Pace { bytes_per_s, left: as_i64(bytes_per_s), at: Duration::ZERO }
    }

    /// Whether it is time for another frame.
    pub(crate) fn allows(&mut self, now: Duration) -> bool {
        let micros = now.saturating_sub(self.at).as_micros().min(1_000_000) as u64;
        let come = as_i64(self.bytes_per_s.saturating_mul(micros) / 1_000_000);
        // What is less than a byte waits until it is one.
        if come > 0 {
            self.at = now;
            self.left = self.left.saturating_add(come).min(as_i64(self.bytes_per_s));
        }
        self.left > 0
    }

    /// A frame was told.
    pub(crate) fn took(&mut self, notice: &Notice) {
        if let Notice::Frame(frame) = notice {
            self.left = self.left.saturating_sub(frame.frame_bytes() as i64);
        }
    }
}

fn as_i64(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use brink_proto::frame::BatchInfo;

    fn frame(payload_bytes: u32) -> Notice {
        let batch = BatchInfo { payload_bytes, ..sample::batch("e/7/0/t", 0, 1) };
        Notice::Frame(sample::frame(batch, LogPosition::new(3, 4096)))
    }

    #[test]
    fn a_backlog_is_told_at_its_pace_and_no_faster() {
        let mut pace = Pace::new(1 << 20);
        let (mut told, mut now) = (0, Duration::ZERO);
        let notice = frame(60_000);
        let Notice::Frame(header) = notice else { panic!("a frame") };
        for _ in 0..10_000 {
            while pace.allows(now) {
                pace.took(&notice);
                told += header.frame_bytes();
            }
            now += Duration::from_millis(1);
        }
        // What a second brings is there at once, and the last frame may be more than is left.
        let (want, most) = (11 << 20, (11 << 20) + header.frame_bytes());
        assert!((want * 99 / 100..=most).contains(&told), "{told} in {now:?}");
    }

    #[test]
    fn a_pace_of_a_few_bytes_moves_and_one_without_end_never_waits() {
        let mut slow = Pace::new(10);
        slow.took(&frame(100));
        let looks = (0..2_000_000).position(|ms| slow.allows(Duration::from_millis(ms)));
        assert!(looks.is_some_and(|ms| ms > 400_000), "{looks:?}");
        let mut fast = Pace::new(u64::MAX);
        for _ in 0..1000 {
            fast.took(&frame(200_000));
            assert!(fast.allows(Duration::ZERO));
        }
    }

    #[test]
    fn a_topic_is_told_again_from_its_place() {
        let mut feeds = Feeds::new(5, 1);
        assert!(!feeds.has_told(2) && !feeds.has_told(5) && feeds.stands_in(5));
        assert!(feeds.stands_in(0) && !feeds.stands_in(2), "2 waits, and so does its index");
        feeds.old = None;
        assert!(feeds.has_told(4) && !feeds.stands_in(0) && !feeds.has_told(5));
        let topic = Name::new("t").unwrap();
        feeds.tell_again(topic, LogPosition::new(3, 8192));
        feeds.tell_again(topic, LogPosition::new(3, 4096));
        assert_eq!(feeds.again.len(), 1);
        assert!(feeds.stands_in(3) && feeds.is_told_again(&frame(1)));
        assert!(feeds.again[0].tells(&frame(1)));
        feeds.tell_again(topic, LogPosition::new(3, 8192));
        assert!(!feeds.again[0].tells(&frame(1)));
    }
}

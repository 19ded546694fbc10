//! Which frames become which object. Pure: frames and the time in, steps out.
//!
//! ```text
//!  frames in log order ─▶ per stream: skip delivered ─▶ group ─▶ (size, age, hour, gap) ─▶ step
//! ```
//!
//! An object holds consecutive frames of one stream, one hour and one schema. A seal that an
//! earlier start left behind decides its group, for its object may exist already: neither time nor
//! a drain closes that group before its last frame is here. A frame that turns out to be corrupt
//! splits its group in two: the object's name would otherwise promise what it does not hold.

mod stream;

use crate::spool::{
    chain::ChainId,
    cursors::{Seal, SinkCursor},
};
use brink_proto::{
    frame::{FrameHeader, LogPosition},
    ids::{Hour, Sequence, ShedReason, StreamId},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use stream::{Group, Stream, plan_of};

/// When a group becomes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollPolicy {
    /// Compressed payload bytes, which is near the object's size.
    pub bytes_max: u64,
    /// Rows.
    pub rows_max: u64,
    /// Time since the group's first frame was seen.
    pub age_max: Duration,
}

/// Version of the Parquet writer. Raise it when the same rows become other bytes.
pub const WRITER_VERSION: u32 = 1;

/// BOUND: frames in the planner; with more the sink takes no further ones from the spool.
const FRAMES_MAX: usize = 16 * 1024;

/// An object to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it holds, and its key.
    pub seal: Seal,
    /// The frames, in order.
    pub frames: Vec<FrameHeader>,
    /// Whether the seal is durable already: then the object may exist.
    pub resumed: bool,
}

impl Plan {
    /// Rows of the object.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.frames.iter().map(|f| u64::from(f.batch.count)).sum()
    }

    /// The hour of its rows.
    #[must_use]
    pub fn hour(&self) -> Option<Hour> {
        self.frames.first().map(|f| f.batch.hour)
    }

    /// Events that were shed between its frames, by reason.
    #[must_use]
    pub fn shed(&self) -> BTreeMap<String, u64> {
        let of = |reason: ShedReason| {
            let counts = self.frames.iter().map(|f| u64::from(f.batch.shed[reason as usize]));
            (reason.label().to_owned(), counts.sum())
        };
        ShedReason::ALL.into_iter().map(of).filter(|(_, count)| *count > 0).collect()
    }
}

/// What the sink does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make an object.
    Object(Plan),
    /// Forget a seal whose frames are not all there.
    Unseal(String),
    /// Advance over events that are quarantined and that no object follows; their hour, if it is
    /// known.
    Skip(StreamId, Sequence, Option<Hour>),
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is part of a group; `missing` events before it are not in the log.
    Taken {
        /// Events of the stream between the last frame and this one.
        missing: u64,
    },
    /// It was delivered, or stands twice in the log because its first place had failed.
    Known,
}

/// Plans the objects of one sink.
pub struct Planner {
    policy: RollPolicy,
    streams: BTreeMap<StreamId, Stream>,
    ready: VecDeque<Step>,
    frames: usize,
}

impl Planner {
    /// A planner that goes on where a sink's cursor stands.
    #[must_use]
    pub fn new(policy: RollPolicy, cursor: &SinkCursor) -> Planner {
        let mut streams: BTreeMap<StreamId, Stream> = BTreeMap::new();
        let fresh = |next: Sequence| Stream { next, group: None, seals: VecDeque::new() };
        for (stream, next) in &cursor.delivered {
            streams.insert(*stream, fresh(*next));
        }
        for seal in &cursor.seals {
            let stream = streams.entry(seal.stream).or_insert_with(|| fresh(Sequence(0)));
            stream.seals.push_back(seal.clone());
            stream.seals.make_contiguous().sort_by_key(|s| s.first);
        }
        Planner { policy, streams, ready: VecDeque::new(), frames: 0 }
    }

    /// Whether another frame may be handed in.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.frames < FRAMES_MAX
    }

    /// Events in groups and in steps that were not polled yet.
    #[must_use]
    pub fn pending_events(&self) -> u64 {
        let of = |frames: &[FrameHeader]| frames.iter().map(|f| u64::from(f.batch.count)).sum();
        let groups = self.streams.values().filter_map(|s| s.group.as_ref());
        let grouped: u64 = groups.map(|g| of(&g.frames)).sum();
        let ready = self.ready.iter().map(|step| match step {
            Step::Object(plan) => of(&plan.frames),
            Step::Unseal(_) | Step::Skip(..) => 0,
        });
        grouped + ready.sum::<u64>()
    }

    /// Whether events of a chain, of this hour or one before, are in groups or in steps.
    #[must_use]
    pub fn pends(&self, chain: &ChainId, hour: Hour) -> bool {
        let of = |frames: &[FrameHeader]| {
            frames
                .first()
                .is_some_and(|f| ChainId::of(&f.batch.stream) == *chain && f.batch.hour <= hour)
        };
        let mut groups = self.streams.values().filter_map(|s| s.group.as_ref());
        let mut ready = self.ready.iter();
        groups.any(|group| of(&group.frames))
            || ready.any(|step| match step {
                Step::Object(plan) => of(&plan.frames),
                Step::Skip(stream, ..) => ChainId::of(stream) == *chain,
                Step::Unseal(_) => false,
            })
    }

    /// Takes the next frame of the log.
    pub fn handle_frame(&mut self, frame: FrameHeader, now: Duration) -> Admission {
        let batch = &frame.batch;
        let entry = self.streams.entry(batch.stream);
        let stream = entry.or_insert_with(|| Stream {
            next: Sequence(0),
            group: None,
            seals: VecDeque::new(),
        });
        // Frames are written again as they were, so a frame is known as a whole or not at all.
        if batch.first_sequence < stream.next {
            return Admission::Known;
        }
        let missing = batch.first_sequence.0 - stream.next.0;
        if missing > 0 {
            stream.close(&mut self.ready);
        }
        if stream.group.as_ref().is_some_and(|g| !g.takes(&frame, &self.policy)) {
            stream.close(&mut self.ready);
        }
        stream.next = batch.end_sequence();
        stream.add(frame, now);
        if stream.group.as_ref().is_some_and(Group::is_complete) {
            stream.close(&mut self.ready);
        }
        self.frames += 1;
        Admission::Taken { missing }
    }

    /// Takes note that the events of a stream below `end` are gone; returns how many those are.
    pub fn handle_lost(&mut self, stream: StreamId, end: Sequence) -> u64 {
        let Some(known) = self.streams.get_mut(&stream) else {
            // Nothing of it was ever seen, so there is no cursor to advance from.
            let fresh = Stream { next: end, group: None, seals: VecDeque::new() };
            self.streams.insert(stream, fresh);
            self.ready.push_back(Step::Skip(stream, end, None));
            return end.0;
        };
        let missing = end.0.saturating_sub(known.next.0);
        if missing > 0 {
            known.close(&mut self.ready);
            known.next = end;
            self.ready.push_back(Step::Skip(stream, end, None));
        }
        missing
    }

    /// All that earlier starts have left is here: a group that a seal speaks of and that is not
    /// whole now never will be.
    pub fn handle_end_of_backlog(&mut self) {
        self.close_groups(Group::is_sealed);
    }

    /// The next step that is due; with `drain`, every group is that has no seal.
    pub fn poll_step(&mut self, now: Duration, drain: bool) -> Option<Step> {
        // Groups that fill all the room are not waited for: what makes them older finds none.
        let drain = drain || !self.has_room();
        let age_max = self.policy.age_max;
        if self.ready.is_empty() {
            let aged = |g: &Group| drain || now.saturating_sub(g.since) >= age_max;
            self.close_groups(|group| !group.is_sealed() && aged(group));
        }
        if self.ready.is_empty() && !self.has_room() {
            // They had room when they were sealed: they wait for frames that are gone.
            self.close_groups(|_| true);
        }
        let step = self.ready.pop_front()?;
        if let Step::Object(plan) = &step {
            self.frames -= plan.frames.len();
        }
        Some(step)
    }

    fn close_groups(&mut self, which: impl Fn(&Group) -> bool) {
        for stream in self.streams.values_mut() {
            if stream.group.as_ref().is_some_and(&which) {
                stream.close(&mut self.ready);
            }
        }
    }

    /// Takes a plan back because one of its frames is corrupt. What is around it becomes objects of
    /// its own, next.
    pub fn handle_corrupt(&mut self, plan: Plan, corrupt: LogPosition) {
        let Plan { seal, mut frames, .. } = plan;
        let Some(at) = frames.iter().position(|f| f.position == corrupt) else {
            self.frames += frames.len();
            self.ready.push_front(Step::Object(Plan { seal, frames, resumed: true }));
            return;
        };
        let behind = frames.split_off(at + 1);
        let corrupt = frames.pop();
        let mut steps = vec![Step::Unseal(seal.key)];
        self.frames += frames.len() + behind.len();
        let is_last = behind.is_empty();
        for part in [frames, behind] {
            steps.extend(plan_of(part).map(Step::Object));
        }
        if let Some(corrupt) = corrupt.filter(|_| is_last) {
            let batch = corrupt.batch;
            steps.push(Step::Skip(batch.stream, batch.end_sequence(), Some(batch.hour)));
        }
        steps.into_iter().rev().for_each(|step| self.ready.push_front(step));
    }
}

#[cfg(test)]
mod tests;

//! Which frames become which object. Pure: frames and the time in, steps out.
//!
//! ```text
//!  frames in log order ─▶ per stream: skip delivered ─▶ group ─▶ (size, age, hour, gap) ─▶ step
//!                                          └─▶ of an object that exists ─▶ (its end) ─▶ step
//! ```
//!
//! An object holds consecutive frames of one stream, one hour and one schema. A seal that an
//! earlier start left behind decides its group, for its object may exist already: neither time nor
//! a drain closes that group before its last frame is here. Where it was found to exist, its events
//! are passed over, and it does not matter which of them the log still has. A frame that turns out
//! to be corrupt splits its group in two: the object's name would otherwise promise what it does
//! not hold. So does what turns out to be in an object that no seal speaks of.

mod stream;

use crate::{
    sink::Gone,
    spool::{
        chain::ChainId,
        cursors::{Seal, SinkCursor},
    },
};
use brink_proto::{
    frame::{FrameHeader, LogPosition},
    ids::{Hour, Sequence, ShedReason, StreamId},
};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
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

    /// Events that were shed between its frames.
    #[must_use]
    pub fn shed(&self) -> Shed {
        let mut shed = Shed::default();
        self.frames.iter().for_each(|frame| shed.add(frame));
        shed
    }
}

/// An object that an earlier start has made, and has not said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it holds, and its key.
    pub seal: Seal,
    /// Its size.
    pub bytes: u64,
    /// Where it lies.
    pub place: Place,
    /// Rows of it that were passed over.
    pub rows: u64,
    /// Events that were shed between its frames, as far as the log still has them.
    pub shed: Shed,
}

impl Found {
    /// Whether the object has this frame.
    #[must_use]
    pub fn holds(&self, frame: &FrameHeader) -> bool {
        let batch = &frame.batch;
        let is_within = self.seal.first <= batch.first_sequence.0
            && batch.end_sequence() <= Sequence(self.seal.end);
        is_within && self.seal.stream == batch.stream
    }

    fn pass_over(&mut self, frame: &FrameHeader) {
        self.rows += u64::from(frame.batch.count);
        self.shed.add(frame);
    }
}

/// Where an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At its key.
    AtItsKey,
    /// Something else has its key.
    Aside,
}

/// Events that were shed between frames, and so have no sequence, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shed([u64; ShedReason::ALL.len()]);

impl Shed {
    fn add(&mut self, frame: &FrameHeader) {
        for reason in ShedReason::ALL {
            self.0[reason as usize] += u64::from(frame.batch.shed[reason as usize]);
        }
    }

    /// Reasons and how many, of those that there are.
    #[must_use]
    pub fn by_reason(&self) -> BTreeMap<String, u64> {
        let of = |reason: ShedReason| (reason.label().to_owned(), self.0[reason as usize]);
        ShedReason::ALL.into_iter().map(of).filter(|(_, count)| *count > 0).collect()
    }
}

/// What the sink does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make an object.
    Object(Plan),
    /// Nothing is to be made: it exists.
    Found(Found),
    /// Forget a seal whose frames are not all there.
    Unseal(String),
    /// Advance over events that are quarantined and that no object follows; their hour, if it is
    /// known.
    Skip(StreamId, Sequence, Option<Hour>),
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is part of an object; and what of its stream is gone in front of it.
    Taken(Gone),
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
        for (stream, next) in &cursor.delivered {
            streams.insert(*stream, Stream::at(*next));
        }
        for seal in &cursor.seals {
            let stream = streams.entry(seal.stream).or_insert_with(Stream::new);
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

    /// An object that an earlier start has sealed exists. Said of each before the first frame.
    pub fn handle_found(&mut self, found: Found) {
        if let Some(stream) = self.streams.get_mut(&found.seal.stream) {
            stream.handle_found(found);
        }
    }

    /// Events in groups and in steps that were not polled yet.
    #[must_use]
    pub fn pending_events(&self) -> u64 {
        let of = |frames: &[FrameHeader]| frames.iter().map(|f| u64::from(f.batch.count)).sum();
        let groups = self.streams.values().filter_map(|s| s.group.as_ref());
        let grouped: u64 = groups.map(|g| of(&g.frames)).sum();
        let ready = self.ready.iter().map(|step| match step {
            Step::Object(plan) => of(&plan.frames),
            Step::Found(found) => found.rows,
            Step::Unseal(_) | Step::Skip(..) => 0,
        });
        let made = self.streams.values().flat_map(|s| &s.made).map(|found| found.rows);
        grouped + made.sum::<u64>() + ready.sum::<u64>()
    }

    /// Whether events of a chain, of this hour or one before, are in groups or in steps.
    #[must_use]
    pub fn pends(&self, chain: &ChainId, hour: Hour) -> bool {
        let of = |frames: &[FrameHeader]| {
            frames
                .first()
                .is_some_and(|f| ChainId::of(&f.batch.stream) == *chain && f.batch.hour <= hour)
        };
        let made = |found: &Found| ChainId::of(&found.seal.stream) == *chain;
        let mut groups = self.streams.values().filter_map(|s| s.group.as_ref());
        let mut ready = self.ready.iter();
        groups.any(|group| of(&group.frames))
            || self.streams.values().flat_map(|s| &s.made).any(made)
            || ready.any(|step| match step {
                Step::Object(plan) => of(&plan.frames),
                Step::Found(found) => made(found),
                Step::Skip(stream, ..) => ChainId::of(stream) == *chain,
                Step::Unseal(_) => false,
            })
    }

    /// Takes the next frame of the log.
    pub fn handle_frame(&mut self, frame: FrameHeader, now: Duration) -> Admission {
        let batch = &frame.batch;
        let stream = self.streams.entry(batch.stream).or_insert_with(Stream::new);
        // Frames are written again as they were, so a frame is known as a whole or not at all.
        if batch.first_sequence < stream.next {
            return Admission::Known;
        }
        let gone = stream.pass_over(batch.first_sequence, &mut self.ready);
        self.frames += usize::from(stream.take(frame, now, &self.policy, &mut self.ready));
        Admission::Taken(gone)
    }

    /// Takes note that the log has no events of a stream below `end` any more.
    pub fn handle_lost(&mut self, stream: StreamId, end: Sequence) -> Gone {
        // Of a stream that was never seen there is no cursor to advance from.
        let is_new = !self.streams.contains_key(&stream);
        let known = self.streams.entry(stream).or_insert_with(Stream::new);
        let gone = known.pass_over(end, &mut self.ready);
        if is_new || (gone.missing > 0 && !known.is_within_made()) {
            self.ready.push_back(Step::Skip(stream, end, None));
        }
        gone
    }

    /// All that earlier starts have left is here: a group that a seal speaks of and that is not
    /// whole now never will be.
    pub fn handle_end_of_backlog(&mut self) {
        self.streams.values_mut().for_each(|stream| stream.end_seals(&mut self.ready));
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
        self.put_in_front(steps);
    }

    /// Takes a plan back because frames of it are in objects that exist. These are passed over;
    /// what is around them becomes objects of its own, next.
    pub fn handle_ahead(&mut self, plan: Plan, existing: &[Found]) {
        let Plan { seal, frames, resumed } = plan;
        self.frames += frames.len();
        let mut steps = Vec::new();
        if resumed {
            steps.push(Step::Unseal(seal.key));
        }
        let mut own = Vec::new();
        for frame in frames {
            let Some(found) = existing.iter().find(|found| found.holds(&frame)) else {
                own.push(frame);
                continue;
            };
            self.frames -= 1;
            steps.extend(plan_of(mem::take(&mut own)).map(Step::Object));
            match steps.last_mut() {
                Some(Step::Found(last)) if last.seal == found.seal => last.pass_over(&frame),
                _ => {
                    let mut found = found.clone();
                    found.pass_over(&frame);
                    steps.push(Step::Found(found));
                }
            }
        }
        steps.extend(plan_of(own).map(Step::Object));
        self.put_in_front(steps);
    }

    fn put_in_front(&mut self, steps: Vec<Step>) {
        steps.into_iter().rev().for_each(|step| self.ready.push_front(step));
    }
}

#[cfg(test)]
mod tests;

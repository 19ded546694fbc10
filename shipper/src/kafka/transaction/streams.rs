//! What waits for a transaction, what goes with the next one, and what is committed. Pure: frames
//! and positions in, groups and marks out.
//!
//! ```text
//!  frame ─▶ waits ─▶ gathered ─▶ committed ─▶ durably behind the sink
//!             ▲          │ in doubt: the topic's position decides
//!             └──────────┘
//! ```

use super::position::Position;
use crate::{
    sink::Gone,
    spool::cursors::{Lineage, SinkCursor},
};
use brink_proto::{
    frame::FrameHeader,
    ids::{Name, Sequence, StreamId},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
};

/// BOUND: positions that are not ours any more and are kept in the record all the same: for a copy
/// of the spool that is as many streams old.
const CARRIED_MAX: usize = 1024;

/// What became of a frame that was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was known.
    Known,
    /// It waits; and what is gone in front of it.
    Waits(Gone),
    /// An earlier start has committed it; and what is gone in front of it.
    Passed(Gone),
}

/// What goes with one transaction at most, unless it is one frame alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Most {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

/// What the topic of positions has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Events that waited and are committed.
    pub(super) passed: u64,
    /// What was told to be gone before.
    pub(super) gone: Gone,
    /// It does not know a stream of which it had a position.
    pub(super) is_lost: bool,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) lineage: Option<Lineage>,
    /// BOUND: the sink takes no more frames of a topic than it has room for.
    frames: VecDeque<FrameHeader>,
    /// Behind everything that was told of.
    seen: Sequence,
    /// Behind everything that went with a transaction, however that ended.
    tried: Sequence,
    /// Behind everything that is committed, or will not be.
    committed: Sequence,
    /// Behind everything that the cursor says.
    durable: Sequence,
    /// The lineage is an earlier start's, and its position was not looked for: more may be
    /// committed than the cursor says.
    in_doubt: bool,
    /// What is gone from the log, while that is so.
    /// BOUND: one more than frames that wait.
    gaps: Vec<(Sequence, Sequence)>,
    /// The topic has a position of the lineage.
    is_told: bool,
}

impl Stream {
    /// The first event that waits.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.frames.front().map(|frame| frame.batch.first_sequence)
    }

    /// Behind everything that needs not go any more.
    pub(super) fn end(&self) -> Sequence {
        self.committed
    }

    /// The log has nothing from where it was told of up to `to`. While the stream is in doubt
    /// nobody knows what that is.
    fn pass_over(&mut self, to: Sequence) -> Gone {
        let from = self.seen;
        if from >= to {
            return Gone::default();
        }
        self.seen = to;
        if !self.in_doubt {
            return self.gone(from, to);
        }
        match self.gaps.last_mut().filter(|(_, end)| *end == from) {
            Some((_, end)) => *end = to,
            None => self.gaps.push((from, to)),
        }
        Gone::default()
    }

    /// What the log does not have of this.
    fn gone(&self, from: Sequence, to: Sequence) -> Gone {
        let found = self.committed.min(to).0.saturating_sub(from.0);
        Gone { missing: to.0 - from.0 - found, found }
    }

    /// The topic has said all that it knows.
    fn settle(&mut self) -> Gone {
        self.in_doubt = false;
        let gaps = std::mem::take(&mut self.gaps);
        gaps.into_iter().map(|(from, to)| self.gone(from, to)).sum()
    }

    /// Behind what the cursor is to say, if it does not.
    fn moves_to(&self) -> Option<Sequence> {
        // What is lost, and nothing waits before it.
        let seen = if self.frames.is_empty() { self.seen } else { Sequence(0) };
        let end = self.committed.max(seen);
        // What went and was not heard of may be the first that the topic has of the lineage.
        let unheard = self.is_untold() && self.tried > self.committed;
        (!self.in_doubt && !unheard && end > self.durable).then_some(end)
    }

    /// Nothing of its lineage is known to be committed.
    fn is_untold(&self) -> bool {
        self.lineage.is_some() && !self.is_told
    }

    fn pop_committed(&mut self) -> u64 {
        let mut events = 0;
        let end = self.committed;
        while let Some(frame) = self.frames.front().filter(|f| f.batch.end_sequence() <= end) {
            events += u64::from(frame.batch.count);
            self.frames.pop_front();
        }
        events
    }
}

/// All streams of a spool, which may have had several names.
#[derive(Debug)]
pub(super) struct Streams {
    start: SinkCursor,
    /// BOUND: as many as the cursor file holds.
    of: BTreeMap<StreamId, Stream>,
    waiting: usize,
    /// BOUND: [`CARRIED_MAX`].
    carried: Vec<Position>,
}

impl Streams {
    /// Streams that go on from a cursor. What the cursor says of lineages of the plain way is
    /// nothing here: all that they had is delivered.
    pub(super) fn new(start: SinkCursor) -> Streams {
        let known: Vec<StreamId> = start.lineages.iter().map(|l| l.stream).collect();
        let mut streams = Streams { start, of: BTreeMap::new(), waiting: 0, carried: Vec::new() };
        for stream in known {
            streams.stream(stream);
        }
        streams
    }

    fn stream(&mut self, stream: StreamId) -> &mut Stream {
        let start = &self.start;
        self.of.entry(stream).or_insert_with(|| {
            let durable = start.delivered.get(&stream).copied().unwrap_or(Sequence(0));
            let lineage =
                start.lineages.iter().find(|l| l.stream == stream && l.transactional).cloned();
            Stream {
                in_doubt: lineage.is_some(),
                lineage,
                frames: VecDeque::new(),
                seen: durable,
                tried: durable,
                committed: durable,
                durable,
                gaps: Vec::new(),
                is_told: false,
            }
        })
    }

    /// The streams that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&StreamId, &Stream)> {
        self.of.iter().filter(|(_, stream)| !stream.frames.is_empty())
    }

    /// Edges whose positions have to be looked for, though nothing of theirs may wait.
    pub(super) fn doubtful(&self) -> impl Iterator<Item = Name> {
        self.of.iter().filter(|(_, stream)| !stream.gaps.is_empty()).map(|(id, _)| id.edge)
    }

    /// How a stream is numbered.
    pub(super) fn lineage(&self, stream: &StreamId) -> Option<&Lineage> {
        self.of.get(stream)?.lineage.as_ref()
    }

    /// Frames that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Frames that wait, by topic; 0 for those that have none.
    pub(super) fn held(&self) -> BTreeMap<Name, usize> {
        let mut held = BTreeMap::new();
        for (id, stream) in &self.of {
            *held.entry(id.topic).or_default() += stream.frames.len();
        }
        held
    }

    /// Takes a frame.
    pub(super) fn push(&mut self, frame: FrameHeader) -> Taken {
        let (first, end) = (frame.batch.first_sequence, frame.batch.end_sequence());
        let stream = self.stream(frame.batch.stream);
        if first < stream.seen {
            return Taken::Known;
        }
        let gone = stream.pass_over(first);
        stream.seen = end;
        if end <= stream.committed {
            return Taken::Passed(gone);
        }
        stream.frames.push_back(frame);
        self.waiting += 1;
        Taken::Waits(gone)
    }

    /// Takes note that everything below `end` that was not told of is gone.
    pub(super) fn lost(&mut self, stream: StreamId, end: Sequence) -> Gone {
        self.stream(stream).pass_over(end)
    }

    /// A lineage is durable.
    pub(super) fn begun(&mut self, lineage: Lineage) {
        let stream = self.stream(lineage.stream);
        (stream.lineage, stream.is_told) = (Some(lineage), false);
    }

    /// A lineage is over before `at`: its topic was made anew, or nothing of it will ever go.
    pub(super) fn broken(&mut self, id: StreamId, at: Sequence) {
        self.stream(id).lineage = None;
        self.advanced(&[(id, at)]);
    }

    /// What goes with the next transaction: each stream's first frames, of those that may go, in
    /// turns, so that one that has much leaves room to others.
    pub(super) fn gather(
        &self,
        most: Most,
        may_go: impl Fn(&StreamId, &Lineage) -> bool,
    ) -> Vec<FrameHeader> {
        let goes = |(id, s): &(&StreamId, &Stream)| {
            s.lineage.as_ref().is_some_and(|lineage| may_go(id, lineage))
        };
        // BOUND: one for each stream.
        let mut turns: VecDeque<_> =
            self.waiting().filter(goes).map(|(_, s)| s.frames.iter()).collect();
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(mut frames) = turns.pop_front() {
            let Some(frame) = frames.next() else { continue };
            bytes += frame.frame_bytes();
            let is_full = bytes > most.bytes || group.len() >= most.frames;
            if is_full && !group.is_empty() {
                break;
            }
            group.push(*frame);
            turns.push_back(frames);
        }
        group
    }

    /// These frames go with a transaction; how many of them went with one before.
    pub(super) fn tried(&mut self, group: &[FrameHeader]) -> u64 {
        let mut again = 0;
        for batch in group.iter().map(|frame| &frame.batch) {
            let stream = self.stream(batch.stream);
            again += u64::from(batch.end_sequence() <= stream.tried);
            stream.tried = stream.tried.max(batch.end_sequence());
        }
        again
    }

    /// What the record of a transaction with these frames says.
    pub(super) fn positions(&self, edge: &Name, group: &[FrameHeader]) -> Vec<Position> {
        let of = |(id, stream): (&StreamId, &Stream)| {
            let ours = group.iter().filter(|f| f.batch.stream == *id);
            let end = ours.map(|f| f.batch.end_sequence()).max();
            let end = end.unwrap_or(stream.committed).max(stream.committed);
            Some(Position::new(stream.lineage.as_ref()?, end))
        };
        let ours = self.of.iter().filter(|(id, _)| id.edge == *edge).filter_map(of);
        ours.chain(self.carried.iter().cloned()).collect()
    }

    /// The transaction of an edge with these frames is committed, and the positions of all its
    /// streams. How many events.
    pub(super) fn commit(&mut self, edge: &Name, group: &[FrameHeader]) -> u64 {
        let ours = self.of.iter_mut().filter(|(id, _)| id.edge == *edge);
        ours.for_each(|(_, stream)| stream.is_told = stream.lineage.is_some());
        group.iter().map(|f| self.reach(f.batch.stream, f.batch.end_sequence())).sum()
    }

    /// The first frame of a stream will never go. How many events.
    pub(super) fn let_go(&mut self, frame: &FrameHeader) -> u64 {
        self.reach(frame.batch.stream, frame.batch.end_sequence())
    }

    fn reach(&mut self, stream: StreamId, end: Sequence) -> u64 {
        let stream = self.stream(stream);
        stream.committed = stream.committed.max(end);
        let before = stream.frames.len();
        let events = stream.pop_committed();
        let popped = before - stream.frames.len();
        self.waiting -= popped;
        events
    }

    /// Takes what the topic says of an edge, in this cluster.
    pub(super) fn take_positions(
        &mut self,
        edge: &Name,
        cluster: &str,
        found: Vec<Position>,
    ) -> Found {
        let is_lost = self.of.values().any(|stream| {
            let Some(lineage) = &stream.lineage else { return false };
            (lineage.stream.edge, lineage.cluster.as_str()) == (*edge, cluster)
                && stream.durable.0 > lineage.first
                && !found.iter().any(|position| position.is_of(lineage))
        });
        let mut passed = 0;
        self.carried.clear();
        for position in found {
            if self.lineage(&position.stream).is_some_and(|lineage| position.is_of(lineage)) {
                self.stream(position.stream).is_told = true;
                passed += self.reach(position.stream, Sequence(position.end));
            } else {
                self.carried.push(position);
            }
        }
        // Another copy of the spool wants to find what it has written, once it starts again.
        self.carried.sort_by_key(|position| Reverse(position.stream.incarnation));
        self.carried.truncate(CARRIED_MAX);
        let ours = self.of.iter_mut().filter(|(id, _)| id.edge == *edge);
        let gone = ours.map(|(_, stream)| stream.settle()).sum();
        Found { passed, gone, is_lost }
    }

    /// What the cursor does not say yet.
    pub(super) fn ends(&self) -> Vec<(StreamId, Sequence)> {
        self.of.iter().filter_map(|(id, stream)| Some((*id, stream.moves_to()?))).collect()
    }

    /// Of that, streams of whose lineage nothing was committed: it ends there. Otherwise a start
    /// that finds no position would believe that the topic has lost it.
    pub(super) fn ended(&self) -> Vec<(StreamId, Sequence)> {
        let is_untold = |id: &StreamId| self.of.get(id).is_some_and(Stream::is_untold);
        self.ends().into_iter().filter(|(id, _)| is_untold(id)).collect()
    }

    /// The cursor says so.
    pub(super) fn advanced(&mut self, ends: &[(StreamId, Sequence)]) {
        for (id, end) in ends {
            let stream = self.stream(*id);
            stream.durable = stream.durable.max(*end);
            stream.committed = stream.committed.max(*end);
        }
    }
}

#[cfg(test)]
mod tests;

//! One stream on its way into objects: the group that its frames join, and what earlier starts have
//! decided on or made.

use super::{Found, Plan, RollPolicy, Step, WRITER_VERSION};
use crate::{
    objects::key::{log_digest, object_key},
    sink::Gone,
    spool::cursors::Seal,
};
use brink_proto::{frame::FrameHeader, ids::Sequence};
use std::{collections::VecDeque, time::Duration};

/// A stream, and where it stands.
pub(super) struct Stream {
    /// The sequence behind everything that was delivered, planned or found missing.
    pub(super) next: Sequence,
    pub(super) group: Option<Group>,
    /// Left by an earlier start, in the order of their sequences; their objects may exist. BOUND:
    /// what a cursor has.
    pub(super) seals: VecDeque<Seal>,
    /// Made by an earlier start, in the same order: the first may be under way. BOUND: as well.
    pub(super) made: VecDeque<Found>,
}

/// Frames that become an object.
pub(super) struct Group {
    pub(super) frames: Vec<FrameHeader>,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) since: Duration,
    pub(super) seal: Option<Seal>,
}

impl Stream {
    /// One of which nothing was seen.
    pub(super) fn new() -> Stream {
        Stream::at(Sequence(0))
    }

    /// One that stands there.
    pub(super) fn at(next: Sequence) -> Stream {
        Stream { next, group: None, seals: VecDeque::new(), made: VecDeque::new() }
    }

    /// The object of a seal exists: its events are passed over.
    pub(super) fn handle_found(&mut self, found: Found) {
        let ahead = |seal: &Seal| seal.key == found.seal.key && seal.first >= self.next.0;
        let Some(at) = self.seals.iter().position(ahead) else { return };
        self.seals.remove(at);
        self.made.push_back(found);
        self.made.make_contiguous().sort_by_key(|found| found.seal.first);
    }

    /// Takes a frame that begins where the stream stands. Whether it is kept.
    pub(super) fn take(
        &mut self,
        frame: FrameHeader,
        now: Duration,
        policy: &RollPolicy,
        ready: &mut VecDeque<Step>,
    ) -> bool {
        let first = self.next.0;
        self.next = frame.batch.end_sequence();
        if let Some(found) = self.made.front_mut().filter(|found| found.seal.first <= first) {
            found.pass_over(&frame);
            self.close(ready);
            self.settle(ready);
            return false;
        }
        // What a seal speaks of joins nothing that was before it.
        let begins = self.seals.front().is_some_and(|seal| seal.first == first);
        if begins || self.group.as_ref().is_some_and(|group| !group.takes(&frame, policy)) {
            self.close(ready);
        }
        self.add(frame, now, ready);
        if self.group.as_ref().is_some_and(Group::is_complete) {
            self.close(ready);
        }
        true
    }

    /// The log has nothing of the stream from where it stands up to `to`.
    pub(super) fn pass_over(&mut self, to: Sequence, ready: &mut VecDeque<Step>) -> Gone {
        let mut gone = Gone::default();
        while self.next < to {
            let found = self.made.front_mut().filter(|found| found.seal.first < to.0);
            let made = found.as_ref().map_or(to.0, |found| found.seal.first);
            gone.missing += made.saturating_sub(self.next.0);
            self.next = self.next.max(Sequence(made));
            if let Some(found) = found {
                let kept = found.seal.end.min(to.0).saturating_sub(self.next.0);
                found.rows += kept;
                gone.found += kept;
                self.next = Sequence(self.next.0 + kept);
            }
            self.close(ready);
            self.settle(ready);
        }
        gone
    }

    /// Whether the stream stands in an object that exists.
    pub(super) fn is_within_made(&self) -> bool {
        self.made.front().is_some_and(|found| found.seal.first < self.next.0)
    }

    /// No frame of what was sealed comes any more.
    pub(super) fn end_seals(&mut self, ready: &mut VecDeque<Step>) {
        if self.group.as_ref().is_some_and(Group::is_sealed) || !self.made.is_empty() {
            self.close(ready);
        }
        if let Some(last) = self.made.back() {
            self.next = self.next.max(Sequence(last.seal.end));
        }
        self.settle(ready);
        ready.extend(self.seals.drain(..).map(|seal| Step::Unseal(seal.key)));
    }

    /// Objects that exist and that the stream stands behind are done with.
    fn settle(&mut self, ready: &mut VecDeque<Step>) {
        while self.made.front().is_some_and(|found| found.seal.end <= self.next.0) {
            ready.extend(self.made.pop_front().map(Step::Found));
        }
    }

    fn add(&mut self, frame: FrameHeader, now: Duration, ready: &mut VecDeque<Step>) {
        let first = frame.batch.first_sequence.0;
        let seals = &mut self.seals;
        let group = self.group.get_or_insert_with(|| {
            // Seals below this frame speak of frames that are gone.
            let gone = seals.iter().take_while(|seal| seal.first < first).count();
            ready.extend(seals.drain(..gone).map(|seal| Step::Unseal(seal.key)));
            let ours = seals.front().is_some_and(|seal| seal.first == first);
            let seal = if ours { seals.pop_front() } else { None };
            Group { frames: Vec::new(), bytes: 0, rows: 0, since: now, seal }
        });
        group.bytes += u64::from(frame.batch.payload_bytes);
        group.rows += u64::from(frame.batch.count);
        group.frames.push(frame);
    }

    pub(super) fn close(&mut self, ready: &mut VecDeque<Step>) {
        let Some(group) = self.group.take() else { return };
        let resumed = group.seal.as_ref().is_some_and(|s| s.digest == log_digest(&group.frames));
        match group.seal {
            Some(seal) if resumed => {
                ready.push_back(Step::Object(Plan { seal, frames: group.frames, resumed }));
            }
            broken => {
                ready.extend(broken.map(|seal| Step::Unseal(seal.key)));
                ready.extend(plan_of(group.frames).map(Step::Object));
            }
        }
    }
}

impl Group {
    pub(super) fn takes(&self, frame: &FrameHeader, policy: &RollPolicy) -> bool {
        let Some(first) = self.frames.first() else { return true };
        let same = first.batch.hour == frame.batch.hour && first.batch.schema == frame.batch.schema;
        // A seal was decided with the policy of its time.
        let sealed = self.is_sealed();
        let bytes = self.bytes + u64::from(frame.batch.payload_bytes);
        let rows = self.rows + u64::from(frame.batch.count);
        same && (sealed || (bytes <= policy.bytes_max && rows <= policy.rows_max))
    }

    /// Whether an earlier start has decided what it is, and may have made its object.
    pub(super) fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// Whether every frame that the seal speaks of is there.
    pub(super) fn is_complete(&self) -> bool {
        let end = self.frames.last().map(|f| f.batch.end_sequence().0);
        self.seal.as_ref().is_some_and(|seal| end >= Some(seal.end))
    }
}

/// The object that these frames make; none of no frames.
pub(super) fn plan_of(frames: Vec<FrameHeader>) -> Option<Plan> {
    let (first, last) = (frames.first()?.batch, frames.last()?.batch);
    let (from, end) = (first.first_sequence, last.end_sequence());
    let seal = Seal {
        key: object_key(&first.stream, first.hour, from, end, first.schema),
        stream: first.stream,
        first: from.0,
        end: end.0,
        frames: frames.len() as u32,
        schema: first.schema,
        writer: WRITER_VERSION,
        digest: log_digest(&frames),
    };
    Some(Plan { seal, frames, resumed: false })
}

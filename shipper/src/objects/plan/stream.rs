//! One stream on its way into objects: the group that its frames join, and the seals before it.

use super::{Plan, RollPolicy, Step, WRITER_VERSION};
use crate::{
    objects::key::{log_digest, object_key},
    spool::cursors::Seal,
};
use brink_proto::{frame::FrameHeader, ids::Sequence};
use std::{collections::VecDeque, time::Duration};

pub(super) struct Stream {
    /// The sequence behind everything that was delivered, planned or found missing.
    pub(super) next: Sequence,
    pub(super) group: Option<Group>,
    /// Left by an earlier start, in the order of their sequences.
    pub(super) seals: VecDeque<Seal>,
}

pub(super) struct Group {
    pub(super) frames: Vec<FrameHeader>,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) since: Duration,
    pub(super) seal: Option<Seal>,
}

impl Stream {
    pub(super) fn add(&mut self, frame: FrameHeader, now: Duration) {
        let seals = &mut self.seals;
        let group = self.group.get_or_insert_with(|| {
            // Seals below this frame speak of frames that are gone.
            while seals.front().is_some_and(|s| s.first < frame.batch.first_sequence.0) {
                seals.pop_front();
            }
            let ours = seals.front().is_some_and(|s| s.first == frame.batch.first_sequence.0);
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

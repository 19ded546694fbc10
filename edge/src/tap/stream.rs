//! One topic of a shard: its sequence, its open batch, and what is staged for the next slice.

use super::{
    BATCH_AGE, Offer, Pushed, SLICE_BYTES, Speaker, Spooling, TapCounters, TopicIndex, WAITED_AGE,
    WAITED_AHEAD_MAX,
    compressor::{Behind, Compressor},
    counters::TopicCounters,
};
use crate::clock::Nanos;
use brink_proto::{
    event::{EVENT_BYTES_MAX, Event, Identity, Row, Stamp, identity},
    frame::{BatchInfo, RAW_BYTES_MAX, SHED_REASONS},
    ids::{Hour, Name, Sequence, ShedReason, StreamId},
    kafka::record::{RECORD_OVERHEAD_MAX, RecordHead},
    schema::Schema,
    wire::Writer,
};
use brink_shipper::intake::{BatchBuffer, SealedBatch};
use std::{sync::Arc, time::Duration};

/// BOUND: less than a slice, and one longest event.
const STAGING_BYTES: usize = SLICE_BYTES + EVENT_BYTES_MAX + RECORD_OVERHEAD_MAX;

pub(super) struct Stream {
    schema: &'static Schema,
    stream: StreamId,
    identity: Identity,
    index: TopicIndex,
    counters: Arc<TapCounters>,
    compressor: Compressor,
    next: Sequence,
    /// Never goes back, whatever the time of day does.
    hour: Hour,
    shed: [u32; SHED_REASONS],
    open: Option<Open>,
    staging: Box<[u8]>,
    staged: usize,
}

struct Open {
    buffer: BatchBuffer,
    /// Compressed bytes in the buffer.
    filled: usize,
    /// Bytes of records, staged ones included.
    raw: usize,
    count: u32,
    first: Sequence,
    base_ms: i64,
    max_ms: i64,
    hour: Hour,
    opened_at: Nanos,
    waited: bool,
}

impl Open {
    #[inline]
    fn age_max(&self, ahead: impl Fn() -> u64) -> Duration {
        if self.waited && ahead() < WAITED_AHEAD_MAX { WAITED_AGE } else { BATCH_AGE }
    }
}

impl Stream {
    pub(super) fn new(
        speaker: Speaker,
        schema: &'static Schema,
        index: TopicIndex,
        counters: Arc<TapCounters>,
    ) -> Stream {
        let Speaker { edge, incarnation, shard } = speaker;
        let topic = Name::new(schema.topic).unwrap_or_else(|e| panic!("{}: {e}", schema.topic));
        Stream {
            schema,
            stream: StreamId { edge, incarnation, shard, topic },
            identity: identity(edge, incarnation, shard),
            index,
            counters,
            compressor: Compressor::new(),
            next: Sequence(0),
            hour: Hour(0),
            shed: [0; SHED_REASONS],
            open: None,
            staging: vec![0; STAGING_BYTES].into_boxed_slice(),
            staged: 0,
        }
    }

    #[inline]
    pub(super) fn pending(&self) -> usize {
        self.staged
    }

    pub(super) fn has_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn reach(&mut self, hour: Hour) {
        self.hour = self.hour.max(hour);
    }

    fn counters(&self) -> &TopicCounters {
        self.counters.topic(self.index.0)
    }

    /// Takes an event, or sheds it; and whether that took this turn's slice, because the batch
    /// before had to be closed for it.
    #[inline]
    pub(super) fn offer<R: Row>(
        &mut self,
        stamp: &Stamp<'_>,
        row: &R,
        now: Nanos,
        waited: bool,
        spool: &mut Spooling,
    ) -> (Offer, bool) {
        self.counters().offered.add(1);
        let event = Event { identity: &self.identity, sequence: self.next, stamp: *stamp, row };
        let event_bytes = event.encoded_bytes();
        let closed = !self.fits(event_bytes + RECORD_OVERHEAD_MAX, stamp);
        if closed {
            self.close(spool);
        }
        if self.open.is_none()
            && let Err(reason) = self.open_batch(stamp, now, spool)
        {
            self.shed[reason as usize] = self.shed[reason as usize].saturating_add(1);
            self.counters().shed[reason as usize].add(1);
            return (Offer::Shed, closed);
        }
        let Some(open) = &mut self.open else { return (Offer::Shed, closed) };
        let event = Event { identity: &self.identity, sequence: self.next, stamp: *stamp, row };
        let millis = stamp.time.millis();
        let head = RecordHead::new(millis - open.base_ms, open.count, event_bytes);
        let mut out = Writer::new(&mut self.staging[self.staged..]);
        head.write(&mut out, |out| event.encode(out));
        let written = out.finish();
        debug_assert_eq!(written, Some(head.record_bytes()));
        let written = written.unwrap_or(0);
        self.staged += written;
        open.raw += written;
        open.count += 1;
        open.max_ms = open.max_ms.max(millis);
        open.waited |= waited;
        self.next.0 += 1;
        self.counters().emitted.add(1);
        (Offer::Taken, closed)
    }

    /// Whether a record finds room in the open batch, if there is one.
    #[inline]
    fn fits(&self, record_bytes: usize, stamp: &Stamp<'_>) -> bool {
        self.open.as_ref().is_none_or(|open| {
            open.raw + record_bytes <= RAW_BYTES_MAX
                && self.staged + record_bytes <= self.staging.len()
                && stamp.time.hour().max(self.hour) == open.hour
        })
    }

    fn open_batch(
        &mut self,
        stamp: &Stamp<'_>,
        now: Nanos,
        spool: &mut Spooling,
    ) -> Result<(), ShedReason> {
        let share = self.schema.class.share_percent();
        if spool.end.fullness_percent() >= share {
            return Err(ShedReason::SpoolFull);
        }
        let in_use = spool.buffers - spool.end.buffers_back();
        if (in_use + 1) * 100 > spool.buffers * share as usize {
            return Err(ShedReason::NoBuffer);
        }
        let buffer = spool.end.take_buffer().ok_or(ShedReason::NoBuffer)?;
        let millis = stamp.time.millis();
        self.hour = self.hour.max(stamp.time.hour());
        self.compressor.begin();
        self.open = Some(Open {
            buffer,
            filled: 0,
            raw: 0,
            count: 0,
            first: self.next,
            base_ms: millis,
            max_ms: millis,
            hour: self.hour,
            opened_at: now,
            waited: false,
        });
        Ok(())
    }

    /// Whether the open batch has to be closed. `ahead` says how many batches the spool was given
    /// and has not committed.
    #[inline]
    pub(super) fn is_due(&self, now: Nanos, ahead: impl Fn() -> u64) -> bool {
        let Some(open) = &self.open else { return false };
        let is_idle = || open.waited && ahead() == 0;
        now >= open.opened_at.after(open.age_max(&ahead)) || is_idle()
    }

    /// When the open batch is due, if nothing is committed until then.
    pub(super) fn deadline(&self, ahead: u64) -> Option<Nanos> {
        let open = self.open.as_ref()?;
        Some(open.opened_at.after(open.age_max(|| ahead)))
    }

    /// One slice: the next of what is pending, or the last one of the batch.
    pub(super) fn slice_or_close(&mut self, spool: &mut Spooling) {
        if self.staged < SLICE_BYTES {
            return self.close(spool);
        }
        let Some(open) = &mut self.open else { return };
        let slice = &self.staging[..SLICE_BYTES];
        let out = open.buffer.bytes_mut();
        open.filled = self.compressor.slice(slice, out, open.filled, Behind::More);
        self.staging.copy_within(SLICE_BYTES..self.staged, 0);
        self.staged -= SLICE_BYTES;
    }

    /// Compresses what is staged, ends the batch and hands it over.
    fn close(&mut self, spool: &mut Spooling) {
        let Some(mut open) = self.open.take() else { return };
        let rest = &self.staging[..self.staged];
        let out = open.buffer.bytes_mut();
        let filled = self.compressor.slice(rest, out, open.filled, Behind::End);
        self.staged = 0;
        let info = BatchInfo {
            stream: self.stream,
            first_sequence: open.first,
            count: open.count,
            base_timestamp_ms: open.base_ms,
            max_timestamp_ms: open.max_ms,
            hour: open.hour,
            schema: self.schema.version,
            class: self.schema.class,
            raw_bytes: open.raw as u32,
            payload_bytes: filled as u32,
            shed: std::mem::take(&mut self.shed),
        };
        let counters = self.counters();
        counters.batches.add(1);
        counters.raw_bytes.add(open.raw as u64);
        counters.payload_bytes.add(filled as u64);
        counters.handed_over.add(u64::from(open.count));
        let ticket = spool.end.push(SealedBatch { info, buffer: open.buffer });
        spool.pushed += 1;
        spool.news.push(Pushed { topic: self.index, ticket });
    }
}

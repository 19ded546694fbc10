//! The streams of a log, frame by frame: their figures, and whether their sequences tile.

use super::{
    fault::{Fault, FaultKind, Faults},
    report::{Hours, StreamSeen},
};
use crate::spool::cursors::{Cursors, SinkCursor};
use brink_proto::{
    frame::{FrameHeader, SHED_REASONS},
    ids::{Hour, Sequence, ShedReason, StreamId},
};
use std::collections::BTreeMap;

/// BOUND: gaps that are remembered until the cursors say which of them matter; more are counted.
const GAPS_MAX: usize = 10_000;

/// All streams, in the order of their names.
#[derive(Default)]
pub(super) struct Streams {
    streams: BTreeMap<StreamId, Tally>,
    gaps: Vec<Gap>,
    gaps_more: u64,
}

struct Tally {
    first: Sequence,
    next: Sequence,
    frames: u64,
    events: u64,
    again: u64,
    payload_bytes: u64,
    raw_bytes: u64,
    hours: (Hour, Hour),
    shed: [u64; SHED_REASONS],
}

struct Gap {
    stream: StreamId,
    from: Sequence,
    to: Sequence,
}

impl Streams {
    /// Takes the next frame of the log.
    pub(super) fn add(&mut self, frame: &FrameHeader, faults: &mut Faults) {
        let batch = &frame.batch;
        let (first, end) = (batch.first_sequence, batch.end_sequence());
        let known = self.streams.get(&batch.stream).map_or(Sequence(0), |tally| tally.next);
        if first > known {
            self.gap(Gap { stream: batch.stream, from: known, to: first });
        }
        let tally = self.streams.entry(batch.stream).or_insert_with(|| Tally::new(frame));
        // A frame whose disk failed was written again, as it was, in the next segment.
        if end <= tally.next && tally.frames > 0 {
            tally.again += 1;
            return;
        }
        if first < known {
            let text = format!("the stream had come to {} already", known.0);
            faults.push(Fault::new(FaultKind::Overlap, text).of_frame(frame));
        }
        tally.add(frame);
    }

    /// A frame that was added has no payload any more: it is right if all have it.
    pub(super) fn freed(&mut self, frame: &FrameHeader) {
        let batch = &frame.batch;
        let (from, to) = (batch.first_sequence, batch.end_sequence());
        self.gap(Gap { stream: batch.stream, from, to });
    }

    fn gap(&mut self, gap: Gap) {
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push(gap);
        } else {
            self.gaps_more += 1;
        }
    }

    /// The gaps that nobody's cursor explains. A segment goes once every sink has delivered what is
    /// in it, also from between two others; so what all that know of a stream have delivered need
    /// not be there.
    pub(super) fn missing(&self, cursors: &Cursors, faults: &mut Faults) {
        for Gap { stream, from, to } in &self.gaps {
            let of_sink =
                |(name, sink): (_, &SinkCursor)| Some((*sink.delivered.get(stream)?, name));
            let last = cursors.sinks.iter().filter_map(of_sink).min();
            let from = last.map_or(*from, |(delivered, _)| delivered.max(*from));
            if from < *to {
                let who = match last {
                    Some((_, sink)) => format!("sink {sink} has not"),
                    None => "no sink has".to_owned(),
                };
                let count = to.0 - from.0;
                let text = format!("{count} events are not in the log, and {who} delivered them");
                faults.push(Fault::new(FaultKind::Missing, text).of(stream, from, *to));
            }
        }
        if self.gaps_more > 0 {
            let text = format!("{} more gaps in sequences were not looked into", self.gaps_more);
            faults.push(Fault::new(FaultKind::Missing, text));
        }
    }

    /// Each stream with the sequences that the log has of it.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (&StreamId, Sequence, Sequence)> {
        self.streams.iter().map(|(stream, tally)| (stream, tally.first, tally.next))
    }

    /// What there is to be seen.
    pub(super) fn seen(&self) -> Vec<StreamSeen> {
        self.streams.iter().map(|(stream, tally)| tally.seen(stream)).collect()
    }
}

impl Tally {
    fn new(frame: &FrameHeader) -> Tally {
        let batch = &frame.batch;
        Tally {
            first: batch.first_sequence,
            next: batch.first_sequence,
            frames: 0,
            events: 0,
            again: 0,
            payload_bytes: 0,
            raw_bytes: 0,
            hours: (batch.hour, batch.hour),
            shed: [0; SHED_REASONS],
        }
    }

    fn add(&mut self, frame: &FrameHeader) {
        let batch = &frame.batch;
        self.next = batch.end_sequence();
        self.frames += 1;
        self.events += u64::from(batch.count);
        self.payload_bytes += u64::from(batch.payload_bytes);
        self.raw_bytes += u64::from(batch.raw_bytes);
        self.hours = (self.hours.0.min(batch.hour), self.hours.1.max(batch.hour));
        for (sum, shed) in self.shed.iter_mut().zip(batch.shed) {
            *sum += u64::from(shed);
        }
    }

    fn seen(&self, stream: &StreamId) -> StreamSeen {
        let shed = |reason: &ShedReason| (reason.label(), self.shed[*reason as usize]);
        StreamSeen {
            stream: stream.to_string(),
            first: self.first.0,
            end: self.next.0,
            frames: self.frames,
            events: self.events,
            again: self.again,
            payload_bytes: self.payload_bytes,
            raw_bytes: self.raw_bytes,
            hours: Hours::new(self.hours),
            shed: ShedReason::ALL.iter().map(shed).collect(),
        }
    }
}

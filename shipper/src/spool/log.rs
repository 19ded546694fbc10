//! The log in memory: which segments live, what they hold, what of it is committed.
//!
//! No method waits. The committer writes and then says so here; the server reads what it says. A
//! frame is in this log once it is durable, never before.

use super::segment::{self, FRAMES_FROM, SUMMARY_BYTES, Summary};
use super::{
    counters::Held,
    cursors::{Cursors, SinkCursor},
    port::Notice,
};
use brink_proto::{
    frame::{BatchInfo, FrameHeader, LogPosition, frame_bytes},
    ids::{Sequence, StreamId},
};
use std::{collections::BTreeMap, rc::Rc};

/// What part of a segment has to be needless before it is freed.
const FREED_SHARE: u64 = 4;

/// One file of the log.
pub(crate) struct Segment<F> {
    /// The file.
    pub(crate) file: Rc<F>,
    /// Its size.
    pub(crate) bytes: u32,
    /// What it holds.
    pub(crate) summary: Summary,
    /// Whether its summary is on disk. A segment that was fenced is closed but never sealed.
    pub(crate) sealed: bool,
    /// Streams whose payloads in it were freed.
    pub(crate) freed: Vec<StreamId>,
    /// What its file does not take of the disk though it is part of its size.
    pub(crate) freed_bytes: u64,
    /// What sinks are told of it, in order; dropped where none of them stands in it.
    pub(crate) index: Option<Vec<Notice>>,
}

/// A segment that no sink needs any more.
pub(crate) struct Released {
    pub(crate) generation: u32,
    pub(crate) bytes: u32,
    pub(crate) sealed: bool,
    pub(crate) freed_bytes: u64,
}

/// The log.
pub(crate) struct Log<F> {
    segments: BTreeMap<u32, Segment<F>>,
    open: Option<u32>,
    next_generation: u32,
    committed: LogPosition,
    /// Files that wait to be recycled, by the generation in their names.
    pub(crate) free: Vec<u32>,
}

impl<F> Log<F> {
    /// A log of the segments that a start found.
    pub(crate) fn new(
        segments: BTreeMap<u32, Segment<F>>,
        free: Vec<u32>,
        next_generation: u32,
    ) -> Log<F> {
        let last = segments.last_key_value();
        let committed = last.map_or(LogPosition(0), |(g, s)| LogPosition::new(*g, s.summary.end));
        Log { segments, open: None, next_generation, committed, free }
    }

    /// Every frame below is durable.
    pub(crate) fn committed(&self) -> LogPosition {
        self.committed
    }

    /// The segment that takes frames, and where its next frame goes.
    pub(crate) fn open_segment(&self) -> Option<(u32, Rc<F>, u32)> {
        let generation = self.open?;
        let segment = self.segments.get(&generation)?;
        Some((generation, Rc::clone(&segment.file), segment.summary.end))
    }

    /// Whether the open segment takes `batch` at `offset`, behind `others` that are not yet in it.
    pub(crate) fn takes<'a>(
        &self,
        batch: &BatchInfo,
        offset: u32,
        others: impl Iterator<Item = &'a FrameHeader>,
    ) -> bool {
        let Some(segment) = self.open.and_then(|g| self.segments.get(&g)) else { return false };
        let end = u64::from(offset) + frame_bytes(batch.payload_bytes as usize) as u64;
        if end > u64::from(segment.bytes - SUMMARY_BYTES) {
            return false;
        }
        let mut new_streams: Vec<StreamId> = Vec::new();
        let known = |s: &StreamId| segment.summary.streams.iter().any(|e| e.stream == *s);
        for stream in others.map(|f| f.batch.stream).chain([batch.stream]) {
            if !known(&stream) && !new_streams.contains(&stream) {
                new_streams.push(stream);
            }
        }
        segment.summary.streams.len() + new_streams.len() <= segment::STREAMS_MAX
    }

    /// Takes frames that are durable in the open segment.
    pub(crate) fn commit(&mut self, frames: &[FrameHeader]) {
        let Some(generation) = self.open else { return };
        let Some(segment) = self.segments.get_mut(&generation) else { return };
        for frame in frames {
            debug_assert_eq!(frame.position.offset(), segment.summary.end);
            let bytes = frame.frame_bytes() as u32;
            segment.summary.add(&frame.batch, frame.position.offset(), bytes);
            segment.index.get_or_insert_default().push(Notice::Frame(*frame));
        }
        self.committed = LogPosition::new(generation, segment.summary.end);
    }

    /// The file of a segment; nothing once it is gone.
    pub(crate) fn file(&self, generation: u32) -> Option<Rc<F>> {
        self.segments.get(&generation).map(|segment| Rc::clone(&segment.file))
    }

    /// The first generation of this start; asked before there is any of it.
    pub(crate) fn first_of_start(&self) -> u32 {
        self.next_generation
    }

    /// The generation that the next segment gets. Never given twice.
    pub(crate) fn next_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation - 1
    }

    /// Takes a new, empty segment and writes into it from now on.
    pub(crate) fn install(&mut self, generation: u32, file: F, bytes: u32) {
        let segment = Segment {
            file: Rc::new(file),
            bytes,
            summary: Summary::empty(),
            sealed: false,
            freed: Vec::new(),
            freed_bytes: 0,
            index: Some(Vec::new()),
        };
        self.segments.insert(generation, segment);
        self.open = Some(generation);
        self.committed = LogPosition::new(generation, FRAMES_FROM);
    }

    /// Stops writing into the open segment because its disk failed. What was committed in it stays;
    /// what was not is written again elsewhere.
    pub(crate) fn fence(&mut self) {
        self.open = None;
    }

    /// Stops writing into the open segment, whose summary is durable.
    pub(crate) fn seal(&mut self) {
        let open = self.open.take();
        if let Some(segment) = open.and_then(|g| self.segments.get_mut(&g)) {
            segment.sealed = true;
        }
    }

    /// A segment.
    pub(crate) fn segment(&self, generation: u32) -> Option<&Segment<F>> {
        self.segments.get(&generation)
    }

    /// The first segment at or behind a generation.
    pub(crate) fn segment_from(&self, generation: u32) -> Option<u32> {
        self.segments.range(generation..).next().map(|(g, _)| *g)
    }

    /// Gives a segment its index back, from the frames that a walk found, and says what is missing
    /// of what its summary had promised.
    pub(crate) fn set_index(&mut self, generation: u32, frames: &[FrameHeader]) {
        let Some(segment) = self.segments.get_mut(&generation) else { return };
        let mut index: Vec<_> = frames.iter().map(|f| Notice::Frame(*f)).collect();
        for promised in &segment.summary.streams {
            let of_stream = frames.iter().filter(|f| f.batch.stream == promised.stream);
            let found = of_stream.map(|f| f.batch.end_sequence()).max();
            if found.is_none_or(|end| end < promised.end) {
                let position = LogPosition::new(generation, segment.summary.end);
                index.push(Notice::Lost { stream: promised.stream, end: promised.end, position });
            }
        }
        segment.index = Some(index);
    }

    /// Notices in the indexes.
    pub(crate) fn indexed(&self) -> usize {
        self.segments.values().filter_map(|segment| segment.index.as_ref()).map(Vec::len).sum()
    }

    /// Takes away the indexes that nobody uses; the open segment keeps its own.
    pub(crate) fn drop_indexes(&mut self, is_used: impl Fn(u32) -> bool) {
        for (generation, segment) in &mut self.segments {
            if segment.index.is_some() && self.open != Some(*generation) && !is_used(*generation) {
                segment.index = None;
            }
        }
    }

    /// Bytes of frames that live in the log.
    pub(crate) fn live_bytes(&self) -> u64 {
        let live = |s: &Segment<F>| u64::from(s.summary.end).saturating_sub(s.freed_bytes);
        self.segments.values().map(live).sum()
    }

    /// Segments that live.
    pub(crate) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Bytes that the segments' files take.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.segments.values().map(|s| u64::from(s.bytes).saturating_sub(s.freed_bytes)).sum()
    }

    /// Takes out the segments that every sink was told of and that none needs any more.
    pub(crate) fn release(
        &mut self,
        cursors: &Cursors,
        sinks: &[String],
        is_told: impl Fn(u32) -> bool,
    ) -> Vec<Released> {
        let needless = |segment: &Segment<F>| {
            segment.summary.streams.iter().all(|entry| cursors.are_past(sinks, entry))
        };
        let mut released = Vec::new();
        let open = self.open;
        self.segments.retain(|generation, segment| {
            let keep = !is_told(*generation) || Some(*generation) == open || !needless(segment);
            if !keep {
                let Segment { bytes, sealed, freed_bytes, .. } = *segment;
                released.push(Released { generation: *generation, bytes, sealed, freed_bytes });
            }
            keep
        });
        released
    }

    /// The oldest sealed segment that every sink was told of and in which much is needless, though
    /// not all: its generation, and the streams that nobody needs any more.
    pub(crate) fn freeable(
        &self,
        cursors: &Cursors,
        sinks: &[String],
        is_told: impl Fn(u32) -> bool,
    ) -> Option<(u32, Vec<StreamId>)> {
        let of_segment = |(generation, segment): (&u32, &Segment<F>)| {
            let streams = segment.summary.streams.iter();
            let done = streams.filter(|entry| cursors.are_past(sinks, entry));
            let done = done.filter(|entry| !segment.freed.contains(&entry.stream));
            let bytes: u64 = done.clone().map(|entry| entry.bytes).sum();
            // What an earlier start has freed is known by its bytes alone.
            let left = u64::from(segment.summary.end).saturating_sub(segment.freed_bytes);
            let is_worth_it = bytes.min(left) * FREED_SHARE >= u64::from(segment.bytes);
            (is_worth_it && segment.sealed && is_told(*generation))
                .then(|| (*generation, done.map(|entry| entry.stream).collect()))
        };
        self.segments.iter().find_map(of_segment)
    }

    /// Payloads of these streams in a segment are freed from now on.
    pub(crate) fn freeing(&mut self, generation: u32, streams: Vec<StreamId>) {
        if let Some(segment) = self.segments.get_mut(&generation) {
            segment.freed.extend(streams);
        }
    }

    /// A segment's file takes so many bytes of the disk.
    pub(crate) fn set_allocated(&mut self, generation: u32, allocated: u64) {
        if let Some(segment) = self.segments.get_mut(&generation) {
            segment.freed_bytes = u64::from(segment.bytes).saturating_sub(allocated);
        }
    }

    /// What each topic of each sink holds: bytes of frames that wait for it, to the segment.
    pub(crate) fn held(&self, cursors: &Cursors, sinks: &[String]) -> Vec<Held> {
        let mut held: Vec<Held> = Vec::new();
        for sink in sinks {
            let cursor = cursors.sinks.get(sink);
            for entry in self.segments.values().flat_map(|s| &s.summary.streams) {
                let delivered = cursor.and_then(|cursor| cursor.delivered.get(&entry.stream));
                if delivered.is_some_and(|next| *next >= entry.end) {
                    continue;
                }
                let topic = entry.stream.topic;
                match held.iter_mut().find(|h| h.sink == *sink && h.topic == topic) {
                    Some(known) => known.bytes += entry.bytes,
                    None => held.push(Held { sink: sink.clone(), topic, bytes: entry.bytes }),
                }
            }
        }
        held
    }

    /// Whether frames of a stream live in the log.
    pub(crate) fn holds(&self, stream: &StreamId) -> bool {
        self.segments.values().any(|s| s.summary.streams.iter().any(|e| e.stream == *stream))
    }

    /// Events that a sink has not delivered, by stream, from the segments' summaries.
    pub(crate) fn backlog(&self, sink: &SinkCursor) -> BTreeMap<StreamId, u64> {
        let ranges = self.ranges().into_iter();
        let left = ranges.map(|(id, (first, end))| (id, sink.pending(&id, first, end)));
        left.filter(|(_, events)| *events > 0).collect()
    }

    /// The first sequence of each stream that lives in the log.
    pub(crate) fn firsts(&self) -> impl Iterator<Item = (StreamId, Sequence)> + use<F> {
        self.ranges().into_iter().map(|(stream, (first, _))| (stream, first))
    }

    fn ranges(&self) -> BTreeMap<StreamId, (Sequence, Sequence)> {
        let mut ranges: BTreeMap<StreamId, (Sequence, Sequence)> = BTreeMap::new();
        for entry in self.segments.values().flat_map(|s| &s.summary.streams) {
            let range = ranges.entry(entry.stream).or_insert((entry.first, entry.end));
            *range = (range.0.min(entry.first), range.1.max(entry.end));
        }
        ranges
    }
}

//! What the spool counts, for the ledger and for operators. The spool thread is the one writer.

use crate::counter::Counter;
use brink_proto::{frame::BatchInfo, ids::Name};
use std::sync::{Mutex, PoisonError};

/// What came from one shard on one topic.
#[derive(Debug, Default)]
pub struct StreamCounters {
    /// Events taken out of the ring.
    pub drained: Counter,
    /// Events covered by a completed group commit: from here on every promise holds.
    pub accepted: Counter,
    /// Bytes of their frames' payloads.
    pub payload_bytes: Counter,
}

/// What one topic of one sink holds of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The sink.
    pub sink: String,
    /// The topic.
    pub topic: Name,
    /// Bytes of frames that wait for the sink.
    pub bytes: u64,
}

/// What the spool counts.
#[derive(Debug)]
pub struct SpoolCounters {
    topics: Vec<Name>,
    /// By ring, then by topic.
    streams: Vec<Vec<StreamCounters>>,
    /// Group commits.
    pub commits: Counter,
    /// Writes and syncs that failed.
    pub write_errors: Counter,
    /// Events that were drained and given up at the end of a stop that took too long.
    pub lost: Counter,
    /// 1 once every shard is gone and everything it had handed over is accepted or lost.
    pub finished: Counter,
    /// Corrupt ranges found after the start.
    pub corrupt_ranges: Counter,
    /// Bytes of frames in the log.
    pub live_bytes: Counter,
    /// Bytes of the log's files.
    pub file_bytes: Counter,
    /// Segments in the log.
    pub segments: Counter,
    /// Most frames of the log whose headers were in memory at once.
    pub indexed_max: Counter,
    /// Who holds the log. Looked at once a second, off the way of any request.
    held: Mutex<Vec<Held>>,
}

impl SpoolCounters {
    /// Zeros for `rings` rings and these topics.
    #[must_use]
    pub fn new(rings: usize, topics: Vec<Name>) -> SpoolCounters {
        let of_ring = || topics.iter().map(|_| StreamCounters::default()).collect();
        SpoolCounters {
            streams: (0..rings).map(|_| of_ring()).collect(),
            topics,
            commits: Counter::default(),
            write_errors: Counter::default(),
            lost: Counter::default(),
            finished: Counter::default(),
            corrupt_ranges: Counter::default(),
            live_bytes: Counter::default(),
            file_bytes: Counter::default(),
            segments: Counter::default(),
            indexed_max: Counter::default(),
            held: Mutex::default(),
        }
    }

    /// Who holds the log, by sink and topic.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says who holds the log: these, and of the topics that are served those that hold nothing.
    pub(crate) fn set_held(&self, sinks: &[String], mut held: Vec<Held>) {
        for (sink, topic) in sinks.iter().flat_map(|s| self.topics.iter().map(move |t| (s, t))) {
            if !held.iter().any(|h| h.sink == *sink && h.topic == *topic) {
                held.push(Held { sink: sink.clone(), topic: *topic, bytes: 0 });
            }
        }
        held.sort_by(|a, b| (&a.sink, a.topic.as_str()).cmp(&(&b.sink, b.topic.as_str())));
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// What came through a ring on a topic.
    #[must_use]
    pub fn stream(&self, ring: usize, topic: &Name) -> Option<&StreamCounters> {
        let index = self.topics.iter().position(|t| t == topic)?;
        self.streams.get(ring)?.get(index)
    }

    /// Events accepted since the start, over all streams.
    #[must_use]
    pub fn accepted_events(&self) -> u64 {
        self.streams.iter().flatten().map(|s| s.accepted.read()).sum()
    }

    /// Events taken out of the rings since the start, over all streams.
    #[must_use]
    pub fn drained_events(&self) -> u64 {
        self.streams.iter().flatten().map(|s| s.drained.read()).sum()
    }

    /// Bytes of their frames' payloads.
    #[must_use]
    pub fn accepted_bytes(&self) -> u64 {
        self.streams.iter().flatten().map(|s| s.payload_bytes.read()).sum()
    }

    pub(crate) fn drained(&self, ring: usize, batch: &BatchInfo) {
        if let Some(stream) = self.stream(ring, &batch.stream.topic) {
            stream.drained.add(u64::from(batch.count));
        }
    }

    pub(crate) fn accepted(&self, ring: usize, batch: &BatchInfo) {
        if let Some(stream) = self.stream(ring, &batch.stream.topic) {
            stream.payload_bytes.add(u64::from(batch.payload_bytes));
            stream.accepted.add(u64::from(batch.count));
        }
    }
}

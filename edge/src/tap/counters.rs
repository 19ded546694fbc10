//! What a tap counts, per topic. The shard is the one writer.

use brink_proto::ids::{Name, ShedReason};
use brink_shipper::counter::Counter;

/// What one shard counts on one topic: `offered = emitted + shed`.
#[derive(Debug, Default)]
pub struct TopicCounters {
    /// Events that roles described.
    pub offered: Counter,
    /// Events that were not taken, by reason.
    pub shed: [Counter; ShedReason::ALL.len()],
    /// Events that got a sequence.
    pub emitted: Counter,
    /// Events in batches that were handed to the spool.
    pub handed_over: Counter,
    /// Batches that were handed to the spool.
    pub batches: Counter,
    /// Bytes of records before compression.
    pub raw_bytes: Counter,
    /// Bytes of records after compression.
    pub payload_bytes: Counter,
}

/// What one shard counts on its topics.
#[derive(Debug)]
pub struct TapCounters {
    topics: Vec<(Name, TopicCounters)>,
}

impl TapCounters {
    /// Zeros for these topics.
    #[must_use]
    pub fn new(topics: &[Name]) -> TapCounters {
        TapCounters { topics: topics.iter().map(|t| (*t, TopicCounters::default())).collect() }
    }

    /// Each topic with its counters.
    pub fn topics(&self) -> impl Iterator<Item = &(Name, TopicCounters)> {
        self.topics.iter()
    }

    pub(super) fn topic(&self, index: usize) -> &TopicCounters {
        &self.topics[index].1
    }
}

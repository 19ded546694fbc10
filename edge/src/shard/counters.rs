//! What a shard counts. It is the one writer of all of it.

use crate::{http::error::HttpError, roles::OUTCOMES_MAX, tap::TapCounters};
use brink_shipper::counter::Counter;

/// Upper edges of the latency buckets, in microseconds. The same on every box, so that a hundred of
/// them can be added up.
pub const LATENCY_EDGES_US: [u64; 13] =
    [100, 250, 500, 1000, 2000, 5000, 7000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000];

/// Statuses that are counted one by one; the last stands for all others.
pub const STATUSES: [u16; 7] = [200, 204, 302, 404, 405, 503, 0];

/// What one listener of a shard counts.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub accepted: Counter,
    /// Of them, closed at once because their address is not allowed.
    pub not_allowed: Counter,
    /// Accepts that failed.
    pub accept_errors: Counter,
    /// Connections closed.
    pub closed: Counter,
    /// Connections open now.
    pub open: Counter,
    /// Connections that were broken off by the other end.
    pub broken: Counter,
    /// Requests answered, by status, in the order of [`STATUSES`].
    pub answered: [Counter; STATUSES.len()],
    /// Requests refused, in the order of [`HttpError::ALL`].
    pub refused: [Counter; HttpError::ALL.len()],
    /// Connections closed because nothing came for too long.
    pub idle_timeouts: Counter,
    /// Connections closed because their answer was not taken for too long.
    pub write_timeouts: Counter,
    /// Bytes received.
    pub received_bytes: Counter,
    /// Bytes sent.
    pub sent_bytes: Counter,
    /// Requests by the time from arriving to being answered; the last bucket has no edge.
    pub latency: [Counter; LATENCY_EDGES_US.len() + 1],
    /// Sum of those times, in nanoseconds.
    pub latency_sum_ns: Counter,
    /// What became of requests, in the order of the role's outcomes.
    pub outcomes: [Counter; OUTCOMES_MAX],
}

impl ListenerCounters {
    /// Counts an answer.
    #[inline]
    pub(super) fn answered(&self, status: u16, nanos: u64) {
        let last = STATUSES.len() - 1;
        let place = STATUSES.iter().position(|s| *s == status).unwrap_or(last);
        self.answered[place].add(1);
        let micros = nanos.div_ceil(1000);
        // Nearly all are in the first bucket.
        let bucket = LATENCY_EDGES_US.iter().position(|edge| micros <= *edge);
        self.latency[bucket.unwrap_or(LATENCY_EDGES_US.len())].add(1);
        self.latency_sum_ns.add(nanos);
    }
}

/// What a shard counts.
#[derive(Debug)]
pub struct ShardCounters {
    /// By listener.
    pub listeners: Vec<ListenerCounters>,
    /// By topic.
    pub tap: std::sync::Arc<TapCounters>,
    /// Turns of the loop.
    pub turns: Counter,
    /// Times the kernel was entered.
    pub enters: Counter,
    /// Of them, beyond the one of a turn, because the queue was full.
    pub full_enters: Counter,
    /// Times the shard slept.
    pub parks: Counter,
    /// Times a receive found no buffer.
    pub starved: Counter,
    /// Receive buffers in use.
    pub buffers_in_use: Counter,
    /// Output blocks in use.
    pub blocks_in_use: Counter,
    /// Answers that wait for durability.
    pub held: Counter,
}

impl ShardCounters {
    /// Zeros.
    #[must_use]
    pub fn new(listeners: usize, tap: std::sync::Arc<TapCounters>) -> ShardCounters {
        ShardCounters {
            listeners: (0..listeners).map(|_| ListenerCounters::default()).collect(),
            tap,
            turns: Counter::default(),
            enters: Counter::default(),
            full_enters: Counter::default(),
            parks: Counter::default(),
            starved: Counter::default(),
            buffers_in_use: Counter::default(),
            blocks_in_use: Counter::default(),
            held: Counter::default(),
        }
    }
}

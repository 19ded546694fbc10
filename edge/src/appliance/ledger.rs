//! The ledger: where every event is, from the role that described it to the object that holds it.
//!
//! ```text
//!  offered = emitted + shed
//!  emitted = in batch + in ring + held by the spool + accepted + lost
//!  backlog + accepted = delivered + pending + quarantined        for each sink
//! ```
//!
//! Every hop counts for itself. Read from the last hop to the first, no hop has let out more than
//! came in, at any instant; at rest, both are the same.

use super::Board;
use brink_proto::ids::ShedReason;
use brink_shipper::sink::Deliveries;
use serde::Serialize;
use std::collections::BTreeMap;

/// Where events are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// By topic and shard.
    pub streams: Vec<StreamLedger>,
    /// By sink.
    pub sinks: BTreeMap<&'static str, SinkLedger>,
    /// Events given up at the end of a stop that took too long.
    pub lost: u64,
}

/// What one shard says on one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamLedger {
    /// The topic.
    pub topic: String,
    /// The shard.
    pub shard: usize,
    /// Events that roles described.
    pub offered: u64,
    /// Events that were not taken.
    pub shed: BTreeMap<&'static str, u64>,
    /// Events that got a sequence.
    pub emitted: u64,
    /// Of them, in the open batch.
    pub in_batch: u64,
    /// On their way to the spool.
    pub in_ring: u64,
    /// Taken by the spool, not yet durable.
    pub in_group: u64,
    /// Durable: every promise starts here.
    pub accepted: u64,
}

/// What one sink has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkLedger {
    /// Events that earlier starts had accepted and not delivered.
    pub backlog: u64,
    /// Events that this start has accepted.
    pub accepted: u64,
    /// Events that are where they belong: in an object, or in a topic.
    pub delivered: u64,
    /// Events that wait.
    pub pending: u64,
    /// Events in frames that are corrupt or missing, or that the other side never takes.
    pub quarantined: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// Reads all counters, from the last hop to the first.
    #[must_use]
    pub fn read(board: &Board) -> Ledger {
        let told = |(name, sink): (&'static str, &Deliveries)| {
            let delivered = sink.delivered.read();
            let quarantined = BTreeMap::from(sink.quarantined());
            (name, delivered, quarantined, sink.backlog.read())
        };
        let sinks: Vec<_> = board.deliveries().map(told).collect();
        let lost = board.spool.lost.read();
        let mut streams = Vec::new();
        for (shard, counters) in board.shards.iter().enumerate() {
            for (topic, tap) in counters.tap.topics() {
                let spool = board.spool.stream(shard, topic);
                let accepted = spool.map_or(0, |s| s.accepted.read());
                let drained = spool.map_or(0, |s| s.drained.read());
                let handed_over = tap.handed_over.read();
                let emitted = tap.emitted.read();
                let shed = ShedReason::ALL.map(|r| (r.label(), tap.shed[r as usize].read()));
                streams.push(StreamLedger {
                    topic: topic.to_string(),
                    shard,
                    offered: tap.offered.read(),
                    shed: BTreeMap::from(shed),
                    emitted,
                    in_batch: emitted.saturating_sub(handed_over),
                    in_ring: handed_over.saturating_sub(drained),
                    in_group: drained.saturating_sub(accepted),
                    accepted,
                });
            }
        }
        let accepted: u64 = streams.iter().map(|s| s.accepted).sum();
        let sink = |(name, delivered, quarantined, backlog): (_, u64, BTreeMap<_, u64>, u64)| {
            let out = delivered + quarantined.values().sum::<u64>();
            let pending = (backlog + accepted).saturating_sub(out);
            (name, SinkLedger { backlog, accepted, delivered, pending, quarantined })
        };
        Ledger { streams, sinks: sinks.into_iter().map(sink).collect(), lost }
    }

    /// Events that this start has accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.streams.iter().map(|s| s.accepted).sum()
    }

    /// What does not add up. Nothing may be wrong at any instant; with `at_rest`, nothing may be on
    /// its way either.
    #[must_use]
    pub fn faults(&self, at_rest: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |right: bool, text: String| {
            if !right {
                faults.push(text);
            }
        };
        for s in &self.streams {
            let name = format!("{} of shard {}", s.topic, s.shard);
            let shed: u64 = s.shed.values().sum();
            let told = s.emitted + shed;
            check(told <= s.offered, format!("{name}: {told} told of {} offered", s.offered));
            check(s.accepted <= s.emitted, format!("{name}: more accepted than emitted"));
            if at_rest {
                check(told == s.offered, format!("{name}: {told} told of {} offered", s.offered));
                let left = s.emitted - s.accepted.min(s.emitted);
                check(left == self.lost, format!("{name}: {left} emitted and not accepted"));
            }
        }
        for (name, sink) in &self.sinks {
            let out = sink.delivered + sink.quarantined.values().sum::<u64>();
            let come = sink.backlog + sink.accepted;
            check(out <= come, format!("sink {name}: {out} delivered of {come}"));
            if at_rest {
                check(sink.pending == 0, format!("sink {name}: {} pending", sink.pending));
                check(out == come, format!("sink {name}: {out} delivered of {come}"));
            }
        }
        faults
    }
}

//! What every sink has: what it is asked to do, and its part of the ledger.

use crate::{
    alarms::{Alarm, Alarms},
    counter::Counter,
    spool::SpoolCounters,
};
use std::iter::Sum;
use tokio::sync::watch;

/// What a sink is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Deliver by policy.
    Run,
    /// Deliver everything that was accepted, then end.
    Drain,
    /// End now; what is not delivered waits in the spool.
    End,
}

/// Events of a stream that are not in the log where they should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gone {
    /// They are nowhere.
    pub missing: u64,
    /// They are delivered: an earlier start has done that, and could not say so any more.
    pub found: u64,
}

impl Sum for Gone {
    fn sum<I: Iterator<Item = Gone>>(all: I) -> Gone {
        all.fold(Gone::default(), |sum, one| Gone {
            missing: sum.missing + one.missing,
            found: sum.found + one.found,
        })
    }
}

/// A sink was told to end.
pub(crate) struct Ended;

/// What a request comes to, unless an end is asked for first: a server that does not answer must
/// not hold a stop up. What such a request did is found out by the next start.
pub(crate) async fn unless_ended<T>(
    mut phase: watch::Receiver<Phase>,
    request: impl Future<Output = T>,
) -> Result<T, Ended> {
    tokio::select! {
        done = request => Ok(done),
        Ok(_) = phase.wait_for(|phase| *phase == Phase::End) => Err(Ended),
    }
}

/// A sink's part of the ledger. Its task is the one writer.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Events that an earlier start had accepted and not delivered.
    pub backlog: Counter,
    /// Events taken from the spool.
    pub taken: Counter,
    /// Events that are where they belong.
    pub delivered: Counter,
    /// Events in frames that were found corrupt.
    pub quarantined_corrupt: Counter,
    /// Events whose frames are not in the log.
    pub quarantined_missing: Counter,
    /// Events in frames that the other side will never take; copies are kept.
    pub quarantined_refused: Counter,
}

impl Deliveries {
    /// Events that will not be delivered, by reason.
    #[must_use]
    pub fn quarantined(&self) -> [(&'static str, u64); 3] {
        [
            ("corrupt", self.quarantined_corrupt.read()),
            ("missing", self.quarantined_missing.read()),
            ("refused", self.quarantined_refused.read()),
        ]
    }

    /// So many events are not in the log, where they should be.
    pub(crate) fn note_missing(&self, events: u64, alarms: &Alarms) {
        if events > 0 {
            alarms.raise(Alarm::SequenceGap);
            tracing::error!(events, "events are missing in the log");
            self.quarantined_missing.add(events);
        }
    }

    /// Whether all that the spool accepted, and will, is done with. Read from the last hop to the
    /// first.
    #[must_use]
    pub fn is_complete(&self, spool: &SpoolCounters) -> bool {
        let quarantined: u64 = self.quarantined().iter().map(|(_, events)| events).sum();
        let done = self.delivered.read() + quarantined;
        spool.finished.read() > 0 && done >= spool.accepted_events() + self.backlog.read()
    }
}

//! When a request's clock starts.
//!
//! Bytes that are seen now were not there when the ring was looked at last, so they cannot have
//! waited longer than since then. That moment is their arrival: a shard that was stalled, by a
//! neighbour, by the hypervisor or by SIGSTOP, takes a late request for a late one. Only a shard
//! that slept in the kernel was woken by what came, and then the wake-up is the arrival.

use crate::{clock::Nanos, ring::Ring};
use std::time::Duration;

/// The moment before which nothing that is still unseen can have come.
#[derive(Debug)]
pub(super) struct Arrival {
    quiet_at: Nanos,
}

/// A sleep that ended this much behind its time was a stall.
const LATE_WAKE: Duration = Duration::from_millis(1);

/// Longer than this between looking and going to sleep, and something may have come meanwhile.
const STALL: Duration = Duration::from_micros(50);

impl Arrival {
    pub(super) fn new(now: Nanos) -> Arrival {
        Arrival { quiet_at: now }
    }

    /// The ring was entered and left at `now`; `slept_until` is when it would have been left at the
    /// latest, if it was allowed to sleep. When what it brought can have come at the earliest.
    #[inline]
    pub(super) fn entered(
        &mut self,
        now: Nanos,
        slept_until: Option<Nanos>,
        ring: &impl Ring,
    ) -> Nanos {
        let before = self.quiet_at;
        let Some(deadline) = slept_until else {
            self.quiet_at = now;
            return before;
        };
        if ring.has_work() {
            self.quiet_at = now;
            // It slept only if it was away for longer than an entering takes.
            let slept = now.since(before) > STALL.as_nanos() as u64;
            return if slept { now } else { before };
        }
        // Woken by nothing: the time was up, or a signal stopped us, for who knows how long.
        let in_time = now >= deadline && now.since(deadline) < LATE_WAKE.as_nanos() as u64;
        if in_time {
            self.quiet_at = now;
        }
        before
    }

    /// The ring was looked at and had nothing.
    #[inline]
    pub(super) fn saw_nothing(&mut self, now: Nanos) {
        self.quiet_at = now;
    }

    /// Whether so much time has passed since the ring was looked at that it must be looked at again
    /// before going to sleep: what came meanwhile would be taken for fresh.
    #[inline]
    pub(super) fn is_suspect(&self, now: Nanos) -> bool {
        now.since(self.quiet_at) > STALL.as_nanos() as u64
    }
}

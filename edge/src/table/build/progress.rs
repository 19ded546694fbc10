//! What a person sees while it takes long: a line a second.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Tells how far it is, when it is time to.
pub(super) struct Progress {
    phase: &'static str,
    phase_began: Instant,
    told: Instant,
}

impl Progress {
    pub(super) fn new() -> Progress {
        let now = Instant::now();
        Progress { phase: "", phase_began: now, told: now }
    }

    /// So many `what` are done in this phase.
    pub(super) fn tick(&mut self, phase: &'static str, done: u64, what: &str) {
        let now = Instant::now();
        if self.phase != phase {
            self.phase = phase;
            self.phase_began = now;
        }
        if now.duration_since(self.told) < EVERY {
            return;
        }
        self.told = now;
        let rate = done as f64 / now.duration_since(self.phase_began).as_secs_f64().max(1e-3);
        eprintln!("{phase:<8} {done:>12} {what}  {rate:>10.0}/s");
    }
}

//! The time of day as far as manifests believe it: somebody may set it, forward or back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What both clocks say at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Goes on, whatever the time of day is set to.
    pub(super) steady: Instant,
    /// Since 1970.
    pub(super) wall: Duration,
}

impl Moment {
    pub(super) fn now() -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { steady: Instant::now(), wall }
    }
}

/// How far the time of day has come for manifests.
pub(super) struct Watch {
    started: Moment,
    /// A time, and how many events have to be taken until all that was there at that time is.
    pub(super) awaited: Option<(u64, u64)>,
}

impl Watch {
    pub(super) fn start(now: Moment) -> Watch {
        Watch { started: now, awaited: None }
    }

    /// Milliseconds since 1970. A clock that is set forward does not end an hour: what writes the
    /// rows may not follow it at once.
    pub(super) fn unix_ms(&self, now: Moment) -> u64 {
        let gone = now.steady.saturating_duration_since(self.started.steady);
        now.wall.min(self.started.wall + gone).as_millis() as u64
    }

    /// When a frame was written; not in the future, whatever clock it had.
    pub(super) fn capped(&self, unix_ms: i64, now: Moment) -> u64 {
        u64::try_from(unix_ms).unwrap_or_default().min(self.unix_ms(now))
    }
}

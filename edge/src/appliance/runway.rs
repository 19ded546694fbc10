//! How long the spool's room lasts: the first thing to know when a sink is in trouble.

use brink_shipper::counter::Counter;
use std::time::{Duration, Instant};

/// How long the room lasts, in seconds. The delivery thread is the one writer.
#[derive(Debug)]
pub struct Runway {
    /// As the log grows now.
    full_in_s: Counter,
    /// If nothing were delivered any more.
    lasts_s: Counter,
}

/// For ever: the log does not grow, or nothing comes in.
const NEVER: u64 = u64::MAX;

impl Default for Runway {
    fn default() -> Runway {
        let runway = Runway { full_in_s: Counter::default(), lasts_s: Counter::default() };
        runway.full_in_s.set(NEVER);
        runway.lasts_s.set(NEVER);
        runway
    }
}

impl Runway {
    /// Seconds until the spool is full as it grows now; nothing, if it does not grow.
    #[must_use]
    pub fn full_in(&self) -> Option<u64> {
        Some(self.full_in_s.read()).filter(|seconds| *seconds != NEVER)
    }

    /// Seconds until the spool is full if nothing is delivered from now on; nothing, if no event
    /// comes.
    #[must_use]
    pub fn lasts(&self) -> Option<u64> {
        Some(self.lasts_s.read()).filter(|seconds| *seconds != NEVER)
    }
}

/// What the spool shows at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    /// Bytes of frames in it.
    pub(super) live: u64,
    /// Bytes that came since the start.
    pub(super) come: u64,
    /// Bytes that it may hold.
    pub(super) quota: u64,
}

/// Rates over the last minute or so.
#[derive(Debug, Default)]
pub(super) struct RunwayWatch {
    before: Option<(Instant, Level)>,
    growth: f64,
    inflow: f64,
}

/// Between two looks: objects leave the log in lumps, so short moments say nothing.
const LOOK: Duration = Duration::from_secs(10);

/// Whatever lasts longer, ten years, lasts for ever.
const EVER_SECONDS: f64 = 315e6;

/// What the latest look weighs against all before it.
const WEIGHT: f64 = 0.2;

impl RunwayWatch {
    /// Looks, if it is time.
    pub(super) fn look(&mut self, now: Instant, level: Level, runway: &Runway) {
        let Some((at, before)) = self.before else {
            self.before = Some((now, level));
            return;
        };
        let time = now.saturating_duration_since(at);
        if time < LOOK {
            return;
        }
        self.before = Some((now, level));
        let rate = |new: u64, old: u64| (new as f64 - old as f64) / time.as_secs_f64();
        let smooth = |mean: f64, rate: f64| mean + WEIGHT * (rate - mean);
        self.growth = smooth(self.growth, rate(level.live, before.live));
        self.inflow = smooth(self.inflow, rate(level.come, before.come));
        let room = level.quota.saturating_sub(level.live) as f64;
        let seconds = |rate: f64| match room / rate.max(0.0) {
            seconds if seconds < EVER_SECONDS => seconds as u64,
            _ => NEVER,
        };
        runway.full_in_s.set(seconds(self.growth));
        runway.lasts_s.set(seconds(self.inflow));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_log_that_grows_says_when_it_is_full_and_one_that_does_not_never_is() {
        let (mut watch, runway) = (RunwayWatch::default(), Runway::default());
        let start = Instant::now();
        assert_eq!((runway.full_in(), runway.lasts()), (None, None));
        let mut look = |second: u64, live: u64, come: u64| {
            let level = Level { live, come, quota: 1000 * MIB };
            watch.look(start + Duration::from_secs(second), level, &runway);
            (runway.full_in(), runway.lasts())
        };
        // 1 MiB/s comes, and all of it is delivered.
        for second in 0..300 {
            look(second, 10 * MIB, second * MIB);
        }
        let (full, lasts) = look(300, 10 * MIB, 300 * MIB);
        assert_eq!(full, None);
        assert!(lasts.is_some_and(|s| (985..=995).contains(&s)), "{lasts:?}");
        // Nothing is delivered any more.
        for second in 301..600 {
            look(second, (second - 290) * MIB, second * MIB);
        }
        let (full, lasts) = look(600, 310 * MIB, 600 * MIB);
        for seconds in [full, lasts] {
            assert!(seconds.is_some_and(|s| (685..=700).contains(&s)), "{seconds:?}");
        }
        // It empties, and nothing comes.
        for second in 601..1200 {
            look(second, 310 * MIB - (second - 600) * MIB / 2, 600 * MIB);
        }
        assert_eq!(look(1200, 0, 600 * MIB), (None, None));
    }
}

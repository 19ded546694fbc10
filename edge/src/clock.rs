//! Time: one clock for everything a shard measures, and the wall clock that events carry.
//!
//! A shard measures with quanta (the TSC where it is sound). The wall clock is that plus an offset,
//! which is looked at once a second and slewed, so that events do not jump when NTP corrects it.

use brink_proto::ids::Micros;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in nanoseconds since the clock was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The time from `earlier` to this, or none when it is not earlier.
    #[inline]
    #[must_use]
    pub fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `time` later.
    #[inline]
    #[must_use]
    pub fn after(self, time: Duration) -> Nanos {
        Nanos(self.0.saturating_add(time.as_nanos() as u64))
    }
}

/// A clock. A seam: the simulation has its own.
pub trait Clock {
    /// Now; never goes back.
    fn now(&self) -> Nanos;
    /// What the system takes for the time of day.
    fn system(&self) -> Micros;
}

/// The real clock.
#[derive(Debug, Clone)]
pub struct QuantaClock {
    clock: quanta::Clock,
    origin: u64,
}

impl QuantaClock {
    /// A clock that starts now. The first one of a process calibrates, which takes some 0.2 s.
    #[must_use]
    pub fn start() -> QuantaClock {
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        QuantaClock { clock, origin }
    }
}

impl Clock for QuantaClock {
    #[inline]
    fn now(&self) -> Nanos {
        Nanos(self.clock.delta_as_nanos(self.origin, self.clock.raw()))
    }

    fn system(&self) -> Micros {
        wall_now()
    }
}

/// What the system takes for the time of day, for those who do not measure with it.
#[must_use]
pub fn wall_now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(since.as_micros() as i64)
}

/// The time of day that events carry.
#[derive(Debug)]
pub struct WallClock {
    /// Time of day minus clock.
    offset_us: i64,
    looked_at: Nanos,
}

/// How often the system's time of day is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much the offset moves at one look: 500 ppm.
const SLEW_US: i64 = 500;

/// A difference above this is stepped over at once: somebody set the clock.
const STEP_US: i64 = 1_000_000;

impl WallClock {
    /// The time of day as the system has it now.
    pub fn start(clock: &impl Clock) -> WallClock {
        let now = clock.now();
        WallClock { offset_us: clock.system().0 - micros(now), looked_at: now }
    }

    /// The time of day at `now`.
    #[inline]
    #[must_use]
    pub fn at(&self, now: Nanos) -> Micros {
        Micros(micros(now) + self.offset_us)
    }

    /// Looks at the system's time of day if it is time to; returns whether it did.
    #[inline]
    pub fn look(&mut self, now: Nanos, clock: &impl Clock) -> bool {
        if now.since(self.looked_at) < LOOK_EVERY.as_nanos() as u64 {
            return false;
        }
        self.looked_at = now;
        let off = clock.system().0 - self.at(now).0;
        self.offset_us += if off.abs() > STEP_US { off } else { off.clamp(-SLEW_US, SLEW_US) };
        true
    }
}

fn micros(now: Nanos) -> i64 {
    (now.0 / 1000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Set(Cell<u64>, Cell<i64>);

    impl Clock for Set {
        fn now(&self) -> Nanos {
            Nanos(self.0.get())
        }

        fn system(&self) -> Micros {
            Micros(self.1.get())
        }
    }

    #[test]
    fn the_time_of_day_is_slewed_and_steps_only_when_it_was_set() {
        let clock = Set(Cell::new(0), Cell::new(1_000_000_000));
        let mut wall = WallClock::start(&clock);
        let mut look = |seconds: u64, system: i64| {
            clock.0.set(seconds * 1_000_000_000);
            clock.1.set(system);
            wall.look(clock.now(), &clock);
            wall.at(clock.now()).0
        };
        assert_eq!(look(1, 1_001_000_000), 1_001_000_000);
        // 10 ms off: half a millisecond at a time.
        assert_eq!(look(2, 1_002_010_000), 1_002_000_500);
        assert_eq!(look(3, 1_003_010_000), 1_003_001_000);
        // Set by an hour: at once.
        assert_eq!(look(4, 4_604_000_000), 4_604_000_000);
    }
}

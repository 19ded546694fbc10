//! How long to wait between tries on something that fails.
//!
//! Each pause is about twice the one before, up to the longest, and half of it is left to chance:
//! two hundred appliances that lose one store at one moment do not come back to it at one moment.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The pauses of one series of tries.
#[derive(Debug, Clone)]
pub struct Backoff {
    full: Duration,
    longest: Duration,
    /// Of a xorshift generator; never 0.
    random: u64,
}

/// Between tries on a store, a cluster, or the spool.
impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::new(Duration::from_millis(200), Duration::from_secs(30))
    }
}

impl Backoff {
    /// Pauses from about `first` up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        // The standard library's hash keys are random in every process and in every use.
        Backoff { full: first.min(longest), longest, random: RandomState::new().hash_one(0) | 1 }
    }

    /// The next pause: between a half and all of a length that doubles.
    pub fn pause(&mut self) -> Duration {
        let full = self.full;
        self.full = (full * 2).min(self.longest);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random % 1024) as u32;
        full / 2 + full / 2 * share / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_chance() {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, longest);
        let mut full = first;
        for _ in 0..20 {
            let pause = backoff.pause();
            assert!(full / 2 <= pause && pause <= full, "{pause:?} of {full:?}");
            full = (full * 2).min(longest);
        }
        assert_eq!(full, longest);
    }

    #[test]
    fn no_two_appliances_wait_alike() {
        let pauses = || {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
            (0..8).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        assert_ne!(pauses(), pauses());
    }
}

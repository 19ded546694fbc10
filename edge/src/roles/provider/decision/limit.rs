//! How many requests are answered with what we know, and who goes without when that is too many.
//!
//! ```text
//!  tokens   burst ────────── everybody is looked up
//!           a quarter ────── whoever has no segments is answered empty, and takes no token
//!           none ─────────── everybody is answered empty
//! ```
//!
//! An exchange is never told 429 and never reset: it counts either against us.

use brink_proto::ids::Micros;

/// A bucket of tokens; one is taken by each request that is looked up.
#[derive(Debug, Clone, Copy)]
pub(in crate::roles::provider) struct TokenBucket {
    /// Tokens of a second.
    rate: f64,
    burst: f64,
    tokens: f64,
    filled_at: Micros,
}

/// What the bucket has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::roles::provider) enum Room {
    /// Enough for everybody.
    Ample,
    /// Enough for those who are worth something.
    Scarce,
    /// None.
    Empty,
}

/// A bucket holds so much of a second's tokens.
const BURST_SECONDS: f64 = 0.1;

/// The share of a full bucket below which only those who are worth something get a token.
const SCARCE_SHARE: f64 = 0.25;

impl TokenBucket {
    /// A full bucket for so many requests a second.
    #[must_use]
    pub(in crate::roles::provider) fn new(rate: f64) -> TokenBucket {
        let burst = (rate * BURST_SECONDS).max(1.0);
        TokenBucket { rate, burst, tokens: burst, filled_at: Micros(0) }
    }

    /// Fills it with what has come since the last time.
    #[inline]
    pub(in crate::roles::provider) fn fill(&mut self, now: Micros) {
        let micros = now.0.saturating_sub(self.filled_at.0).max(0);
        self.filled_at = now;
        self.tokens = (self.tokens + self.rate * micros as f64 * 1e-6).min(self.burst);
    }

    /// What is left.
    #[inline]
    #[must_use]
    pub(in crate::roles::provider) fn room(&self) -> Room {
        match self.tokens {
            tokens if tokens < 1.0 => Room::Empty,
            tokens if tokens < self.burst * SCARCE_SHARE => Room::Scarce,
            _ => Room::Ample,
        }
    }

    /// Takes a token.
    #[inline]
    pub(in crate::roles::provider) fn take(&mut self) {
        self.tokens = (self.tokens - 1.0).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_runs_dry_by_value_and_fills_again() {
        let mut bucket = TokenBucket::new(100.0);
        let mut seen = Vec::new();
        for _ in 0..12 {
            bucket.fill(Micros(1_000_000));
            let room = bucket.room();
            if room != Room::Empty {
                bucket.take();
            }
            seen.push(room);
        }
        let count = |room| seen.iter().filter(|r| **r == room).count();
        assert_eq!((count(Room::Ample), count(Room::Scarce), count(Room::Empty)), (8, 2, 2));
        for (now, want) in [
            (1_009_000, Room::Empty), // nine tenths of a token
            (1_020_000, Room::Scarce),
            (9_000_000, Room::Ample),
            (8_000_000, Room::Ample), // time that goes back takes nothing
        ] {
            bucket.fill(Micros(now));
            assert_eq!(bucket.room(), want, "{now}");
        }
    }

    #[test]
    fn a_limit_holds_over_time() {
        let mut bucket = TokenBucket::new(1000.0);
        let answered = (0..100_000).filter(|ms| {
            bucket.fill(Micros(1_000_000 + ms * 100));
            let open = bucket.room() != Room::Empty;
            if open {
                bucket.take();
            }
            open
        });
        let answered = answered.count();
        assert!((10_000..=10_101).contains(&answered), "{answered} in ten seconds");
    }
}

//! When requests are due: at a constant rate, at random, or as they once came.
//!
//! ```text
//!  arrivals ─▶ thread 0 of n: requests 0, n, 2n, …
//!           ─▶ thread 1 of n: requests 1, n + 1, …      no two threads have a request in common
//! ```
//!
//! A schedule knows nothing of answers: that is what makes the loop an open one.

use crate::random::Random;
use std::{sync::Arc, time::Duration};

/// How requests arrive.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// With equal gaps.
    Constant {
        /// Requests per second.
        rate: f64,
    },
    /// Independently of each other, as those of many users do: gaps are exponential.
    Poisson {
        /// Requests per second in the mean.
        rate: f64,
    },
    /// At these moments, in nanoseconds from the start; they never decrease.
    Trace(Arc<[u64]>),
    /// Whenever a connection is free. This finds a capacity and is no measure of latency, since a
    /// server that stalls is asked less.
    Saturate,
}

impl Arrivals {
    /// Requests per second over a time; none while saturating.
    #[must_use]
    pub fn rate(&self, over: Duration) -> Option<f64> {
        match self {
            Arrivals::Constant { rate } | Arrivals::Poisson { rate } => Some(*rate),
            Arrivals::Trace(moments) => {
                let end = over.as_nanos() as u64;
                let due = moments.iter().take_while(|at| **at < end).count();
                Some(due as f64 / over.as_secs_f64())
            }
            Arrivals::Saturate => None,
        }
    }
}

/// One thread of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which one, from 0.
    pub thread: usize,
    /// How many there are.
    pub threads: usize,
}

/// A request, and when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its number, from 0, among those of all threads.
    pub number: u64,
    /// Nanoseconds since the start.
    pub at: u64,
}

/// The requests of one thread, in order, up to the end of a run.
#[derive(Debug)]
pub struct Schedule {
    gaps: Gaps,
    /// The request to come.
    number: u64,
    step: u64,
    /// Nothing is due from here on.
    end: u64,
}

#[derive(Debug)]
enum Gaps {
    Constant { nanos: f64 },
    Poisson { random: Random, nanos: f64, at: f64 },
    Trace(Arc<[u64]>),
    Saturate,
}

impl Schedule {
    /// The share of one thread. Threads with different `stream`s draw independently.
    #[must_use]
    pub fn new(arrivals: &Arrivals, share: Share, end: Duration, seed: u64, stream: u64) -> Self {
        let gaps = match arrivals {
            Arrivals::Constant { rate } => Gaps::Constant { nanos: 1e9 / rate },
            Arrivals::Poisson { rate } => {
                // The sum of n independent Poisson processes of rate r / n is one of rate r.
                let nanos = 1e9 * share.threads as f64 / rate;
                Gaps::Poisson { random: Random::new(seed, stream), nanos, at: 0.0 }
            }
            Arrivals::Trace(moments) => Gaps::Trace(moments.clone()),
            Arrivals::Saturate => Gaps::Saturate,
        };
        Schedule {
            gaps,
            number: share.thread as u64,
            step: share.threads as u64,
            end: end.as_nanos() as u64,
        }
    }

    /// Nothing is due any more.
    pub fn stop(&mut self) {
        self.end = 0;
    }
}

impl Iterator for Schedule {
    type Item = Due;

    /// The next request. While saturating it is due at once, that is at 0.
    fn next(&mut self) -> Option<Due> {
        let at = match &mut self.gaps {
            Gaps::Constant { nanos } => (self.number as f64 * *nanos + 0.5) as u64,
            Gaps::Poisson { random, nanos, at } => {
                *at -= (1.0 - random.unit()).ln() * *nanos;
                *at as u64
            }
            Gaps::Trace(moments) => *moments.get(self.number as usize)?,
            Gaps::Saturate => 0,
        };
        if at >= self.end {
            return None;
        }
        let number = self.number;
        self.number += self.step;
        Some(Due { number, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_thread(arrivals: &Arrivals, thread: usize, threads: usize, end: Duration) -> Vec<Due> {
        let share = Share { thread, threads };
        Schedule::new(arrivals, share, end, 1, thread as u64).collect()
    }

    #[test]
    fn a_constant_rate_has_equal_gaps_and_as_many_requests_as_the_rate_says() {
        let second = Duration::from_secs(1);
        let due = of_thread(&Arrivals::Constant { rate: 5000.0 }, 0, 1, second * 10);
        assert_eq!(due.len(), 50_000);
        for (at, request) in due.iter().enumerate() {
            assert_eq!(*request, Due { number: at as u64, at: at as u64 * 200_000 });
        }
        let thirds = of_thread(&Arrivals::Constant { rate: 3.0 }, 0, 1, second);
        let moments: Vec<u64> = thirds.iter().map(|due| due.at).collect();
        assert_eq!(moments, [0, 333_333_333, 666_666_667]);
    }

    #[test]
    fn gaps_of_a_poisson_process_are_exponential() {
        let due = of_thread(&Arrivals::Poisson { rate: 5000.0 }, 0, 1, Duration::from_secs(40));
        let gaps: Vec<f64> =
            due.windows(2).map(|w| (w[1].at - w[0].at) as f64 / 200_000.0).collect();
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        // In units of the mean gap, mean and variance are 1; with 200,000 gaps their standard
        // errors are 0.0022 and 0.0063.
        assert!((mean - 1.0).abs() < 0.012, "{mean}");
        assert!((variance - 1.0).abs() < 0.04, "{variance}");
        let beyond = gaps.iter().filter(|gap| **gap > 3.0).count() as f64 / count;
        assert!((beyond - (-3.0f64).exp()).abs() < 0.003, "{beyond}");
    }

    #[test]
    fn threads_of_a_poisson_process_add_up_to_its_rate_and_are_independent() {
        let arrivals = Arrivals::Poisson { rate: 5000.0 };
        let of = |thread| of_thread(&arrivals, thread, 4, Duration::from_secs(10));
        let all: Vec<Vec<Due>> = (0..4).map(of).collect();
        let count: usize = all.iter().map(Vec::len).sum();
        // Five standard deviations of a count of 50,000 are 1,118.
        assert!(count.abs_diff(50_000) < 1118, "{count}");
        let moments = |thread: usize| all[thread].iter().map(|due| due.at).collect::<Vec<_>>();
        assert_ne!(moments(0), moments(1));
    }

    #[test]
    fn a_trace_keeps_its_moments_and_ends_with_the_run() {
        let arrivals = Arrivals::Trace([0, 5, 5, 1_000_000, 2_000_000].into());
        let end = Duration::from_millis(2);
        let due: Vec<Vec<Due>> = (0..2).map(|t| of_thread(&arrivals, t, 2, end)).collect();
        assert_eq!(due[0], [Due { number: 0, at: 0 }, Due { number: 2, at: 5 }]);
        assert_eq!(due[1], [Due { number: 1, at: 5 }, Due { number: 3, at: 1_000_000 }]);
        assert_eq!(arrivals.rate(end), Some(2000.0));
    }

    proptest! {
        #[test]
        fn shares_of_threads_tile_a_constant_rate(
            rate in 1.0f64..20_000.0,
            threads in 1usize..9,
            millis in 1u64..500,
        ) {
            let arrivals = Arrivals::Constant { rate };
            let end = Duration::from_millis(millis);
            let mut tiled: Vec<Due> =
                (0..threads).flat_map(|t| of_thread(&arrivals, t, threads, end)).collect();
            tiled.sort_by_key(|due| due.number);
            prop_assert_eq!(tiled, of_thread(&arrivals, 0, 1, end));
        }

        #[test]
        fn requests_come_in_order_and_before_the_end(
            rate in 1.0f64..20_000.0,
            threads in 1usize..9,
            thread in 0usize..9,
        ) {
            prop_assume!(thread < threads);
            let end = Duration::from_millis(200);
            for arrivals in [Arrivals::Constant { rate }, Arrivals::Poisson { rate }] {
                let due = of_thread(&arrivals, thread, threads, end);
                prop_assert!(due.is_sorted_by_key(|due| due.at));
                prop_assert!(due.iter().all(|due| due.at < end.as_nanos() as u64));
                prop_assert!(due.iter().all(|due| due.number % threads as u64 == thread as u64));
            }
        }
    }
}

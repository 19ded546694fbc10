//! What all threads have seen together: counts are added up, nothing is averaged.

use super::{LAG_MAX, LATE_MS, Recorded, Seen, WINDOW, histogram};
use crate::report::{Late, Quantiles, Second, Window, encode};
use hdrhistogram::Histogram;
use std::time::Duration;

/// Latencies of all threads.
pub(crate) struct Merged {
    /// From when requests were due.
    pub(crate) intended: Histogram<u64>,
    /// Of those, the ones that were due in valid windows.
    pub(crate) valid: Histogram<u64>,
    /// From when requests were sent.
    pub(crate) actual: Histogram<u64>,
    /// How late the generator was in valid windows.
    pub(crate) lag: Histogram<u64>,
    /// Windows in which something was due.
    pub(crate) windows: Vec<Window>,
    /// Seconds.
    pub(crate) seconds: Vec<Second>,
    /// Late answers.
    pub(crate) late: Vec<Late>,
    /// Answers, without what was given up.
    pub(crate) answers: u64,
    /// When the last answer came, in nanoseconds since the start.
    pub(crate) last_answer: u64,
}

/// Windows of a second.
const WINDOWS_PER_SECOND: usize = (1000 / WINDOW.as_millis()) as usize;

impl Merged {
    /// Of the threads of a run that has recorded for a while.
    pub(crate) fn of(threads: &[Recorded], recorded: Duration) -> Merged {
        let late_count = |at: usize| threads.iter().map(|thread| thread.late[at]).sum();
        let late = LATE_MS.iter().enumerate();
        let late = late.map(|(at, ms)| Late { beyond_ms: *ms, count: late_count(at) });
        let mut merged = Merged {
            intended: histogram(),
            valid: histogram(),
            actual: histogram(),
            lag: histogram(),
            windows: Vec::new(),
            seconds: Vec::new(),
            late: late.collect(),
            answers: threads.iter().map(|thread| thread.answers).sum(),
            last_answer: threads.iter().map(|thread| thread.last_answer).max().unwrap_or(0),
        };
        for thread in threads {
            thread.actual.add_to(&mut merged.actual);
        }
        merged.add_windows(threads, recorded);
        merged
    }

    fn add_windows(&mut self, threads: &[Recorded], recorded: Duration) {
        let recorded_ms = recorded.as_millis() as u64;
        let known = threads.iter().map(|thread| thread.windows.len()).max().unwrap_or(0);
        // A run that was stopped has recorded for less time than was planned.
        let count = known.min(recorded_ms.div_ceil(WINDOW.as_millis() as u64) as usize);
        let mut latencies = histogram();
        let mut second = histogram();
        let (mut second_due, mut second_answers) = (0, 0);
        for number in 0..count {
            let seen = || threads.iter().filter_map(move |thread| thread.windows.get(number));
            latencies.reset();
            seen().for_each(|seen| seen.latencies.add_to(&mut latencies));
            let due: u64 = seen().map(|seen| seen.due).sum();
            let at_ms = number as u64 * WINDOW.as_millis() as u64;
            if due > 0 {
                self.add_window(at_ms, seen(), &latencies);
            }
            let _ = self.intended.add(&latencies);
            let _ = second.add(&latencies);
            second_due += due;
            second_answers += seen().map(|seen| seen.answers).sum::<u64>();
            if number % WINDOWS_PER_SECOND == WINDOWS_PER_SECOND - 1 || number == count - 1 {
                let at_ms = (number / WINDOWS_PER_SECOND) as u64 * 1000;
                self.seconds.push(Second {
                    at_ms,
                    length_ms: (recorded_ms - at_ms).min(1000),
                    due: std::mem::take(&mut second_due),
                    answered: std::mem::take(&mut second_answers),
                    histogram: encode(&second),
                });
                second.reset();
            }
        }
    }

    fn add_window<'a>(
        &mut self,
        at_ms: u64,
        seen: impl Iterator<Item = &'a Seen> + Clone,
        latencies: &Histogram<u64>,
    ) {
        let lag_max = seen.clone().map(|seen| seen.lag_max).max().unwrap_or(0);
        let valid = lag_max < LAG_MAX.as_nanos() as u64;
        if valid {
            let _ = self.valid.add(latencies);
            seen.for_each(|seen| seen.lags.add_to(&mut self.lag));
        }
        let quantiles = Quantiles::of(latencies);
        self.windows.push(Window {
            at_ms,
            valid,
            count: quantiles.count,
            lag_max_ns: lag_max,
            p50_us: quantiles.p50,
            p99_us: quantiles.p99,
            max_us: quantiles.max,
        });
    }
}

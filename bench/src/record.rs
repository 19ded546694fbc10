//! What a thread has seen: histograms, and which windows count.
//!
//! A generator that is late itself measures itself. So time is cut into windows of 200 ms, and a
//! window is *valid* if in it no request was taken up more than 100 µs after it was due, and the
//! thread never looked away for longer while an answer was awaited. Quantiles over valid windows
//! are those of the server; how many windows were valid is said beside them.
//!
//! ```text
//!  thread: Recorder ─▶ finish ─▶ Recorded ┐
//!  thread: Recorder ─▶ finish ─▶ Recorded ┴▶ Merged::of: a window is valid if it is for all
//! ```
//!
//! Latencies belong to the window in which their request was due, however late they come. Memory: a
//! window at rest takes some 3 bytes for each different latency in it.

mod merged;
mod tally;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tally::{NANOS_MAX, Packed, Tally};

pub(crate) use merged::Merged;

/// Length of a window.
pub const WINDOW: Duration = Duration::from_millis(200);

/// Lag of the generator that a valid window stays under.
pub const LAG_MAX: Duration = Duration::from_micros(100);

/// The bounds beyond which late answers are counted, in milliseconds.
pub const LATE_MS: [u64; 7] = [1, 5, 7, 10, 100, 200, 500];

/// BOUND: windows that are open at once. Answers come to few at a time, whatever their delay is;
/// one that comes to another window opens that again.
const OPEN_WINDOWS: usize = 8;

const WINDOW_NANOS: u64 = WINDOW.as_nanos() as u64;

/// Latencies of one thread.
pub(crate) struct Recorder {
    /// When recording begins, in nanoseconds since the run's start.
    from: u64,
    actual: Tally,
    late: [u64; LATE_MS.len()],
    windows: Vec<Seen>,
    open: Vec<Open>,
    /// Counts uses of open windows, to find the one that was not used for longest.
    uses: u64,
    scratch: Vec<u8>,
    answers: u64,
    last_answer: u64,
}

/// What is known of a window besides its latencies.
#[derive(Debug, Clone, Default)]
struct Seen {
    due: u64,
    /// Answers that came while it lasted, whenever their requests were due.
    answers: u64,
    lag_max: u64,
    latencies: Packed,
    lags: Packed,
}

/// A window that is being recorded to.
struct Open {
    number: usize,
    used: u64,
    latencies: Tally,
    lags: Tally,
}

/// What one thread has seen, at rest.
pub(crate) struct Recorded {
    actual: Packed,
    late: [u64; LATE_MS.len()],
    windows: Vec<Seen>,
    answers: u64,
    last_answer: u64,
}

/// An empty histogram of nanoseconds, up to a minute, three digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    let mut empty =
        Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("1 ns to a minute, three digits");
    // Touches its memory, which the system would otherwise find while a request is due.
    empty.reset();
    empty
}

impl Recorder {
    /// Records what is due in the time `recorded` from `from` on, in nanoseconds since the start.
    pub(crate) fn new(from: u64, recorded: Duration) -> Recorder {
        let windows = recorded.as_nanos().div_ceil(WINDOW.as_nanos()) as usize;
        let open = |number| Open { number, used: 0, latencies: Tally::new(), lags: Tally::new() };
        Recorder {
            from,
            actual: Tally::new(),
            late: [0; LATE_MS.len()],
            windows: vec![Seen::default(); windows],
            open: (0..OPEN_WINDOWS).map(open).collect(),
            uses: 0,
            scratch: Vec::with_capacity(64 * 1024),
            answers: 0,
            last_answer: 0,
        }
    }

    /// A request that was due at `due` was taken up `lag` later.
    pub(crate) fn taken_up(&mut self, due: u64, lag: u64) {
        if let Some(number) = self.window_of(due) {
            let window = &mut self.windows[number];
            window.due += 1;
            window.lag_max = window.lag_max.max(lag);
            self.open(number).lags.record(lag.max(1));
        }
    }

    /// The answer to the request that was due at `due` came at `now`; it was sent at `sent`.
    pub(crate) fn answered(&mut self, due: u64, sent: u64, now: u64) {
        if due >= self.from {
            self.answers += 1;
            self.last_answer = now;
            if let Some(number) = self.window_of(now) {
                self.windows[number].answers += 1;
            }
        }
        self.actual_latency(due, now - sent);
        self.latency(due, now - due);
    }

    /// The request that was due at `due` was given up at `now`; it may have been sent.
    pub(crate) fn given_up(&mut self, due: u64, sent: Option<u64>, now: u64) {
        if let Some(sent) = sent {
            self.actual_latency(due, now - sent);
        }
        self.latency(due, now - due);
    }

    /// The generator looked away from `from` to `to`, while an answer was awaited.
    pub(crate) fn looked_away(&mut self, from: u64, to: u64) {
        if to < self.from {
            return;
        }
        let first = from.saturating_sub(self.from) / WINDOW_NANOS;
        let last = (to - self.from) / WINDOW_NANOS;
        for number in first..=last {
            if let Some(window) = self.windows.get_mut(number as usize) {
                window.lag_max = window.lag_max.max(to - from);
            }
        }
    }

    /// Whether the request that is due at `due` is recorded.
    pub(crate) fn covers(&self, due: u64) -> bool {
        due >= self.from
    }

    fn actual_latency(&mut self, due: u64, nanos: u64) {
        if due >= self.from {
            self.actual.record(nanos.max(1));
        }
    }

    fn latency(&mut self, due: u64, nanos: u64) {
        let Some(number) = self.window_of(due) else { return };
        for (bound, late) in LATE_MS.iter().zip(&mut self.late) {
            if nanos <= bound * 1_000_000 {
                break;
            }
            *late += 1;
        }
        self.open(number).latencies.record(nanos.max(1));
    }

    /// The window of a moment; none during the warm-up.
    fn window_of(&self, due: u64) -> Option<usize> {
        let number = (due.checked_sub(self.from)? / WINDOW_NANOS) as usize;
        (number < self.windows.len()).then_some(number)
    }

    /// A window, ready to be recorded to.
    fn open(&mut self, number: usize) -> &mut Open {
        self.uses += 1;
        let known = self.open.iter().position(|open| open.number == number && open.used > 0);
        let at = known.unwrap_or_else(|| {
            let oldest = (0..OPEN_WINDOWS).min_by_key(|at| self.open[*at].used).unwrap_or(0);
            self.close(oldest);
            let window = &self.windows[number];
            let open = &mut self.open[oldest];
            open.number = number;
            open.latencies.unpack(&window.latencies);
            open.lags.unpack(&window.lags);
            oldest
        });
        let open = &mut self.open[at];
        open.used = self.uses;
        open
    }

    /// Puts what was recorded to an open window to rest.
    fn close(&mut self, at: usize) {
        let open = &mut self.open[at];
        if std::mem::take(&mut open.used) > 0 {
            let window = &mut self.windows[open.number];
            window.latencies = open.latencies.pack(&mut self.scratch);
            window.lags = open.lags.pack(&mut self.scratch);
        }
    }

    /// Puts everything to rest.
    pub(crate) fn finish(mut self) -> Recorded {
        (0..OPEN_WINDOWS).for_each(|at| self.close(at));
        Recorded {
            actual: self.actual.pack(&mut self.scratch),
            late: self.late,
            windows: self.windows,
            answers: self.answers,
            last_answer: self.last_answer,
        }
    }
}

/// Quantiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Values.
    pub count: u64,
    /// Half are at or below.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// 9,999 of 10,000.
    pub p9999: f64,
    /// All.
    pub max: f64,
}

impl Quantiles {
    /// Those of a histogram of nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Quantiles {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Quantiles {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests;

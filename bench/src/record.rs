//! What a run has seen: histograms, and which windows count.
//!
//! A generator that is late itself measures itself. So time is cut into windows of 200 ms, and a
//! window is *valid* if no request in it was looked at more than 100 µs after it was due. Quantiles
//! over valid windows are those of the server; how many windows were valid is said beside them.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Length of a window.
pub const WINDOW: Duration = Duration::from_millis(200);

/// Lag of the generator that a valid window stays under.
pub const LAG_MAX: Duration = Duration::from_micros(100);

/// Longest latency that is told apart.
const NANOS_MAX: u64 = 60_000_000_000;

/// BOUND: windows that are open at once; an answer that comes later still counts in the total.
const OPEN_WINDOWS: usize = 8;

/// Latencies of a run.
pub struct Recorder {
    /// Of all answers.
    pub all: Histogram<u64>,
    /// Of the answers whose requests were due in a valid window.
    pub valid: Histogram<u64>,
    /// How late the generator looked at requests that were due.
    pub lag: Histogram<u64>,
    open: Vec<Window>,
    closed: Windows,
}

/// How many windows there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// All of them.
    pub total: u64,
    /// Of them, valid.
    pub valid: u64,
}

struct Window {
    number: u64,
    latencies: Histogram<u64>,
    lag_max: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("1 ns to a minute, three digits")
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder {
            all: histogram(),
            valid: histogram(),
            lag: histogram(),
            open: Vec::with_capacity(OPEN_WINDOWS),
            closed: Windows::default(),
        }
    }
}

impl Recorder {
    /// A request that was due at `due` was looked at `lag` later. Times count from the run's start.
    pub fn looked_at(&mut self, due: u64, lag: u64) {
        self.lag.saturating_record(lag.max(1));
        let window = self.window(due);
        if let Some(window) = window {
            window.lag_max = window.lag_max.max(lag);
        }
    }

    /// The answer to the request that was due at `due` took `latency`.
    pub fn answered(&mut self, due: u64, latency: u64) {
        self.all.saturating_record(latency.max(1));
        if let Some(window) = self.window(due) {
            window.latencies.saturating_record(latency.max(1));
        }
    }

    /// The window of a moment; none when it is closed already.
    fn window(&mut self, due: u64) -> Option<&mut Window> {
        let number = due / WINDOW.as_nanos() as u64;
        if let Some(at) = self.open.iter().position(|w| w.number == number) {
            return self.open.get_mut(at);
        }
        if self.open.iter().any(|w| w.number > number) {
            return None;
        }
        let mut latencies = None;
        if self.open.len() == OPEN_WINDOWS {
            let oldest = self.open.remove(0);
            latencies = Some(self.close(oldest));
        }
        let latencies = latencies.unwrap_or_else(histogram);
        self.open.push(Window { number, latencies, lag_max: 0 });
        self.open.last_mut()
    }

    /// Counts a window; its histogram is empty and free again.
    fn close(&mut self, mut window: Window) -> Histogram<u64> {
        self.closed.total += 1;
        if window.lag_max < LAG_MAX.as_nanos() as u64 {
            self.closed.valid += 1;
            // Both have the same bounds.
            let _ = self.valid.add(&window.latencies);
        }
        window.latencies.reset();
        window.latencies
    }

    /// Closes all windows; how many there were.
    pub fn finish(&mut self) -> Windows {
        for window in std::mem::take(&mut self.open) {
            self.close(window);
        }
        self.closed
    }
}

/// Quantiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn windows_in_which_the_generator_was_late_do_not_count() {
        let mut recorder = Recorder::default();
        for window in 0..10u64 {
            let due = window * 200 * MS;
            let lag = if window % 2 == 0 { 50_000 } else { 150_000 };
            recorder.looked_at(due, 1000);
            recorder.looked_at(due + MS, lag);
            recorder.answered(due, (window + 1) * MS);
        }
        let windows = recorder.finish();
        assert_eq!(windows, Windows { total: 10, valid: 5 });
        assert_eq!((recorder.all.len(), recorder.valid.len()), (10, 5));
        let max = Quantiles::of(&recorder.valid).max;
        assert!((8990.0..9010.0).contains(&max), "{max}");
    }

    #[test]
    fn an_answer_that_comes_after_its_window_was_closed_counts_in_the_total() {
        let mut recorder = Recorder::default();
        for window in 0..20u64 {
            recorder.looked_at(window * 200 * MS, 1);
        }
        recorder.answered(0, 4000 * MS);
        recorder.finish();
        assert_eq!((recorder.all.len(), recorder.valid.len()), (1, 0));
    }
}

//! What an exchange would have seen of a run, and how much it would have kept to itself.
//!
//! The rule is Xandr's, as far as it is published: it looks at windows of 100 requests, leaves a
//! box alone while less than 5 % of one are late, and sends it 10 % of its requests once more than
//! 90 % are. What it does in between is not said; a straight line is assumed here. An exchange has
//! many hosts that judge for themselves, so each thread of the generator counts windows of its own.

use crate::report::ExchangeView;

/// The rule in one line, for those who read its result.
pub const RULE: &str = "of each 100 requests: below 5 % late all are sent, above 90 % late 10 %, \
                        between them along a straight line (assumed)";

/// Requests that are judged together.
const WINDOW: u32 = 100;

/// Share of late requests that an exchange leaves alone.
const LATE_ALLOWED: f64 = 0.05;

/// Share of late requests beyond which it sends the least.
const LATE_WORST: f64 = 0.90;

/// The least that it sends, so that it would notice a recovery.
const SENT_LEAST: f64 = 0.10;

/// What one thread has seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exchange {
    requests: u64,
    late: u64,
    /// Of the window that is not full yet.
    window: u32,
    window_late: u32,
    /// Requests that would not have been sent.
    withheld: f64,
    judged: u64,
    /// Longest latency by connection, nanoseconds.
    worst: Vec<u64>,
}

impl Exchange {
    pub(crate) fn new(connections: usize) -> Exchange {
        Exchange {
            requests: 0,
            late: 0,
            window: 0,
            window_late: 0,
            withheld: 0.0,
            judged: 0,
            worst: vec![0; connections],
        }
    }

    /// A request has ended on a connection, if it ever had one.
    pub(crate) fn ended(&mut self, connection: Option<usize>, latency: u64, late: bool) {
        self.requests += 1;
        self.late += u64::from(late);
        self.window += 1;
        self.window_late += u32::from(late);
        if self.window == WINDOW {
            let share = f64::from(self.window_late) / f64::from(WINDOW);
            self.withheld += f64::from(WINDOW) * (1.0 - sent_share(share));
            self.judged += u64::from(WINDOW);
            (self.window, self.window_late) = (0, 0);
        }
        if let Some(worst) = connection.and_then(|at| self.worst.get_mut(at)) {
            *worst = latency.max(*worst);
        }
    }

    /// What all threads have seen together.
    pub(crate) fn view(of_threads: &[Exchange], reconnects: u64) -> ExchangeView {
        let sum = |of: fn(&Exchange) -> f64| of_threads.iter().map(of).sum::<f64>();
        let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
        let millis = |nanos: &u64| *nanos as f64 / 1e6;
        ExchangeView {
            late_share: share(sum(|e| e.late as f64), sum(|e| e.requests as f64)),
            reconnects,
            throttled_share: share(sum(|e| e.withheld), sum(|e| e.judged as f64)),
            worst_ms_per_connection: of_threads.iter().flat_map(|e| &e.worst).map(millis).collect(),
        }
    }
}

/// The share of requests that an exchange sends when a share of them was late.
fn sent_share(late: f64) -> f64 {
    if late < LATE_ALLOWED {
        1.0
    } else if late > LATE_WORST {
        SENT_LEAST
    } else {
        let along = (late - LATE_ALLOWED) / (LATE_WORST - LATE_ALLOWED);
        1.0 - along * (1.0 - SENT_LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_sends_less_the_more_of_a_hundred_are_late() {
        for (late, sent) in
            [(0.0, 1.0), (0.04, 1.0), (0.05, 1.0), (0.475, 0.55), (0.9, 0.1), (1.0, 0.1)]
        {
            assert!((sent_share(late) - sent).abs() < 1e-9, "{late}");
        }
    }

    #[test]
    fn windows_are_judged_by_thread_and_the_rest_of_one_is_not_judged() {
        let mut calm = Exchange::new(2);
        let mut bad = Exchange::new(1);
        for at in 0..100 {
            calm.ended(Some(at % 2), at as u64 * 10_000, false);
            bad.ended(None, 0, true);
        }
        bad.ended(Some(0), 20_000_000, true);
        let view = Exchange::view(&[calm, bad], 3);
        assert!((view.late_share - 101.0 / 201.0).abs() < 1e-9);
        assert!((view.throttled_share - 0.45).abs() < 1e-9);
        assert_eq!(view.worst_ms_per_connection, [0.98, 0.99, 20.0]);
        assert_eq!(view.reconnects, 3);
    }
}

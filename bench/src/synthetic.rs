//! Rounds that nobody drove, for tests of what is said of rounds.

use crate::{
    environment::Environment,
    record::histogram,
    report::{Counts, Distribution, FORMAT, Plan, Quantiles, Report, Round, ServerCost, Window},
};
use std::collections::BTreeMap;

/// What a window of 200 ms saw: whether the generator was in time, and latencies in nanoseconds.
pub(crate) struct Seen {
    pub(crate) valid: bool,
    pub(crate) latencies: Vec<u64>,
}

/// A round of such windows. Every request was answered rightly, and as soon as it was due.
pub(crate) fn round(name: &str, rate: f64, windows: &[Seen]) -> Round {
    let mut all = histogram();
    let mut valid = histogram();
    let mut lag = histogram();
    let mut shown = Vec::new();
    for (at, seen) in windows.iter().enumerate() {
        let mut one = histogram();
        seen.latencies.iter().for_each(|latency| one.saturating_record(*latency));
        all.add(&one).unwrap();
        if seen.valid {
            valid.add(&one).unwrap();
            lag.saturating_record(1000);
        }
        let quantiles = Quantiles::of(&one);
        shown.push(Window {
            at_ms: at as u64 * 200,
            valid: seen.valid,
            count: quantiles.count,
            lag_max_ns: if seen.valid { 1000 } else { 1_000_000 },
            p50_us: quantiles.p50,
            p99_us: quantiles.p99,
            max_us: quantiles.max,
        });
    }
    let due = all.len();
    Round {
        name: name.to_owned(),
        offered_rate: rate,
        achieved_rate: rate,
        started_ms: 0,
        counts: Counts { due, sent: due, answered: due, ..Counts::default() },
        intended: Distribution::of(&all),
        valid: Distribution::of(&valid),
        actual: Distribution::of(&all),
        lag: Distribution::of(&lag),
        null: None,
        windows: shown,
        seconds: Vec::new(),
        late: Vec::new(),
        generator_bound: false,
        generator: None,
        server: None,
        exchange: None,
    }
}

/// A round of so many valid windows, with 200 latencies each near one in microseconds.
pub(crate) fn steady(name: &str, rate: f64, windows: u64, near_us: u64) -> Round {
    let window = |at: u64| Seen {
        valid: true,
        latencies: (0..200).map(|n| near_us * 1000 + (n * 7 + at * 13) % 200).collect(),
    };
    round(name, rate, &(0..windows).map(window).collect::<Vec<_>>())
}

/// What a server with one thread spent.
pub(crate) fn cost(thread: &str, cpu_us: f64) -> ServerCost {
    ServerCost {
        threads: BTreeMap::from([(thread.to_owned(), cpu_us)]),
        cpu_us_per_request: cpu_us,
        context_switches_per_request: 0.5,
    }
}

/// A report of rounds.
pub(crate) fn report(rounds: Vec<Round>) -> Report {
    Report {
        format: FORMAT,
        title: "made up".to_owned(),
        started_unix_ms: 0,
        environment: Environment::default(),
        plan: Plan {
            scenario: "pixel".to_owned(),
            arrivals: "constant".to_owned(),
            connections: 64,
            duration_ms: 1000,
            warmup_ms: 0,
            timeout_ms: 5000,
            cpus: vec![0],
            seed: 1,
            target: "http://127.0.0.1:1/".to_owned(),
            command: Vec::new(),
        },
        rounds,
    }
}

//! One side of a comparison: what all its rounds say together.

use super::bootstrap::{Interval, median};
use crate::{
    record::histogram,
    report::{Counts, HistogramError, Quantiles, Round, ServerCost, VALID_PERCENT_MIN, Window},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the rounds of one side come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// What it is called.
    pub name: String,
    /// Rounds.
    pub rounds: usize,
    /// Windows of 200 ms in them.
    pub windows: usize,
    /// Of those, the ones in which the generator was in time.
    pub windows_valid: usize,
    /// How the requests of all rounds ended.
    pub counts: Counts,
    /// Requests per second that were answered, in the mean over the rounds.
    pub achieved_rate: f64,
    /// Latencies in valid windows, of all rounds together.
    pub latency: Quantiles,
    /// Median over valid windows of their p50, µs.
    pub p50_us: Option<Interval>,
    /// Median over valid windows of their p99, µs; none when windows have too few answers for one.
    pub p99_us: Option<Interval>,
    /// Median over rounds of the server's CPU time per request, µs.
    pub cpu_us: Option<Interval>,
    /// Median over rounds of the server's context switches per request.
    pub switches: Option<Interval>,
    /// Median over rounds of the CPU time per request by name of thread, µs.
    pub threads: BTreeMap<String, f64>,
}

/// Answers that a window needs for its p99 to be more than its maximum.
pub const WINDOW_ANSWERS_MIN: u64 = 100;

impl Side {
    /// Of some rounds.
    ///
    /// # Errors
    /// [`HistogramError`] when the histogram of one is broken.
    pub fn of(name: &str, rounds: &[&Round], seed: u64) -> Result<Side, HistogramError> {
        let mut counts = Counts::default();
        rounds.iter().for_each(|round| counts.add(&round.counts));
        let windows = |of: fn(&Round) -> usize| rounds.iter().map(|round| of(round)).sum();
        let rates = rounds.iter().map(|round| round.achieved_rate).sum::<f64>();
        let costs: Vec<&ServerCost> = rounds.iter().filter_map(|r| r.server.as_ref()).collect();
        let cost = |of: fn(&ServerCost) -> f64| {
            let values = costs.iter().map(|cost| vec![of(cost)]).collect::<Vec<_>>();
            Interval::of(&values, seed)
        };
        Ok(Side {
            name: name.to_owned(),
            rounds: rounds.len(),
            windows: windows(|round| round.windows.len()),
            windows_valid: windows(Round::windows_valid),
            counts,
            achieved_rate: rates / rounds.len().max(1) as f64,
            latency: merged(rounds)?,
            p50_us: Interval::of(&by_window(rounds, 1, |window| window.p50_us), seed),
            p99_us: Interval::of(
                &by_window(rounds, WINDOW_ANSWERS_MIN, |window| window.p99_us),
                seed,
            ),
            cpu_us: cost(|cost| cost.cpu_us_per_request),
            switches: cost(|cost| cost.context_switches_per_request),
            threads: by_thread(&costs),
        })
    }

    /// Valid windows of all, 0 to 1.
    #[must_use]
    pub fn valid_share(&self) -> f64 {
        self.windows_valid as f64 / self.windows.max(1) as f64
    }

    /// Whether enough windows are valid for its latencies to be compared with others.
    #[must_use]
    pub fn is_measurable(&self) -> bool {
        let (valid, all) = (self.windows_valid as u64, self.windows as u64);
        all > 0 && valid * 100 >= all * VALID_PERCENT_MIN
    }
}

/// Quantiles of what was seen in the valid windows of some rounds.
fn merged(rounds: &[&Round]) -> Result<Quantiles, HistogramError> {
    let mut sum = histogram();
    for round in rounds {
        // All have the bounds of a recorder's; others would have been saved by somebody else.
        let _ = sum.add(round.valid.decode()?);
    }
    Ok(Quantiles::of(&sum))
}

/// A figure of each valid window with so many answers, round by round.
fn by_window(rounds: &[&Round], answers_min: u64, figure: fn(&Window) -> f64) -> Vec<Vec<f64>> {
    let of_round = |round: &&Round| {
        let counts = round.windows.iter().filter(|w| w.valid && w.count >= answers_min);
        counts.map(figure).collect()
    };
    rounds.iter().map(of_round).collect()
}

/// A thread that a round did not see has cost nothing in it.
fn by_thread(costs: &[&ServerCost]) -> BTreeMap<String, f64> {
    let names: BTreeSet<&String> = costs.iter().flat_map(|cost| cost.threads.keys()).collect();
    let of_thread = |name: &String| {
        let of_cost = |cost: &&ServerCost| cost.threads.get(name).copied().unwrap_or(0.0);
        median(&mut costs.iter().map(of_cost).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    names.into_iter().map(|name| (name.clone(), of_thread(name))).collect()
}

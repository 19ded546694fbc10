//! What a report says about a core: what a request costs it, and up to where latency was kept.

use crate::report::{Report, Round};
use serde::Serialize;

/// Figures of a report that a plan is made from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The report's title.
    pub title: String,
    /// The processor that it was measured on.
    pub processor: String,
    /// CPU time of the shard for a request.
    pub shard_us: f64,
    /// CPU time of everything else for it.
    pub rest_us: f64,
    /// The highest rate at which p99 was below the target, with right answers.
    pub kept: At,
    /// The lowest rate above that at which it was not.
    pub lost: Option<At>,
}

/// A rate, and the p99 there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct At {
    /// Requests per second.
    pub rate: f64,
    /// From when requests were due, in valid windows.
    pub p99_ms: f64,
    /// Share of windows that were valid, 0 to 1.
    pub valid_share: f64,
}

/// Why a report is no ground for a plan.
#[derive(Debug, thiserror::Error)]
pub enum MeasuredError {
    /// Nobody looked at the server.
    #[error(
        "the report does not say what the server spent; measure with --server-pid PID, or with \
         `bench compare` or `bench peers`"
    )]
    NoCost,
    /// No round is good enough.
    #[error(
        "no round of the report had right answers, {}  % valid windows and a p99 below {target_ms} ms",
        crate::report::VALID_PERCENT_MIN
    )]
    NeverKept {
        /// The target.
        target_ms: f64,
    },
}

/// A shard's thread is called `shard-N`; a server without such a name is all shard.
const SHARD: &str = "shard-";

impl Measured {
    /// Of the rounds of a report whose names begin so.
    ///
    /// # Errors
    /// [`MeasuredError`] when they are no ground for a plan.
    pub fn of(report: &Report, named: &str, target_ms: f64) -> Result<Measured, MeasuredError> {
        let rounds = || report.rounds.iter().filter(|round| round.name.starts_with(named));
        let at = |round: &Round| At {
            rate: round.offered_rate,
            p99_ms: round.valid.quantiles.p99 / 1000.0,
            valid_share: round.windows_valid() as f64 / round.windows.len().max(1) as f64,
        };
        // A round that is not measurable says nothing, neither for a rate nor against it.
        let told = rounds().filter(|round| !round.counts.is_clean() || round.is_measurable());
        let keeps = |round: &&Round| {
            let p99_ms = at(round).p99_ms;
            round.counts.is_clean() && round.valid.quantiles.count > 0 && p99_ms < target_ms
        };
        let (kept, lost): (Vec<&Round>, Vec<&Round>) = told.partition(keeps);
        let lowest = lost.iter().map(|round| round.offered_rate).min_by(f64::total_cmp);
        // A rate that was kept once and lost once is lost.
        let kept = kept.into_iter().filter(|r| lowest.is_none_or(|lost| r.offered_rate < lost));
        let best = kept.max_by(|a, b| a.offered_rate.total_cmp(&b.offered_rate));
        let best = best.ok_or(MeasuredError::NeverKept { target_ms })?;
        let cost = best.server.as_ref().ok_or(MeasuredError::NoCost)?;
        let shards = cost.threads.iter().filter(|(name, _)| name.starts_with(SHARD));
        let shard_us: f64 = shards.map(|(_, us)| us).sum();
        let shard_us = if shard_us > 0.0 { shard_us } else { cost.cpu_us_per_request };
        Ok(Measured {
            title: report.title.clone(),
            processor: report.environment.cpu.clone(),
            shard_us,
            rest_us: (cost.cpu_us_per_request - shard_us).max(0.0),
            kept: at(best),
            lost: lost.into_iter().min_by(|a, b| a.offered_rate.total_cmp(&b.offered_rate)).map(at),
        })
    }
}

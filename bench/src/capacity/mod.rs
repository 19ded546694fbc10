//! `bench capacity`: from a report to machines, bytes and dollars a month.
//!
//! ```text
//!  report ─▶ measured (µs of a core per request, where p99 was kept) ─┐
//!  prices/*.toml ─▶ prices ───────────────────────────────────────────┼─▶ plan ─▶ told, or JSON
//!  target, and what no report says ───────────────────────────────────┘
//! ```
//!
//! The result is as good as its assumptions, so all of them are printed with the arithmetic: where
//! a figure was measured, where it was read, and what was merely assumed.

pub mod measured;
pub mod plan;
pub mod prices;

mod told;

use crate::report::files;
use clap::Args;
use measured::{Measured, MeasuredError};
use plan::{Assumed, Plan, Target, plans};
use prices::{Prices, PricesError};
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

/// What can be said on the command line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  bench capacity pixel/report.json\n  \
                       bench capacity peers/one-core --rounds edge --peak 50000 --day 1000000000 --p99 200")]
pub struct CapacityOptions {
    /// A saved report (report.json, or its folder) with what the server spent.
    pub report: PathBuf,
    /// Only rounds whose names begin so: `edge`, in the raw rounds of `bench peers`.
    #[arg(long, default_value = "")]
    pub rounds: String,
    /// Requests per second at the peak.
    #[arg(long, default_value_t = 200_000.0, value_parser = above_zero)]
    pub peak: f64,
    /// Requests of a day.
    #[arg(long, default_value_t = 3e9, value_parser = above_zero)]
    pub day: f64,
    /// p99 that has to be kept, in milliseconds.
    #[arg(long, default_value_t = 10.0, value_parser = above_zero)]
    pub p99: f64,
    /// How busy a core may be at the peak, in percent; the rest is the safety margin.
    #[arg(long, default_value_t = 50.0, value_parser = percent)]
    pub utilisation: f64,
    /// Machines more than needed, so that so many may be gone at the peak.
    #[arg(long, default_value_t = 1)]
    pub spare: u64,
    /// Bytes of an event in the spool.
    #[arg(long, default_value_t = 2.0 * SPOOL_BYTES, value_parser = above_zero)]
    pub spool_bytes: f64,
    /// Bytes of an event in an object.
    #[arg(long, default_value_t = 2.0 * OBJECT_BYTES, value_parser = above_zero)]
    pub object_bytes: f64,
    /// Bytes that an answer puts on the wire.
    #[arg(long, default_value_t = ANSWER_BYTES, value_parser = above_zero)]
    pub answer_bytes: f64,
    /// Topics; each has objects of its own.
    #[arg(long, default_value_t = 1.0, value_parser = above_zero)]
    pub topics: f64,
    /// Seconds that events wait for their object to fill, at most.
    #[arg(long, default_value_t = 300.0, value_parser = above_zero)]
    pub object_age: f64,
    /// Days that objects are kept.
    #[arg(long, default_value_t = 30.0, value_parser = above_zero)]
    pub keep: f64,
    /// Tables of prices instead of those that come along.
    #[arg(long)]
    pub prices: Vec<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Bytes of a pixel's event in the spool, measured: 30,000 events of `bench run --scenario pixel`
/// took 2,293,760. Its requests repeat themselves more than those of real browsers, so the default
/// is twice as much.
const SPOOL_BYTES: f64 = 76.0;

/// Bytes of it in Parquet, measured: the same events took 967,488. The default is twice as much.
const OBJECT_BYTES: f64 = 32.0;

/// The pixel's 241 bytes, the IP and TCP headers of its packet and of one acknowledgement.
const ANSWER_BYTES: f64 = 241.0 + 2.0 * 52.0;

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capacity {
    /// What was measured.
    pub measured: Measured,
    /// What is wanted.
    pub target: Target,
    /// What is assumed.
    pub assumed: Assumed,
    /// What it takes, with each provider.
    pub providers: Vec<AtProvider>,
}

/// What it takes with one provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtProvider {
    /// Its prices.
    pub prices: Prices,
    /// What it takes on each of its machines, the cheapest first.
    pub plans: Vec<Plan>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError {
    /// The report cannot be read.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The report is no ground for a plan.
    #[error(transparent)]
    Measured(#[from] MeasuredError),
    /// A table of prices is none.
    #[error(transparent)]
    Prices(#[from] PricesError),
    /// The plan cannot be written as JSON.
    #[error("the plan cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Plans and prints. 0: there is a plan; 2: there is none.
#[must_use]
pub fn run(options: &CapacityOptions) -> ExitCode {
    let printed = capacity(options).and_then(|capacity| {
        if options.json {
            println!("{}", serde_json::to_string_pretty(&capacity)?);
        } else {
            print!("{}", told::told(&capacity));
        }
        Ok(())
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench capacity: {error}");
            ExitCode::from(2)
        }
    }
}

fn capacity(options: &CapacityOptions) -> Result<Capacity, CapacityError> {
    let mut path = options.report.clone();
    if path.is_dir() {
        path.push("report.json");
    }
    let report = files::read(&path)?;
    let tables = if options.prices.is_empty() {
        Prices::built_in()?
    } else {
        options.prices.iter().map(|path| Prices::read(path)).collect::<Result<_, _>>()?
    };
    let target = Target { peak_rate: options.peak, day_requests: options.day, p99_ms: options.p99 };
    let assumed = Assumed {
        utilisation: options.utilisation / 100.0,
        spare: options.spare,
        spool_bytes: options.spool_bytes,
        object_bytes: options.object_bytes,
        answer_bytes: options.answer_bytes,
        topics: options.topics,
        object_age_s: options.object_age,
        keep_days: options.keep,
    };
    let measured = Measured::of(&report, &options.rounds, target.p99_ms)?;
    let at = |prices: Prices| {
        let plans = plans(&measured, &prices, &target, &assumed);
        AtProvider { prices, plans }
    };
    let providers = tables.into_iter().map(at).collect();
    Ok(Capacity { measured, target, assumed, providers })
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|e| e.to_string())?;
    if number > 0.0 && number.is_finite() {
        Ok(number)
    } else {
        Err("it has to be above 0".to_owned())
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = above_zero(text)?;
    if number <= 100.0 { Ok(number) } else { Err("it has to be at most 100".to_owned()) }
}

#[cfg(test)]
mod tests;

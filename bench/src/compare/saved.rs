//! Two saved reports: whether they may be compared, and which of their rounds with which.

use super::{Comparison, side::Side};
use crate::report::{HistogramError, Plan, Report, Round};

/// Why two reports say nothing of each other.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// They were not made the same way.
    #[error("the reports differ in their {what}: {first} and {second}; only like is compared")]
    Plans {
        /// In what.
        what: &'static str,
        /// The first one's.
        first: String,
        /// The second one's.
        second: String,
    },
    /// They have no rate in common.
    #[error("the reports have no offered rate in common: {first} and {second}")]
    Rates {
        /// The first one's.
        first: String,
        /// The second one's.
        second: String,
    },
    /// One is broken.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

/// Rates that differ by less are the same.
const RATE_TOLERANCE: f64 = 0.001;

/// Compares the rounds of equal rate.
///
/// # Errors
/// [`SavedError`] when the reports are not alike, or broken.
pub fn compare(
    names: [&str; 2],
    first: &Report,
    second: &Report,
    seed: u64,
) -> Result<Vec<Comparison>, SavedError> {
    alike(&first.plan, &second.plan)?;
    let notes = differences(first, second);
    let mut comparisons = Vec::new();
    for rate in rates(&first.rounds) {
        let [one, other] = [first, second].map(|report| -> Vec<&Round> {
            report.rounds.iter().filter(|round| is_same(round.offered_rate, rate)).collect()
        });
        let sides = [Side::of(names[0], &one, seed)?, Side::of(names[1], &other, seed)?];
        if sides.iter().all(|side| side.rounds > 0) {
            let null = one.iter().find_map(|round| round.null);
            comparisons.push(Comparison::of(rate, sides, null, notes.clone()));
        }
    }
    if comparisons.is_empty() {
        let told = |report: &Report| {
            let rates = rates(&report.rounds).into_iter().map(|rate| format!("{rate:.0}/s"));
            rates.collect::<Vec<_>>().join(", ")
        };
        return Err(SavedError::Rates { first: told(first), second: told(second) });
    }
    Ok(comparisons)
}

fn is_same(rate: f64, other: f64) -> bool {
    (rate - other).abs() <= other * RATE_TOLERANCE
}

/// The rates of some rounds, each once, in their order.
fn rates(rounds: &[Round]) -> Vec<f64> {
    let mut rates: Vec<f64> = Vec::new();
    for round in rounds {
        if !rates.iter().any(|rate| is_same(round.offered_rate, *rate)) {
            rates.push(round.offered_rate);
        }
    }
    rates
}

fn alike(first: &Plan, second: &Plan) -> Result<(), SavedError> {
    // Behind the first word stands what was measured for a ladder.
    let spacing = |plan: &Plan| plan.arrivals.split(',').next().unwrap_or_default().to_owned();
    let rows = [
        ("scenarios", first.scenario.clone(), second.scenario.clone()),
        ("arrivals", spacing(first), spacing(second)),
        ("connections", first.connections.to_string(), second.connections.to_string()),
        ("timeouts", first.timeout_ms.to_string(), second.timeout_ms.to_string()),
    ];
    match rows.into_iter().find(|(_, first, second)| first != second) {
        Some((what, first, second)) => Err(SavedError::Plans { what, first, second }),
        None => Ok(()),
    }
}

/// What a reader should know: the machines, and that reports were not interleaved.
fn differences(first: &Report, second: &Report) -> Vec<String> {
    let mut notes = vec![
        "the reports were made one after the other, not interleaved: a change of the machine \
         between them looks like one of the server"
            .to_owned(),
    ];
    let (there, here) = (first.environment.rows(), second.environment.rows());
    let ignored = ["load before"];
    for (name, value) in there.iter().filter(|(name, _)| !ignored.contains(&name.as_str())) {
        let other = here.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        if other != Some(value) {
            let other = other.map_or("none", String::as_str);
            notes.push(format!("{name} differs: {value} and {other}"));
        }
    }
    notes
}

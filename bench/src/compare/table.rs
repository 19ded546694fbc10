//! Sides as a table on a terminal, and what may be said of them in words.

use super::{Judged, bootstrap::Interval, side::Side, verdict::Figure};
use crate::report::Quantiles;
use std::fmt::{self, Write};

/// Columns of a name.
const NAME: usize = 24;

/// Columns of a name that is indented.
const INDENTED: usize = NAME - 2;

/// Columns of a figure with its interval.
const FIGURE: usize = 24;

/// The sides, a line each, and the null responder below them.
#[must_use]
pub fn sides(sides: &[&Side], null: Option<&Quantiles>) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_sides(&mut out, sides, null);
    out
}

/// What may be said of pairs of sides.
#[must_use]
pub fn verdicts(judged: &[Judged]) -> String {
    let mut out = String::new();
    let mut pair = None;
    for judged in judged {
        let (first, second) = (&judged.first, &judged.second);
        if pair != Some((first, second)) {
            pair = Some((first, second));
            // Writing into a String cannot fail.
            let _ = writeln!(out, "{first} against {second}");
        }
        let told = judged.verdict.told(first, second);
        let _ = writeln!(out, "  {:<INDENTED$}{told}", judged.figure.name());
    }
    out
}

fn write_sides(out: &mut String, sides: &[&Side], null: Option<&Quantiles>) -> fmt::Result {
    write!(out, "{:<NAME$}{:>6}{:>7}", "", "rounds", "valid")?;
    for figure in Figure::ALL {
        write!(out, "{:>FIGURE$}", figure.name())?;
    }
    writeln!(out)?;
    for side in sides {
        let valid = format!("{:.0} %", (side.valid_share() * 100.0).floor());
        write!(out, "{:<NAME$}{:>6}{valid:>7}", side.name, side.rounds)?;
        for figure in Figure::ALL {
            write!(out, "{:>FIGURE$}", shown(figure.of(side)))?;
        }
        writeln!(out)?;
    }
    if let Some(null) = null {
        let (p50, p99) = (number(null.p50), number(null.p99));
        writeln!(out, "{:<NAME$}{:>13}{p50:>FIGURE$}{p99:>FIGURE$}", "null responder", "")?;
    }
    writeln!(out, "\nvalid windows of all rounds together, µs")?;
    write!(out, "{:<NAME$}{:>13}", "", "answers")?;
    for name in ["p50", "p90", "p99", "p99.9", "max"] {
        write!(out, "{name:>10}")?;
    }
    writeln!(out)?;
    for side in sides {
        let all = &side.latency;
        write!(out, "{:<NAME$}{:>13}", side.name, all.count)?;
        for value in [all.p50, all.p90, all.p99, all.p999, all.max] {
            let shown = if all.count > 0 { number(value) } else { "-".to_owned() };
            write!(out, "{shown:>10}")?;
        }
        writeln!(out)?;
    }
    write_threads(out, sides)
}

fn write_threads(out: &mut String, sides: &[&Side]) -> fmt::Result {
    if sides.iter().any(|side| !side.threads.is_empty()) {
        writeln!(out, "\nCPU/request by thread, µs")?;
    }
    for side in sides.iter().filter(|side| !side.threads.is_empty()) {
        let threads = side.threads.iter().filter(|(_, cost)| **cost >= 0.005);
        let threads = threads.map(|(name, cost)| format!("{name} {}", number(*cost)));
        let threads = threads.collect::<Vec<_>>().join(", ");
        writeln!(out, "{:<NAME$}{threads}", side.name)?;
    }
    Ok(())
}

fn shown(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "-".to_owned(),
        |i| format!("{} ({}–{})", number(i.median), number(i.low), number(i.high)),
    )
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 1000.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

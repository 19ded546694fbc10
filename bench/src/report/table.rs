//! The report on a terminal.
//!
//! One round is told in full; of several, each is a line, and the last column says what would make
//! the figures mean something else than they seem to.

use super::{Counts, Quantiles, Report, Round, VALID_PERCENT_MIN};
use crate::exchange;
use std::fmt::Write;

/// The table of a report.
#[must_use]
pub fn of(report: &Report) -> String {
    let plan = &report.plan;
    let mut out = format!(
        "\n{}\n{}; arrivals: {}; {} connections; {} s after {} s of warm-up\n",
        report.title,
        plan.scenario,
        plan.arrivals,
        plan.connections,
        plan.duration_ms as f64 / 1000.0,
        plan.warmup_ms as f64 / 1000.0,
    );
    // Writing into a String cannot fail, here and below.
    let _ = match report.rounds.as_slice() {
        [] => writeln!(out, "\nnothing was measured"),
        [round] => {
            one(round, &mut out);
            Ok(())
        }
        rounds => {
            several(rounds, &mut out);
            Ok(())
        }
    };
    out
}

fn one(round: &Round, out: &mut String) {
    let _ = writeln!(
        out,
        "\n{:<26} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "latency, µs", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    );
    row("from when it was due", Some(&round.intended.quantiles), out);
    row("  in valid windows", Some(&round.valid.quantiles), out);
    row("from when it was sent", Some(&round.actual.quantiles), out);
    row("null responder, same rate", round.null.as_ref(), out);
    row("own lag, valid windows", Some(&round.lag.quantiles), out);
    let _ = writeln!(
        out,
        "\nvalid windows {} of {} (the generator itself was at most 100 µs late)",
        round.windows_valid(),
        round.windows.len()
    );
    let _ =
        writeln!(out, "offered {:.0}/s, achieved {:.0}/s", round.offered_rate, round.achieved_rate);
    if let Some(generator) = &round.generator {
        let _ = writeln!(
            out,
            "the generator worked {:.0} % of its time",
            generator.busy_share() * 100.0
        );
    }
    counts(&round.counts, out);
    let late = round.late.iter().map(|late| format!("{} ms {}", late.beyond_ms, late.count));
    let _ = writeln!(out, "later than  {}", late.collect::<Vec<_>>().join(",  "));
    if let Some(server) = &round.server {
        let _ = writeln!(
            out,
            "\nthe server spent {:.2} µs of CPU and {:.3} context switches on a request",
            server.cpu_us_per_request, server.context_switches_per_request
        );
        for (thread, micros) in server.threads.iter().filter(|(_, micros)| **micros >= 0.005) {
            let _ = writeln!(out, "  {thread:<16} {micros:>8.2}");
        }
    }
    exchange_view(round, out);
    for note in notes(round) {
        let _ = writeln!(out, "\n{note}");
    }
}

fn row(name: &str, quantiles: Option<&Quantiles>, out: &mut String) {
    let Some(q) = quantiles.filter(|q| q.count > 0) else {
        let _ = writeln!(out, "{name:<26} {:>9}", "none");
        return;
    };
    let _ = writeln!(
        out,
        "{name:<26} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>10.1}",
        q.p50, q.p90, q.p99, q.p999, q.p9999, q.max
    );
}

fn counts(counts: &Counts, out: &mut String) {
    let Counts { due, sent, answered, empty, wrong, .. } = counts;
    let Counts { refused, broken, timeouts, reconnects, queued, .. } = counts;
    let _ = writeln!(
        out,
        "due {due}, sent {sent}, answered {answered} ({empty} with nothing), wrong {wrong}, broken \
         {broken}, timeouts {timeouts}\nqueued {queued}, reconnects {reconnects}, refused {refused}"
    );
}

fn exchange_view(round: &Round, out: &mut String) {
    let Some(view) = &round.exchange else { return };
    let mut worst = view.worst_ms_per_connection.clone();
    worst.sort_by(f64::total_cmp);
    let at = |share: f64| worst.get((worst.len() as f64 * share) as usize).copied();
    let of = |share| at(share).unwrap_or_default();
    let _ = writeln!(
        out,
        "\nan exchange would have seen {:.3} % late and kept {:.3} % to itself\n  {}\n\
         the longest latency on a connection: {:.2} ms on half of them, {:.2} ms on the worst",
        view.late_share * 100.0,
        view.throttled_share * 100.0,
        exchange::RULE,
        of(0.5),
        worst.last().copied().unwrap_or_default(),
    );
}

fn several(rounds: &[Round], out: &mut String) {
    let _ = writeln!(
        out,
        "\n{:<10} {:>9} {:>9}  {:^35}  {:>6} {:^26}",
        "", "", "", "µs, all windows", "", "µs, valid windows"
    );
    let _ = writeln!(
        out,
        "{:<10} {:>9} {:>9}  {:>8} {:>8} {:>8} {:>8}  {:>6} {:>8} {:>8} {:>8}",
        "", "offered/s", "achieved", "p50", "p99", "p99.9", "max", "valid", "p50", "p99", "p99.9"
    );
    for round in rounds {
        let (all, valid) = (&round.intended.quantiles, &round.valid.quantiles);
        let percent = 100 * round.windows_valid() / round.windows.len().max(1);
        let _ = writeln!(
            out,
            "{:<10} {:>9.0} {:>9.0}  {} {}  {percent:>4} % {}  {}",
            round.name,
            round.offered_rate,
            round.achieved_rate,
            cells(all.count, &[all.p50, all.p99, all.p999]),
            cells(all.count, &[all.max]),
            cells(valid.count, &[valid.p50, valid.p99, valid.p999]),
            notes(round).join("; ")
        );
    }
}

/// Figures beside each other; dashes, where they are of nothing.
fn cells(of: u64, figures: &[f64]) -> String {
    let cell =
        |figure: &f64| if of == 0 { format!("{:>8}", "-") } else { format!("{figure:>8.1}") };
    figures.iter().map(cell).collect::<Vec<_>>().join(" ")
}

/// What a reader has to know before the figures.
fn notes(round: &Round) -> Vec<String> {
    let counts = &round.counts;
    let mut notes = Vec::new();
    if round.generator_bound {
        notes.push(format!(
            "GENERATOR-BOUND: fewer than {VALID_PERCENT_MIN} % of the windows are valid"
        ));
    }
    if counts.due == 0 {
        notes.push(format!("NOT CONNECTED: {} attempts were refused", counts.refused));
    } else if !counts.is_clean() {
        notes.push(format!(
            "{} of {} requests were not answered rightly",
            counts.due - counts.answered,
            counts.due
        ));
    }
    notes
}

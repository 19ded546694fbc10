//! The numbers: latencies, load, how requests ended, what was late, what it cost, each second.

use super::{
    Shown,
    words::{bound, count, escape, micros, percent, rate},
};
use crate::report::{HistogramError, Quantiles, Round, Second, decode};
use hdrhistogram::Histogram;
use std::{collections::BTreeSet, fmt::Write};

/// BOUND: rows of the table of seconds; beyond that, seconds next to each other share one.
const SECOND_ROWS_MAX: usize = 120;

/// What a quantile that nobody knows is shown as.
const UNKNOWN: &str = "–";

/// A table. The first cell of a row says what the row is.
struct Table {
    id: String,
    caption: String,
    /// Heads of columns; narrow pages leave those out that begin with `~`.
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(id: &str, caption: &str, heads: &[&str]) -> Table {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Table { id: id.to_owned(), caption: caption.to_owned(), heads, rows: Vec::new() }
    }

    fn write(&self, out: &mut String) {
        let Table { id, caption, heads, rows } = self;
        let classes: Vec<&str> =
            heads.iter().map(|h| if h.starts_with('~') { " class=\"more\"" } else { "" }).collect();
        // A table that is wider than a page can be scrolled, and then also without a mouse.
        let _ = write!(
            out,
            "<div class=\"table\" role=\"region\" aria-labelledby=\"{id}\" tabindex=\"0\"><table>\
             <caption id=\"{id}\">{}</caption><thead><tr>",
            escape(caption)
        );
        for (head, class) in heads.iter().zip(&classes) {
            let text = escape(head.trim_start_matches('~'));
            let _ = match text.is_empty() {
                true => write!(out, "<td{class}></td>"),
                false => write!(out, "<th scope=\"col\"{class}>{text}</th>"),
            };
        }
        out.push_str("</tr></thead><tbody>");
        let decimals: Vec<bool> = (0..heads.len()).map(|at| self.has_decimals(at)).collect();
        for row in rows {
            out.push_str("<tr>");
            for (at, (cell, class)) in row.iter().zip(&classes).enumerate() {
                let text = escape(cell);
                // Digits of one weight stand below each other.
                let pad = match decimals[at] && is_whole(cell) {
                    true => "<span class=\"pad\">.0</span>",
                    false => "",
                };
                let _ = match at {
                    0 => write!(out, "<th scope=\"row\">{text}</th>"),
                    _ => write!(out, "<td{class}>{text}{pad}</td>"),
                };
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div>\n");
    }

    /// Whether numbers of a column have one decimal, so that whole ones have to make room for it.
    fn has_decimals(&self, column: usize) -> bool {
        let one = |cell: &String| cell.rsplit_once('.').is_some_and(|(_, rest)| rest.len() == 1);
        self.rows.iter().filter_map(|row| row.get(column)).any(one)
    }
}

fn is_whole(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || c == ',')
}

/// Latencies: one round in all ways, or all rounds over valid windows and then in the other ways.
pub(super) fn latencies(out: &mut String, rounds: &[Shown<'_>]) {
    if let [one] = rounds {
        let heads = ["", "~count", "p50", "~p90", "p99", "p99.9", "~p99.99", "max"];
        let mut table = Table::new("latencies", "Latency, µs", &heads);
        for (name, histogram) in one.ways() {
            table.rows.push([vec![name.to_owned()], quantiles(histogram)].concat());
        }
        if let Some(null) = &one.round.null {
            table.rows.push([vec!["null responder".to_owned()], known(null)].concat());
        }
        return table.write(out);
    }
    let heads = ["round", "windows", "p50", "~p90", "p99", "p99.9", "~p99.99", "max"];
    let mut table = Table::new("latencies", "Latency over valid windows, µs", &heads);
    for shown in rounds {
        let mut row = [vec![shown.round.name.clone()], quantiles(&shown.valid)].concat();
        row[1] = windows(shown.round);
        table.rows.push(row);
    }
    table.write(out);
    out.push_str("<details><summary>Other ways to look at the same rounds</summary>");
    let heads = ["round", "~count", "p50", "~p90", "p99", "p99.9", "~p99.99", "max"];
    for way in 1..4 {
        let name = rounds.first().map_or("", |shown| shown.ways()[way].0);
        let mut table = Table::new(&format!("latencies-{way}"), &format!("{name}, µs"), &heads);
        for shown in rounds {
            let row = [vec![shown.round.name.clone()], quantiles(shown.ways()[way].1)].concat();
            table.rows.push(row);
        }
        table.write(out);
    }
    if rounds.iter().any(|shown| shown.round.null.is_some()) {
        let mut table = Table::new("latencies-null", "null responder, µs", &heads);
        for shown in rounds {
            let cells = shown.round.null.as_ref().map_or(vec![UNKNOWN.to_owned(); 7], known);
            table.rows.push([vec![shown.round.name.clone()], cells].concat());
        }
        table.write(out);
    }
    out.push_str("</details>");
}

impl Shown<'_> {
    /// The distributions, with what they are called.
    fn ways(&self) -> [(&'static str, &Histogram<u64>); 4] {
        [
            ("valid windows", &self.valid),
            ("all windows", &self.intended),
            ("from when sent", &self.actual),
            ("generator's own lag", &self.lag),
        ]
    }
}

/// Of how many windows the latencies are.
fn windows(round: &Round) -> String {
    format!("{}/{}", round.windows_valid(), round.windows.len())
}

fn quantiles(histogram: &Histogram<u64>) -> Vec<String> {
    if histogram.is_empty() {
        return [vec!["0".to_owned()], vec![UNKNOWN.to_owned(); 6]].concat();
    }
    let at = |quantile: f64| micros(histogram.value_at_quantile(quantile) as f64 / 1000.0);
    let values = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0].map(at);
    [vec![count(histogram.len())], values.to_vec()].concat()
}

fn known(q: &Quantiles) -> Vec<String> {
    let unknown = UNKNOWN.to_owned();
    let [p50, p90, p99, p999, max] = [q.p50, q.p90, q.p99, q.p999, q.max].map(micros);
    vec![count(q.count), p50, p90, p99, p999, unknown, max]
}

/// Offered and achieved rates.
pub(super) fn load(out: &mut String, rounds: &[Shown<'_>]) {
    let heads = ["round", "offered/s", "achieved/s", "share", "queued", "~windows"];
    let mut table = Table::new("loads", "Load", &heads);
    for shown in rounds {
        let round = shown.round;
        table.rows.push(vec![
            round.name.clone(),
            rate(round.offered_rate),
            rate(round.achieved_rate),
            percent(round.achieved_rate / round.offered_rate.max(1e-9)),
            count(round.counts.queued),
            windows(round),
        ]);
    }
    table.write(out);
}

/// What counts of a round are called, and the counts.
fn outcomes(round: &Round) -> [(&'static str, u64); 9] {
    let c = &round.counts;
    [
        ("due", c.due),
        ("sent", c.sent),
        ("answered", c.answered),
        ("wrong", c.wrong),
        ("broken", c.broken),
        ("timeouts", c.timeouts),
        ("refused", c.refused),
        ("reconnects", c.reconnects),
        ("queued", c.queued),
    ]
}

/// How requests ended. Of several rounds, what never happened is said in a sentence.
pub(super) fn ends(out: &mut String, rounds: &[Shown<'_>]) {
    const CAPTION: &str = "How requests ended, warm-up included";
    if let [one] = rounds {
        let mut table = Table::new("ends", CAPTION, &["", "count", "of due"]);
        let due = one.round.counts.due.max(1) as f64;
        for (name, number) in outcomes(one.round) {
            // These two count connections, not requests.
            let share = match name {
                "refused" | "reconnects" => UNKNOWN.to_owned(),
                _ => percent(number as f64 / due),
            };
            table.rows.push(vec![name.to_owned(), count(number), share]);
        }
        return table.write(out);
    }
    let each: Vec<_> = rounds.iter().map(|shown| outcomes(shown.round)).collect();
    let happened = |at: &usize| each.iter().any(|counts| counts[*at].1 > 0);
    // All of them have been sent, or the difference is told by what they ended in.
    let places: Vec<usize> = (0..9).filter(|at| ![1, 8].contains(at) && happened(at)).collect();
    let names: Vec<&str> = each.first().into_iter().flatten().map(|(name, _)| *name).collect();
    let heads: Vec<&str> =
        ["round"].into_iter().chain(places.iter().map(|at| names[*at])).collect();
    let mut table = Table::new("ends", CAPTION, &heads);
    for (shown, counts) in rounds.iter().zip(&each) {
        let cells = places.iter().map(|at| count(counts[*at].1));
        table.rows.push([shown.round.name.clone()].into_iter().chain(cells).collect());
    }
    table.write(out);
    let never: Vec<&str> = (2..8).filter(|at| !happened(at)).map(|at| names[at]).collect();
    if !never.is_empty() {
        let _ = write!(out, "<p class=\"note\">None in any round: {}.</p>", never.join(", "));
    }
}

/// Answers beyond what exchanges wait for.
pub(super) fn late(out: &mut String, rounds: &[Shown<'_>]) {
    if let [one] = rounds {
        let mut table = Table::new("late", "Late answers", &["beyond", "count", "of recorded"]);
        let all = one.intended.len().max(1) as f64;
        for late in &one.round.late {
            let share = percent(late.count as f64 / all);
            table.rows.push(vec![bound(late.beyond_ms), count(late.count), share]);
        }
        return table.write(out);
    }
    let bounds: BTreeSet<u64> =
        rounds.iter().flat_map(|s| &s.round.late).map(|late| late.beyond_ms).collect();
    let heads: Vec<String> = bounds.iter().map(|ms| bound(*ms)).collect();
    let mut table = Table::new("late", "Late answers, by what they were beyond", &["round"]);
    table.heads.extend(heads);
    for shown in rounds {
        let at = |ms: &u64| shown.round.late.iter().find(|late| late.beyond_ms == *ms);
        let cell = |ms: &u64| at(ms).map_or(UNKNOWN.to_owned(), |late| count(late.count));
        let cells = bounds.iter().map(cell);
        table.rows.push([shown.round.name.clone()].into_iter().chain(cells).collect());
    }
    table.write(out);
}

/// What the server spent.
pub(super) fn cost(out: &mut String, rounds: &[Shown<'_>]) {
    let costs = || rounds.iter().filter_map(|s| Some((s.round, s.round.server.as_ref()?)));
    let threads: BTreeSet<&String> = costs().flat_map(|(_, cost)| cost.threads.keys()).collect();
    if costs().next().is_none() {
        return;
    }
    let caption = "The server per request: CPU time in µs, of all threads and by thread, and \
                   context switches";
    let mut table = Table::new("cost", caption, &["round", "CPU"]);
    table.heads.extend(threads.iter().map(|name| format!("~{name}")));
    table.heads.push("switches".to_owned());
    for (round, cost) in costs() {
        let of = |name: &&String| cost.threads.get(*name).map_or(0.0, |us| *us);
        let mut row = vec![round.name.clone(), format!("{:.2}", cost.cpu_us_per_request)];
        row.extend(threads.iter().map(|name| format!("{:.2}", of(name))));
        row.push(format!("{:.3}", cost.context_switches_per_request));
        table.rows.push(row);
    }
    table.write(out);
}

/// What an exchange would have seen.
pub(super) fn exchange(out: &mut String, rounds: &[Shown<'_>]) {
    let heads = ["round", "late", "throttled", "reconnects", "worst, ms"];
    let mut table = Table::new("exchange", "As an exchange sees it", &heads);
    for shown in rounds {
        let Some(view) = &shown.round.exchange else { continue };
        let worst = view.worst_ms_per_connection.iter().copied().fold(0.0, f64::max);
        table.rows.push(vec![
            shown.round.name.clone(),
            percent(view.late_share),
            percent(view.throttled_share),
            count(view.reconnects),
            format!("{worst:.1}"),
        ]);
    }
    if !table.rows.is_empty() {
        table.write(out);
    }
}

/// What the plots over time show, in numbers.
///
/// # Errors
/// [`HistogramError`] when a second's histogram cannot be read.
pub(super) fn seconds(out: &mut String, rounds: &[Shown<'_>]) -> Result<(), HistogramError> {
    let all: usize = rounds.iter().map(|shown| shown.round.seconds.len()).sum();
    if all == 0 {
        return Ok(());
    }
    let each = all.div_ceil(SECOND_ROWS_MAX);
    let heads = ["second", "due", "answered", "p50", "~p90", "p99", "~p99.9", "max"];
    out.push_str("<details><summary>Each second in numbers</summary>");
    for (number, shown) in rounds.iter().enumerate() {
        let caption = format!("{}, all windows, µs", shown.round.name);
        let mut table = Table::new(&format!("seconds-{number}"), &caption, &heads);
        for seconds in shown.round.seconds.chunks(each) {
            table.rows.push(second(seconds)?);
        }
        table.write(out);
    }
    out.push_str("</details>");
    Ok(())
}

fn second(seconds: &[Second]) -> Result<Vec<String>, HistogramError> {
    let mut sum: Option<Histogram<u64>> = None;
    for one in seconds {
        let histogram = decode(&one.histogram)?;
        match &mut sum {
            None => sum = Some(histogram),
            // What does not fit has other bounds than ours; its values are in the other tables.
            Some(sum) => _ = sum.add(&histogram),
        }
    }
    let values = sum.map_or_else(|| vec![UNKNOWN.to_owned(); 7], |sum| quantiles(&sum));
    let total = |value: fn(&Second) -> u64| seconds.iter().map(value).sum::<u64>();
    let at = seconds.first().map_or(0, |one| one.at_ms) / 1000;
    let mut row = vec![at.to_string(), count(total(|s| s.due)), count(total(|s| s.answered))];
    // The count is known, and p99.99 of a second's few requests would be its maximum.
    row.extend([1, 2, 3, 4, 6].map(|place| values[place].clone()));
    Ok(row)
}

//! The whole distribution on an axis of nines: each step to the right is ten times rarer.
//!
//! One round is shown four ways: over valid windows, over all of them, from the moment requests
//! were sent, and what the null responder took, which is the floor of what can be measured here.
//! Several rounds are shown over valid windows only, from the lightest load to the heaviest.

use super::{
    Shown,
    plot::{Canvas, Figure, Key, Latencies, Scale, Shape, line, path, spread, text, through},
    words::{latency, shortened},
};
use hdrhistogram::Histogram;
use std::fmt::Write;

/// BOUND: more lines cannot be told apart; the tables have all rounds.
const LINES_MAX: usize = 12;

/// Points of a line from one nine to the next.
const POINTS_PER_NINE: usize = 24;

struct Series<'a> {
    key: Key,
    /// What stands at its end; nothing where labels would only be in each other's way.
    label: String,
    histogram: &'a Histogram<u64>,
}

/// Writes the plot.
pub(super) fn write(out: &mut String, rounds: &[Shown<'_>]) {
    let series = match rounds {
        [one] => ways(one),
        several => lines(several),
    };
    let series: Vec<_> = series.into_iter().filter(|s| !s.histogram.is_empty()).collect();
    if series.is_empty() {
        return;
    }
    let null = rounds.first().filter(|_| rounds.len() == 1).and_then(Shown::null_points);
    let mut keys: Vec<Key> = series.iter().map(|s| s.key.clone()).collect();
    if null.is_some() {
        keys.push(Key::new("s-null", Shape::Dots, "null responder: p50, p90, p99, p99.9, max"));
    }
    let hidden = rounds.len().saturating_sub(LINES_MAX);
    let more = match hidden {
        0 => String::new(),
        _ => format!(" {hidden} more rounds are in the table."),
    };
    Figure {
        id: "percentiles",
        heading: "Latency by percentile",
        name: name(&series),
        note: format!(
            "From the moment a request was due to its answer. Each nine is ten times rarer than \
             the one before; the last point of a line is its largest value.{more}"
        ),
        keys,
        heights: (430.0, 340.0),
    }
    .write(out, |canvas| draw(canvas, &series, null.as_deref().unwrap_or_default()));
}

fn ways<'a>(one: &'a Shown<'_>) -> Vec<Series<'a>> {
    let way = |class: &str, label: &str, text: &str, histogram: &'a Histogram<u64>| Series {
        key: Key::new(class, Shape::Line, text),
        label: label.to_owned(),
        histogram,
    };
    vec![
        way("s-valid", "valid", "from when it was due, valid windows", &one.valid),
        way("s-all", "all", "from when it was due, all windows", &one.intended),
        way("s-sent", "sent", "from when it was sent, all windows", &one.actual),
    ]
}

fn lines<'a>(rounds: &'a [Shown<'_>]) -> Vec<Series<'a>> {
    let shown = rounds.len().min(LINES_MAX);
    let each = rounds.iter().take(LINES_MAX).enumerate().map(|(at, shown_round)| {
        let round = shown_round.round;
        let share = 100 * at / (shown - 1).max(1);
        let (class, note) = match round.is_measurable() {
            true => ("ramp", ""),
            false => ("ramp few", ", too few valid windows"),
        };
        let mut key = Key::new(class, Shape::Line, &format!("{}{note}", round.name));
        key.style = format!("--t:{share}%");
        let is_end = shown <= 3 || at == 0 || at == shown - 1;
        let label = if is_end { round.name.clone() } else { String::new() };
        Series { key, label, histogram: &shown_round.valid }
    });
    each.collect()
}

fn name(series: &[Series<'_>]) -> String {
    let mut name = "Latency by percentile.".to_owned();
    for one in series.iter().filter(|one| !one.label.is_empty()) {
        let at = |quantile: f64| latency(one.histogram.value_at_quantile(quantile) as f64);
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        let _ = write!(name, " {}: p50 {p50}, p99 {p99}, max {max}.", one.key.text);
    }
    name.push_str(" The table of latencies has the numbers.");
    name
}

/// How many nines so many values can speak of.
fn nines(count: u64) -> f64 {
    (count as f64).log10()
}

fn draw(canvas: &Canvas, series: &[Series<'_>], null: &[(f64, f64)]) -> String {
    let least = series.iter().map(|s| s.histogram.min() as f64);
    let least = least.chain(null.iter().map(|(_, ns)| *ns)).fold(f64::INFINITY, f64::min);
    let most = series.iter().map(|s| s.histogram.max() as f64).fold(0.0, f64::max);
    let widest = series.iter().map(|s| nines(s.histogram.len())).fold(2.0, f64::max);
    let latencies = Latencies::around(least, most);
    let (x, y) = (Scale::across(canvas, 0.0, widest), latencies.scale(canvas));
    let mut out = axis(canvas, &x, widest);
    out.push_str(&latencies.axis(canvas));
    // The first is drawn last, over the others.
    for one in series.iter().rev() {
        let points = curve(one.histogram);
        let places = points.iter().map(|(nine, ns)| (x.at(*nine), Latencies::at(&y, *ns)));
        path(&mut out, &one.key.class, &one.key.style, &through(places));
    }
    let marks = null.iter().filter(|(nine, _)| *nine <= widest);
    let marks = marks.map(|(nine, ns)| (x.at(*nine), Latencies::at(&y, *ns)));
    let dots: String = marks.map(|(x, y)| format!("M{x:.1} {y:.1}h.01")).collect();
    path(&mut out, "s-null", "", &dots);
    labels(&mut out, canvas, series, (&x, &y));
    out.push_str(&latencies.budgets(canvas));
    out
}

/// Percentiles below, with a line for each nine.
fn axis(canvas: &Canvas, x: &Scale, widest: f64) -> String {
    let mut out = String::new();
    let bottom = canvas.y_end();
    let mut tick = |nine: f64, label: &str| {
        let at = x.at(nine);
        line(&mut out, "grid", (at, canvas.top), (at, bottom));
        text(&mut out, "tick middle", (at, bottom + 18.0), label);
    };
    tick(0.0, "0");
    if canvas.is_wide() {
        tick(2f64.log10(), "50");
    }
    for nine in 1..=widest.floor() as usize {
        // 90, 99, 99.9, 99.99 …
        let label = match nine {
            1 => "90".to_owned(),
            2 => "99".to_owned(),
            _ => format!("99.{}", "9".repeat(nine - 2)),
        };
        tick(nine as f64, &label);
    }
    text(&mut out, "tick end", (canvas.x_end(), bottom + 33.0), "percentile");
    out
}

fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let end = nines(histogram.len());
    let count = (end * POINTS_PER_NINE as f64) as usize;
    let places = (0..=count).map(|at| at as f64 / POINTS_PER_NINE as f64);
    let places: Vec<f64> = places.chain([end]).collect();
    let shares = places.iter().map(|nine| if *nine < end { 1.0 - 10f64.powf(-nine) } else { 1.0 });
    let values = histogram.value_at_quantiles(shares.collect::<Vec<_>>());
    places.iter().copied().zip(values.map(|value| value as f64)).collect()
}

fn labels(out: &mut String, canvas: &Canvas, series: &[Series<'_>], (x, y): (&Scale, &Scale)) {
    let series: Vec<_> = series.iter().filter(|one| !one.label.is_empty()).collect();
    let ends = series.iter().map(|s| (nines(s.histogram.len()), s.histogram.max() as f64));
    let ends: Vec<_> = ends.map(|(nine, ns)| (x.at(nine), Latencies::at(y, ns))).collect();
    let mut places: Vec<f64> = ends.iter().map(|(_, y)| *y).collect();
    let (gap, chars_max) = if canvas.is_wide() { (15.0, 10) } else { (12.0, 8) };
    spread(&mut places, gap, canvas.y_end());
    for ((one, end), place) in series.iter().zip(ends).zip(places) {
        let left = canvas.x_end() + 12.0;
        line(out, "leader", end, (left - 3.0, place));
        text(out, "label", (left, place + 4.0), &shortened(&one.label, chars_max));
    }
}

impl Shown<'_> {
    /// What the null responder took, as nines and nanoseconds.
    fn null_points(&self) -> Option<Vec<(f64, f64)>> {
        let null = self.round.null.as_ref()?;
        let end = nines(null.count.max(1));
        let places = [2f64.log10(), 1.0, 2.0, 3.0, end];
        let values = [null.p50, null.p90, null.p99, null.p999, null.max];
        Some(places.into_iter().zip(values.map(|us| us * 1000.0)).collect())
    }
}

//! Latency against load: where a server bends.

use super::{
    Shown, is_well,
    plot::{
        BUDGETS, Canvas, Figure, Key, Latencies, Scale, Shape, line, path, spread, steps, text,
        through,
    },
    words::{latency, rate},
};
use hdrhistogram::Histogram;

/// With fewer rates there is no curve.
const RATES_MIN: usize = 3;

/// Quantiles, from the top line to the lowest: what they are called, their class, and the mark
/// around a point, which differs for those who do not see the colours.
const LINES: [(f64, &str, &str, &str); 3] = [
    (0.999, "p99.9", "l-p999", "m0-5.5l5.5 5.5l-5.5 5.5l-5.5-5.5Z"),
    (0.99, "p99", "l-p99", "m-4-4h8v8h-8Z"),
    (0.5, "p50", "l-p50", "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0Z"),
];

/// Writes the plot, if the rounds are a ladder: each at a higher rate than the one before.
pub(super) fn write(out: &mut String, rounds: &[Shown<'_>]) {
    let is_ladder =
        rounds.windows(2).all(|pair| pair[0].round.offered_rate < pair[1].round.offered_rate);
    let measured: Vec<&Shown<'_>> = rounds.iter().filter(|s| !s.valid.is_empty()).collect();
    if !is_ladder || measured.len() < RATES_MIN {
        return;
    }
    let (first, last) = (measured[0], measured[measured.len() - 1]);
    let at = |shown: &Shown<'_>, quantile: f64| latency(value(&shown.valid, quantile));
    let end = |shown: &Shown<'_>| {
        let (p50, p99) = (at(shown, 0.5), at(shown, 0.99));
        format!("at {}/s p50 is {p50} and p99 {p99}", rate(shown.round.offered_rate))
    };
    Figure {
        id: "load",
        heading: "Latency against load",
        name: format!(
            "Latency against offered rate: {}; {}. The table of latencies has the numbers.",
            end(first),
            end(last)
        ),
        note: format!(
            "Over valid windows, by the requests per second that were offered. Rounds with too few \
             valid windows are hollow. p99 stays {}.",
            within(rounds)
        ),
        keys: LINES.iter().map(|(_, text, class, _)| Key::new(class, Shape::Line, text)).collect(),
        heights: (340.0, 320.0),
    }
    .write(out, |canvas| draw(canvas, &measured));
}

/// Up to which rate p99 stays within each budget. A round that cannot be measured, or has failed,
/// ends it as one that is too slow does.
fn within(rounds: &[Shown<'_>]) -> String {
    let each = BUDGETS.map(|(ms, _)| {
        let is_within = |s: &&Shown<'_>| {
            let p99 = value(&s.valid, 0.99);
            is_well(s.round) && s.round.is_measurable() && p99 <= ms as f64 * 1e6
        };
        let kept = rounds.iter().take_while(is_within).count();
        match kept.checked_sub(1).and_then(|last| rounds.get(last)) {
            None => format!("within {ms} ms at none of these rates"),
            Some(_) if kept == rounds.len() => format!("within {ms} ms at all of these rates"),
            Some(last) => format!("within {ms} ms up to {}/s", rate(last.round.offered_rate)),
        }
    });
    // What holds for one budget at all rates holds for the longer ones.
    let all = each.iter().position(|text| text.ends_with("at all of these rates"));
    each.get(..=all.unwrap_or(each.len() - 1)).unwrap_or_default().join(", ")
}

fn value(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64
}

fn draw(canvas: &Canvas, rounds: &[&Shown<'_>]) -> String {
    let least = rounds.iter().map(|s| value(&s.valid, 0.5)).fold(f64::INFINITY, f64::min);
    let most = rounds.iter().map(|s| value(&s.valid, 0.999)).fold(0.0, f64::max);
    let high = rounds.iter().map(|s| s.round.offered_rate).fold(0.0, f64::max);
    let latencies = Latencies::around(least, most);
    let (x, y) = (Scale::across(canvas, 0.0, high), latencies.scale(canvas));
    let mut out = latencies.axis(canvas);
    for step in steps(high, if canvas.is_wide() { 8 } else { 4 }) {
        let at = x.at(step);
        line(&mut out, "tick", (at, canvas.y_end()), (at, canvas.y_end() + 4.0));
        text(&mut out, "tick middle", (at, canvas.y_end() + 18.0), &rate(step).replace(".0", ""));
    }
    text(&mut out, "tick end", (canvas.x_end(), canvas.y_end() + 33.0), "requests per second");
    let mut ends = Vec::with_capacity(LINES.len());
    for (quantile, _, class, mark) in LINES {
        let place = |s: &&Shown<'_>| {
            (x.at(s.round.offered_rate), Latencies::at(&y, value(&s.valid, quantile)))
        };
        let places: Vec<(f64, f64)> = rounds.iter().map(place).collect();
        path(&mut out, class, "", &through(places.iter().copied()));
        for (shown, (x, y)) in rounds.iter().zip(&places) {
            let hollow = if shown.round.is_measurable() { "" } else { " hollow" };
            let data = format!("M{x:.1} {y:.1}{mark}");
            path(&mut out, &format!("mark {class}{hollow}"), "", &data);
        }
        ends.extend(places.last().map(|(_, y)| *y));
    }
    spread(&mut ends, 15.0, canvas.y_end());
    for ((_, label, ..), y) in LINES.iter().zip(ends) {
        text(&mut out, "label", (canvas.x_end() + 12.0, y + 4.0), label);
    }
    out.push_str(&latencies.budgets(canvas));
    out
}

//! Latency and load over time, round after round, with the windows that do not count hatched.
//!
//! A long run has more windows than a page has columns; then a column is the worst of several
//! windows next to each other, and never their mean.

use super::{
    Shown,
    plot::{Canvas, Figure, Key, Latencies, Scale, Shape, line, path, spread, steps, text},
    words::{count, latency, rate, shortened},
};
use crate::{
    record::WINDOW,
    report::{Round, Second},
};
use std::fmt::Write;

/// BOUND: columns of a plot.
const COLUMNS_MAX: usize = 400;

/// Windows next to each other in one round. Times are in seconds.
struct Column {
    from: f64,
    to: f64,
    is_valid: bool,
    /// Those of the worst window, in nanoseconds.
    p50: f64,
    p99: f64,
    max: f64,
}

/// What all plots over time share.
struct Time {
    /// When the first round began to record, in milliseconds since the report's start.
    origin_ms: u64,
    /// When the last one ended, in seconds since then.
    end: f64,
}

/// Writes both plots.
pub(super) fn write(out: &mut String, rounds: &[Shown<'_>]) {
    let Some(origin_ms) = rounds.iter().map(|s| s.round.started_ms).min() else { return };
    let end_ms =
        |round: &Round| round.seconds.last().map(|s| round.started_ms + s.at_ms + s.length_ms);
    let end_ms = rounds.iter().filter_map(|s| end_ms(s.round)).max();
    let Some(end_ms) = end_ms else { return };
    let time = Time { origin_ms, end: (end_ms - origin_ms) as f64 / 1000.0 };
    latencies(out, rounds, &time);
    rates(out, rounds, &time);
}

fn latencies(out: &mut String, rounds: &[Shown<'_>], time: &Time) {
    let windows: usize = rounds.iter().map(|s| s.round.windows.len()).sum();
    if windows == 0 {
        return;
    }
    let each = windows.div_ceil(COLUMNS_MAX);
    let columns: Vec<Column> = rounds.iter().flat_map(|s| columns(s.round, time, each)).collect();
    let invalid = windows - rounds.iter().map(|s| s.round.windows_valid()).sum::<usize>();
    let length = each as u128 * WINDOW.as_millis();
    let worst = match each {
        1 => String::new(),
        _ => format!(" A column is the worst of {each} windows, {length} ms."),
    };
    let mut keys = vec![
        Key::new("t-max", Shape::Dots, "max"),
        Key::new("t-p99", Shape::Line, "p99"),
        Key::new("t-p50", Shape::Line, "p50"),
    ];
    if invalid > 0 {
        keys.push(Key::new("void", Shape::Area, "generator late: does not count"));
    }
    let (least, most) = (least(&columns), most(&columns));
    Figure {
        id: "time",
        heading: "Latency over time",
        name: format!(
            "Latency over time. Windows have a p50 from {} and a max up to {}. {invalid} of \
             {windows} windows are invalid. The table of seconds has the numbers.",
            latency(least),
            latency(most)
        ),
        note: format!(
            "By windows of {} ms in which requests were due. A window in which the generator \
             itself was more than 100 µs late says nothing about the server.{worst}",
            WINDOW.as_millis()
        ),
        keys,
        heights: (340.0, 320.0),
    }
    .write(out, |canvas| {
        let axis = Latencies::around(least, most);
        let (x, y) = (time.scale(canvas), axis.scale(canvas));
        let mut out = void(canvas, &columns, &x);
        out.push_str(&time.axis(canvas, rounds));
        out.push_str(&axis.axis(canvas));
        let dot = |c: &Column| {
            let (x, y) = (x.at((c.from + c.to) / 2.0), Latencies::at(&y, c.max));
            format!("M{x:.1} {y:.1}h.01")
        };
        path(&mut out, "t-max", "", &columns.iter().map(dot).collect::<String>());
        let places = |value: fn(&Column) -> f64| {
            let step = |c: &Column| (x.at(c.from), x.at(c.to), Latencies::at(&y, value(c)));
            stairs(columns.iter().map(step))
        };
        path(&mut out, "t-p99", "", &places(|c| c.p99));
        path(&mut out, "t-p50", "", &places(|c| c.p50));
        if let Some(last) = columns.last() {
            let mut ends = [last.max, last.p99, last.p50].map(|ns| Latencies::at(&y, ns));
            spread(&mut ends, 15.0, canvas.y_end());
            for (label, y) in ["max", "p99", "p50"].into_iter().zip(ends) {
                text(&mut out, "label", (canvas.x_end() + 12.0, y + 4.0), label);
            }
        }
        out.push_str(&axis.budgets(canvas));
        out
    });
}

fn columns(round: &Round, time: &Time, each: usize) -> Vec<Column> {
    let length = WINDOW.as_secs_f64();
    let column = |windows: &[crate::report::Window]| {
        let (first, last) = (windows.first()?, windows.last()?);
        let most = |value: fn(&crate::report::Window) -> f64| {
            windows.iter().map(value).fold(0.0, f64::max) * 1000.0
        };
        Some(Column {
            from: time.at(round.started_ms + first.at_ms),
            to: time.at(round.started_ms + last.at_ms) + length,
            is_valid: windows.iter().all(|w| w.valid),
            p50: most(|w| w.p50_us),
            p99: most(|w| w.p99_us),
            max: most(|w| w.max_us),
        })
    };
    round.windows.chunks(each).filter_map(column).collect()
}

fn least(columns: &[Column]) -> f64 {
    columns.iter().map(|c| c.p50).filter(|ns| *ns > 0.0).fold(f64::INFINITY, f64::min)
}

fn most(columns: &[Column]) -> f64 {
    columns.iter().map(|c| c.max).fold(0.0, f64::max)
}

/// Hatched areas where windows do not count, those next to each other as one.
fn void(canvas: &Canvas, columns: &[Column], x: &Scale) -> String {
    let class = canvas.class;
    let mut out = format!(
        "<defs><pattern id=\"hatch-{class}\" width=\"6\" height=\"6\" \
         patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <path class=\"hatch\" d=\"M0 0V6\"/></pattern></defs>"
    );
    let mut areas: Vec<(f64, f64)> = Vec::new();
    for column in columns.iter().filter(|c| !c.is_valid) {
        let (from, to) = (x.at(column.from), x.at(column.to));
        match areas.last_mut() {
            Some((_, end)) if from - *end < 0.05 => *end = to,
            _ => areas.push((from, to)),
        }
    }
    let (top, bottom) = (canvas.top, canvas.y_end());
    for (from, to) in areas {
        let (width, height) = ((to - from).max(1.0), bottom - top);
        let _ = write!(
            out,
            "<rect class=\"void\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/><rect fill=\"url(#hatch-{class})\" x=\"{from:.1}\" \
             y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }
    out
}

/// A line of level pieces, each from one place to another; broken where they do not meet.
fn stairs(pieces: impl Iterator<Item = (f64, f64, f64)>) -> String {
    let mut data = String::new();
    let mut end = f64::NEG_INFINITY;
    for (from, to, level) in pieces {
        let _ = match (from - end).abs() < 0.05 {
            true => write!(data, "V{level:.1}H{to:.1}"),
            false => write!(data, "M{from:.1} {level:.1}H{to:.1}"),
        };
        end = to;
    }
    data
}

fn rates(out: &mut String, rounds: &[Shown<'_>], time: &Time) {
    let pieces = |count: fn(&Second) -> u64| -> Vec<(f64, f64, f64)> {
        let seconds = rounds.iter().flat_map(|s| s.round.seconds.iter().map(move |one| (s, one)));
        let piece = |(shown, one): (&Shown<'_>, &Second)| {
            let from = time.at(shown.round.started_ms + one.at_ms);
            let length = one.length_ms.max(1) as f64 / 1000.0;
            (from, from + length, count(one) as f64 / length)
        };
        seconds.map(piece).collect()
    };
    let (offered, achieved) = (pieces(|one| one.due), pieces(|one| one.answered));
    let high = offered.iter().chain(&achieved).map(|(.., rate)| *rate).fold(1.0, f64::max);
    let told = rounds.iter().take(12).map(|s| {
        let round = s.round;
        format!("{}: {} of {}", round.name, rate(round.achieved_rate), rate(round.offered_rate))
    });
    Figure {
        id: "rates",
        heading: "Offered against achieved rate",
        name: format!(
            "Requests per second, achieved of offered. {}. The table of the load has the numbers.",
            told.collect::<Vec<_>>().join(", ")
        ),
        note: "Requests per second. Offered is what was due in each second, whatever the answers \
               did; achieved is what was answered in it, whenever it was due."
            .to_owned(),
        keys: vec![
            Key::new("r-offered", Shape::Area, "offered"),
            Key::new("r-achieved", Shape::Line, "achieved"),
        ],
        heights: (220.0, 220.0),
    }
    .write(out, |canvas| {
        let (x, y) = (time.scale(canvas), Scale::up(canvas, 0.0, high * 1.08));
        let mut out = time.axis(canvas, rounds);
        for step in steps(high * 1.08, 4) {
            let at = y.at(step);
            line(&mut out, "grid", (canvas.left, at), (canvas.x_end(), at));
            text(&mut out, "tick end", (canvas.left - 8.0, at + 4.0), &short(step));
        }
        let bars = offered.iter().map(|(from, to, rate)| {
            let (from, to, base) = (x.at(*from), x.at(*to), y.at(0.0));
            format!("M{from:.1} {base:.1}V{:.1}H{to:.1}V{base:.1}Z", y.at(*rate))
        });
        path(&mut out, "r-offered", "", &bars.collect::<String>());
        let places = achieved.iter().map(|(from, to, rate)| (x.at(*from), x.at(*to), y.at(*rate)));
        path(&mut out, "r-achieved", "", &stairs(places));
        out
    });
}

/// A rate on an axis.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", v / 1e6),
        v if v >= 1e4 => format!("{} k", v / 1e3),
        v => count(v as u64),
    }
}

impl Time {
    /// Seconds from the origin.
    fn at(&self, ms: u64) -> f64 {
        ms.saturating_sub(self.origin_ms) as f64 / 1000.0
    }

    fn scale(&self, canvas: &Canvas) -> Scale {
        Scale::across(canvas, 0.0, self.end)
    }

    /// Seconds below; above, where a round begins and what it is called.
    fn axis(&self, canvas: &Canvas, rounds: &[Shown<'_>]) -> String {
        let (x, bottom) = (self.scale(canvas), canvas.y_end());
        let mut out = String::new();
        for step in steps(self.end, if canvas.is_wide() { 10 } else { 5 }) {
            let at = x.at(step);
            line(&mut out, "tick", (at, bottom), (at, bottom + 4.0));
            text(&mut out, "tick middle", (at, bottom + 18.0), &format!("{step}"));
        }
        text(&mut out, "tick end", (canvas.x_end(), bottom + 33.0), "seconds");
        if rounds.len() < 2 {
            return out;
        }
        let begins = |s: &Shown<'_>| x.at(self.at(s.round.started_ms));
        // Names that have no room are left out; the tables have them in this order.
        let mut free_from = f64::NEG_INFINITY;
        for shown in rounds {
            let at = begins(shown);
            line(&mut out, "begin", (at, canvas.top), (at, bottom));
            let name = shortened(&shown.round.name, 12);
            if at >= free_from {
                text(&mut out, "tick", (at, canvas.top - 8.0), &name);
                free_from = at + 7.5 * name.chars().count() as f64 + 6.0;
            }
        }
        out
    }
}

//! What every plot has: a place on the page, axes, budgets, a legend, and a name for those who
//! cannot see it.
//!
//! Each plot is drawn twice, for a wide and for a narrow page; the style sheet shows one. A drawing
//! that is only scaled has either huge letters on a desk or tiny ones on a phone.

use super::words::{escape, latency};
use std::fmt::Write;

/// What the roles have promised; how far a plot is from them is what it is about.
pub(super) const BUDGETS: [(u64, &str); 3] = [(10, "provider"), (200, "bidder"), (500, "pixel")];

/// The drawing area, in units that are pixels when the page is as wide as it was drawn for.
pub(super) struct Canvas {
    /// Class in the style sheet, and part of ids.
    pub(super) class: &'static str,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Canvas {
    const fn wide(height: f64) -> Canvas {
        let (left, right, top, bottom) = (58.0, 98.0, 26.0, 38.0);
        Canvas { class: "wide", width: 940.0, height, left, right, top, bottom }
    }

    const fn narrow(height: f64) -> Canvas {
        let (left, right, top, bottom) = (44.0, 54.0, 24.0, 36.0);
        Canvas { class: "narrow", width: 358.0, height, left, right, top, bottom }
    }

    pub(super) fn is_wide(&self) -> bool {
        self.class == "wide"
    }

    /// Where the area for data ends on the right.
    pub(super) fn x_end(&self) -> f64 {
        self.width - self.right
    }

    /// Where it ends at the bottom.
    pub(super) fn y_end(&self) -> f64 {
        self.height - self.bottom
    }
}

/// Maps values to places along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// From left to right.
    pub(super) fn across(canvas: &Canvas, low: f64, high: f64) -> Scale {
        Scale { low, high: high.max(low + 1e-9), from: canvas.left, to: canvas.x_end() }
    }

    /// From the bottom up.
    pub(super) fn up(canvas: &Canvas, low: f64, high: f64) -> Scale {
        Scale { low, high: high.max(low + 1e-9), from: canvas.y_end(), to: canvas.top }
    }

    /// Where a value is; one outside is at the edge.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }
}

/// Latencies upwards, by their logarithm, in whole decades. All budgets are within.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latencies {
    /// Powers of ten of a nanosecond.
    low: i32,
    high: i32,
}

impl Latencies {
    /// Decades for these latencies, in nanoseconds.
    pub(super) fn around(least: f64, most: f64) -> Latencies {
        let decade = |ns: f64| ns.max(1.0).log10();
        let low = (decade(least) + 0.05).floor().clamp(3.0, 6.0) as i32;
        Latencies { low, high: decade(most).ceil().clamp(9.0, 11.0) as i32 }
    }

    pub(super) fn scale(&self, canvas: &Canvas) -> Scale {
        Scale::up(canvas, f64::from(self.low), f64::from(self.high))
    }

    /// Where a latency is.
    pub(super) fn at(scale: &Scale, ns: f64) -> f64 {
        scale.at(ns.max(1.0).log10())
    }

    /// Decades, and lines for budgets. What they are called comes last, over everything else.
    pub(super) fn axis(&self, canvas: &Canvas) -> String {
        let scale = self.scale(canvas);
        let (left, right) = (canvas.left, canvas.x_end());
        let mut out = String::new();
        for decade in self.low..=self.high {
            let ns = 10f64.powi(decade);
            let y = scale.at(f64::from(decade));
            line(&mut out, "grid", (left, y), (right, y));
            // Whole units have no decimals on an axis.
            let label = latency(ns).replace(".00", "").replace(".0", "");
            text(&mut out, "tick end", (left - 8.0, y + 4.0), &label);
            for part in (2..10).filter(|_| decade < self.high) {
                let y = Latencies::at(&scale, ns * f64::from(part));
                line(&mut out, "tick", (left - 4.0, y), (left, y));
            }
        }
        for (ms, _) in BUDGETS {
            let y = Latencies::at(&scale, ms as f64 * 1e6);
            line(&mut out, "budget", (left, y), (right, y));
        }
        out
    }

    /// What the lines for budgets are called.
    pub(super) fn budgets(&self, canvas: &Canvas) -> String {
        let scale = self.scale(canvas);
        let mut out = String::new();
        for (ms, role) in BUDGETS {
            let y = Latencies::at(&scale, ms as f64 * 1e6);
            text(&mut out, "budget", (canvas.left + 6.0, y - 4.0), &format!("{role} {ms} ms"));
        }
        out
    }
}

/// Round steps between 0 and a value, at most so many.
pub(super) fn steps(high: f64, count_max: usize) -> Vec<f64> {
    let least = high.max(1e-9) / count_max as f64;
    let decade = 10f64.powf(least.log10().floor());
    let sizes = [1.0, 2.0, 5.0, 10.0].map(|part| part * decade);
    let size = sizes.into_iter().find(|size| *size >= least).unwrap_or(10.0 * decade);
    (0..=count_max).map(|at| at as f64 * size).take_while(|at| *at <= high * 1.000_001).collect()
}

/// A straight line.
pub(super) fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = write!(
        out,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

/// A label.
pub(super) fn text(out: &mut String, class: &str, (x, y): (f64, f64), text: &str) {
    let text = escape(text);
    let _ = write!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

/// A path through points; `style` is for what no class can say.
pub(super) fn path(out: &mut String, class: &str, style: &str, data: &str) {
    if data.is_empty() {
        return;
    }
    let style = if style.is_empty() { String::new() } else { format!(" style=\"{style}\"") };
    let _ = write!(out, "<path class=\"{class}\"{style} d=\"{data}\"/>");
}

/// The data of a path through points.
pub(super) fn through(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut data = String::new();
    for (x, y) in points {
        let command = if data.is_empty() { 'M' } else { 'L' };
        let _ = write!(data, "{command}{x:.1} {y:.1}");
    }
    data
}

/// What a series looks like, in the plot and in its legend.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) class: String,
    pub(super) style: String,
    pub(super) shape: Shape,
    pub(super) text: String,
}

/// What a series is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Line,
    Area,
    Dots,
}

impl Key {
    pub(super) fn new(class: &str, shape: Shape, text: &str) -> Key {
        Key { class: class.to_owned(), style: String::new(), shape, text: text.to_owned() }
    }

    fn write(&self, out: &mut String) {
        out.push_str("<li><svg class=\"key\" viewBox=\"0 0 30 12\" aria-hidden=\"true\">");
        let data = match self.shape {
            Shape::Line => "M1 6H29",
            Shape::Area => "M1 1H29V11H1Z",
            Shape::Dots => "M5 6h.01M15 6h.01M25 6h.01",
        };
        path(out, &self.class, &self.style, data);
        let _ = write!(out, "</svg>{}</li>", escape(&self.text));
    }
}

/// A plot with everything around it.
pub(super) struct Figure<'a> {
    /// Part of ids; one word.
    pub(super) id: &'a str,
    pub(super) heading: &'a str,
    /// What it shows, for those who do not see it.
    pub(super) name: String,
    /// What one has to know to read it.
    pub(super) note: String,
    pub(super) keys: Vec<Key>,
    /// Heights of the wide and of the narrow drawing.
    pub(super) heights: (f64, f64),
}

impl Figure<'_> {
    /// Draws it.
    pub(super) fn write(&self, out: &mut String, draw: impl Fn(&Canvas) -> String) {
        let Figure { id, heading, .. } = self;
        let _ = write!(out, "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{heading}</h2>");
        let _ = write!(out, "<p class=\"note\">{}</p><figure>", escape(&self.note));
        out.push_str("<ul class=\"legend\">");
        self.keys.iter().for_each(|key| key.write(out));
        out.push_str("</ul>");
        for canvas in [Canvas::wide(self.heights.0), Canvas::narrow(self.heights.1)] {
            let Canvas { class, width, height, .. } = canvas;
            let name = escape(&self.name);
            let _ = write!(
                out,
                "<svg class=\"plot {class}\" role=\"img\" aria-label=\"{name}\" \
                 viewBox=\"0 0 {width} {height}\">{}</svg>",
                draw(&canvas)
            );
        }
        out.push_str("</figure></section>\n");
    }
}

/// Labels at the right edge, one below the other where they would meet: moves their places apart.
pub(super) fn spread(places: &mut [f64], gap: f64, end: f64) {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    for pair in 1..order.len() {
        let above = places[order[pair - 1]];
        let place = &mut places[order[pair]];
        *place = place.max(above + gap);
    }
    // Those that were pushed over the lower edge push back.
    let mut limit = end;
    for at in order.into_iter().rev() {
        places[at] = places[at].min(limit);
        limit = places[at] - gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_hold_the_latencies_and_every_budget() {
        for (least, most, want) in [
            (14_000.0, 3e6, (4, 9)),
            (9_500.0, 2e9, (4, 10)),
            (0.0, 0.0, (3, 9)),
            (5e9, 60e9, (6, 11)),
        ] {
            let axis = Latencies::around(least, most);
            assert_eq!((axis.low, axis.high), want, "{least} {most}");
        }
    }

    #[test]
    fn steps_are_round_and_few() {
        assert_eq!(steps(12.0, 6), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(steps(4998.0, 5), [0.0, 1000.0, 2000.0, 3000.0, 4000.0]);
        assert_eq!(steps(0.0, 5).len(), 1);
    }

    #[test]
    fn labels_that_would_meet_are_moved_apart() {
        let mut places = [50.0, 10.0, 12.0, 98.0, 99.0];
        spread(&mut places, 10.0, 100.0);
        assert_eq!(places, [50.0, 10.0, 20.0, 90.0, 100.0]);
    }

    #[test]
    fn what_is_outside_a_scale_is_at_its_edge() {
        let scale = Scale { low: 0.0, high: 10.0, from: 100.0, to: 0.0 };
        assert_eq!([-1.0, 0.0, 5.0, 11.0].map(|v| scale.at(v)), [100.0, 100.0, 50.0, 0.0]);
    }
}

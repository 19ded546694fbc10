//! What may be said of two sides, and when nothing may.

use super::{bootstrap::Interval, side::Side};
use crate::report::VALID_PERCENT_MIN;
use serde::{Deserialize, Serialize};

/// What is compared. Less is better, of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Half of the answers came as fast.
    P50,
    /// 99 of 100.
    P99,
    /// The server's CPU time per request.
    Cpu,
    /// The server's context switches per request.
    Switches,
}

impl Figure {
    /// All, in the order in which they are shown.
    pub const ALL: [Figure; 4] = [Figure::P50, Figure::P99, Figure::Cpu, Figure::Switches];

    /// Its name, with its unit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Figure::P50 => "p50, µs",
            Figure::P99 => "p99, µs",
            Figure::Cpu => "CPU/request, µs",
            Figure::Switches => "switches/request",
        }
    }

    /// It, of a side.
    #[must_use]
    pub fn of(self, side: &Side) -> Option<Interval> {
        match self {
            Figure::P50 => side.p50_us,
            Figure::P99 => side.p99_us,
            Figure::Cpu => side.cpu_us,
            Figure::Switches => side.switches,
        }
    }

    /// Whether the generator's own lateness spoils it.
    fn is_latency(self) -> bool {
        matches!(self, Figure::P50 | Figure::P99)
    }
}

/// What may be said of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first one is lower: its whole interval lies below the other's.
    FirstLower {
        /// The first median over the second.
        ratio: f64,
    },
    /// The second one is lower.
    SecondLower {
        /// The first median over the second.
        ratio: f64,
    },
    /// The intervals overlap.
    NoDifference,
    /// The generator was late itself too often.
    NotMeasurable {
        /// The smaller share of valid windows, 0 to 1.
        valid_share: f64,
    },
    /// There are too few values for an interval, or none.
    NoFigure,
    /// Not every answer was right, so the sides did not do the same.
    WrongAnswers,
}

/// Rounds that a figure needs that has one value in each of them.
pub const ROUNDS_MIN: usize = 4;

/// Holds two sides against each other.
#[must_use]
pub fn verdict(figure: Figure, first: &Side, second: &Side) -> Verdict {
    if !(first.counts.is_clean() && second.counts.is_clean()) {
        return Verdict::WrongAnswers;
    }
    if figure.is_latency() {
        let spoiled = [first, second].into_iter().filter(|side| !side.is_measurable());
        let shares = spoiled.map(Side::valid_share);
        if let Some(valid_share) = shares.min_by(f64::total_cmp) {
            return Verdict::NotMeasurable { valid_share };
        }
    } else if first.rounds.min(second.rounds) < ROUNDS_MIN {
        return Verdict::NoFigure;
    }
    let (Some(a), Some(b)) = (figure.of(first), figure.of(second)) else {
        return Verdict::NoFigure;
    };
    let ratio = a.median / b.median;
    match (a.is_below(&b), b.is_below(&a)) {
        (true, _) => Verdict::FirstLower { ratio },
        (_, true) => Verdict::SecondLower { ratio },
        _ => Verdict::NoDifference,
    }
}

impl Verdict {
    /// In words, with the names of the sides.
    #[must_use]
    pub fn told(self, first: &str, second: &str) -> String {
        match self {
            Verdict::FirstLower { ratio } => format!("{first} is lower: {ratio:.2} of {second}"),
            Verdict::SecondLower { ratio } => {
                format!("{second} is lower: {:.2} of {first}", 1.0 / ratio)
            }
            Verdict::NoDifference => "no difference shown: the intervals overlap".to_owned(),
            Verdict::NotMeasurable { valid_share } => format!(
                "not measurable here: {:.0} % of windows valid, {VALID_PERCENT_MIN} % needed",
                (valid_share * 100.0).floor()
            ),
            Verdict::NoFigure => "too little was measured".to_owned(),
            Verdict::WrongAnswers => "not compared: not every answer was right".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::histogram,
        report::{Counts, Quantiles},
    };

    fn side(valid: usize, low: f64, high: f64) -> Side {
        let interval = Some(Interval { low, median: f64::midpoint(low, high), high });
        Side {
            name: String::new(),
            rounds: ROUNDS_MIN,
            windows: 100,
            windows_valid: valid,
            counts: Counts { due: 10, answered: 10, ..Counts::default() },
            achieved_rate: 5000.0,
            latency: Quantiles::of(&histogram()),
            p50_us: interval,
            p99_us: interval,
            cpu_us: interval,
            switches: None,
            threads: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn there_is_a_verdict_only_where_intervals_do_not_overlap() {
        let (low, high, wide) =
            (side(100, 8.0, 12.0), side(100, 18.0, 22.0), side(100, 12.0, 18.0));
        for figure in [Figure::P50, Figure::P99, Figure::Cpu] {
            assert_eq!(verdict(figure, &low, &high), Verdict::FirstLower { ratio: 0.5 });
            assert_eq!(verdict(figure, &high, &low), Verdict::SecondLower { ratio: 2.0 });
            // Ends that touch overlap.
            assert_eq!(verdict(figure, &low, &wide), Verdict::NoDifference);
            assert_eq!(verdict(figure, &wide, &high), Verdict::NoDifference);
            assert_eq!(verdict(figure, &low, &low), Verdict::NoDifference);
        }
    }

    #[test]
    fn below_sixty_percent_of_valid_windows_latencies_are_not_measurable_and_cpu_time_is() {
        let (low, high) = (side(100, 8.0, 12.0), side(59, 18.0, 22.0));
        for sides in [(&low, &high), (&high, &low)] {
            let verdict = verdict(Figure::P99, sides.0, sides.1);
            assert_eq!(verdict, Verdict::NotMeasurable { valid_share: 0.59 });
            assert!(verdict.told("a", "b").starts_with("not measurable here: 59 %"));
        }
        assert_eq!(verdict(Figure::Cpu, &low, &high), Verdict::FirstLower { ratio: 0.5 });
        let enough = side(60, 18.0, 22.0);
        assert_eq!(verdict(Figure::P99, &low, &enough), Verdict::FirstLower { ratio: 0.5 });
        let nothing = Side { windows: 0, windows_valid: 0, ..low.clone() };
        let none = verdict(Figure::P50, &low, &nothing);
        assert_eq!(none, Verdict::NotMeasurable { valid_share: 0.0 });
    }

    #[test]
    fn sides_that_did_not_do_the_same_are_not_compared() {
        let right = side(100, 8.0, 12.0);
        let mut wrong = side(100, 1.0, 2.0);
        wrong.counts.answered = 9;
        for figure in Figure::ALL {
            assert_eq!(verdict(figure, &right, &wrong), Verdict::WrongAnswers);
        }
    }

    #[test]
    fn a_figure_with_one_value_a_round_needs_some_rounds() {
        let (low, mut high) = (side(100, 8.0, 12.0), side(100, 18.0, 22.0));
        assert_eq!(verdict(Figure::Switches, &low, &high), Verdict::NoFigure);
        high.rounds = ROUNDS_MIN - 1;
        assert_eq!(verdict(Figure::Cpu, &low, &high), Verdict::NoFigure);
        assert_eq!(verdict(Figure::P50, &low, &high), Verdict::FirstLower { ratio: 0.5 });
    }

    #[test]
    fn a_verdict_names_the_side_and_by_how_much() {
        let told = |verdict: Verdict| verdict.told("edge", "nginx");
        assert_eq!(told(Verdict::FirstLower { ratio: 0.5 }), "edge is lower: 0.50 of nginx");
        assert_eq!(told(Verdict::SecondLower { ratio: 2.0 }), "nginx is lower: 0.50 of edge");
    }
}

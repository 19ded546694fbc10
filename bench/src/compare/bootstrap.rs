//! How sure a median is: a bootstrap over rounds, and over what was seen in each of them.
//!
//! Windows of one round resemble each other more than those of another: the server was started
//! anew, and the machine's other guests did something else. An interval over windows alone would
//! take a hundred windows of one lucky round for a hundred opinions. So rounds are drawn first,
//! with replacement, and then as many values as each of them has, with replacement again.

use crate::random::Random;
use serde::{Deserialize, Serialize};

/// A median, and between which values it lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The median of what was seen.
    pub median: f64,
    /// The upper end.
    pub high: f64,
}

/// How often the interval is meant to hold the median.
pub const CONFIDENCE: f64 = 0.95;

/// Times that everything is drawn again.
const DRAWS: usize = 2000;

impl Interval {
    /// That of the median of some rounds' values; none without values.
    #[must_use]
    pub fn of(rounds: &[Vec<f64>], seed: u64) -> Option<Interval> {
        Interval::of_draws(rounds, seed, DRAWS)
    }

    fn of_draws(rounds: &[Vec<f64>], seed: u64, draws: usize) -> Option<Interval> {
        let rounds: Vec<&[f64]> =
            rounds.iter().map(Vec::as_slice).filter(|values| !values.is_empty()).collect();
        let mut pool: Vec<f64> = rounds.concat();
        let middle = median(&mut pool)?;
        let mut random = Random::new(seed, 0);
        let mut medians: Vec<f64> = Vec::with_capacity(draws);
        for _ in 0..draws {
            pool.clear();
            for _ in &rounds {
                let round = rounds[random.below(rounds.len() as u64) as usize];
                pool.extend(round.iter().map(|_| round[random.below(round.len() as u64) as usize]));
            }
            medians.extend(median(&mut pool));
        }
        medians.sort_by(f64::total_cmp);
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let at = |share: f64| medians[(share * (medians.len() - 1) as f64).round() as usize];
        Some(Interval { low: at(tail), median: middle, high: at(1.0 - tail) })
    }

    /// Whether all of it lies below all of another one.
    #[must_use]
    pub fn is_below(&self, other: &Interval) -> bool {
        self.high < other.low
    }
}

/// The value in the middle, or between the two there; the order of the values is lost.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    let half = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    if !is_even {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of values with an exponential distribution, whose median is ln 2; each round is
    /// faster or slower as a whole by up to a part of itself.
    fn rounds(seed: u64, rounds: usize, values: usize, spread: f64) -> Vec<Vec<f64>> {
        let mut random = Random::new(seed, 1);
        let mut round = |_| {
            let factor = 1.0 + spread * (2.0 * random.unit() - 1.0);
            (0..values).map(|_| -(1.0 - random.unit()).ln() * factor).collect()
        };
        (0..rounds).map(&mut round).collect()
    }

    /// In how many of 300 experiments the interval holds the true median.
    fn coverage(count: usize, values: usize, spread: f64, joined: bool) -> usize {
        let holds = |seed: &u64| {
            let mut rounds = rounds(*seed, count, values, spread);
            if joined {
                rounds = vec![rounds.concat()];
            }
            let interval = Interval::of_draws(&rounds, *seed, 300).unwrap();
            interval.low <= 2f64.ln() && 2f64.ln() <= interval.high
        };
        (0..300).filter(holds).count()
    }

    #[test]
    fn the_interval_holds_the_median_about_as_often_as_it_says() {
        // 285 of 300 are 95 %. Where rounds do not differ, drawing them too widens the interval.
        let alike = coverage(8, 12, 0.0, false);
        assert!((276..=300).contains(&alike), "{alike}");
        let apart = coverage(8, 40, 0.3, false);
        assert!((264..=300).contains(&apart), "{apart}");
    }

    #[test]
    fn windows_alone_would_promise_too_much_where_rounds_differ() {
        let (with_rounds, without) = (coverage(8, 40, 0.6, false), coverage(8, 40, 0.6, true));
        assert!(without < 240 && without + 30 < with_rounds, "{without} and {with_rounds}");
    }

    #[test]
    fn one_seed_gives_one_interval() {
        let rounds = rounds(5, 4, 25, 0.1);
        let interval = Interval::of(&rounds, 7).unwrap();
        assert_eq!(Interval::of(&rounds, 7), Some(interval));
        assert_ne!(Interval::of(&rounds, 8), Some(interval));
        assert!(interval.low < interval.median && interval.median < interval.high);
    }

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        for (values, want) in [
            (vec![], None),
            (vec![3.0], Some(3.0)),
            (vec![4.0, 1.0], Some(2.5)),
            (vec![9.0, 1.0, 5.0], Some(5.0)),
            (vec![9.0, 1.0, 5.0, 6.0, 5.0, 0.5], Some(5.0)),
        ] {
            assert_eq!(median(&mut values.clone()), want, "{values:?}");
        }
        assert_eq!(Interval::of(&[vec![], vec![]], 1), None);
        let same = Interval::of(&[vec![2.0; 5], vec![], vec![2.0]], 1).unwrap();
        assert_eq!(same, Interval { low: 2.0, median: 2.0, high: 2.0 });
        assert!(!same.is_below(&same));
        assert!(same.is_below(&Interval { low: 2.1, median: 3.0, high: 4.0 }));
    }
}

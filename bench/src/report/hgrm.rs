//! `.hgrm`: a percentile distribution as HdrHistogram prints it, for its plotters.
//!
//! Byte for byte what HdrHistogram's `outputPercentileDistribution` writes: levels that halve their
//! distance to 100 % in five steps each, the value and the count at each of them, then mean,
//! deviation and maximum. Two lines in brackets stand in front, as its own log processor has them.
//!
//! ```text
//!        Value     Percentile TotalCount 1/(1-Percentile)
//!
//!       21.743 0.000000000000          1           1.00
//!       26.319 0.100000000000      15034           1.11
//!     1204.223 1.000000000000     150000
//! #[Mean    =       31.044, StdDeviation   =       12.190]
//! #[Max     =     1204.223, Total count    =       150000]
//! #[Buckets =           26, SubBuckets     =         2048]
//! ```

use hdrhistogram::Histogram;
use std::io::{self, Write};

/// What recorded values, which are nanoseconds, are divided by: files hold microseconds, because
/// three decimals of a millisecond are too few for latencies of some tens of microseconds.
pub const UNIT_RATIO: f64 = 1000.0;

/// Levels between one halving of the distance to 100 % and the next.
const TICKS_PER_HALF_DISTANCE: u64 = 5;

/// Writes a histogram of nanoseconds; `what` says of what, on one line.
///
/// # Errors
/// Those of `out`.
pub fn write(histogram: &Histogram<u64>, what: &str, out: &mut impl Write) -> io::Result<()> {
    let what = what.replace(['\n', '\r'], " ");
    writeln!(out, "#[{what}]")?;
    writeln!(out, "#[Values are microseconds: nanoseconds divided by a unit ratio of 1000]")?;
    let (value, level, count) = ("Value", "Percentile", "TotalCount");
    writeln!(out, "{value:>12} {level:>14} {count:>10} 1/(1-Percentile)\n")?;
    for level in levels(histogram) {
        let value = fixed(level.value as f64 / UNIT_RATIO, 3);
        let share = level.percent / 100.0;
        write!(out, "{value:>12} {} {:>10}", fixed(share, 12), level.count)?;
        if level.percent < 100.0 {
            write!(out, " {:>14}", fixed(1.0 / (1.0 - share), 2))?;
        }
        writeln!(out)?;
    }
    let scaled = |value: f64| fixed(value / UNIT_RATIO, 3);
    let (mean, deviation) = (scaled(histogram.mean()), scaled(histogram.stdev()));
    writeln!(out, "#[Mean    = {mean:>12}, StdDeviation   = {deviation:>12}]")?;
    let (max, total) = (scaled(histogram.max() as f64), histogram.len());
    writeln!(out, "#[Max     = {max:>12}, Total count    = {total:>12}]")?;
    let (buckets, parts) = (histogram.buckets(), sub_buckets(histogram.sigfig()));
    writeln!(out, "#[Buckets = {buckets:>12}, SubBuckets     = {parts:>12}]")
}

/// A row of the table.
struct Level {
    value: u64,
    percent: f64,
    /// Values at or below.
    count: u64,
}

/// The rows. They are counted in percent and the steps are added up, as HdrHistogram does it: in
/// other arithmetic the twelfth decimal is another.
fn levels(histogram: &Histogram<u64>) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut percent = 0.0;
    let mut count = 0;
    for step in histogram.iter_recorded() {
        let value = histogram.highest_equivalent(step.value_iterated_to());
        count += step.count_at_value();
        let reached = 100.0 * count as f64 / histogram.len() as f64;
        while reached >= percent {
            levels.push(Level { value, percent, count });
            let halvings = ((100.0 / (100.0 - percent)).ln() / 2f64.ln()) as u32;
            percent += 100.0 / (TICKS_PER_HALF_DISTANCE << (halvings + 1)) as f64;
            // The last value has one row of its own level, and one for 100 %.
            if count == histogram.len() {
                levels.push(Level { value, percent: 100.0, count });
                break;
            }
        }
    }
    levels
}

/// Parts of a bucket: enough for twice the resolution of so many significant digits.
fn sub_buckets(digits: u8) -> u64 {
    (2 * 10u64.pow(u32::from(digits))).next_power_of_two()
}

/// A number that is not negative, with so many decimals; a half is rounded up, as Java does it.
/// (Rust rounds it to the even neighbour, and levels are made of halves.)
fn fixed(value: f64, decimals: usize) -> String {
    let shortest = value.to_string();
    let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
    let is_half = fraction.len() == decimals + 1 && fraction.ends_with('5');
    if !is_half {
        return format!("{value:.decimals$}");
    }
    let digits = format!("{whole}{}", &fraction[..decimals]);
    let up = (digits.parse::<u128>().unwrap_or(0) + 1).to_string();
    let up = format!("{up:0>width$}", width = decimals + 1);
    let (whole, fraction) = up.split_at(up.len() - decimals);
    format!("{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::histogram;

    fn text(histogram: &Histogram<u64>) -> String {
        let mut out = Vec::new();
        write(histogram, "golden", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What HdrHistogram 2.2.2 for Java prints of the values below, behind our two first lines.
    const GOLDEN: &str = include_str!("golden.hgrm");

    #[test]
    fn a_known_histogram_is_printed_as_the_java_library_prints_it() {
        let values = (1..=1000u64).map(|n| n * 1000).chain([20_000_000, 60_000_000_000]);
        assert_eq!(text(&histogram(values)), GOLDEN);
    }

    #[test]
    fn an_empty_histogram_has_no_rows() {
        let text = text(&histogram([]));
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[3], "#[Max     =        0.000, Total count    =            0]");
    }

    #[test]
    fn halves_are_rounded_up() {
        let rows = [
            (0.125, 2, "0.13"),
            (0.375, 2, "0.38"),
            (0.995, 2, "1.00"),
            (9.995, 2, "10.00"),
            (0.99, 1, "1.0"),
            (0.999_877_929_687_5, 12, "0.999877929688"),
            (0.999_969_482_421_875, 12, "0.999969482422"),
            (3.0, 3, "3.000"),
        ];
        for (value, decimals, want) in rows {
            assert_eq!(fixed(value, decimals), want);
        }
    }

    #[test]
    fn what_is_described_stays_on_one_line() {
        let mut out = Vec::new();
        write(&histogram([1]), "a\nb", &mut out).unwrap();
        assert!(out.starts_with(b"#[a b]\n#[Values"));
    }
}

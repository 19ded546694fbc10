//! Numbers, times and foreign text as a page shows them.

use std::fmt::Write;

/// Text that came from outside, where it can neither open a tag nor end an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// At most so many characters, the last of them an ellipsis if there were more.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// `1,234,567`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Requests per second.
pub(super) fn rate(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { count(value.round() as u64) }
}

/// Microseconds: three digits at least, and one decimal at most.
pub(super) fn micros(us: f64) -> String {
    if us < 99.95 { format!("{us:.1}") } else { count(us.round() as u64) }
}

/// A latency by itself: three digits and the unit that they need.
pub(super) fn latency(ns: f64) -> String {
    let (number, unit) = latency_parts(ns);
    format!("{number} {unit}")
}

/// The same in two parts.
pub(super) fn latency_parts(ns: f64) -> (String, &'static str) {
    let units = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
    // What rounds to a thousand of a unit is one of the next.
    let fits = |(ratio, _): &(f64, &str)| ns / ratio < 999.5;
    let (ratio, unit) = units.into_iter().find(fits).unwrap_or((1e9, "s"));
    let value = ns / ratio;
    let number = match value {
        value if ratio == 1.0 || value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    (number, unit)
}

/// A bound on a latency: `10 ms`, `2 s`.
pub(super) fn bound(ms: u64) -> String {
    if ms >= 1000 && ms.is_multiple_of(1000) {
        format!("{} s", ms / 1000)
    } else {
        format!("{ms} ms")
    }
}

/// A part of a whole in percent, with as many decimals as it takes to tell it from none and all.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    let distance = value.min(100.0 - value);
    match distance {
        d if d <= 0.0 => format!("{value:.0} %"),
        d if d < 0.000_95 => format!("{value:.5} %"),
        d if d < 0.095 => format!("{value:.3} %"),
        _ => format!("{value:.1} %"),
    }
}

/// Seconds and their length in words: `2 min 5 s`, `0.5 s`.
pub(super) fn duration(ms: u64) -> String {
    match (ms / 60_000, ms % 60_000) {
        (0, rest) if rest.is_multiple_of(1000) => format!("{} s", rest / 1000),
        (0, rest) => format!("{} s", rest as f64 / 1000.0),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, rest) => format!("{minutes} min {} s", rest / 1000),
    }
}

/// A moment in UTC: `2026-11-24 12:20:05`.
pub(super) fn moment(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days: eras of 400 years, years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// A command line that a shell takes back.
pub(super) fn command(words: &[String]) -> String {
    let mut line = String::new();
    for (at, word) in words.iter().enumerate() {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%@+".contains(c);
        let gap = if at == 0 { "" } else { " " };
        let _ = if !word.is_empty() && word.chars().all(is_plain) {
            write!(line, "{gap}{word}")
        } else {
            write!(line, "{gap}'{}'", word.replace('\'', "'\\''"))
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_leave_its_place() {
        assert_eq!(escape("<a b='c' d=\"e\">&"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
        assert_eq!(command(&["a".into(), "b c".into(), "d'e".into()]), "a 'b c' 'd'\\''e'");
        assert_eq!((shortened("äöü", 3), shortened("äöüß", 3)), ("äöü".into(), "äö…".into()));
    }

    #[test]
    fn numbers_have_three_digits_and_the_unit_that_they_need() {
        let rows = [
            (999.0, "999 ns"),
            (999.6, "1.00 µs"),
            (23_456.0, "23.5 µs"),
            (999_600.0, "1.00 ms"),
            (1_204_000.0, "1.20 ms"),
            (99_960_000.0, "100 ms"),
            (60e9, "60.0 s"),
        ];
        for (ns, want) in rows {
            assert_eq!(latency(ns), want);
        }
        assert_eq!(
            (count(0), count(999), count(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
        let micros = [23.44, 99.96, 60_000_000.0].map(micros);
        assert_eq!(micros, ["23.4", "100", "60,000,000"]);
        assert_eq!((rate(5.04), rate(4999.6)), ("5.0".into(), "5,000".into()));
        assert_eq!(
            (bound(10), bound(500), bound(2000)),
            ("10 ms".into(), "500 ms".into(), "2 s".into())
        );
    }

    #[test]
    fn a_share_is_never_shown_as_none_or_all_when_it_is_not() {
        let rows = [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.5, "50.0 %"),
            (0.000_004, "0.00040 %"),
            (0.999_99, "99.999 %"),
        ];
        for (share, want) in rows {
            assert_eq!(percent(share), want);
        }
    }

    #[test]
    fn moments_and_durations_are_told_in_words() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(moment(1_792_833_605_123), "2026-10-24 09:20:05");
        let told = [500, 10_000, 60_000, 125_000].map(duration);
        assert_eq!(told, ["0.5 s", "10 s", "1 min", "2 min 5 s"]);
    }
}

//! A row: a user, and some of its segments. And what makes one bad.

use brink_proto::{
    ids::{PriceMicros, ScoreMillionths},
    table::{SEGMENTS_MAX, is_code},
};
use std::borrow::Cow;

/// BOUND: bytes of a user's id.
pub(in super::super) const ID_BYTES_MAX: usize = 256;

/// Whose row it is; what it gives stands in a list beside it, whose room is used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Row<'l> {
    pub(in super::super) namespace: Cow<'l, [u8]>,
    pub(in super::super) id: Cow<'l, [u8]>,
    pub(in super::super) base_price: Option<PriceMicros>,
}

/// A segment that a row gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Given<'l> {
    pub(in super::super) code: Cow<'l, [u8]>,
    pub(in super::super) price: Option<PriceMicros>,
    pub(in super::super) score: Option<ScoreMillionths>,
}

/// The columns of the formats that have a segment a row.
pub(super) const COLUMNS: [&str; 6] = ["ns", "id", "code", "price", "score", "base_price"];

/// How many of them a line has at least.
pub(super) const COLUMNS_MIN: usize = 5;

impl<'l> Given<'l> {
    /// The segment of a row, unless the row is there for its user's base price alone.
    pub(super) fn or_nothing(
        code: Cow<'l, [u8]>,
        price: Option<PriceMicros>,
        score: Option<ScoreMillionths>,
        base_price: Option<PriceMicros>,
    ) -> Option<Given<'l>> {
        let says_nothing = code.is_empty() && price.is_none() && score.is_none();
        (!says_nothing || base_price.is_none()).then_some(Given { code, price, score })
    }
}

/// What is wrong with a row: what was found, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum BadRow {
    #[error("no user: {0}; a user is {{\"ns\":…,\"id\":…,\"base_price\":…,\"segments\":[…]}}")]
    Json(String),
    #[error("{0} columns; allowed are 5 or 6: ns,id,code,price,score and perhaps base_price")]
    Columns(usize),
    #[error("a quote that does not end, or not in front of a comma")]
    Quote,
    #[error("ns {0:?}; allowed are 1 to 64 printable ASCII characters without blank, ':' and ','")]
    Namespace(String),
    #[error("an id of {0} bytes; allowed are 1 to 256")]
    Id(usize),
    #[error(
        "code {0:?}; allowed are 1 to 64 printable ASCII characters without blank, ':' and ','"
    )]
    Code(String),
    #[error("price {0:?}; allowed are whole micros from 0 to 1000000000000")]
    Price(String),
    #[error("score {0:?}; allowed are numbers from 0 to 1000")]
    Score(String),
    #[error("{0} segments; a user has at most 4096")]
    Segments(usize),
    #[error("nothing in column {0:?}, which says whose segment it is")]
    Null(&'static str),
}

/// Bytes of a row, as an error shows them: not too many.
pub(in super::super) fn shown(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 80;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]).into_owned()
}

/// Holds a row against the limits that all formats have; codes are looked at where they are kept.
pub(in super::super) fn check(row: &Row<'_>, segments: usize) -> Result<(), BadRow> {
    if !is_code(&row.namespace) {
        return Err(BadRow::Namespace(shown(&row.namespace)));
    }
    if !(1..=ID_BYTES_MAX).contains(&row.id.len()) {
        return Err(BadRow::Id(row.id.len()));
    }
    if segments > SEGMENTS_MAX {
        return Err(BadRow::Segments(segments));
    }
    Ok(())
}

/// A price that is written as JSON writes a whole number.
pub(super) fn price(text: &[u8]) -> Option<PriceMicros> {
    let plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 13;
    PriceMicros::new(if plain { digits(text)? } else { return None })
}

/// A score of up to four digits and up to six behind the point; others go another way.
pub(super) fn score(text: &[u8]) -> Option<ScoreMillionths> {
    let (whole, fraction) = match text.iter().position(|b| *b == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, [b'0'].as_slice()),
    };
    let plain = matches!(whole, [b'0'] | [b'1'..=b'9', ..]) && whole.len() <= 4;
    if !plain || !(1..=6).contains(&fraction.len()) {
        return None;
    }
    let scale = 10u64.pow(6 - fraction.len() as u32);
    ScoreMillionths::new(digits(whole)? * 1_000_000 + digits(fraction)? * scale)
}

/// Any score, to the nearest millionth.
pub(super) fn score_of(number: f64) -> Option<ScoreMillionths> {
    let millionths = (number * 1e6).round();
    if (0.0..=1e9).contains(&millionths) { ScoreMillionths::new(millionths as u64) } else { None }
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |number: u64, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_whole_micros() {
        let check = |text: &str, want: Option<u64>| {
            assert_eq!(price(text.as_bytes()).map(PriceMicros::number), want, "{text}");
        };
        check("0", Some(0));
        check("750000", Some(750_000));
        check("1000000000000", Some(1_000_000_000_000));
        for bad in ["", "1000000000001", "-1", "+1", "1.0", "1e3", "007", "99999999999999999999"] {
            check(bad, None);
        }
    }

    #[test]
    fn scores_are_exact_to_the_millionth_both_ways() {
        let check = |text: &str, want: u32| {
            assert_eq!(score(text.as_bytes()).map(ScoreMillionths::number), Some(want), "{text}");
            let number = text.parse().unwrap();
            assert_eq!(score_of(number).map(ScoreMillionths::number), Some(want), "{text}");
        };
        check("0", 0);
        check("0.4", 400_000);
        check("0.07", 70_000);
        check("1.000001", 1_000_001);
        check("999.999999", 999_999_999);
        check("1000", 1_000_000_000);
        for other in ["", ".5", "5.", "0.1234567", "1e2", "1000.1", "-1", "01"] {
            assert_eq!(score(other.as_bytes()), None, "{other}");
        }
        assert_eq!(score_of(0.123_456_7).map(ScoreMillionths::number), Some(123_457));
        for bad in [-1.0, 1000.1, f64::NAN, f64::INFINITY] {
            assert_eq!(score_of(bad), None);
        }
    }
}

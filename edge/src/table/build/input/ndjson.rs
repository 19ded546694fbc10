//! A line of NDJSON: a user with its segments.
//!
//! ```text
//!  {"ns":"xandr","id":"42","base_price":500000,"segments":[{"code":"a","price":7,"score":0.4}]}
//! ```
//!
//! What producers write is read by hand: with serde_json alone a whole build takes 2.4 times the
//! CPU time (`edge table build` of rows with an escape in each, 4.1 against 1.7 µs a user).
//! Whatever is not quite that (an escape, a `null`, a number with an exponent, a mistake) is read
//! once more by serde_json, which alone decides what is right and says what is wrong.

use super::row::{BadRow, Given, Row, score_of};
use brink_proto::ids::{PriceMicros, ScoreMillionths};
use serde::Deserialize;
use std::borrow::Cow;

/// Reads a line.
pub(in super::super) fn parse<'l>(
    line: &'l [u8],
    segments: &mut Vec<Given<'l>>,
) -> Result<Row<'l>, BadRow> {
    match by_hand(line, segments) {
        Some(row) => Ok(row),
        None => {
            segments.clear();
            by_serde(line, segments)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User<'l> {
    #[serde(borrow)]
    ns: Cow<'l, str>,
    #[serde(borrow)]
    id: Cow<'l, str>,
    base_price: Option<u64>,
    #[serde(borrow, default)]
    segments: Vec<Segment<'l>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Segment<'l> {
    #[serde(borrow)]
    code: Cow<'l, str>,
    price: Option<u64>,
    score: Option<f64>,
}

fn by_serde<'l>(line: &'l [u8], segments: &mut Vec<Given<'l>>) -> Result<Row<'l>, BadRow> {
    let user: User<'l> =
        serde_json::from_slice(line).map_err(|error| BadRow::Json(error.to_string()))?;
    let price = |micros: Option<u64>| {
        let known = |micros| PriceMicros::new(micros).ok_or(BadRow::Price(micros.to_string()));
        micros.map(known).transpose()
    };
    for segment in user.segments {
        let known = |number: f64| score_of(number).ok_or(BadRow::Score(number.to_string()));
        let score = segment.score.map(known).transpose()?;
        segments.push(Given { code: bytes(segment.code), price: price(segment.price)?, score });
    }
    let base_price = price(user.base_price)?;
    Ok(Row { namespace: bytes(user.ns), id: bytes(user.id), base_price })
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn by_hand<'l>(line: &'l [u8], segments: &mut Vec<Given<'l>>) -> Option<Row<'l>> {
    let mut rest = Cursor { rest: line };
    let (mut namespace, mut id, mut base_price, mut listed) = (None, None, None, None);
    rest.token(b'{')?;
    loop {
        match rest.field_of_user()? {
            Field::Namespace => once(&mut namespace, rest.string()?)?,
            Field::Id => once(&mut id, rest.string()?)?,
            Field::BasePrice => once(&mut base_price, rest.price()?)?,
            Field::Segments => once(&mut listed, list(&mut rest, segments)?)?,
        }
        if rest.ends(b'}')? {
            break;
        }
    }
    rest.blanks();
    let row = Row { namespace: namespace?.into(), id: id?.into(), base_price };
    rest.rest.is_empty().then_some(row)
}

fn list<'l>(rest: &mut Cursor<'l>, segments: &mut Vec<Given<'l>>) -> Option<()> {
    rest.token(b'[')?;
    loop {
        let (mut code, mut price, mut score) = (None, None, None);
        rest.token(b'{')?;
        loop {
            match rest.field_of_segment()? {
                SegmentField::Code => once(&mut code, rest.string()?)?,
                SegmentField::Price => once(&mut price, rest.price()?)?,
                SegmentField::Score => once(&mut score, rest.score()?)?,
            }
            if rest.ends(b'}')? {
                break;
            }
        }
        segments.push(Given { code: code?.into(), price, score });
        if rest.ends(b']')? {
            return Some(());
        }
    }
}

#[derive(Clone, Copy)]
enum Field {
    Namespace,
    Id,
    BasePrice,
    Segments,
}

const OF_USER: [(&str, Field); 4] = [
    ("ns", Field::Namespace),
    ("id", Field::Id),
    ("segments", Field::Segments),
    ("base_price", Field::BasePrice),
];

#[derive(Clone, Copy)]
enum SegmentField {
    Code,
    Price,
    Score,
}

const OF_SEGMENT: [(&str, SegmentField); 3] =
    [("code", SegmentField::Code), ("price", SegmentField::Price), ("score", SegmentField::Score)];

/// A field comes once.
#[inline]
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// What is left of a line.
struct Cursor<'l> {
    rest: &'l [u8],
}

impl<'l> Cursor<'l> {
    #[inline]
    fn blanks(&mut self) {
        while let [b' ' | b'\t' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// This byte, perhaps behind blanks.
    #[inline]
    fn token(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        (*first == byte).then_some(())
    }

    /// Whether a list or an object ends here, or goes on behind a comma.
    #[inline]
    fn ends(&mut self, end: u8) -> Option<bool> {
        self.blanks();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if *first == b',' { Some(false) } else { (*first == end).then_some(true) }
    }

    /// Whether this comes next, which is passed over then. Its length is known when this is
    /// compiled, so that it is compared in two steps and not by a call.
    #[inline]
    fn skips<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        let Some((front, rest)) = self.rest.split_first_chunk() else { return false };
        let is_next = front == text;
        if is_next {
            self.rest = rest;
        }
        is_next
    }

    /// A field's name and its colon, as most producers write them: without blanks.
    #[inline]
    fn field_of_segment(&mut self) -> Option<SegmentField> {
        if self.skips(b"\"code\":") {
            Some(SegmentField::Code)
        } else if self.skips(b"\"price\":") {
            Some(SegmentField::Price)
        } else if self.skips(b"\"score\":") {
            Some(SegmentField::Score)
        } else {
            self.name(&OF_SEGMENT)
        }
    }

    /// The same of a user's fields.
    #[inline]
    fn field_of_user(&mut self) -> Option<Field> {
        if self.skips(b"\"ns\":") {
            Some(Field::Namespace)
        } else if self.skips(b"\"id\":") {
            Some(Field::Id)
        } else if self.skips(b"\"segments\":") {
            Some(Field::Segments)
        } else {
            self.name(&OF_USER)
        }
    }

    /// One of these names, perhaps with blanks around its colon.
    fn name<F: Copy>(&mut self, known: &[(&str, F)]) -> Option<F> {
        let name = self.string()?;
        self.token(b':')?;
        known.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, field)| *field)
    }

    /// A string of ASCII without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'l [u8]> {
        self.token(b'"')?;
        let (text, rest) = self.rest.split_at(plain(self.rest));
        self.rest = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// Up to 18 digits, of which the first is no zero unless it stands alone; and how many.
    #[inline]
    fn whole(&mut self) -> Option<(u64, usize)> {
        self.blanks();
        let is_zero = self.rest.first() == Some(&b'0');
        let (number, count) = self.digits()?;
        (count == 1 || !is_zero).then_some((number, count))
    }

    #[inline]
    fn digits(&mut self) -> Option<(u64, usize)> {
        let (mut number, mut count) = self.rest.first_chunk().map_or((0, 0), leading_digits);
        self.rest = &self.rest[count..];
        // A number that ends within eight bytes ends here at once.
        while let Some((digit @ b'0'..=b'9', rest)) = self.rest.split_first() {
            number = number * 10 + u64::from(digit - b'0');
            count += 1;
            self.rest = rest;
            if count > 18 {
                return None;
            }
        }
        (count > 0).then_some((number, count))
    }

    /// A price; what is behind it must be a comma or an end.
    #[inline]
    fn price(&mut self) -> Option<PriceMicros> {
        PriceMicros::new(self.whole()?.0)
    }

    /// A score of up to six digits behind the point.
    #[inline]
    fn score(&mut self) -> Option<ScoreMillionths> {
        const SCALE: [u64; 7] = [1_000_000, 100_000, 10_000, 1000, 100, 10, 1];
        let (whole, count) = self.whole()?;
        if count > 4 {
            return None;
        }
        let mut millionths = whole * SCALE[0];
        if let Some(rest) = self.rest.strip_prefix(b".") {
            self.rest = rest;
            let (fraction, count) = self.digits()?;
            millionths += fraction * SCALE.get(count)?;
        }
        ScoreMillionths::new(millionths)
    }
}

/// How many bytes stand for themselves in a string: up to a quote, an escape, a control character
/// or what is not ASCII. Eight are looked at in one go.
#[inline]
fn plain(text: &[u8]) -> usize {
    const TOPS: u64 = ONES << 7;
    // The lowest top bit that is set is right: a borrow comes only from a byte that was found.
    let below = |word: u64, byte: u8| word.wrapping_sub(ONES * u64::from(byte)) & !word;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, _) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = equal(word, b'"') | equal(word, b'\\') | below(word, 0x20) | word;
        if found & TOPS != 0 {
            return 8 * index + (found & TOPS).trailing_zeros() as usize / 8;
        }
    }
    let tail = text.iter().skip(8 * words.len());
    let ends = |b: &u8| matches!(b, b'"' | b'\\' | 0..0x20 | 0x80..);
    8 * words.len() + tail.take_while(|b| !ends(b)).count()
}

/// The number that the digits at the front of eight bytes make, and how many they are.
#[inline]
fn leading_digits(text: &[u8; 8]) -> (u64, usize) {
    let word = u64::from_le_bytes(*text) ^ u64::from_le_bytes([b'0'; 8]);
    // The top bit of each byte that is more than 9; a carry comes only from a byte that was found.
    let others = (word.wrapping_add(u64::from_le_bytes([0x76; 8])) | word) & (0x80 * ONES);
    let count = others.trailing_zeros() as usize / 8;
    // Zeros in front of the digits; then neighbours are put together, by ones, by twos, by fours.
    let digits = if count == 0 { 0 } else { word << (64 - 8 * count) };
    let pairs = (digits * 10 + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    let number = (fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF;
    (number, count)
}

/// One in each byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a line in both ways; whether it was read by hand.
    fn check(line: &str) -> bool {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let (by_hand, by_serde) =
            (by_hand(line.as_bytes(), &mut one), by_serde(line.as_bytes(), &mut other));
        if let Some(row) = &by_hand {
            assert_eq!(Ok(row), by_serde.as_ref(), "{line}");
            assert_eq!(one, other, "{line}");
        }
        by_hand.is_some()
    }

    const USER: &str = r#"{"ns":"xandr","id":"42","base_price":500000,"segments":[{"code":"auto","price":750000,"score":0.4},{"code":"b"}]}"#;

    #[test]
    fn what_producers_write_is_read_by_hand() {
        assert!(check(USER));
        assert!(check(&USER.replace(':', ": ").replace(',', ", ")));
        assert!(check(&USER.replace("0.4", "1").replace("500000", "0")));
        assert!(check(&format!("{USER}\r")));
        assert!(check(r#"{"segments":[{"score":0.123456,"code":"a"}],"id":"x","ns":"y"}"#));
        assert!(check(r#"{"ns":"y","id":"x"}"#));
    }

    #[test]
    fn what_is_less_usual_is_read_as_well() {
        for line in [
            USER.replace("auto", "\\u0061uto"),
            USER.replace("500000", "null"),
            USER.replace("0.4", "4e-1"),
            USER.replace("0.4", "0.4000000"),
            USER.replace("\"42\"", "\"ü\""),
            r#"{"ns":"y","id":"x","segments":[]}"#.to_owned(),
        ] {
            assert!(!check(&line));
            let mut segments = Vec::new();
            assert!(parse(line.as_bytes(), &mut segments).is_ok(), "{line}");
            assert!(segments.iter().all(|s| s.score.is_none_or(|s| s.number() == 400_000)));
        }
    }

    #[test]
    fn what_is_no_user_is_refused() {
        let check = |line: &str, want: &str| {
            assert!(!check(line));
            let error = parse(line.as_bytes(), &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(want), "{line}: {error}");
        };
        check("", "EOF");
        check("[]", "expected struct User");
        check(r#"{"ns":"y"}"#, "missing field `id`");
        check(&USER.replace("base_price", "price"), "unknown field `price`, expected one of");
        check(&USER.replace("\"42\"", "42"), "invalid type: integer `42`");
        check(&USER.replace("500000", "-1"), "invalid value: integer `-1`");
        check(&USER.replace("500000", "0.5"), "floating point `0.5`");
        check(&USER.replace("500000", "1000000000001"), "price \"1000000000001\"; allowed are");
        check(&USER.replace("0.4", "1000.1"), "score \"1000.1\"; allowed are");
        check(&format!("{USER}{USER}"), "trailing characters");
        check(&USER.replace("\"ns\"", "\"id\":\"7\",\"ns\""), "duplicate field `id`");
        check(&USER.replace("750000", "007"), "invalid number");
    }

    #[test]
    fn what_stands_for_itself_is_found_wherever_it_ends() {
        for at in 0..20 {
            for end in 0..=u8::MAX {
                let mut text = *b"abcdefghij~klmnop_qrstuvw";
                text[at] = end;
                let want = if (0x20..0x80).contains(&end) && !b"\"\\".contains(&end) {
                    text.len()
                } else {
                    at
                };
                assert_eq!(plain(&text), want, "{end} at {at}");
            }
        }
    }

    #[test]
    fn digits_make_the_number_that_they_are_wherever_it_ends() {
        for count in 0..=8 {
            for end in (0..=u8::MAX).filter(|b| !b.is_ascii_digit()) {
                for first in 0..10 {
                    let mut text = [end; 8];
                    (0..count).for_each(|at| text[at] = b'0' + ((first + 7 * at) % 10) as u8);
                    let digits = std::str::from_utf8(&text[..count]).unwrap();
                    let number = digits.parse().unwrap_or(0);
                    assert_eq!(leading_digits(&text), (number, count), "{digits} {end}");
                }
            }
        }
    }

    #[test]
    fn any_change_of_a_line_is_read_alike_or_by_serde_alone() {
        let bytes = USER.as_bytes();
        for at in 0..bytes.len() {
            for with in *b"{}[]\":,\\ 0.9ea-\x7f\x1f" {
                let mut line = bytes.to_vec();
                line[at] = with;
                if let Ok(line) = std::str::from_utf8(&line) {
                    check(line);
                }
            }
            check(&USER[..at]);
        }
    }
}

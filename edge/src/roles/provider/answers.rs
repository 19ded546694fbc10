//! What a provider says: the segments of an answer, which a dialect puts into its own words.

use crate::http::answer::decimal;
use brink_proto::{ids::PriceMicros, table::Record};

/// How a segment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `CODE`
    Code,
    /// `CODE:INT`, the price times 1000.
    Price,
}

/// BOUND: longest answer. What does not fit is left out, the last codes first.
pub(super) const ANSWER_BYTES_MAX: usize = 4096;

/// The segments of one answer, a line for each.
#[derive(Debug)]
pub(super) struct Lines {
    bytes: Box<[u8; ANSWER_BYTES_MAX]>,
    filled: usize,
    count: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Lines { bytes: Box::new([0; ANSWER_BYTES_MAX]), filled: 0, count: 0 }
    }
}

/// Longest line: a code, a colon, a price and a line feed.
const LINE_BYTES_MAX: usize = 64 + 1 + 10 + 1;

impl Lines {
    /// Writes the segments of a user over what was there.
    #[inline]
    pub(super) fn write(&mut self, record: Record<'_>, form: Form) {
        (self.filled, self.count) = (0, 0);
        for segment in record.segments() {
            let Some(room) = self.bytes.get_mut(self.filled..) else { return };
            let Some(room) = room.get_mut(..LINE_BYTES_MAX) else { return };
            let price = segment.price.filter(|_| form == Form::Price);
            let Some(bytes) = line(segment.code, price, room) else { continue };
            self.filled += bytes;
            self.count += 1;
        }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        (self.filled, self.count) = (0, 0);
    }

    /// The lines, each with its line feed.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// The segments separated by blanks, as a row tells them; the lines are gone then.
    #[inline]
    pub(super) fn in_a_row(&mut self) -> &[u8] {
        let lines = self.bytes.get_mut(..self.filled.saturating_sub(1)).unwrap_or_default();
        lines.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        lines
    }

    /// How many there are.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

/// Writes a line; its length, or nothing where it has no room.
#[inline]
fn line(code: &[u8], price: Option<PriceMicros>, room: &mut [u8]) -> Option<usize> {
    room.get_mut(..code.len())?.copy_from_slice(code);
    let mut at = code.len();
    if let Some(price) = price {
        *room.get_mut(at)? = b':';
        let mut digits = [0; 20];
        let text = decimal(thousandths(price) as usize, &mut digits);
        room.get_mut(at + 1..at + 1 + text.len())?.copy_from_slice(text);
        at += 1 + text.len();
    }
    *room.get_mut(at)? = b'\n';
    Some(at + 1)
}

/// A price times 1000, as exchanges read it, rounded half to even. The highest price has ten digits
/// then, and fits into 31 bits.
#[inline]
fn thousandths(price: PriceMicros) -> u32 {
    let micros = price.number();
    let (whole, rest) = (micros / 1000, micros % 1000);
    let up = rest > 500 || (rest == 500 && whole % 2 == 1);
    const { assert!(PriceMicros::MAX.number() / 1000 < i32::MAX as u64) };
    (whole + u64::from(up)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_thousandths_rounded_half_to_even() {
        for (micros, want) in [
            (0, 0),
            (499, 0),
            (500, 0),
            (501, 1),
            (1_500, 2),
            (2_500, 2),
            (750_000, 750),
            (PriceMicros::MAX.number(), 1_000_000_000),
        ] {
            assert_eq!(PriceMicros::new(micros).map(thousandths), Some(want), "{micros}");
        }
    }

    #[test]
    fn a_line_has_its_price_or_is_the_code_alone() {
        let mut room = [0; LINE_BYTES_MAX];
        let dear = PriceMicros::MAX;
        for (price, want) in
            [(PriceMicros::new(750_000), "a:750\n"), (Some(dear), "a:1000000000\n")]
        {
            let bytes = line(b"a", price, &mut room).unwrap();
            assert_eq!(&room[..bytes], want.as_bytes());
        }
        let longest = [b'c'; 64];
        assert_eq!(line(&longest, Some(dear), &mut room), Some(LINE_BYTES_MAX));
        assert_eq!(line(b"ab", None, &mut room), Some(3));
        assert_eq!(line(b"ab", None, &mut [0; 2]), None);
    }
}

//! Bits written as text, six to a character of URL-safe base64, and read where they lie: nothing
//! is decoded into memory, so a field that nobody asks for costs an addition.

/// BOUND: a longer text is not read. It is what a request line may have, and room for two bits for
/// each of 40,000 vendors, of which there are not a tenth.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It has a character that stands for no bits.
    Character,
    /// It ends before its last field.
    Truncated,
    /// It is longer, or has more parts, than is read.
    TooLong,
    /// It is of a version or a layout that is not known here.
    Version,
    /// A field has a value that means nothing, or two fields contradict each other.
    Malformed,
}

impl Unreadable {
    /// What is wrong, for a person.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Unreadable::Character => "a character stands for no bits",
            Unreadable::Truncated => "it ends before its last field",
            Unreadable::TooLong => "it is longer than is read",
            Unreadable::Version => "its version or layout is not known",
            Unreadable::Malformed => "a field has a value that means nothing",
        }
    }
}

/// A place in a text of bits.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// The first bit of a text. All of it is looked at, also what is skipped later: a text with a
    /// foreign character was damaged on its way, and what else was is unknown.
    ///
    /// # Errors
    /// When it is empty, too long, or has characters outside the alphabet.
    pub fn new(text: &'a [u8]) -> Result<Bits<'a>, Unreadable> {
        if text.is_empty() {
            return Err(Unreadable::Truncated);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        if text.iter().any(|c| value(*c) == NO_VALUE) {
            return Err(Unreadable::Character);
        }
        Ok(Bits { text, at: 0 })
    }

    /// The next `width` bits as a number, the first of them the highest.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, width: usize) -> Result<u64, Unreadable> {
        debug_assert!(0 < width && width <= TAKE_BITS_MAX, "a field of {width} bits");
        let from = self.at;
        self.skip(width)?;
        let first = from / CHARACTER_BITS;
        let last = (self.at - 1) / CHARACTER_BITS;
        let characters = self.text.get(first..=last).ok_or(Unreadable::Truncated)?;
        let all =
            characters.iter().fold(0, |all, c| (all << CHARACTER_BITS) | u64::from(value(*c)));
        let behind = (last + 1) * CHARACTER_BITS - self.at;
        Ok((all >> behind) & ((1 << width) - 1))
    }

    /// As [`Bits::take`], for fields of at most 16 bits.
    ///
    /// # Errors
    /// When there are fewer bits.
    pub fn take_short(&mut self, width: usize) -> Result<u16, Unreadable> {
        self.take(width).and_then(|value| u16::try_from(value).map_err(|_| Unreadable::Malformed))
    }

    /// The next bit.
    ///
    /// # Errors
    /// When there is none.
    pub fn flag(&mut self) -> Result<bool, Unreadable> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Passes over `width` bits.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn skip(&mut self, width: usize) -> Result<(), Unreadable> {
        let at = self.at.saturating_add(width);
        if at > self.text.len() * CHARACTER_BITS {
            return Err(Unreadable::Truncated);
        }
        self.at = at;
        Ok(())
    }

    /// The next number in Fibonacci coding: which Fibonacci numbers it is the sum of, a bit for
    /// each and the smallest first, ended by the only place where two ones meet.
    ///
    /// # Errors
    /// When it does not end, or is not a `u16`.
    pub fn fibonacci(&mut self) -> Result<u16, Unreadable> {
        let (mut this, mut next) = (1_u32, 2_u32);
        let mut sum = 0;
        let mut before = false;
        for _ in 0..FIBONACCI_BITS_MAX {
            let bit = self.flag()?;
            if bit && before {
                return u16::try_from(sum).map_err(|_| Unreadable::Malformed);
            }
            if bit {
                sum += this;
            }
            before = bit;
            (this, next) = (next, this + next);
        }
        Err(Unreadable::Malformed)
    }
}

const CHARACTER_BITS: usize = 6;

/// BOUND: no field is wider; with what lies around it in its first and last character it fits a
/// `u64`.
const TAKE_BITS_MAX: usize = 36;

const _: () = assert!(TAKE_BITS_MAX + 2 * (CHARACTER_BITS - 1) <= 64);

/// BOUND: the 23rd number is the last below 65,536, and one more bit ends the code.
const FIBONACCI_BITS_MAX: usize = 24;

/// SPEC: RFC 4648 section 5, which both TCF and GPP use without padding.
const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const NO_VALUE: u8 = 64;

static VALUES: [u8; 256] = values();

#[cfg_attr(not(test), expect(clippy::indexing_slicing, reason = "runs at build time"))]
const fn values() -> [u8; 256] {
    let mut values = [NO_VALUE; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values
}

fn value(character: u8) -> u8 {
    VALUES.get(usize::from(character)).copied().unwrap_or(NO_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_across_characters() {
        // 000010 000100 111111
        let mut bits = Bits::new(b"CE_").unwrap();
        assert_eq!(bits.take(6), Ok(2));
        assert_eq!(bits.take(5), Ok(2));
        assert_eq!(bits.take(3), Ok(0b011));
        assert_eq!(bits.skip(3), Ok(()));
        assert_eq!(bits.flag(), Ok(true));
        assert_eq!(bits.flag(), Err(Unreadable::Truncated));
        let mut bits = Bits::new(b"A________").unwrap();
        assert_eq!(bits.skip(7), Ok(()));
        assert_eq!(bits.take(36), Ok((1 << 36) - 1));
    }

    #[test]
    fn what_is_no_text_of_bits_is_refused() {
        let long = vec![b'A'; TEXT_BYTES_MAX + 1];
        let rows: [(&[u8], Unreadable); 5] = [
            (b"", Unreadable::Truncated),
            (b"AA=", Unreadable::Character),
            (b"A+A", Unreadable::Character),
            (b"A\xff", Unreadable::Character),
            (&long, Unreadable::TooLong),
        ];
        for (text, want) in rows {
            assert_eq!(Bits::new(text).err(), Some(want));
        }
    }

    #[test]
    fn fibonacci_codes_are_numbers() {
        // SPEC: GPP, "Fibonacci Encoding": 11, 011, 0011, 1011, 00011, 10011, 01011.
        let rows = [("w", 1), ("Y", 2), ("M", 3), ("s", 4), ("G", 5), ("m", 6), ("W", 7)];
        for (text, want) in rows {
            assert_eq!(Bits::new(text.as_bytes()).unwrap().fibonacci(), Ok(want), "{text}");
        }
        assert_eq!(Bits::new(b"AAAAAAAAAA").unwrap().fibonacci(), Err(Unreadable::Malformed));
        assert_eq!(Bits::new(b"AA").unwrap().fibonacci(), Err(Unreadable::Truncated));
        // 46,368 and 17,711 and 6,765, beyond a u16.
        assert_eq!(Bits::new(b"AAAKw").unwrap().fibonacci(), Err(Unreadable::Malformed));
    }
}

//! The protobuf wire format, as much of it as events need: varints and length-delimited fields.
//!
//! ```text
//! field  = key value
//! key    = varint(number << 3 | type)      type 0: varint, type 2: length-delimited
//! value  = varint | varint(length) bytes
//! ```
//!
//! [`Writer`] writes into a borrowed slice and remembers if it did not fit; [`fields`] reads a
//! message that we or a newer version wrote and skips what it does not know.

/// Longest varint.
pub const VARINT_BYTES_MAX: usize = 10;

/// Size of a varint.
#[inline]
#[must_use]
pub const fn varint_bytes(value: u64) -> usize {
    // Seven bits a byte, and zero takes one byte.
    ((64 - (value | 1).leading_zeros() as usize) * 9 + 64) / 64
}

/// Size of the key of field `number`.
#[inline]
#[must_use]
pub const fn key_bytes(number: u32) -> usize {
    varint_bytes((number as u64) << 3)
}

/// Size of a varint field; a value of zero is left out, as proto3 does.
#[inline]
#[must_use]
pub const fn varint_field_bytes(number: u32, value: u64) -> usize {
    if value == 0 { 0 } else { key_bytes(number) + varint_bytes(value) }
}

/// Size of a length-delimited field of `len` bytes.
#[inline]
#[must_use]
pub const fn bytes_field_bytes(number: u32, len: usize) -> usize {
    key_bytes(number) + varint_bytes(len as u64) + len
}

/// Zigzag, as Kafka's signed varints and protobuf's sint64 have it.
#[inline]
#[must_use]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
#[must_use]
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Writes into a borrowed slice. Never allocates; what does not fit is refused at the end.
pub struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    overflow: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the start of `out`.
    #[inline]
    pub fn new(out: &'a mut [u8]) -> Writer<'a> {
        Writer { out, at: 0, overflow: false }
    }

    /// Bytes written, or nothing when they did not fit.
    #[inline]
    #[must_use]
    pub fn finish(self) -> Option<usize> {
        if self.overflow { None } else { Some(self.at) }
    }

    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        match self.out.get_mut(self.at..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.at = end;
            }
            None => self.overflow = true,
        }
    }

    /// Appends one byte.
    #[inline]
    pub fn put_byte(&mut self, byte: u8) {
        match self.out.get_mut(self.at) {
            Some(place) => {
                *place = byte;
                self.at += 1;
            }
            None => self.overflow = true,
        }
    }

    /// Appends a varint.
    #[inline]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.put_byte(value as u8);
    }

    /// Appends a varint field, or nothing for zero.
    #[inline]
    pub fn varint_field(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.varint(u64::from(number) << 3);
            self.varint(value);
        }
    }

    /// Appends a length-delimited field.
    #[inline]
    pub fn bytes_field(&mut self, number: u32, bytes: &[u8]) {
        self.bytes_head(number, bytes.len());
        self.put(bytes);
    }

    /// Appends the key and the length of a length-delimited field; its bytes follow.
    #[inline]
    pub fn bytes_head(&mut self, number: u32, len: usize) {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(len as u64);
    }

    /// Appends one character of ISO-8859-1 as UTF-8.
    pub fn latin1(&mut self, byte: u8) {
        if byte < 0x80 {
            self.put_byte(byte);
        } else {
            self.put(&[0xC0 | byte >> 6, 0x80 | byte & 0x3F]);
        }
    }
}

/// A value as it stands in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Numbers and booleans.
    Varint(u64),
    /// Texts.
    Bytes(&'a [u8]),
    /// A type that no column has; skipped.
    Other,
}

/// What stands there is no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireError;

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes are no protobuf message")
    }
}

impl std::error::Error for WireError {}

/// Reads a varint off the front of `bytes`.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    // Nearly all end within eight bytes, and there are eight bytes to look at: seven bits of each
    // are moved together by halves.
    if let Some(word) = bytes.first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            let len = ends.trailing_zeros() / 8 + 1;
            let kept = word & (u64::MAX >> (64 - 8 * len));
            let pairs = (kept & 0x007F_007F_007F_007F) | (kept & 0x7F00_7F00_7F00_7F00) >> 1;
            let fours = (pairs & 0x0000_3FFF_0000_3FFF) | (pairs & 0x3FFF_0000_3FFF_0000) >> 2;
            let value = (fours & 0x0FFF_FFFF) | (fours & 0x0FFF_FFFF_0000_0000) >> 4;
            *bytes = bytes.get(len as usize..)?;
            return Some(value);
        }
    }
    take_long_varint(bytes)
}

/// One byte after the other: at the end of a message, and for what is longer than eight.
fn take_long_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..VARINT_BYTES_MAX {
        let byte = *bytes.get(at)?;
        let part = u64::from(byte & 0x7F);
        if at == VARINT_BYTES_MAX - 1 && part > 1 {
            return None; // over 64 bits
        }
        value |= part << (7 * at);
        if byte < 0x80 {
            *bytes = bytes.get(at + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Takes `len` bytes off the front of `bytes`.
#[inline]
pub fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(head)
}

/// The fields of a message, in the order they stand in.
#[must_use]
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// See [`fields`].
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u32, Value<'a>)> {
        let key = take_varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).ok().filter(|n| *n != 0)?;
        let value = match key & 7 {
            0 => Value::Varint(take_varint(&mut self.rest)?),
            1 => take(&mut self.rest, 8).map(|_| Value::Other)?,
            2 => {
                let len = usize::try_from(take_varint(&mut self.rest)?).ok()?;
                Value::Bytes(take(&mut self.rest, len)?)
            }
            5 => take(&mut self.rest, 4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read().ok_or(WireError);
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_as_long_as_it_is_said_to_be() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut buffer = [0; VARINT_BYTES_MAX];
                let mut out = Writer::new(&mut buffer);
                out.varint(value);
                let written = out.finish().unwrap();
                assert_eq!(written, varint_bytes(value), "{value}");
                let mut bytes = &buffer[..written];
                assert_eq!(take_varint(&mut bytes), Some(value));
                assert!(bytes.is_empty());
                assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_as_a_whole() {
        let mut buffer = [0; 4];
        let mut out = Writer::new(&mut buffer);
        out.put(b"abc");
        out.varint(300);
        assert_eq!(out.finish(), None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_loop() {
        let cut: [&[u8]; 6] =
            [&[0x80], &[0x0A, 5, 1], &[0x09, 1], &[0x0B], &[0x00, 1], &[0xFF; 11]];
        for bytes in cut {
            assert_eq!(fields(bytes).last(), Some(Err(WireError)), "{bytes:?}");
        }
        let known: Vec<_> = fields(&[0x08, 1, 0x0D, 0, 0, 0, 0, 0x12, 1, b'x']).collect();
        let want = [
            Ok((1, Value::Varint(1))),
            Ok((1, Value::Other)),
            Ok((2, Value::Bytes(b"x".as_slice()))),
        ];
        assert_eq!(known, want);
    }
}

//! What a client sent, as valid and bounded UTF-8, without a copy.
//!
//! Clients send bytes. Nearly always they are ASCII; sometimes they are UTF-8; sometimes they are
//! neither, and then each byte is read as ISO-8859-1, which loses nothing and cannot fail. A text
//! over its limit is cut at a character.

use crate::wire::Writer;

/// A borrowed text that encodes to at most `MAX` bytes of UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a, const MAX: usize> {
    bytes: &'a [u8],
    encoded_bytes: usize,
    form: Form,
    cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    Latin1,
}

impl<'a, const MAX: usize> From<&'a [u8]> for Text<'a, MAX> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        if bytes.len() <= MAX && bytes.is_ascii() {
            return Text { bytes, encoded_bytes: bytes.len(), form: Form::Utf8, cut: false };
        }
        Text::bounded(bytes)
    }
}

impl<'a, const MAX: usize> From<&'a str> for Text<'a, MAX> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Text::from(text.as_bytes())
    }
}

impl<'a, const MAX: usize> Text<'a, MAX> {
    /// The rare case: not ASCII, or too long.
    #[cold]
    fn bounded(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let end = floor_char_boundary(text, MAX);
                let kept = bytes.get(..end).unwrap_or_default();
                Text { bytes: kept, encoded_bytes: end, form: Form::Utf8, cut: end < bytes.len() }
            }
            Err(_) => {
                let (end, encoded_bytes) = latin1_prefix(bytes, MAX);
                let kept = bytes.get(..end).unwrap_or_default();
                Text { bytes: kept, encoded_bytes, form: Form::Latin1, cut: end < bytes.len() }
            }
        }
    }

    /// Size in UTF-8, after the cut.
    #[inline]
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.encoded_bytes
    }

    /// Whether there is nothing in it.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether it was longer than `MAX`.
    #[inline]
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Writes it as protobuf field `number`.
    #[inline]
    pub fn encode(&self, number: u32, out: &mut Writer<'_>) {
        match self.form {
            Form::Utf8 => out.bytes_field(number, self.bytes),
            Form::Latin1 => {
                out.bytes_head(number, self.encoded_bytes);
                self.bytes.iter().for_each(|b| out.latin1(*b));
            }
        }
    }
}

/// The last character boundary at or below `limit`.
fn floor_char_boundary(text: &str, limit: usize) -> usize {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1; // index 0 is always a boundary
    }
    end
}

/// How many bytes of ISO-8859-1 fit into `limit` bytes of UTF-8, and into how many they turn.
fn latin1_prefix(bytes: &[u8], limit: usize) -> (usize, usize) {
    let mut encoded = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let next = encoded + 1 + usize::from(*byte >= 0x80);
        if next > limit {
            return (at, encoded);
        }
        encoded = next;
    }
    (bytes.len(), encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], want: &str, cut: bool) {
        let text = Text::<8>::from(input);
        let mut buffer = [0; 64];
        let mut out = Writer::new(&mut buffer);
        text.encode(1, &mut out);
        let written = out.finish().unwrap();
        let value = &buffer[..written][2..];
        assert_eq!(std::str::from_utf8(value).unwrap(), want, "{input:?}");
        assert_eq!(text.encoded_bytes(), want.len(), "{input:?}");
        assert_eq!(text.is_cut(), cut, "{input:?}");
    }

    #[test]
    fn any_bytes_become_bounded_utf8() {
        check(b"abc", "abc", false);
        check(b"12345678", "12345678", false);
        check(b"123456789", "12345678", true);
        check("grün".as_bytes(), "grün", false);
        check("1234567ü".as_bytes(), "1234567", true);
        check(b"gr\xfcn", "grün", false);
        check(b"\xff\xff\xff\xff\xff", "ÿÿÿÿ", true);
        check(b"1234567\xff", "1234567", true);
        check("日本語".as_bytes(), "日本", true);
    }
}

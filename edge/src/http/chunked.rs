//! A body in chunks, decoded as it comes. SPEC: RFC 9112 section 7.1.
//!
//! ```text
//!  size[;extension] CRLF  data CRLF  …  0 CRLF  [trailer CRLF]…  CRLF
//! ```
//!
//! Line ends are CRLF and nothing else: a reader that is generous here is one that can be smuggled
//! past. Extensions and trailers are passed over, and counted against a bound.

use super::error::HttpError;

/// BOUND: bytes of sizes, extensions and trailers, over the whole body.
const OVERHEAD_BYTES_MAX: u32 = 16 * 1024;

/// Where a body stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkDecoder {
    state: State,
    /// Bytes left of the chunk's data, or its size as far as it was read.
    size: u64,
    overhead: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit.
    SizeFirst,
    Size,
    Extension,
    SizeLf,
    Data,
    DataLf,
    /// At the start of a trailer line.
    TrailerFirst,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// What a decoder did with some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that were used.
    pub consumed: usize,
    /// The used bytes that are body, counted from the first used one.
    pub data: (usize, usize),
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        ChunkDecoder { state: State::SizeFirst, size: 0, overhead: 0 }
    }
}

impl ChunkDecoder {
    /// Whether the body is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Goes on through `bytes` up to and with the next run of data. Called again until it uses
    /// nothing or the body is over.
    ///
    /// # Errors
    /// [`HttpError::Chunk`] when it is no chunked body.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, HttpError> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.state == State::Data && self.size > 0 {
                let len = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.size -= len as u64;
                return Ok(Decoded { consumed: at + len, data: (at, at + len) });
            }
            if self.is_done() {
                return Ok(Decoded { consumed: at, data: (at, at) });
            }
            self.overhead += 1;
            if self.overhead > OVERHEAD_BYTES_MAX {
                return Err(HttpError::Chunk);
            }
            self.step(*byte)?;
        }
        Ok(Decoded { consumed: bytes.len(), data: (0, 0) })
    }

    /// Uses one byte that is no data.
    fn step(&mut self, byte: u8) -> Result<(), HttpError> {
        use State::{
            Data, DataLf, Done, EndLf, Extension, Size, SizeFirst, SizeLf, Trailer, TrailerFirst,
            TrailerLf,
        };
        self.state = match (self.state, byte) {
            (SizeFirst | Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                self.size = self.size.checked_mul(16).ok_or(HttpError::Chunk)? + u64::from(digit);
                Size
            }
            (Size | Extension, b'\r') => SizeLf,
            (Size, b';' | b' ' | b'\t') => Extension,
            (Extension, b'\n') => return Err(HttpError::Chunk),
            (Extension, _) => Extension,
            (SizeLf, b'\n') if self.size == 0 => TrailerFirst,
            (SizeLf, b'\n') => Data,
            // The data of the chunk is used up.
            (Data, b'\r') => DataLf,
            (DataLf, b'\n') => SizeFirst,
            (TrailerFirst, b'\r') => EndLf,
            (TrailerFirst | Trailer, b'\n') => return Err(HttpError::Chunk),
            (Trailer, b'\r') => TrailerLf,
            (TrailerFirst | Trailer, _) => Trailer,
            (TrailerLf, b'\n') => TrailerFirst,
            (EndLf, b'\n') => Done,
            _ => return Err(HttpError::Chunk),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of `step` bytes; the body and the bytes used.
    fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), HttpError> {
        let mut decoder = ChunkDecoder::default();
        let mut body = Vec::new();
        let mut used = 0;
        while used < bytes.len() && !decoder.is_done() {
            let piece = &bytes[used..(used + step).min(bytes.len())];
            let decoded = decoder.decode(piece)?;
            body.extend_from_slice(&piece[decoded.data.0..decoded.data.1]);
            used += decoded.consumed;
        }
        Ok((body, used, decoder.is_done()))
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let rows: [(&[u8], &[u8], usize); 5] = [
            (b"0\r\n\r\nnext", b"", 4),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello", 0),
            (
                b"5;x=\"y\"\r\nhello\r\n006\r\n world\r\n0\r\nT: 1\r\nU: 2\r\n\r\nGET",
                b"hello world",
                3,
            ),
            (b"a\r\n0123456789\r\n0;end\r\n\r\n", b"0123456789", 0),
            (b"1 \r\nx\r\n0\r\n\r\n", b"x", 0),
        ];
        for (bytes, body, behind) in rows {
            for step in 1..=bytes.len() {
                let got = decode(bytes, step).unwrap();
                assert_eq!(got, (body.to_vec(), bytes.len() - behind, true), "{step}");
            }
        }
    }

    #[test]
    fn what_is_no_chunked_body_is_refused() {
        let long = [b"1;".as_slice(), &[b'x'; 20_000]].concat();
        let rows: [&[u8]; 9] = [
            b"\r\n",
            b"g\r\n",
            b"5\nhello",
            b"-1\r\n",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"0\r\nT: 1\n\r\n",
            b"11111111111111111\r\n",
            &long,
        ];
        for bytes in rows {
            for step in [1, bytes.len()] {
                assert_eq!(decode(bytes, step), Err(HttpError::Chunk), "{bytes:?}");
            }
        }
    }
}

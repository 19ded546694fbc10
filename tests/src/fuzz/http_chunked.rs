//! A chunked body, as it is sent and as an enemy sends it: the same however it is cut.
//!
//! ```text
//!  input = piece, flags │ bytes: decoded as they are, and once more as the body that is sent
//! ```

use super::{feature::reached, input::Input};
use edge::http::{chunked::ChunkDecoder, error::HttpError};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn http_chunked(data: &[u8]) {
    let mut input = Input::new(data);
    let (piece, flags) = (1 + usize::from(input.byte()), input.byte());
    let bytes = input.rest();
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(decode(bytes, piece), whole, "in pieces of {piece}");
    reached(whole.as_ref().map(|d| (d.is_done, d.body.len().min(3))).map_err(|e| *e));

    let body = &bytes[..bytes.len().min(SENT_BYTES_MAX)];
    let mut sent = send(body, flags);
    let end = sent.len();
    sent.extend_from_slice(b"GET / HTTP/1.1");
    let decoded = decode(&sent, piece).expect("what is sent is a chunked body");
    assert_eq!(decoded, Decoded { body: body.to_vec(), used: end, is_done: true });
}

/// Sizes and extensions of so many bytes stay below the decoder's bound.
const SENT_BYTES_MAX: usize = 2000;

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    body: Vec<u8>,
    used: usize,
    is_done: bool,
}

fn decode(bytes: &[u8], piece: usize) -> Result<Decoded, HttpError> {
    let mut decoder = ChunkDecoder::default();
    let mut decoded = Decoded { body: Vec::new(), used: 0, is_done: false };
    while decoded.used < bytes.len() && !decoder.is_done() {
        let piece = &bytes[decoded.used..(decoded.used + piece).min(bytes.len())];
        let step = decoder.decode(piece)?;
        assert!(step.consumed > 0 && step.data.0 <= step.data.1 && step.data.1 <= step.consumed);
        decoded.body.extend_from_slice(&piece[step.data.0..step.data.1]);
        decoded.used += step.consumed;
    }
    decoded.is_done = decoder.is_done();
    Ok(decoded)
}

/// A body in chunks of 16 bytes, with what the flags ask for around them.
fn send(body: &[u8], flags: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(16) {
        let zeros = if flags & 1 != 0 { "00" } else { "" };
        let extension = if flags & 2 != 0 { ";name=\"value\"" } else { "" };
        out.extend(format!("{zeros}{:X}{extension}\r\n", chunk.len()).into_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n");
    for _ in 0..flags >> 6 {
        out.extend_from_slice(b"Trailer: 1\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let bodies: [&[u8]; 5] = [
        b"0\r\n\r\nnext",
        b"5;x=\"y\"\r\nhello\r\n006\r\n world\r\n0\r\nT: 1\r\nU: 2\r\n\r\nGET",
        b"a\r\n0123456789\r\n0;end\r\n\r\n",
        b"1 \r\nx\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nx",
    ];
    let seed = |(at, body): (usize, &&[u8])| [&[3 * at as u8, 50 * at as u8], *body].concat();
    bodies.iter().enumerate().map(seed).collect()
}

pub(super) const WORDS: &[&[u8]] =
    &[b"\r\n", b"\n", b"0\r\n\r\n", b"1\r\nx\r\n", b";", b" ", b"T: 1\r\n", b"ffffffff", b"10\r\n"];

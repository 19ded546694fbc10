//! Google Authorized Buyers, real-time curation: a POST with a segment request in JSON, packed with
//! gzip or not, answered by a list of segments in JSON.
//!
//! ```text
//!  body ─▶ gzip ─▶ json ─▶ segment_request ─▶ Asked        segments ─▶ JSON ─▶ gzip ─▶ 200
//!          unpacked    read where it lies                  none ───────────────────▶ 204
//! ```
//!
//! Nothing here takes memory once it serves, and nothing does more work than a bound: a body is
//! unpacked to so many bytes and no further, and read once, from its front to its end. What is no
//! segment request gets the same answer as a user whom nobody knows.

mod gzip;
mod json;
mod segment_request;

use super::Heard;
use crate::{
    http::{
        answer::{Answer, Fixed},
        head::Head,
    },
    roles::{
        Request,
        provider::{
            answers::{ANSWER_BYTES_MAX, Lines},
            decision::asked::Asked,
        },
    },
};
use gzip::{Packer, Unpacker};
use segment_request::ExtendedRoom;

/// Reads segment requests.
pub(in crate::roles::provider) struct Reader {
    unpacker: Unpacker,
    /// BOUND: longest body once it is unpacked.
    unpacked: Box<[u8]>,
    /// Texts without their escapes: never longer than the body, so there is always room.
    plain: Box<[u8]>,
    extended: Box<ExtendedRoom>,
}

/// What a reader and a writer take together, for bodies up to this length.
pub(super) const fn memory_bytes(text_bytes_max: usize) -> usize {
    2 * text_bytes_max + size_of::<ExtendedRoom>() + gzip::STATES_BYTES + 2 * TEXT_BYTES_MAX
}

impl Reader {
    pub(super) fn new(text_bytes_max: usize) -> Reader {
        // Zeros come straight from the kernel and take no memory until they are written.
        let room = || vec![0; text_bytes_max].into_boxed_slice();
        Reader {
            unpacker: Unpacker::default(),
            unpacked: room(),
            plain: room(),
            extended: Box::default(),
        }
    }

    /// What a request asks.
    pub(super) fn read<'a>(&'a mut self, request: &Request<'a>) -> Heard<'a> {
        let asked = self.asked(request);
        let is_call = asked.is_some();
        // Nothing of what is broken is believed, and so nothing of it is told.
        Heard { asked: asked.unwrap_or_default(), is_call }
    }

    fn asked<'a>(&'a mut self, request: &Request<'a>) -> Option<Asked<'a>> {
        let Reader { unpacker, unpacked, plain, extended } = self;
        if request.head.method != "POST" {
            return None;
        }
        let text = if request.head.fields.body_is_gzip {
            unpacker.unpack(request.body, unpacked)?
        } else {
            request.body
        };
        if text.len() > plain.len() {
            return None;
        }
        segment_request::read(text, plain, extended)
    }
}

/// Writes lists of segments.
pub(in crate::roles::provider) struct Writer {
    packer: Packer,
    text: Box<[u8; TEXT_BYTES_MAX]>,
}

/// No segment applies, or it is not for us to say so. SPEC: RFC 9110 section 8.6: an answer with
/// this status has no Content-Length.
pub(super) static NOTHING: Fixed =
    Fixed { status: 204, head: b"HTTP/1.1 204 No Content\r\n", body: b"" };

static HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

static PACKED_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n";

/// Longer answers are packed, if that is wanted. This is a choice and no measurement: what fits
/// into one packet of a network comes no sooner when it is packed.
const PLAIN_BYTES_MAX: usize = 1024;

const START: &[u8] = b"{\"segment\":[";
const ITEM_START: &[u8] = b"{\"segment_id\":\"";
const NEXT_ITEM_START: &[u8] = b",{\"segment_id\":\"";
const ITEM_END: &[u8] = b"\"}";
const END: &[u8] = b"]}";

/// BOUND: longest answer: as many segments as lines can be, with an escape for each of their bytes.
const TEXT_BYTES_MAX: usize = START.len()
    + ANSWER_BYTES_MAX / 2 * (NEXT_ITEM_START.len() + ITEM_END.len())
    + ANSWER_BYTES_MAX * 2
    + END.len();

impl Writer {
    pub(super) fn new() -> Writer {
        Writer { packer: Packer::new(TEXT_BYTES_MAX), text: Box::new([0; TEXT_BYTES_MAX]) }
    }

    /// Says these segments.
    pub(super) fn write(&mut self, lines: &Lines, head: &Head<'_>, answer: &mut Answer<'_>) {
        let Some(text) = json_of(lines, &mut *self.text) else {
            answer.fixed(&NOTHING);
            return;
        };
        let is_packed = text.len() > PLAIN_BYTES_MAX && head.fields.accept_gzip();
        match is_packed.then(|| self.packer.pack(text)).flatten() {
            Some(packed) => answer.with_body(200, PACKED_HEAD, packed),
            None => answer.with_body(200, HEAD, text),
        }
    }
}

/// `{"segment":[{"segment_id":"CODE"},…]}`, unless there is no segment.
fn json_of<'r>(lines: &Lines, room: &'r mut [u8]) -> Option<&'r [u8]> {
    let codes = lines.as_bytes().strip_suffix(b"\n")?;
    let mut at = 0;
    let mut put = |bytes: &[u8]| -> Option<()> {
        room.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        at += bytes.len();
        Some(())
    };
    put(START)?;
    for (place, code) in codes.split(|b| *b == b'\n').enumerate() {
        put(if place == 0 { ITEM_START } else { NEXT_ITEM_START })?;
        // Codes are printable ASCII, so two of their characters need an escape.
        let mut rest = code;
        while let Some(special) = memchr::memchr2(b'"', b'\\', rest) {
            let (before, behind) = rest.split_at_checked(special)?;
            let (special, behind) = behind.split_at_checked(1)?;
            [before, b"\\", special].into_iter().try_for_each(&mut put)?;
            rest = behind;
        }
        put(rest)?;
        put(ITEM_END)?;
    }
    put(END)?;
    room.get(..at)
}

#[cfg(test)]
mod tests;

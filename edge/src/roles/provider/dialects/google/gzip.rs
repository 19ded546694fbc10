//! gzip, as a body is packed with it: one member, all of it there, in memory that is taken once.
//!
//! ```text
//!  1f 8b  08  flags  time  hints │ extra, name, comment, crc16 │ deflate │ crc32  length
//!    2    1     1     4     2    │   as far as flags say so    │         │   4      4
//! ```
//!
//! SPEC: RFC 1952. The header is read and written here, as flate2's own reader of it takes memory
//! for each body. A second member, or anything else behind the first one, is refused.

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

/// What an unpacker and a packer keep beside the packer's room: 43 KiB to inflate, with a window of
/// 32 KiB in it, and 312 KiB to deflate.
pub(super) const STATES_BYTES: usize = 360 << 10;

/// Unpacks bodies.
pub(super) struct Unpacker {
    inflate: Decompress,
}

impl Default for Unpacker {
    fn default() -> Self {
        Unpacker { inflate: Decompress::new(false) }
    }
}

impl Unpacker {
    /// What was packed, or nothing when it is broken or longer than the room. BOUND: it stops where
    /// the room ends, however much a body says that it holds.
    pub(super) fn unpack<'r>(&mut self, packed: &[u8], room: &'r mut [u8]) -> Option<&'r [u8]> {
        let deflated = behind_header(packed)?;
        self.inflate.reset(false);
        let status = self.inflate.decompress(deflated, room, FlushDecompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) {
            return None;
        }
        let text = room.get(..self.inflate.total_out() as usize)?;
        let (crc, bytes) =
            deflated.get(self.inflate.total_in() as usize..)?.split_first_chunk::<4>()?;
        let is_whole = *crc == crc_of(text) && bytes == (text.len() as u32).to_le_bytes();
        is_whole.then_some(text)
    }
}

/// Packs answers.
pub(super) struct Packer {
    deflate: Compress,
    room: Box<[u8]>,
}

/// Deflate, no flags, no time, packed fast, by a system that is not told.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

/// What follows the deflated bytes.
const TRAILER_BYTES: usize = 8;

impl Packer {
    /// For answers up to a length. What does not become shorter than that is not packed.
    pub(super) fn new(bytes_max: usize) -> Packer {
        let deflate = Compress::new(Compression::fast(), false);
        Packer { deflate, room: vec![0; bytes_max].into_boxed_slice() }
    }

    /// A text packed, or nothing where the room is too small for it.
    pub(super) fn pack(&mut self, text: &[u8]) -> Option<&[u8]> {
        self.deflate.reset();
        let (header, rest) = self.room.split_first_chunk_mut()?;
        *header = HEADER;
        let status = self.deflate.compress(text, rest, FlushCompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) {
            return None;
        }
        let deflated = self.deflate.total_out() as usize;
        let (crc, rest) = rest.get_mut(deflated..)?.split_first_chunk_mut()?;
        *crc = crc_of(text);
        *rest.first_chunk_mut()? = (text.len() as u32).to_le_bytes();
        self.room.get(..HEADER.len() + deflated + TRAILER_BYTES)
    }
}

fn crc_of(text: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(text);
    crc.sum().to_le_bytes()
}

/// Flags of a header. Text is a hint, and means nothing here.
const HAS_CRC16: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// What follows the header, or nothing if it is none. SPEC: RFC 1952 section 2.3.
fn behind_header(packed: &[u8]) -> Option<&[u8]> {
    let ([0x1f, 0x8b, 8, flags, ..], mut rest) = packed.split_first_chunk::<10>()? else {
        return None;
    };
    let has = |flag| flags & flag != 0;
    if has(RESERVED) {
        return None;
    }
    if has(HAS_EXTRA) {
        let (length, behind) = rest.split_first_chunk()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if has(flag) {
            rest = rest.get(memchr::memchr(0, rest)? + 1..)?;
        }
    }
    // What is wrong with a header shows in the text, whose own sum is checked.
    if has(HAS_CRC16) { rest.get(2..) } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{GzBuilder, read::GzDecoder, write::GzEncoder};
    use std::io::{Read, Write};

    fn packed(builder: GzBuilder, text: &[u8]) -> Vec<u8> {
        let mut encoder: GzEncoder<_> = builder.write(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_others_pack_is_unpacked_whatever_their_header_says() {
        let text = b"segment request ".repeat(200);
        let (mut unpacker, mut room) = (Unpacker::default(), vec![0; text.len()]);
        let full = GzBuilder::new().extra("extra").filename("name").comment("comment").mtime(9);
        for builder in [GzBuilder::new(), full] {
            let packed = packed(builder, &text);
            assert_eq!(unpacker.unpack(&packed, &mut room), Some(&text[..]));
        }
        let empty = packed(GzBuilder::new(), b"");
        assert_eq!(unpacker.unpack(&empty, &mut room), Some(&b""[..]));
        let mut with_crc16 = packed(GzBuilder::new(), &text);
        with_crc16[3] |= HAS_CRC16;
        with_crc16.splice(10..10, [0, 0]);
        assert_eq!(unpacker.unpack(&with_crc16, &mut room), Some(&text[..]));
    }

    #[test]
    fn what_is_broken_is_refused_and_the_next_body_is_read_all_the_same() {
        let text = b"segment request ".repeat(20);
        let (mut unpacker, mut room) = (Unpacker::default(), vec![0; text.len()]);
        let good = packed(GzBuilder::new().filename("name"), &text);
        for end in 0..good.len() {
            assert_eq!(unpacker.unpack(&good[..end], &mut room), None, "{end}");
        }
        // A bit of the magic number, the method, the flags, the sum and the length.
        for at in (0..4).chain(good.len() - 8..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 0x80;
            assert_eq!(unpacker.unpack(&bad, &mut room), None, "{at}");
        }
        // Behind the last code there may be bits that mean nothing; no other one does.
        for at in 15..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let unpacked = unpacker.unpack(&bad, &mut room);
            assert!(unpacked.is_none_or(|unpacked| unpacked == text), "{at}");
        }
        for more in [&b"\0"[..], &good] {
            assert_eq!(unpacker.unpack(&[&good, more].concat(), &mut room), None);
        }
        assert_eq!(unpacker.unpack(&good, &mut room[1..]), None, "no room");
        assert_eq!(unpacker.unpack(&good, &mut room), Some(&text[..]));
    }

    #[test]
    fn a_body_that_unpacks_to_more_than_the_room_is_given_up_where_the_room_ends() {
        let bomb = packed(GzBuilder::new(), &vec![b' '; 50 << 20]);
        let mut unpacker = Unpacker::default();
        assert_eq!(unpacker.unpack(&bomb, &mut [0; 4096]), None);
        assert!(unpacker.inflate.total_out() <= 4096);
    }

    #[test]
    fn what_is_packed_here_is_unpacked_by_others() {
        let mut packer = Packer::new(4096);
        for length in [0, 1, 1025, 4096, 100_000] {
            let text = vec![b's'; length];
            let packed = packer.pack(&text).unwrap();
            let mut unpacked = Vec::new();
            GzDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, text);
        }
        let mut state = 1_u32;
        let noise = [(); 4096].map(|()| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        assert_eq!(packer.pack(&noise), None, "no room");
    }
}

//! Where each field of a frame header lies: offsets derived from each other, so that none overlap.

use super::{FRAME_ALIGN, FrameError, SHED_REASONS};
use crate::ids::NAME_BYTES_MAX;

/// Bytes in front of the payload.
pub const HEADER_BYTES: usize = 256;

pub(super) const VERSION: u8 = 1;
pub(super) const MAGIC: [u8; 8] = *b"BRNKFRM\x01";
pub(super) const CODEC_ZSTD: u8 = 4;

pub(super) mod at {
    use super::{NAME_BYTES_MAX, SHED_REASONS};

    pub(in crate::frame) const MAGIC: usize = 0;
    pub(in crate::frame) const HEADER_CRC: usize = MAGIC + 8;
    pub(in crate::frame) const PAYLOAD_CRC: usize = HEADER_CRC + 4;
    pub(in crate::frame) const GENERATION: usize = PAYLOAD_CRC + 4;
    pub(in crate::frame) const POSITION: usize = GENERATION + 8;
    pub(in crate::frame) const COMMIT_POSITION: usize = POSITION + 8;
    pub(in crate::frame) const INCARNATION: usize = COMMIT_POSITION + 8;
    pub(in crate::frame) const FIRST_SEQUENCE: usize = INCARNATION + 8;
    pub(in crate::frame) const BASE_TIMESTAMP: usize = FIRST_SEQUENCE + 8;
    pub(in crate::frame) const MAX_TIMESTAMP: usize = BASE_TIMESTAMP + 8;
    pub(in crate::frame) const HOUR: usize = MAX_TIMESTAMP + 8;
    pub(in crate::frame) const SCHEMA: usize = HOUR + 4;
    pub(in crate::frame) const COUNT: usize = SCHEMA + 4;
    pub(in crate::frame) const PAYLOAD_BYTES: usize = COUNT + 4;
    pub(in crate::frame) const RAW_BYTES: usize = PAYLOAD_BYTES + 4;
    pub(in crate::frame) const SHARD: usize = RAW_BYTES + 4;
    pub(in crate::frame) const CLASS: usize = SHARD + 2;
    pub(in crate::frame) const CODEC: usize = CLASS + 1;
    pub(in crate::frame) const SHED: usize = CODEC + 1;
    pub(in crate::frame) const EDGE: usize = SHED + 4 * SHED_REASONS;
    pub(in crate::frame) const TOPIC: usize = EDGE + NAME_BYTES_MAX;
    pub(in crate::frame) const END: usize = TOPIC + NAME_BYTES_MAX;
}

const _: () = assert!(at::SHED == 96 && at::END == 176, "the byte picture says so");
const _: () = assert!(at::END <= HEADER_BYTES && HEADER_BYTES <= FRAME_ALIGN);

/// Fills a header.
pub(super) struct Cursor<'a> {
    bytes: &'a mut [u8; HEADER_BYTES],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a mut [u8; HEADER_BYTES]) -> Cursor<'a> {
        Cursor { bytes }
    }

    pub(super) fn put(&mut self, at: usize, part: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    }

    /// Puts the checksum over what was filled in.
    pub(super) fn seal(mut self) {
        let crc = crc32c::crc32c(self.bytes);
        self.put(at::HEADER_CRC, &crc.to_le_bytes());
    }
}

/// Reads fields of a header whose checksum was found right.
pub(super) struct Reader<'a> {
    bytes: &'a [u8; HEADER_BYTES],
}

impl Reader<'_> {
    pub(super) fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let part = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        part.copied().unwrap_or([0; N])
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

/// Checks magic, version and checksum.
pub(super) fn checked(bytes: &[u8]) -> Result<Reader<'_>, FrameError> {
    let bytes = bytes.first_chunk::<HEADER_BYTES>().ok_or(FrameError::NotAFrame)?;
    let reader = Reader { bytes };
    let magic: [u8; 8] = reader.array(at::MAGIC);
    let [name @ .., version] = magic;
    let [want @ .., _] = MAGIC;
    if name != want {
        return Err(FrameError::NotAFrame);
    }
    let mut zeroed = *bytes;
    Cursor::new(&mut zeroed).put(at::HEADER_CRC, &[0; 4]);
    if crc32c::crc32c(&zeroed) != reader.u32(at::HEADER_CRC) {
        return Err(FrameError::HeaderCrc);
    }
    // Only a header whose checksum is right can say that it is of another version.
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    Ok(reader)
}

//! What a frame carries: whether it is what was written, and the records in it.

use brink_proto::frame::{FrameHeader, HEADER_BYTES, RAW_BYTES_MAX};
use std::io;
use zstd::bulk::Decompressor;

/// Whether `bytes`, read at a frame's place, hold that frame and its whole payload.
pub(crate) fn has_sound_payload(frame: &FrameHeader, bytes: &[u8]) -> bool {
    FrameHeader::decode(bytes) == Ok(*frame)
        && payload(frame, bytes).is_some_and(|p| crc32c::crc32c(p) == frame.payload_crc)
}

fn payload<'b>(frame: &FrameHeader, bytes: &'b [u8]) -> Option<&'b [u8]> {
    bytes.get(HEADER_BYTES..HEADER_BYTES + frame.batch.payload_bytes as usize)
}

/// Decompresses payloads, one at a time.
pub(crate) struct Unpacker {
    decompressor: Decompressor<'static>,
    raw: Box<[u8]>,
}

impl Unpacker {
    /// One with its memory.
    pub(crate) fn new() -> io::Result<Unpacker> {
        let raw = vec![0; RAW_BYTES_MAX].into_boxed_slice();
        Ok(Unpacker { decompressor: Decompressor::new()?, raw })
    }

    /// The records section of a frame, whose bytes were found sound. It is never longer than the
    /// header says.
    pub(crate) fn unpack(&mut self, frame: &FrameHeader, bytes: &[u8]) -> io::Result<&[u8]> {
        let payload = payload(frame, bytes).unwrap_or_default();
        // BOUND: a header that says more is refused where it is read.
        let room = &mut self.raw[..frame.batch.raw_bytes as usize];
        let count = self.decompressor.decompress_to_buffer(payload, room)?;
        Ok(&self.raw[..count])
    }
}

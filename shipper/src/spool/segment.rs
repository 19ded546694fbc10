//! A segment: a preallocated file of frames, and the blocks at its two ends.
//!
//! ```text
//!  offset 0                    head     4 KiB: which generation lives in this file
//!  offset 4096                 frames   each 4 KiB aligned
//!  segment bytes - 16 KiB      summary  written when the segment is sealed
//! ```
//!
//! ```text
//!  head                                summary
//!   at size                             at size
//!    0    8  "BRNKSEG" and version       0    8  "BRNKSUM" and version
//!    8    4  crc32c, this field zero     8    4  crc32c, this field zero
//!   12    4  generation                 12    4  generation
//!   16    8  segment bytes              16    4  end: offset behind the last frame
//!                                       20    4  frames
//!                                       24    4  streams
//!                                      128  128  for each stream:
//!                                            0   32  edge
//!                                           32   32  topic
//!                                           64    8  incarnation
//!                                           72    8  first sequence
//!                                           80    8  end sequence
//!                                           88    8  events
//!                                           96    8  frame bytes
//!                                          104    4  first hour
//!                                          108    4  last hour
//!                                          112    4  offset of the first frame
//!                                          116    4  offset of the last frame
//!                                          120    2  shard
//! ```
//!
//! Numbers are little-endian. A start reads one summary per sealed segment and walks frame headers
//! only where there is none. A file is recycled by a new name and a new head: what is left in it of
//! an older generation is then nothing.

use brink_proto::{
    frame::{FRAME_ALIGN, FRAME_BYTES_MAX, FrameHeader},
    ids::{Hour, Incarnation, Name, Sequence, ShardId, StreamId},
};

/// Where the first frame lies.
pub const FRAMES_FROM: u32 = FRAME_ALIGN as u32;

/// Room for the summary at the end of a segment.
pub const SUMMARY_BYTES: u32 = 16 * 1024;

/// BOUND: streams in one segment; one more starts a new segment.
pub const STREAMS_MAX: usize = (SUMMARY_BYTES as usize - ENTRIES_FROM) / ENTRY_BYTES;

/// A segment smaller than this could not take one longest frame.
pub const SEGMENT_BYTES_MIN: u32 = FRAMES_FROM + FRAME_BYTES_MAX as u32 + SUMMARY_BYTES;

const HEAD_MAGIC: [u8; 8] = *b"BRNKSEG\x01";
const SUMMARY_MAGIC: [u8; 8] = *b"BRNKSUM\x01";
const ENTRIES_FROM: usize = 128;
const ENTRY_BYTES: usize = 128;

const _: () = assert!((SUMMARY_BYTES as usize).is_multiple_of(FRAME_ALIGN));
const _: () = assert!(STREAMS_MAX >= 100);

/// The folder of a spool that segments lie in.
pub const FOLDER: &str = "segments";

/// The name of the segment file of a generation.
#[must_use]
pub fn file_name(generation: u32) -> String {
    format!("{FOLDER}/{generation:010}.seg")
}

/// The name of a file that waits to be recycled.
#[must_use]
pub fn free_name(generation: u32) -> String {
    format!("{FOLDER}/{generation:010}.free")
}

/// Whether a name is that of a segment which lives.
#[must_use]
pub fn is_segment(name: &str) -> bool {
    name.ends_with(".seg")
}

/// The generation in a name of [`file_name`] or [`free_name`], without its folder.
#[must_use]
pub fn generation_of(name: &str, extension: &str) -> Option<u32> {
    name.strip_suffix(extension)?.parse().ok()
}

/// Fills a head block.
pub fn write_head(block: &mut [u8], generation: u32, segment_bytes: u32) {
    block.fill(0);
    block[..8].copy_from_slice(&HEAD_MAGIC);
    put_u32(block, 12, generation);
    put_u64(block, 16, u64::from(segment_bytes));
    seal(&mut block[..FRAME_ALIGN]);
}

/// What a head block says: generation and segment bytes. Nothing when it is no head of ours.
///
/// # Errors
/// The version, when it is a sound head of a version that this build does not know.
pub fn read_head(block: &[u8]) -> Result<Option<(u32, u64)>, u8> {
    if block.len() < FRAME_ALIGN || block[..7] != HEAD_MAGIC[..7] || !sound(&block[..FRAME_ALIGN]) {
        return Ok(None);
    }
    if block[7] != HEAD_MAGIC[7] {
        return Err(block[7]);
    }
    Ok(Some((read_u32(block, 12), read_u64(block, 16))))
}

/// What a segment holds of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream.
    pub stream: StreamId,
    /// Sequence of its first event here.
    pub first: Sequence,
    /// Sequence behind its last event here.
    pub end: Sequence,
    /// Events.
    pub events: u64,
    /// Bytes of its frames.
    pub bytes: u64,
    /// Hours of its first and last frame.
    pub hours: (Hour, Hour),
    /// Offsets of its first and last frame.
    pub offsets: (u32, u32),
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Offset behind the last frame.
    pub end: u32,
    /// Frames.
    pub frames: u32,
    /// Each stream.
    pub streams: Vec<StreamSummary>,
}

impl Summary {
    /// An empty segment.
    #[must_use]
    pub fn empty() -> Summary {
        Summary { end: FRAMES_FROM, frames: 0, streams: Vec::new() }
    }

    /// Whether a frame of `stream` finds room in the table.
    #[must_use]
    pub fn takes(&self, stream: &StreamId) -> bool {
        self.streams.len() < STREAMS_MAX || self.streams.iter().any(|s| s.stream == *stream)
    }

    /// What a segment of these frames holds.
    #[must_use]
    pub fn of(frames: &[FrameHeader]) -> Summary {
        let mut summary = Summary::empty();
        for frame in frames {
            summary.add(&frame.batch, frame.position.offset(), frame.frame_bytes() as u32);
        }
        summary
    }

    /// Adds a frame at `offset`.
    pub fn add(&mut self, batch: &brink_proto::frame::BatchInfo, offset: u32, bytes: u32) {
        self.end = offset + bytes;
        self.frames += 1;
        let known = self.streams.iter_mut().find(|s| s.stream == batch.stream);
        if let Some(entry) = known {
            entry.end = entry.end.max(batch.end_sequence());
            entry.events += u64::from(batch.count);
            entry.bytes += u64::from(bytes);
            entry.hours.1 = batch.hour;
            entry.offsets.1 = offset;
            return;
        }
        self.streams.push(StreamSummary {
            stream: batch.stream,
            first: batch.first_sequence,
            end: batch.end_sequence(),
            events: u64::from(batch.count),
            bytes: u64::from(bytes),
            hours: (batch.hour, batch.hour),
            offsets: (offset, offset),
        });
    }

    /// Fills a summary block of [`SUMMARY_BYTES`].
    pub fn encode(&self, block: &mut [u8], generation: u32) {
        block.fill(0);
        block[..8].copy_from_slice(&SUMMARY_MAGIC);
        put_u32(block, 12, generation);
        put_u32(block, 16, self.end);
        put_u32(block, 20, self.frames);
        put_u32(block, 24, self.streams.len() as u32);
        for (index, entry) in self.streams.iter().enumerate() {
            let at = ENTRIES_FROM + index * ENTRY_BYTES;
            entry.encode(&mut block[at..at + ENTRY_BYTES]);
        }
        seal(&mut block[..SUMMARY_BYTES as usize]);
    }

    /// The version of a sound summary of `generation` that this build does not know.
    pub(crate) fn newer_version(block: &[u8], generation: u32) -> Option<u8> {
        let block = block.get(..SUMMARY_BYTES as usize)?;
        let is_newer = block[..7] == SUMMARY_MAGIC[..7] && block[7] > SUMMARY_MAGIC[7];
        (is_newer && sound(block) && read_u32(block, 12) == generation).then_some(block[7])
    }

    /// Reads the summary of `generation`; nothing when the block holds none of it.
    #[must_use]
    pub fn decode(block: &[u8], generation: u32) -> Option<Summary> {
        match SummaryPlace::read(block, generation) {
            SummaryPlace::Summary(summary) => Some(summary),
            SummaryPlace::Empty | SummaryPlace::Broken => None,
        }
    }

    /// What a block that is sound says; nothing when that makes no sense.
    fn parse(block: &[u8]) -> Option<Summary> {
        let count = read_u32(block, 24) as usize;
        if count > STREAMS_MAX {
            return None;
        }
        let entry = |index: usize| {
            let at = ENTRIES_FROM + index * ENTRY_BYTES;
            StreamSummary::decode(&block[at..at + ENTRY_BYTES])
        };
        let streams = (0..count).map(entry).collect::<Option<Vec<_>>>()?;
        Some(Summary { end: read_u32(block, 16), frames: read_u32(block, 20), streams })
    }
}

/// What stands where a segment has its summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SummaryPlace {
    /// The summary of the generation that was asked for.
    Summary(Summary),
    /// Nothing of this generation: zeros, the summary of an older one, or one of a newer version.
    Empty,
    /// Bytes that nobody wrote as they are: a write that tore, or a disk that forgot.
    Broken,
}

impl SummaryPlace {
    /// Looks at a summary's place for the summary of `generation`.
    #[must_use]
    pub fn read(block: &[u8], generation: u32) -> SummaryPlace {
        let Some(block) = block.get(..SUMMARY_BYTES as usize) else { return SummaryPlace::Broken };
        if block.iter().all(|byte| *byte == 0) {
            return SummaryPlace::Empty;
        }
        if block[..7] != SUMMARY_MAGIC[..7] || !sound(block) {
            return SummaryPlace::Broken;
        }
        if block[7] != SUMMARY_MAGIC[7] || read_u32(block, 12) != generation {
            return SummaryPlace::Empty;
        }
        Summary::parse(block).map_or(SummaryPlace::Broken, SummaryPlace::Summary)
    }
}

impl StreamSummary {
    fn encode(&self, entry: &mut [u8]) {
        entry[..32].copy_from_slice(&self.stream.edge.padded());
        entry[32..64].copy_from_slice(&self.stream.topic.padded());
        put_u64(entry, 64, self.stream.incarnation.0);
        put_u64(entry, 72, self.first.0);
        put_u64(entry, 80, self.end.0);
        put_u64(entry, 88, self.events);
        put_u64(entry, 96, self.bytes);
        put_u32(entry, 104, self.hours.0.0);
        put_u32(entry, 108, self.hours.1.0);
        put_u32(entry, 112, self.offsets.0);
        put_u32(entry, 116, self.offsets.1);
        entry[120..122].copy_from_slice(&self.stream.shard.0.to_le_bytes());
    }

    fn decode(entry: &[u8]) -> Option<StreamSummary> {
        let stream = StreamId {
            edge: Name::from_padded(&entry[..32]).ok()?,
            incarnation: Incarnation(read_u64(entry, 64)),
            shard: ShardId(u16::from_le_bytes([entry[120], entry[121]])),
            topic: Name::from_padded(&entry[32..64]).ok()?,
        };
        Some(StreamSummary {
            stream,
            first: Sequence(read_u64(entry, 72)),
            end: Sequence(read_u64(entry, 80)),
            events: read_u64(entry, 88),
            bytes: read_u64(entry, 96),
            hours: (Hour(read_u32(entry, 104)), Hour(read_u32(entry, 108))),
            offsets: (read_u32(entry, 112), read_u32(entry, 116)),
        })
    }
}

/// Puts the checksum at offset 8, over the block with that field zero.
fn seal(block: &mut [u8]) {
    put_u32(block, 8, 0);
    let crc = crc32c::crc32c(block);
    put_u32(block, 8, crc);
}

fn sound(block: &[u8]) -> bool {
    let zeroed = crc32c::crc32c_append(crc32c::crc32c(&block[..8]), &[0; 4]);
    crc32c::crc32c_append(zeroed, &block[12..]) == read_u32(block, 8)
}

fn put_u32(block: &mut [u8], at: usize, value: u32) {
    block[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(block: &mut [u8], at: usize, value: u64) {
    block[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn read_u32(block: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&block[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn read_u64(block: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&block[at..at + 8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use brink_proto::frame::BatchInfo;

    fn batch(shard: u16, first: u64, hour: u32) -> BatchInfo {
        let batch = sample::batch(&format!("e/7/{shard}/t"), first, 10);
        BatchInfo { hour: Hour(hour), ..batch }
    }

    #[test]
    fn a_summary_is_read_as_it_was_written_and_refused_when_a_bit_flips() {
        let mut summary = Summary::empty();
        summary.add(&batch(0, 0, 5), 4096, 8192);
        summary.add(&batch(1, 100, 5), 12_288, 4096);
        summary.add(&batch(0, 10, 6), 16_384, 4096);
        assert_eq!(summary.streams.len(), 2);
        assert_eq!(summary.streams[0].hours, (Hour(5), Hour(6)));
        assert_eq!(summary.end, 20_480);

        let mut block = vec![0xAA; SUMMARY_BYTES as usize];
        summary.encode(&mut block, 3);
        assert_eq!(Summary::decode(&block, 3), Some(summary));
        assert_eq!(SummaryPlace::read(&block, 4), SummaryPlace::Empty);
        for at in [0, 8, 12, 20, 130, SUMMARY_BYTES as usize - 1] {
            block[at] ^= 1;
            assert_eq!(SummaryPlace::read(&block, 3), SummaryPlace::Broken, "byte {at}");
            block[at] ^= 1;
        }
    }

    #[test]
    fn a_head_names_its_generation() {
        let mut block = vec![0xAA; FRAME_ALIGN];
        assert_eq!(read_head(&block), Ok(None));
        write_head(&mut block, 12, 1 << 26);
        assert_eq!(read_head(&block), Ok(Some((12, 1 << 26))));
        block[7] = 9;
        seal(&mut block);
        assert_eq!(read_head(&block), Err(9));
        block[30] ^= 1;
        assert_eq!(read_head(&block), Ok(None));
    }
}

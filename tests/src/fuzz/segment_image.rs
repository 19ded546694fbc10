//! Segments as a shard's batches and a bad disk make them: frames in order, then damage.
//!
//! ```text
//!  input = frames: flags, payload │ damage: place, kind, bytes
//! ```

use super::input::Input;
use brink_proto::{
    frame::{BatchInfo, FrameHeader, HEADER_BYTES, LogPosition, SHED_REASONS, frame_bytes},
    ids::{Class, Hour, Sequence, StreamId},
};
use brink_shipper::spool::segment::FRAMES_FROM;
use std::ops::Range;

/// A segment, and what was done to it.
pub struct Image {
    /// What lies in the file.
    pub bytes: Vec<u8>,
    /// The frames that were written, in order.
    pub frames: Vec<FrameHeader>,
    /// What was damaged afterwards.
    pub damage: Vec<Range<usize>>,
    /// Offset behind the last frame.
    pub end: u32,
}

/// Streams that speak in turn.
const STREAMS: [&str; 2] = ["e/7/0/impressions", "e/7/1/impressions"];

/// Longest payload, so that a frame takes up to three blocks.
const PAYLOAD_BYTES_MAX: usize = 9000;

impl Image {
    /// A segment with frames up to `limit`, in a file of `size` bytes.
    ///
    /// # Panics
    /// Never: the names of the streams are streams.
    #[must_use]
    pub fn make(input: &mut Input<'_>, generation: u32, limit: usize, size: usize) -> Image {
        let mut image = Image {
            bytes: vec![0; size],
            frames: Vec::new(),
            damage: Vec::new(),
            end: FRAMES_FROM,
        };
        let streams = STREAMS.map(|text| text.parse().expect("a stream"));
        let mut commit = FRAMES_FROM;
        for _ in 0..input.byte() % 9 {
            let flags = input.byte();
            if flags & 1 != 0 {
                commit = image.end;
            }
            let stream = streams[usize::from(flags >> 1 & 1)];
            let payload = vec![input.byte(); input.below(PAYLOAD_BYTES_MAX)];
            let position = LogPosition::new(generation, image.end);
            let frame = FrameHeader {
                batch: image.batch(stream, flags, payload.len()),
                position,
                commit_position: LogPosition::new(generation, commit),
                payload_crc: crc32c::crc32c(&payload),
            };
            if image.end as usize + frame.frame_bytes() > limit {
                break;
            }
            image.put(&frame, &payload);
            image.end += frame.frame_bytes() as u32;
            image.frames.push(frame);
        }
        image.leave_behind(input, generation, limit);
        image.damage(input);
        image
    }

    /// The next batch of a stream.
    fn batch(&self, stream: StreamId, flags: u8, payload_bytes: usize) -> BatchInfo {
        let before = self.frames.iter().rev().find(|f| f.batch.stream == stream);
        BatchInfo {
            stream,
            first_sequence: before.map_or(Sequence(0), |f| f.batch.end_sequence()),
            count: 1 + u32::from(flags >> 2),
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            hour: Hour(500_000),
            schema: 1,
            class: Class::Normal,
            raw_bytes: payload_bytes as u32,
            payload_bytes: payload_bytes as u32,
            shed: [0; SHED_REASONS],
        }
    }

    fn put(&mut self, frame: &FrameHeader, payload: &[u8]) {
        let at = frame.position.offset() as usize;
        self.bytes[at..at + HEADER_BYTES].copy_from_slice(&frame.encode());
        let at = at + HEADER_BYTES;
        self.bytes[at..at + payload.len()].copy_from_slice(payload);
    }

    /// A recycled segment has frames of its last life behind its end.
    fn leave_behind(&mut self, input: &mut Input<'_>, generation: u32, limit: usize) {
        let Some(mut frame) = self.frames.last().copied().filter(|_| input.byte() & 1 != 0) else {
            return;
        };
        frame.position = LogPosition::new(generation.saturating_sub(1), self.end);
        frame.batch.payload_bytes = 0;
        if self.end as usize + frame_bytes(0) <= limit {
            self.put(&frame, &[]);
        }
    }

    fn damage(&mut self, input: &mut Input<'_>) {
        for _ in 0..input.byte() % 5 {
            let at = (input.below(1 << 16) * 8) % self.bytes.len();
            let kind = input.byte();
            let damage = match kind % 3 {
                // A block that never reached the disk, or came back as something else.
                0 => vec![0; 4096],
                1 => vec![kind; 512],
                _ => input.take(1 + usize::from(kind / 16)).to_vec(),
            };
            let range = at..(at + damage.len()).min(self.bytes.len());
            self.bytes[range.clone()].copy_from_slice(&damage[..range.len()]);
            self.damage.push(range);
        }
    }

    /// Whether no damage lies in a frame.
    #[must_use]
    pub fn is_untouched(&self, frame: &FrameHeader) -> bool {
        let from = frame.position.offset() as usize;
        let to = from + frame.frame_bytes();
        self.damage.iter().all(|damage| damage.end <= from || to <= damage.start)
    }
}

/// Inputs with frames, with and without damage.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let frames: Vec<u8> = (0..5).flat_map(|n| [n | 1, 0x55, n * 8, 200]).collect();
    let damages: [&[u8]; 4] = [
        &[0, 0],
        &[1, 1, 0x06, 0x10, 0],
        &[0, 3, 0x02, 0x04, 0, 0x0A, 0, 1, 0x0E, 0x01, 2, 9],
        &[0, 1, 0x04, 0x01, 32, 1, 2, 3],
    ];
    damages.iter().map(|damage| [&[5], frames.as_slice(), damage].concat()).collect()
}

//! Frames for tests, which change what they are about.

use brink_proto::{
    frame::{BatchInfo, FrameHeader, LogPosition, SHED_REASONS},
    ids::{Class, Hour, Sequence},
};

/// A batch of a stream, of 100 bytes, in the first hour.
pub(crate) fn batch(stream: &str, first: u64, count: u32) -> BatchInfo {
    BatchInfo {
        stream: stream.parse().unwrap(),
        first_sequence: Sequence(first),
        count,
        base_timestamp_ms: 0,
        max_timestamp_ms: 0,
        hour: Hour(0),
        schema: 1,
        class: Class::Normal,
        raw_bytes: 100,
        payload_bytes: 100,
        shed: [0; SHED_REASONS],
    }
}

/// The header of a batch's frame.
pub(crate) fn frame(batch: BatchInfo, position: LogPosition) -> FrameHeader {
    FrameHeader { batch, position, commit_position: LogPosition(0), payload_crc: 0 }
}

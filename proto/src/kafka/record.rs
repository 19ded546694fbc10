//! One event as a Kafka v2 record: no key, no headers, the value is one Protobuf message.
//!
//! ```text
//! length           varint   bytes behind this field
//! attributes       i8       0
//! timestamp delta  varlong  milliseconds from the batch's base timestamp
//! offset delta     varint   place in the batch
//! key length       varint   -1: none
//! value length     varint
//! value            bytes
//! header count     varint   0
//! ```
//!
//! SPEC: Kafka message format v2. Varints are zigzag.

use crate::wire::{self, Writer, take, take_varint, unzigzag, zigzag};

/// A record over its value: at most five varints of five bytes, one of ten, and two single bytes.
pub const RECORD_OVERHEAD_MAX: usize = 5 * 5 + wire::VARINT_BYTES_MAX + 2;

/// Zigzag of -1.
const NO_KEY: u8 = 1;

/// What stands in front of a value, and how much room the whole takes.
#[derive(Debug, Clone, Copy)]
pub struct RecordHead {
    timestamp_delta: u64,
    offset_delta: u64,
    value_bytes: u64,
    body_bytes: u64,
}

impl RecordHead {
    /// The head of a record with a value of `value_bytes`.
    #[inline]
    #[must_use]
    pub fn new(timestamp_delta_ms: i64, offset_delta: u32, value_bytes: usize) -> RecordHead {
        let timestamp_delta = zigzag(timestamp_delta_ms);
        let offset_delta = zigzag(i64::from(offset_delta));
        let value_bytes = value_bytes as u64;
        let body_bytes = 3
            + wire::varint_bytes(timestamp_delta) as u64
            + wire::varint_bytes(offset_delta) as u64
            + wire::varint_bytes(value_bytes << 1) as u64
            + value_bytes;
        RecordHead { timestamp_delta, offset_delta, value_bytes, body_bytes }
    }

    /// Size of the record.
    #[inline]
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        wire::varint_bytes(self.body_bytes << 1) + self.body_bytes as usize
    }

    /// Writes the record; `value` must write exactly the bytes announced.
    #[inline]
    pub fn write(&self, out: &mut Writer<'_>, value: impl FnOnce(&mut Writer<'_>)) {
        out.varint(self.body_bytes << 1);
        out.put_byte(0);
        out.varint(self.timestamp_delta);
        out.varint(self.offset_delta);
        out.put_byte(NO_KEY);
        out.varint(self.value_bytes << 1);
        value(out);
        out.put_byte(0);
    }
}

/// A record as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Milliseconds from the batch's base timestamp.
    pub timestamp_delta_ms: i64,
    /// Place in the batch.
    pub offset_delta: i64,
    /// The Protobuf message.
    pub value: &'a [u8],
}

/// What stands there is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordError;

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes are no Kafka v2 record")
    }
}

impl std::error::Error for RecordError {}

/// The records of an uncompressed records section.
#[must_use]
pub fn records(section: &[u8]) -> Records<'_> {
    Records { rest: section }
}

/// See [`records`].
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Bytes behind the records read so far.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn read(&mut self) -> Option<Record<'a>> {
        let len = unzigzag(take_varint(&mut self.rest)?);
        let mut body = take(&mut self.rest, usize::try_from(len).ok()?)?;
        take(&mut body, 1)?;
        let timestamp_delta_ms = unzigzag(take_varint(&mut body)?);
        let offset_delta = unzigzag(take_varint(&mut body)?);
        // A key is none of ours, but a reader may meet one.
        let key = unzigzag(take_varint(&mut body)?);
        if key > 0 {
            take(&mut body, usize::try_from(key).ok()?)?;
        }
        let value = unzigzag(take_varint(&mut body)?);
        let value = take(&mut body, usize::try_from(value).ok()?)?;
        take_varint(&mut body)?;
        Some(Record { timestamp_delta_ms, offset_delta, value })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.read().ok_or(RecordError);
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

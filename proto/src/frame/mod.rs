//! A frame: one sealed batch as it lies in the spool, found again after any crash.
//!
//! ```text
//!   at  size
//!    0     8  magic              "BRNKFRM" and the version
//!    8     4  header crc32c      over the header with this field zero
//!   12     4  payload crc32c
//!   16     8  generation         of the segment; a recycled segment has a new one
//!   24     8  position           of this frame: generation << 32 | offset
//!   32     8  commit position    every frame below it was synced when this one was written
//!   40     8  incarnation
//!   48     8  first sequence
//!   56     8  base timestamp     ms, what record deltas count from
//!   64     8  max timestamp      ms
//!   72     4  hour               since 1970, UTC
//!   76     4  schema version
//!   80     4  count              events
//!   84     4  payload bytes
//!   88     4  raw bytes          of the payload before compression
//!   92     2  shard
//!   94     1  class
//!   95     1  codec              Kafka's number: 4 is zstd
//!   96    16  shed               events shed since the stream's previous frame, by reason
//!  112    32  edge               padded with zeros
//!  144    32  topic              padded with zeros
//!  176    80  zero
//!  256        payload: Kafka v2 records, compressed
//!             zeros up to the next multiple of 4096
//! ```
//!
//! Numbers are little-endian. The position inside the header means that a frame copied to another
//! place is not taken for one that was written there, and the generation that a frame left over in
//! a recycled segment is not taken for a new one. Formats change by a new version in the magic: a
//! reader refuses what it does not know and leaves it untouched.

mod layout;

use crate::ids::{Class, Hour, Incarnation, Name, Sequence, ShardId, StreamId};
use layout::{Cursor, at};

pub use layout::HEADER_BYTES;

/// Frames begin on multiples of this, as direct I/O wants it.
pub const FRAME_ALIGN: usize = 4096;

/// Most records of a batch, before compression.
pub const RAW_BYTES_MAX: usize = 256 * 1024;

/// Longest payload: a batch that does not compress at all, and zstd's own overhead.
pub const PAYLOAD_BYTES_MAX: usize = RAW_BYTES_MAX + 32 * 1024;

/// Longest frame.
pub const FRAME_BYTES_MAX: usize = frame_bytes(PAYLOAD_BYTES_MAX);

/// How many shed reasons a frame has room for.
pub const SHED_REASONS: usize = 4;

/// Room that a frame with this payload takes in a segment.
#[must_use]
pub const fn frame_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(FRAME_ALIGN)
}

/// A place in the log: the segment's generation and the offset in it, in log order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// The place `offset` bytes into the segment of `generation`.
    #[must_use]
    pub fn new(generation: u32, offset: u32) -> LogPosition {
        LogPosition(u64::from(generation) << 32 | u64::from(offset))
    }

    /// The segment's generation.
    #[must_use]
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The offset in the segment.
    #[must_use]
    pub fn offset(self) -> u32 {
        self.0 as u32
    }
}

impl std::fmt::Display for LogPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.generation(), self.offset())
    }
}

/// What a batch is, known when the shard closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchInfo {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Sequence of its first event; the others follow without a gap.
    pub first_sequence: Sequence,
    /// Events in it, at least 1.
    pub count: u32,
    /// Timestamp that record deltas count from, ms.
    pub base_timestamp_ms: i64,
    /// Latest timestamp, ms.
    pub max_timestamp_ms: i64,
    /// Partition: a batch never straddles an hour.
    pub hour: Hour,
    /// Schema version of its events.
    pub schema: u32,
    /// Shedding class of its topic.
    pub class: Class,
    /// Size of the records before compression.
    pub raw_bytes: u32,
    /// Size of the compressed records.
    pub payload_bytes: u32,
    /// Events shed since the stream's previous batch, by reason.
    pub shed: [u32; SHED_REASONS],
}

impl BatchInfo {
    /// The sequence behind its last event.
    #[must_use]
    pub fn end_sequence(&self) -> Sequence {
        Sequence(self.first_sequence.0.saturating_add(u64::from(self.count)))
    }
}

/// A frame's header: the batch, and where and after what it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The batch.
    pub batch: BatchInfo,
    /// Where the frame lies.
    pub position: LogPosition,
    /// Every frame below was synced when this one was written.
    pub commit_position: LogPosition,
    /// CRC32C of the payload.
    pub payload_crc: u32,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// No magic stands there.
    NotAFrame,
    /// A frame of a version that this build does not know.
    Version(u8),
    /// The header's checksum does not match.
    HeaderCrc,
    /// The header's checksum matches, but a field makes no sense.
    Field(&'static str),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::NotAFrame => f.write_str("no frame begins there"),
            FrameError::Version(v) => {
                write!(f, "frame version {v} is unknown, this build writes {}", layout::VERSION)
            }
            FrameError::HeaderCrc => f.write_str("frame header checksum mismatch"),
            FrameError::Field(name) => write!(f, "frame header field {name} makes no sense"),
        }
    }
}

impl std::error::Error for FrameError {}

impl FrameHeader {
    /// Room that the whole frame takes in its segment.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        frame_bytes(self.batch.payload_bytes as usize)
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let b = &self.batch;
        let mut out = [0; HEADER_BYTES];
        let mut w = Cursor::new(&mut out);
        w.put(at::MAGIC, &layout::MAGIC);
        w.put(at::PAYLOAD_CRC, &self.payload_crc.to_le_bytes());
        w.put(at::GENERATION, &u64::from(self.position.generation()).to_le_bytes());
        w.put(at::POSITION, &self.position.0.to_le_bytes());
        w.put(at::COMMIT_POSITION, &self.commit_position.0.to_le_bytes());
        w.put(at::INCARNATION, &b.stream.incarnation.0.to_le_bytes());
        w.put(at::FIRST_SEQUENCE, &b.first_sequence.0.to_le_bytes());
        w.put(at::BASE_TIMESTAMP, &b.base_timestamp_ms.to_le_bytes());
        w.put(at::MAX_TIMESTAMP, &b.max_timestamp_ms.to_le_bytes());
        w.put(at::HOUR, &b.hour.0.to_le_bytes());
        w.put(at::SCHEMA, &b.schema.to_le_bytes());
        w.put(at::COUNT, &b.count.to_le_bytes());
        w.put(at::PAYLOAD_BYTES, &b.payload_bytes.to_le_bytes());
        w.put(at::RAW_BYTES, &b.raw_bytes.to_le_bytes());
        w.put(at::SHARD, &b.stream.shard.0.to_le_bytes());
        w.put(at::CLASS, &[b.class as u8]);
        w.put(at::CODEC, &[layout::CODEC_ZSTD]);
        for (index, shed) in b.shed.iter().enumerate() {
            w.put(at::SHED + 4 * index, &shed.to_le_bytes());
        }
        w.put(at::EDGE, &b.stream.edge.padded());
        w.put(at::TOPIC, &b.stream.topic.padded());
        w.seal();
        out
    }

    /// Reads a header off the front of `bytes`.
    ///
    /// # Errors
    /// [`FrameError`] says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<FrameHeader, FrameError> {
        let r = layout::checked(bytes)?;
        let stream = StreamId {
            edge: Name::from_padded(&r.array::<32>(at::EDGE))
                .map_err(|_| FrameError::Field("edge"))?,
            incarnation: Incarnation(r.u64(at::INCARNATION)),
            shard: ShardId(u16::from_le_bytes(r.array(at::SHARD))),
            topic: Name::from_padded(&r.array::<32>(at::TOPIC))
                .map_err(|_| FrameError::Field("topic"))?,
        };
        let [class] = r.array(at::CLASS);
        let class =
            Class::ALL.into_iter().find(|c| *c as u8 == class).ok_or(FrameError::Field("class"))?;
        if r.array(at::CODEC) != [layout::CODEC_ZSTD] {
            return Err(FrameError::Field("codec"));
        }
        let mut shed = [0; SHED_REASONS];
        for (index, count) in shed.iter_mut().enumerate() {
            *count = r.u32(at::SHED + 4 * index);
        }
        let batch = BatchInfo {
            stream,
            first_sequence: Sequence(r.u64(at::FIRST_SEQUENCE)),
            count: r.u32(at::COUNT),
            base_timestamp_ms: r.u64(at::BASE_TIMESTAMP) as i64,
            max_timestamp_ms: r.u64(at::MAX_TIMESTAMP) as i64,
            hour: Hour(r.u32(at::HOUR)),
            schema: r.u32(at::SCHEMA),
            class,
            raw_bytes: r.u32(at::RAW_BYTES),
            payload_bytes: r.u32(at::PAYLOAD_BYTES),
            shed,
        };
        let position = LogPosition(r.u64(at::POSITION));
        if batch.payload_bytes as usize > PAYLOAD_BYTES_MAX {
            return Err(FrameError::Field("payload bytes"));
        }
        if batch.raw_bytes as usize > RAW_BYTES_MAX {
            return Err(FrameError::Field("raw bytes"));
        }
        if batch.count == 0 || batch.first_sequence.0.checked_add(batch.count.into()).is_none() {
            return Err(FrameError::Field("count"));
        }
        if r.u64(at::GENERATION) != u64::from(position.generation()) {
            return Err(FrameError::Field("generation"));
        }
        Ok(FrameHeader {
            batch,
            position,
            commit_position: LogPosition(r.u64(at::COMMIT_POSITION)),
            payload_crc: r.u32(at::PAYLOAD_CRC),
        })
    }
}

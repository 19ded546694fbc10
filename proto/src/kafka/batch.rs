//! The 61 bytes that make a RecordBatch v2 of a frame's payload.
//!
//! ```text
//!  at  size
//!   0     8  base offset             0; the broker sets it
//!   8     4  batch length            bytes behind this field
//!  12     4  partition leader epoch  -1
//!  16     1  magic                   2
//!  17     4  crc32c                  over everything behind this field
//!  21     2  attributes              codec: 4 is zstd; 16: of a transaction; create time
//!  23     4  last offset delta       count - 1
//!  27     8  base timestamp          ms
//!  35     8  max timestamp           ms
//!  43     8  producer id
//!  51     2  producer epoch
//!  53     4  base sequence
//!  57     4  record count
//!  61        records, compressed
//! ```
//!
//! SPEC: Kafka message format v2. Numbers are big-endian.

/// Bytes in front of the compressed records.
pub const HEADER_BYTES: usize = 61;

/// Where the bytes begin that the batch length counts.
const LENGTH_FROM: usize = 12;

/// Where the bytes begin that the checksum covers.
const CRC_FROM: usize = 21;

/// Kafka's number for zstd.
pub const CODEC_ZSTD: i16 = 4;

/// The attribute of a batch that is part of a transaction.
pub const TRANSACTIONAL: i16 = 0x10;

/// Who sends, and where in its numbering: what makes a resend recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSequence {
    /// Producer id; -1 for none.
    pub id: i64,
    /// Producer epoch; -1 for none.
    pub epoch: i16,
    /// Sequence of the first record; -1 for none.
    pub base: i32,
}

impl ProducerSequence {
    /// A batch without idempotence.
    pub const NONE: ProducerSequence = ProducerSequence { id: -1, epoch: -1, base: -1 };
}

/// What a batch's header says beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHead {
    /// Timestamp that record deltas count from, ms.
    pub base_timestamp_ms: i64,
    /// Latest timestamp, ms.
    pub max_timestamp_ms: i64,
    /// Records in the batch, at least 1.
    pub count: u32,
    /// Sender and sequence.
    pub producer: ProducerSequence,
    /// Whether it is part of a transaction of the sender's.
    pub transactional: bool,
}

impl BatchHead {
    /// The header in front of `payload`, the zstd-compressed records.
    #[must_use]
    pub fn encode(&self, payload: &[u8]) -> [u8; HEADER_BYTES] {
        let length = (HEADER_BYTES - LENGTH_FROM + payload.len()) as u32;
        let last_offset_delta = self.count.saturating_sub(1);
        let mut header = Head { bytes: [0; HEADER_BYTES], at: 0 };
        header.put(&0i64.to_be_bytes());
        header.put(&length.to_be_bytes());
        header.put(&(-1i32).to_be_bytes());
        header.put(&[2]);
        header.put(&[0; 4]);
        let transactional = if self.transactional { TRANSACTIONAL } else { 0 };
        header.put(&(CODEC_ZSTD | transactional).to_be_bytes());
        header.put(&last_offset_delta.to_be_bytes());
        header.put(&self.base_timestamp_ms.to_be_bytes());
        header.put(&self.max_timestamp_ms.to_be_bytes());
        header.put(&self.producer.id.to_be_bytes());
        header.put(&self.producer.epoch.to_be_bytes());
        header.put(&self.producer.base.to_be_bytes());
        header.put(&self.count.to_be_bytes());
        debug_assert_eq!(header.at, HEADER_BYTES);
        header.seal(payload)
    }
}

/// A header that is being filled from front to back.
struct Head {
    bytes: [u8; HEADER_BYTES],
    at: usize,
}

impl Head {
    fn put(&mut self, part: &[u8]) {
        let end = self.at + part.len();
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(part);
        }
        self.at = end;
    }

    fn seal(mut self, payload: &[u8]) -> [u8; HEADER_BYTES] {
        let covered = self.bytes.get(CRC_FROM..).unwrap_or_default();
        let crc = crc32c::crc32c_append(crc32c::crc32c(covered), payload);
        self.at = CRC_FROM - 4;
        self.put(&crc.to_be_bytes());
        self.bytes
    }
}

//! Frame headers: refused, or written again as the same bytes; and no bit of one can turn round
//! unnoticed.
//!
//! ```text
//!  input = bit to turn round │ the header; it is read as it is, and with a checksum that is right
//! ```

use super::{feature::reached, input::Input};
use brink_proto::{
    frame::{BatchInfo, FrameError, FrameHeader, HEADER_BYTES, LogPosition, SHED_REASONS},
    ids::{Class, Hour, Incarnation, Name, Sequence, ShardId, StreamId},
};

/// Where the header has its checksum.
const CRC_AT: usize = 8;

/// The last field ends here; zeros follow, which a reader of this version does not look at.
const FIELDS_END: usize = 176;

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn frame_header(data: &[u8]) {
    let mut input = Input::new(data);
    let bit = input.below(8 * HEADER_BYTES);
    let bytes = input.rest();
    let _ = FrameHeader::decode(bytes);
    let mut header = [0; HEADER_BYTES];
    let len = bytes.len().min(HEADER_BYTES);
    header[..len].copy_from_slice(&bytes[..len]);
    header[CRC_AT..CRC_AT + 4].fill(0);
    let crc = crc32c::crc32c(&header);
    header[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    match FrameHeader::decode(&header) {
        Ok(frame) => {
            assert!(frame.batch.count > 0 && frame.frame_bytes().is_multiple_of(4096));
            let written = frame.encode();
            assert_eq!(FrameHeader::decode(&written), Ok(frame));
            if header[FIELDS_END..].iter().all(|b| *b == 0) {
                assert_eq!(written, header);
            }
            header[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHeader::decode(&header).is_err(), "bit {bit} turned round unnoticed");
            reached(frame.batch.class);
        }
        Err(FrameError::Field(name)) => reached(name),
        Err(FrameError::Version(_)) => reached("version"),
        Err(error) => assert_eq!(error, FrameError::NotAFrame, "the checksum was right"),
    }
}

/// A header that could stand in a spool.
pub(super) fn header(stream: StreamId, position: LogPosition) -> FrameHeader {
    let batch = BatchInfo {
        stream,
        first_sequence: Sequence(4711),
        count: 815,
        base_timestamp_ms: 1_795_417_201_000,
        max_timestamp_ms: 1_795_417_201_049,
        hour: Hour(498_727),
        schema: 1,
        class: Class::Normal,
        raw_bytes: 262_100,
        payload_bytes: 50_123,
        shed: [7, 9, 0, 0],
    };
    FrameHeader { batch, position, commit_position: position, payload_crc: 0xDEAD_BEEF }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let name = |text: &str| Name::new(text).expect("a name");
    let stream = StreamId {
        edge: name("nyc3_px_07"),
        incarnation: Incarnation(1_795_413_912_345),
        shard: ShardId(3),
        topic: name("impressions"),
    };
    let plain = header(stream, LogPosition::new(12, 0x8000));
    let mut least = plain;
    least.batch.count = 1;
    least.batch.payload_bytes = 0;
    least.batch.shed = [0; SHED_REASONS];
    let mut most = plain;
    most.batch.first_sequence = Sequence(u64::MAX - 815);
    most.batch.class = Class::Money;
    [plain, least, most].iter().map(|h| [[0, 99].as_slice(), &h.encode()].concat()).collect()
}

pub(super) const WORDS: &[&[u8]] = &[
    b"BRNKFRM\x01",
    b"BRNKFRM\x02",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x04\x00",
    b"\x01\0\0\0",
    b"impressions\0",
    b"A",
    b"\xc3\xbc",
];

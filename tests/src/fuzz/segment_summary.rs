//! The blocks at a segment's ends: refused, or written again as the same bytes.
//!
//! The input is the block behind magic and checksum. It is read as it is, and with both put right.

use super::feature::reached;
use brink_proto::{
    frame::{FRAME_ALIGN, LogPosition},
    ids::{Hour, Sequence},
};
use brink_shipper::spool::segment::{STREAMS_MAX, SUMMARY_BYTES, Summary, read_head, write_head};

/// Magic and checksum.
const FRONT_BYTES: usize = 12;

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn segment_summary(data: &[u8]) {
    let _ = (Summary::decode(data, 0), read_head(data));
    let mut block = vec![0; SUMMARY_BYTES as usize];
    let mut template = block.clone();
    let len = data.len().min(block.len() - FRONT_BYTES);
    block[FRONT_BYTES..FRONT_BYTES + len].copy_from_slice(&data[..len]);
    let mut number = [0; 4];
    number.copy_from_slice(&block[12..16]);
    let generation = u32::from_le_bytes(number);

    Summary::empty().encode(&mut template, generation);
    block[..8].copy_from_slice(&template[..8]);
    seal(&mut block);
    assert!(Summary::decode(&block, generation.wrapping_add(1)).is_none(), "of another segment");
    if let Some(summary) = Summary::decode(&block, generation) {
        assert!(summary.streams.len() <= STREAMS_MAX);
        summary.encode(&mut template, generation);
        assert_eq!(Summary::decode(&template, generation).as_ref(), Some(&summary));
        reached(("summary", summary.streams.len().min(3)));
    }

    let head = &mut block[..FRAME_ALIGN];
    write_head(&mut template, generation, 0);
    head[..7].copy_from_slice(&template[..7]);
    // The version is the input's; nearly always it is ours.
    head[7] = data.last().map_or(template[7], |b| if *b < 200 { template[7] } else { *b });
    seal(head);
    match read_head(head) {
        Ok(Some((read, bytes))) => {
            assert_eq!(read, generation);
            if let Ok(bytes) = u32::try_from(bytes) {
                write_head(&mut template, generation, bytes);
                assert_eq!(read_head(&template), Ok(Some((generation, u64::from(bytes)))));
            }
        }
        Ok(None) => panic!("a sound head was not read"),
        Err(version) => assert_ne!(version, template[7], "our version is known"),
    }
}

fn seal(block: &mut [u8]) {
    block[8..12].fill(0);
    let crc = crc32c::crc32c(block);
    block[8..12].copy_from_slice(&crc.to_le_bytes());
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut summary = Summary::empty();
    let mut seeds = Vec::new();
    for shard in 0..3u16 {
        let stream = format!("e/7/{shard}/impressions").parse().expect("a stream");
        let mut batch = super::frame_header::header(stream, LogPosition::new(3, 4096)).batch;
        for offset in [4096, 8192] {
            batch.first_sequence = Sequence(u64::from(offset));
            batch.hour = Hour(offset / 4096);
            summary.add(&batch, offset + u32::from(shard) * 8192, 4096);
        }
        let mut block = vec![0; SUMMARY_BYTES as usize];
        summary.encode(&mut block, 3);
        // The entries are at the front; the zeros behind them are put back by the body.
        seeds.push(block[FRONT_BYTES..1024].to_vec());
    }
    seeds
}

pub(super) const WORDS: &[&[u8]] = &[
    b"\x01\0\0\0",
    b"\x80\0\0\0",
    b"\x7f\0\0\0",
    b"\xff\xff\xff\xff",
    b"impressions\0",
    b"e\0\0\0\0\0\0\0",
    b"A",
    b"\xff",
];

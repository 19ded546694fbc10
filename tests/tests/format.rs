//! The spool's format as it was first written, built here byte by byte and by nothing of ours: it
//! is read as it was, and written as it was. What a newer build wrote is left untouched.

use brink_proto::ids::Sequence;
use brink_shipper::{
    disk::{AlignedBuffer, Disk, DiskFile},
    spool::{cursors::SLOT_BYTES, port::Command},
};
use brink_tests::sim::{
    executor::block_on,
    spool::{Ground, Lone, SINK, config, frames},
};
use std::io::ErrorKind;

/// CRC32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let shift = |crc: u32, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
        (0..8).fold(crc ^ u32::from(*byte), shift)
    };
    !bytes.iter().fold(!0, step)
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Fills in the checksum at 8, over the block with that field zero.
fn seal(block: &mut [u8]) {
    put(block, 8, &[0; 4]);
    let crc = crc32c(block);
    put(block, 8, &crc.to_le_bytes());
}

const SEGMENT_BYTES: usize = 512 << 10;
const GENERATION: u32 = 1;

/// The head of segment 1.
fn head() -> Vec<u8> {
    let mut block = vec![0; 4096];
    put(&mut block, 0, b"BRNKSEG\x01");
    put(&mut block, 12, &GENERATION.to_le_bytes());
    put(&mut block, 16, &(SEGMENT_BYTES as u64).to_le_bytes());
    seal(&mut block);
    block
}

/// A frame of ten events of stream `e/1/0/a`, each with the payload that the tests' shard makes.
fn frame(offset: u32, commit: u32, first: u64, payload_bytes: usize) -> Vec<u8> {
    let payload: Vec<u8> = (first..).take(payload_bytes).map(|n| n as u8 | 1).collect();
    let position = |offset: u32| (u64::from(GENERATION) << 32 | u64::from(offset)).to_le_bytes();
    let mut block = vec![0; 256];
    put(&mut block, 0, b"BRNKFRM\x01");
    put(&mut block, 12, &crc32c(&payload).to_le_bytes());
    put(&mut block, 16, &u64::from(GENERATION).to_le_bytes());
    put(&mut block, 24, &position(offset));
    put(&mut block, 32, &position(commit));
    put(&mut block, 40, &1u64.to_le_bytes());
    put(&mut block, 48, &first.to_le_bytes());
    put(&mut block, 72, &1u32.to_le_bytes());
    put(&mut block, 76, &1u32.to_le_bytes());
    put(&mut block, 80, &10u32.to_le_bytes());
    put(&mut block, 84, &(payload_bytes as u32).to_le_bytes());
    put(&mut block, 88, &(payload_bytes as u32).to_le_bytes());
    put(&mut block, 94, &[1, 4]);
    put(&mut block, 112, b"e");
    put(&mut block, 144, b"a");
    seal(&mut block);
    block.extend(payload);
    block.resize(block.len().next_multiple_of(4096), 0);
    block
}

/// The summary of segment 1 with two frames.
fn summary(end: u32, last: u32) -> Vec<u8> {
    let mut block = vec![0; 16384];
    put(&mut block, 0, b"BRNKSUM\x01");
    put(&mut block, 12, &GENERATION.to_le_bytes());
    put(&mut block, 16, &end.to_le_bytes());
    put(&mut block, 20, &2u32.to_le_bytes());
    put(&mut block, 24, &1u32.to_le_bytes());
    put(&mut block, 128, b"e");
    put(&mut block, 160, b"a");
    put(&mut block, 192, &1u64.to_le_bytes());
    put(&mut block, 208, &20u64.to_le_bytes());
    put(&mut block, 216, &20u64.to_le_bytes());
    put(&mut block, 224, &u64::from(end - 4096).to_le_bytes());
    put(&mut block, 232, &1u32.to_le_bytes());
    put(&mut block, 236, &1u32.to_le_bytes());
    put(&mut block, 240, &4096u32.to_le_bytes());
    put(&mut block, 244, &last.to_le_bytes());
    seal(&mut block);
    block
}

/// A cursor slot of before there were lineages, with ten events delivered.
fn slot() -> Vec<u8> {
    let text =
        format!("{{\"sinks\":{{\"{SINK}\":{{\"delivered\":{{\"e/1/0/a\":10}},\"seals\":[]}}}}}}");
    let mut block = vec![0; 4096];
    put(&mut block, 0, b"BRNKCUR\x01");
    put(&mut block, 12, &(text.len() as u32).to_le_bytes());
    put(&mut block, 16, &1u64.to_le_bytes());
    put(&mut block, 64, text.as_bytes());
    let crc = crc32c(&block[12..64 + text.len()]);
    put(&mut block, 8, &crc.to_le_bytes());
    block
}

const FIRST: usize = 5000;
const SECOND: usize = 3000;
const SECOND_AT: u32 = 4096 + 8192;
const END: u32 = SECOND_AT + 4096;

/// The file of segment 1: two frames, committed one after the other, and the summary if it is full.
fn segment(is_sealed: bool) -> Vec<u8> {
    let mut bytes = head();
    bytes.extend(frame(4096, 4096, 0, FIRST));
    bytes.extend(frame(SECOND_AT, SECOND_AT, 10, SECOND));
    assert_eq!(bytes.len(), END as usize);
    bytes.resize(SEGMENT_BYTES, 0);
    if is_sealed {
        put(&mut bytes, SEGMENT_BYTES - 16384, &summary(END, SECOND_AT));
    }
    bytes
}

/// Puts a file on a disk.
fn place(ground: &Ground, name: &str, bytes: &[u8]) {
    let placed = async {
        let file = ground.disk.create(name, bytes.len() as u64).await?;
        let mut buffer = ground.disk.buffer(bytes.len());
        buffer.bytes_mut().copy_from_slice(bytes);
        file.write(0, buffer).await
    };
    block_on(placed, || {}).expect("a disk without faults writes");
    ground.disk.kill();
}

const SEGMENT: &str = "segments/0000000001.seg";

/// A spool of the first format, on which nobody has started since.
fn before(is_sealed: bool) -> Ground {
    let ground = Ground::new(0);
    place(&ground, SEGMENT, &segment(is_sealed));
    let mut cursors = vec![0; 2 * SLOT_BYTES];
    put(&mut cursors, SLOT_BYTES, &slot());
    place(&ground, "cursors", &cursors);
    ground
}

#[test]
fn a_spool_of_the_first_format_is_read_sealed_or_not() {
    for is_sealed in [true, false] {
        let ground = before(is_sealed);
        let mut spool = Lone::start(&ground, config(2)).expect("it is read");
        let report = spool.report.clone();
        assert_eq!((report.segments, report.walked), (1, u32::from(!is_sealed)));
        assert_eq!((report.corrupt_ranges, report.cursors_lost), (0, false));
        let told = spool.told_all();
        let all: Vec<_> = frames(&told).copied().collect();
        let seen: Vec<_> = all
            .iter()
            .map(|f| (f.position.offset(), f.batch.first_sequence.0, f.batch.payload_bytes))
            .collect();
        assert_eq!(seen, [(4096, 0, FIRST as u32), (SECOND_AT, 10, SECOND as u32)]);
        assert!(all.into_iter().all(|frame| spool.read(frame) == Ok(())));
        let written = ground.disk.contents().remove(SEGMENT).expect("the segment");
        assert!(written == segment(true), "a start seals it as it would have been");
        // What is delivered lets it go: its cursor counts from where it was.
        let stream = told.iter().find_map(|n| frames(std::slice::from_ref(n)).next().copied());
        let ends = vec![(stream.expect("a frame").batch.stream, Sequence(20))];
        assert!(spool.decide(&Command::Advance { ends }));
        spool.run(100);
        assert!(!ground.disk.names().contains(&SEGMENT.to_owned()));
    }
}

#[test]
fn a_spool_is_written_in_the_first_format_still() {
    let ground = Ground::new(0);
    let mut spool = Lone::start(&ground, config(1)).expect("the disk works");
    for bytes in [FIRST, SECOND] {
        assert!(spool.append("a", bytes));
        spool.run(200);
    }
    let written = ground.disk.contents().remove(SEGMENT).expect("the segment");
    let differs = written.iter().zip(segment(false)).position(|(a, b)| *a != b);
    assert_eq!(differs, None, "the first byte that differs");
}

#[test]
fn what_a_newer_build_wrote_is_refused_and_left_untouched() {
    // A version that is one higher, in every block that has one, and sound.
    let newer = |block: &mut [u8]| {
        block[7] += 1;
        seal(block);
    };
    let head = |ground: &Ground| ground.disk.edit(SEGMENT, |bytes| newer(&mut bytes[..4096]));
    let frame = |ground: &Ground| ground.disk.edit(SEGMENT, |b| newer(&mut b[4096..4096 + 256]));
    let summary =
        |ground: &Ground| ground.disk.edit(SEGMENT, |b| newer(&mut b[SEGMENT_BYTES - 16384..]));
    // The checksum of the first version left the version out; that of a later one does not.
    let cursors = |ground: &Ground| {
        ground.disk.edit("cursors", |bytes| {
            let slot = &mut bytes[SLOT_BYTES..];
            slot[7] += 1;
            let end = 64 + u32::from_le_bytes([slot[12], slot[13], slot[14], slot[15]]) as usize;
            let crc = crc32c(&[&slot[..8], &slot[12..end]].concat());
            put(slot, 8, &crc.to_le_bytes());
        });
    };
    type Change<'a> = (&'a str, bool, &'a dyn Fn(&Ground));
    let changes: [Change<'_>; 4] = [
        ("head", true, &head),
        ("frame", false, &frame),
        ("summary", true, &summary),
        ("cursors", true, &cursors),
    ];
    for (what, is_sealed, change) in changes {
        let ground = before(is_sealed);
        change(&ground);
        let untouched = ground.disk.contents();
        let refused = Lone::start(&ground, config(2)).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::Unsupported), "{what}");
        assert!(ground.disk.contents() == untouched, "{what}");
    }
}

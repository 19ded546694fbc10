//! A start on whatever lies on the disk: it ends, and the next one finds the same.
//!
//! ```text
//!  input = cursors: kind │ segments: count, then for each: kind, image
//! ```

use super::{cursors, feature::reached, input::Input, segment_image::Image};
use crate::sim::{
    clock::SimClock,
    disk::SimDisk,
    executor::{Executor, block_on},
    random::Random,
};
use brink_proto::{frame::FRAME_ALIGN, ids::Incarnation};
use brink_shipper::{
    alarms::Alarms,
    disk::{AlignedBuffer, Disk, DiskFile},
    spool::{
        Connections, RecoveryReport, Spool, SpoolConfig, SpoolCounters,
        cursors::{FILE_NAME, SLOT_BYTES, fill_slot},
        port::{self, Notice},
        segment::{SEGMENT_BYTES_MIN, SUMMARY_BYTES, Summary, file_name, free_name, write_head},
    },
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// The sink that is told of everything and takes nothing; the cursors speak of another one.
const SINK: &str = "audit";

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn spool_start(data: &[u8]) {
    let mut input = Input::new(data);
    let clock = SimClock::new(0);
    let disk = SimDisk::new(clock.clone(), Random::new(0));
    write_cursors(&disk, &mut input);
    for number in 0..u32::from(input.byte() % 4) {
        write_segment(&disk, &mut input, 1 + 2 * number);
    }
    let (report, told) = start(&disk, &clock, 1);
    disk.kill();
    let (again, told_again) = start(&disk, &clock, 2);
    assert_eq!(told, told_again, "the next start finds what this one found");
    assert_eq!(again.walked, 0, "a start seals what it has walked");
    assert_eq!((again.segments, again.cursors_lost), (report.segments, report.cursors_lost));
    let lost = told.iter().filter(|notice| matches!(notice, Notice::Lost { .. })).count();
    reached((report.walked.min(3), report.corrupt_ranges.min(2), lost.min(2), report.cursors_lost));
}

/// A file of `size` bytes with these blocks, each at its offset; what is zero is not written again.
fn write_file<'b>(
    disk: &SimDisk,
    name: &str,
    size: usize,
    blocks: impl Iterator<Item = (usize, &'b [u8])>,
) {
    let written = async {
        let file = disk.create(name, size as u64).await?;
        for (at, block) in blocks.filter(|(_, block)| block.iter().any(|b| *b != 0)) {
            let mut buffer = disk.buffer(block.len());
            buffer.bytes_mut().copy_from_slice(block);
            file.write(at as u64, buffer).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    block_on(written, || {}).expect("a disk without faults writes");
}

fn write_cursors(disk: &SimDisk, input: &mut Input<'_>) {
    let kind = input.byte();
    if kind & 1 == 0 {
        return;
    }
    let text = serde_json::to_vec(&cursors::some()).expect("cursors can be written");
    let slots = [kind >> 1, kind >> 4].map(|kind| {
        let mut slot = [0; FRAME_ALIGN];
        match kind & 7 {
            0 => {}
            1 => slot.fill(kind),
            2 => fill_slot(&mut slot, u64::from(kind), input.take(64)),
            writes => fill_slot(&mut slot, u64::from(writes), &text),
        }
        slot
    });
    let blocks = [(0, slots[0].as_slice()), (SLOT_BYTES, &slots[1])];
    write_file(disk, FILE_NAME, 2 * SLOT_BYTES, blocks.into_iter());
}

fn write_segment(disk: &SimDisk, input: &mut Input<'_>, generation: u32) {
    let kind = input.byte();
    let size = match kind & 7 {
        0 => 2 * FRAME_ALIGN as u32,
        1 => SEGMENT_BYTES_MIN + FRAME_ALIGN as u32,
        _ => SEGMENT_BYTES_MIN,
    };
    let limit = size.saturating_sub(SUMMARY_BYTES) as usize;
    let mut image = Image::make(input, generation, limit, size as usize);
    if kind & 8 == 0 {
        write_head(&mut image.bytes[..FRAME_ALIGN], generation, size);
    }
    if kind & 16 != 0 && size >= SEGMENT_BYTES_MIN {
        Summary::of(&image.frames).encode(&mut image.bytes[limit..], generation);
    }
    let name = if kind & 32 == 0 { file_name(generation) } else { free_name(generation) };
    let blocks = image.bytes.chunks(FRAME_ALIGN).enumerate();
    write_file(disk, &name, image.bytes.len(), blocks.map(|(at, block)| (at * FRAME_ALIGN, block)));
}

/// One life: what the start found, and what a sink is told.
fn start(disk: &SimDisk, clock: &SimClock, life: u64) -> (RecoveryReport, Vec<Notice>) {
    let config = SpoolConfig {
        incarnation: Incarnation(life),
        segment_bytes: SEGMENT_BYTES_MIN,
        quota_bytes: 1 << 30,
        commit_interval: Duration::from_millis(50),
        group_bytes: 256 << 10,
        replay_bytes_per_s: u64::MAX,
    };
    let (port, mut sink, _reads) = port::port(SINK);
    let with = Connections {
        rings: Vec::new(),
        ports: vec![port],
        counters: Arc::new(SpoolCounters::new(0, Vec::new())),
        alarms: Arc::new(Alarms::default()),
        give_up: Arc::new(AtomicBool::new(false)),
    };
    let opened = Spool::open(disk.clone(), clock.clone(), config, with);
    let spool = block_on(opened, || clock.move_to(clock.nanos() + 1000)).expect("it starts");
    let report = spool.report().clone();
    let mut executor = Executor::default();
    let (append, serve) = spool.into_tasks();
    executor.spawn(append);
    executor.spawn(serve);
    let mut told = Vec::new();
    let mut quiet = 0;
    while quiet < 4 {
        executor.run_until_stalled();
        quiet += 1;
        while let Ok(notice) = sink.notices.pop() {
            quiet = 0;
            told.push(notice);
        }
        clock.move_to(clock.nanos() + 5_000_000);
    }
    (report, told)
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let images = super::segment_image::seeds();
    let mut seeds = vec![vec![0x67, 0], vec![0x13, 0], vec![0x25, 0]];
    for kind in [2, 3, 10, 18, 34, 50] {
        for pair in images.windows(2) {
            seeds.push([&[0x37, 2, kind], pair[0].as_slice(), &[kind ^ 16], &pair[1]].concat());
        }
    }
    seeds
}

pub(super) const WORDS: &[&[u8]] =
    &[b"\x37", b"\x02\x02", b"\0\0\0", b"\x12\x05", b"{\"sinks\":{}}"];

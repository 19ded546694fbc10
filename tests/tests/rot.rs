//! Disks that forget bits, tear tails and do not give back what they hold: what a start makes of
//! it, and a life that goes on.

use brink_proto::frame::{FrameHeader, HEADER_BYTES};
use brink_shipper::{
    alarms::Alarm,
    spool::{
        cursors::SLOT_BYTES,
        port::{Command, Notice, ReadFault},
        segment::SUMMARY_BYTES,
    },
};
use brink_tests::sim::{
    spool::{Ground, Lone, config, frames},
};
/// A log of nine frames in three groups, of which the last one is the last group; killed.
fn log() -> (Ground, Vec<FrameHeader>) {
    let ground = Ground::new(0);
    let mut spool = Lone::start(&ground, config(1)).expect("the disk works");
    for group in [4, 4, 1] {
        (0..group).for_each(|_| assert!(spool.append("a", 6000)));
        spool.run(200);
    }
    let told = spool.told();
    drop(spool);
    ground.disk.kill();
    let frames: Vec<_> = frames(&told).copied().collect();
    assert_eq!(frames.len(), 9);
    (ground, frames)
}

const SEGMENT: &str = "0000000001.seg";

/// Where a block says its version.
const VERSION_AT: usize = 7;

/// All frames, as a sink is told of them.
fn all(frames: &[FrameHeader]) -> Vec<Notice> {
    frames.iter().map(|frame| Notice::Frame(*frame)).collect()
}

/// No alarm is up.
fn is_quiet(spool: &Lone) -> bool {
    Alarm::ALL.iter().all(|alarm| !spool.alarms.state(*alarm).0)
}

#[test]
fn a_tail_torn_at_any_sector_is_cut_off_and_no_damage() {
    let (_, frames) = log();
    let last = frames[8];
    let (from, payload) = (last.position.offset() as usize, last.batch.payload_bytes as usize);
    for cut in (0..last.frame_bytes()).step_by(512) {
        let (ground, _) = log();
        ground.disk.edit(SEGMENT, |bytes| bytes[from + cut..].fill(0));
        let mut next = Lone::start(&ground, config(2)).expect("it starts");
        let told = next.told_all();
        let kept = if cut >= HEADER_BYTES + payload { 9 } else { 8 };
        assert_eq!(told, all(&frames[..kept]));
        assert_eq!((next.report.corrupt_ranges, next.report.walked), (0, 1), "cut at {cut}");
        assert!(is_quiet(&next), "cut at {cut}");
    }
}

#[test]
fn a_bit_that_flips_in_a_header_or_a_payload_costs_that_frame_and_is_told() {
    let (_, frames) = log();
    let victim = frames[5];
    let from = victim.position.offset() as usize;
    let places = (0..HEADER_BYTES).chain((HEADER_BYTES..HEADER_BYTES + 6000).step_by(500));
    // Whatever the version seems to be: no checksum says so.
    let versions = (0..8).map(|bit| (VERSION_AT, bit));
    for (at, bit) in places.map(|at| (at, 2)).chain(versions) {
        let (ground, _) = log();
        ground.disk.edit(SEGMENT, |bytes| bytes[from + at] ^= 1 << bit);
        let mut next = Lone::start(&ground, config(2)).unwrap_or_else(|e| panic!("{at}: {e}"));
        let told = next.told_all();
        let around: Vec<_> = told.iter().filter(|n| **n != Notice::Frame(victim)).collect();
        assert_eq!(around.len(), 8, "byte {at}");
        if told.len() == 9 {
            assert_eq!(next.read(victim), Err(ReadFault::Corrupt), "byte {at}");
        }
        assert!(next.alarms.state(Alarm::CorruptFrame).0, "byte {at}");
        assert_eq!(next.read(frames[4]), Ok(()), "byte {at}");
        assert_eq!(next.read(frames[6]), Ok(()), "byte {at}");
        let kept = format!("quarantine/0000000001-{from:010}.bytes");
        assert!(ground.disk.names().contains(&kept), "byte {at}: {:?}", ground.disk.names());
    }
}

#[test]
fn a_bit_that_flips_in_a_head_or_a_summary_costs_nothing_and_stops_no_start() {
    let (ground, frames) = log();
    drop(Lone::start(&ground, config(2)).expect("it starts, and seals the segment"));
    ground.disk.kill();
    let mut sealed = Vec::new();
    ground.disk.edit(SEGMENT, |bytes| sealed = bytes.to_vec());
    let summary_at = sealed.len() - SUMMARY_BYTES as usize;
    for (block, at) in [0, summary_at].into_iter().flat_map(|b| (b..b + 24).map(move |at| (b, at)))
    {
        for bit in 0..8 {
            ground.disk.edit(SEGMENT, |bytes| bytes[at] ^= 1 << bit);
            let what = format!("bit {bit} of byte {}, block at {block}", at - block);
            let started = Lone::start(&ground, config(3));
            let mut next = started.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(next.report.walked, u32::from(block > 0), "{what}");
            assert!(next.told_all() == all(&frames) && is_quiet(&next), "{what}");
            drop(next);
            ground.disk.kill();
            ground.disk.edit(SEGMENT, |bytes| bytes.copy_from_slice(&sealed));
        }
    }
}

/// What a sink delivers of what it is told, from its cursor on.
fn delivered(spool: &mut Lone) -> Vec<FrameHeader> {
    let told = spool.told_all();
    let is_behind = |frame: &&FrameHeader| {
        let mark = spool.cursor.delivered.get(&frame.batch.stream);
        mark.is_none_or(|mark| frame.batch.end_sequence() > *mark)
    };
    frames(&told).filter(is_behind).copied().collect()
}

#[test]
fn a_bit_that_flips_in_one_cursor_slot_leaves_the_other_and_in_both_delivers_again() {
    let (ground, frames) = log();
    let mut spool = Lone::start(&ground, config(2)).expect("it starts");
    assert_eq!(spool.told_all().len(), 9);
    // The first start has made its sink known in slot 1.
    for frame in [frames[2], frames[5]] {
        let ends = vec![(frame.batch.stream, frame.batch.end_sequence())];
        assert!(spool.decide(&Command::Advance { ends }));
    }
    drop(spool);
    ground.disk.kill();
    let flip = |slot: usize, at: usize, bit: u32| {
        ground.disk.edit("cursors", |bytes| bytes[slot * SLOT_BYTES + at] ^= 1 << bit);
    };
    let mut next = Lone::start(&ground, config(3)).expect("it starts");
    assert_eq!(delivered(&mut next), frames[6..]);
    // What is left is the newer decision, or the older one.
    for (slot, rest) in [(0, &frames[6..]), (1, &frames[3..])] {
        for at in (0..24).chain([70]) {
            for bit in 0..8 {
                flip(slot, at, bit);
                let what = format!("slot {slot}, bit {bit} of byte {at}");
                let started = Lone::start(&ground, config(3));
                let mut next = started.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(!next.report.cursors_lost && is_quiet(&next), "{what}");
                assert_eq!(delivered(&mut next), rest, "{what}");
                flip(slot, at, bit);
            }
        }
    }
    flip(0, 70, 0);
    flip(1, VERSION_AT, 1);
    let mut next = Lone::start(&ground, config(3)).expect("it starts");
    assert!(next.report.cursors_lost && next.alarms.state(Alarm::CursorsLost).0);
    assert_eq!(delivered(&mut next), frames);
}

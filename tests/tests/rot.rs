//! Disks that forget bits, tear tails and do not give back what they hold: what a start makes of
//! it, and a life that goes on.

use brink_proto::frame::{FrameHeader, HEADER_BYTES};
use brink_shipper::{
    alarms::Alarm,
    spool::port::{Notice, ReadFault},
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

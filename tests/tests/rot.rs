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
    fault::Fault,
    spool::{Ground, Lone, config, frames},
};
use std::io::ErrorKind;

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

/// Reads that fail: so many, from one on.
fn unread(at: u64, count: u64) -> Option<Fault> {
    Some(Fault { at, count, kind: ErrorKind::Other })
}

#[test]
fn a_read_that_fails_stops_a_start_and_the_next_one_finds_all() {
    for at in 0.. {
        let (ground, frames) = log();
        ground.disk.set_read_fault(unread(at, 1));
        let started = Lone::start(&ground, config(2)).map(|_| ());
        let is_past_the_end = ground.disk.reads() <= at;
        assert_eq!(started.is_ok(), is_past_the_end, "read {at}: {started:?}");
        ground.disk.set_read_fault(None);
        ground.disk.kill();
        let mut next = Lone::start(&ground, config(3)).expect("it starts");
        assert!(next.told_all() == all(&frames) && is_quiet(&next), "read {at}");
        assert!(!next.report.cursors_lost, "read {at}");
        if is_past_the_end {
            assert!(at > 12, "{at} reads");
            break;
        }
    }
}

#[test]
fn a_payload_that_cannot_be_read_now_is_read_when_the_disk_answers_again() {
    let (ground, frames) = log();
    let mut spool = Lone::start(&ground, config(2)).expect("it starts");
    assert_eq!(spool.told_all(), all(&frames));
    let state = |spool: &Lone| spool.alarms.state(Alarm::SpoolDisk);
    ground.disk.set_read_fault(unread(0, 1));
    assert_eq!(spool.read(frames[4]), Err(ReadFault::Disk));
    assert_eq!(state(&spool), (true, 1));
    assert_eq!(spool.read(frames[4]), Ok(()));
    assert_eq!(state(&spool), (false, 1));
    // Several are read as one, and by themselves when that fails: one place is one frame's trouble.
    ground.disk.set_read_fault(unread(0, 1));
    assert_eq!(spool.read_all(&frames[..4]), [Ok(()); 4]);
    assert_eq!(state(&spool), (false, 1));
    ground.disk.set_read_fault(unread(0, 2));
    let of_first = [Err(ReadFault::Disk), Ok(()), Ok(()), Ok(())];
    assert_eq!(spool.read_all(&frames[..4]), of_first);
    // Nothing of it passes while the disk is away, whatever else it does, and all of it afterwards.
    ground.disk.set_read_fault(unread(0, u64::MAX));
    assert_eq!(spool.read_all(&frames), [Err(ReadFault::Disk); 9]);
    assert!(spool.append("a", 1000));
    spool.run(300);
    assert!(state(&spool).0 && spool.durable().len() == 1, "it writes, and is not well");
    ground.disk.set_read_fault(None);
    assert_eq!(spool.read_all(&frames), [Ok(()); 9]);
    assert!(is_quiet(&spool));
    assert!(!ground.disk.names().iter().any(|name| name.starts_with("quarantine")));
}

#[test]
fn headers_that_cannot_be_read_now_are_read_again_and_nothing_is_passed_over() {
    let ground = Ground::new(0);
    let mut spool = Lone::start(&ground, config(1)).expect("the disk works");
    for _ in 0..30 {
        assert!(spool.append("a", 60_000));
        spool.run(60);
    }
    spool.run(200);
    let told = spool.told_all();
    assert_eq!(frames(&told).count(), 30);
    drop(spool);
    ground.disk.kill();
    let is_disk_up = |spool: &Lone| spool.alarms.state(Alarm::SpoolDisk).0;
    for at in 0.. {
        let mut next = Lone::start(&ground, config(2)).expect("it starts");
        ground.disk.set_read_fault(unread(at, 2));
        assert_eq!(next.told_all(), told, "read {at}");
        let is_past_the_end = ground.disk.reads() <= at;
        let raised = next.alarms.state(Alarm::SpoolDisk).1;
        assert_eq!(raised == 0, is_past_the_end, "read {at}");
        assert!(is_quiet(&next), "read {at}");
        drop(next);
        ground.disk.set_read_fault(None);
        ground.disk.kill();
        if is_past_the_end {
            assert!(at > 20, "{at} reads");
            break;
        }
    }
    let mut next = Lone::start(&ground, config(2)).expect("it starts");
    ground.disk.set_read_fault(unread(10, u64::MAX));
    let before = next.told_all();
    assert!(before.len() < 30 && told.starts_with(&before) && is_disk_up(&next), "{before:?}");
    ground.disk.set_read_fault(None);
    assert_eq!(next.told_all(), told[before.len()..]);
    assert!(is_quiet(&next));
}

#[test]
fn the_copy_of_what_no_sink_can_deliver_is_whole_before_anybody_goes_on() {
    let one = |at| Some(Fault { at, count: 1, kind: ErrorKind::Other });
    for fails in ["reads", "changes"] {
        for at in 0.. {
            let what = format!("{at} of {fails}");
            let (ground, frames) = log();
            let mut spool = Lone::start(&ground, config(2)).expect("it starts");
            assert_eq!(spool.told_all().len(), 9);
            let is_reads = fails == "reads";
            ground.disk.set_read_fault(one(at).filter(|_| is_reads));
            ground.disk.set_fault(one(at).filter(|_| !is_reads));
            let frame = frames[4];
            let is_kept = spool.decide(&Command::Keep { frame });
            let count = if is_reads { ground.disk.reads() } else { ground.disk.operations() };
            assert_eq!(is_kept, count <= at, "{what}");
            assert_eq!(spool.alarms.state(Alarm::SpoolDisk).0, !is_kept, "{what}");
            ground.disk.set_read_fault(None);
            ground.disk.set_fault(None);
            assert!(spool.decide(&Command::Keep { frame }), "{what}");
            assert!(is_quiet(&spool), "{what}");
            drop(spool);
            ground.disk.crash();
            let from = frame.position.offset() as usize;
            let contents = ground.disk.contents();
            let copy = &contents[&format!("quarantine/0000000001-{from:010}.bytes")];
            let log = &contents[&format!("segments/{SEGMENT}")];
            assert!(copy[..] == log[from..from + frame.frame_bytes()], "{what}");
            if is_kept {
                assert!(at > 1, "{what}");
                break;
            }
        }
    }
}

//! The spool alone: on a disk that fails, fills and loses its power at every step, and under sinks
//! that want some things sooner than others.

use brink_proto::{
    frame::{FRAME_ALIGN, LogPosition},
    ids::{Sequence, StreamId},
};
use brink_shipper::{
    alarms::Alarm,
    disk::Disk,
    spool::{
        SpoolConfig,
        port::{Command, Notice, Pace, ReadFault},
    },
};
use brink_tests::sim::{
    disk::Faults,
    executor::block_on,
    fault::Fault,
    spool::{Ground, Lone, config, frames},
};
use std::{collections::BTreeMap, io::ErrorKind, time::Duration};

/// What is known of a life when it ends.
#[derive(Default)]
struct Known {
    /// By stream, behind what the shard was told to be durable.
    durable: BTreeMap<StreamId, Sequence>,
    /// By stream, behind what the sink was told to be delivered durably.
    delivered: BTreeMap<StreamId, Sequence>,
    /// By stream, behind what it has wanted to be.
    wanted: BTreeMap<StreamId, Sequence>,
}

/// One life that does everything: commits, full segments, cursors, segments let go and used again.
/// Faults may end any step of it; it goes on with the next one.
fn live(spool: &mut Lone, known: &mut Known) {
    for round in 0..6 {
        for _ in 0..3 {
            spool.append("a", 60_000);
            spool.append("b", 9_000);
            spool.run(60);
        }
        known.durable = spool.durable();
        let told = spool.told();
        if round % 2 == 1 {
            let ends: BTreeMap<_, _> =
                frames(&told).map(|f| (f.batch.stream, f.batch.end_sequence())).collect();
            known.wanted.extend(ends.clone());
            let command = Command::Advance { ends: ends.clone().into_iter().collect() };
            if spool.decide(&command) {
                known.delivered.extend(ends);
            }
        }
    }
    spool.run(200);
    known.durable = spool.durable();
}

/// What the next start has to find: all that was durable and not delivered, in order and once, and
/// nothing of it may be lost.
fn check(ground: &Ground, known: &Known, what: &str) {
    let mut next = Lone::start(ground, config(2)).unwrap_or_else(|e| panic!("{what}: {e}"));
    for (stream, end) in &known.delivered {
        // Nothing is known of a stream that is not in the log any more.
        let mark = next.cursor.delivered.get(stream);
        assert!(mark.is_none_or(|mark| mark >= end), "{what}: {stream} was delivered to {end:?}");
    }
    let told = next.told_all();
    assert!(!told.iter().any(|n| matches!(n, Notice::Lost { .. })), "{what}: {told:?}");
    let mut reached: BTreeMap<StreamId, Sequence> = BTreeMap::new();
    let all: Vec<_> = frames(&told).copied().collect();
    for frame in &all {
        let batch = &frame.batch;
        // What is not in the log any more was delivered.
        let wanted = known.wanted.get(&batch.stream).copied().unwrap_or(Sequence(0));
        let before = reached.get(&batch.stream).copied().unwrap_or(wanted).max(wanted);
        assert!(batch.first_sequence <= before, "{what}: a hole before {frame:?}");
        let reached = reached.entry(batch.stream).or_insert(Sequence(0));
        *reached = batch.end_sequence().max(*reached);
    }
    for (stream, end) in &known.durable {
        let wanted = known.wanted.get(stream).copied().unwrap_or(Sequence(0));
        let reached = reached.get(stream).copied().unwrap_or(Sequence(0)).max(wanted);
        assert!(reached >= *end, "{what}: {stream} ends at {reached:?} and {end:?} was durable");
    }
    for frame in all {
        // What was delivered may have been let go meanwhile, or freed.
        let wanted = known.wanted.get(&frame.batch.stream);
        let may_be_gone = wanted.is_some_and(|wanted| frame.batch.end_sequence() <= *wanted);
        let read = next.read(frame);
        let is_gone = matches!(read, Err(ReadFault::Gone | ReadFault::Corrupt)) && may_be_gone;
        assert!(is_gone || read == Ok(()), "{what}: {read:?} {frame:?}");
    }
    // And it takes more.
    assert!(next.append("a", 1000));
    next.run(300);
    assert_eq!(next.durable().len(), 1, "{what}");
}

/// Runs a life with a fault at each of its operations, until there are no more of them.
fn at_each_operation(count: u64, kind: ErrorKind, end: impl Fn(&Ground, &Lone, u64)) -> u64 {
    for at in 0.. {
        let ground = Ground::new(at);
        let mut spool = Lone::start(&ground, config(1)).expect("the disk works");
        ground.disk.set_fault(Some(Fault { at, count, kind }));
        let mut known = Known::default();
        live(&mut spool, &mut known);
        let is_past_the_end = ground.disk.operations() <= at;
        end(&ground, &spool, at);
        drop(spool);
        ground.disk.set_fault(None);
        let what = format!("{count} operations from {at} on fail with {kind}");
        check(&ground, &known, &what);
        if is_past_the_end {
            return at;
        }
    }
    unreachable!("a life ends")
}

/// What one failed operation has to have led to: an alarm that is over by now, and a segment that
/// is fenced. Nothing is written any more into a file of the log that something has failed on.
fn check_fence(ground: &Ground, spool: &Lone, kind: ErrorKind, what: &str) {
    let Some(failed) = ground.disk.failed() else { return };
    let raised = |alarm| spool.alarms.state(alarm);
    let alarm = if kind == ErrorKind::StorageFull { Alarm::SpoolFull } else { Alarm::SpoolDisk };
    match (failed.what, failed.name.as_str()) {
        // A segment that is done with stays, or another file is made.
        ("rename" | "remove", _) => assert_eq!(raised(alarm), (false, 0), "{what}: {failed:?}"),
        // It is written once more, by whoever had decided.
        (_, "cursors") => assert_eq!(raised(Alarm::SpoolDisk).1, 1, "{what}: {failed:?}"),
        (_, name) => {
            assert!(name.starts_with("segments"), "{what}: {failed:?}");
            assert_eq!(raised(alarm), (false, 1), "{what}: {failed:?}");
            assert_eq!(spool.counters.write_errors.read(), 1, "{what}: {failed:?}");
            assert_eq!(failed.again, 0, "{what}: {failed:?}");
        }
    }
}

#[test]
fn an_operation_that_fails_once_loses_nothing_wherever_it_is() {
    type End = (&'static str, fn(&Ground));
    // Whatever a failed sync has left to be seen, the next start may see, and power may take it.
    let seen_and_gone = |ground: &Ground| {
        ground.disk.kill();
        ground.disk.set_fault(None);
        let mut next = Lone::start(ground, config(2)).expect("it starts");
        next.told_all();
        drop(next);
        ground.disk.crash();
    };
    let ends: [End; 3] = [
        ("killed", |ground| ground.disk.kill()),
        ("powerless", |ground| ground.disk.crash()),
        ("killed, then powerless", seen_and_gone),
    ];
    for (how, end) in ends {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let operations = at_each_operation(1, kind, |ground, spool, at| {
                // It goes on in the same life: all that was handed over is durable in the end.
                let durable: u64 = spool.durable().values().map(|end| end.0).sum();
                assert_eq!(durable, 360, "{kind} at {at}");
                check_fence(ground, spool, kind, &format!("{how}, {kind} at {at}"));
                end(ground);
            });
            assert!(operations > 60, "{operations} operations");
        }
    }
}

#[test]
fn a_disk_that_fails_for_ever_from_any_operation_on_keeps_what_it_has_promised() {
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        at_each_operation(u64::MAX, kind, |ground, spool, _| {
            let is_alarmed = |alarm| spool.alarms.state(alarm).0;
            let short = spool.durable().values().map(|end| end.0).sum::<u64>() < 360;
            assert!(!short || is_alarmed(Alarm::SpoolDisk) || is_alarmed(Alarm::SpoolFull));
            ground.disk.kill();
        });
    }
}

#[test]
fn power_that_goes_before_any_operation_loses_nothing_that_was_promised() {
    // Between a cursor's sync and the renaming of what it lets go is one of these places.
    at_each_operation(u64::MAX, ErrorKind::Other, |ground, _, _| ground.disk.crash());
}

#[test]
fn what_has_just_come_does_not_wait_behind_what_was_there_at_the_start() {
    let ground = Ground::new(0);
    let mut before = Lone::start(&ground, config(1)).expect("the disk works");
    for _ in 0..200 {
        assert!(before.append("a", 30_000));
        before.run(30);
    }
    before.run(200);
    drop(before);
    ground.disk.kill();
    // 200 frames of 32 KiB at 256 KiB/s take 25 seconds, but for those of the first.
    let paced = SpoolConfig { replay_bytes_per_s: 256 << 10, ..config(2) };
    let mut spool = Lone::start(&ground, paced).expect("it starts");
    spool.run(300);
    let at_once = frames(&spool.told()).count();
    assert!((8..20).contains(&at_once), "{at_once} frames");
    let (mut old, mut live) = (at_once, 0);
    for second in 1..=10 {
        assert!(spool.append("b", 100));
        spool.run(1000);
        let told = spool.told();
        let is_live = |frame: &&_| **frame == spool.stream("b");
        live += frames(&told).map(|f| &f.batch.stream).filter(is_live).count();
        old += frames(&told).map(|f| &f.batch.stream).filter(|s| !is_live(s)).count();
        assert_eq!(live, second, "what came is told within a second");
    }
    assert!((80..120).contains(&old), "{old} frames of the backlog in ten seconds");
    // Nobody comes any more, and all of it is told at once.
    spool.finish();
    spool.run(1000);
    old += frames(&spool.told()).count();
    assert_eq!(old, 200);
}

#[test]
fn a_topic_that_a_sink_let_go_by_is_told_again_in_its_order_and_no_other_one() {
    let ground = Ground::new(0);
    let mut before = Lone::start(&ground, config(1)).expect("the disk works");
    for _ in 0..20 {
        assert!(before.append("a", 30_000) && before.append("b", 30_000));
        before.run(60);
    }
    drop(before);
    ground.disk.kill();
    let mut spool = Lone::start(&ground, config(2)).expect("it starts");
    for _ in 0..20 {
        assert!(spool.append("a", 30_000) && spool.append("b", 30_000));
        spool.run(60);
    }
    let told = spool.told_all();
    let of_a: Vec<_> = frames(&told).filter(|f| f.batch.stream.topic.as_str() == "a").collect();
    assert_eq!(of_a.len(), 40);
    let mut in_log: Vec<_> = of_a.iter().map(|f| f.position).collect();
    in_log.sort();
    for from in [0, 13, 27, 39] {
        let (topic, from) = (of_a[0].batch.stream.topic, in_log[from]);
        assert!(spool.decide(&Command::Again { topic, from }));
        assert!(spool.append("a", 100) && spool.append("b", 100));
        let again = spool.told_all();
        assert_eq!(again[0], Notice::Again { topic, from });
        let of_b = frames(&again).filter(|f| f.batch.stream.topic != topic).count();
        assert_eq!(of_b, 1, "only what came");
        let again: Vec<_> = frames(&again).filter(|f| f.batch.stream.topic == topic).collect();
        let positions: Vec<_> = again.iter().map(|f| f.position).collect();
        assert!(positions.is_sorted(), "{positions:?}");
        let want: Vec<_> = in_log.iter().filter(|p| **p >= from).copied().collect();
        assert!(positions.starts_with(&want), "{positions:?} and {want:?}");
        in_log.extend(&positions[want.len()..]);
    }
    assert_eq!(in_log.len(), 44);
    assert!(in_log.iter().all(|p| (p.offset() as usize).is_multiple_of(FRAME_ALIGN)));
}

#[test]
fn what_waits_to_be_told_is_no_matter_of_memory() {
    let ground = Ground::new(0);
    let append = |spool: &mut Lone, rounds: usize| {
        for round in 0..rounds {
            assert!(spool.append("b", 3_000));
            assert!(!round.is_multiple_of(40) || spool.append("a", 3_000));
            spool.run(30);
        }
        spool.run(200);
    };
    // A segment takes 123 frames of one block, and nobody takes what is told.
    let mut before = Lone::start(&ground, config(1)).expect("the disk works");
    append(&mut before, 2000);
    assert!(before.counters.indexed_max.read() <= 3 * 123, "live frames");
    drop(before);
    ground.disk.kill();
    let mut spool = Lone::start(&ground, config(2)).expect("it starts");
    append(&mut spool, 2000);
    assert_eq!(frames(&spool.told_all()).count(), 2 * 2050);
    let indexed = |spool: &Lone| spool.counters.indexed_max.read();
    assert!(indexed(&spool) <= 4 * 123, "{} old and live frames", indexed(&spool));
    // Few frames of a topic that is told again lie in all of it.
    let from = LogPosition::new(1, 0);
    assert!(spool.decide(&Command::Again { topic: spool.stream("a").topic, from }));
    assert_eq!(frames(&spool.told_all()).count(), 2 * 50);
    assert!(indexed(&spool) <= 4 * 123, "{} frames told again", indexed(&spool));
}

/// Batches of a topic that a sink does not take come with as many long ones that it takes.
fn live_with_one_topic_held(spool: &mut Lone, rounds: usize, known: &mut Known) {
    for _ in 0..rounds {
        spool.append("a", 3_000);
        spool.append("b", 60_000);
        spool.run(60);
        let told = spool.told();
        let of_b = frames(&told).filter(|f| f.batch.stream.topic.as_str() == "b");
        let ends: Vec<_> = of_b.map(|f| (f.batch.stream, f.batch.end_sequence())).collect();
        known.wanted.extend(ends.clone());
        if !ends.is_empty() && spool.decide(&Command::Advance { ends: ends.clone() }) {
            known.delivered.extend(ends);
        }
    }
    known.durable = spool.durable();
}

/// Room for a third of what comes.
fn narrow(incarnation: u64) -> SpoolConfig {
    SpoolConfig { segment_bytes: 1 << 20, quota_bytes: 6 << 20, ..config(incarnation) }
}

#[test]
fn a_topic_that_is_not_taken_holds_what_is_its_own_and_no_more() {
    let ground = Ground::new(0);
    let mut spool = Lone::start(&ground, narrow(1)).expect("the disk works");
    let mut known = Known::default();
    live_with_one_topic_held(&mut spool, 250, &mut known);
    let durable: Vec<u64> = known.durable.values().map(|end| end.0).collect();
    assert_eq!(durable, [2500, 2500], "all was taken");
    assert!(!spool.alarms.state(Alarm::SpoolFull).0);
    let held = spool.counters.held();
    let of = |topic: &str| held.iter().find(|h| h.topic.as_str() == topic).map(|h| h.bytes);
    assert!(of("a") > Some(250 * 3_000) && of("b") < Some(1 << 20), "{held:?}");
    // What is held is sound, here and after the next start, and is told as ever.
    drop(spool);
    ground.disk.kill();
    let mut next = Lone::start(&ground, narrow(2)).expect("it starts");
    let told = next.told_all();
    let of_a: Vec<_> = frames(&told).filter(|f| f.batch.stream.topic.as_str() == "a").collect();
    assert_eq!(of_a.len(), 250);
    assert!(of_a.iter().all(|frame| next.read(**frame) == Ok(())));
    assert!(!next.alarms.state(Alarm::CorruptFrame).0);
    // And once it is taken, the log is empty.
    let ends = vec![(of_a[0].batch.stream, Sequence(2500))];
    assert!(next.decide(&Command::Advance { ends }));
    next.run(100);
    assert_eq!(next.counters.segments.read(), 0);
    // Of what is written again nothing was given back: it would have to find room once more.
    for name in ground.disk.names().iter().filter(|name| name.ends_with(".free")) {
        let allocated = block_on(ground.disk.allocated(name), || {}).expect("it is there");
        assert_eq!(allocated, 1 << 20, "{name}");
    }
}

#[test]
fn room_that_was_given_back_before_a_start_is_room_behind_it() {
    let ground = Ground::new(0);
    let mut spool = Lone::start(&ground, narrow(1)).expect("the disk works");
    live_with_one_topic_held(&mut spool, 250, &mut Known::default());
    let taken = spool.counters.file_bytes.read();
    drop(spool);
    ground.disk.kill();
    let sizes = ground.disk.contents();
    let segments = sizes.iter().filter(|(name, _)| name.ends_with(".seg"));
    assert!(segments.map(|(_, bytes)| bytes.len()).sum::<usize>() > 12 << 20, "twice the quota");
    // What has to be freed first would take its time.
    let slow = Faults { slowest: Duration::from_millis(100), ..Faults::default() };
    ground.disk.set_faults(slow);
    let mut next = Lone::start(&ground, narrow(2)).expect("it starts");
    next.run(10);
    assert!(next.counters.file_bytes.read() <= taken + (1 << 20));
    assert!(next.append("b", 60_000));
    next.run(400);
    assert!(!next.alarms.state(Alarm::SpoolFull).0);
    next.run(600);
    assert_eq!(next.durable().len(), 1, "there is room at once, whatever was told");
}

#[test]
fn a_sink_is_served_while_room_is_freed() {
    let ground = Ground::new(0);
    let narrow = SpoolConfig { segment_bytes: 4 << 20, quota_bytes: 10 << 20, ..config(1) };
    let mut spool = Lone::start(&ground, narrow).expect("the disk works");
    for _ in 0..500 {
        assert!(spool.append("a", 100) && spool.append("b", 5_000));
        spool.run(20);
    }
    spool.run(1000);
    let told = spool.told_all();
    let first = *frames(&told).next().expect("a frame");
    // A segment has 340 frames whose payloads are freed, 16 of them in 20 ms or so.
    let slow = Faults { slowest: Duration::from_millis(40), ..Faults::default() };
    ground.disk.set_faults(slow);
    let before = spool.counters.file_bytes.read();
    assert!(spool.decide(&Command::Advance { ends: vec![(spool.stream("b"), Sequence(5000))] }));
    let freed = |spool: &Lone| before - spool.counters.file_bytes.read();
    let begins = (0..5000).any(|_| {
        spool.run(1);
        freed(&spool) > 0
    });
    assert!(begins, "nothing is freed");
    let mut reads = 0;
    while freed(&spool) < 1 << 20 && reads < 1000 {
        assert_eq!(spool.read(first), Ok(()));
        reads += 1;
    }
    assert!((5..1000).contains(&reads), "{reads} reads while a megabyte was freed");
}

#[test]
fn payloads_come_unasked_of_frames_that_have_just_come_and_of_no_others() {
    let ground = Ground::new(0);
    let mut spool = Lone::start(&ground, narrow(1)).expect("the disk works");
    live_with_one_topic_held(&mut spool, 80, &mut Known::default());
    drop(spool);
    ground.disk.kill();
    let mut next = Lone::start(&ground, narrow(2)).expect("it starts");
    next.sink.set_pace(Pace::Abreast);
    let told = next.told_all();
    let of = |topic: &str| frames(&told).filter(|f| f.batch.stream.topic.as_str() == topic).count();
    assert!(of("a") == 80 && of("b") > 0, "some are told that were delivered");
    assert_eq!(next.unasked().len(), 0, "they were there at the start");
    assert!(next.append("a", 3_000) && next.append("b", 3_000));
    let live: Vec<_> = frames(&next.told_all()).copied().collect();
    assert_eq!((live.len(), next.unasked()), (2, live.clone()));
    // One that is told again waits as those of the start do, and others come meanwhile.
    let (topic, from) = (live[0].batch.stream.topic, live[0].position);
    assert!(next.decide(&Command::Again { topic, from }));
    assert_eq!(frames(&next.told_all()).copied().collect::<Vec<_>>(), live[..1]);
    assert_eq!(next.unasked().len(), 0);
    assert!(!next.alarms.state(Alarm::CorruptFrame).0);
}

#[test]
fn power_that_goes_while_room_is_freed_loses_nothing_that_is_held() {
    for at in (0..600).step_by(7) {
        let ground = Ground::new(at);
        let mut spool = Lone::start(&ground, narrow(1)).expect("the disk works");
        let mut known = Known::default();
        live_with_one_topic_held(&mut spool, 60, &mut known);
        ground.disk.set_fault(Some(Fault { at, count: u64::MAX, kind: ErrorKind::Other }));
        live_with_one_topic_held(&mut spool, 20, &mut known);
        drop(spool);
        ground.disk.set_fault(None);
        ground.disk.crash();
        check(&ground, &known, &format!("the power goes at {at}"));
    }
}

#[test]
fn a_topic_that_holds_half_of_the_log_is_told_by_name() {
    let ground = Ground::new(0);
    let mut spool = Lone::start(&ground, narrow(1)).expect("the disk works");
    for _ in 0..60 {
        assert!(spool.append("a", 60_000) && spool.append("b", 3_000));
        spool.run(60);
    }
    spool.run(1200);
    assert!(spool.alarms.state(Alarm::LogHeld).0);
    let told = spool.told_all();
    let ends = vec![(spool.stream("a"), Sequence(600))];
    assert!(frames(&told).count() == 120 && spool.decide(&Command::Advance { ends }));
    spool.run(1200);
    assert!(!spool.alarms.state(Alarm::LogHeld).0);
}

/// A life on two disks of which the first one ends as it is told to, and what is found afterwards.
fn on_two_disks(what: &str, first_ends: impl Fn(&Ground), first_comes_back: impl Fn(&Ground)) {
    let ground = Ground::of_two(3);
    let mut spool = Lone::start(&ground, config(1)).expect("the disks work");
    let mut known = Known::default();
    for _ in 0..10 {
        assert!(spool.append("a", 60_000));
        spool.run(60);
    }
    first_ends(&ground);
    for _ in 0..20 {
        assert!(spool.append("a", 60_000), "{what}: there is room in the rings");
        spool.run(1500);
    }
    known.durable = spool.durable();
    assert_eq!(known.durable.values().map(|end| end.0).sum::<u64>(), 300, "{what}: all is taken");
    let second = ground.second.clone().expect("two disks");
    let segments = second.names().iter().filter(|name| name.ends_with(".seg")).count();
    assert!(segments >= 2, "{what}: {:?}", second.names());
    drop(spool);
    ground.disk.crash();
    second.crash();
    first_comes_back(&ground);
    check(&ground, &known, what);
}

#[test]
fn a_first_disk_that_fails_or_is_full_is_gone_on_from_on_the_second() {
    let fails = |kind| {
        move |ground: &Ground| {
            ground.disk.set_fault(Some(Fault { at: 0, count: u64::MAX, kind }));
        }
    };
    let mended = |ground: &Ground| ground.disk.set_fault(None);
    on_two_disks("every write fails", fails(ErrorKind::Other), mended);
    on_two_disks("every write finds no room", fails(ErrorKind::StorageFull), mended);
    let full = |ground: &Ground| {
        ground.disk.set_faults(Faults { capacity: Some(0), ..Faults::default() });
    };
    on_two_disks("there is no room for a segment", full, |_| {});
}

#[test]
fn two_disks_that_fail_at_any_operation_lose_nothing_that_was_promised() {
    for at in (0..120).step_by(3) {
        for is_second in [false, true] {
            let ground = Ground::of_two(at);
            let mut spool = Lone::start(&ground, config(1)).expect("the disks work");
            let second = ground.second.clone().expect("two disks");
            // With the second one in use already, in half of them.
            let (fails, other) =
                if is_second { (&second, &ground.disk) } else { (&ground.disk, &second) };
            other.set_fault(Some(Fault { at: 12, count: 1, kind: ErrorKind::Other }));
            fails.set_fault(Some(Fault { at, count: u64::MAX, kind: ErrorKind::Other }));
            let mut known = Known::default();
            live(&mut spool, &mut known);
            drop(spool);
            fails.set_fault(None);
            other.set_fault(None);
            ground.disk.crash();
            second.crash();
            check(&ground, &known, &format!("second: {is_second}, from {at} on"));
        }
    }
}

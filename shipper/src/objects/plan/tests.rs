//! The planner against its promises: sequences tile, hours are kept apart, seals are resumed.

use super::*;
use crate::sample;
use brink_proto::{frame::BatchInfo, ids::Hour};

const POLICY: RollPolicy =
    RollPolicy { bytes_max: 1000, rows_max: 100, age_max: Duration::from_secs(60) };

fn frame(shard: u16, first: u64, count: u32, hour: u32) -> FrameHeader {
    let batch = sample::batch(&format!("e/7/{shard}/t"), first, count);
    let batch = BatchInfo { hour: Hour(hour), ..batch };
    let frame = sample::frame(batch, LogPosition(first * 4096));
    FrameHeader { payload_crc: first as u32, ..frame }
}

fn taken(missing: u64) -> Admission {
    Admission::Taken(Gone { missing, found: 0 })
}

fn gone(missing: u64, found: u64) -> Gone {
    Gone { missing, found }
}

/// Every step, as `first..end` of objects and the other steps by name.
fn drain(planner: &mut Planner) -> Vec<String> {
    let mut steps = Vec::new();
    while let Some(step) = planner.poll_step(Duration::ZERO, true) {
        steps.push(match step {
            Step::Object(plan) => {
                let resumed = if plan.resumed { " resumed" } else { "" };
                format!("{}..{}{resumed}", plan.seal.first, plan.seal.end)
            }
            Step::Found(Found { seal, rows, shed, .. }) => {
                let shed = shed.by_reason().values().sum::<u64>();
                format!("{}..{} exists, {rows} rows and {shed} shed", seal.first, seal.end)
            }
            Step::Unseal(_) => "unseal".to_owned(),
            Step::Skip(_, end, _) => format!("skip to {}", end.0),
        });
    }
    steps
}

fn planner_at(delivered: u64, seals: Vec<Seal>) -> Planner {
    let stream = "e/7/0/t".parse().unwrap();
    let delivered = BTreeMap::from([(stream, Sequence(delivered))]);
    Planner::new(POLICY, &SinkCursor { delivered, seals, ..SinkCursor::default() })
}

#[test]
fn objects_roll_by_size_rows_and_hour_and_tile() {
    let mut planner = planner_at(0, Vec::new());
    let mut next = 0;
    for at in 0..25 {
        let hour = if at < 18 { 1 } else { 2 };
        let admission = planner.handle_frame(frame(0, next, 8, hour), Duration::ZERO);
        assert_eq!(admission, taken(0));
        next += 8;
    }
    assert_eq!(planner.pending_events(), 200);
    // Ten frames are 1000 bytes; the hour changes behind frame 18.
    assert_eq!(drain(&mut planner), ["0..80", "80..144", "144..200"]);
    assert_eq!(planner.pending_events(), 0);

    planner.handle_frame(frame(0, 200, 90, 2), Duration::ZERO);
    planner.handle_frame(frame(0, 290, 20, 2), Duration::ZERO);
    assert_eq!(drain(&mut planner), ["200..290", "290..310"]);
}

#[test]
fn a_group_waits_until_it_is_old() {
    let mut planner = planner_at(0, Vec::new());
    planner.handle_frame(frame(0, 0, 5, 1), Duration::from_secs(10));
    assert_eq!(planner.poll_step(Duration::from_secs(69), false), None);
    assert!(planner.poll_step(Duration::from_secs(70), false).is_some());
}

#[test]
fn what_is_delivered_or_stands_twice_is_known() {
    let mut planner = planner_at(10, Vec::new());
    assert_eq!(planner.handle_frame(frame(0, 0, 10, 1), Duration::ZERO), Admission::Known);
    assert_eq!(planner.handle_frame(frame(0, 10, 10, 1), Duration::ZERO), taken(0));
    assert_eq!(planner.handle_frame(frame(0, 10, 10, 1), Duration::ZERO), Admission::Known);
    assert_eq!(drain(&mut planner), ["10..20"]);
}

#[test]
fn a_gap_ends_an_object_and_is_counted() {
    let mut planner = planner_at(0, Vec::new());
    planner.handle_frame(frame(0, 0, 10, 1), Duration::ZERO);
    assert_eq!(planner.handle_frame(frame(0, 25, 10, 1), Duration::ZERO), taken(15));
    assert_eq!(drain(&mut planner), ["0..10", "25..35"]);
}

#[test]
fn lost_events_at_the_end_of_a_stream_are_passed_over() {
    let mut planner = planner_at(0, Vec::new());
    let stream = "e/7/0/t".parse().unwrap();
    planner.handle_frame(frame(0, 0, 10, 1), Duration::ZERO);
    assert_eq!(planner.handle_lost(stream, Sequence(10)), gone(0, 0));
    assert_eq!(planner.handle_lost(stream, Sequence(30)), gone(20, 0));
    assert_eq!(drain(&mut planner), ["0..10", "skip to 30"]);
}

/// That its object exists.
fn made(seal: &Seal) -> Found {
    Found {
        seal: seal.clone(),
        bytes: 4711,
        place: Place::AtItsKey,
        rows: 0,
        shed: Shed::default(),
    }
}

fn seal_of(frames: &[FrameHeader]) -> Seal {
    plan_of(frames.to_vec()).unwrap().seal
}

#[test]
fn a_seal_of_an_earlier_start_decides_its_object() {
    let frames = [frame(0, 0, 10, 1), frame(0, 10, 10, 1), frame(0, 20, 10, 1)];
    let mut planner = planner_at(0, vec![seal_of(&frames[..2])]);
    for frame in frames {
        planner.handle_frame(frame, Duration::ZERO);
    }
    assert_eq!(drain(&mut planner), ["0..20 resumed", "20..30"]);

    // Its object may exist: it is waited for, however long that takes.
    let mut planner = planner_at(0, vec![seal_of(&frames)]);
    planner.handle_frame(frames[0], Duration::ZERO);
    planner.handle_frame(frames[1], Duration::ZERO);
    assert_eq!(planner.poll_step(POLICY.age_max * 2, false), None);
    assert_eq!(planner.poll_step(POLICY.age_max * 2, true), None);
    assert_eq!(planner.pending_events(), 20);
    planner.handle_frame(frames[2], POLICY.age_max * 3);
    assert_eq!(drain(&mut planner), ["0..30 resumed"]);

    // All that there was has come, and its last frame has not.
    let mut planner = planner_at(0, vec![seal_of(&frames)]);
    planner.handle_frame(frames[0], Duration::ZERO);
    planner.handle_end_of_backlog();
    assert_eq!(drain(&mut planner), ["unseal", "0..10"]);

    // A frame of it is gone: it is not made, and what is left is sealed anew.
    let mut planner = planner_at(0, vec![seal_of(&frames)]);
    planner.handle_frame(frames[0], Duration::ZERO);
    assert_eq!(planner.handle_frame(frames[2], Duration::ZERO), taken(10));
    assert_eq!(drain(&mut planner), ["unseal", "0..10", "20..30"]);

    // A frame of it has other contents than were sealed.
    let mut planner = planner_at(0, vec![seal_of(&frames[..2])]);
    let other = FrameHeader { payload_crc: 99, ..frames[1] };
    planner.handle_frame(frames[0], Duration::ZERO);
    planner.handle_frame(other, Duration::ZERO);
    assert_eq!(drain(&mut planner), ["unseal", "0..20"]);
}

#[test]
fn of_an_object_that_exists_no_event_goes_into_another_whatever_the_log_still_has() {
    let frames: Vec<_> = (0..6).map(|n| frame(0, n * 10, 10, 1)).collect();
    let seal = seal_of(&frames[1..4]);
    // What is left of the six frames, what that says, and what becomes of it.
    let all = "10..40 exists, 30 rows and 6 shed";
    let cases: [(&[usize], [u64; 2], Vec<&str>); 6] = [
        (&[0, 1, 2, 3, 4], [0, 0], vec!["0..10", all, "40..50"]),
        (&[0, 2, 4], [0, 20], vec!["0..10", "10..40 exists, 30 rows and 2 shed", "40..50"]),
        (&[0, 4], [0, 30], vec!["0..10", "10..40 exists, 30 rows and 0 shed", "40..50"]),
        (&[3, 4], [10, 20], vec!["10..40 exists, 30 rows and 2 shed", "40..50"]),
        (&[5], [20, 30], vec!["10..40 exists, 30 rows and 0 shed", "50..60"]),
        (&[0, 1], [0, 0], vec!["0..10", "10..40 exists, 10 rows and 2 shed"]),
    ];
    for (left, [missing, found], want) in cases {
        let mut planner = planner_at(0, vec![seal.clone()]);
        planner.handle_found(made(&seal));
        let mut sum = gone(0, 0);
        for at in left {
            let mut frame = frames[*at];
            frame.batch.shed = [1, 1, 0, 0];
            let Admission::Taken(gone) = planner.handle_frame(frame, Duration::ZERO) else {
                panic!("frame {at} of {left:?} is known");
            };
            sum = Gone { missing: sum.missing + gone.missing, found: sum.found + gone.found };
        }
        planner.handle_end_of_backlog();
        let taken = left.len() as u64 * 10 + sum.found;
        assert_eq!((sum, planner.pending_events()), (gone(missing, found), taken), "{left:?}");
        assert_eq!(drain(&mut planner), want, "{left:?}");
        assert_eq!((planner.pending_events(), planner.frames), (0, 0));
    }
}

#[test]
fn what_is_lost_up_to_or_into_an_object_that_exists_is_told_apart() {
    let seal = seal_of(&[frame(0, 10, 10, 1), frame(0, 20, 10, 1)]);
    let at = |end: u64| {
        let mut planner = planner_at(0, vec![seal.clone()]);
        planner.handle_found(made(&seal));
        let gone = planner.handle_lost("e/7/0/t".parse().unwrap(), Sequence(end));
        planner.handle_end_of_backlog();
        (gone, drain(&mut planner))
    };
    let exists = |rows: u64| format!("10..30 exists, {rows} rows and 0 shed");
    assert_eq!(at(5), (gone(5, 0), vec!["skip to 5".into(), exists(0)]));
    assert_eq!(at(20), (gone(10, 10), vec![exists(10)]));
    assert_eq!(at(40), (gone(20, 20), vec![exists(20), "skip to 40".into()]));
}

#[test]
fn a_seal_whose_frames_never_come_is_forgotten() {
    let frames = [frame(0, 0, 10, 1), frame(0, 10, 10, 1), frame(0, 20, 10, 1)];
    let mut planner = planner_at(0, vec![seal_of(&frames[..1]), seal_of(&frames[1..2])]);
    assert_eq!(planner.handle_frame(frames[2], Duration::ZERO), taken(20));
    assert_eq!(drain(&mut planner), ["unseal", "unseal", "20..30"]);

    let mut planner = planner_at(0, vec![seal_of(&frames[..1])]);
    planner.handle_end_of_backlog();
    assert_eq!(drain(&mut planner), ["unseal"]);
}

#[test]
fn what_a_seal_speaks_of_joins_nothing_that_is_before_it() {
    // The first frame was corrupt and given up, and its sink died before it could say so.
    let frames = [frame(0, 0, 10, 1), frame(0, 10, 10, 1), frame(0, 20, 10, 1)];
    let mut planner = planner_at(0, vec![seal_of(&frames[1..2])]);
    for frame in frames {
        planner.handle_frame(frame, Duration::ZERO);
    }
    assert_eq!(drain(&mut planner), ["0..10", "10..20 resumed", "20..30"]);
}

#[test]
fn a_corrupt_frame_splits_its_object() {
    let frames = [frame(0, 0, 10, 1), frame(0, 10, 10, 1), frame(0, 20, 10, 1)];
    let cases = [(0, vec!["unseal", "10..30"]), (1, vec!["unseal", "0..10", "20..30"])];
    let last = (2, vec!["unseal", "0..20", "skip to 30"]);
    for (corrupt, want) in cases.into_iter().chain([last]) {
        let mut planner = planner_at(0, Vec::new());
        for frame in frames {
            planner.handle_frame(frame, Duration::ZERO);
        }
        let Some(Step::Object(plan)) = planner.poll_step(Duration::ZERO, true) else {
            panic!("no object");
        };
        planner.handle_corrupt(plan, frames[corrupt].position);
        assert_eq!(drain(&mut planner), want, "frame {corrupt}");
        assert_eq!(planner.frames, 0);
    }
}

#[test]
fn streams_do_not_mix() {
    let mut planner = planner_at(0, Vec::new());
    for first in [0, 10, 20] {
        planner.handle_frame(frame(0, first, 10, 1), Duration::ZERO);
        planner.handle_frame(frame(1, first, 10, 1), Duration::ZERO);
    }
    assert_eq!(drain(&mut planner), ["0..30", "0..30"]);
}

#[test]
fn a_group_that_waits_for_a_frame_that_is_gone_gives_its_room_back() {
    let policy = RollPolicy { bytes_max: u64::MAX, rows_max: u64::MAX, ..POLICY };
    let frames: Vec<_> = (0..=FRAMES_MAX as u64).map(|first| frame(0, first, 1, 1)).collect();
    let stream = "e/7/0/t".parse().unwrap();
    let delivered = BTreeMap::from([(stream, Sequence(0))]);
    let seals = vec![seal_of(&frames)];
    let mut planner =
        Planner::new(policy, &SinkCursor { delivered, seals, ..SinkCursor::default() });
    for frame in &frames[..FRAMES_MAX] {
        assert_eq!(planner.poll_step(Duration::ZERO, true), None);
        planner.handle_frame(*frame, Duration::ZERO);
    }
    assert_eq!(drain(&mut planner), ["unseal", "0..16384"]);
    assert!(planner.has_room());
}

#[test]
fn groups_that_fill_all_the_room_become_objects_before_their_time() {
    let policy = RollPolicy { bytes_max: u64::MAX, rows_max: u64::MAX, ..POLICY };
    let mut planner = Planner::new(policy, &SinkCursor::default());
    let mut next = 0;
    while planner.has_room() {
        assert_eq!(planner.poll_step(Duration::ZERO, false), None);
        assert_eq!(planner.handle_frame(frame(0, next, 1, 1), Duration::ZERO), taken(0));
        next += 1;
    }
    let step = planner.poll_step(Duration::ZERO, false);
    assert!(matches!(step, Some(Step::Object(plan)) if plan.seal.end == next));
    assert!(planner.has_room());
}

/// An object that somebody else has made.
fn existing(first: u64, end: u64) -> Found {
    made(&seal_of(&[frame(0, first, (end - first) as u32, 1)]))
}

/// The next plan of what ten frames with ten events each become.
fn planned(planner: &mut Planner) -> Plan {
    (0..10).for_each(|at| {
        planner.handle_frame(frame(0, 10 * at, 10, 1), Duration::ZERO);
    });
    let Some(Step::Object(plan)) = planner.poll_step(Duration::ZERO, true) else {
        panic!("an object is due")
    };
    assert_eq!((plan.seal.first, plan.seal.end), (0, 100));
    plan
}

#[test]
fn what_is_in_objects_that_exist_is_passed_over_and_the_rest_becomes_others() {
    type Case<'a> = (&'a [(u64, u64)], &'a [&'a str]);
    let cases: [Case<'_>; 5] = [
        (&[(0, 100)], &["0..100 exists, 100 rows and 0 shed"]),
        (&[(0, 140)], &["0..140 exists, 100 rows and 0 shed"]),
        (
            &[(0, 30), (30, 60)],
            &["0..30 exists, 30 rows and 0 shed", "30..60 exists, 30 rows and 0 shed", "60..100"],
        ),
        (&[(20, 40)], &["0..20", "20..40 exists, 20 rows and 0 shed", "40..100"]),
        (&[(95, 200)], &["0..100"]),
    ];
    for (objects, want) in cases {
        let mut planner = planner_at(0, Vec::new());
        let plan = planned(&mut planner);
        let existing: Vec<_> = objects.iter().map(|(first, end)| existing(*first, *end)).collect();
        planner.handle_ahead(plan, &existing);
        assert_eq!(planner.pending_events(), 100, "{objects:?}");
        assert_eq!(drain(&mut planner), want, "{objects:?}");
        assert_eq!((planner.pending_events(), planner.frames), (0, 0), "{objects:?}");
    }
}

#[test]
fn a_sealed_object_whose_events_are_in_others_is_not_made() {
    let mut planner = planner_at(0, Vec::new());
    let plan = Plan { resumed: true, ..planned(&mut planner) };
    planner.handle_ahead(plan, &[existing(0, 100)]);
    assert_eq!(drain(&mut planner), ["unseal", "0..100 exists, 100 rows and 0 shed"]);
}

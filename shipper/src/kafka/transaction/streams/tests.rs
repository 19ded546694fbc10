//! The streams against a broker that applies transactions or not, whose answers are lost or not,
//! and against starts that end anywhere: what is committed stands once and in order, and all comes.

use super::*;
use crate::sample;
use brink_proto::frame::LogPosition;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NAMES: [&str; 2] = ["e/7/0/a", "e/7/0/b"];

fn frame(stream: usize, first: u64, count: u32) -> FrameHeader {
    let position = LogPosition(((stream as u64 + 1) << 32) | ((first + 1) * 4096));
    sample::frame(sample::batch(NAMES[stream], first, count), position)
}

/// A topic with its positions, as readers of what is committed see them.
#[derive(Default)]
struct Topic {
    events: Vec<(StreamId, u64)>,
    positions: Vec<Position>,
}

impl Topic {
    fn commit(&mut self, group: &[FrameHeader], positions: Vec<Position>) {
        for info in group.iter().map(|frame| &frame.batch) {
            let of = info.first_sequence.0..info.end_sequence().0;
            self.events.extend(of.map(|sequence| (info.stream, sequence)));
        }
        self.positions = positions;
    }
}

/// A sink, its log and cursor, and the topic.
struct World {
    topic: Topic,
    log: Vec<FrameHeader>,
    /// Where frames stand that cannot be read.
    corrupt: BTreeSet<LogPosition>,
    cursor: SinkCursor,
    streams: Streams,
    /// Whether an epoch is open: its positions are known.
    open: bool,
    delivered: u64,
    passed_over: u64,
    /// Of this start.
    taken: u64,
}

impl World {
    fn new() -> World {
        World {
            topic: Topic::default(),
            log: Vec::new(),
            corrupt: BTreeSet::new(),
            cursor: SinkCursor::default(),
            streams: Streams::new(SinkCursor::default()),
            open: false,
            delivered: 0,
            passed_over: 0,
            taken: 0,
        }
    }

    fn tell(&mut self, frame: FrameHeader) {
        let events = u64::from(frame.batch.count);
        match self.streams.push(frame) {
            Taken::Waits(gone) => assert_eq!(gone, Gone::default()),
            Taken::Passed(gone) => {
                assert_eq!(gone, Gone::default());
                self.delivered += events;
            }
            Taken::Known => return,
        }
        self.taken += events;
    }

    fn add(&mut self, stream: usize, count: u32) {
        let id: StreamId = NAMES[stream].parse().unwrap();
        let last = self.log.iter().rev().find(|f| f.batch.stream == id);
        let first = last.map_or(0, |f| f.batch.end_sequence().0);
        self.log.push(frame(stream, first, count));
        self.tell(frame(stream, first, count));
    }

    fn begin(&mut self) {
        if !self.open {
            let positions = self.topic.positions.clone();
            let found = self.streams.take_positions(&edge(), "c", positions);
            assert_eq!((found.gone, found.is_lost), (Gone::default(), false));
            self.delivered += found.passed;
            self.open = true;
        }
        let waiting = self.streams.waiting().filter(|(_, stream)| stream.lineage.is_none());
        let waiting: Vec<_> = waiting.filter_map(|(id, s)| Some((*id, s.first()?))).collect();
        for (stream, first) in waiting {
            let lineage = lineage(stream, first.0);
            self.cursor.lineages.push(lineage.clone());
            self.streams.begun(lineage);
        }
    }

    /// A transaction: whether the broker commits it, and whether that is heard of. A topic may be
    /// left out; what cannot be read ends what goes of its stream.
    fn transact(&mut self, applied: bool, heard: bool, without: Option<usize>) {
        self.begin();
        let without = without.map(|stream| NAMES[stream].parse().unwrap());
        let mut group = self.streams.gather(most(3), |id, _| Some(*id) != without);
        for id in NAMES.map(|name| name.parse::<StreamId>().unwrap()) {
            let is_ours = |f: &FrameHeader| f.batch.stream == id;
            let mut bad = group.iter().filter(|f| is_ours(f) && self.corrupt.contains(&f.position));
            let Some(bad) = bad.next().copied() else { continue };
            group.retain(|f| !is_ours(f) || f.position < bad.position);
            if !group.iter().any(is_ours) {
                self.passed_over += self.streams.let_go(&bad);
            }
        }
        if group.is_empty() {
            return;
        }
        let positions = self.streams.positions(&edge(), &group);
        self.streams.tried(&group);
        if applied {
            self.topic.commit(&group, positions);
        }
        if applied && heard {
            self.delivered += self.streams.commit(&edge(), &group);
        } else {
            self.open = false;
        }
    }

    fn advance(&mut self) {
        for (stream, at) in self.streams.ended() {
            self.cursor.lineages.retain(|lineage| lineage.stream != stream);
            self.cursor.advance(stream, at);
            self.streams.broken(stream, at);
        }
        let ends = self.streams.ends();
        for (stream, end) in &ends {
            self.cursor.advance(*stream, *end);
        }
        self.streams.advanced(&ends);
    }

    /// A start: what is before the cursor is not told again; the newest frames may come first.
    fn start(&mut self) {
        self.streams = Streams::new(self.cursor.clone());
        (self.open, self.delivered, self.passed_over, self.taken) = (false, 0, 0, 0);
        let behind = |frame: &&FrameHeader| {
            let cursor = self.cursor.delivered.get(&frame.batch.stream);
            cursor.is_none_or(|end| frame.batch.end_sequence() > *end)
        };
        let told: Vec<FrameHeader> = self.log.iter().filter(behind).copied().collect();
        // Some are told of before the positions are known, and some behind.
        for (at, frame) in told.into_iter().enumerate() {
            if at == 3 {
                self.begin();
            }
            self.tell(frame);
        }
    }

    fn step(&mut self, op: u8) {
        let more = u32::from(op / 16) % 3;
        match op % 16 {
            0..=3 => self.add(0, more + 1),
            4 | 5 => self.add(1, more + 1),
            6..=8 => self.transact(true, true, None),
            9 => self.transact(true, true, Some(usize::from(op / 16) % 2)),
            10 => self.transact(true, false, None),
            11 => self.transact(false, false, None),
            12 | 13 => self.advance(),
            14 => drop(self.log.last().map(|frame| self.corrupt.insert(frame.position))),
            _ => self.start(),
        }
    }

    fn settle(&mut self) {
        for _ in 0..=2 * self.log.len() {
            self.transact(true, true, None);
        }
        self.advance();
        assert_eq!((self.streams.len(), self.delivered + self.passed_over), (0, self.taken));
        for name in NAMES {
            let id: StreamId = name.parse().unwrap();
            let stands = self.topic.events.iter().filter(|(stream, _)| *stream == id);
            let stands: Vec<u64> = stands.map(|(_, sequence)| *sequence).collect();
            let mut once = stands.clone();
            once.dedup();
            assert!(once == stands && stands.is_sorted(), "{name}: once and in order");
            // What is found corrupt may have been committed before.
            let ours = self.log.iter().filter(|f| f.batch.stream == id);
            let sound = ours.filter(|f| !self.corrupt.contains(&f.position));
            let mut sound = sound.flat_map(|f| f.batch.first_sequence.0..f.batch.end_sequence().0);
            assert!(sound.all(|sequence| stands.contains(&sequence)), "{name}: all of it");
        }
    }
}

/// So many of the frames that are here.
fn most(frames: usize) -> Most {
    Most { frames, bytes: 16 * 4096 }
}

fn edge() -> Name {
    Name::new("e").unwrap()
}

fn lineage(stream: StreamId, first: u64) -> Lineage {
    Lineage {
        stream,
        cluster: "c".into(),
        topic: "t".into(),
        partition: 0,
        producer: 4,
        epoch: 1,
        first,
        transactional: true,
    }
}

proptest! {
    #[test]
    fn whatever_is_lost_and_wherever_it_ends_each_event_is_committed_once_and_in_order(
        ops in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut world = World::new();
        ops.into_iter().for_each(|op| world.step(op));
        world.settle();
    }
}

#[test]
fn positions_of_another_copy_of_the_spool_are_not_ours_and_are_kept_for_it() {
    let mut ours = World::new();
    ours.add(0, 3);
    ours.transact(true, true, None);
    let written = ours.topic.positions.clone();
    // The copy has a stream of the same name, and another lineage.
    let mut copy = World::new();
    copy.add(0, 2);
    let id: StreamId = NAMES[0].parse().unwrap();
    copy.streams.begun(Lineage { producer: 5, ..lineage(id, 0) });
    let found = copy.streams.take_positions(&edge(), "c", written.clone());
    assert_eq!(found, Found { passed: 0, gone: Gone::default(), is_lost: false });
    assert_eq!(copy.streams.len(), 1);
    let group = copy.streams.gather(most(1), |_, _| true);
    copy.topic.commit(&group, copy.streams.positions(&edge(), &group));
    // The first one finds its own, and keeps that of the copy.
    ours.topic = copy.topic;
    ours.start();
    ours.begin();
    assert_eq!((ours.streams.len(), ours.delivered), (0, 3));
    assert_eq!(ours.streams.carried.len(), 1);
}

#[test]
fn positions_that_the_topic_has_lost_are_noticed() {
    let mut world = World::new();
    world.add(0, 3);
    world.transact(true, true, None);
    world.advance();
    world.start();
    let rows = [("c", true), ("another", false)];
    for (cluster, want) in rows {
        let found = world.streams.take_positions(&edge(), cluster, Vec::new());
        let want = Found { passed: 0, gone: Gone::default(), is_lost: want };
        assert_eq!(found, want, "{cluster}");
    }
    let found = world.streams.take_positions(&edge(), "c", world.topic.positions.clone());
    assert!(!found.is_lost);
}

#[test]
fn what_goes_with_a_second_transaction_is_counted() {
    let mut world = World::new();
    (0..3).for_each(|_| world.add(0, 1));
    world.begin();
    let group = world.streams.gather(most(2), |_, _| true);
    assert_eq!((group.len(), world.streams.tried(&group)), (2, 0));
    let group = world.streams.gather(most(3), |_, _| true);
    assert_eq!((group.len(), world.streams.tried(&group)), (3, 2));
}

#[test]
fn what_is_lost_at_the_end_of_a_stream_moves_the_cursor_once_nothing_waits_before_it() {
    let mut world = World::new();
    world.add(0, 3);
    let id = NAMES[0].parse().unwrap();
    assert_eq!(world.streams.lost(id, Sequence(5)), Gone { missing: 2, found: 0 });
    assert!(world.streams.ends().is_empty());
    world.transact(true, true, None);
    assert_eq!(world.streams.ends(), [(id, Sequence(5))]);
}

#[test]
fn what_is_gone_from_the_log_is_missing_unless_it_is_committed() {
    let mut world = World::new();
    world.add(0, 10);
    world.add(0, 10);
    world.transact(true, false, None);
    // The next start finds both committed, and the first one gone.
    world.streams = Streams::new(world.cursor.clone());
    world.begin();
    let taken = world.streams.push(frame(0, 10, 10));
    assert_eq!(taken, Taken::Passed(Gone { missing: 0, found: 10 }));
    let taken = world.streams.push(frame(0, 25, 5));
    assert_eq!(taken, Taken::Waits(Gone { missing: 5, found: 0 }));
    let id = NAMES[0].parse().unwrap();
    (world.streams, world.open) = (Streams::new(world.cursor.clone()), false);
    world.begin();
    assert_eq!(world.streams.lost(id, Sequence(23)), Gone { missing: 3, found: 20 });

    // What is told of before the positions are known is found out with them.
    world.streams = Streams::new(world.cursor.clone());
    assert_eq!(world.streams.push(frame(0, 10, 10)), Taken::Waits(Gone::default()));
    assert_eq!(world.streams.lost(id, Sequence(22)), Gone::default());
    assert_eq!(world.streams.lost(id, Sequence(23)), Gone::default());
    assert_eq!((world.streams.doubtful().next(), world.streams.ends()), (Some(edge()), vec![]));
    let found = world.streams.take_positions(&edge(), "c", world.topic.positions.clone());
    let gone = Gone { missing: 3, found: 10 };
    assert_eq!(found, Found { passed: 10, gone, is_lost: false });
    assert_eq!((world.streams.doubtful().next(), world.streams.ended()), (None, vec![]));
    assert_eq!(world.streams.ends(), [(id, Sequence(23))]);
}

#[test]
fn what_never_went_is_not_taken_for_what_the_topic_has_lost() {
    let id: StreamId = NAMES[0].parse().unwrap();
    // Nothing of a stream can be read.
    let mut world = World::new();
    world.add(0, 3);
    world.corrupt.insert(frame(0, 0, 3).position);
    world.transact(true, true, None);
    assert_eq!(world.streams.ended(), [(id, Sequence(3))]);
    world.advance();
    world.start();
    world.add(0, 2);
    world.settle();
    // Nor is it in the log any more when the next start looks.
    let mut world = World::new();
    world.add(0, 3);
    world.begin();
    world.log.clear();
    world.start();
    assert_eq!(world.streams.lost(id, Sequence(3)), Gone::default());
    let found = world.streams.take_positions(&edge(), "c", Vec::new());
    let gone = Gone { missing: 3, found: 0 };
    assert_eq!(found, Found { passed: 0, gone, is_lost: false });
    assert_eq!(world.streams.ended(), [(id, Sequence(3))]);
    world.advance();
    assert_eq!((world.cursor.lineages.len(), world.cursor.delivered[&id]), (0, Sequence(3)));
}

#[test]
fn a_transaction_takes_so_many_frames_or_bytes_in_turns_and_always_one() {
    let mut world = World::new();
    (0..3).for_each(|_| world.add(0, 1));
    world.add(1, 1);
    world.begin();
    let rows = [
        (Most { frames: 9, bytes: 3 * 4096 }, 3),
        (Most { frames: 2, bytes: 9 * 4096 }, 2),
        (Most { frames: 9, bytes: 9 * 4096 }, 4),
        (Most { frames: 0, bytes: 0 }, 1),
    ];
    for (most, want) in rows {
        let group = world.streams.gather(most, |_, _| true);
        assert_eq!(group.len(), want, "{most:?}");
        let of_second = group.iter().any(|f| f.batch.stream.to_string() == NAMES[1]);
        assert_eq!(of_second, want > 1, "streams take turns");
    }
}

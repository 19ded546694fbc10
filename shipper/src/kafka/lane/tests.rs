//! The lane against a broker that loses answers, forgets producers and dies, and against starts
//! that end anywhere. The broker is modelled by what decides: it keeps five batches of a producer.

use super::*;
use crate::{kafka::faults::verdict, sample};
use brink_proto::{ids::StreamId, kafka::batch::ProducerSequence};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
};

const OUT_OF_ORDER: i16 = 45;
const NOT_LEADER: i16 = 6;
const TOO_LARGE: i16 = 10;

fn stream() -> StreamId {
    "e/7/0/t".parse().unwrap()
}

fn frame(first: u64, count: u32) -> FrameHeader {
    sample::frame(sample::batch("e/7/0/t", first, count), LogPosition((first + 1) * 4096))
}

#[derive(Default)]
struct Broker {
    /// By producer: first and last number, and offset, of its last five batches.
    remembered: BTreeMap<i64, VecDeque<(i32, i32, i64)>>,
    /// First sequence of each batch, in the order of the log.
    log: Vec<u64>,
    producers: i64,
}

impl Broker {
    fn append(&mut self, producer: ProducerSequence, frame: &FrameHeader) -> (i16, i64) {
        let span = (producer.base, producer.base + frame.batch.count as i32 - 1);
        let batches = self.remembered.entry(producer.id).or_default();
        if let Some(same) = batches.iter().find(|b| (b.0, b.1) == span) {
            return (0, same.2);
        }
        if batches.back().is_some_and(|last| last.1 + 1 != span.0) {
            return (OUT_OF_ORDER, -1);
        }
        let offset = self.log.len() as i64;
        batches.push_back((span.0, span.1, offset));
        if batches.len() > 5 {
            batches.pop_front();
        }
        self.log.push(frame.batch.first_sequence.0);
        (0, offset)
    }
}

/// BOUND: payloads in the memory of a lane's sink: more than a window, less than may come unasked.
const ROOM: usize = WINDOW + 2;

/// A sink with one lane, its spool, and a broker.
struct World {
    broker: Broker,
    frames: Vec<FrameHeader>,
    lane: Lane,
    /// What is durable.
    delivered: Sequence,
    lineage: Option<Lineage>,
    /// Payloads that there is memory for.
    room: Arc<AtomicUsize>,
    /// Sent, and not yet seen by the broker; seen, and not yet heard of.
    sent: VecDeque<(ProducerSequence, FrameHeader)>,
    answers: VecDeque<(LogPosition, i16, i64)>,
    doubtful: u64,
    went_back: u64,
    disputes: u64,
    set_aside: Vec<u64>,
}

impl World {
    fn new() -> World {
        World {
            broker: Broker::default(),
            frames: Vec::new(),
            lane: Lane::new(Sequence(0), None),
            delivered: Sequence(0),
            lineage: None,
            room: Arc::new(AtomicUsize::new(ROOM)),
            sent: VecDeque::new(),
            answers: VecDeque::new(),
            doubtful: 0,
            went_back: 0,
            disputes: 0,
            set_aside: Vec::new(),
        }
    }

    fn add(&mut self, count: u32) {
        let first = self.frames.last().map_or(0, |f| f.batch.end_sequence().0);
        self.frames.push(frame(first, count));
        assert_eq!(self.lane.push(frame(first, count)), Some(0));
        // Payloads of new frames may come unasked, as many as they are.
        if count % 2 == 1
            && let Some(bytes) = FrameBytes::take(1, &self.room)
        {
            self.lane.read(frame(first, count).position, bytes);
        }
    }

    fn decide(&mut self) {
        let Some(decision) = self.lane.decision() else { return };
        match &decision {
            Decision::Advance(end) => self.delivered = *end,
            Decision::Break(at) => {
                self.delivered = self.delivered.max(*at);
                self.lineage = None;
            }
            Decision::Keep(_) => {}
            Decision::Begin(first) => {
                self.broker.producers += 1;
                let (cluster, topic) = ("c".to_owned(), "t".to_owned());
                let (producer, first) = (self.broker.producers, first.0);
                let stream = stream();
                let (partition, epoch, transactional) = (0, 0, false);
                let begun = Lineage {
                    stream,
                    cluster,
                    topic,
                    partition,
                    producer,
                    epoch,
                    first,
                    transactional,
                };
                self.lineage = Some(begun);
                self.lane.lineage.clone_from(&self.lineage);
            }
        }
        self.lane.decided(&decision);
    }

    fn read(&mut self) {
        while let Some(frame) = self.lane.wanted() {
            match FrameBytes::take(1, &self.room) {
                Some(bytes) => self.lane.read(frame.position, bytes),
                None if self.lane.make_room(frame.position) => {}
                None => return,
            }
        }
    }

    fn send(&mut self) {
        self.read();
        let Some(sending) = self.lane.sending(0) else { return };
        let (frame, doubtful) = (sending.frame, sending.doubtful);
        let number = sending.lineage.number(frame.batch.first_sequence).unwrap();
        self.sent.push_back((number, frame));
        self.doubtful += doubtful;
        assert!(self.lane.sent(frame.position, doubtful).is_some());
    }

    fn process(&mut self, refuse: Option<i16>) {
        let Some((number, frame)) = self.sent.pop_front() else { return };
        let (code, offset) = match refuse {
            Some(code) => (code, -1),
            None => self.broker.append(number, &frame),
        };
        self.answers.push_back((frame.position, code, offset));
    }

    fn hear(&mut self) {
        let Some((at, code, offset)) = self.answers.pop_front() else { return };
        match self.lane.answered(at, verdict(code), offset) {
            Finding::Forgotten(events) => self.doubtful += events,
            Finding::Disputed(events) => {
                self.doubtful += events;
                self.disputes += 1;
            }
            Finding::WentBack(_) => self.went_back += 1,
            Finding::SetAside(_) => self.set_aside.push(at.0 / 4096 - 1),
            Finding::Delivered(_) | Finding::Again => {}
        }
    }

    fn disconnect(&mut self, seen: usize) {
        (0..seen).for_each(|_| self.process(None));
        self.sent.clear();
        self.answers.clear();
        self.lane.disconnected();
    }

    fn crash(&mut self, seen: usize) {
        self.disconnect(seen);
        self.lane = Lane::new(self.delivered, self.lineage.clone());
        let next = self.frames.clone();
        let pushed = next.iter().filter_map(|f| self.lane.push(*f));
        assert_eq!(pushed.sum::<u64>(), 0);
    }

    fn settle(&mut self) {
        for _ in 0..self.frames.len() * 20 + 100 {
            self.lane.resume();
            self.send();
            self.process(None);
            self.hear();
            self.decide();
        }
        assert_eq!(self.lane.len(), 0, "all is delivered in the end");
        assert_eq!(self.lane.decision(), None);
    }

    fn step(&mut self, op: u8, forgets: bool) {
        match op % 16 {
            0..=2 => self.add(u32::from(op) / 16 + 1),
            3..=6 => self.send(),
            7 | 8 => self.process(None),
            9 | 10 => self.hear(),
            11 | 12 => self.decide(),
            13 => self.process(Some(NOT_LEADER)),
            14 if op & 0x40 == 0 => self.disconnect(usize::from(op >> 4) % 6),
            14 => self.crash(usize::from(op >> 4) % 6),
            _ if forgets && op & 0x80 == 0 => self.broker.remembered.clear(),
            _ => self.lane.resume(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_each_batch_stands_once_and_in_order(ops: Vec<u8>) {
        let mut world = World::new();
        ops.into_iter().for_each(|op| world.step(op, false));
        world.settle();
        let firsts: Vec<u64> = world.frames.iter().map(|f| f.batch.first_sequence.0).collect();
        prop_assert_eq!(&world.broker.log, &firsts);
        prop_assert_eq!((world.doubtful, world.went_back, world.disputes), (0, 0, 0));
        let end = world.frames.last().map_or(Sequence(0), |f| f.batch.end_sequence());
        prop_assert_eq!(world.delivered, end);
    }

    #[test]
    fn a_broker_that_forgets_loses_nothing(ops: Vec<u8>) {
        let mut world = World::new();
        ops.into_iter().for_each(|op| world.step(op, true));
        world.settle();
        let mut log = world.broker.log.clone();
        log.sort_unstable();
        log.dedup();
        let firsts: Vec<u64> = world.frames.iter().map(|f| f.batch.first_sequence.0).collect();
        prop_assert_eq!(log, firsts);
    }
}

#[test]
fn no_more_than_five_batches_are_with_the_broker_and_not_durably_behind() {
    let mut world = World::new();
    (0..20).for_each(|_| world.add(3));
    world.decide();
    for _ in 0..20 {
        world.send();
    }
    assert_eq!(world.sent.len(), 1, "the broker knows nothing of the lineage yet");
    world.process(None);
    world.hear();
    for _ in 0..20 {
        world.send();
    }
    assert_eq!(world.sent.len(), WINDOW - 1);
    for _ in 1..WINDOW {
        world.process(None);
        world.hear();
        world.send();
    }
    assert_eq!(
        (world.sent.len(), world.broker.log.len()),
        (0, WINDOW),
        "acknowledged is not durable"
    );
    world.decide();
    world.send();
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn payloads_that_came_unasked_leave_room_for_the_one_that_goes_first() {
    let mut world = World::new();
    world.add(2);
    world.decide();
    (0..2 * ROOM).for_each(|_| world.add(1));
    world.settle();
    assert_eq!(world.broker.log.len(), 1 + 2 * ROOM);
}

#[test]
fn a_batch_that_is_never_taken_is_set_aside_with_a_copy_and_the_rest_goes_on() {
    let mut world = World::new();
    (0..4).for_each(|_| world.add(1));
    world.decide();
    world.send();
    world.process(None);
    world.hear();
    for _ in 0..REFUSALS_MAX {
        world.lane.resume();
        world.send();
        world.process(Some(TOO_LARGE));
        while !world.sent.is_empty() {
            world.process(None);
        }
        while !world.answers.is_empty() {
            world.hear();
        }
    }
    assert_eq!(world.set_aside, [1]);
    world.decide();
    assert_eq!(world.delivered, Sequence(1));
    let kept = world.lane.decision();
    assert!(
        matches!(kept, Some(Decision::Keep(frame)) if frame.batch.first_sequence == Sequence(1))
    );
    world.settle();
    assert_eq!(world.broker.log, [0, 2, 3]);
    assert_eq!(world.delivered, Sequence(4));
}

#[test]
fn a_gap_ends_the_lineage_and_is_told() {
    let mut lane = Lane::new(Sequence(0), None);
    assert_eq!(lane.push(frame(0, 2)), Some(0));
    assert_eq!(lane.push(frame(5, 1)), Some(3));
    assert_eq!(lane.push(frame(0, 2)), None, "it stands twice in the log");
    assert_eq!(lane.lost(Sequence(9)), 3);
    assert_eq!(lane.decision(), Some(Decision::Begin(Sequence(0))));
    let at = frame(0, 2).position;
    assert!(lane.corrupt(at) && !lane.corrupt(at), "it is set aside once");
    assert_eq!(lane.decision(), Some(Decision::Break(Sequence(2))));
    lane.decided(&Decision::Break(Sequence(2)));
    assert_eq!(lane.decision(), Some(Decision::Break(Sequence(5))));
    lane.decided(&Decision::Break(Sequence(5)));
    assert_eq!(lane.decision(), Some(Decision::Begin(Sequence(5))));
    assert!(lane.corrupt(frame(5, 1).position));
    lane.decided(&Decision::Break(Sequence(6)));
    assert_eq!(lane.decision(), Some(Decision::Break(Sequence(9))));
    lane.decided(&Decision::Break(Sequence(9)));
    assert_eq!((lane.decision(), lane.len()), (None, 0));
    assert!(!lane.corrupt(at), "it is gone");
}

#[test]
fn what_may_have_been_sent_before_the_broker_is_sure_to_recall_is_doubtful() {
    let mut world = World::new();
    world.add(7);
    world.decide();
    world.crash(0);
    world.read();
    assert_eq!(world.lane.sending(0).map(|s| s.doubtful), Some(0));
    assert_eq!(world.lane.sending(1).map(|s| s.doubtful), Some(7));
}

/// An appliance that goes on from a copy of its spool, after the original delivered so many.
fn restored_after(delivered_elsewhere: usize) -> World {
    let mut original = World::new();
    (0..8).for_each(|_| original.add(2));
    original.decide();
    let mut copy = World { frames: original.frames.clone(), ..World::new() };
    copy.lineage.clone_from(&original.lineage);
    while original.broker.log.len() < delivered_elsewhere {
        original.send();
        original.process(None);
        original.hear();
        original.decide();
    }
    copy.broker = original.broker;
    copy.crash(0);
    copy.settle();
    copy
}

#[test]
fn what_an_older_copy_of_the_spool_sends_again_is_recognised_or_disputed_and_then_doubtful() {
    for elsewhere in 0..=5 {
        let copy = restored_after(elsewhere);
        assert_eq!(copy.broker.log, [0, 2, 4, 6, 8, 10, 12, 14], "after {elsewhere}");
        assert_eq!((copy.disputes, copy.doubtful), (0, 0), "after {elsewhere}");
    }
    for elsewhere in 6..=8 {
        let copy = restored_after(elsewhere);
        assert_eq!(copy.broker.log[elsewhere..], [0, 2, 4, 6, 8, 10, 12, 14]);
        assert_eq!((copy.disputes, copy.doubtful), (1, 16), "after {elsewhere}");
    }
}

#[test]
fn an_offset_that_the_partition_had_passed_is_noticed() {
    let mut world = World::new();
    (0..3).for_each(|_| world.add(1));
    world.decide();
    world.send();
    world.process(None);
    world.hear();
    world.send();
    let next = frame(1, 1).position;
    let finding = world.lane.answered(next, Verdict::Delivered, 0);
    assert_eq!(finding, Finding::WentBack(1));

    // A broker that has just started says first that it leads nothing.
    world.sent.clear();
    world.decide();
    world.send();
    world.process(Some(NOT_LEADER));
    world.hear();
    world.lane.resume();
    world.send();
    let last = frame(2, 1).position;
    let finding = world.lane.answered(last, Verdict::Delivered, 0);
    assert_eq!(finding, Finding::WentBack(1));
}

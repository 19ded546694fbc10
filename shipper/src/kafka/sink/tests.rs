//! The sink's own decisions, between a real port and a cluster that was told of.

use super::*;
use crate::{
    kafka::{
        cluster::{Cluster, Topic},
        config::TopicPolicy,
    },
    sample,
    spool::{
        cursors::Lineage,
        port::{Notice, ReadReply, SpoolPort, port},
    },
};
use brink_proto::frame::{FrameHeader, LogPosition};

/// A sink that has seen nothing yet, and the spool's end of its port.
fn work() -> (SpoolPort, Work, watch::Sender<Phase>) {
    let (spool, end, reads) = port(NAME);
    let (tell, phase) = watch::channel(Phase::Run);
    let sink = KafkaSink {
        spool: end,
        reads,
        config: KafkaConfig {
            brokers: vec!["127.0.0.1:1".into()],
            topic_prefix: String::new(),
            topics: TopicPolicy { create: false, partitions: 1, replication: 1 },
            producer_expiration: Duration::from_secs(1),
            transactions: false,
            tls: None,
            sasl: None,
        },
        tls: None,
        spool_id: "0a".into(),
        start: (SinkCursor::default(), 0),
        counters: Arc::default(),
        spool_counters: Arc::new(SpoolCounters::new(1, Vec::new())),
        alarms: Arc::default(),
        phase,
    };
    (spool, Work::new(sink), tell)
}

/// One event of a topic.
fn frame(topic: &str, sequence: u64) -> FrameHeader {
    let batch = sample::batch(&format!("e/7/0/{topic}"), sequence, 1);
    sample::frame(batch, LogPosition((sequence + 1) * 4096))
}

/// Tells the sink of a cluster in which a broker that is not connected leads `a`, and `b` as well.
fn know_cluster(work: &mut Work, leader_of_a: i32) {
    let there = |leader| Topic::There { id: "0a".into(), leaders: vec![leader] };
    let name = |topic| Name::new(topic).unwrap();
    let brokers = BTreeMap::from([(0, "127.0.0.1:1".to_owned())]);
    let topics = BTreeMap::from([(name("a"), there(leader_of_a)), (name("b"), there(0))]);
    assert!(work.pipes.place(&brokers).is_empty());
    work.contact.know(Cluster { id: "c".into(), brokers, topics });
}

fn begin(work: &mut Work, topic: &str) {
    let stream = frame(topic, 0).batch.stream;
    let (cluster, topic) = ("c".to_owned(), "0a".to_owned());
    let (producer, epoch, first, transactional) = (1, 0, 0, false);
    let partition = 0;
    let lineage =
        Lineage { stream, cluster, topic, partition, producer, epoch, first, transactional };
    work.lane(stream).lineage = Some(lineage);
}

#[test]
fn a_topic_whose_leader_is_not_there_or_not_reached_holds_up_no_other_one() {
    for leader in [-1, 0] {
        let (mut spool, mut work, _tell) = work();
        know_cluster(&mut work, leader);
        ["a", "b"].iter().for_each(|topic| begin(&mut work, topic));
        for sequence in 0..10_000 {
            assert!(spool.notices.push(Notice::Frame(frame("a", sequence))).is_ok());
            work.take_notices();
        }
        assert!(spool.notices.push(Notice::Frame(frame("b", 0))).is_ok());
        work.take_notices();
        assert_eq!(work.lane(frame("b", 0).batch.stream).len(), 1, "led by {leader}");
        // It is told what went by once there is somebody to take it.
        work.ask_again();
        assert!(work.room.owes() && work.deciding.is_none(), "led by {leader}");
    }
}

#[test]
fn a_broker_that_is_away_hurries_nobody_and_a_lane_without_frames_slows_nobody_down() {
    let (mut spool, mut work, _tell) = work();
    know_cluster(&mut work, 0);
    assert_eq!(work.pace(), Pace::Asks, "there are no streams");
    // Of an earlier start, and all of it is delivered.
    work.lane(frame("b", 0).batch.stream);
    assert_eq!(work.pace(), Pace::Abreast);
    begin(&mut work, "a");
    for sequence in 0..2 * WINDOW as u64 {
        assert!(spool.notices.push(Notice::Frame(frame("a", sequence))).is_ok());
        work.take_notices();
        assert_eq!(work.pace(), Pace::Asks, "nobody takes what waits");
    }
}

#[test]
fn a_cursor_that_is_due_wakes_nobody_before_it_can_be_decided() {
    let (_spool, mut work, _tell) = work();
    let now = Instant::now();
    work.advance_at = Some(now);
    work.decide_at = now;
    assert_eq!(work.decides_at(), Some(now));
    work.decide_at = now + Duration::from_secs(3600);
    assert_eq!((work.decides_at(), work.look()), (Some(work.decide_at), LOOK_CALM));
    work.command(Command::Advance { ends: Vec::new() }, Vec::new());
    assert_eq!((work.decides_at(), work.look()), (None, LOOK_CALM));
}

#[test]
fn a_frame_that_is_found_corrupt_twice_is_counted_once_and_one_that_nobody_wants_never() {
    for (fault, alarm) in
        [(ReadFault::Corrupt, Alarm::CorruptFrame), (ReadFault::Gone, Alarm::SequenceGap)]
    {
        let (mut spool, mut work, _tell) = work();
        let mut reply = |sequence| {
            let reply = ReadReply {
                frame: frame("a", sequence),
                bytes: Default::default(),
                result: Err(fault),
            };
            assert!(spool.read_replies.push(reply).is_ok());
        };
        assert!(spool.notices.push(Notice::Frame(frame("a", 0))).is_ok());
        work.take_notices();
        reply(1);
        work.take_reads();
        let quarantined = |work: &Work| -> u64 {
            work.sink.counters.deliveries.quarantined().iter().map(|(_, events)| events).sum()
        };
        assert_eq!((quarantined(&work), work.sink.alarms.state(alarm).0), (0, false), "{fault:?}");
        reply(0);
        reply(0);
        work.take_reads();
        assert_eq!((quarantined(&work), work.sink.alarms.state(alarm).0), (1, true), "{fault:?}");
    }
}

//! A broker that fails in all the ways that brokers have been seen to fail. Whatever it says, or
//! does not say, its topic has each event once and in order.

use crate::traffic::{TOPIC, alarm, ask, ask_by, figure, sink, site_of};
use brink_proto::kafka::batch::{BatchHead, HEADER_BYTES, ProducerSequence};
use brink_tests::{
    appliance::eventually,
    http::Client,
    kafka::{
        client::{Kafka, OUT_OF_ORDER, Partition, Produced},
        proxy::{Fault, Proxy},
    },
    process::Serving,
    services::{Broker, Python},
    site::Site,
    topic::Topic,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A broker that is reached through a proxy alone, and an appliance that delivers to it.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) proxy: Proxy,
    pub(crate) site: Site,
    pub(crate) serving: Serving,
    client: Client,
    pub(crate) asked: u64,
}

impl World {
    /// Starts it with variables of the broker's script and further keys of `[kafka]`.
    pub(crate) fn start(variables: &[(&str, String)], more: &str) -> Option<World> {
        let proxy = Proxy::start();
        let broker = Broker::start_behind(proxy.address, variables)?;
        proxy.send_to(Some(broker.address));
        let site = World::site(&proxy, more);
        let serving = site.serve();
        let client = serving.connect();
        Some(World { broker, proxy, site, serving, client, asked: 0 })
    }

    /// A site that delivers to one partition behind the proxy.
    pub(crate) fn site(proxy: &Proxy, more: &str) -> Site {
        let more = format!("create_topics = true\npartitions = 1\nreplication = 1\n{more}");
        site_of(&format!("\"{}\"", proxy.address), &more)
    }

    /// Asks for so many pixels, each a batch of its own.
    pub(crate) fn ask(&mut self, count: usize) {
        ask_by(&mut self.client, &self.asked.to_string(), count);
        self.asked += count as u64;
    }

    pub(crate) fn await_delivery(&self) {
        eventually("all is in Kafka", || sink(&self.serving)["delivered"] == self.asked);
    }

    /// Each fault in turn: its alarm is up and nothing is delivered until it passes, and then all
    /// is.
    pub(crate) fn withstand(&mut self, faults: &[(Fault, &str)]) {
        for (fault, name) in faults {
            self.proxy.inject_always(*fault);
            self.ask(20);
            eventually(&format!("{name} is up for {fault:?}"), || alarm(&self.serving, name));
            assert_eq!(sink(&self.serving)["delivered"], self.asked - 20, "{fault:?}");
            self.proxy.clear();
            self.await_delivery();
            eventually("no alarm is left", || {
                !alarm(&self.serving, "kafka_failing") && !alarm(&self.serving, "kafka_refusing")
            });
        }
    }

    pub(crate) fn read(&self, python: &Python) -> Topic {
        Topic::read(python, self.broker.address, TOPIC)
    }
}

#[test]
fn whatever_a_broker_answers_each_event_stands_once_and_the_alarm_passes() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = World::start(&[], "") else { return };
    world.ask(20);
    world.await_delivery();
    let rows = [
        // Not the leader, any more or yet; no leader; not yet ready.
        (Fault::Answer(6), "kafka_failing"),
        (Fault::Answer(5), "kafka_failing"),
        (Fault::Answer(14), "kafka_failing"),
        // Too few replicas; found out before or after it was taken; they took too long.
        (Fault::Answer(19), "kafka_failing"),
        (Fault::AnswerAfter(20), "kafka_failing"),
        (Fault::AnswerAfter(7), "kafka_failing"),
        // A disk of the broker's, and what a broker of a later version may say.
        (Fault::AnswerAfter(56), "kafka_failing"),
        (Fault::Answer(1234), "kafka_failing"),
        // Permission, clock, what the topic wants.
        (Fault::Answer(29), "kafka_refusing"),
        (Fault::Answer(32), "kafka_refusing"),
        (Fault::Answer(87), "kafka_refusing"),
    ];
    world.withstand(&rows);
    for fault in [Fault::Delay(Duration::from_millis(50)), Fault::Drip] {
        let struck = world.proxy.struck();
        world.proxy.inject_always(fault);
        world.ask(20);
        world.await_delivery();
        assert!(world.proxy.struck() > struck, "{fault:?}");
        world.proxy.clear();
    }
    assert_eq!(figure(&world.serving, "events_doubtful"), 0);
    for name in ["kafka_forgot", "kafka_went_back", "kafka_rejected"] {
        assert!(!alarm(&world.serving, name), "{name}");
    }
    let nonces = world.read(&python).nonces();
    assert_eq!(nonces.len() as u64, world.asked);
    assert_eq!(world.serving.stop().code(), Some(0));
    assert_eq!(nonces, world.site.audit().nonces(), "the objects have the same");
}

#[test]
fn batches_whose_answers_were_lost_are_sent_again_and_stand_once() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = World::start(&[], "") else { return };
    for lost in 1..=5 {
        world.ask(5);
        world.await_delivery();
        let (struck, resent) = (world.proxy.struck(), figure(&world.serving, "batches_resent"));
        world.proxy.inject(Fault::LoseAnswer, lost);
        world.ask(30);
        world.await_delivery();
        assert_eq!(world.proxy.struck() - struck, lost);
        let resent = figure(&world.serving, "batches_resent") - resent;
        assert!(resent >= u64::from(lost), "{resent} of {lost} batches were sent again");
    }
    let read = world.read(&python);
    assert_eq!((read.nonces().len() as u64, read.rows()), (world.asked, world.asked));
    assert_eq!(figure(&world.serving, "events_doubtful"), 0);
    assert_eq!(world.serving.stop().code(), Some(0));
}

#[test]
fn batches_whose_answers_never_come_are_sent_again_and_stand_once() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = World::start(&[], "") else { return };
    world.ask(5);
    world.await_delivery();
    world.proxy.inject_always(Fault::LoseAnswer);
    world.ask(10);
    eventually("no more may be under way", || world.proxy.struck() == 5);
    world.proxy.clear();
    // The connection stays open, and is given up after half a minute.
    world.await_delivery();
    assert!(figure(&world.serving, "batches_resent") >= 5);
    assert_eq!(world.read(&python).nonces().len() as u64, world.asked);
    assert_eq!(world.serving.stop().code(), Some(0));
}

/// What answers as a broker does that is older than the version in which it is asked.
fn old_broker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 4096];
            if matches!(client.read(&mut request), Ok(12..)) {
                // Behind length, key and version there is the number that the answer has as well.
                let answer = [&[0, 0, 0, 10], &request[8..12], &[0, 35, 0, 0, 0, 0]].concat();
                let _ = client.write_all(&answer);
            }
        }
    });
    address
}

#[test]
fn a_broker_that_is_too_old_is_refused_and_that_is_told() {
    for more in ["", "transactions = true"] {
        let site = site_of(&format!("\"{}\"", old_broker()), more);
        let site = site.with("deliver_ms = 100000", "deliver_ms = 100");
        let serving = site.serve();
        ask(&serving, "early", 20);
        eventually("it is refused", || alarm(&serving, "kafka_refusing"));
        assert_eq!(sink(&serving)["delivered"], 0);
        serving.signal("TERM");
        let log = serving.wait_with_log().1.join("\n");
        let told = "it does not understand Metadata, which is needed; Kafka 2.8 or newer has it";
        assert!(log.contains(told), "{log}");
    }
}

#[test]
fn a_broker_knows_five_batches_again_and_not_the_sixth() {
    let Some(broker) = Broker::start() else { return };
    let mut kafka = Kafka::connect(broker.address);
    let to = Partition { topic: "window", index: 0 };
    kafka.create_topic(to.topic, 1);
    let (id, epoch) = kafka.producer();
    let batches: Vec<Vec<u8>> =
        (0..6).map(|base| batch_of_one(ProducerSequence { id, epoch, base })).collect();
    let taken: Vec<Produced> = batches.iter().map(|batch| kafka.produce(&to, batch)).collect();
    let offsets: Vec<i64> = taken.iter().map(|taken| taken.base_offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5]);
    for number in (1..6).rev() {
        let again = kafka.produce(&to, &batches[number]);
        assert_eq!((again.error, again.base_offset), (0, number as i64));
    }
    assert_eq!(kafka.produce(&to, &batches[0]).error, OUT_OF_ORDER);
    // It takes no harm from that.
    let next = batch_of_one(ProducerSequence { id, epoch, base: 6 });
    assert_eq!(kafka.produce(&to, &next), Produced { error: 0, base_offset: 6 });
}

/// A batch with one record, whose value is "abc".
fn batch_of_one(producer: ProducerSequence) -> Vec<u8> {
    // Length, attributes, two deltas, no key, three bytes, no headers; numbers are zigzag.
    let record = [18, 0, 0, 0, 1, 6, b'a', b'b', b'c', 0];
    let payload = zstd::encode_all(&record[..], 1).expect("it compresses");
    // A broker remembers a producer for a day from the time of its latest record on.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later");
    let now_ms = now.as_millis() as i64;
    let head = BatchHead {
        base_timestamp_ms: now_ms,
        max_timestamp_ms: now_ms,
        count: 1,
        producer,
        transactional: false,
    };
    let mut batch = Vec::with_capacity(HEADER_BYTES + payload.len());
    batch.extend_from_slice(&head.encode(&payload));
    batch.extend_from_slice(&payload);
    batch
}

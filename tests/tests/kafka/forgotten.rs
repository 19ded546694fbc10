//! A broker that does not know any more what it was sent, another one in its place, and an
//! appliance that goes on from an old copy of its spool: nothing is lost, and what may stand twice
//! is told.

use crate::{
    faults::World,
    traffic::{PARTITION, TOPIC, alarm, ask, ask_by, await_backlog, figure, sink, site_of},
};
use brink_tests::{
    appliance::eventually,
    kafka::{client::Kafka, proxy::Fault},
    services::{Broker, Python},
    site::copy,
    topic::Topic,
};
use std::{cell::RefCell, collections::BTreeSet, fs};

/// How long a broker of a test remembers a producer.
const EXPIRES_MS: u64 = 1_000;

/// A world with something in Kafka already.
fn world(variables: &[(&str, String)], more: &str) -> Option<World> {
    let mut world = World::start(variables, more)?;
    world.ask(20);
    world.await_delivery();
    Some(world)
}

/// The sequences of the one stream that a topic has, as they stand there.
fn sequences(read: &Topic) -> Vec<u64> {
    assert_eq!(read.streams.len(), 1);
    let rows = read.streams.values().flatten();
    rows.map(|(sequence, _)| *sequence).collect()
}

#[test]
fn what_a_forgotten_producer_sends_again_may_stand_twice_and_is_counted() {
    let Some(python) = Python::find() else { return };
    let variables = [("BRINK_KAFKA_EXPIRES_MS", EXPIRES_MS.to_string())];
    let more = format!("producer_expiration_ms = {EXPIRES_MS}");
    let Some(mut world) = world(&variables, &more) else { return };
    let kafka = RefCell::new(Kafka::connect(world.broker.address));
    let forgets = || eventually("it forgets", || kafka.borrow_mut().producers(&PARTITION) == 0);

    // One that was silent goes on as if nothing had been.
    forgets();
    world.ask(20);
    world.await_delivery();
    assert_eq!(figure(&world.serving, "events_doubtful"), 0);
    assert!(!alarm(&world.serving, "kafka_forgot"));

    // One that waits for answers sends what was taken again, to a broker that takes any number.
    world.proxy.inject_always(Fault::LoseAnswer);
    world.ask(40);
    eventually("some were taken", || kafka.borrow_mut().end(&PARTITION) > 40);
    world.proxy.send_to(None);
    forgets();
    world.proxy.clear();
    world.proxy.send_to(Some(world.broker.address));
    world.await_delivery();
    assert!(alarm(&world.serving, "kafka_forgot"));
    let doubtful = figure(&world.serving, "events_doubtful");
    let seen = sequences(&world.read(&python));
    let mut first = BTreeSet::new();
    let once: Vec<u64> = seen.iter().copied().filter(|s| first.insert(*s)).collect();
    assert_eq!(once, (0..world.asked).collect::<Vec<_>>(), "all are there, in order");
    let twice = (seen.len() - once.len()) as u64;
    assert!((1..=doubtful).contains(&twice), "{twice} stand twice, {doubtful} are doubtful");
    assert_eq!(world.serving.stop().code(), Some(0));
}

#[test]
fn a_topic_that_was_made_anew_gets_what_comes_from_then_on() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = world(&[], "") else { return };
    Kafka::connect(world.broker.address).delete_topic(TOPIC);
    world.ask(50);
    world.await_delivery();
    assert!(alarm(&world.serving, "kafka_forgot"));
    assert_eq!(sequences(&world.read(&python)), (20..70).collect::<Vec<_>>());
    assert_eq!(figure(&world.serving, "events_doubtful"), 0);
    assert_eq!(world.serving.stop().code(), Some(0));
}

#[test]
fn a_cluster_that_was_made_anew_gets_what_comes_from_then_on() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = world(&[], "") else { return };
    world.proxy.send_to(None);
    let another = Broker::start_behind(world.proxy.address, &[]);
    world.broker = another.expect("there was one before");
    world.ask(50);
    world.proxy.send_to(Some(world.broker.address));
    world.await_delivery();
    assert!(alarm(&world.serving, "kafka_forgot"));
    assert_eq!(sequences(&world.read(&python)), (20..70).collect::<Vec<_>>());
    assert_eq!(world.serving.stop().code(), Some(0));
}

#[test]
fn a_partition_that_takes_events_at_offsets_which_it_had_passed_is_noticed() {
    let Some(python) = Python::find() else { return };
    let Some(broker) = Broker::start() else { return };
    let more = "create_topics = true\npartitions = 1\nreplication = 1";
    let site = site_of(&format!("\"{}\"", broker.address), more);
    let serving = site.serve();
    ask(&serving, "kept", 20);
    await_backlog(&serving);
    assert_eq!(serving.stop().code(), Some(0));
    broker.kill();
    let copied = tempfile::tempdir().expect("a folder");
    copy(&broker.home, copied.path());
    broker.start_again();

    // What the next stream had is not in the copy, nor that there ever was such a stream: the
    // broker takes any number of it, at the offsets that follow on the first one.
    let serving = site.serve();
    let mut client = serving.connect();
    ask_by(&mut client, "gone", 50);
    await_backlog(&serving);
    broker.kill();
    fs::remove_dir_all(&broker.home).expect("it is ours");
    copy(copied.path(), &broker.home);
    broker.start_again();
    ask_by(&mut client, "behind", 10);
    await_backlog(&serving);
    assert!(alarm(&serving, "kafka_went_back") && !alarm(&serving, "kafka_forgot"));
    assert_eq!(figure(&serving, "events_doubtful"), 0);
    assert_eq!(serving.stop().code(), Some(0));
    let read = Topic::read(&python, broker.address, TOPIC);
    let sequences = read.streams.values().map(|rows| rows.iter().map(|(s, _)| *s).collect());
    let sequences: Vec<Vec<u64>> = sequences.collect();
    assert_eq!(sequences, [(0..20).collect::<Vec<_>>(), (50..60).collect()]);
}

#[test]
fn a_spool_that_was_restored_from_a_copy_is_noticed_and_loses_nothing() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = world(&[], "") else { return };
    // Batches wait when the copy is made.
    world.proxy.send_to(None);
    world.ask(50);
    world.serving.signal("KILL");
    let _ = world.serving.wait();
    let restored = World::site(&world.proxy, "").with_spool_of(&world.site);

    // The original delivers them.
    world.proxy.send_to(Some(world.broker.address));
    let original = world.site.serve();
    eventually("what has waited is in Kafka", || sink(&original)["delivered"] == 50);
    let mut client = original.connect();
    ask_by(&mut client, "original", 10);
    eventually("all is in Kafka", || sink(&original)["delivered"] == 60);

    // The copy numbers them as the original did, and the broker knows better.
    let copied = restored.serve();
    ask_by(&mut copied.connect(), "copied", 10);
    eventually("all is in Kafka", || sink(&copied)["delivered"] == 60);
    assert!(alarm(&copied, "kafka_went_back"));
    assert_eq!(figure(&copied, "events_doubtful"), 50);
    assert_eq!(copied.stop().code(), Some(0));
    // The original, which was there all the time, notices nothing.
    ask_by(&mut client, "later", 10);
    eventually("all is in Kafka", || sink(&original)["delivered"] == 70);
    assert!(!alarm(&original, "kafka_went_back") && !alarm(&original, "kafka_forgot"));
    assert_eq!(original.stop().code(), Some(0));
    let read = world.read(&python);
    assert_eq!(read.streams.len(), 3, "the stream of the copy, and one of each start after it");
    let old = read.streams.values().max_by_key(|rows| rows.len()).expect("the old one");
    assert!(old.len() <= 70 + 50, "{} rows", old.len());
    let old: BTreeSet<u64> = old.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(old, (0..70).collect());
}

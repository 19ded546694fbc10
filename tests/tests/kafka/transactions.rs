//! Strict mode: librdkafka, which reads what is committed, finds each event once and in order,
//! wherever the appliance is killed and whatever the broker says or forgets.

use crate::{
    check_proved,
    faults::World,
    traffic::{PARTITION, alarm, ask, ask_by, await_backlog, figure, sink, site},
};
use brink_shipper::steps::{Step, VARIABLE};
use brink_tests::{
    appliance::eventually,
    asking::{let_live, pixel},
    http::Client,
    kafka::{
        client::{Kafka, Resource},
        proxy::Fault,
    },
    process::Serving,
    services::{Broker, Python},
    sim::random::Random,
    site::Site,
    topic::Topic,
};
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeSet, fs, net::TcpStream, time::Duration};

/// What switches it on.
const STRICT: &str = "create_topics = true\ntransactions = true";

/// A connection breaks behind so many answers, the last one unsaid.
const ANSWERS: u64 = 151;

/// BOUND: requests to an appliance that is to die, and the time between two of them.
const REQUESTS_MAX: u64 = 10_000;
const PAUSE: Duration = Duration::from_millis(20);

/// What `/status` says of how events go.
fn mode(serving: &Serving, key: &str) -> Value {
    serving.status()["kafka"][key].clone()
}

/// What was asked, and of that what was answered.
#[derive(Default)]
struct Asked {
    sent: BTreeSet<String>,
    answered: BTreeSet<String>,
}

impl Asked {
    /// Asks for a pixel every now and then, until the appliance is gone.
    fn until_gone(&mut self, client: &mut Client, name: &str) {
        for number in 0..REQUESTS_MAX {
            let nonce = format!("{name}-{number}");
            self.sent.insert(nonce.clone());
            client.try_send(pixel(&nonce));
            let Ok(answer) = client.try_response(true) else { return };
            assert_eq!(answer.status, 200);
            self.answered.insert(nonce);
            let_live(PAUSE);
        }
    }

    /// Asks an appliance that kills itself at a step, until it has.
    fn die_at(&mut self, site: &Site, step: Step, passage: u64) {
        let at = format!("{}:{passage}", step.label());
        let mut serving = Serving::launch_with(&site.config(), &[(VARIABLE, &at)]);
        if serving.becomes_ready()
            && let Ok(stream) = TcpStream::connect(serving.listeners[0])
        {
            let name = format!("{}-{at}", self.sent.len());
            self.until_gone(&mut Client::of(stream), &name);
        }
        assert!(!serving.wait().success(), "it died at {at}");
    }

    /// A topic has each event once and in order, and so have the objects.
    fn check(&self, python: &Python, broker: &Broker, site: &Site) {
        let read = Topic::read(python, broker.address, "impressions");
        let nonces = read.nonces();
        assert_eq!(nonces.len() as u64, read.rows(), "each stands once");
        assert!(self.answered.is_subset(&nonces), "nothing is lost");
        assert!(nonces.is_subset(&self.sent), "nobody asked for some of it");
        assert_eq!(nonces, site.audit().nonces(), "the objects have the same");
        check_proved(site, broker.address, "", read.rows());
    }
}

#[test]
fn in_transactions_each_event_is_committed_once_and_in_order_wherever_it_is_killed() {
    let Some(python) = Python::find() else { return };
    let Some((proxy, broker)) = Broker::start_proxied(&[]) else { return };
    let site = site(proxy.address, STRICT);
    let (random, mut asked) = (Random::new(5), Asked::default());
    proxy.cut_every(ANSWERS);
    for _ in 0..3 {
        for step in Step::OF_TRANSACTIONS {
            asked.die_at(&site, step, 1 + random.within(0..3));
        }
    }
    assert!(proxy.cuts() > 0);
    proxy.cut_every(0);
    let serving = site.serve();
    await_backlog(&serving);
    assert_eq!(mode(&serving, "transactional"), true);
    assert_eq!(serving.stop().code(), Some(0));
    asked.check(&python, &broker, &site);
}

#[test]
fn what_a_broker_has_forgotten_of_its_producers_leaves_no_doubt() {
    const EXPIRES_MS: u64 = 1_000;
    let Some(python) = Python::find() else { return };
    let variables = [("BRINK_KAFKA_EXPIRES_MS", EXPIRES_MS.to_string())];
    let Some(broker) = Broker::start_with(&variables) else { return };
    let more = format!("{STRICT}\nproducer_expiration_ms = {EXPIRES_MS}");
    let site = site(broker.address, &more).with("partitions = 2", "partitions = 1");
    let kafka = RefCell::new(Kafka::connect(broker.address));
    let mut asked = Asked::default();
    // Committed, and nobody here has heard of it, or has it in his cursor.
    for step in [Step::CommitSent, Step::TransactionCommitted] {
        asked.die_at(&site, step, 2);
        eventually("it forgets", || kafka.borrow_mut().producers(&PARTITION) == 0);
        let serving = site.serve();
        await_backlog(&serving);
        assert_eq!(figure(&serving, "events_doubtful"), 0);
        assert!(!alarm(&serving, "kafka_forgot") && !alarm(&serving, "kafka_went_back"));
        serving.kill();
    }
    let serving = site.serve();
    await_backlog(&serving);
    assert_eq!(serving.stop().code(), Some(0));
    asked.check(&python, &broker, &site);
}

#[test]
fn whatever_a_broker_answers_in_a_transaction_each_event_is_committed_once() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = World::start(&[], "transactions = true") else { return };
    world.ask(20);
    world.await_delivery();
    let rows = [
        // Not the leader; too few replicas, found out before or after it was taken.
        (Fault::Answer(6), "kafka_failing"),
        (Fault::Answer(19), "kafka_failing"),
        (Fault::AnswerAfter(20), "kafka_failing"),
        // They took too long; a disk of the broker's.
        (Fault::AnswerAfter(7), "kafka_failing"),
        (Fault::AnswerAfter(56), "kafka_failing"),
        // Permission, what the topic wants.
        (Fault::Answer(29), "kafka_refusing"),
        (Fault::Answer(87), "kafka_refusing"),
    ];
    world.withstand(&rows);
    // Answers that are lost with their connection, and those that are late.
    for fault in [Fault::LoseAnswer, Fault::Drip] {
        let struck = world.proxy.struck();
        world.proxy.inject(fault, 1);
        world.ask(20);
        world.await_delivery();
        assert_eq!(world.proxy.struck() - struck, 1, "{fault:?}");
    }
    let aborted = mode(&world.serving, "transactions_aborted").as_u64().expect("a number");
    assert!(aborted >= 8, "{aborted} transactions were aborted");
    assert!(figure(&world.serving, "batches_resent") >= 8);
    assert_eq!(figure(&world.serving, "events_doubtful"), 0);
    for name in ["kafka_forgot", "kafka_went_back", "kafka_rejected", "kafka_fenced"] {
        assert!(!alarm(&world.serving, name), "{name}");
    }
    let read = world.read(&python);
    assert_eq!((read.nonces().len() as u64, read.rows()), (world.asked, world.asked));

    // What a broker will never take is set aside, and the rest goes on.
    world.proxy.inject(Fault::Answer(10), 3);
    world.ask(1);
    eventually("it is set aside", || sink(&world.serving)["quarantined"]["refused"] == 1);
    assert!(alarm(&world.serving, "kafka_rejected"));
    world.ask(20);
    eventually("the rest is in Kafka", || sink(&world.serving)["delivered"] == world.asked - 1);
    assert_eq!(world.read(&python).rows(), world.asked - 1);
    assert_eq!(world.serving.stop().code(), Some(0));
}

#[test]
fn a_start_of_a_copy_fences_the_original_which_keeps_what_it_has() {
    let Some(python) = Python::find() else { return };
    let Some(broker) = Broker::start() else { return };
    let original = site(broker.address, STRICT);
    let serving = original.serve();
    ask(&serving, "before", 50);
    eventually("they are in Kafka", || sink(&serving)["delivered"] == 50);
    serving.kill();
    let copied = site(broker.address, STRICT).with_spool_of(&original);

    let first = original.serve();
    ask(&first, "original", 10);
    await_backlog(&first);
    let second = copied.serve();
    ask(&second, "copied", 10);
    await_backlog(&second);
    // The first one finds out with what it sends next.
    ask(&first, "fenced", 10);
    eventually("the alarm is up", || alarm(&first, "kafka_fenced"));
    assert_eq!(mode(&first, "fenced"), true);
    let connects = figure(&first, "connects");
    ask(&first, "kept", 10);
    ask(&second, "goes-on", 10);
    await_backlog(&second);
    assert_eq!(sink(&first)["pending"], 20);
    assert_eq!(figure(&first, "connects"), connects, "it is silent");
    assert!(!alarm(&first, "kafka_failing") && !alarm(&second, "kafka_fenced"));
    // A box of the same name with a spool of its own is somebody else.
    let replaced = site(broker.address, STRICT);
    let other = replaced.serve();
    ask(&other, "other", 10);
    await_backlog(&other);
    ask(&second, "undisturbed", 10);
    await_backlog(&second);
    assert!(!alarm(&second, "kafka_fenced") && !alarm(&other, "kafka_fenced"));
    assert_eq!(other.stop().code(), Some(0));
    assert_eq!(Topic::read(&python, broker.address, "impressions").rows(), 100);
    assert_eq!(second.stop().code(), Some(0));
    first.kill();

    // Once it starts again it finds what it had committed, and delivers what it has kept.
    let again = original.serve();
    await_backlog(&again);
    assert!(!alarm(&again, "kafka_forgot") && !alarm(&again, "kafka_fenced"));
    assert_eq!(again.stop().code(), Some(0));
    let read = Topic::read(&python, broker.address, "impressions");
    assert_eq!((read.nonces().len(), read.rows()), (120, 120));
}

/// What a site's appliance logs until it has raised an alarm and was told to stop.
fn log_of_refusal(site: &Site) -> String {
    let serving = site.serve();
    ask(&serving, "early", 20);
    eventually("it is refused", || alarm(&serving, "kafka_refusing"));
    assert_eq!(sink(&serving)["delivered"], 0);
    serving.signal("TERM");
    serving.wait_with_log().1.join("\n")
}

#[test]
fn a_topic_of_positions_that_is_not_there_or_forgets_is_refused_with_what_helps() {
    let Some(python) = Python::find() else { return };
    let Some(broker) = Broker::start() else { return };
    let mut kafka = Kafka::connect(broker.address);
    kafka.create_topic("impressions", 1);
    let site = || {
        let site = site(broker.address, "transactions = true");
        site.with("deliver_ms = 100000", "deliver_ms = 100")
    };
    let log = log_of_refusal(&site());
    let command = "--create --topic positions --partitions 1 --replication-factor 1";
    assert!(log.contains("kafka-topics.sh") && log.contains(command), "{log}");
    kafka.create_topic("positions", 1);
    let site = site();
    let log = log_of_refusal(&site);
    let command = "--entity-name positions --alter --add-config cleanup.policy=compact";
    assert!(log.contains("kafka-configs.sh") && log.contains(command), "{log}");
    kafka.delete_topic("positions");

    let site = site.with("[kafka]", "[kafka]\ncreate_topics = true");
    let serving = site.serve();
    await_backlog(&serving);
    eventually("nothing is wrong", || !alarm(&serving, "kafka_refusing"));
    assert_eq!(kafka.setting("positions", "cleanup.policy"), "compact");
    serving.kill();
    assert_eq!(Topic::read(&python, broker.address, "impressions").nonces().len(), 20);
}

#[test]
fn transactions_that_are_refused_or_reach_nobody_hold_up_nobody_else() {
    let Some(python) = Python::find() else { return };
    let acls = [("BRINK_KAFKA_ACLS", "1".to_owned())];
    let Some((proxy, broker)) = Broker::start_proxied(&acls) else { return };
    let mut kafka = Kafka::connect(broker.address);
    let site = site(proxy.address, STRICT).with("age_max_ms = 60000", "age_max_ms = 200");
    let serving = site.serve();
    let mut client = serving.connect();
    let mut asked = 0;
    let mut ask_more = |serving: &Serving, client: &mut Client| {
        ask_by(client, &asked.to_string(), 20);
        asked += 20;
        eventually("objects are made", || serving.status().sink()["delivered"] == asked);
        asked
    };
    let edge = serving.status()["edge"].as_str().expect("a name").to_owned();
    let spool: Value =
        serde_json::from_slice(&fs::read(site.path().join("spool/identity")).unwrap()).unwrap();
    let transactional_id = format!("brink-{edge}-{}", spool["id"].as_str().expect("an id"));
    let refused = [Resource::TransactionalId(&transactional_id), Resource::Topic("impressions")];
    for what in refused {
        let delivered = ask_more(&serving, &mut client);
        await_backlog(&serving);
        kafka.deny(what);
        ask_more(&serving, &mut client);
        eventually("it is refused", || alarm(&serving, "kafka_refusing"));
        assert_eq!(sink(&serving)["delivered"], delivered, "{what:?}");
        kafka.allow(what);
        await_backlog(&serving);
        eventually("nothing is wrong", || !alarm(&serving, "kafka_refusing"));
    }
    // The cluster is away.
    proxy.send_to(None);
    proxy.cut_every(1);
    let all = ask_more(&serving, &mut client);
    eventually("the alarm is up", || alarm(&serving, "kafka_failing"));
    proxy.cut_every(0);
    proxy.send_to(Some(broker.address));
    await_backlog(&serving);
    eventually("nothing is wrong", || !alarm(&serving, "kafka_failing"));
    serving.signal("TERM");
    let log = serving.wait_with_log().1.join("\n");
    let command = "--operation Describe --operation Write --resource-pattern-type prefixed \
                   --transactional-id brink-";
    assert!(log.contains("kafka-acls.sh") && log.contains(command), "{log}");
    let read = Topic::read(&python, broker.address, "impressions");
    assert_eq!((read.nonces().len() as u64, read.rows()), (all, all));
}

#[test]
fn another_mode_begins_with_the_first_start_that_finds_nothing_left() {
    let Some(python) = Python::find() else { return };
    let Some((proxy, broker)) = Broker::start_proxied(&[]) else { return };
    let key = |strict: bool| format!("transactions = {strict}");
    let mut site = site(proxy.address, &format!("create_topics = true\n{}", key(false)));
    for strict in [false, true] {
        let serving = site.serve();
        // One connection: all of it is one stream, which has begun to go one way.
        let mut client = serving.connect();
        ask_by(&mut client, &format!("{strict}-first"), 20);
        await_backlog(&serving);
        assert_eq!(mode(&serving, "transactional"), strict);
        // Some wait when the mode is changed.
        proxy.send_to(None);
        proxy.cut_every(1);
        ask_by(&mut client, &format!("{strict}-waits"), 20);
        serving.kill();
        proxy.cut_every(0);
        proxy.send_to(Some(broker.address));
        site.change(&key(strict), &key(!strict));
        let serving = site.serve();
        await_backlog(&serving);
        assert_eq!(mode(&serving, "transactional"), strict, "what is left goes its way");
        assert_eq!(serving.stop().code(), Some(0));
    }
    let serving = site.serve();
    ask(&serving, "last", 20);
    await_backlog(&serving);
    assert_eq!(mode(&serving, "transactional"), false);
    assert_eq!(serving.stop().code(), Some(0));

    // What waits and was not begun to go is in nobody's way.
    site.change(&key(false), &key(true));
    proxy.send_to(None);
    let serving = site.serve();
    ask(&serving, "not-begun", 20);
    serving.kill();
    proxy.send_to(Some(broker.address));
    let serving = site.serve();
    await_backlog(&serving);
    assert_eq!(mode(&serving, "transactional"), true);
    assert_eq!(serving.stop().code(), Some(0));
    let read = Topic::read(&python, broker.address, "impressions");
    assert_eq!((read.nonces().len(), read.rows()), (120, 120));
}

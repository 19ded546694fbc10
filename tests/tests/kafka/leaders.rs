//! A cluster of three whose brokers are killed and started again while events flow: those that lead
//! the topic, or, in strict mode, those that keep its transactions.

use crate::traffic::{PARTITION, TOPIC, Trickle, alarm, await_backlog, figure, sink, site_of};
use brink_tests::{
    appliance::eventually,
    kafka::{
        client::{Kafka, Partition},
        cluster::Cluster,
    },
    process::Serving,
    services::Python,
    topic::Topic,
};

fn delivered(serving: &Serving) -> u64 {
    sink(serving)["delivered"].as_u64().expect("a number")
}

/// Waits until events that come from now on are in Kafka, and nothing is wrong any more.
fn await_flow(serving: &Serving) {
    let before = delivered(serving);
    eventually("events flow", || delivered(serving) > before + 10);
    eventually("the alarm is over", || !alarm(serving, "kafka_failing"));
}

/// Where brokers keep transactions: who leads it coordinates them.
const TRANSACTIONS: Partition = Partition { topic: "__transaction_state", index: 0 };

/// Who leads a partition, as a broker knows; not `but`.
fn leader(of: &Partition, cluster: &Cluster, asked: i32, but: i32) -> i32 {
    let mut kafka = Kafka::connect(cluster.address(asked));
    let mut leads = -1;
    eventually("somebody leads", || {
        leads = kafka.leaders(of.topic).get(&of.index).copied().unwrap_or(-1);
        leads != -1 && leads != but
    });
    leads
}

/// Another broker than these.
fn another(than: &[i32]) -> i32 {
    (1..=3).find(|broker| !than.contains(broker)).expect("there are three")
}

/// Kills who leads a partition, moves the lead, and kills more of the cluster, while events flow to
/// a site with these keys of `[kafka]`. Each stands in the topic once.
fn survives_kills_of_who_leads(of: &Partition, more: &str) {
    let Some(python) = Python::find() else { return };
    let Some(cluster) = Cluster::start() else { return };
    let more = format!("create_topics = true\npartitions = 1\nreplication = 3\n{more}");
    let site = site_of(&cluster.brokers(), &more);
    let serving = site.serve();
    let trickle = Trickle::start(&serving);
    await_flow(&serving);

    // It is killed, and another one leads.
    let first = leader(of, &cluster, 1, -1);
    cluster.kill(first);
    eventually("the alarm is up", || alarm(&serving, "kafka_failing"));
    let second = leader(of, &cluster, another(&[first]), first);
    await_flow(&serving);

    // It comes back, and is given the lead again, as after work on a broker.
    cluster.start_again(first);
    let mut kafka = Kafka::connect(cluster.address(second));
    eventually("it leads again", || {
        kafka.elect(of);
        kafka.leaders(of.topic)[&of.index] == first
    });
    await_flow(&serving);

    // It is killed and is back before anybody has missed it.
    cluster.kill(first);
    cluster.start_again(first);
    await_flow(&serving);

    // Two of three are gone: nothing is acknowledged until there are enough again.
    let leads = leader(of, &cluster, first, -1);
    let (one, two) = (another(&[leads]), another(&[leads, another(&[leads])]));
    cluster.kill(one);
    cluster.kill(two);
    eventually("the alarm is up", || alarm(&serving, "kafka_failing"));
    cluster.start_again(one);
    cluster.start_again(two);
    await_flow(&serving);

    let asked = trickle.end();
    await_backlog(&serving);
    assert_eq!(delivered(&serving), asked.len() as u64);
    assert_eq!(figure(&serving, "events_doubtful"), 0);
    for name in ["kafka_forgot", "kafka_went_back", "kafka_rejected", "kafka_fenced"] {
        assert!(!alarm(&serving, name), "{name}");
    }
    let read = Topic::read(&python, cluster.address(one), TOPIC);
    assert_eq!((read.streams.len(), read.rows()), (1, asked.len() as u64));
    assert_eq!(read.nonces(), asked);
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_leader_that_is_killed_or_moved_loses_no_event_and_none_stands_twice() {
    survives_kills_of_who_leads(&PARTITION, "");
}

#[test]
fn a_coordinator_of_transactions_that_is_killed_or_moved_loses_none_and_commits_none_twice() {
    survives_kills_of_who_leads(&TRANSACTIONS, "transactions = true");
}

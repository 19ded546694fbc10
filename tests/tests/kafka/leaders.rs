//! A cluster of three whose brokers are killed and started again while events flow.

use crate::traffic::{PARTITION, TOPIC, Trickle, alarm, await_backlog, sink, site_of};
use brink_tests::{
    appliance::eventually,
    kafka::{client::Kafka, cluster::Cluster},
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

/// Who leads the partition, as another broker knows; not `but`.
fn leader(cluster: &Cluster, asked: i32, but: i32) -> i32 {
    let mut kafka = Kafka::connect(cluster.address(asked));
    let mut leads = -1;
    eventually("somebody leads", || {
        leads = kafka.leaders(TOPIC).get(&PARTITION.index).copied().unwrap_or(-1);
        leads != -1 && leads != but
    });
    leads
}

/// Another broker than these.
fn another(than: &[i32]) -> i32 {
    (1..=3).find(|broker| !than.contains(broker)).expect("there are three")
}

#[test]
fn a_leader_that_is_killed_or_moved_loses_no_event_and_none_stands_twice() {
    let Some(python) = Python::find() else { return };
    let Some(cluster) = Cluster::start() else { return };
    let more = "create_topics = true\npartitions = 1\nreplication = 3";
    let site = site_of(&cluster.brokers(), more);
    let serving = site.serve();
    let trickle = Trickle::start(&serving);
    await_flow(&serving);

    // It is killed, and another one leads.
    let first = leader(&cluster, 1, -1);
    cluster.kill(first);
    eventually("the alarm is up", || alarm(&serving, "kafka_failing"));
    let second = leader(&cluster, another(&[first]), first);
    await_flow(&serving);

    // It comes back, and is given the lead again, as after work on a broker.
    cluster.start_again(first);
    let mut kafka = Kafka::connect(cluster.address(second));
    eventually("it leads again", || {
        kafka.elect(&PARTITION);
        kafka.leaders(TOPIC)[&PARTITION.index] == first
    });
    await_flow(&serving);

    // It is killed and is back before anybody has missed it.
    cluster.kill(first);
    cluster.start_again(first);
    await_flow(&serving);

    // Two of three are gone: nothing is acknowledged until there are enough again.
    let leads = leader(&cluster, first, -1);
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
    for name in ["kafka_forgot", "kafka_went_back", "kafka_rejected"] {
        assert!(!alarm(&serving, name), "{name}");
    }
    let read = Topic::read(&python, cluster.address(one), TOPIC);
    assert_eq!((read.streams.len(), read.rows()), (1, asked.len() as u64));
    assert_eq!(read.nonces(), asked);
    assert_eq!(serving.stop().code(), Some(0));
}

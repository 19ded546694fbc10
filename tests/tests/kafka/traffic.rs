//! Pixels that are asked for, and what the sink says of them.

use brink_tests::{
    appliance::{Extra, eventually},
    http::Client,
    kafka::client::Partition,
    process::Serving,
    site::Site,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const DURABLE: &str = "ack = { \"/i.gif\" = \"durable\" }";

/// The topic that pixels have.
pub(crate) const TOPIC: &str = "impressions";

/// The partition that everything is in, where the topic has one.
pub(crate) const PARTITION: Partition = Partition { topic: TOPIC, index: 0 };

/// A site whose events go to a cluster as well.
pub(crate) fn site(broker: SocketAddr, more: &str) -> Site {
    let more = format!("partitions = 2\nreplication = 1\n{more}");
    site_of(&format!("\"{broker}\""), &more)
}

/// The same with a list of brokers.
pub(crate) fn site_of(brokers: &str, more: &str) -> Site {
    let sections = format!("[kafka]\nbrokers = [{brokers}]\n{more}");
    Site::new(&Extra { listener: DURABLE, sections: &sections, ..Extra::default() })
}

pub(crate) fn sink(serving: &Serving) -> Value {
    serving.status()["ledger"]["sinks"]["kafka"].clone()
}

pub(crate) fn alarm(serving: &Serving, name: &str) -> bool {
    serving.status().is_alarmed(name)
}

/// Waits until all is in Kafka. After many faults there is much of it: it may take its time, as
/// long as it moves.
pub(crate) fn await_backlog(serving: &Serving) {
    let pending = || sink(serving)["pending"].as_u64().expect("a number");
    let mut left = pending();
    while left > 0 {
        eventually("more of the backlog is in Kafka", || pending() < left);
        left = pending();
    }
}

/// Asks for so many pixels, each answered once its row is durable.
pub(crate) fn ask(serving: &Serving, name: &str, count: usize) {
    ask_by(&mut serving.connect(), name, count);
}

/// The same on one connection, which is one shard's: all of it is one stream.
pub(crate) fn ask_by(client: &mut Client, name: &str, count: usize) {
    for number in 0..count {
        assert_eq!(client.get(&format!("/i.gif?n={name}-{number}")).status, 200);
    }
}

/// A figure of the Kafka sink, as `/metrics` has it.
pub(crate) fn figure(serving: &Serving, name: &str) -> u64 {
    serving.metric(&format!("brink_sink_{name}_total{{sink=\"kafka\"}}"))
}

/// Somebody who asks every now and then, until told to end.
pub(crate) struct Trickle {
    ends: Arc<AtomicBool>,
    asking: JoinHandle<BTreeSet<String>>,
}

impl Trickle {
    /// One who asks for a pixel.
    pub(crate) fn start(serving: &Serving) -> Trickle {
        Trickle::asking(serving, "trickle".to_owned(), |nonce| format!("/i.gif?n={nonce}"))
    }

    /// One of this name who asks for what a nonce makes.
    pub(crate) fn asking(serving: &Serving, name: String, of: fn(&str) -> String) -> Trickle {
        let ends = Arc::new(AtomicBool::new(false));
        let (mut client, ended) = (serving.connect(), Arc::clone(&ends));
        let asking = thread::spawn(move || {
            let mut asked = BTreeSet::new();
            // ORDER: Relaxed, a flag that stands for itself.
            while !ended.load(Ordering::Relaxed) {
                let nonce = format!("{name}-{}", asked.len());
                assert_eq!(client.get(&of(&nonce)).status, 200);
                asked.insert(nonce);
                thread::park_timeout(Duration::from_millis(20));
            }
            asked
        });
        Trickle { ends, asking }
    }

    /// Ends it; what was asked for.
    pub(crate) fn end(self) -> BTreeSet<String> {
        // ORDER: Relaxed, as above.
        self.ends.store(true, Ordering::Relaxed);
        self.asking.join().expect("all was answered")
    }
}

//! A broker that stands still for a minute, while exchanges ask: no shard notices, in either mode,
//! and what has come meanwhile is delivered behind it.

use crate::{
    check_proved,
    traffic::{Trickle, alarm, await_backlog, figure, sink},
};
use brink_tests::{
    appliance::eventually,
    asking::let_live,
    http::Client,
    process::Serving,
    services::{Broker, Python},
    site::Site,
    tables,
    topic::Topic,
};
use serde_json::json;
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

/// Longer than anything in the sink waits for an answer, and than a transaction may be open.
const STILL: Duration = Duration::from_secs(60);

/// Callers of each appliance.
const CALLERS: usize = 8;

/// What a call may wait. The tests beside this one hold up a shard for longer than an exchange
/// would wait, and a shard that waited for the broker would do so for most of a minute.
const BUDGET_MS: u64 = 2_000;

/// An appliance that is asked for segments all the time, and whose topics begin with its mode.
struct Asked {
    mode: &'static str,
    site: Site,
    serving: Serving,
    callers: Vec<Trickle>,
}

impl Asked {
    fn start(broker: SocketAddr, mode: &'static str, transactions: bool) -> Asked {
        let listener = format!(
            "exchange = \"xandr\"\nack = {{ \"/v1/segments/\" = \"durable\" }}\n\
             [listener.provider]\nbudget_ms = {BUDGET_MS}\nkeep_query = true"
        );
        let kafka = format!(
            "[kafka]\nbrokers = [\"{broker}\"]\ncreate_topics = true\npartitions = 2\n\
             replication = 1\ntopic_prefix = \"{mode}.\"\ntransactions = {transactions}"
        );
        // A minute of small frames finds room.
        let site = tables::site(&listener, &kafka)
            .with("quota_bytes = 67108864", "quota_bytes = 1073741824");
        let serving = site.serve();
        let ready = || Client::connect(serving.address()).get("/ready").body == b"1\n";
        eventually("a table is served", ready);
        let segments = |nonce: &str| format!("/v1/segments/xandr?n={nonce}&uid=7");
        let caller = |number: usize| Trickle::asking(&serving, number.to_string(), segments);
        let callers = (0..CALLERS).map(caller).collect();
        Asked { mode, site, serving, callers }
    }

    fn delivered(&self) -> u64 {
        sink(&self.serving)["delivered"].as_u64().expect("a number")
    }

    fn await_flow(&self) {
        let before = self.delivered();
        eventually("events flow", || self.delivered() > before + 100);
        eventually("nothing is wrong", || !alarm(&self.serving, "kafka_failing"));
    }

    /// Ends it. Nobody was late or shed, and all of it stands in its topic once and in order.
    fn check(mut self, broker: SocketAddr, python: &Python) {
        let ended = self.callers.drain(..).flat_map(Trickle::end);
        let asked: BTreeSet<String> = ended.collect();
        await_backlog(&self.serving);
        let status = self.serving.status();
        let outcomes = &status["listeners"][0]["outcomes"];
        assert_eq!((&outcomes["late"], status.shed()), (&0.into(), 0), "{}", self.mode);
        assert_eq!(outcomes["segments"], asked.len(), "{}", self.mode);
        assert_eq!(self.delivered(), asked.len() as u64, "{}", self.mode);
        assert_eq!(figure(&self.serving, "events_doubtful"), 0);
        for name in ["kafka_forgot", "kafka_went_back", "kafka_rejected", "kafka_fenced"] {
            assert!(!alarm(&self.serving, name), "{}: {name}", self.mode);
        }
        assert_eq!(self.serving.stop().code(), Some(0));
        let read = Topic::read(python, broker, &format!("{}.lookups", self.mode));
        assert_eq!((read.nonces(), read.rows()), (asked.clone(), asked.len() as u64));
        assert_eq!(self.site.audit().nonces(), asked, "the objects have the same");
        check_proved(&self.site, broker, &format!("{}.", self.mode), read.rows());
    }
}

#[test]
fn a_broker_that_stands_still_for_a_minute_makes_no_shard_late_and_loses_nothing() {
    let Some(python) = Python::find() else { return };
    let Some(broker) = Broker::start() else { return };
    let modes = [("plain", false), ("strict", true)];
    let all = modes.map(|(mode, strict)| Asked::start(broker.address, mode, strict));
    all.iter().for_each(Asked::await_flow);

    broker.freeze(true);
    let_live(STILL);
    for Asked { mode, serving, .. } in &all {
        assert!(alarm(serving, "kafka_failing"), "{mode}");
        let pending = sink(serving)["pending"].as_u64();
        assert!(pending > Some(100), "{mode}: {pending:?} came meanwhile");
        let unready = &serving.status()["listeners"][0]["unready"];
        assert_eq!(*unready, json!([]), "{mode}: exchanges are told to go elsewhere");
    }
    broker.freeze(false);
    all.iter().for_each(Asked::await_flow);
    all.into_iter().for_each(|asked| asked.check(broker.address, &python));
}

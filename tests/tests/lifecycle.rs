//! How an appliance ends: in order, or by a kill at any moment. Real processes, real sockets.

use brink_tests::{
    appliance::{Extra, eventually},
    asking::{askers, let_live, pixel},
    http::Client,
    process::{self, Serving},
    sim::random::Random,
    site::Site,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

const DURABLE: Extra<'_> = Extra {
    listener: "ack = { \"/i.gif\" = \"durable\" }",
    sections: "",
    role: None,
    address: None,
};

/// What a log line says that it accepted, at the end.
fn accepted_at_the_end(log: &[String]) -> u64 {
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let stopped = lines.into_iter().find(|line| line["fields"]["message"] == "stopped");
    stopped.expect("the last word")["fields"]["accepted"].as_u64().expect("a number")
}

#[test]
fn sigterm_answers_what_is_in_flight_delivers_all_of_it_and_exits_with_0() {
    // The grace is longer than the test; a second signal ends it.
    let site = Site::new(&DURABLE).with("grace_ms = 0", "grace_ms = 60000");
    let serving = site.serve();
    let askers = askers(&serving, (0..4).map(|n| format!("asker-{n}")));
    let (mut probe, mut late) = (serving.connect(), serving.connect());
    assert_eq!((probe.get("/ready").status, probe.get("/ready").body), (200, b"1\n".to_vec()));
    eventually("events are accepted", || serving.status().events("accepted") > 100);

    serving.signal("TERM");
    eventually("a listener is not ready any more", || probe.get("/ready").status == 503);
    assert_eq!(probe.get("/ready").body, b"0\n");
    let operators = Client::connect(serving.admin).get("/ready");
    assert_eq!((operators.status, operators.body), (503, b"0\n".to_vec()));
    // Whoever comes all the same is served.
    let nonces: Vec<_> = (0..20).map(|n| format!("late-{n}")).collect();
    late.send(nonces.iter().map(|n| pixel(n)).collect::<String>());
    assert!(nonces.iter().all(|_| late.response().status == 200));
    assert_eq!(serving.connect().get("/i.gif?n=newcomer").status, 200);
    let before = serving.status().events("accepted");
    eventually("the others go on", || serving.status().events("accepted") > before + 100);
    let status = serving.status();
    assert_eq!(status["ledger_faults"], Value::Array(Vec::new()));

    let address = serving.address();
    serving.signal("TERM");
    let (status, log) = serving.wait_with_log();
    assert_eq!(status.code(), Some(0), "{log:?}");
    let refused = TcpStream::connect(address).map_err(|error| error.kind());
    assert_eq!(
        refused.err(),
        Some(ErrorKind::ConnectionRefused),
        "nobody is let in and left alone"
    );
    let mut answered: BTreeSet<String> = nonces.into_iter().collect();
    answered.insert("newcomer".to_owned());
    for asker in askers {
        let asked = asker.join().unwrap();
        assert_eq!(asked.end, Some(ErrorKind::UnexpectedEof), "nobody's connection is reset");
        answered.extend(asked.answered);
    }
    let audit = site.audit();
    assert_eq!(audit.nonces(), answered);
    assert_eq!(audit.rows(), accepted_at_the_end(&log));
    audit.check_dense();
}

/// How often it is killed while it serves, and how often while it starts.
const KILLS: u64 = 20;

/// The longest that it lives, in milliseconds.
const LIFE_MS_MAX: u64 = 500;
const START_MS_MAX: u64 = 200;

#[test]
fn no_kill_at_any_moment_loses_a_durable_answer_or_writes_it_twice() {
    // Objects are made all the time, so that kills hit the delivery as well. Each life has a
    // segment of its own, and on a busy machine those before it are not delivered yet: the quota
    // has room for all of them.
    let site = Site::new(&DURABLE)
        .with("age_max_ms = 60000", "age_max_ms = 100")
        .with("quota_bytes = 67108864", "quota_bytes = 1073741824");
    let random = Random::new(20);
    let (mut sent, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for life in 0..KILLS {
        let serving = site.serve();
        let askers = askers(&serving, (0..4).map(|n| format!("{life}-{n}")));
        let_live(Duration::from_micros(random.within(0..LIFE_MS_MAX * 1000)));
        serving.kill();
        // Some are killed while they start, which a start must survive as well.
        let starting = Serving::launch(&site.config());
        let_live(Duration::from_micros(random.within(0..START_MS_MAX * 1000)));
        starting.kill();
        for asked in askers.into_iter().map(|asker| asker.join().unwrap()) {
            sent.extend(asked.sent);
            answered.extend(asked.answered);
        }
    }
    assert!(answered.len() as u64 > 10 * KILLS, "{} answers", answered.len());
    let serving = site.serve();
    serving.signal("TERM");
    let (status, log) = serving.wait_with_log();
    assert_eq!(status.code(), Some(0), "{log:?}");

    let audit = site.audit();
    let rows = audit.nonces();
    let lost = answered.difference(&rows);
    let some: Vec<_> = lost.clone().take(5).collect();
    assert!(some.is_empty(), "{} of {} are lost: {some:?}", lost.count(), answered.len());
    assert!(rows.is_subset(&sent));
    audit.check_dense();
}

#[test]
fn what_was_accepted_before_a_kill_is_delivered_by_the_next_start() {
    let site = Site::new(&Extra::default());
    let serving = site.serve();
    let mut client = serving.connect();
    let nonces: BTreeSet<String> = (0..1000).map(|n| n.to_string()).collect();
    for nonce in &nonces {
        client.send(pixel(nonce));
        assert_eq!(client.response().status, 200);
    }
    eventually("all are accepted", || serving.status().events("accepted") == 1000);
    assert_eq!(serving.status().sink()["delivered"], 0);
    serving.kill();

    let serving = site.serve();
    let sink = serving.status().sink().clone();
    assert_eq!((&sink["backlog"], &sink["pending"]), (&Value::from(1000), &Value::from(1000)));
    assert_eq!(serving.stop().code(), Some(0));
    let audit = site.audit();
    assert_eq!(audit.nonces(), nonces);
    audit.check_dense();

    // And a third start has nothing left to deliver.
    let serving = site.serve();
    assert_eq!(serving.status().sink()["backlog"], 0);
    assert_eq!(serving.stop().code(), Some(0));
    assert_eq!(site.audit().rows(), 1000);
}

/// The demo's ports are those of edge/config/local.toml.
const DEMO_PORTS: [u16; 3] = [8081, 8083, 8084];

#[test]
fn the_demo_shows_that_nothing_is_lost() {
    let is_free = |port: u16| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok();
    eventually("the demo's ports are free", || DEMO_PORTS.into_iter().all(is_free));
    let dir = tempfile::tempdir().unwrap();
    let options = ["demo", "--seconds", "2", "--rate", "1000", "--connections", "16"];
    let users = ["--users", "5000"];
    let output = process::edge(&[&options[..], &users].concat(), dir.path());
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");

    assert!(text.contains("latency, µs") && text.contains("answered 2000 of 2000"), "{text}");
    assert!(text.lines().any(|line| line == "accepted 2000"), "{text}");
    let ledger = "offered 1000 = emitted 1000 + shed 0; accepted 1000";
    assert_eq!(text.matches(ledger).count(), 2, "{text}");
    let sink = "accepted 2000 = delivered 2000 + pending 0 + quarantined 0";
    assert!(text.contains(sink), "{text}");
    assert!(text.contains("of 1000 users that the exchange asked for"), "{text}");
    for topic in ["impressions", "lookups"] {
        assert!(dir.path().join(format!("brink-data/objects/ds={topic}")).is_dir(), "{topic}");
    }
}

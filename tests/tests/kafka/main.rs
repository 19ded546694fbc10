//! Events in Kafka: real brokers, and readers that share no code with us (librdkafka, Google's
//! Protobuf). What kills and cut connections do is in `kills`.
//!
//! This file has a broker that is well, or away. [`faults`]: one that answers with errors, late, or
//! not at all; [`frozen`]: not for a minute. [`forgotten`]: one that does not know any more what it
//! was sent, or another one. [`leaders`]: a cluster whose brokers are killed. [`transactions`]:
//! strict mode. [`traffic`]: what is asked, and what is read.

mod faults;
mod forgotten;
mod frozen;
mod leaders;
mod traffic;
mod transactions;

use brink_tests::{
    appliance::eventually,
    asking::let_live,
    audit::hours,
    http::Client,
    process,
    proxy::Proxy,
    services::{Broker, Python},
    sim::random::Random,
    site::Site,
    topic::Topic,
};
use serde_json::Value;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::Duration,
};
use traffic::{alarm, ask, await_backlog, sink, site};

#[test]
fn every_event_stands_in_its_topic_once_and_in_order() {
    let Some(python) = Python::find() else { return };
    let Some(broker) = Broker::start() else { return };
    let site = site(broker.address, "create_topics = true\ntopic_prefix = \"brink.\"");
    for life in 0..3 {
        let serving = site.serve();
        ask(&serving, &format!("life-{life}"), 2000);
        eventually("all is in Kafka", || sink(&serving)["delivered"] == 2000);
        assert_eq!(sink(&serving)["quarantined"]["refused"], 0);
        assert_eq!(serving.stop().code(), Some(0));
    }
    let read = Topic::read(&python, broker.address, "brink.impressions");
    assert_eq!((read.streams.len(), read.rows()), (3, 6000));
    let nonces = read.nonces();
    assert_eq!(nonces.len(), 6000);
    assert_eq!(nonces, site.audit().nonces(), "the objects have the same");
    check_proved(&site, broker.address, "brink.", 6000);

    // Another consumer, with the definition that the tool hands out.
    let descriptors = site.path().join("events.desc");
    let path = descriptors.to_str().expect("a text");
    let output = process::shipper(&["descriptors", "--output", path]);
    assert!(output.status.success(), "{output:?}");
    let java = broker.read("brink.impressions", &descriptors, "brink.v1.Impression");
    let counts = ["records", "distinct", "disordered"].map(|key| java[key].as_u64());
    assert_eq!(counts, [Some(6000), Some(6000), Some(0)], "{java}");
}

/// What `shipper audit` finds in each hour that a site has objects of, Kafka included.
fn proved(site: &Site, broker: SocketAddr, prefix: &str) -> Vec<Value> {
    let objects = site.path().join("objects");
    let (store, broker) = (format!("file:{}", objects.display()), broker.to_string());
    let place = ["--store", &store, "--kafka", &broker, "--kafka-prefix", prefix, "--json"];
    let audit = |hour: &String| {
        let output = process::shipper(&[&["audit", "--hour", hour], &place[..]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"))
    };
    hours(&objects).iter().map(audit).collect()
}

/// Checks that each hour is whole, in objects, manifests and Kafka; so many records in all.
fn check_proved(site: &Site, broker: SocketAddr, prefix: &str, records: u64) {
    let found = proved(site, broker, prefix);
    let empty = Value::Array(Vec::new());
    for hour in &found {
        assert_eq!((&hour["faults"], &hour["notes"]), (&empty, &empty), "{hour}");
    }
    let sum: u64 = found.iter().map(|hour| hour["kafka_records"].as_u64().expect("records")).sum();
    assert_eq!(sum, records);
}

#[test]
fn a_topic_is_read_to_its_end_over_connections_that_break_on_the_way() {
    // Reads of the proxy between two cuts: enough for a connection to be made and for an answer of
    // a mebibyte, which takes sixteen and more, and fewer than the topic.
    const BETWEEN_CUTS: u64 = 100;
    const ROUNDS: usize = 60;
    const REQUESTS: usize = 50;
    let Some((proxy, _broker)) = Broker::start_proxied(&[]) else { return };
    let site = site(proxy.address, "create_topics = true").with("partitions = 2", "partitions = 1");
    let serving = site.serve();
    let random = Random::new(11);
    let mut client = serving.connect();
    for _ in 0..ROUNDS {
        let noise = || random.letters(3500);
        let request = |_| format!("GET /i.gif?n={} HTTP/1.1\r\nHost: a\r\n\r\n", noise());
        client.send((0..REQUESTS).map(request).collect::<String>());
        (0..REQUESTS).for_each(|_| assert_eq!(client.response().status, 200));
    }
    await_backlog(&serving);
    assert_eq!(serving.stop().code(), Some(0));
    proxy.cut_every(BETWEEN_CUTS);
    check_proved(&site, proxy.address, "", (ROUNDS * REQUESTS) as u64);
    assert!(proxy.cuts() > 0, "nothing broke");
}

#[test]
fn a_dead_boxs_volume_is_drained_into_its_topic_once_whatever_ends_the_drain() {
    let Some(python) = Python::find() else { return };
    let Some(broker) = Broker::start() else { return };
    let site = site(broker.address, "create_topics = true");
    // Of the first life some, or all, is delivered when it is killed, and lineages are durable.
    for (life, rows) in [("first", 500), ("second", 2500)] {
        let serving = site.serve();
        ask(&serving, life, rows);
        serving.kill();
    }
    let spool = site.path().join("spool");
    let drain = || {
        let mut command = Command::new(process::binary("brink-shipper", "shipper"));
        command.arg("drain").arg("--spool").arg(&spool).arg("--config").arg(site.config());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("shipper runs")
    };
    let random = Random::new(9);
    for _ in 0..6 {
        let mut child = drain();
        let_live(Duration::from_micros(random.within(0..600_000)));
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
    }
    assert_eq!(drain().wait().expect("it ends").code(), Some(0));
    let read = Topic::read(&python, broker.address, "impressions");
    let nonces = read.nonces();
    assert_eq!((nonces.len(), read.rows()), (3000, 3000), "each stands once");
    assert_eq!(nonces, site.audit().nonces(), "the objects have the same");
    check_proved(&site, broker.address, "", read.rows());
}

#[test]
fn a_topic_that_is_not_there_is_asked_for_and_delivered_to_once_it_is() {
    let Some(broker) = Broker::start() else { return };
    let site = site(broker.address, "");
    let serving = site.serve();
    ask(&serving, "early", 300);
    eventually("somebody has to make the topic", || alarm(&serving, "kafka_refusing"));
    assert_eq!(sink(&serving)["delivered"], 0);
    serving.kill();
    // With the right to make it, the next start does, and delivers what has waited.
    let site = site.with("[kafka]", "[kafka]\ncreate_topics = true");
    let serving = site.serve();
    assert_eq!(sink(&serving)["backlog"], 300);
    eventually("what has waited is in Kafka", || sink(&serving)["delivered"] == 300);
    assert!(!alarm(&serving, "kafka_refusing"));
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_cluster_that_is_away_or_stands_still_holds_up_nobody_else() {
    let Some(broker) = Broker::start() else { return };
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let away = nobody.local_addr().expect("an address");
    drop(nobody);
    let site = site(away, "create_topics = true").with("age_max_ms = 60000", "age_max_ms = 200");
    let serving = site.serve();
    ask(&serving, "away", 500);
    eventually("the alarm is up", || alarm(&serving, "kafka_failing"));
    let objects = || serving.status().sink()["delivered"].clone();
    eventually("objects are made all the same", || objects() == 500);
    assert_eq!(
        (sink(&serving)["delivered"].clone(), sink(&serving)["pending"].clone()),
        (0.into(), 500.into())
    );
    serving.kill();

    let site = site.with(&away.to_string(), &broker.address.to_string());
    let serving = site.serve();
    eventually("the backlog is in Kafka", || sink(&serving)["delivered"] == 500);
    assert!(!alarm(&serving, "kafka_failing"));
    broker.freeze(true);
    ask(&serving, "still", 500);
    let objects = || serving.status().sink()["delivered"].clone();
    eventually("objects are made all the same", || objects() == 500);
    assert_eq!(sink(&serving)["delivered"], 500);
    broker.freeze(false);
    eventually("it goes on by itself", || sink(&serving)["delivered"] == 1000);
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_broker_that_is_asked_and_does_not_answer_holds_up_no_batch() {
    let Some((leader, broker)) = Broker::start_proxied(&[]) else { return };
    let contact = Proxy::start();
    contact.send_to(Some(broker.address));
    let site = site(contact.address, "create_topics = true");
    let serving = site.serve();
    ask(&serving, "before", 50);
    eventually("they are in Kafka", || sink(&serving)["delivered"] == 50);
    // Whatever breaks makes the sink ask where everything is, and from now on nobody answers that.
    contact.hold();
    leader.cut_every(7);
    eventually("the sink waits for an answer", || {
        ask(&serving, "makes-it-ask", 1);
        contact.waiting().is_some()
    });
    leader.cut_every(0);
    // A question that ends, and another that begins, would show nothing.
    let goes_on = (0..10).any(|_| {
        eventually("a question is under way", || contact.waiting().is_some());
        let (question, delivered) = (contact.waiting(), sink(&serving)["delivered"].clone());
        ask(&serving, "meanwhile", 1);
        eventually("it is in Kafka", || sink(&serving)["delivered"] != delivered);
        question.is_some() && contact.waiting() == question
    });
    assert!(goes_on, "no batch was acknowledged while one question was under way");
    serving.kill();
}

#[test]
fn a_user_is_proved_over_tls_and_a_wrong_password_is_told_without_it() {
    let Some(broker) = Broker::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let password = dir.path().join("password");
    let write = |text: &str| {
        fs::write(&password, text).expect("the folder takes a file");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&password, mode).expect("it is ours");
    };
    let secured = |mechanism: &str| {
        let more = format!(
            "create_topics = true\ntls = true\nca_file = {:?}\nsasl = \"{mechanism}\"\n\
             username = \"{}\"\npassword_file = {:?}",
            broker.ca_file.display(),
            Broker::USER,
            password.display()
        );
        site(broker.secure, &more)
    };
    write(Broker::PASSWORD);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let site = secured(mechanism);
        let serving = site.serve();
        ask(&serving, mechanism, 50);
        eventually("they are in Kafka", || sink(&serving)["delivered"] == 50);
        assert_eq!(serving.stop().code(), Some(0));
    }
    write("canary-that-nobody-sees");
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let site = secured(mechanism).with("deliver_ms = 100000", "deliver_ms = 100");
        let serving = site.serve();
        ask(&serving, mechanism, 50);
        eventually("the alarm is up", || alarm(&serving, "kafka_refusing"));
        assert_eq!(sink(&serving)["delivered"], 0);
        let mut told = serving.status().to_string();
        told.push_str(&String::from_utf8_lossy(
            &Client::connect(serving.admin).get("/metrics").body,
        ));
        serving.signal("TERM");
        let (_, log) = serving.wait_with_log();
        let log = log.join("\n");
        assert!(log.contains("SaslAuthenticationFailed") && log.contains("user"), "{log}");
        assert!(!log.contains("canary") && !told.contains("canary"));
    }
    // Whoever vouches for nobody is not believed.
    let stranger = site(
        broker.secure,
        "create_topics = true\ntls = true\nsasl = \"PLAIN\"\nusername = \"edge\"\n",
    )
    .with(
        "sasl = \"PLAIN\"",
        &format!("sasl = \"PLAIN\"\npassword_file = {:?}", password.display()),
    );
    let serving = stranger.serve();
    ask(&serving, "stranger", 5);
    eventually("the certificate is refused", || alarm(&serving, "kafka_refusing"));
    assert_eq!(sink(&serving)["delivered"], 0);
    serving.kill();
}

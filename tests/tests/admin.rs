//! What operators see: metrics, status, probes, and logs that tell nothing of requests.

mod openmetrics;

use brink_tests::{
    appliance::{Extra, eventually},
    http::{Client, Response},
    process::Serving,
    site::Site,
};
use brink_tuning::{
    memory::{self, Load},
    profile,
};
use openmetrics::{Exposition, Kind};
use serde_json::{Value, json};

fn ask(serving: &Serving, path: &str) -> Response {
    Client::connect(serving.admin).get(path)
}

fn metrics(serving: &Serving) -> Exposition {
    let response = ask(serving, "/metrics");
    assert_eq!(response.status, 200);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.header("content-type"), Some(kind));
    Exposition::parse(&String::from_utf8(response.body).unwrap())
}

/// A process that has answered 500 pixels, 20 unknown paths and 10 requests that are none.
fn loaded() -> (Site, Serving) {
    let site = Site::new(&Extra::default());
    let serving = site.serve();
    let mut client = serving.connect();
    for n in 0..500 {
        assert_eq!(client.get(&format!("/i.gif?n={n}")).status, 200);
    }
    (0..20).for_each(|_| assert_eq!(client.get("/nothing").status, 404));
    for _ in 0..10 {
        let mut client = serving.connect();
        client.send("NONSENSE\r\n\r\n");
        assert_eq!(client.response().status, 400);
    }
    drop(client);
    eventually("all are accepted", || serving.status().events("accepted") == 500);
    eventually("all are gone", || serving.status()["listeners"][0]["connections"] == 0);
    (site, serving)
}

#[test]
fn metrics_are_valid_and_say_what_happened() {
    let (site, serving) = loaded();
    let first = metrics(&serving);
    let second = metrics(&serving);
    first.check_later(&second);

    let events = |hop: &str| first.sum(&format!("brink_events_{hop}"), &[]);
    assert_eq!(events("offered_total"), 500.0);
    assert_eq!(events("emitted_total"), 500.0);
    assert_eq!(events("accepted_total"), 500.0);
    assert_eq!(events("shed_total"), 0.0);
    assert_eq!(events("delivered_total") + events("pending"), 500.0);
    let requests = |status| first.sum("brink_requests_total", &[("status", status)]);
    assert_eq!((requests("200"), requests("404")), (500.0, 20.0));
    let labels = [("listener", "first"), ("role", "pixel")];
    assert_eq!(first.sum("brink_requests_refused_total", &labels), 10.0);
    assert_eq!(first.sum("brink_connections_accepted_total", &labels), 11.0);
    assert_eq!(first.sum("brink_connections_open", &labels), 0.0);
    assert_eq!(first.sum("brink_ready", &[]), 1.0);
    assert_eq!(first.sum("brink_alarm_active", &[]), 0.0);
    assert!(first.sum("brink_memory_resident_bytes", &[]) > 1e6);

    let status = serving.status();
    let build = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("edge", "test"),
        ("profile", "s-1vcpu-1gb"),
        ("config", status["config"].as_str().unwrap()),
    ];
    assert_eq!(first.sum("brink_build_info", &build), 1.0);
    // The hash is that of the file: another file has another one.
    let another = Site::new(&Extra::default());
    assert_ne!(another.serve().status()["config"], status["config"]);
    assert_eq!(serving.stop().code(), Some(0));
    let again = site.serve();
    assert_eq!(again.status()["config"], status["config"]);
}

/// In seconds, as Prometheus has them: 0.1 to 500 ms.
const EDGES: [&str; 14] = [
    "0.0001", "0.00025", "0.0005", "0.001", "0.002", "0.005", "0.007", "0.01", "0.02", "0.05",
    "0.1", "0.2", "0.5", "+Inf",
];

#[test]
fn latency_histograms_have_the_edges_that_a_fleet_can_add_up() {
    let (_site, serving) = loaded();
    let metrics = metrics(&serving);
    assert_eq!(metrics.kind("brink_request_seconds"), Kind::Histogram);
    let shards = serving.status()["shards"].as_array().unwrap().len();
    for shard in 0..shards {
        let shard = [("shard", shard.to_string())];
        let shard = shard.each_ref().map(|(key, value)| (*key, value.as_str()));
        let buckets = metrics.samples("brink_request_seconds_bucket", &shard);
        let edges: Vec<_> = buckets.iter().map(|sample| sample.label("le").unwrap()).collect();
        assert_eq!(edges, EDGES);
    }
    assert_eq!(metrics.sum("brink_request_seconds_bucket", &[("le", "+Inf")]), 520.0);
    assert_eq!(metrics.sum("brink_request_seconds_count", &[]), 520.0);
    assert!(metrics.sum("brink_request_seconds_sum", &[]) > 0.0);
}

#[test]
fn status_says_everything_on_one_page() {
    let (site, serving) = loaded();
    eventually("service times are handed over", || {
        serving.status()["listeners"][0]["service_time_us"]["count"] == 520
    });
    let status = serving.status();
    assert_eq!((&status["edge"], &status["ready"]), (&json!("test"), &json!(true)));
    assert_eq!((&status["alarms"], &status["ledger_faults"]), (&json!([]), &json!([])));

    let ledger = &status["ledger"];
    for hop in ["offered", "emitted", "accepted"] {
        assert_eq!(status.events(hop), 500, "{hop}");
    }
    for hop in ["in_batch", "in_ring", "in_group"] {
        assert_eq!(status.events(hop), 0, "{hop}");
    }
    let reasons = json!({ "no_buffer": 0, "spool_full": 0 });
    assert!(ledger["streams"].as_array().unwrap().iter().all(|s| s["shed"] == reasons));
    let quarantined = json!({ "corrupt": 0, "missing": 0, "refused": 0 });
    let objects = status.sink();
    assert_eq!((&objects["accepted"], &objects["quarantined"]), (&json!(500), &quarantined));

    let listener = &status["listeners"][0];
    assert_eq!(listener["address"], serving.listeners[0].to_string());
    assert_eq!(listener["answered"], json!({ "200": 500, "404": 20 }));
    assert_eq!((&listener["refused"], &listener["not_allowed"]), (&json!(10), &json!(0)));
    let times = &listener["service_time_us"];
    let quantiles = ["p50", "p90", "p99", "p999", "max"].map(|q| times[q].as_f64().unwrap());
    assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{times}");

    // The rings of the shards, and what surrounds them.
    for shard in status["shards"].as_array().unwrap() {
        assert!(shard["turns"].as_u64() > Some(0) && shard["enters"].as_u64() > Some(0));
        assert_eq!((&shard["answers_held"], &shard["starved"]), (&json!(0), &json!(0)));
        assert_eq!(shard["receive_buffers"], 256);
    }
    assert!(status["io_uring"].as_object().unwrap().values().all(Value::is_boolean));
    let spool = &status["spool"];
    assert_eq!(spool["path"], site.path().join("spool").display().to_string());
    assert!(spool["commits"].as_u64() > Some(0) && spool["segments"] == 1);
    assert!(spool["live_bytes"].as_u64() < spool["file_bytes"].as_u64());
    let threads = status["threads"].as_object().unwrap();
    for name in ["shard-0", "spool", "delivery", "encode"] {
        assert!(threads[name].as_f64().unwrap() >= 0.0, "{threads:?}");
    }
}

#[test]
fn every_profile_stays_within_its_memory_table() {
    for profile in profile::all().unwrap() {
        let name = format!("profile = \"{}\"", profile.name);
        let site = Site::new(&Extra::default()).with("profile = \"s-1vcpu-1gb\"", &name);
        let serving = site.serve();
        let mut clients: Vec<_> = (0..64).map(|_| serving.connect()).collect();
        let query = "q".repeat(6000);
        for round in 0..20 {
            for client in &mut clients {
                client.send(format!("GET /i.gif?n={round}&{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
            }
            assert!(clients.iter_mut().all(|client| client.response().status == 200));
        }
        let status = serving.status();
        let shards = status["shards"].as_array().unwrap().len() as u64;
        let table = memory::table(&profile, Load { shards, topics: 1, sinks: 1 });
        let memory = &status["memory"];
        assert_eq!(memory["table"], json!(table), "{}", profile.name);
        assert_eq!(memory["planned_bytes"], memory::total(&table));
        let bytes = |key: &str| memory[key].as_u64().unwrap();
        assert!(bytes("resident_bytes") <= bytes("planned_bytes"), "{}: {memory}", profile.name);
        assert_eq!(serving.stop().code(), Some(0));
    }
}

#[test]
fn health_and_ready_answer_on_every_listener() {
    let site = Site::new(&Extra::default());
    let serving = site.serve();
    for address in [serving.admin, serving.listeners[0]] {
        for (path, body) in [("/health", "ok\n"), ("/ready", "1\n")] {
            let response = Client::connect(address).get(path);
            assert_eq!((response.status, response.body), (200, body.into()), "{address}{path}");
        }
    }
    assert_eq!(ask(&serving, "/nothing").status, 404);
    // Operators' pages are not for those who see pixels.
    for path in ["/metrics", "/status"] {
        assert_eq!(serving.connect().get(path).status, 404);
    }
}

#[test]
fn no_log_line_has_anything_of_a_request_in_it() {
    // Everything that can be logged at all, objects and faults of the store included.
    let site = Site::new(&Extra::default())
        .with("level = \"info\"", "level = \"trace\"")
        .with("age_max_ms = 60000", "age_max_ms = 100");
    let serving = site.serve();
    let secrets = ["query-7a31", "cookie-7a31", "referer-7a31", "agent-7a31", "peer-7a31"];
    let [query, cookie, referer, agent, peer] = secrets;
    let mut client = serving.connect();
    for request in [
        format!("GET /i.gif?n={query}&auction_id={query}"),
        format!("GET /{query}"),
        format!("POST /i.gif?n={query}"),
    ] {
        client.send(format!(
            "{request} HTTP/1.1\r\nHost: a\r\nCookie: uid={cookie}\r\nReferer: https://{referer}/\r\n\
             User-Agent: {agent}\r\nX-Forwarded-For: {peer}\r\nContent-Length: 0\r\n\r\n"
        ));
        assert!([200, 404, 405].contains(&client.response().status));
    }
    let mut broken = serving.connect();
    broken.send(format!("{query} {cookie}\r\n\r\n"));
    assert_eq!(broken.response().status, 400);
    eventually("an object is made", || serving.status().sink()["delivered"] == 1);
    serving.signal("TERM");
    let (status, log) = serving.wait_with_log();
    assert_eq!(status.code(), Some(0));
    let says = |what: &str| log.iter().any(|line| line.contains(what));
    assert!(says("object delivered") && says("\"stopped\""), "{log:?}");
    for line in &log {
        let json: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(json["level"].is_string() && json["timestamp"].is_string(), "{line}");
        assert!(secrets.iter().all(|secret| !line.contains(secret)), "{line}");
    }
    assert_eq!(site.audit().nonces(), [query.to_owned()].into());
}

//! Topics as `from_protobuf` of Spark decodes them, by the function that docs/kafka.md shows: row
//! for row what was answered, and what the objects of the same appliance have.

use crate::{
    TOPIC, spark_type,
    traffic::{LISTENER, Row, Target, Traffic, by_nonce},
};
use brink_proto::schema::{IMPRESSIONS, Kind, LOOKUPS};
use brink_tests::{
    appliance::{Extra, eventually, start_in},
    http::Client,
    process,
    services::{Broker, Python, spark_protobuf},
    tables,
};
use edge::roles::Roles;
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::SocketAddr, path::Path};
use tempfile::TempDir;

/// Requests to the pixel, which has every kind of row that [`Traffic`] makes, and calls of an
/// exchange.
const PIXELS: usize = 3_000;
const CALLS: usize = 600;

/// The keys of a listener that provides and keeps the query, by which a row is known again.
/// Its budget is long: on a busy machine half of the usual one makes a call strained, and sheds it.
const PROVIDER: &str = r#"
[[listener]]
name = "second"
role = "provider"
address = "127.0.0.1:0"
allow = "any"
exchange = "xandr"
ack = { "/v1/segments/" = "durable" }
[listener.provider]
budget_ms = 10000
keep_query = true
late_percent_max = 100
"#;

#[test]
fn spark_decodes_the_topics_by_the_documented_function() {
    let Some(python) = Python::find_protobuf() else { return };
    let Some(jars) = spark_protobuf() else { return };
    let Some(broker) = Broker::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    tables::publish(dir.path(), 1, &tables::table(&["7"], "sports"));
    let (traffic, calls, dir) = delivered(dir, broker.address);

    let descriptors = dir.path().join("events.desc").display().to_string();
    let output = process::shipper(&["descriptors", "--output", &descriptors]);
    assert!(output.status.success(), "{output:?}");
    let objects = dir.path().join("objects").display().to_string();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kafka.md");
    let arguments = [
        &broker.address.to_string(),
        &descriptors,
        &objects,
        &guide.display().to_string(),
        "impressions=brink.v1.Impression",
        "lookups=brink.v1.Lookup",
        "--jars",
        &jars.display().to_string(),
    ];
    let (report, rows) = python.read("read_protobuf.py", arguments);
    check_types(&report);
    let reader = report["reader"].as_str().expect("a name");
    let mut seen: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for mut row in rows {
        let mut mark = |key: &str| row[key].take().as_str().expect("a mark").to_owned();
        let from = (mark("@from"), mark("@topic"));
        let row_of = row.as_object_mut().expect("a row is an object");
        row_of.retain(|column, _| !column.starts_with('@'));
        seen.entry(from).or_default().push(row);
    }
    let mut take = |from: &str, topic: &str| {
        let rows = seen.remove(&(from.to_owned(), topic.to_owned())).expect("rows");
        by_nonce(rows)
    };
    let pixels = take("kafka", TOPIC);
    traffic.check(reader, &pixels, &[]);
    assert!(pixels == take("objects", TOPIC), "{reader}: the objects have other rows");
    let lookups = take("kafka", "lookups");
    check_calls(&lookups, &calls);
    assert!(lookups == take("objects", "lookups"), "{reader}: the objects have other rows");
    let (version, count) = (&broker.version, pixels.len() + lookups.len());
    println!("{reader}, Kafka {version}: {count} rows of two topics, and of their objects");
}

/// What an appliance with both kinds of listener was asked; all of it is in Kafka and in objects.
fn delivered(dir: TempDir, broker: SocketAddr) -> (Traffic, BTreeMap<String, Row>, TempDir) {
    let sections = format!(
        "[kafka]\nbrokers = [\"{broker}\"]\npartitions = 2\nreplication = 1\n\
         create_topics = true\n{}{PROVIDER}",
        tables::sections(dir.path(), "")
    );
    let extra = Extra { listener: LISTENER, sections: &sections, ..Extra::default() };
    let running = start_in(dir, &Roles::standard(), &extra);
    eventually("the table is served", || running.board().tables.version.read() == 1);
    let incarnation = running.board().incarnation.0;
    let listening = running.board().listening.clone();
    let mut traffic = Traffic::default();
    let target = Target { address: listening[0].1, listener: "first", incarnation };
    traffic.ask(target, PIXELS);
    let calls = calls(listening[1].1);
    let (ended, dir) = running.stop();
    for (name, sink) in &ended.ledger.sinks {
        assert_eq!(sink.delivered, (PIXELS + CALLS) as u64, "{name}");
    }
    assert_eq!(ended.ledger.sinks.len(), 2, "objects and Kafka");
    (traffic, calls, dir)
}

/// Asks for the segments of a user who has some, of one who has none, of nobody, and of one whose
/// call says much; gives what their rows must say, by nonce.
fn calls(address: SocketAddr) -> BTreeMap<String, Row> {
    let mut client = Client::connect(address);
    let mut wanted = BTreeMap::new();
    for number in 0..CALLS {
        let nonce = format!("call-{number}");
        let (more, answer, says) = match number % 4 {
            0 => {
                let says = json!({ "outcome": "segments", "user_id": "7", "segment_count": 1,
                    "answered_segments": "sports:750", "matched_namespace": "xandr" });
                ("&uid=7".to_owned(), "sports:750\n", says)
            }
            1 => {
                let user = format!("{}", u64::MAX - number as u64);
                let says = json!({ "outcome": "unknown", "user_id": user });
                (format!("&uid={user}"), "\n", says)
            }
            2 => (String::new(), "\n", json!({ "outcome": "unknown" })),
            _ => {
                let says = json!({ "outcome": "unknown", "user_id": "8", "country": "US",
                    "auction_id": format!("a{number}"), "client_address": "203.0.113.9",
                    "referer": "https%3A%2F%2Fnews.example%2F%C3%A9" });
                let more = format!(
                    "&uid=8&country=US&auction_id=a{number}&ip=203.0.113.9\
                     &ref=https%3A%2F%2Fnews.example%2F%C3%A9"
                );
                (more, "\n", says)
            }
        };
        let query = format!("n={nonce}{more}");
        let answered = client.get(&format!("/v1/segments/xandr?{query}"));
        assert_eq!((answered.status, answered.body.as_slice()), (200, answer.as_bytes()));
        let bytes = answered.head.len() + answered.body.len();
        wanted.insert(nonce, call(&query, bytes, says));
    }
    wanted
}

/// The row of a call: what every one says, and what this one says beside that.
fn call(query: &str, bytes: usize, says: Value) -> Row {
    let mut row: Row = LOOKUPS.fields().map(|f| (f.name.to_owned(), Value::Null)).collect();
    let every = json!({
        "edge": "test", "listener": "second", "exchange_label": "xandr", "shard": 0,
        "peer_address": "127.0.0.1", "status": 200, "response_bytes": bytes, "segment_count": 0,
        "table_version": 1, "raw_query": query,
    });
    for columns in [every, says] {
        let Value::Object(columns) = columns else { panic!("columns by name") };
        row.extend(columns);
    }
    row
}

/// Holds the rows of calls against what was answered: column by column, but for times.
fn check_calls(rows: &BTreeMap<String, Row>, wanted: &BTreeMap<String, Row>) {
    assert!(rows.keys().eq(wanted.keys()), "one row for each call");
    let measured = ["incarnation", "sequence", "event_time", "service_time_ns", "table_age_ms"];
    for (nonce, row) in rows {
        assert!(row.keys().eq(wanted[nonce].keys()), "the columns of the schema: {row:?}");
        for (column, want) in &wanted[nonce] {
            match measured.contains(&column.as_str()) {
                true => assert!(row[column].is_u64(), "{column} of {nonce}: {}", row[column]),
                false => assert_eq!(row[column], *want, "{column} of {nonce}"),
            }
        }
        // One connection asked one after the other.
        let number = nonce.strip_prefix("call-").and_then(|n| n.parse::<u64>().ok());
        assert_eq!(row["sequence"].as_u64(), number);
    }
}

/// Every column has the type of the schema, on both ways.
fn check_types(report: &Value) {
    for (topic, schema) in [(TOPIC, &IMPRESSIONS), ("lookups", &LOOKUPS)] {
        let typed = |kind: Kind| json!(spark_type(kind));
        let types: Row = schema.fields().map(|f| (f.name.to_owned(), typed(f.kind))).collect();
        for from in ["kafka", "objects"] {
            assert_eq!(report["types"][topic][from], Value::Object(types.clone()), "{from}");
        }
    }
}

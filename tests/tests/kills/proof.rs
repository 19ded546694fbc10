//! What lies where in the end: in the objects, by our own audit, DuckDB and Spark; in Kafka, by
//! librdkafka.

use crate::world::{PREFIX, TOPIC, World};
use brink_tests::{asking, audit::hour_of, process, services::Python, topic::Topic};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What was asked, by nonce.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// All of it.
    pub(crate) sent: BTreeSet<String>,
    /// What was answered, and so durable.
    pub(crate) answered: BTreeSet<String>,
}

impl Asked {
    pub(crate) fn add(&mut self, asked: asking::Asked) {
        self.sent.extend(asked.sent);
        self.answered.extend(asked.answered);
    }
}

/// Reads everything, and holds the readers against each other; the nonces that stand there, each
/// once.
pub(crate) fn read(world: &World, python: &Python) -> BTreeSet<String> {
    let topic = Topic::read(python, world.broker.address, TOPIC);
    let nonces = topic.nonces();
    let rows = topic.rows();
    println!("{}: {rows} records of {} streams", topic.reader, topic.streams.len());
    assert_eq!(nonces.len() as u64, rows, "each stands once in Kafka");

    let objects = world.site.path().join("objects");
    let keys = world.server.download(PREFIX, &objects);
    let aside = keys.iter().filter(|key| key.starts_with("_conflict/")).count();
    assert_eq!(aside, 0, "nobody else writes objects");
    let audit = world.site.audit();
    audit.check_dense();
    assert_eq!(audit.nonces(), nonces, "the objects have the same");
    assert_eq!(audited(world, &keys), rows);

    let objects = objects.display().to_string();
    let question = [&objects, TOPIC, "--cookie", "nobody", "--absent", "nobody"];
    for script in ["count_duckdb.py", "count_spark.py"] {
        let report = python.report(script, question);
        let reader = report["reader"].as_str().expect("a name");
        let counts = ["objects", "rows", "nonces"].map(|key| report[key].as_u64());
        println!("{reader}: {} rows of {} objects", report["rows"], report["objects"]);
        let made = keys.iter().filter(|key| key.ends_with(".parquet")).count() as u64;
        assert_eq!(counts, [Some(made), Some(rows), Some(rows)], "{reader}");
    }
    nonces
}

/// The rows of all hours, by `shipper audit`, which finds nothing wrong with them.
fn audited(world: &World, keys: &[String]) -> u64 {
    let objects = keys.iter().filter(|key| key.starts_with("ds="));
    let hours: BTreeSet<String> = objects.filter_map(|key| hour_of(key)).collect();
    let credentials = world.server.credentials();
    let credentials = credentials.to_str().expect("a text");
    let (url, endpoint) = (world.server.url(PREFIX), world.server.endpoint());
    let broker = world.broker.address.to_string();
    let rows = hours.iter().map(|hour| {
        let place = ["--store", &url, "--endpoint", endpoint, "--credentials", credentials];
        let question = ["audit", "--json", "--topic", TOPIC, "--hour", hour, "--kafka", &broker];
        let output = process::shipper(&[&question[..], &place].concat());
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{hour}: {said}");
        let audit: Value = serde_json::from_str(&said).expect("JSON");
        println!(
            "shipper audit: {hour} is whole, {} rows of {} objects, {} records in Kafka",
            audit["rows"], audit["objects"], audit["kafka_records"]
        );
        assert_eq!((&audit["notes"], &audit["kafka_records"]), (&json!([]), &audit["rows"]));
        audit["rows"].as_u64().expect("a number")
    });
    rows.sum()
}

//! What the appliance writes is read by readers that share no code with it.
//!
//! ```text
//!  objects   DuckDB · Spark (parquet-java)         every row and column, types, nulls, lookups
//!            Spark SQL with Hive support          tables that `shipper ddl` prints, S3 and HDFS
//!  spool     a real Kafka broker · librdkafka      every record, after a kill
//!            · Google's protoc and Protobuf
//!  topics    Spark's from_protobuf                 every row and column, as the objects have them
//! ```
//!
//! `brink_tests::services` brings them; a test that cannot have them says so loudly, or fails where
//! they are required. [`traffic`] asks for pixels and knows the row of each.

mod protobuf;
mod segments;
mod tables;
mod traffic;

use brink_proto::{
    kafka::batch::{HEADER_BYTES, ProducerSequence},
    schema::{IMPRESSIONS, Kind},
};
use brink_tests::{
    appliance::{Extra, configuration, eventually, start_in},
    http::Client,
    kafka::client::{CORRUPT_MESSAGE, Kafka, Partition, Produced},
    process::Serving,
    services::{Broker, Python},
};
use edge::{roles::Roles, tap::SLICE_BYTES};
use segments::Frame;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::TempDir;
use traffic::{LISTENER, Row, Target, Traffic, by_nonce};

/// The topic that pixels have.
const TOPIC: &str = "impressions";

/// Requests of each of the two starts that write objects.
const OBJECT_REQUESTS: usize = 10_000;

/// Requests to each of the two listeners of the appliance that is killed.
const KILLED_REQUESTS: usize = 3_000;

/// A cookie that many rows have, and some that none has.
const COOKIE: &str = "u17";
const ABSENT: usize = 100;

/// Where the partition's leader epoch lies in a batch: the broker's to set, as the base offset is,
/// and not under its checksum.
const LEADER_EPOCH: std::ops::Range<usize> = 12..16;
const BASE_OFFSET: std::ops::Range<usize> = 0..8;

#[test]
fn duckdb_and_spark_read_every_row_that_was_answered() {
    let Some(python) = Python::find() else { return };
    let (traffic, dir) = two_starts();
    let objects = dir.path().join("objects");
    let mut arguments = vec![objects.display().to_string(), TOPIC.to_owned()];
    arguments.extend(["--cookie", COOKIE, "--absent"].map(str::to_owned));
    arguments.extend((0..ABSENT).map(|n| format!("nobody-{n}")));

    let (duckdb, rows) = python.read("count_duckdb.py", &arguments);
    let by_duckdb = seen(&traffic, &duckdb, rows, &["ds", "dt", "hour"]);
    assert_eq!(duckdb["types"], json!(types(duckdb_type, &["ds", "dt", "hour"])));
    let micros = duckdb["time_type"].to_string();
    assert!(micros.contains("MICROS") && micros.contains("isAdjustedToUTC=1"), "{micros}");
    // No filter hides the id that is there; nearly all say of an id that is not that it is not.
    assert_eq!(duckdb["bloom"]["present"], 0);
    let excluded = duckdb["bloom"]["absent"].as_array().expect("one number for each id");
    let excluded: u64 = excluded.iter().filter_map(Value::as_u64).sum();
    let all = ABSENT as u64 * duckdb["objects"].as_u64().expect("a number");
    assert!(excluded * 10 > all * 9, "bloom filters exclude {excluded} of {all}");

    let (spark, rows) = python.read("count_spark.py", &arguments);
    let by_spark = seen(&traffic, &spark, rows, &["dt", "hour"]);
    assert_eq!(spark["types"], json!(types(spark_type, &["dt", "hour"])));

    // Also what only the appliance knows is the same for both.
    let without_topic = by_duckdb.into_iter().map(|(nonce, mut row)| {
        assert_eq!(row.remove("ds"), Some(json!(TOPIC)));
        (nonce, row)
    });
    assert_eq!(by_spark, without_topic.collect());
}

/// Two starts in one folder, stopped in order: two streams. Ledgers and objects agree.
fn two_starts() -> (Traffic, TempDir) {
    let mut traffic = Traffic::default();
    let mut dir = tempfile::tempdir().expect("a folder");
    let extra = Extra { listener: LISTENER, ..Extra::default() };
    let mut delivered = 0;
    for _ in 0..2 {
        let running = start_in(dir, &Roles::standard(), &extra);
        let incarnation = running.board().incarnation.0;
        let target = Target { address: running.address(), listener: "first", incarnation };
        traffic.ask(target, OBJECT_REQUESTS);
        let (ended, folder) = running.stop();
        assert_eq!(ended.ledger.accepted(), OBJECT_REQUESTS as u64);
        delivered += ended.ledger.sinks.values().map(|sink| sink.delivered).sum::<u64>();
        dir = folder;
    }
    assert_eq!(delivered, traffic.count());
    (traffic, dir)
}

/// Holds what a reader counted and read against what was answered; gives its rows.
fn seen(
    traffic: &Traffic,
    report: &Value,
    rows: Vec<Value>,
    beside: &[&str],
) -> BTreeMap<String, Row> {
    let reader = report["reader"].as_str().expect("a name");
    let count = traffic.count();
    assert_eq!(report["rows"], count, "{reader}");
    assert_eq!(report["nonces"], count, "{reader}");
    assert_eq!(report["status_sum"], 200 * count, "{reader}");
    let cookies = traffic.with("cookie_id", COOKIE);
    assert!(cookies > 0);
    assert_eq!(report["cookie_rows"], cookies, "{reader}");
    assert_eq!(report["absent_rows"], 0, "{reader}");
    let streams = report["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 2, "{reader}");
    for stream in streams {
        let range = (&stream["first"], &stream["last"], &stream["rows"]);
        let last = OBJECT_REQUESTS - 1;
        assert_eq!(range, (&json!(0), &json!(last), &json!(last + 1)), "{reader}");
    }
    let mut nulls = traffic.nulls();
    nulls.extend(beside.iter().map(|column| ((*column).to_owned(), json!(0))));
    assert_eq!(report["nulls"], Value::Object(nulls), "{reader}");

    let rows = by_nonce(rows);
    traffic.check(reader, &rows, beside);
    for row in rows.values() {
        let partition = (row["dt"].as_str().map(str::len), row["hour"].as_str().map(str::len));
        assert_eq!(partition, (Some(10), Some(2)), "{reader}: partitions are text");
    }
    println!("{reader}: {count} rows of {} objects", report["objects"]);
    rows
}

/// The types that a reader must see: those of the schema, and text beside them.
fn types(of: fn(Kind) -> &'static str, beside: &[&'static str]) -> BTreeMap<&'static str, Value> {
    let columns = IMPRESSIONS.fields().map(|field| (field.name, field.kind));
    let beside = beside.iter().map(|name| (*name, Kind::Text));
    columns.chain(beside).map(|(name, kind)| (name, json!(of(kind)))).collect()
}

fn duckdb_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "VARCHAR",
        Kind::Int32 => "INTEGER",
        Kind::Int64 => "BIGINT",
        Kind::Bool => "BOOLEAN",
        Kind::TimeMicros => "TIMESTAMP WITH TIME ZONE",
    }
}

fn spark_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Int32 => "int",
        Kind::Int64 => "bigint",
        Kind::Bool => "boolean",
        Kind::TimeMicros => "timestamp",
    }
}

#[test]
fn what_a_killed_appliance_has_spooled_is_read_by_a_kafka_consumer() {
    let Some(python) = Python::find() else { return };
    let Some(broker) = Broker::start() else { return };
    let (traffic, dir) = killed();
    let frames = segments::frames(&dir.path().join("spool"));
    let spooled: u64 = frames.iter().map(|frame| u64::from(frame.header.batch.count)).sum();
    assert_eq!(spooled, traffic.count(), "the log has what was accepted");
    let raw_bytes = frames.iter().map(|frame| frame.header.batch.raw_bytes).max().unwrap_or(0);
    assert!(raw_bytes as usize > SLICE_BYTES, "no batch was compressed in slices");

    let mut kafka = Kafka::connect(broker.address);
    let shards = frames.iter().map(|frame| partition(frame).index + 1).max().expect("frames");
    kafka.create_topic(TOPIC, shards);
    let sent = produce(&mut kafka, &frames);
    for (index, sent) in &sent {
        let kept = fetch(&mut kafka, &Partition { topic: TOPIC, index: *index }, sent.end);
        assert!(kept == sent.batches, "the broker keeps batches as they were sent");
    }

    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/events.proto");
    let proto = proto.display().to_string();
    let arguments = [&broker.address.to_string(), TOPIC, &proto, "brink.v1.Impression"];
    let (report, rows) = python.read("read_kafka.py", arguments);
    let reader = report["reader"].as_str().expect("a name").to_owned();
    let mut want = json!({ "reader": reader, "records": spooled });
    for none in ["keys", "headers", "unknown_fields", "not_create_time"] {
        want[none] = json!(0);
    }
    assert_eq!(report, want);
    let rows = by_nonce(rows);
    traffic.check(&reader, &rows, &["@partition", "@offset", "@timestamp"]);
    for row in rows.values() {
        assert_eq!(row["@partition"], row["shard"], "a stream has one partition");
        assert_eq!(row["@offset"], row["sequence"], "a stream has it alone, and in order");
        let time = row["event_time"].as_i64().expect("a number");
        assert_eq!(row["@timestamp"], time / 1000);
    }
    let (broker, count) = (&broker.version, frames.len());
    println!(
        "Kafka {broker}, {reader}: {spooled} records of {count} frames, up to {raw_bytes} bytes"
    );
}

/// A real appliance that can deliver nothing, killed when all that was answered is durable.
///
/// One listener answers at once, which makes large batches; one when rows are durable, which makes
/// small ones.
fn killed() -> (Traffic, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let received = LISTENER.replace("durable", "received");
    let sections = format!(
        "[log]\nformat = \"json\"\n[[listener]]\nname = \"second\"\nrole = \"pixel\"\n\
         address = \"127.0.0.1:0\"\nallow = \"any\"\n{received}"
    );
    let extra = Extra { listener: LISTENER, sections: &sections, ..Extra::default() };
    // A file where objects need a folder: nothing can be delivered, however long it takes.
    let in_the_way = dir.path().join("objects/ds=impressions");
    fs::create_dir(dir.path().join("objects")).expect("a folder");
    fs::write(&in_the_way, "").expect("a file");
    let config = dir.path().join("edge.toml");
    fs::write(&config, configuration(dir.path(), &extra)).expect("a file");
    let serving = Serving::start(&config);
    let incarnation = status(&serving)["incarnation"].as_u64().expect("a number");
    let mut traffic = Traffic::default();
    for (listener, address) in ["first", "second"].into_iter().zip(&serving.listeners) {
        traffic.ask(Target { address: *address, listener, incarnation }, KILLED_REQUESTS);
    }
    eventually("all rows are accepted", || accepted(&serving) == traffic.count());
    serving.kill();
    assert!(in_the_way.is_file(), "something was delivered");
    (traffic, dir)
}

fn status(serving: &Serving) -> Value {
    let page = Client::connect(serving.admin).get("/status").body;
    serde_json::from_slice(&page).expect("JSON")
}

fn accepted(serving: &Serving) -> u64 {
    let status = status(serving);
    let streams = status["ledger"]["streams"].as_array().expect("streams");
    streams.iter().map(|stream| stream["accepted"].as_u64().expect("a number")).sum()
}

/// Where a frame goes: each shard has a partition of its own.
fn partition(frame: &Frame) -> Partition {
    assert_eq!(frame.header.batch.stream.topic.as_str(), TOPIC);
    Partition { topic: TOPIC, index: i32::from(frame.header.batch.stream.shard.0) }
}

/// What a partition must hold: its batches, and the offset behind them.
#[derive(Default)]
struct Sent {
    batches: Vec<Vec<u8>>,
    end: u64,
}

/// Sends each frame as a batch, and some of them again.
fn produce(kafka: &mut Kafka, frames: &[Frame]) -> BTreeMap<i32, Sent> {
    let (id, epoch) = kafka.producer();
    let mut all: BTreeMap<i32, Sent> = BTreeMap::new();
    for (number, frame) in frames.iter().enumerate() {
        let to = partition(frame);
        let sent = all.entry(to.index).or_default();
        let first = frame.header.batch.first_sequence.0;
        assert_eq!(first, sent.end, "the log has a hole");
        let producer = ProducerSequence { id, epoch, base: first as i32 };
        let batch = frame.record_batch(producer);
        if number == 0 {
            // The broker does look at the checksum.
            let mut spoilt = batch.clone();
            spoilt[HEADER_BYTES + 9] ^= 1;
            assert_eq!(kafka.produce(&to, &spoilt).error, CORRUPT_MESSAGE);
        }
        let taken = Produced { error: 0, base_offset: first as i64 };
        assert_eq!(kafka.produce(&to, &batch), taken, "frame {}", frame.header.position);
        // A resend is known by its producer and sequence, and answered as before.
        if number % 10 == 0 {
            assert_eq!(kafka.produce(&to, &batch), taken, "frame {} again", frame.header.position);
        }
        let mut kept = batch;
        kept[BASE_OFFSET].copy_from_slice(&first.to_be_bytes());
        kept[LEADER_EPOCH].fill(0);
        sent.batches.push(kept);
        sent.end += u64::from(frame.header.batch.count);
    }
    all
}

/// The batches that the broker keeps, up to an offset, with the leader epoch taken out.
fn fetch(kafka: &mut Kafka, of: &Partition, end: u64) -> Vec<Vec<u8>> {
    let mut batches: Vec<Vec<u8>> = Vec::new();
    let mut offset = 0;
    while offset < end {
        let fetched = kafka.fetch(of, offset as i64);
        let mut rest = fetched.as_ref();
        let before = offset;
        while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
            let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|n| header[at + n]));
            // The length counts what is behind it.
            let Some((batch, behind)) = rest.split_at_checked(12 + number(8) as usize) else {
                break;
            };
            let mut batch = batch.to_vec();
            batch[LEADER_EPOCH].fill(0);
            batches.push(batch);
            offset += u64::from(number(57));
            rest = behind;
        }
        assert!(offset > before, "{of:?} has no batch from {offset} on");
    }
    batches
}

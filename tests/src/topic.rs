//! What librdkafka and Google's Protobuf read in a Kafka topic, which share no code with us.
//!
//! As in the objects, each record has the nonce of its request, `n=…`, first in `raw_query`.

use crate::services::Python;
use brink_proto::schema::TOPICS;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
};

/// The records of a topic: by stream, sequence and nonce, in the order of the
/// partition.
pub struct Topic {
    /// Who read it.
    pub reader: String,
    /// Its streams.
    pub streams: BTreeMap<String, Vec<(u64, String)>>,
}

impl Topic {
    /// Reads all of it.
    ///
    /// # Panics
    /// When a record is not what the topic's name says, or a stream is in two partitions.
    #[must_use]
    pub fn read(python: &Python, broker: SocketAddr, topic: &str) -> Topic {
        let schema = TOPICS.iter().find(|schema| topic.ends_with(schema.topic));
        let message = schema.expect("a topic of ours").message;
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/events.proto");
        let arguments = [
            broker.to_string(),
            topic.to_owned(),
            proto.display().to_string(),
            format!("brink.v1.{message}"),
        ];
        let mut streams: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        let mut partitions: BTreeMap<String, Value> = BTreeMap::new();
        let report = python.read_each("read_kafka.py", arguments, |row| {
            let text = |key: &str| row[key].as_str().map_or(row[key].to_string(), str::to_owned);
            let stream = format!("{}-{}-{}", text("edge"), text("incarnation"), text("shard"));
            let partition = row["@partition"].clone();
            let first = partitions.entry(stream.clone()).or_insert(partition.clone());
            assert_eq!(*first, partition, "a stream stays in its partition");
            let query = text("raw_query");
            let nonce = query.split('&').next().and_then(|first| first.strip_prefix("n="));
            let nonce = nonce.expect("a nonce").to_owned();
            let sequence = row["sequence"].as_u64().or_else(|| text("sequence").parse().ok());
            streams.entry(stream).or_default().push((sequence.expect("a sequence"), nonce));
        });
        assert_eq!(report["unknown_fields"], 0);
        let reader = report["reader"].as_str().expect("a name").to_owned();
        Topic { reader, streams }
    }

    /// Each stream is whole, in order, and stands once; all nonces.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn nonces(&self) -> BTreeSet<String> {
        for (stream, rows) in &self.streams {
            let sequences: Vec<u64> = rows.iter().map(|(sequence, _)| *sequence).collect();
            let whole: Vec<u64> = (0..rows.len() as u64).collect();
            assert_eq!(sequences, whole, "{stream}");
        }
        self.streams.values().flatten().map(|(_, nonce)| nonce.clone()).collect()
    }

    /// Its records.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.streams.values().map(|rows| rows.len() as u64).sum()
    }
}

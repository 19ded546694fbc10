//! `[objects]` and `[kafka]` as a person writes them. Each field is one key; its comment is its
//! reference, and docs/configuration.md is held against it.

use crate::objects::store::REQUEST_TIMEOUT;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[objects]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsSection {
    /// "file:FOLDER", "s3://BUCKET/PREFIX", or "hdfs://NAMENODE:PORT/FOLDER".
    pub url: String,
    /// For s3: the store's address, such as "https://nyc3.digitaloceanspaces.com".
    pub endpoint: Option<String>,
    /// For s3: the region to sign for.
    #[serde(default = "us_east_1")]
    pub region: String,
    /// For s3: a file of mode 600 with AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…; without one
    /// they come from the environment.
    pub credentials: Option<PathBuf>,
    /// Largest object, about. From the profile, if not said.
    pub bytes_max: Option<u64>,
    /// Most rows of an object.
    #[serde(default = "rows")]
    pub rows_max: u64,
    /// Longest time that events wait for their object to fill.
    #[serde(default = "ms::<300_000>")]
    pub age_max_ms: u64,
    /// For s3: requests a second, retries and all. What is not used is kept for ten seconds.
    #[serde(default = "share_of_a_bucket")]
    pub requests_per_second_max: u64,
    /// For s3: longest time for a request, body and all; after it the request is given up and made
    /// again.
    #[serde(default = "request_timeout")]
    pub request_timeout_ms: u64,
}

/// `[kafka]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSection {
    /// Brokers that are asked first, each "HOST:PORT"; they name all others.
    pub brokers: Vec<String>,
    /// In front of the topics' names.
    #[serde(default)]
    pub topic_prefix: String,
    /// Topics that are not there are made; otherwise the log says the command that makes them.
    #[serde(default)]
    pub create_topics: bool,
    /// Partitions of a topic that is made.
    #[serde(default = "number::<12>")]
    pub partitions: u64,
    /// Copies of each partition of a topic that is made.
    #[serde(default = "number::<3>")]
    pub replication: u64,
    /// For how long the brokers remember a producer: their producer.id.expiration.ms.
    #[serde(default = "ms::<86_400_000>")]
    pub producer_expiration_ms: u64,
    /// Strict mode: events go in transactions, together with how far each stream is in the topic
    /// "positions". For consumers that read what is committed.
    #[serde(default)]
    pub transactions: bool,
    /// TLS to the brokers.
    #[serde(default)]
    pub tls: bool,
    /// Certificates of those who may vouch for a broker, PEM. The system's, if not said.
    pub ca_file: Option<PathBuf>,
    /// How the user is proved; nobody is, if not said.
    pub sasl: Option<String>,
    /// User.
    pub username: Option<String>,
    /// A file of mode 600 with the password; BRINK_KAFKA_PASSWORD, if not said.
    pub password_file: Option<PathBuf>,
}

/// Milliseconds, where nothing is said.
#[must_use]
pub fn ms<const N: u64>() -> u64 {
    N
}

/// The region of a store, where nothing is said.
#[must_use]
pub fn us_east_1() -> String {
    "us-east-1".to_owned()
}

fn number<const N: u64>() -> u64 {
    N
}

fn rows() -> u64 {
    4_000_000
}

fn request_timeout() -> u64 {
    REQUEST_TIMEOUT.as_millis() as u64
}

/// 300 requests a second, which is the least that DigitalOcean allows for a bucket, over a fleet of
/// a hundred.
fn share_of_a_bucket() -> u64 {
    3
}

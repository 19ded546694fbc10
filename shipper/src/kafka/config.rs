//! What has to be known of a cluster before it is spoken to.

use crate::secret::Secret;
use std::{path::PathBuf, time::Duration};

/// A Kafka cluster, and how events get into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Brokers that are asked first, as `host:port`; they name all others.
    pub brokers: Vec<String>,
    /// In front of the topics' names.
    pub topic_prefix: String,
    /// What is done about a topic that is not there.
    pub topics: TopicPolicy,
    /// How old the latest record of a producer may be for a broker to remember it.
    pub producer_expiration: Duration,
    /// Whether events go in transactions, together with how far each stream is.
    pub transactions: bool,
    /// How the connection is kept secret; in the clear, if not said.
    pub tls: Option<TlsConfig>,
    /// Who we are; nobody, if not said.
    pub sasl: Option<SaslConfig>,
}

/// How topics are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicPolicy {
    /// Whether we make them. Otherwise the command that does is told.
    pub create: bool,
    /// Partitions of each.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i16,
}

/// TLS to the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificates of those who may vouch for a broker, PEM; those of the system, if not said.
    pub ca_file: Option<PathBuf>,
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslConfig {
    /// How they are proved.
    pub mechanism: Mechanism,
    /// User.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// How a password is proved to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// It is sent: for TLS only.
    Plain,
    /// By SCRAM with SHA-256.
    ScramSha256,
    /// By SCRAM with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// All, in the order of their names.
    pub const ALL: [Mechanism; 3] =
        [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512];

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Whether the password itself is sent, so that the connection has to be secret.
    #[must_use]
    pub fn sends_password(self) -> bool {
        self == Mechanism::Plain
    }

    /// Its registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

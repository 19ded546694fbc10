//! Configuration in two steps: what a person wrote ([`file`]), and what it means ([`EdgeConfig`]).
//!
//! The file type refuses unknown keys; the second step gives values their units, fills in what the
//! droplet's profile says, and checks what belongs together. An error names the file, the key, what
//! was found and what is allowed.

pub mod cidr;
mod consent;
pub mod file;
pub mod provider;
mod resolve;
pub mod tables;

pub use brink_shipper::config::ConfigError;
pub use resolve::{resolve, resolve_text};

use crate::{consent::Policy, ring::uring::rungs::Rungs, roles::Ack};
use brink_proto::ids::Name;
use brink_shipper::{
    kafka::config::KafkaConfig,
    objects::{
        plan::RollPolicy,
        store::{Limits, StoreConfig},
    },
};
use brink_tuning::{cores::CorePlan, memory::Line, profile::Profile};
use cidr::Cidrs;
use provider::ProviderConfig;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use tables::TableSettings;

/// What an appliance is to be.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Its name.
    pub edge: Name,
    /// What it listens on.
    pub listeners: Vec<ListenerConfig>,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// The spool.
    pub spool: SpoolSettings,
    /// Where objects go.
    pub store: StoreConfig,
    /// What requests to it are held to.
    pub store_limits: Limits,
    /// When frames become objects.
    pub roll: RollPolicy,
    /// The Kafka cluster, if events go to one.
    pub kafka: Option<KafkaConfig>,
    /// What users have to allow.
    pub consent: Policy,
    /// Where segment tables come from, if anybody looks into one.
    pub tables: Option<TableSettings>,
    /// The droplet.
    pub profile: Profile,
    /// Who runs where.
    pub cores: CorePlan,
    /// Rungs of io_uring that may be used.
    pub rungs: Rungs,
    /// How a stop goes.
    pub drain: DrainSettings,
    /// What is logged.
    pub log: LogSettings,
    /// How much memory it takes.
    pub memory: Vec<Line>,
    /// A hash of everything above that was configured, for operators to compare.
    pub hash: String,
}

/// One listener.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Its name, in events and metrics.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Exchange label.
    pub exchange: Option<String>,
    /// Datacenter label.
    pub datacenter: Option<String>,
    /// Who may connect.
    pub allow: Cidrs,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Cidrs,
    /// BOUND: connections of each shard.
    pub connections_max: u32,
    /// BOUND: body.
    pub body_bytes_max: usize,
    /// Deadlines.
    pub deadlines: Deadlines,
    /// When answers may leave, by route.
    pub acks: BTreeMap<String, Ack>,
    /// Name of the id cookie.
    pub cookie: String,
    /// Name of the query parameter with the auction id.
    pub auction_parameter: String,
    /// What users have to allow.
    pub consent: Policy,
    /// What a provider is told beside this, if it is one.
    pub provider: Option<ProviderConfig>,
}

impl ListenerConfig {
    /// When the answers of a route may leave.
    #[must_use]
    pub fn ack(&self, route: &str) -> Ack {
        self.acks.get(route).copied().unwrap_or(Ack::Received)
    }
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a head, from its first byte.
    pub head: Duration,
    /// For a body, from the end of its head.
    pub body: Duration,
    /// Between requests.
    pub idle: Duration,
    /// To take an answer.
    pub write: Duration,
}

/// The spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    /// Its folder.
    pub path: PathBuf,
    /// Its second folder, on another disk, if there is one.
    pub second_path: Option<PathBuf>,
    /// Size of a segment.
    pub segment_bytes: u32,
    /// BOUND: disk.
    pub quota_bytes: u64,
    /// Longest time to a commit that nobody waits for.
    pub commit_interval: Duration,
    /// How fast what was in it at the start is given to each sink.
    pub replay_bytes_per_s: u64,
}

/// How a stop goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainSettings {
    /// How long requests are still served while `/ready` says no.
    pub grace: Duration,
    /// How long delivery may take after that.
    pub deliver: Duration,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Level, or `module=level` pairs.
    pub level: String,
    /// Whether lines are JSON.
    pub json: bool,
}

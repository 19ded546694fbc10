//! The configuration as a person writes it. Each field is one key; its comment is its reference,
//! and docs/configuration.md is held against it.

pub use brink_shipper::config::file::{KafkaSection, ObjectsSection};

use brink_shipper::config::file::{ms, us_east_1};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// A configuration file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeFile {
    /// Who this is.
    pub edge: EdgeSection,
    /// What it listens on.
    pub listener: Vec<ListenerSection>,
    /// Where operators ask.
    pub admin: AdminSection,
    /// The log on local disk.
    pub spool: SpoolSection,
    /// The object store.
    pub objects: ObjectsSection,
    /// The Kafka cluster; without it events go to the object store alone.
    pub kafka: Option<KafkaSection>,
    /// Where segment tables come from. Providers need it.
    pub tables: Option<TablesSection>,
    /// What users have to allow.
    #[serde(default)]
    pub consent: ConsentSection,
    /// Threads.
    #[serde(default)]
    pub threads: ThreadsSection,
    /// io_uring.
    #[serde(default)]
    pub ring: RingSection,
    /// How a stop goes.
    #[serde(default)]
    pub drain: DrainSection,
    /// What is logged.
    #[serde(default)]
    pub log: LogSection,
}

/// `[edge]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeSection {
    /// The appliance's name, unique in the fleet: [a-z0-9_]{1,32}.
    pub name: String,
    /// A droplet profile (`tune list`), or "auto": the largest one that this machine carries.
    #[serde(default = "auto")]
    pub profile: String,
}

/// `[[listener]]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerSection {
    /// Its name, in events and metrics.
    pub name: String,
    /// What it answers.
    pub role: String,
    /// Address and port. "[::]:8083" takes IPv4 as well.
    pub address: String,
    /// Label of the exchange that calls here.
    pub exchange: Option<String>,
    /// Label of the datacenter that it calls from.
    pub datacenter: Option<String>,
    /// Who may connect: a list of ranges, or "any". Others are closed at once and counted.
    pub allow: Ranges,
    /// Proxies whose X-Forwarded-For is believed; nobody's, if there are none.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
    /// Connections of each shard; more wait in the backlog. From the profile, if not said.
    pub connections_max: Option<u32>,
    /// Largest body.
    #[serde(default = "one_mib")]
    pub body_bytes_max: u64,
    /// For a head, from its first byte.
    #[serde(default = "ms::<5_000>")]
    pub head_timeout_ms: u64,
    /// For a body, from the end of its head.
    #[serde(default = "ms::<10_000>")]
    pub body_timeout_ms: u64,
    /// Between requests.
    #[serde(default = "ms::<60_000>")]
    pub idle_timeout_ms: u64,
    /// To take an answer.
    #[serde(default = "ms::<10_000>")]
    pub write_timeout_ms: u64,
    /// By route: "received" answers at once, "durable" when the event is on disk.
    #[serde(default)]
    pub ack: BTreeMap<String, AckWord>,
    /// Name of the id cookie.
    #[serde(default = "uid")]
    pub cookie: String,
    /// Name of the query parameter with the auction id.
    #[serde(default = "auction_id")]
    pub auction_parameter: String,
    /// For a provider: how the exchange asks, in a section of its own.
    pub provider: Option<ProviderSection>,
}

/// `[listener.provider]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSection {
    /// The language of the exchange: "xandr" for a query that is answered by lines, "google" for
    /// JSON.
    #[serde(default)]
    pub dialect: DialectWord,
    /// How xandr's segments are written: "price" for CODE:INT, "code" for CODE.
    #[serde(default)]
    pub form: FormWord,
    /// Requests that have waited longer get the empty answer, and are counted as late. 7 for xandr
    /// and 40 for google, if not said.
    pub budget_ms: Option<u64>,
    /// Requests a second, over all shards, that are looked up; 0 for no limit. Beyond it they get
    /// the empty answer, those of users without segments first.
    #[serde(default)]
    pub rate_limit: u64,
    /// /ready says no while more of the answers of the last ten seconds were late.
    #[serde(default = "five")]
    pub late_percent_max: u64,
    /// The exchange's ids in the segment table. The exchange's label, if not said.
    pub namespace: Option<String>,
    /// Our own ids in the segment table.
    #[serde(default = "external")]
    pub external_namespace: String,
    /// Whether rows keep the whole query, beside the columns that are made of it.
    #[serde(default)]
    pub keep_query: bool,
    /// What xandr sends, and the query parameter that it sends it in; the rest by default.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

impl Default for ProviderSection {
    fn default() -> Self {
        ProviderSection {
            dialect: DialectWord::default(),
            form: FormWord::default(),
            budget_ms: None,
            rate_limit: 0,
            late_percent_max: five(),
            namespace: None,
            external_namespace: external(),
            keep_query: false,
            parameters: BTreeMap::new(),
        }
    }
}

/// The language of an exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DialectWord {
    /// A query, answered by lines.
    #[default]
    Xandr,
    /// A segment request in JSON, answered by another one.
    Google,
}

/// How a segment is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FormWord {
    /// With its price.
    #[default]
    Price,
    /// Alone.
    Code,
}

/// Ranges of addresses, or everybody.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Ranges {
    /// "any"
    Word(String),
    /// ["10.0.0.0/8", …]
    List(Vec<String>),
}

/// When an answer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AckWord {
    /// At once.
    Received,
    /// When the event is on disk.
    Durable,
}

/// `[admin]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// Address and port of /metrics, /status, /health and /ready. Not for the internet.
    pub address: String,
}

/// `[spool]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolSection {
    /// Folder, relative to the working directory. On a disk with direct I/O that keeps its files.
    pub path: PathBuf,
    /// A folder on another disk: segments go there while the first one fails or is full. The quota
    /// is that of both.
    pub second_path: Option<PathBuf>,
    /// Size of a segment; a multiple of 4096. From the profile, if not said.
    pub segment_bytes: Option<u64>,
    /// Disk that it may take. From the profile, if not said.
    pub quota_bytes: Option<u64>,
    /// Longest time to a commit that nobody waits for.
    #[serde(default = "ms::<50>")]
    pub commit_interval_ms: u64,
    /// What a start finds undelivered is given to each sink at this rate, beside what comes; faster
    /// while the spool is more than 60 % full, and at a stop.
    #[serde(default = "eight_mib")]
    pub replay_bytes_per_s: u64,
}

/// `[tables]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TablesSection {
    /// Where tables are announced: "file:FOLDER", "s3://…" or "hdfs://…", as for objects.
    pub url: String,
    /// For s3: the store's address.
    pub endpoint: Option<String>,
    /// For s3: the region to sign for.
    #[serde(default = "us_east_1")]
    pub region: String,
    /// For s3: a file of mode 600 with AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…; without one
    /// they come from the environment.
    pub credentials: Option<PathBuf>,
    /// Folder for the last two good tables, which a start without the store serves from.
    pub path: PathBuf,
    /// How often the store is asked for news.
    #[serde(default = "ms::<5_000>")]
    pub poll_ms: u64,
    /// /ready says no while the table is older.
    #[serde(default = "ms::<86_400_000>")]
    pub age_max_ms: u64,
    /// Largest table. A quarter of the machine's memory, if not said: two have to fit in half.
    pub bytes_max: Option<u64>,
    /// A version to stay with, whatever is announced: to go back, or to wait.
    pub pin: Option<u64>,
}

/// `[consent]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentSection {
    /// Our number in the IAB's Global Vendor List. Without one, nobody under GDPR has allowed
    /// anything.
    pub vendor: Option<u16>,
    /// TCF purposes that need consent.
    #[serde(default = "purposes")]
    pub purposes: Vec<u8>,
    /// TCF purposes for which legitimate interest suffices.
    #[serde(default)]
    pub legitimate_interests: Vec<u8>,
    /// Those of both that a publisher may move to the other legal basis.
    #[serde(default)]
    pub flexible: Vec<u8>,
    /// Whether a request without any signal is served.
    #[serde(default = "yes")]
    pub serve_without_signal: bool,
}

impl Default for ConsentSection {
    fn default() -> Self {
        ConsentSection {
            vendor: None,
            purposes: purposes(),
            legitimate_interests: Vec::new(),
            flexible: Vec::new(),
            serve_without_signal: yes(),
        }
    }
}

/// `[threads]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ThreadsSection {
    /// "off", "balanced" or "dedicated": what a shard does when there is nothing to do. From the
    /// profile, if not said.
    pub spin: Option<SpinWord>,
}

/// What a shard does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpinWord {
    /// Parks at once.
    Off,
    /// Spins a little, then parks.
    Balanced,
    /// Never parks.
    Dedicated,
}

/// `[ring]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RingSection {
    /// Rungs of io_uring to do without (`edge doctor` names them).
    #[serde(default)]
    pub without: Vec<String>,
}

/// `[drain]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DrainSection {
    /// How long requests are still served while /ready says no.
    #[serde(default = "ms::<1_000>")]
    pub grace_ms: u64,
    /// How long delivery may take after that; what is left then waits in the spool.
    #[serde(default = "ms::<20_000>")]
    pub deliver_ms: u64,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    /// "error", "warn", "info", "debug", "trace", or `module=level` pairs.
    #[serde(default = "info")]
    pub level: String,
    /// "text" or "json".
    #[serde(default = "text")]
    pub format: String,
}

impl Default for DrainSection {
    fn default() -> Self {
        DrainSection { grace_ms: ms::<1_000>(), deliver_ms: ms::<20_000>() }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        LogSection { level: info(), format: text() }
    }
}

fn five() -> u64 {
    5
}

fn external() -> String {
    "external".to_owned()
}

fn purposes() -> Vec<u8> {
    vec![1, 3, 4]
}

fn yes() -> bool {
    true
}

fn eight_mib() -> u64 {
    8 << 20
}

fn one_mib() -> u64 {
    1 << 20
}

fn auto() -> String {
    "auto".to_owned()
}

fn uid() -> String {
    "uid".to_owned()
}

fn auction_id() -> String {
    "auction_id".to_owned()
}

fn info() -> String {
    "info".to_owned()
}

fn text() -> String {
    "text".to_owned()
}

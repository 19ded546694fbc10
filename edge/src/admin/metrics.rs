//! `/metrics`: one table of families, each with its help and how it is read. docs/metrics.md is
//! held against it.

mod sinks;

use crate::{
    appliance::{board::Board, ledger::Ledger},
    clock,
    http::error::HttpError,
    shard::counters::{LATENCY_EDGES_US, ListenerCounters, STATUSES, ShardCounters},
};
use brink_shipper::{alarms::Alarm, counter::Counter};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use sinks::sinks;
use std::fmt;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One family of metrics.
pub struct Family {
    /// Its name, without the ending `_total` of a counter.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What it is.
    pub kind: MetricType,
}

type Labels = Vec<(&'static str, String)>;

/// A family with its samples.
struct Samples {
    family: Family,
    values: Vec<(Labels, Value)>,
}

enum Value {
    Count(u64),
    Gauge(f64),
    Histogram { sum: f64, count: u64, buckets: Vec<(f64, u64)> },
}

/// Everything as text.
#[must_use]
pub fn text(board: &Board) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot(families(board))));
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

/// Names, kinds and helps of all families: what docs/metrics.md is held against.
#[must_use]
pub fn reference(board: &Board) -> Vec<Family> {
    families(board).into_iter().map(|samples| samples.family).collect()
}

struct Snapshot(Vec<Samples>);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for samples in &self.0 {
            let Family { name, help, kind } = samples.family;
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (labels, value) in &samples.values {
                value.encode(family.encode_family(&labels.as_slice())?)?;
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, mut to: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Value::Count(count) => to.encode_counter::<NoLabelSet, _, u64>(count, None),
            Value::Gauge(value) => ConstGauge::new(*value).encode(to),
            Value::Histogram { sum, count, buckets } => {
                to.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
            }
        }
    }
}

fn families(board: &Board) -> Vec<Samples> {
    let mut all = events(board);
    all.extend(requests(board));
    all.extend(connections(board));
    all.extend(shards(board));
    all.extend(spool(board));
    all.extend(sinks(board));
    all.extend(tables(board));
    all.extend(process(board));
    all
}

fn counter(
    name: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> Samples {
    let family = Family { name, help, kind: MetricType::Counter };
    let values = values.into_iter().map(|(l, v)| (l, Value::Count(v))).collect();
    Samples { family, values }
}

fn gauge(
    name: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, f64)>,
) -> Samples {
    let family = Family { name, help, kind: MetricType::Gauge };
    let values = values.into_iter().map(|(l, v)| (l, Value::Gauge(v))).collect();
    Samples { family, values }
}

/// The ledger, from the last hop to the first.
fn events(board: &Board) -> Vec<Samples> {
    let ledger = Ledger::read(board);
    let streams = &ledger.streams;
    let stream = |s: &crate::appliance::ledger::StreamLedger| {
        vec![("topic", s.topic.clone()), ("shard", s.shard.to_string())]
    };
    let of = |get: fn(&crate::appliance::ledger::StreamLedger) -> u64| {
        streams.iter().map(move |s| (stream(s), get(s))).collect::<Vec<_>>()
    };
    let shed = streams.iter().flat_map(|s| {
        s.shed.iter().map(move |(reason, count)| {
            let mut labels = stream(s);
            labels.push(("reason", (*reason).to_owned()));
            (labels, *count)
        })
    });
    let sink = |name: &&'static str| vec![("sink", (*name).to_owned())];
    let sinks = || ledger.sinks.iter();
    let quarantined = sinks().flat_map(|(name, s)| {
        s.quarantined.iter().map(move |(reason, count)| {
            let mut labels = sink(name);
            labels.push(("reason", (*reason).to_owned()));
            (labels, *count)
        })
    });
    vec![
        counter(
            "brink_events_delivered",
            "Events that are where they belong: in an object, or in a topic",
            sinks().map(|(n, s)| (sink(n), s.delivered)),
        ),
        counter(
            "brink_events_quarantined",
            "Events in frames that are corrupt or missing, or that the other side never takes",
            quarantined,
        ),
        gauge(
            "brink_events_pending",
            "Events accepted and not delivered",
            sinks().map(|(n, s)| (sink(n), s.pending as f64)),
        ),
        gauge(
            "brink_events_backlog",
            "Events that earlier starts had accepted and not delivered",
            sinks().map(|(n, s)| (sink(n), s.backlog as f64)),
        ),
        counter(
            "brink_events_accepted",
            "Events covered by a completed group commit",
            of(|s| s.accepted),
        ),
        counter("brink_events_emitted", "Events that got a sequence", of(|s| s.emitted)),
        counter("brink_events_shed", "Events that were not taken", shed),
        counter("brink_events_offered", "Events that roles described", of(|s| s.offered)),
        counter(
            "brink_events_lost",
            "Events given up at the end of a stop that took too long",
            [(Vec::new(), ledger.lost)],
        ),
    ]
}

/// Every listener of every shard, with its labels.
fn listeners(board: &Board) -> Vec<(Labels, &ListenerCounters)> {
    let mut all = Vec::new();
    for (shard, counters) in board.shards.iter().enumerate() {
        for (listener, counters) in board.config.listeners.iter().zip(&counters.listeners) {
            let labels = vec![
                ("listener", listener.name.clone()),
                ("role", listener.role.clone()),
                ("shard", shard.to_string()),
            ];
            all.push((labels, counters));
        }
    }
    all
}

fn with(labels: &Labels, key: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((key, value.to_owned()));
    labels
}

fn requests(board: &Board) -> Vec<Samples> {
    let each = listeners(board);
    let answered = each.iter().flat_map(|(labels, c)| {
        STATUSES.iter().zip(&c.answered).map(move |(status, count)| {
            let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
            (with(labels, "status", &status), count.read())
        })
    });
    let refused = each.iter().flat_map(|(labels, c)| {
        HttpError::ALL
            .iter()
            .zip(&c.refused)
            .map(move |(error, count)| (with(labels, "reason", error.label()), count.read()))
    });
    let latency = each.iter().map(|(labels, c)| (labels.clone(), histogram(c))).collect();
    let help = "Time from a request reaching the shard to its answer being written";
    let roles = board.outcomes.iter().cycle();
    let outcomes = each.iter().zip(roles).flat_map(|((labels, c), role)| {
        role.labels
            .iter()
            .zip(&c.outcomes)
            .map(move |(name, count)| (with(labels, "outcome", name), count.read()))
    });
    let family = Family { name: "brink_request_seconds", help, kind: MetricType::Histogram };
    vec![
        counter("brink_requests", "Requests answered, by status", answered),
        counter("brink_requests_refused", "Requests refused, by reason", refused),
        counter("brink_outcomes", "What became of requests, in the words of the role", outcomes),
        Samples { family, values: latency },
    ]
}

fn connections(board: &Board) -> Vec<Samples> {
    let each = listeners(board);
    let of = |get: fn(&ListenerCounters) -> &Counter| {
        each.iter().map(move |(l, c)| (l.clone(), get(c).read())).collect::<Vec<_>>()
    };
    let open = each.iter().map(|(l, c)| (l.clone(), c.open.read() as f64));
    vec![
        gauge("brink_connections_open", "Connections open", open),
        counter("brink_connections_accepted", "Connections accepted", of(|c| &c.accepted)),
        counter(
            "brink_connections_not_allowed",
            "Connections from addresses that are not allowed",
            of(|c| &c.not_allowed),
        ),
        counter("brink_connections_closed", "Connections closed", of(|c| &c.closed)),
        counter(
            "brink_connections_broken",
            "Connections broken off by the other end",
            of(|c| &c.broken),
        ),
        counter(
            "brink_connections_idle_timeouts",
            "Connections closed because nothing came",
            of(|c| &c.idle_timeouts),
        ),
        counter(
            "brink_connections_write_timeouts",
            "Connections closed because answers were not taken",
            of(|c| &c.write_timeouts),
        ),
        counter("brink_accept_errors", "Accepts that failed", of(|c| &c.accept_errors)),
        counter("brink_received_bytes", "Bytes received", of(|c| &c.received_bytes)),
        counter("brink_sent_bytes", "Bytes sent", of(|c| &c.sent_bytes)),
    ]
}

fn histogram(counters: &ListenerCounters) -> Value {
    let sum = counters.latency_sum_ns.read() as f64 / 1e9;
    let counts: Vec<u64> = counters.latency.iter().map(Counter::read).collect();
    let edges = LATENCY_EDGES_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
    let count = counts.iter().sum();
    Value::Histogram { sum, count, buckets: edges.zip(counts).collect() }
}

fn shards(board: &Board) -> Vec<Samples> {
    let of = |get: fn(&ShardCounters) -> &Counter| {
        let each = board.shards.iter().enumerate();
        each.map(|(shard, c)| (vec![("shard", shard.to_string())], get(c).read()))
            .collect::<Vec<_>>()
    };
    let gauges = |get: fn(&ShardCounters) -> &Counter| {
        of(get).into_iter().map(|(l, v)| (l, v as f64)).collect::<Vec<_>>()
    };
    vec![
        counter("brink_shard_turns", "Turns of the shard's loop", of(|c| &c.turns)),
        counter("brink_shard_enters", "Times the kernel was entered", of(|c| &c.enters)),
        counter(
            "brink_shard_full_enters",
            "Of them, because the queue was full",
            of(|c| &c.full_enters),
        ),
        counter("brink_shard_parks", "Times the shard could sleep", of(|c| &c.parks)),
        counter("brink_shard_starved", "Receives that found no buffer", of(|c| &c.starved)),
        gauge(
            "brink_shard_receive_buffers_in_use",
            "Receive buffers in use",
            gauges(|c| &c.buffers_in_use),
        ),
        gauge(
            "brink_shard_output_blocks_in_use",
            "Output blocks in use",
            gauges(|c| &c.blocks_in_use),
        ),
        gauge("brink_shard_answers_held", "Answers that wait for durability", gauges(|c| &c.held)),
    ]
}

fn spool(board: &Board) -> Vec<Samples> {
    let one = |value: u64| [(Vec::new(), value)];
    let level = |value: u64| [(Vec::new(), value as f64)];
    let spool = &board.spool;
    let seconds = |s: Option<u64>| [(Vec::new(), s.map_or(f64::INFINITY, |s| s as f64))];
    vec![
        counter("brink_spool_commits", "Group commits", one(spool.commits.read())),
        counter(
            "brink_spool_write_errors",
            "Writes and syncs that failed",
            one(spool.write_errors.read()),
        ),
        counter(
            "brink_spool_corrupt_ranges",
            "Corrupt ranges quarantined since the start",
            one(spool.corrupt_ranges.read()),
        ),
        gauge(
            "brink_spool_live_bytes",
            "Bytes of frames in the log",
            level(spool.live_bytes.read()),
        ),
        gauge("brink_spool_file_bytes", "Bytes of the log's files", level(spool.file_bytes.read())),
        gauge(
            "brink_spool_quota_bytes",
            "Bytes that the log's files may take",
            level(board.config.spool.quota_bytes),
        ),
        gauge(
            "brink_spool_full_seconds",
            "Seconds until the spool is full as it grows now; +Inf while it does not grow",
            seconds(board.runway.full_in()),
        ),
        gauge(
            "brink_spool_lasts_seconds",
            "Seconds until the spool is full if nothing were delivered; +Inf while nothing comes",
            seconds(board.runway.lasts()),
        ),
        gauge(
            "brink_spool_held_bytes",
            "Bytes of frames that wait for a sink",
            spool.held().into_iter().map(|held| {
                let labels = vec![("sink", held.sink), ("topic", held.topic.to_string())];
                (labels, held.bytes as f64)
            }),
        ),
        gauge("brink_spool_segments", "Segments in the log", level(spool.segments.read())),
    ]
}

/// The segment table. Without a listener that looks into one, all of it is 0.
fn tables(board: &Board) -> Vec<Samples> {
    let tables = &board.tables;
    let age = tables.age(clock::wall_now()).unwrap_or_default().as_secs_f64();
    let level = |value: f64| [(Vec::new(), value)];
    let one = |value: u64| [(Vec::new(), value)];
    vec![
        gauge("brink_table_version", "Version of the table", level(tables.version.read() as f64)),
        gauge("brink_table_age_seconds", "Time since the table was published", level(age)),
        gauge("brink_table_users", "Users in the table", level(tables.users.read() as f64)),
        gauge("brink_table_bytes", "Size of the table", level(tables.bytes.read() as f64)),
        counter("brink_tables_loaded", "Tables handed to the shards", one(tables.loaded.read())),
        counter("brink_tables_refused", "Tables that were refused", one(tables.refused.read())),
        counter(
            "brink_tables_unreachable",
            "Times the store of tables did not answer",
            one(tables.unreachable.read()),
        ),
    ]
}

fn process(board: &Board) -> Vec<Samples> {
    let alarms = || {
        Alarm::ALL
            .into_iter()
            .map(|alarm| (vec![("alarm", alarm.label().to_owned())], board.alarms.state(alarm)))
    };
    let cpu = super::status::threads().into_iter();
    let build = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("edge", board.config.edge.to_string()),
        ("profile", board.config.profile.name.clone()),
        ("config", board.config.hash.clone()),
    ];
    let memory = super::status::Memory::read(&board.config.memory);
    vec![
        gauge("brink_build_info", "This build and its configuration", [(build, 1.0)]),
        gauge(
            "brink_incarnation",
            "Number of this start",
            [(Vec::new(), board.incarnation.0 as f64)],
        ),
        gauge(
            "brink_uptime_seconds",
            "Time since the start",
            [(Vec::new(), board.started.elapsed().as_secs_f64())],
        ),
        gauge(
            "brink_ready",
            "Whether requests are wanted, by listener",
            (0..board.config.listeners.len()).map(|at| {
                let name = vec![("listener", board.config.listeners[at].name.clone())];
                (name, f64::from(u8::from(board.control.is_listener_ready(at))))
            }),
        ),
        gauge(
            "brink_alarm_active",
            "Whether an alarm is active",
            alarms().map(|(l, (active, _))| (l, f64::from(u8::from(active)))),
        ),
        counter(
            "brink_alarms_raised",
            "Times an alarm was raised",
            alarms().map(|(l, (_, raised))| (l, raised)),
        ),
        gauge(
            "brink_thread_cpu_seconds",
            "CPU time of the threads alive, by name",
            cpu.map(|(name, seconds)| (vec![("thread", name)], seconds)),
        ),
        counter(
            "brink_log_lines_left_out",
            "Log lines left out because their place had written ten in that second",
            [(Vec::new(), crate::logging::left_out())],
        ),
        gauge(
            "brink_memory_resident_bytes",
            "Resident memory",
            [(Vec::new(), memory.resident_bytes as f64)],
        ),
        gauge(
            "brink_memory_planned_bytes",
            "Resident memory at most, by the memory table",
            [(Vec::new(), memory.planned_bytes as f64)],
        ),
    ]
}

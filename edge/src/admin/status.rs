//! `/status`: one page for a person in a hurry, as JSON.

use crate::{
    appliance::{board::Board, ledger::Ledger},
    clock,
    shard::counters::{STATUSES, ShardCounters},
};
use brink_shipper::{
    alarms::Alarm,
    kafka::sink::KafkaCounters,
    spool::{Held, SpoolCounters},
};
use brink_tuning::memory::{self, Line};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{collections::BTreeMap, fs, sync::PoisonError};

/// The whole page.
#[derive(Debug, Serialize)]
pub struct Status {
    edge: String,
    incarnation: u64,
    version: &'static str,
    config: String,
    profile: String,
    uptime_seconds: f64,
    ready: bool,
    alarms: Vec<ActiveAlarm>,
    ledger: Ledger,
    /// What of the ledger does not add up, which is nothing.
    ledger_faults: Vec<String>,
    listeners: Vec<ListenerStatus>,
    shards: Vec<ShardStatus>,
    spool: SpoolStatus,
    /// Nothing, if events go to no cluster.
    kafka: Option<KafkaStatus>,
    /// Nothing, if nobody looks into one.
    table: Option<TableStatus>,
    threads: BTreeMap<String, f64>,
    memory: Memory,
    io_uring: BTreeMap<&'static str, bool>,
}

#[derive(Debug, Serialize)]
struct ActiveAlarm {
    alarm: &'static str,
    raised: u64,
    remedy: &'static str,
}

#[derive(Debug, Serialize)]
struct ListenerStatus {
    name: String,
    role: String,
    address: String,
    connections: u64,
    answered: BTreeMap<String, u64>,
    refused: u64,
    not_allowed: u64,
    /// What became of requests, in the role's own words.
    outcomes: BTreeMap<&'static str, u64>,
    /// Why it wants no requests; empty when it does.
    unready: Vec<&'static str>,
    service_time_us: Quantiles,
}

/// The segment table that is looked into.
#[derive(Debug, Serialize)]
struct TableStatus {
    version: u64,
    age_seconds: f64,
    users: u64,
    bytes: u64,
    bytes_max: u64,
    pin: Option<u64>,
    loaded: u64,
    refused: u64,
    unreachable: u64,
}

/// Service times since the start, with an error of one percent.
#[derive(Debug, Serialize)]
struct Quantiles {
    count: u64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct ShardStatus {
    shard: usize,
    core: usize,
    turns: u64,
    enters: u64,
    parks: u64,
    starved: u64,
    receive_buffers_in_use: u64,
    receive_buffers: u16,
    output_blocks_in_use: u64,
    answers_held: u64,
}

#[derive(Debug, Serialize)]
struct SpoolStatus {
    path: String,
    live_bytes: u64,
    file_bytes: u64,
    quota_bytes: u64,
    /// Bytes of frames that wait, by sink and topic.
    held: BTreeMap<String, BTreeMap<String, u64>>,
    /// As it grows now; null while it does not.
    hours_until_full: Option<f64>,
    /// If nothing were delivered any more; null while nothing comes.
    hours_without_delivery: Option<f64>,
    segments: u64,
    commits: u64,
    write_errors: u64,
    corrupt_ranges: u64,
    recovered_segments: u32,
    objects: u64,
    object_bytes: u64,
    put_errors: u64,
}

/// How events go to Kafka.
#[derive(Debug, Serialize)]
struct KafkaStatus {
    /// Whether in transactions, which may be otherwise than configured while an earlier start has
    /// left something.
    transactional: bool,
    transactions_committed: u64,
    transactions_aborted: u64,
    /// Another start of the edge has taken over: nothing goes any more.
    fenced: bool,
    batches: u64,
    batches_resent: u64,
    batch_errors: u64,
    events_doubtful: u64,
}

/// Memory as it is, and as it was planned.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Resident memory.
    pub resident_bytes: u64,
    /// The sum of the table.
    pub planned_bytes: u64,
    table: Vec<Line>,
}

impl Memory {
    /// Reads what the process takes.
    #[must_use]
    pub fn read(table: &[Line]) -> Memory {
        let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = text.split_whitespace().nth(1).and_then(|p| p.parse::<u64>().ok());
        Memory {
            resident_bytes: pages.unwrap_or(0) * rustix::param::page_size() as u64,
            planned_bytes: memory::total(table),
            table: table.to_vec(),
        }
    }
}

impl Status {
    /// Reads everything.
    #[must_use]
    pub fn read(board: &Board) -> Status {
        let ledger = Ledger::read(board);
        let rungs = board.rungs.get().copied();
        let names = crate::ring::uring::rungs::RUNGS.iter().map(|r| r.name);
        Status {
            edge: board.config.edge.to_string(),
            incarnation: board.incarnation.0,
            version: env!("CARGO_PKG_VERSION"),
            config: board.config.hash.clone(),
            profile: board.config.profile.name.clone(),
            uptime_seconds: board.started.elapsed().as_secs_f64(),
            ready: board.is_ready(),
            alarms: active_alarms(board),
            ledger_faults: ledger.faults(false),
            ledger,
            listeners: listeners(board),
            shards: board.shards.iter().enumerate().map(|(i, c)| shard(board, i, c)).collect(),
            spool: spool(board),
            kafka: board.kafka.as_deref().map(kafka),
            table: table(board),
            threads: threads(),
            memory: Memory::read(&board.config.memory),
            io_uring: names.map(|name| (name, rungs.is_some_and(|r| r.has(name)))).collect(),
        }
    }
}

fn active_alarms(board: &Board) -> Vec<ActiveAlarm> {
    let active = |alarm: Alarm| {
        let (active, raised) = board.alarms.state(alarm);
        let (label, remedy) = (alarm.label(), alarm.remedy());
        active.then_some(ActiveAlarm { alarm: label, raised, remedy })
    };
    Alarm::ALL.into_iter().filter_map(active).collect()
}

fn listeners(board: &Board) -> Vec<ListenerStatus> {
    let latency = board.latency.lock().unwrap_or_else(PoisonError::into_inner);
    let each = board.config.listeners.iter().zip(&board.listening).enumerate();
    each.map(|(index, (config, (_, address)))| {
        let counters = || board.shards.iter().map(move |s| &s.listeners[index]);
        let mut answered = BTreeMap::new();
        for (place, status) in STATUSES.iter().enumerate() {
            let count: u64 = counters().map(|c| c.answered[place].read()).sum();
            let name = if *status == 0 { "other".to_owned() } else { status.to_string() };
            if count > 0 {
                answered.insert(name, count);
            }
        }
        ListenerStatus {
            name: config.name.clone(),
            role: config.role.clone(),
            address: address.to_string(),
            connections: counters().map(|c| c.open.read()).sum(),
            answered,
            refused: counters().flat_map(|c| &c.refused).map(|c| c.read()).sum(),
            not_allowed: counters().map(|c| c.not_allowed.read()).sum(),
            outcomes: outcomes(board, index),
            unready: board.unready(index).iter().map(|reason| reason.label()).collect(),
            service_time_us: quantiles(&latency.sums[index]),
        }
    })
    .collect()
}

fn outcomes(board: &Board, listener: usize) -> BTreeMap<&'static str, u64> {
    let of = |place: usize| {
        board.shards.iter().map(|s| s.listeners[listener].outcomes[place].read()).sum()
    };
    let labels = board.outcomes[listener].labels.iter().enumerate();
    labels.map(|(place, label)| (*label, of(place))).collect()
}

fn kafka(counters: &KafkaCounters) -> KafkaStatus {
    KafkaStatus {
        transactional: counters.transactional.read() > 0,
        transactions_committed: counters.committed.read(),
        transactions_aborted: counters.aborted.read(),
        fenced: counters.fenced.read() > 0,
        batches: counters.batches.read(),
        batches_resent: counters.resent.read(),
        batch_errors: counters.errors.read(),
        events_doubtful: counters.doubtful.read(),
    }
}

fn table(board: &Board) -> Option<TableStatus> {
    let settings = board.config.tables.as_ref()?;
    let tables = &board.tables;
    Some(TableStatus {
        version: tables.version.read(),
        age_seconds: tables.age(clock::wall_now()).unwrap_or_default().as_secs_f64(),
        users: tables.users.read(),
        bytes: tables.bytes.read(),
        bytes_max: settings.bytes_max,
        pin: settings.pin,
        loaded: tables.loaded.read(),
        refused: tables.refused.read(),
        unreachable: tables.unreachable.read(),
    })
}

fn quantiles(times: &Histogram<u64>) -> Quantiles {
    let at = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1000.0;
    Quantiles {
        count: times.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: times.max() as f64 / 1000.0,
    }
}

fn shard(board: &Board, index: usize, counters: &ShardCounters) -> ShardStatus {
    ShardStatus {
        shard: index,
        core: board.config.cores.shards[index],
        turns: counters.turns.read(),
        enters: counters.enters.read(),
        parks: counters.parks.read(),
        starved: counters.starved.read(),
        receive_buffers_in_use: counters.buffers_in_use.read(),
        receive_buffers: board.config.profile.shard.receive_buffers,
        output_blocks_in_use: counters.blocks_in_use.read(),
        answers_held: counters.held.read(),
    }
}

fn hours(seconds: u64) -> f64 {
    seconds as f64 / 3600.0
}

fn spool(board: &Board) -> SpoolStatus {
    let (spool, sink) = (&board.spool, &board.objects);
    SpoolStatus {
        path: board.config.spool.path.display().to_string(),
        live_bytes: spool.live_bytes.read(),
        file_bytes: spool.file_bytes.read(),
        quota_bytes: board.config.spool.quota_bytes,
        held: held(spool),
        hours_until_full: board.runway.full_in().map(hours),
        hours_without_delivery: board.runway.lasts().map(hours),
        segments: spool.segments.read(),
        commits: spool.commits.read(),
        write_errors: spool.write_errors.read(),
        corrupt_ranges: spool.corrupt_ranges.read() + u64::from(board.recovery.corrupt_ranges),
        recovered_segments: board.recovery.segments,
        objects: sink.objects.read(),
        object_bytes: sink.object_bytes.read(),
        put_errors: sink.put_errors.read(),
    }
}

fn held(spool: &SpoolCounters) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut all: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for Held { sink, topic, bytes } in spool.held() {
        all.entry(sink).or_default().insert(topic.to_string(), bytes);
    }
    all
}

/// CPU seconds of each thread, by name; threads of one name are added up.
#[must_use]
pub fn threads() -> BTreeMap<String, f64> {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let mut all = BTreeMap::new();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return all };
    for task in tasks.flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
        // The name is in parentheses and may hold anything; times are fields 14 and 15.
        let Some((head, rest)) = stat.rsplit_once(')') else { continue };
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let times: Vec<u64> =
            rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse().ok()).collect();
        *all.entry(name.to_owned()).or_insert(0.0) += times.iter().sum::<u64>() as f64 / ticks;
    }
    all
}

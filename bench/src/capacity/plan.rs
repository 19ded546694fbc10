//! From what a request costs to what a month costs: pure arithmetic, one line for each step.

use super::{
    measured::Measured,
    prices::{Machine, Prices},
};
use serde::Serialize;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Target {
    /// Requests per second at the peak.
    pub peak_rate: f64,
    /// Requests of a day.
    pub day_requests: f64,
    /// p99 that has to be kept.
    pub p99_ms: f64,
}

/// What is assumed, because no report says it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Assumed {
    /// How busy a core may be at the peak, 0 to 1: the rest is the safety margin.
    pub utilisation: f64,
    /// Machines more than that, so that so many may be gone at the peak.
    pub spare: u64,
    /// Bytes of an event in the spool.
    pub spool_bytes: f64,
    /// Bytes of an event in an object.
    pub object_bytes: f64,
    /// Bytes that an answer puts on the wire, with headers of packets and acknowledgements.
    pub answer_bytes: f64,
    /// Topics, each of which has objects of its own.
    pub topics: f64,
    /// How long events wait for their object to fill, at most.
    pub object_age_s: f64,
    /// Days that objects are kept.
    pub keep_days: f64,
}

/// What it takes on one kind of machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Which.
    pub machine: String,
    /// Shards on each.
    pub shards: u32,
    /// Requests per second that one may be given.
    pub machine_rate: f64,
    /// What holds it back.
    pub held_by: Held,
    /// Machines for the peak.
    pub needed: u64,
    /// Machines with the spare ones.
    pub machines: u64,
    /// The peak that all of them could take with their cores full, over the one that is wanted.
    pub margin: f64,
    /// Hours of the mean rate that fit into the spool.
    pub spool_hours: f64,
    /// Hours of the peak rate that do.
    pub spool_hours_peak: f64,
    /// Objects per second at the peak.
    pub puts_second: f64,
    /// What the bucket takes, over that.
    pub puts_margin: f64,
    /// GiB a month towards the internet.
    pub transfer_gib: f64,
    /// GiB in the bucket once it is full.
    pub kept_gib: f64,
    /// What it costs.
    pub dollars: Dollars,
}

/// What keeps a machine from being given more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// The CPU time of its shards.
    Shards,
    /// The CPU time of spool, delivery and encoder on their core.
    Rest,
    /// The latency, which was measured to be lost at some rate.
    Latency,
}

/// Dollars a month.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dollars {
    /// Machines.
    pub machines: f64,
    /// What they send beyond what is included.
    pub transfer: f64,
    /// What is kept.
    pub storage: f64,
    /// Putting it there.
    pub puts: f64,
}

impl Dollars {
    /// Together.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.machines + self.transfer + self.storage + self.puts
    }
}

/// A month has so many days: 730 hours.
pub const DAYS_A_MONTH: f64 = 730.0 / 24.0;

pub(super) const DAY_S: f64 = 86_400.0;
pub(super) const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
pub(super) const MIB: f64 = 1024.0 * 1024.0;

/// How busy a core may be is a share of this.
const CORE_US: f64 = 1e6;

/// What it takes on each kind of machine, the cheapest first.
#[must_use]
pub fn plans(
    measured: &Measured,
    prices: &Prices,
    target: &Target,
    assumed: &Assumed,
) -> Vec<Plan> {
    let plan = |machine: &Machine| plan(measured, prices, machine, target, assumed);
    let mut plans: Vec<Plan> = prices.machine.iter().map(plan).collect();
    plans.sort_by(|a, b| a.dollars.total().total_cmp(&b.dollars.total()));
    plans
}

fn plan(
    measured: &Measured,
    prices: &Prices,
    machine: &Machine,
    target: &Target,
    assumed: &Assumed,
) -> Plan {
    let shards = shards(machine.vcpus);
    let (machine_rate, held_by) = machine_rate(measured, machine.vcpus, assumed.utilisation);
    let needed = (target.peak_rate / machine_rate).ceil() as u64;
    let machines = needed + assumed.spare;
    let full = machines as f64 * machine_rate / assumed.utilisation;
    let mean_rate = target.day_requests / DAY_S;
    let spool = machine.spool_gib * GIB * machines as f64 / assumed.spool_bytes / 3600.0;
    // Each shard fills objects of its own, and closes those that do not fill when they are old.
    let streams = machines as f64 * f64::from(shards) * assumed.topics;
    let by_size = target.peak_rate * assumed.object_bytes / (machine.object_mib * MIB);
    let puts_second = by_size.max(streams / assumed.object_age_s);
    let mean_by_size = by_size * mean_rate / target.peak_rate;
    let puts_month = mean_by_size.max(streams / assumed.object_age_s) * DAY_S * DAYS_A_MONTH;
    let month_requests = target.day_requests * DAYS_A_MONTH;
    let transfer_gib = month_requests * assumed.answer_bytes / GIB;
    let included = machine.transfer_gib * machines as f64 + prices.transfer.free_gib;
    let kept_gib = target.day_requests * assumed.object_bytes * assumed.keep_days / GIB;
    let bucket = &prices.bucket;
    let kept_beyond = (kept_gib - bucket.included_gib).max(0.0);
    let dollars = Dollars {
        machines: machines as f64 * machine.dollars_month,
        transfer: (transfer_gib - included).max(0.0) * prices.transfer.dollars_gib,
        storage: bucket.dollars_month + kept_beyond * bucket.dollars_gib_month,
        puts: puts_month / 1000.0 * bucket.dollars_1000_puts,
    };
    Plan {
        machine: machine.name.clone(),
        shards,
        machine_rate,
        held_by,
        needed,
        machines,
        margin: full / target.peak_rate,
        spool_hours: spool / mean_rate,
        spool_hours_peak: spool / target.peak_rate,
        puts_second,
        puts_margin: bucket.puts_second_max / puts_second,
        transfer_gib,
        kept_gib,
        dollars,
    }
}

/// Cores that serve: one is shared with the rest, of several one is left to it.
#[must_use]
pub fn shards(vcpus: u32) -> u32 {
    vcpus.saturating_sub(1).max(1)
}

/// What a machine may be given, and what keeps it from more.
fn machine_rate(measured: &Measured, vcpus: u32, utilisation: f64) -> (f64, Held) {
    let shards = f64::from(shards(vcpus));
    let busy_us = CORE_US * utilisation;
    let by_shards = match vcpus {
        0 | 1 => busy_us / (measured.shard_us + measured.rest_us),
        _ => shards * busy_us / measured.shard_us,
    };
    let mut rate = (by_shards, Held::Shards);
    if vcpus > 1 && measured.rest_us > 0.0 && busy_us / measured.rest_us < rate.0 {
        rate = (busy_us / measured.rest_us, Held::Rest);
    }
    // The rate at which the latency was lost is one of one shard.
    if measured.lost.is_some() && measured.kept.rate * shards < rate.0 {
        rate = (measured.kept.rate * shards, Held::Latency);
    }
    rate
}

#[cfg(test)]
mod tests;

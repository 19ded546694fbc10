//! A plan in words: every step with its figures, so that it can be checked with a pencil.

use super::{
    AtProvider, Capacity,
    plan::{DAY_S, DAYS_A_MONTH, GIB, Held, Plan, shards},
    prices::{Machine, Prices},
};
use std::fmt::{self, Write};

pub(super) fn told(capacity: &Capacity) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_ground(&mut out, capacity);
    for provider in &capacity.providers {
        let _ = write_provider(&mut out, capacity, provider);
    }
    out
}

fn write_ground(out: &mut String, capacity: &Capacity) -> fmt::Result {
    let (measured, target, assumed) = (&capacity.measured, &capacity.target, &capacity.assumed);
    let mean_rate = target.day_requests / DAY_S;
    writeln!(
        out,
        "target     {}/s at the peak, {} a day ÷ 86,400 s = {}/s in the mean, p99 < {} ms",
        grouped(target.peak_rate),
        grouped(target.day_requests),
        grouped(mean_rate),
        target.p99_ms
    )?;
    writeln!(
        out,
        "measured   {:?} on {}: a request takes {:.2} µs of its shard's core and {:.2} µs elsewhere",
        measured.title, measured.processor, measured.shard_us, measured.rest_us
    )?;
    let at = |at: &super::measured::At| {
        let valid = (at.valid_share * 100.0).floor();
        format!("p99 {:.3} ms at {}/s, {valid:.0} % of windows valid", at.p99_ms, grouped(at.rate))
    };
    writeln!(out, "           kept: {}", at(&measured.kept))?;
    if let Some(lost) = &measured.lost {
        writeln!(out, "           lost: {}", at(lost))?;
    }
    writeln!(
        out,
        "assumed    cores {:.0} % busy at the peak, {} spare, {} B of an event in the spool and {} B in \
         an object,\n           {} B of an answer on the wire, {} topics, objects closed after {} s and \
         kept for {} days",
        assumed.utilisation * 100.0,
        assumed.spare,
        assumed.spool_bytes,
        assumed.object_bytes,
        assumed.answer_bytes,
        assumed.topics,
        assumed.object_age_s,
        assumed.keep_days
    )?;
    let busy_us = assumed.utilisation * 1e6;
    let whole_us = measured.shard_us + measured.rest_us;
    writeln!(
        out,
        "a core     1,000,000 µs × {:.0} % ÷ {:.2} µs = {}/s for a shard; ÷ {whole_us:.2} µs = {}/s for \
         everything",
        assumed.utilisation * 100.0,
        measured.shard_us,
        grouped(busy_us / measured.shard_us),
        grouped(busy_us / whole_us)
    )?;
    let planned = busy_us / measured.shard_us;
    if measured.lost.is_none() && measured.kept.rate < planned {
        writeln!(
            out,
            "           NOTE: a shard is planned up to {}/s, and p99 was measured up to {}/s only; a \
             ladder would tell",
            grouped(planned),
            grouped(measured.kept.rate)
        )?;
    }
    writeln!(
        out,
        "           NOTE: a vCPU of theirs is taken to be as fast as the one that was measured, over \
         loopback"
    )
}

fn write_provider(out: &mut String, capacity: &Capacity, at: &AtProvider) -> fmt::Result {
    let prices = &at.prices;
    writeln!(out, "\n{}, {} (prices noted {})", prices.provider, prices.region, prices.noted)?;
    writeln!(
        out,
        "{:<14}{:>6}{:>7}{:>12}{:>8}{:>10}{:>8}{:>14}{:>10}{:>10}{:>12}",
        "machine",
        "vCPUs",
        "shards",
        "each, /s",
        "needed",
        "machines",
        "margin",
        "spool, h",
        "PUT/s",
        "of limit",
        "$ a month"
    )?;
    for plan in &at.plans {
        let vcpus = prices.machine.iter().find(|m| m.name == plan.machine).map_or(0, |m| m.vcpus);
        let spool = format!("{:.1} ({:.1})", plan.spool_hours, plan.spool_hours_peak);
        let of_limit = format!("{:.2} %", 100.0 / plan.puts_margin);
        writeln!(
            out,
            "{:<14}{vcpus:>6}{:>7}{:>12}{:>8}{:>10}{:>7.1}×{spool:>14}{:>10.3}{of_limit:>10}{:>12.2}",
            plan.machine,
            plan.shards,
            grouped(plan.machine_rate),
            plan.needed,
            plan.machines,
            plan.margin,
            plan.puts_second,
            plan.dollars.total()
        )?;
    }
    writeln!(
        out,
        "spool: hours at the mean rate (at the peak) that the cluster or the store may be away"
    )?;
    if let Some(plan) = at.plans.first() {
        write_steps(out, capacity, prices, plan)?;
    }
    for source in &prices.source {
        let dated = source.dated.as_deref().unwrap_or("undated");
        writeln!(out, "price: {} ({}, {dated}; {})", source.what, source.url, source.remark)?;
    }
    Ok(())
}

/// The arithmetic of the cheapest one.
fn write_steps(out: &mut String, capacity: &Capacity, prices: &Prices, plan: &Plan) -> fmt::Result {
    let Some(machine) = prices.machine.iter().find(|machine| machine.name == plan.machine) else {
        return Ok(());
    };
    writeln!(out, "the cheapest, step by step:")?;
    write_machines(out, capacity, machine, plan)?;
    write_bytes(out, capacity, prices, machine, plan)?;
    writeln!(out, "  together   ${:.2} a month", plan.dollars.total())
}

fn write_machines(
    out: &mut String,
    capacity: &Capacity,
    machine: &Machine,
    plan: &Plan,
) -> fmt::Result {
    let (peak_rate, assumed) = (capacity.target.peak_rate, &capacity.assumed);
    let (machines, each) = (plan.machines, grouped(plan.machine_rate));
    let held = match plan.held_by {
        Held::Shards => "held by its shards' CPU time",
        Held::Rest => "held by the CPU time of spool, delivery and encoder on their core",
        Held::Latency => "held by the rate up to which p99 was kept",
    };
    writeln!(
        out,
        "  machines   {}/s ÷ {each}/s ({} of {} cores serve; {held}) = {}, and {} spare: {machines} × \
         ${} = ${:.2}",
        grouped(peak_rate),
        shards(machine.vcpus),
        machine.vcpus,
        plan.needed,
        assumed.spare,
        machine.dollars_month,
        plan.dollars.machines
    )?;
    writeln!(
        out,
        "  margin     {machines} × {each}/s ÷ {:.0} % = {}/s with full cores, {:.1} times the peak",
        assumed.utilisation * 100.0,
        grouped(plan.margin * peak_rate),
        plan.margin
    )?;
    writeln!(
        out,
        "  spool      {machines} × {} GiB ÷ {} B ÷ {}/s = {:.1} h",
        machine.spool_gib,
        assumed.spool_bytes,
        grouped(capacity.target.day_requests / DAY_S),
        plan.spool_hours
    )
}

fn write_bytes(
    out: &mut String,
    capacity: &Capacity,
    prices: &Prices,
    machine: &Machine,
    plan: &Plan,
) -> fmt::Result {
    let (day_requests, assumed) = (capacity.target.day_requests, &capacity.assumed);
    let (bucket, transfer) = (&prices.bucket, &prices.transfer);
    writeln!(
        out,
        "  transfer   {} × {} B = {} GiB a month; {} × {} + {} GiB included; the rest × ${} = ${:.2}",
        grouped(day_requests * DAYS_A_MONTH),
        assumed.answer_bytes,
        grouped(plan.transfer_gib),
        plan.machines,
        machine.transfer_gib,
        transfer.free_gib,
        transfer.dollars_gib,
        plan.dollars.transfer
    )?;
    writeln!(
        out,
        "  storage    {} × {} B = {:.1} GiB a day, × {} days = {} GiB; ${} with {} GiB, the rest × ${} = \
         ${:.2}",
        grouped(day_requests),
        assumed.object_bytes,
        day_requests * assumed.object_bytes / GIB,
        assumed.keep_days,
        grouped(plan.kept_gib),
        bucket.dollars_month,
        bucket.included_gib,
        bucket.dollars_gib_month,
        plan.dollars.storage
    )?;
    writeln!(
        out,
        "  objects    {:.3}/s at the peak (up to {} MiB, or {} s old), of {}/s that a bucket takes; \
         ${:.2}",
        plan.puts_second,
        machine.object_mib,
        assumed.object_age_s,
        bucket.puts_second_max,
        plan.dollars.puts
    )
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        for (value, want) in [
            (0.0, "0"),
            (999.4, "999"),
            (1000.0, "1,000"),
            (3e9, "3,000,000,000"),
            (-1e4, "-10,000"),
        ] {
            assert_eq!(grouped(value), want);
        }
    }
}

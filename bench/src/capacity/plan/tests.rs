//! Rows that were worked out by hand.

use super::*;
use crate::capacity::{
    measured::At,
    prices::{Bucket, Transfer},
};

fn measured(shard_us: f64, rest_us: f64) -> Measured {
    let kept = At { rate: 40_000.0, p99_ms: 0.2, valid_share: 1.0 };
    Measured { title: String::new(), processor: String::new(), shard_us, rest_us, kept, lost: None }
}

fn machine(vcpus: u32) -> Machine {
    Machine {
        name: format!("m{vcpus}"),
        vcpus,
        memory_gib: 1.0,
        transfer_gib: 1000.0,
        dollars_month: 10.0 * f64::from(vcpus),
        spool_gib: 4.0,
        object_mib: 16.0,
    }
}

fn prices(machine: Vec<Machine>) -> Prices {
    Prices {
        provider: "p".to_owned(),
        region: "r".to_owned(),
        noted: "2026-11-24".to_owned(),
        source: Vec::new(),
        machine,
        transfer: Transfer { dollars_gib: 0.01, free_gib: 100.0 },
        bucket: Bucket {
            dollars_month: 5.0,
            included_gib: 250.0,
            dollars_gib_month: 0.02,
            dollars_1000_puts: 0.005,
            puts_second_max: 300.0,
        },
    }
}

const TARGET: Target = Target { peak_rate: 200_000.0, day_requests: 3e9, p99_ms: 10.0 };

const ASSUMED: Assumed = Assumed {
    utilisation: 0.5,
    spare: 1,
    spool_bytes: 100.0,
    object_bytes: 50.0,
    answer_bytes: 345.0,
    topics: 1.0,
    object_age_s: 300.0,
    keep_days: 30.0,
};

fn near(found: f64, want: f64) {
    assert!((found / want - 1.0).abs() < 1e-4, "{found} and {want}");
}

#[test]
fn a_core_is_divided_by_what_a_request_costs_it() {
    // One vCPU carries everything: 500,000 µs ÷ (8 + 2) µs.
    assert_eq!(machine_rate(&measured(8.0, 2.0), 1, 0.5), (50_000.0, Held::Shards));
    // Two: the shard has one core, 500,000 ÷ 8; the rest's core would take 250,000.
    assert_eq!(machine_rate(&measured(8.0, 2.0), 2, 0.5), (62_500.0, Held::Shards));
    // Eight: seven shards would take 437,500, and the rest's core holds them back at 250,000.
    assert_eq!(machine_rate(&measured(8.0, 2.0), 8, 0.5), (250_000.0, Held::Rest));
    // A peer without other threads.
    assert_eq!(machine_rate(&measured(8.0, 0.0), 4, 1.0), (375_000.0, Held::Shards));
    assert_eq!([1, 2, 4, 8].map(shards), [1, 1, 3, 7]);
}

#[test]
fn a_rate_at_which_the_latency_was_lost_is_not_planned_with() {
    let mut lost = measured(8.0, 2.0);
    lost.lost = Some(At { rate: 60_000.0, p99_ms: 30.0, valid_share: 1.0 });
    assert_eq!(machine_rate(&lost, 2, 0.5), (40_000.0, Held::Latency));
    assert_eq!(machine_rate(&lost, 4, 0.5), (120_000.0, Held::Latency));
    // Lost far beyond what the cores are planned for, it does not matter.
    assert_eq!(machine_rate(&lost, 2, 0.25), (31_250.0, Held::Shards));
}

#[test]
fn the_default_target_on_small_machines_costs_what_was_worked_out_by_hand() {
    let plans = plans(&measured(8.0, 2.0), &prices(vec![machine(1)]), &TARGET, &ASSUMED);
    let plan = &plans[0];
    // 200,000 ÷ 50,000 = 4, and one spare.
    assert_eq!((plan.needed, plan.machines, plan.shards), (4, 5, 1));
    // 5 × 100,000 with full cores, for 200,000.
    near(plan.margin, 2.5);
    // 5 × 4 GiB ÷ 100 B = 214,748,364.8 events; 34,722.2/s in the mean, 200,000/s at the peak.
    near(plan.spool_hours, 1.717_987);
    near(plan.spool_hours_peak, 0.298_262);
    // 200,000 × 50 B ÷ 16 MiB = 0.596 objects a second; by age 5 ÷ 300 s = 0.0167.
    near(plan.puts_second, 0.596_046);
    near(plan.puts_margin, 503.316_5);
    // 3e9 × 30.41667 × 345 B = 3.148125e13 B.
    near(plan.transfer_gib, 29_319.2);
    // (29,319.2 - 5 × 1,000 - 100) × 0.01.
    near(plan.dollars.transfer, 242.192);
    // 3e9 × 50 B × 30 = 4.5e12 B = 4,190.95 GiB; 5 + (4,190.95 - 250) × 0.02.
    near(plan.kept_gib, 4190.95);
    near(plan.dollars.storage, 83.819);
    // 34,722.2 × 50 B ÷ 16 MiB = 0.103480/s, for 2,628,000 s: 271,946 PUT.
    near(plan.dollars.puts, 1.359_7);
    near(plan.dollars.machines, 50.0);
    near(plan.dollars.total(), 377.371);
}

#[test]
fn many_idle_streams_put_by_age_and_not_by_size() {
    let target = Target { peak_rate: 100.0, day_requests: 1e6, ..TARGET };
    let assumed = Assumed { spare: 99, topics: 3.0, object_age_s: 60.0, ..ASSUMED };
    let plan = &plans(&measured(8.0, 2.0), &prices(vec![machine(4)]), &target, &assumed)[0];
    // 100 machines × 3 shards × 3 topics ÷ 60 s.
    assert_eq!(plan.machines, 100);
    near(plan.puts_second, 15.0);
    near(plan.dollars.puts, 15.0 * 2_628_000.0 / 1000.0 * 0.005);
    // What is included is not paid back.
    assert_eq!(plan.dollars.transfer, 0.0);
    near(plan.dollars.storage, 5.0);
}

#[test]
fn the_cheapest_machine_stands_first() {
    let mut dear = machine(2);
    dear.dollars_month = 1000.0;
    let plans =
        plans(&measured(8.0, 2.0), &prices(vec![dear, machine(1), machine(4)]), &TARGET, &ASSUMED);
    let totals: Vec<f64> = plans.iter().map(|plan| plan.dollars.total()).collect();
    assert!(totals.is_sorted(), "{totals:?}");
    assert_eq!(plans.last().unwrap().machine, "m2");
}

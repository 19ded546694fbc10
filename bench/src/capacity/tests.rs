//! From a report to a plan that is told.

use super::*;
use crate::{
    report::Round,
    synthetic::{Seen, cost, report, round, steady},
};
use std::collections::BTreeMap;

fn with_cost(mut round: Round, shard_us: f64, rest_us: f64) -> Round {
    let mut server = cost("shard-0", shard_us);
    server.threads.insert("spool".to_owned(), rest_us);
    server.cpu_us_per_request = shard_us + rest_us;
    round.server = Some(server);
    round
}

#[test]
fn the_highest_rate_that_was_kept_is_the_ground() {
    let ladder = vec![
        with_cost(steady("10 %", 1000.0, 5, 20), 9.0, 3.0),
        with_cost(steady("50 %", 5000.0, 5, 40), 8.0, 2.0),
        with_cost(steady("95 %", 9500.0, 5, 20_000), 7.0, 1.0),
    ];
    let measured = Measured::of(&report(ladder.clone()), "", 10.0).unwrap();
    assert_eq!((measured.kept.rate, measured.shard_us, measured.rest_us), (5000.0, 8.0, 2.0));
    assert_eq!(measured.lost.unwrap().rate, 9500.0);
    let named = Measured::of(&report(ladder), "10", 10.0).unwrap();
    assert_eq!((named.kept.rate, named.lost), (1000.0, None));
}

#[test]
fn a_rate_that_was_lost_once_is_lost_and_one_that_was_not_measurable_says_nothing() {
    let kept = with_cost(steady("a", 1000.0, 5, 20), 8.0, 2.0);
    let mut wrong = with_cost(steady("b", 2000.0, 5, 20), 8.0, 2.0);
    wrong.counts.answered -= 1;
    let again = with_cost(steady("c", 2000.0, 5, 20), 8.0, 2.0);
    let late = Seen { valid: false, latencies: vec![50_000_000; 200] };
    let busy = with_cost(round("d", 3000.0, &[late]), 8.0, 2.0);
    let measured = Measured::of(&report(vec![kept, wrong, again, busy]), "", 10.0).unwrap();
    assert_eq!((measured.kept.rate, measured.lost.unwrap().rate), (1000.0, 2000.0));
}

#[test]
fn a_report_that_is_no_ground_says_what_it_lacks() {
    let blind = report(vec![steady("a", 1000.0, 5, 20)]);
    let error = Measured::of(&blind, "", 10.0).unwrap_err();
    assert!(error.to_string().contains("--server-pid"), "{error}");
    let slow = report(vec![with_cost(steady("a", 1000.0, 5, 20_000), 8.0, 2.0)]);
    let error = Measured::of(&slow, "", 10.0).unwrap_err();
    assert!(error.to_string().contains("a p99 below 10 ms"), "{error}");
    assert!(matches!(Measured::of(&slow, "z", 10.0), Err(MeasuredError::NeverKept { .. })));
}

#[test]
fn a_server_without_shards_is_all_shard() {
    let mut one = steady("a", 1000.0, 5, 20);
    one.server = Some(cost("nginx", 14.0));
    let measured = Measured::of(&report(vec![one]), "", 10.0).unwrap();
    assert_eq!((measured.shard_us, measured.rest_us), (14.0, 0.0));
}

#[test]
fn a_plan_shows_its_arithmetic_and_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let rounds = vec![with_cost(steady("edge 1", 5000.0, 5, 20), 8.0, 2.0)];
    files::write_json(&report(rounds), &path).unwrap();
    let options = CapacityOptions {
        report: folder.path().to_owned(),
        rounds: "edge".to_owned(),
        peak: 200_000.0,
        day: 3e9,
        p99: 10.0,
        utilisation: 50.0,
        spare: 1,
        spool_bytes: 2.0 * SPOOL_BYTES,
        object_bytes: 2.0 * OBJECT_BYTES,
        answer_bytes: ANSWER_BYTES,
        topics: 1.0,
        object_age: 300.0,
        keep: 30.0,
        prices: Vec::new(),
        json: false,
    };
    let capacity = capacity(&options).unwrap();
    let by_name: BTreeMap<&str, &Plan> = capacity
        .providers
        .iter()
        .flat_map(|at| &at.plans)
        .map(|plan| (plan.machine.as_str(), plan))
        .collect();
    // 500,000 µs ÷ 10 µs = 50,000/s; 200,000 ÷ 50,000 = 4; one spare; 5 × $6.
    let small = by_name["s-1vcpu-1gb"];
    assert_eq!((small.needed, small.machines, small.dollars.machines), (4, 5, 30.0));
    // 500,000 ÷ 8 = 62,500/s; 200,000 ÷ 62,500 = 3.2; 4 and a spare one.
    assert_eq!(
        (by_name["s-2vcpu-2gb"].machine_rate, by_name["s-2vcpu-2gb"].machines),
        (62_500.0, 5)
    );
    let told = told::told(&capacity);
    for part in [
        "200,000/s at the peak, 3,000,000,000 a day ÷ 86,400 s = 34,722/s in the mean",
        "1,000,000 µs × 50 % ÷ 8.00 µs = 62,500/s for a shard; ÷ 10.00 µs = 50,000/s",
        "200,000/s ÷ 62,500/s (1 of 2 cores serve; held by its shards' CPU time) = 4, and 1 spare",
        "= 625,000/s with full cores, 3.1 times the peak",
        "NOTE: a shard is planned up to 62,500/s, and p99 was measured up to 5,000/s only",
        "DigitalOcean, NYC3 (prices noted",
        "Amazon Web Services, us-east-1",
        "price: 300 requests per second and bucket: PUT, POST, COPY, DELETE and LIST together (https://docs.digitalocean.com/",
    ] {
        assert!(told.contains(part), "{part}\nis not in\n{told}");
    }
    let json = serde_json::to_string(&capacity).unwrap();
    assert!(json.contains("\"held_by\":\"shards\""));
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    for text in ["0", "-1", "x", "inf", "NaN"] {
        assert!(above_zero(text).is_err(), "{text}");
    }
    assert!(percent("100").is_ok() && percent("101").is_err());
}

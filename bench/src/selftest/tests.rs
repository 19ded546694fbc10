//! The rules, on rounds that were made up; and the rounds that need no quiet machine, for real.

use super::*;
use crate::{
    report::{Counts, Distribution},
    synthetic::{Seen, round},
};

/// Fifty windows of 100 requests, ten of a second stalled as a stall of 100 ms would have it.
fn stalled(valid: usize) -> Round {
    let window = |at: usize| {
        let stalls = at.is_multiple_of(5);
        let latency = |n: u64| if stalls && n < 50 { 100_000_000 - n * 2_000_000 } else { 20_000 };
        Seen { valid: at < valid, latencies: (0..100).map(latency).collect() }
    };
    let mut round = round("stall", RATE, &(0..50).map(window).collect::<Vec<_>>());
    round.actual = near(20_000);
    round
}

fn near(nanos: u64) -> Distribution {
    let mut histogram = crate::record::histogram();
    (0..1000).for_each(|n| histogram.saturating_record(nanos + n));
    Distribution::of(&histogram)
}

fn steady(nanos: u64) -> Round {
    let window = || Seen { valid: true, latencies: vec![nanos; 100] };
    round("steady", RATE, &(0..10).map(|_| window()).collect::<Vec<_>>())
}

#[test]
fn a_stall_has_to_show_from_when_requests_were_due_and_not_from_when_they_were_sent() {
    let honest = stalled(50);
    assert_eq!(stall(&honest).verdict, Verdict::Holds, "{}", stall(&honest).told);
    // A closed loop: hardly anything was sent while the server stalled.
    let closed = Round { intended: near(20_000), ..honest.clone() };
    assert_eq!(stall(&closed).verdict, Verdict::Broken);
    // A generator that takes the wrong moment for that of sending.
    let confused = Round { actual: honest.intended.clone(), ..honest };
    assert_eq!(stall(&confused).verdict, Verdict::Broken);
}

#[test]
fn a_delay_is_measured_to_thirty_microseconds() {
    let ms = Duration::from_millis(1);
    for (nanos, want) in [
        (1_000_000, Verdict::Holds),
        (1_029_000, Verdict::Holds),
        (1_032_000, Verdict::Broken),
        (971_000, Verdict::Holds),
        (968_000, Verdict::Broken),
        (5_000_000, Verdict::Broken),
    ] {
        let ruling = fixed(&steady(nanos), ms);
        assert_eq!(ruling.verdict, want, "{nanos}: {}", ruling.told);
    }
    assert_eq!(fixed(&steady(5_012_000), ms * 5).verdict, Verdict::Holds);
}

#[test]
fn a_generator_that_is_late_itself_breaks_the_first_rule() {
    let with_lag = |nanos| Round { lag: near(nanos), ..steady(10_000) };
    assert_eq!(lag(&with_lag(1_000)).verdict, Verdict::Holds);
    assert_eq!(lag(&with_lag(4_500)).verdict, Verdict::Broken);
}

#[test]
fn on_a_busy_machine_nothing_is_said_of_latencies() {
    let busy = stalled(29);
    for ruling in [stall(&busy), lag(&busy), fixed(&busy, Duration::from_millis(1))] {
        assert_eq!(ruling.verdict, Verdict::NotMeasurable, "{}", ruling.rule);
        assert!(ruling.told.starts_with("not measurable here: 29 of 50"), "{}", ruling.told);
    }
    let mut wrong = stalled(50);
    wrong.counts.answered -= 1;
    wrong.counts.wrong += 1;
    assert_eq!(stall(&wrong).verdict, Verdict::Broken);
}

#[test]
fn every_request_to_a_server_that_misbehaves_has_to_be_accounted_for() {
    let with = |counts| Round { counts, ..steady(1000) };
    let all = Counts { due: 100, broken: 98, timeouts: 2, ..Counts::default() };
    assert_eq!(misbehaving(Conduct::Garbage, &with(all)).verdict, Verdict::Holds);
    let lost = Counts { broken: 97, ..all };
    assert_eq!(misbehaving(Conduct::Closing, &with(lost)).verdict, Verdict::Broken);
    let answered = Counts { broken: 97, answered: 1, ..all };
    assert_eq!(misbehaving(Conduct::Closing, &with(answered)).verdict, Verdict::Broken);
    let never = Counts { broken: 100, timeouts: 0, ..all };
    assert_eq!(misbehaving(Conduct::Never, &with(never)).verdict, Verdict::Broken);
}

fn options() -> SelftestOptions {
    let (cpu, server_cpu, out) = (None, None, None);
    SelftestOptions { cpu, server_cpu, seconds: 1, without_readers: true, out, json: true }
}

#[test]
fn servers_that_misbehave_are_counted_for_real() {
    let (options, stop) = (options(), AtomicBool::new(false));
    let bench = Bench::new(&options, &stop).unwrap();
    for conduct in [Conduct::Garbage, Conduct::Closing, Conduct::Never] {
        let ruling = misbehaving(conduct, &bench.bad_round(Some(conduct)).unwrap());
        assert_eq!(ruling.verdict, Verdict::Holds, "{}", ruling.line());
    }
    let ruling = refused(&bench.bad_round(None).unwrap());
    assert_eq!(ruling.verdict, Verdict::Holds, "{}", ruling.line());
    assert_eq!(bench.read_by_others(&options).unwrap().verdict, Verdict::Skipped);
}

/// Two answers a second for fifty requests: the others wait until they are given up after a second.
/// Were that the generator's lag, no window in which a server stalls would count.
#[test]
fn requests_that_a_server_keeps_waiting_do_not_make_the_generator_late() {
    let responder =
        Responder::start(Conduct::FixedDelay(Duration::from_millis(500)), None).unwrap();
    let (options, stop) = (options(), AtomicBool::new(false));
    let bench = Bench::new(&options, &stop).unwrap();
    let policy = Policy { timeout: Duration::from_secs(1), ..Policy::default() };
    let setup = bench.setup(responder.address(), Duration::from_secs(1), policy).unwrap();
    let setup = Setup { connections: 1, warmup: Duration::ZERO, ..setup };
    let round = bench.driven(&setup, "waiting", 50.0).unwrap();
    assert!(round.intended.quantiles.p50 >= 500_000.0, "{:?}", round.intended.quantiles);
    assert!(round.counts.queued >= 40, "{:?}", round.counts);
    let lag_max = round.windows.iter().map(|window| window.lag_max_ns).max().unwrap();
    assert!(lag_max < 400_000_000, "{lag_max}");
}

#[test]
fn how_the_readers_ended_is_told() {
    for (code, verdict, told) in [
        (Some(0), Verdict::Holds, "equal"),
        (Some(69), Verdict::Skipped, "NOT CHECKED: no java"),
        (Some(1), Verdict::Broken, "no java"),
        (None, Verdict::Broken, "no java"),
    ] {
        let ruling = read("r", code, b"reading\nequal\n", b"no java\n");
        assert_eq!((ruling.verdict, ruling.told.as_str()), (verdict, told));
    }
}

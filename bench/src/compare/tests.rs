//! Comparisons of rounds that were made up, and of servers that are real.

use super::{
    live,
    saved::{self, SavedError},
    side::Side,
    *,
};
use crate::{
    process::program,
    report::Round,
    run::Spacing,
    scenario::Role,
    server::ENDED,
    synthetic::{Seen, cost, report, round, steady},
};
use std::{net::TcpListener, sync::atomic::AtomicBool};

fn load() -> Load {
    Load {
        scenario: Role::Get,
        rate: 20.0,
        arrivals: Spacing::Constant,
        connections: 2,
        duration: 1,
        warmup: 0,
        cpu: None,
        seed: 1,
        requests: None,
        users: 10,
    }
}

fn verdict_on(comparison: &Comparison, figure: Figure) -> Verdict {
    comparison.verdicts.iter().find(|judged| judged.figure == figure).unwrap().verdict
}

fn rounds(rate: f64, near_us: u64, cpu_us: f64) -> Vec<Round> {
    let one = |number: u64| {
        let mut round = steady(&format!("{number}"), rate, 10, near_us + number % 3);
        round.server = Some(cost("shard-0", cpu_us + number as f64 / 10.0));
        round
    };
    (0..6).map(one).collect()
}

#[test]
fn a_side_holds_all_rounds_and_only_valid_windows_count() {
    let seen = |valid, latency| Seen { valid, latencies: vec![latency; 200] };
    let rounds = [
        round("1", 100.0, &[seen(true, 10_000), seen(false, 9_000_000), seen(true, 20_000)]),
        round("2", 300.0, &[seen(true, 20_000), seen(true, 30_000)]),
    ];
    let side = Side::of("a", &rounds.iter().collect::<Vec<_>>(), 1).unwrap();
    assert_eq!((side.rounds, side.windows, side.windows_valid), (2, 5, 4));
    assert_eq!((side.counts.due, side.achieved_rate), (1000, 200.0));
    assert!(side.is_measurable());
    assert_eq!(side.latency.count, 800);
    assert!((30.0..30.1).contains(&side.latency.max), "{:?}", side.latency);
    let p50 = side.p50_us.unwrap();
    assert!((20.0..20.1).contains(&p50.median), "{p50:?}");
    assert!(p50.low >= 10.0 && p50.high <= 30.1, "{p50:?}");
    assert_eq!((side.cpu_us, side.threads.len()), (None, 0));
    let none = Side::of("b", &[], 1).unwrap();
    assert_eq!((none.rounds, none.p50_us, none.is_measurable()), (0, None, false));
}

#[test]
fn a_window_with_few_answers_has_no_p99() {
    let few = Seen { valid: true, latencies: vec![10_000; 99] };
    let side = Side::of("a", &[&round("1", 495.0, &[few])], 1).unwrap();
    assert!(side.p50_us.is_some() && side.p99_us.is_none());
}

#[test]
fn saved_reports_are_compared_rate_by_rate() {
    let both = |near, cpu| report([rounds(1000.0, near, cpu), rounds(5000.0, near, cpu)].concat());
    let (first, second) = (both(20, 7.0), both(40, 9.0));
    let comparisons = saved::compare(["edge", "nginx"], &first, &second, 1).unwrap();
    assert_eq!(comparisons.iter().map(|c| c.offered_rate).collect::<Vec<_>>(), [1000.0, 5000.0]);
    for comparison in &comparisons {
        for figure in [Figure::P50, Figure::P99, Figure::Cpu] {
            let verdict = verdict_on(comparison, figure);
            assert!(matches!(verdict, Verdict::FirstLower { .. }), "{figure:?} {verdict:?}");
        }
        assert_eq!(verdict_on(comparison, Figure::Switches), Verdict::NoDifference);
        let told = comparison.told();
        for part in ["edge is lower", "shard-0 7.2", "not interleaved"] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
    // A single round has windows, so it has latencies, but no spread of CPU times.
    let single = report(rounds(1000.0, 20, 7.0)[..1].to_vec());
    let comparisons = saved::compare(["a", "b"], &single, &second, 1).unwrap();
    assert_eq!(comparisons.len(), 1);
    assert_eq!(verdict_on(&comparisons[0], Figure::Cpu), Verdict::NoFigure);
    assert!(matches!(verdict_on(&comparisons[0], Figure::P50), Verdict::FirstLower { .. }));
}

#[test]
fn reports_that_are_not_alike_are_not_compared() {
    let first = report(rounds(1000.0, 20, 7.0));
    let mut second = first.clone();
    second.plan.connections = 8;
    let error = saved::compare(["a", "b"], &first, &second, 1).unwrap_err();
    assert!(error.to_string().contains("connections: 64 and 8"), "{error}");
    let other_rate = report(rounds(1100.0, 20, 7.0));
    let error = saved::compare(["a", "b"], &first, &other_rate, 1).unwrap_err();
    assert!(matches!(error, SavedError::Rates { .. }) && error.to_string().contains("1100/s"));
    let mut elsewhere = first.clone();
    elsewhere.environment.kernel = "6.1".to_owned();
    let comparisons = saved::compare(["a", "b"], &first, &elsewhere, 1).unwrap();
    assert!(comparisons[0].notes.iter().any(|note| note.contains("kernel differs")));
}

#[test]
fn an_argument_is_a_report_or_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    files::write_json(&report(Vec::new()), &path).unwrap();
    for argument in [&path, folder.path()] {
        assert!(saved_report(argument.to_str().unwrap()).unwrap().is_some(), "{argument:?}");
    }
    let shell = program("sh").unwrap();
    assert!(saved_report(shell.to_str().unwrap()).unwrap().is_none());
    assert!(saved_report("nginx -c nginx.conf").unwrap().is_none());
    assert!(saved_report("there-is-no.json").is_err());
}

/// A server in Python that answers GET with 200, at once or after doing some work.
fn python(address: &str, work: u32) -> String {
    let port = address.rsplit(':').next().unwrap();
    format!(
        "python3 -c 'import http.server as h\n\
         class A(h.BaseHTTPRequestHandler):\n\
         \x20   protocol_version = \"HTTP/1.1\"\n\
         \x20   def log_message(self, *a): pass\n\
         \x20   def do_GET(self):\n\
         \x20       sum(range({work}))\n\
         \x20       self.wfile.write(b\"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok\")\n\
         h.ThreadingHTTPServer((\"127.0.0.1\", {port}), A).serve_forever()'"
    )
}

#[test]
fn servers_take_turns_and_what_they_spend_is_told() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{address}/").parse().unwrap();
    let commands = [python(&address, 0), python(&address, 1_000_000)];
    let load = load();
    let plan = live::Plan {
        names: ["light", "heavy"],
        commands: [&commands[0], &commands[1]],
        urls: [&url, &url],
        rounds: 4,
        cores: &[],
    };
    let mut turns = Vec::new();
    let (comparison, report) = live::compare(&plan, &load, &AtomicBool::new(false), &mut |text| {
        turns.push(text.to_owned());
    })
    .unwrap();
    assert!(comparison.is_clean(), "{comparison:?}");
    let verdict = verdict_on(&comparison, Figure::Cpu);
    assert!(matches!(verdict, Verdict::FirstLower { .. }), "{comparison:?}");
    // Its threads have ended with their connections, and what they did is told all the same.
    assert!(comparison.sides[1].threads.contains_key(ENDED), "{comparison:?}");
    assert!(comparison.null.is_some());
    let names: Vec<&str> = report.rounds.iter().map(|round| round.name.as_str()).collect();
    let order =
        ["light 1", "heavy 1", "heavy 2", "light 2", "light 3", "heavy 3", "heavy 4", "light 4"];
    assert_eq!(names, order);
    assert!(turns[0].ends_with("light 1") && turns.len() == 8, "{turns:?}");
}

#[test]
fn a_side_that_does_not_start_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}/").parse().unwrap();
    let plan = live::Plan {
        names: ["here", "gone"],
        commands: ["exit 4", "exit 5"],
        urls: [&url, &url],
        rounds: 1,
        cores: &[],
    };
    let load = Load { connections: 1, ..load() };
    let error = live::compare(&plan, &load, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("here: sh "), "{error}");
}

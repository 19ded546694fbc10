//! `bench run` as a process: its exit codes, its reports, and what it says when something is wrong.

use brink_bench::{
    report::Report,
    responder::{Conduct, Responder},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
    time::Duration,
};

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.arg("run");
    command
}

/// A short run of a responder.
fn short(conduct: Conduct, more: &[&str]) -> (Output, Option<Report>) {
    let responder = Responder::start(conduct, None).unwrap();
    let url = format!("http://{}", responder.address());
    let mut command = bench();
    command.args(["--url", &url, "--duration", "0.4", "--warmup", "0.2", "--rate", "500"]);
    let output = command.args(["--connections", "4", "--no-null", "--json"]).args(more).output();
    let output = output.unwrap();
    let report = serde_json::from_slice(&output.stdout).ok();
    (output, report)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_clean_run_ends_with_0_and_a_report_of_all_of_it() {
    let (output, report) = short(Conduct::AtOnce, &["--arrivals", "poisson", "--title", "a page"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = report.unwrap();
    assert_eq!((report.format, report.title.as_str()), (1, "a page"));
    let plan = &report.plan;
    assert_eq!((plan.scenario.as_str(), plan.arrivals.as_str()), ("get", "poisson"));
    assert_eq!((plan.connections, plan.duration_ms, plan.warmup_ms), (4, 400, 200));
    assert!(plan.command.iter().any(|word| word == "--no-null"));
    let [round] = report.rounds.as_slice() else { panic!("{} rounds", report.rounds.len()) };
    assert!(round.counts.is_clean() && round.null.is_none(), "{:?}", round.counts);
    assert!(round.counts.due > 200, "300 in the mean: {:?}", round.counts);
    let recorded: u64 = round.seconds.iter().map(|second| second.due).sum();
    assert_eq!(round.intended.decode().unwrap().len(), recorded);
    assert!(recorded < round.counts.due, "the warm-up is not recorded");
}

#[test]
fn wrong_answers_fail_the_run_and_are_told() {
    let (output, report) = short(Conduct::AtOnce, &["--status", "204"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("request 0: the status is another"), "{}", stderr(&output));
    let counts = report.unwrap().rounds[0].counts;
    assert_eq!((counts.due, counts.wrong), (300, 300));
    let (output, report) = short(Conduct::AtOnce, &["--scenario", "pixel"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report.unwrap().rounds[0].counts.wrong, 300);
}

#[test]
fn garbage_and_hung_up_connections_fail_the_run() {
    for conduct in [Conduct::Garbage, Conduct::Closing] {
        let (output, report) = short(conduct, &[]);
        assert_eq!(output.status.code(), Some(1));
        let counts = report.unwrap().rounds[0].counts;
        assert_eq!((counts.due, counts.broken), (300, 300), "{conduct:?}");
    }
}

#[test]
fn a_silent_server_fails_the_run_but_is_what_an_exchange_looks_for() {
    let (output, report) = short(Conduct::Never, &["--timeout-ms", "50"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report.unwrap().rounds[0].counts.timeouts, 300);
    let (output, report) = short(Conduct::Never, &["--scenario", "exchange"]);
    assert_eq!(output.status.code(), Some(1), "an exchange wants some answers, too");
    let view = report.unwrap().rounds[0].exchange.clone().unwrap();
    assert!((view.late_share - 1.0).abs() < 1e-9, "{view:?}");
    assert!((view.throttled_share - 0.9).abs() < 1e-9, "{view:?}");
}

#[test]
fn a_server_that_is_not_there_is_reported_and_fails_the_run() {
    let output = bench().args(["--url", "http://127.0.0.1:1", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot connect to 127.0.0.1:1"), "{}", stderr(&output));
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.rounds[0].counts.due, report.rounds[0].counts.refused), (0, 64));
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    fs::write(&trace, "{\"at_ms\":0,\"method\":\"GET\",\"target\":\"/\"}\n{\"at_ms\":1}\n")
        .unwrap();
    let trace = trace.to_str().unwrap();
    for (arguments, wanted) in [
        (vec!["--url", "ftp://x"], "no URL"),
        (vec!["--url", "http://127.0.0.1:1", "--url", "http://127.0.0.1:2"], "takes more than one"),
        (vec!["--url", "http://127.0.0.1:1", "--rate", "0"], "above 0"),
        (vec!["--url", "http://127.0.0.1:1", "--duration", "1e9"], "3600 seconds"),
        (vec!["--url", "http://127.0.0.1:1/${NOBODY}"], "${NOBODY} is no macro"),
        (vec!["--url", "http://127.0.0.1:1", "--scenario", "replay"], "--trace"),
        (
            vec!["--url", "http://127.0.0.1:1", "--scenario", "replay", "--trace", trace],
            "trace.ndjson: line 2: not a request",
        ),
        (
            vec!["--url", "http://127.0.0.1:1", "--scenario", "bidder", "--requests", "/nowhere"],
            "cannot read /nowhere",
        ),
        (vec!["--url", "http://127.0.0.1:1", "--cpu", "100000"], "core 100000"),
        (vec!["--url", "http://127.0.0.1:1", "--server-pid", "4194305"], "4194305"),
    ] {
        let output = bench().args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(wanted), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_trace_is_replayed_request_by_request() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    let line = |at: u64| format!("{{\"at_ms\":{at},\"method\":\"GET\",\"target\":\"/{at}\"}}\n");
    fs::write(&trace, (0..100).map(line).collect::<String>()).unwrap();
    let more = ["--scenario", "replay", "--trace", trace.to_str().unwrap(), "--speed", "2"];
    let responder = Responder::start(Conduct::AtOnce, None).unwrap();
    let url = format!("http://{}", responder.address());
    let output = bench().args(["--url", &url, "--json", "--no-null"]).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.rounds[0].counts.due, report.plan.duration_ms), (100, 49));
}

#[test]
fn a_ladder_climbs_to_95_percent_of_the_capacity_that_is_given() {
    let (output, report) = short_ladder();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = report.unwrap();
    let names: Vec<&str> = report.rounds.iter().map(|round| round.name.as_str()).collect();
    assert_eq!(names, ["10 %", "25 %", "40 %", "55 %", "70 %", "85 %", "95 %"]);
    let rates: Vec<f64> = report.rounds.iter().map(|round| round.offered_rate).collect();
    assert!((rates[0] - 100.0).abs() < 1e-6 && (rates[6] - 950.0).abs() < 1e-6, "{rates:?}");
    assert!(report.rounds.iter().all(|round| round.null.is_some()));
    assert!(report.rounds.is_sorted_by_key(|round| round.started_ms));
    assert_eq!(report.plan.arrivals, "constant, 10 to 95 % of 1000/s");
}

fn short_ladder() -> (Output, Option<Report>) {
    let responder = Responder::start(Conduct::AtOnce, None).unwrap();
    let url = format!("http://{}", responder.address());
    let mut command = bench();
    command.args(["--url", &url, "--ladder", "1000", "--duration", "0.2", "--warmup", "0.1"]);
    let output = command.args(["--connections", "4", "--json"]).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).ok();
    (output, report)
}

#[test]
fn ctrl_c_ends_a_run_early_and_all_files_of_the_report_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let late = Responder::start(Conduct::FixedDelay(Duration::from_millis(1)), None).unwrap();
    let url = format!("http://{}", late.address());
    let mut child = bench()
        .args(["--url", &url, "--rate", "200", "--duration", "3000", "--warmup", "0", "--out"])
        .arg(folder.path().join("report"))
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("answered"), "{first}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{rest:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("from when it was due"), "{table}");
    for name in ["report.json", "report.html", "report.hlog", "report.hgrm"] {
        assert!(folder.path().join("report").join(name).is_file(), "{name}: {rest:?}");
    }
    let json = fs::read(folder.path().join("report/report.json")).unwrap();
    let report: Report = serde_json::from_slice(&json).unwrap();
    assert!(report.rounds[0].counts.is_clean());
}

//! `bench selftest`: whether this ruler is honest on this machine.
//!
//! Servers of which it is known what they do (`responder`) are measured, and rules say what a
//! report of them has to show. A generator that waits for answers before it asks again would pass
//! none of the first: that is what the stall is for.
//!
//! | server | what its report has to show |
//! |---|---|
//! | answers at once | the generator takes requests up within 5 µs at p99, 20 µs at p99.9 |
//! | stalls 100 ms each second | p99 from when due is 90 ms or more, from when sent it is less |
//! | answers after 1 ms, after 5 ms | p50 within 30 µs of it |
//! | garbage, closing, never, nobody | every request counted as what became of it, and an end |
//!
//! And the files of the report are read by HdrHistogram's own tools, with equal quantiles.

use crate::{
    cores,
    drive::{DriveError, Outcome, Watch},
    environment::Environment,
    policy::Policy,
    report::{FORMAT, Plan, Report, Round, files},
    responder::{Conduct, Responder},
    run::{AnyScenario, Pace, Part, Setup, Spacing},
    scenario::{Ask, Role, ScenarioError, corpus::Population, url::Url},
    verb::{self, NOT_MEASURABLE},
};
use clap::Args;
use serde::Serialize;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// What can be said on the command line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  bench selftest\n  \
                       bench selftest --cpu 0 --server-cpu 1 --seconds 20 --out selftest")]
pub struct SelftestOptions {
    /// Core of the generator; the first one that is allowed, if nothing is said.
    #[arg(long)]
    pub cpu: Option<usize>,
    /// Core of the servers; the last one, if nothing is said.
    #[arg(long)]
    pub server_cpu: Option<usize>,
    /// Seconds that each round records.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Does not ask HdrHistogram's tools for Java and Python to read the files.
    #[arg(long)]
    pub without_readers: bool,
    /// Folder for the files of the report.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Prints the rulings as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ruling {
    /// The rule.
    pub rule: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// The figures.
    pub told: String,
}

/// Whether a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Broken,
    /// The machine kept the generator from its turn too often to say.
    NotMeasurable,
    /// It was not looked at.
    Skipped,
}

/// Why there is no selftest.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// A round cannot be driven.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// There is nothing to ask.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The files cannot be written.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The system refuses something else.
    #[error("the selftest cannot be made: {0}")]
    System(#[from] io::Error),
    /// The rulings cannot be written as JSON.
    #[error("the rulings cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// Somebody wanted it to end.
    #[error("interrupted")]
    Interrupted,
}

/// The rate at which the generator has to be in time.
const RATE: f64 = 5000.0;

/// The rate at which delays are measured: neither delay is a multiple of its gaps, so that an
/// answer is not due while a request comes.
const DELAYED_RATE: f64 = 4300.0;

/// More than are in flight when each takes 5 ms, and so few that a stall holds less than one
/// request of a hundred in flight.
const CONNECTIONS: usize = 32;

const STALL: Conduct =
    Conduct::Stall { every: Duration::from_secs(1), length: Duration::from_millis(100) };

/// What a stall of 100 ms each second makes of the p99 of 1,000 ms: a tenth of the requests wait,
/// and the slowest tenth of those for more than this.
const STALLED_US: f64 = 90_000.0;

/// How far a p50 may be from what is known.
const OFF_US: f64 = 30.0;

/// How late the generator may be at p99 and at p99.9.
const LAG_US: (f64, f64) = (5.0, 20.0);

/// How long a server that misbehaves is asked, and how long its answers are awaited.
const MISBEHAVING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(100));

/// Tests, prints. 0: every rule holds; 1: one does not; 2: there was no test; 3: not measurable.
#[must_use]
pub fn run(options: &SelftestOptions) -> ExitCode {
    match selftest(options) {
        Ok(rulings) if rulings.iter().any(|ruling| ruling.verdict == Verdict::Broken) => {
            ExitCode::FAILURE
        }
        Ok(rulings) if rulings.iter().any(|r| r.verdict == Verdict::NotMeasurable) => {
            ExitCode::from(NOT_MEASURABLE)
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench selftest: {error}");
            ExitCode::from(2)
        }
    }
}

fn selftest(options: &SelftestOptions) -> Result<Vec<Ruling>, SelftestError> {
    let stop = verb::stopped_by_signals()?;
    let mut bench = Bench::new(options, &stop)?;
    let mut rulings = Vec::new();
    let mut rule = |ruling: Ruling| {
        if !options.json {
            println!("{}", ruling.line());
        }
        rulings.push(ruling);
    };
    rule(lag(bench.round("at once", Conduct::AtOnce, RATE)?));
    rule(stall(bench.round("stall", STALL, RATE)?));
    for ms in [1, 5] {
        let delay = Duration::from_millis(ms);
        let name = format!("{ms} ms");
        rule(fixed(bench.round(&name, Conduct::FixedDelay(delay), DELAYED_RATE)?, delay));
    }
    for conduct in [Conduct::Garbage, Conduct::Closing, Conduct::Never] {
        rule(misbehaving(conduct, &bench.bad_round(Some(conduct))?));
    }
    rule(refused(&bench.bad_round(None)?));
    rule(bench.read_by_others(options)?);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rulings)?);
    }
    Ok(rulings)
}

/// The generator takes requests up when they are due.
fn lag(round: &Round) -> Ruling {
    let lag = &round.lag.quantiles;
    let (p99, p999) = LAG_US;
    let told = format!(
        "at {:.0}/s own lag p99 {:.1} µs (at most {p99}), p99.9 {:.1} µs (at most {p999})",
        round.offered_rate, lag.p99, lag.p999
    );
    measured(round, "the generator is in time", lag.p99 <= p99 && lag.p999 <= p999, told)
}

/// A stall is seen by those who were due in it, not only by those who were sent in it.
fn stall(round: &Round) -> Ruling {
    let (due, sent) = (round.intended.quantiles.p99, round.actual.quantiles.p99);
    let told = format!(
        "p99 from when requests were due {:.1} ms (at least {:.0}), from when they were sent {:.1} ms \
         (below it)",
        due / 1000.0,
        STALLED_US / 1000.0,
        sent / 1000.0
    );
    measured(
        round,
        "a stall of 100 ms each second shows",
        due >= STALLED_US && sent < STALLED_US,
        told,
    )
}

/// What takes a known time is said to take it.
fn fixed(round: &Round, delay: Duration) -> Ruling {
    let known = delay.as_nanos() as f64 / 1000.0;
    let p50 = round.valid.quantiles.p50;
    let told =
        format!("p50 {p50:.1} µs, {:+.1} from {known:.0} µs (at most {OFF_US})", p50 - known);
    let rule = if delay == Duration::from_millis(1) {
        "1 ms is measured as 1 ms"
    } else {
        "5 ms are measured as 5 ms"
    };
    measured(round, rule, (p50 - known).abs() <= OFF_US, told)
}

/// A server that does not answer is counted, request by request.
fn misbehaving(conduct: Conduct, round: &Round) -> Ruling {
    let counts = &round.counts;
    let (rule, counted) = match conduct {
        Conduct::Never => ("answers that never come are timeouts", counts.timeouts),
        Conduct::Closing => ("connections that close are counted", counts.broken),
        _ => ("garbage is counted", counts.broken),
    };
    // With every connection lost now and then, some requests find none in time.
    let ended = counts.broken + counts.timeouts;
    let told = format!(
        "of {} due, {} broken and {} given up, {} reconnects",
        counts.due, counts.broken, counts.timeouts, counts.reconnects
    );
    ruling(rule, counts.due > 0 && counted > 0 && ended == counts.due, told)
}

/// Nobody listening is no result, and no hang.
fn refused(round: &Round) -> Ruling {
    let counts = &round.counts;
    let told = format!("{} refused, {} due", counts.refused, counts.due);
    ruling("nobody listening is told", counts.refused > 0 && counts.due == 0, told)
}

fn ruling(rule: &'static str, holds: bool, told: String) -> Ruling {
    Ruling { rule, verdict: if holds { Verdict::Holds } else { Verdict::Broken }, told }
}

/// A ruling about latencies, which needs a generator that was in time and right answers.
fn measured(round: &Round, rule: &'static str, holds: bool, told: String) -> Ruling {
    if !round.is_measurable() {
        let (valid, all) = (round.windows_valid(), round.windows.len());
        let told = format!("not measurable here: {valid} of {all} windows are valid; {told}");
        return Ruling { rule, verdict: Verdict::NotMeasurable, told };
    }
    let counts = &round.counts;
    if !counts.is_clean() {
        let told = format!("{} of {} requests were answered rightly", counts.answered, counts.due);
        return ruling(rule, false, told);
    }
    ruling(rule, holds, told)
}

impl Ruling {
    fn line(&self) -> String {
        let word = match self.verdict {
            Verdict::Holds => "ok",
            Verdict::Broken => "BROKEN",
            Verdict::NotMeasurable => "?",
            Verdict::Skipped => "-",
        };
        format!("{word:<7} {:<38} {}", self.rule, self.told)
    }
}

/// Cores, and the rounds that were made on them.
struct Bench<'a> {
    stop: &'a AtomicBool,
    generator: Option<usize>,
    server: Option<usize>,
    duration: Duration,
    since: Instant,
    report: Report,
}

impl<'a> Bench<'a> {
    fn new(options: &SelftestOptions, stop: &'a AtomicBool) -> Result<Bench<'a>, SelftestError> {
        // With a single core nothing can be pinned apart, and little will be measurable.
        let cores = cores::two_cores(&cores::allowed()?, options.cpu, options.server_cpu);
        let (server, generator) = cores.map_or((None, None), |(s, g)| (Some(s), Some(g)));
        let duration = Duration::from_secs(options.seconds);
        let report = Report {
            format: FORMAT,
            title: "Selftest".to_owned(),
            started_unix_ms: verb::unix_ms(),
            environment: Environment::look(),
            plan: Plan {
                scenario: "get".to_owned(),
                arrivals: "constant".to_owned(),
                connections: CONNECTIONS,
                duration_ms: duration.as_millis() as u64,
                warmup_ms: WARMUP.as_millis() as u64,
                timeout_ms: Policy::default().timeout.as_millis() as u64,
                cpus: generator.into_iter().collect(),
                seed: 1,
                target: "responders of known conduct".to_owned(),
                command: std::env::args().collect(),
            },
            rounds: Vec::new(),
        };
        Ok(Bench { stop, generator, server, duration, since: Instant::now(), report })
    }

    /// A round against a responder, kept in the report.
    fn round(&mut self, name: &str, conduct: Conduct, rate: f64) -> Result<&Round, SelftestError> {
        let responder = Responder::start(conduct, self.server)?;
        let setup = self.setup(responder.address(), self.duration, Policy::default())?;
        let round = self.driven(&setup, name, rate)?;
        self.report.rounds.push(round);
        let last = self.report.rounds.last();
        last.ok_or_else(|| io::Error::other("a round that was just kept").into())
    }

    /// A round against somebody who does not answer, or against nobody.
    fn bad_round(&self, conduct: Option<Conduct>) -> Result<Round, SelftestError> {
        let (duration, timeout) = MISBEHAVING;
        let responder = conduct.map(|c| Responder::start(c, self.server)).transpose()?;
        let address = match &responder {
            Some(responder) => responder.address(),
            None => TcpListener::bind("127.0.0.1:0")?.local_addr()?,
        };
        let setup = self.setup(address, duration, Policy { timeout, ..Policy::default() })?;
        self.driven(&setup, "bad", RATE / 50.0)
    }

    fn driven(&self, setup: &Setup, name: &str, rate: f64) -> Result<Round, SelftestError> {
        let pace = Pace::Rate { rate, spacing: Spacing::Constant };
        let mut watch = Watch { stop: self.stop, progress: None };
        let Outcome::<AnyScenario> { round, .. } = setup.round(name, &pace, &mut watch)?;
        // ORDER: Relaxed, a flag that carries nothing.
        if self.stop.load(Ordering::Relaxed) {
            return Err(SelftestError::Interrupted);
        }
        Ok(round)
    }

    fn setup(
        &self,
        address: SocketAddr,
        duration: Duration,
        policy: Policy,
    ) -> Result<Setup, SelftestError> {
        let url = Url { address, host: address.to_string(), path: "/".to_owned() };
        let population = Population { seed: 1, users: 1 };
        let ask = Ask { role: Role::Get, url, population, requests: None, status: 200 };
        Ok(Setup {
            parts: vec![Part { address, rendered: ask.render()?, share: 1.0 }],
            connections: CONNECTIONS,
            policy,
            duration,
            warmup: WARMUP,
            cpus: self.generator.into_iter().collect(),
            seed: 1,
            exchange: false,
            since: self.since,
        })
    }

    /// Lets HdrHistogram's tools read the files.
    fn read_by_others(&self, options: &SelftestOptions) -> Result<Ruling, SelftestError> {
        let folder = tempfile::tempdir()?;
        let folder = options.out.as_deref().unwrap_or(folder.path());
        files::write_all(&self.report, folder)?;
        let rule = "Java and Python read the files alike";
        if options.without_readers {
            let told = "not asked for".to_owned();
            return Ok(Ruling { rule, verdict: Verdict::Skipped, told });
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("check/hdr.sh");
        if !script.is_file() {
            let told = format!("{} is not here: run it from the sources", script.display());
            return Ok(Ruling { rule, verdict: Verdict::Skipped, told });
        }
        let output = Command::new(&script).arg(folder).output()?;
        Ok(read(rule, output.status.code(), &output.stdout, &output.stderr))
    }
}

/// What it means how the script ended.
fn read(rule: &'static str, code: Option<i32>, out: &[u8], errors: &[u8]) -> Ruling {
    let last = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.trim().lines().last().unwrap_or("it said nothing").to_owned()
    };
    match code {
        Some(0) => ruling(rule, true, last(out)),
        Some(READERS_ABSENT) => Ruling {
            rule,
            verdict: Verdict::Skipped,
            told: format!("NOT CHECKED: {}", last(errors)),
        },
        _ => ruling(rule, false, last(errors)),
    }
}

/// How the script ends when Java, Maven or Python cannot be had.
const READERS_ABSENT: i32 = 69;

/// Before each round.
const WARMUP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;

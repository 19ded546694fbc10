//! `bench run`: one rate, a ladder of rates or a trace against a server, and a report of it.

mod setup;

use crate::{
    drive::{DriveError, Outcome, Watch},
    environment::Environment,
    policy::{EXCHANGE_TIMEOUT, Policy},
    report::{FORMAT, Plan, Report, Round, files, table},
    scenario::{
        Ask, Rendered, Role, ScenarioError, ScenarioName,
        corpus::Population,
        mixed::{self, MixedError},
        replay::{Replay, TraceError},
        url::{Url, UrlError},
    },
    schedule::Arrivals,
    server::{Usage, UsageError, family},
    verb::{name_of, stopped_by_signals, unix_ms},
};
use clap::Args;
use std::{
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

pub use setup::{AnyScenario, Pace, Part, Setup, Spacing};

/// What can be said on the command line.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Whom to ask: http://HOST:PORT/PATH. The path may have macros, as ${USER_ID}; without one a
    /// scenario has its own. For a mix: one URL, or ROLE=URL for each role.
    #[arg(long, required = true)]
    pub url: Vec<String>,
    /// What to ask.
    #[arg(long, value_enum, default_value = "get")]
    pub scenario: ScenarioName,
    /// What `churn` and `exchange` ask; a pixel and a provider if nothing is said.
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// OpenRTB requests for a bidder: a folder of .json files, or a file with one to a line. They
    /// are made up if nothing is said.
    #[arg(long)]
    pub requests: Option<PathBuf>,
    /// The trace to replay: NDJSON with at_ms, method, target, headers, body.
    #[arg(long)]
    pub trace: Option<PathBuf>,
    /// How many times as fast as it was.
    #[arg(long, default_value_t = 1.0, value_parser = above_zero)]
    pub speed: f64,
    /// Requests per second.
    #[arg(long, default_value_t = 5000.0, value_parser = above_zero)]
    pub rate: f64,
    /// 10 to 95 % of a capacity instead: of so many requests per second, or, without a number, of
    /// what is measured first.
    #[arg(long, num_args = 0..=1, value_parser = above_zero, conflicts_with = "rate")]
    pub ladder: Option<Option<f64>>,
    /// How requests arrive.
    #[arg(long, value_enum, default_value = "constant")]
    pub arrivals: Spacing,
    /// Connections, one request in flight on each.
    #[arg(long, default_value_t = 64, value_parser = connections)]
    pub connections: usize,
    /// Seconds that a round records. A trace takes as long as it takes, if nothing is said.
    #[arg(long, value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Seconds before that; a trace has none.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub warmup: Duration,
    /// Milliseconds until an answer is given up: 5,000, or 10 for an exchange, if nothing is said.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub timeout_ms: Option<u64>,
    /// Cores of the generator, a thread pinned to each. They never sleep, so not the server's.
    #[arg(long, value_delimiter = ',')]
    pub cpu: Vec<usize>,
    /// The null responder's core; one that the generator does not have, if nothing is said.
    #[arg(long, conflicts_with = "no_null")]
    pub null_cpu: Option<usize>,
    /// Does without the null responder.
    #[arg(long)]
    pub no_null: bool,
    /// What arrivals, users and requests are drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many users there are.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub users: u64,
    /// The status that `get` takes for right.
    #[arg(long, default_value_t = 200)]
    pub status: u16,
    /// The server's process: what it spends is told.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// The appliance's admin listener: what it is goes into the report.
    #[arg(long)]
    pub admin: Option<SocketAddr>,
    /// What the report is called.
    #[arg(long)]
    pub title: Option<String>,
    /// Folder for report.json, report.html, report.hlog and .hgrm.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Prints the report as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Several URLs for one server.
    #[error("{count} URLs are given, and only `--scenario mixed` takes more than one")]
    Urls {
        /// How many.
        count: usize,
    },
    /// A mix is none.
    #[error(transparent)]
    Mixed(#[from] MixedError),
    /// Nothing can be asked.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The trace cannot be used.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// There is no trace.
    #[error(
        "`--scenario replay` needs `--trace FILE`, and has neither a ladder nor other arrivals"
    )]
    NoTrace,
    /// The generator cannot work.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The server cannot be looked at.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Ctrl-C cannot be listened to.
    #[error("signals cannot be handled: {0}")]
    Signals(std::io::Error),
    /// The report cannot be written.
    #[error(transparent)]
    Files(#[from] files::FileError),
    /// The report cannot be printed.
    #[error("the report cannot be printed: {0}")]
    Print(#[from] serde_json::Error),
}

/// How long a round records, if nothing is said.
const DURATION: Duration = Duration::from_secs(10);

/// BOUND: a round, and with it the memory that its windows take.
const SECONDS_MAX: f64 = 3600.0;

/// BOUND: connections.
const CONNECTIONS_MAX: usize = 60_000;

/// The rungs of a ladder, in percent of the capacity.
const RUNGS: [u32; 7] = [10, 25, 40, 55, 70, 85, 95];

/// From this share of the null responder's capacity on, a capacity is the generator's.
const OWN_CAPACITY: f64 = 0.9;

/// Runs, prints, writes. 0: every request was answered rightly; 1: not; 2: there was no run.
#[must_use]
pub fn run(options: &RunOptions) -> ExitCode {
    match Run::prepare(options).and_then(Run::finish) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench run: {error}");
            ExitCode::from(2)
        }
    }
}

/// A run under way.
struct Run<'a> {
    options: &'a RunOptions,
    setup: Setup,
    report: Report,
    stop: Arc<AtomicBool>,
    /// The first thing that went wrong.
    fault: Option<String>,
}

impl<'a> Run<'a> {
    fn prepare(options: &'a RunOptions) -> Result<Run<'a>, RunError> {
        // The first signal ends the run and writes the report.
        let stop = stopped_by_signals().map_err(RunError::Signals)?;
        let setup = setup(options)?;
        let mut environment = Environment::look();
        if let Some(address) = options.admin
            && let Err(error) = environment.ask(address)
        {
            eprintln!("bench run: {error}");
        }
        let report = Report {
            format: FORMAT,
            title: options.title.clone().unwrap_or_else(|| title(options)),
            started_unix_ms: unix_ms(),
            environment,
            plan: plan(options, &setup),
            rounds: Vec::new(),
        };
        Ok(Run { options, setup, report, stop, fault: None })
    }

    fn finish(mut self) -> Result<bool, RunError> {
        let rounds = self.rounds();
        // What was measured before something went wrong is not thrown away.
        if !self.report.rounds.is_empty() || rounds.is_ok() {
            self.show()?;
        }
        rounds?;
        Ok(!self.report.rounds.is_empty() && self.report.rounds.iter().all(|r| self.is_clean(r)))
    }

    fn rounds(&mut self) -> Result<(), RunError> {
        let spacing = self.options.arrivals;
        if let Rendered::Replay(replay) = &self.setup.parts[0].rendered {
            let arrivals = Arrivals::Trace(replay.moments());
            return self.round("replay", &Pace::Trace(arrivals)).map(|_| ());
        }
        let Some(ladder) = self.options.ladder else {
            let rate = self.options.rate;
            return self.round(&format!("{rate}/s"), &Pace::Rate { rate, spacing }).map(|_| ());
        };
        let capacity = match ladder {
            Some(capacity) => capacity,
            None => match self.capacity()? {
                Some(capacity) => capacity,
                None => return Ok(()),
            },
        };
        self.report.plan.arrivals =
            format!("{}, 10 to 95 % of {capacity:.0}/s", self.report.plan.arrivals);
        for percent in RUNGS {
            let rate = capacity * f64::from(percent) / 100.0;
            let pace = Pace::Rate { rate, spacing };
            if !self.round(&format!("{percent} %"), &pace)? {
                break;
            }
        }
        Ok(())
    }

    /// One round into the report; whether there may be another one.
    fn round(&mut self, name: &str, pace: &Pace) -> Result<bool, RunError> {
        let usage = || self.options.server_pid.map(|pid| Usage::read(&family(pid))).transpose();
        let before = usage()?;
        let Outcome { mut round, fault, interrupted, .. } =
            self.watched(name, |setup, watch| setup.round(name, pace, watch))?;
        if let (Some(before), Some(after)) = (before, usage()?) {
            round.server = Some(after.cost_since(&before, round.counts.heard()));
        }
        self.fault = self.fault.take().or(fault);
        let goes_on = !interrupted && round.counts.due > 0;
        if goes_on && !self.options.no_null {
            round.null = self.setup.null(pace, self.options.null_cpu, &self.stop)?;
        }
        self.report.rounds.push(round);
        Ok(goes_on)
    }

    /// The capacity; none, and why was said, if there is none.
    fn capacity(&mut self) -> Result<Option<f64>, RunError> {
        let found = self.watched("capacity", Setup::capacity)?;
        let round = &found.round;
        let capacity = round.achieved_rate;
        if found.interrupted || !self.is_clean(round) || capacity <= 0.0 {
            self.fault = found.fault;
            self.report.rounds.push(found.round);
            return Ok(None);
        }
        let mut of_null = None;
        if !self.options.no_null {
            of_null = self.setup.null_capacity(self.options.null_cpu, &self.stop)?;
        }
        if !self.options.json {
            eprintln!("capacity {capacity:.0}/s");
        }
        if let Some(of_null) = of_null.filter(|of_null| capacity > of_null * OWN_CAPACITY) {
            eprintln!(
                "bench run: the null responder takes {of_null:.0}/s: this capacity is the \
                 generator's; give it more cores with --cpu"
            );
        }
        Ok(Some(capacity))
    }

    /// Drives with progress on stderr.
    fn watched(
        &self,
        name: &str,
        drive: impl FnOnce(&Setup, &mut Watch<'_>) -> Result<Outcome<AnyScenario>, DriveError>,
    ) -> Result<Outcome<AnyScenario>, DriveError> {
        let mut show = |elapsed: Duration, answered: u64| {
            eprintln!("{name:>8} {:>5} s  {answered} answered", elapsed.as_secs());
        };
        let progress = (!self.options.json).then_some(&mut show as &mut dyn FnMut(Duration, u64));
        drive(&self.setup, &mut Watch { stop: &self.stop, progress })
    }

    /// Whether a round is as it should be. To an exchange late answers are the subject, no fault.
    fn is_clean(&self, round: &Round) -> bool {
        let counts = &round.counts;
        if self.setup.exchange {
            return counts.answered > 0 && counts.answered + counts.timeouts == counts.due;
        }
        counts.is_clean()
    }

    fn show(&self) -> Result<(), RunError> {
        if self.options.json {
            println!("{}", serde_json::to_string(&self.report)?);
        } else {
            print!("{}", table::of(&self.report));
        }
        if let Some(fault) = &self.fault {
            eprintln!("bench run: {fault}");
        }
        if let Some(folder) = &self.options.out {
            for path in files::write_all(&self.report, folder)? {
                eprintln!("wrote {}", path.display());
            }
        }
        Ok(())
    }
}

fn setup(options: &RunOptions) -> Result<Setup, RunError> {
    let exchange = options.scenario == ScenarioName::Exchange;
    let mut policy = match options.scenario {
        ScenarioName::Churn => Policy::churn(),
        ScenarioName::Exchange => Policy::exchange(EXCHANGE_TIMEOUT),
        _ => Policy::default(),
    };
    if let Some(timeout_ms) = options.timeout_ms {
        policy.timeout = Duration::from_millis(timeout_ms);
    }
    let parts = parts(options)?;
    let (mut duration, mut warmup) = (options.duration.unwrap_or(DURATION), options.warmup);
    if let Rendered::Replay(replay) = &parts[0].rendered {
        warmup = Duration::ZERO;
        duration = options.duration.unwrap_or(replay.length()).min(replay.length());
    }
    Ok(Setup {
        parts,
        connections: options.connections,
        policy,
        duration,
        warmup,
        cpus: options.cpu.clone(),
        seed: options.seed,
        exchange,
        since: Instant::now(),
    })
}

fn parts(options: &RunOptions) -> Result<Vec<Part>, RunError> {
    let ask = |role, url: &Url| Ask {
        role,
        url: url.clone(),
        population: Population { seed: options.seed, users: options.users },
        requests: options.requests.clone(),
        status: options.status,
    };
    if options.scenario == ScenarioName::Mixed {
        let parts = mixed::parts(&options.url)?.into_iter().map(|part| {
            let rendered = ask(part.role, &part.url).render()?;
            Ok(Part { address: part.url.address, rendered, share: part.share })
        });
        return parts.collect();
    }
    let [url] = options.url.as_slice() else {
        return Err(RunError::Urls { count: options.url.len() });
    };
    let url: Url = url.parse()?;
    let rendered = match options.scenario {
        ScenarioName::Replay => {
            let trace = options.trace.as_deref().filter(|_| options.ladder.is_none());
            let trace = trace.ok_or(RunError::NoTrace)?;
            Rendered::Replay(Replay::read(trace, &url.host, options.speed)?)
        }
        scenario => ask(role(scenario, options.role), &url).render()?,
    };
    Ok(vec![Part { address: url.address, rendered, share: 1.0 }])
}

/// What is asked in a scenario of one server.
fn role(scenario: ScenarioName, chosen: Option<Role>) -> Role {
    match scenario {
        ScenarioName::Pixel => Role::Pixel,
        ScenarioName::Provider => Role::Provider,
        ScenarioName::Bidder => Role::Bidder,
        ScenarioName::Churn => chosen.unwrap_or(Role::Pixel),
        ScenarioName::Exchange => chosen.unwrap_or(Role::Provider),
        ScenarioName::Get | ScenarioName::Mixed | ScenarioName::Replay => Role::Get,
    }
}

fn plan(options: &RunOptions, setup: &Setup) -> Plan {
    let arrivals = match (options.scenario, options.arrivals) {
        (ScenarioName::Replay, _) => format!("a trace, {} times as fast", options.speed),
        (_, Spacing::Constant) => "constant".to_owned(),
        (_, Spacing::Poisson) => "poisson".to_owned(),
    };
    Plan {
        scenario: name_of(&options.scenario),
        arrivals,
        connections: setup.connections,
        duration_ms: setup.duration.as_millis() as u64,
        warmup_ms: setup.warmup.as_millis() as u64,
        timeout_ms: setup.policy.timeout.as_millis() as u64,
        cpus: setup.cpus.clone(),
        seed: setup.seed,
        target: options.url.join(" "),
        command: std::env::args().collect(),
    }
}

fn title(options: &RunOptions) -> String {
    format!("{} of {}", name_of(&options.scenario), options.url.join(" "))
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|e| e.to_string())?;
    if number > 0.0 && number <= 10_000_000.0 {
        Ok(number)
    } else {
        Err("it has to be above 0 and at most 10,000,000".to_owned())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().map_err(|e| e.to_string())?;
    if (0.0..=SECONDS_MAX).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(format!("it has to be from 0 to {SECONDS_MAX} seconds"))
    }
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().map_err(|e| e.to_string())?;
    if (1..=CONNECTIONS_MAX).contains(&number) {
        Ok(number)
    } else {
        Err(format!("it has to be from 1 to {CONNECTIONS_MAX}"))
    }
}

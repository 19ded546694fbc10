//! One load for several servers: what `compare` and `peers` put to each of them, the same way.
//!
//! A round is one drive of one server. Beside its latencies stands what the server spent, read from
//! `/proc` before the first request and behind the last one, so requests of the warm-up are in both
//! the time and the count that it is divided by.

use crate::{
    cores,
    drive::{DriveError, Outcome, Watch},
    environment::Environment,
    policy::{Policy, TIMEOUT},
    report::{FORMAT, Plan, Quantiles, Report, Round},
    run::{AnyScenario, Pace, Part, Setup, Spacing},
    scenario::{Ask, Rendered, Role, Scenario, ScenarioError, corpus::Population, url::Url},
    server::{Usage, UsageError},
    verb::{name_of, unix_ms},
};
use clap::Args;
use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// What a server is put under.
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// What is asked.
    #[arg(long, value_enum, default_value_t = Role::Pixel)]
    pub scenario: Role,
    /// Requests per second.
    #[arg(long, default_value_t = 5000.0, value_parser = rate)]
    pub rate: f64,
    /// How requests arrive.
    #[arg(long, value_enum, default_value_t = Spacing::Constant)]
    pub arrivals: Spacing,
    /// Connections, one request in flight on each.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=30_000))]
    pub connections: u64,
    /// Seconds that each round records.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub duration: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub warmup: u64,
    /// Core that the generator is pinned to. It never sleeps, so not one of the server's.
    #[arg(long)]
    pub cpu: Option<usize>,
    /// What requests and random arrivals are drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// OpenRTB requests for a bidder: a folder of .json files, or a file with one to a line. They
    /// are made up if nothing is said.
    #[arg(long)]
    pub requests: Option<PathBuf>,
    /// How many users there are.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub users: u64,
}

/// Why a round cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nothing to ask.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The machine does not let it.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// What the server spends cannot be seen.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Somebody wants it to end.
    #[error("interrupted")]
    Interrupted,
}

/// A server, and what it is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whom.
    pub url: Url,
    rendered: Rendered,
}

impl Asked {
    /// A request, to see whether the server answers.
    #[must_use]
    pub fn first(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.rendered.scenario().request(0, &mut bytes);
        bytes
    }
}

/// Rounds of one session, and what they count from.
#[derive(Debug)]
pub struct Session<'a> {
    load: &'a Load,
    stop: &'a AtomicBool,
    begun: Instant,
    begun_unix_ms: u64,
    environment: Environment,
    /// The first thing that went wrong in each round, if anything did.
    faults: Vec<String>,
}

impl Load {
    /// Renders the requests for a server.
    ///
    /// # Errors
    /// [`ScenarioError`] when they cannot be.
    pub fn render(&self, url: &Url) -> Result<Asked, ScenarioError> {
        let population = Population { seed: self.seed, users: self.users };
        let ask = Ask {
            role: self.scenario,
            url: url.clone(),
            population,
            requests: self.requests.clone(),
            status: 200,
        };
        Ok(Asked { url: url.clone(), rendered: ask.render()? })
    }

    /// The cores of a server: those that were chosen, or all that the generator does not have; all
    /// of them where it may go anywhere.
    ///
    /// # Errors
    /// When it cannot be seen which cores there are, or none is left.
    pub fn server_cores(&self, chosen: &[usize]) -> io::Result<Vec<usize>> {
        let mut cores = chosen.to_vec();
        if chosen.is_empty() {
            cores = cores::allowed()?;
            cores.retain(|core| self.cpu != Some(*core));
        }
        if cores.is_empty() {
            return Err(io::Error::other("no core is left for the server besides the generator's"));
        }
        Ok(cores)
    }

    fn pace(&self) -> Pace {
        Pace::Rate { rate: self.rate, spacing: self.arrivals }
    }

    /// What is written into a report.
    fn plan(&self, target: String, command: Vec<String>) -> Plan {
        Plan {
            scenario: name_of(&self.scenario),
            arrivals: name_of(&self.arrivals),
            connections: self.connections as usize,
            duration_ms: self.duration * 1000,
            warmup_ms: self.warmup * 1000,
            timeout_ms: TIMEOUT.as_millis() as u64,
            cpus: self.cpu.into_iter().collect(),
            seed: self.seed,
            target,
            command,
        }
    }
}

impl<'a> Session<'a> {
    /// Begins now. `stop` ends it between rounds, and the round that is under way.
    #[must_use]
    pub fn begin(load: &'a Load, stop: &'a AtomicBool) -> Session<'a> {
        Session {
            load,
            stop,
            begun: Instant::now(),
            begun_unix_ms: unix_ms(),
            environment: Environment::look(),
            faults: Vec::new(),
        }
    }

    /// What went wrong so far: at most one line for each round.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Drives a server; `processes` are those whose CPU time is its own.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be driven, or somebody wants it to end.
    pub fn round(
        &mut self,
        name: &str,
        asked: &Asked,
        processes: &[u32],
    ) -> Result<Round, LoadError> {
        let pace = self.load.pace();
        let setup = self.setup(asked);
        self.driven(processes, name, |watch| setup.round(name, &pace, watch))
    }

    /// Drives a server as fast as it answers, which finds a capacity and measures no latency.
    ///
    /// # Errors
    /// As for [`Session::round`].
    pub fn capacity(&mut self, asked: &Asked, processes: &[u32]) -> Result<Round, LoadError> {
        let setup = self.setup(asked);
        self.driven(processes, "capacity", |watch| setup.capacity(watch))
    }

    /// What the same load shows against a responder that does nothing, on the server's core.
    ///
    /// # Errors
    /// As for [`Session::round`].
    pub fn null(&self, asked: &Asked, core: usize) -> Result<Quantiles, LoadError> {
        let null = self.setup(asked).null(&self.load.pace(), Some(core), self.stop)?;
        null.ok_or(LoadError::Interrupted)
    }

    fn driven(
        &mut self,
        processes: &[u32],
        name: &str,
        drive: impl FnOnce(&mut Watch<'_>) -> Result<Outcome<AnyScenario>, DriveError>,
    ) -> Result<Round, LoadError> {
        let before = Usage::read(processes)?;
        let Outcome { mut round, fault, .. } =
            drive(&mut Watch { stop: self.stop, progress: None })?;
        // ORDER: Relaxed, a flag that carries nothing.
        if self.stop.load(Ordering::Relaxed) {
            return Err(LoadError::Interrupted);
        }
        if !processes.is_empty() {
            let after = Usage::read(processes)?;
            round.server = Some(after.cost_since(&before, round.counts.heard()));
        }
        let of_round = |fault: String| format!("{name}: {fault}");
        self.faults.extend(fault.map(of_round));
        Ok(round)
    }

    fn setup(&self, asked: &Asked) -> Setup {
        let part =
            Part { address: asked.url.address, rendered: asked.rendered.clone(), share: 1.0 };
        Setup {
            parts: vec![part],
            connections: self.load.connections as usize,
            policy: Policy::default(),
            duration: Duration::from_secs(self.load.duration),
            warmup: Duration::from_secs(self.load.warmup),
            cpus: self.load.cpu.into_iter().collect(),
            seed: self.load.seed,
            exchange: false,
            since: self.begun,
        }
    }

    /// The report of all of its rounds.
    #[must_use]
    pub fn report(&self, title: String, target: String, rounds: Vec<Round>) -> Report {
        Report {
            format: FORMAT,
            title,
            started_unix_ms: self.begun_unix_ms,
            environment: self.environment.clone(),
            plan: self.load.plan(target, std::env::args().collect()),
            rounds,
        }
    }
}

/// Requests per second, as an argument.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=10_000_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("allowed: 0.1 to 10000000".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responder::{Conduct, Responder};
    use std::process;

    fn load() -> Load {
        Load {
            scenario: Role::Get,
            rate: 300.0,
            arrivals: Spacing::Poisson,
            connections: 4,
            duration: 1,
            warmup: 0,
            cpu: None,
            seed: 1,
            requests: None,
            users: 10,
        }
    }

    fn url(address: std::net::SocketAddr) -> Url {
        format!("http://{address}/").parse().unwrap()
    }

    #[test]
    fn a_round_says_what_the_server_spent_under_the_names_of_its_threads() {
        let responder = Responder::start(Conduct::FixedDelay(Duration::ZERO), None).unwrap();
        let (load, stop) = (load(), AtomicBool::new(false));
        let mut session = Session::begin(&load, &stop);
        let url = url(responder.address());
        let asked = load.render(&url).unwrap();
        let round = session.round("A 1", &asked, &[process::id()]).unwrap();
        assert!(round.counts.is_clean(), "{:?}", round.counts);
        let cost = round.server.as_ref().unwrap();
        assert!(cost.threads["responder"] > 0.0, "{cost:?}");
        let report = session.report("t".to_owned(), url.to_string(), vec![round]);
        assert_eq!(
            (report.plan.scenario.as_str(), report.plan.arrivals.as_str()),
            ("get", "poisson")
        );
        assert_eq!(report.rounds[0].name, "A 1");
    }

    #[test]
    fn a_session_that_is_to_end_says_so() {
        let responder = Responder::start(Conduct::AtOnce, None).unwrap();
        let (load, stop) = (load(), AtomicBool::new(false));
        let mut session = Session::begin(&load, &stop);
        let url = url(responder.address());
        let asked = load.render(&url).unwrap();
        // ORDER: Relaxed, one thread.
        stop.store(true, Ordering::Relaxed);
        let stopped = session.round("A 1", &asked, &[]);
        assert!(matches!(stopped, Err(LoadError::Interrupted)), "{stopped:?}");
    }
}

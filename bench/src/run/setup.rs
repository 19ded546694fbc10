//! Everything about a run but its rate: whom it asks, for what, over which connections.
//!
//! A setup is made once and driven as often as there are rounds: the rungs of a ladder, the sides
//! of a comparison. Its requests are rendered once.

use crate::{
    cores,
    drive::{self, Drive, DriveError, Lane, Outcome, Seat, Watch},
    policy::{Policy, TIMEOUT},
    report::{Quantiles, Round},
    responder::Null,
    scenario::{Rendered, Scenario, Unchecked},
    schedule::Arrivals,
};
use std::{
    net::SocketAddr,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

/// A run without its rate.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Who is asked for what: one, or the parts of a mix.
    pub parts: Vec<Part>,
    /// Connections of all parts together.
    pub connections: usize,
    /// How connections are used.
    pub policy: Policy,
    /// How long a round records.
    pub duration: Duration,
    /// How long it sends before that.
    pub warmup: Duration,
    /// The generator's cores.
    pub cpus: Vec<usize>,
    /// What random arrivals are drawn from.
    pub seed: u64,
    /// Whether rounds say what an exchange would have seen.
    pub exchange: bool,
    /// What [`crate::report::Round::started_ms`] counts from.
    pub since: Instant,
}

/// One server, and what it is asked.
#[derive(Debug, Clone)]
pub struct Part {
    /// The server.
    pub address: SocketAddr,
    /// Its requests.
    pub rendered: Rendered,
    /// Its share of the rate and of the connections.
    pub share: f64,
}

/// How requests of a rate arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Spacing {
    /// With equal gaps.
    Constant,
    /// At random, as those of many users do.
    Poisson,
}

/// When requests are due.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// So many in a second.
    Rate {
        /// Requests per second of all parts together.
        rate: f64,
        /// How they arrive.
        spacing: Spacing,
    },
    /// As a trace says.
    Trace(Arrivals),
    /// Whenever a connection is free: closed loop, for capacities only.
    Saturate,
}

/// A scenario of any kind.
pub type AnyScenario = Box<dyn Scenario>;

/// How long the null responder is driven, at most.
const NULL_DURATION: Duration = Duration::from_secs(3);

/// How long before that.
const NULL_WARMUP: Duration = Duration::from_millis(200);

/// How long a capacity is looked for, and how long before that requests are sent.
const CAPACITY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(1));

impl Setup {
    /// One round against the servers.
    ///
    /// # Errors
    /// [`DriveError`] when it cannot be made.
    pub fn round(
        &self,
        name: &str,
        pace: &Pace,
        watch: &mut Watch<'_>,
    ) -> Result<Outcome<AnyScenario>, DriveError> {
        let drive = self.drive(name, pace, |part| part.address);
        drive::run(&drive, |seat| self.parts[seat.lane].rendered.scenario(), watch)
    }

    /// As many requests per second as the servers answer: not a measure of latency.
    ///
    /// # Errors
    /// [`DriveError`] when it cannot be found.
    pub fn capacity(&self, watch: &mut Watch<'_>) -> Result<Outcome<AnyScenario>, DriveError> {
        let (duration, warmup) = CAPACITY;
        let setup = Setup { duration, warmup, ..self.clone() };
        setup.round("capacity", &Pace::Saturate, watch)
    }

    /// What the same schedule measures against a responder that does nothing, on a core that the
    /// generator does not have if there is one; nothing if the run was stopped.
    ///
    /// # Errors
    /// [`DriveError`] when it cannot be measured.
    pub fn null(
        &self,
        pace: &Pace,
        cpu: Option<usize>,
        stop: &AtomicBool,
    ) -> Result<Option<Quantiles>, DriveError> {
        let round = self.null_round(pace, cpu, stop)?;
        Ok(round.map(|round| {
            let valid = round.valid.quantiles;
            if valid.count > 0 { valid } else { round.intended.quantiles }
        }))
    }

    /// As many requests per second as the generator gets answered by that responder.
    ///
    /// # Errors
    /// [`DriveError`] when it cannot be found.
    pub fn null_capacity(
        &self,
        cpu: Option<usize>,
        stop: &AtomicBool,
    ) -> Result<Option<f64>, DriveError> {
        let round = self.null_round(&Pace::Saturate, cpu, stop)?;
        Ok(round.map(|round| round.achieved_rate))
    }

    fn null_round(
        &self,
        pace: &Pace,
        cpu: Option<usize>,
        stop: &AtomicBool,
    ) -> Result<Option<Round>, DriveError> {
        let null = Null::start(cpu.or_else(|| other_cpu(&self.cpus)))?;
        let mut drive = self.drive("null", pace, |_| null.address());
        drive.duration = self.duration.min(NULL_DURATION);
        drive.warmup = self.warmup.min(NULL_WARMUP);
        // A timeout that is short enough for servers would say something about the machine.
        drive.policy.timeout = TIMEOUT;
        let scenario = |seat: Seat| Unchecked(self.parts[seat.lane].rendered.scenario());
        let outcome = drive::run(&drive, scenario, &mut Watch { stop, progress: None })?;
        let measured = !outcome.interrupted && outcome.round.counts.answered > 0;
        Ok(measured.then_some(outcome.round))
    }

    fn drive(&self, name: &str, pace: &Pace, address: impl Fn(&Part) -> SocketAddr) -> Drive {
        let threads = self.cpus.len().max(1);
        let lane = |part: &Part| Lane {
            address: address(part),
            arrivals: match pace {
                Pace::Rate { rate, spacing: Spacing::Constant } => {
                    Arrivals::Constant { rate: rate * part.share }
                }
                Pace::Rate { rate, spacing: Spacing::Poisson } => {
                    Arrivals::Poisson { rate: rate * part.share }
                }
                Pace::Trace(arrivals) => arrivals.clone(),
                Pace::Saturate => Arrivals::Saturate,
            },
            connections: match self.parts.len() {
                1 => self.connections,
                _ => threads.max((self.connections as f64 * part.share).round() as usize),
            },
        };
        Drive {
            name: name.to_owned(),
            lanes: self.parts.iter().map(lane).collect(),
            duration: self.duration,
            warmup: self.warmup,
            policy: self.policy,
            cpus: self.cpus.clone(),
            seed: self.seed,
            since: self.since,
            exchange: self.exchange,
        }
    }
}

/// A core that the generator does not have; one that it has, if it has all.
fn other_cpu(cpus: &[usize]) -> Option<usize> {
    let mut others = cores::allowed().ok()?.into_iter().filter(|cpu| !cpus.contains(cpu));
    others.next().or(cpus.first().copied())
}

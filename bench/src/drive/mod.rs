//! The driver: one pinned thread per core, never asleep, and what all of them have seen together.
//!
//! ```text
//!  Drive ─▶ lanes × threads ─▶ worker::Worker (the loop) ─▶ Recorded ─┐
//!                 │ client::Client (a connection)                     ├─▶ Round
//!                 │ flights::Flights (what is overdue)     Recorded ──┘
//! ```
//!
//! The calling thread sleeps meanwhile, and wakes once a second if there is progress to be shown.

mod client;
mod flights;
mod lane;
mod worker;

use crate::{
    cores::pin,
    exchange::Exchange,
    policy::Policy,
    record::{Merged, Recorded},
    report::{Counts, Distribution, Generator, Round},
    scenario::Scenario,
    schedule::{Arrivals, Schedule, Share},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};
use worker::{Done, Worker};

/// A round: who is asked, how often, and for how long.
#[derive(Debug, Clone)]
pub struct Drive {
    /// What tells the round from others.
    pub name: String,
    /// Streams of requests that are due independently of each other; nearly always one.
    pub lanes: Vec<Lane>,
    /// How long requests are due and recorded.
    pub duration: Duration,
    /// How long before that requests are sent and not recorded.
    pub warmup: Duration,
    /// How connections are used.
    pub policy: Policy,
    /// Cores: one thread is pinned to each; without any there is one thread, which may move.
    pub cpus: Vec<usize>,
    /// What random arrivals are drawn from.
    pub seed: u64,
    /// What [`Round::started_ms`] counts from.
    pub since: Instant,
    /// Whether the round says what an exchange would have seen.
    pub exchange: bool,
}

/// A stream of requests to one server.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The server.
    pub address: SocketAddr,
    /// When requests are due.
    pub arrivals: Arrivals,
    /// Connections; one request in flight on each. At least one for each thread.
    pub connections: usize,
}

/// Where a scenario works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Which thread.
    pub thread: usize,
    /// Which lane.
    pub lane: usize,
}

/// What people want of a run while it lasts.
pub struct Watch<'a> {
    /// Stops the run, which then is shorter.
    pub stop: &'a AtomicBool,
    /// Called about once a second with the time and the requests that were answered rightly.
    pub progress: Option<&'a mut dyn FnMut(Duration, u64)>,
}

/// What a run has come to.
#[derive(Debug)]
pub struct Outcome<S> {
    /// What was seen.
    pub round: Round,
    /// The scenarios, lane by lane, in the order of the threads.
    pub scenarios: Vec<S>,
    /// The first thing that went wrong.
    pub fault: Option<String>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// Every thread needs a connection of each lane.
    #[error("{connections} connections are too few for {threads} threads; give each at least one")]
    Connections {
        /// Connections of a lane.
        connections: usize,
        /// Threads.
        threads: usize,
    },
    /// A thread cannot be pinned.
    #[error("a thread cannot be pinned to core {cpu}: {source}; is the core there and allowed?")]
    Pin {
        /// The core.
        cpu: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("the driver cannot work: {0}")]
    System(#[from] io::Error),
}

/// Files that are open besides connections.
const FILES_BESIDES: u64 = 64;

impl Drive {
    /// A round of one lane with nothing special: 64 connections, kept; two seconds of warm-up, ten
    /// recorded.
    #[must_use]
    pub fn new(address: SocketAddr, arrivals: Arrivals) -> Drive {
        Drive {
            name: String::new(),
            lanes: vec![Lane { address, arrivals, connections: 64 }],
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(2),
            policy: Policy::default(),
            cpus: Vec::new(),
            seed: 1,
            since: Instant::now(),
            exchange: false,
        }
    }

    /// When the last request is due, from the start.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.warmup + self.duration
    }

    fn threads(&self) -> usize {
        self.cpus.len().max(1)
    }

    /// The lanes of one thread.
    fn lanes_of<S>(&self, thread: usize, scenarios: Vec<S>) -> Vec<lane::Lane<S>> {
        let share = Share { thread, threads: self.threads() };
        let lane = |(at, (lane, scenario)): (usize, (&Lane, S))| {
            let before = |thread: usize| lane.connections * thread / share.threads;
            let connections = before(thread + 1) - before(thread);
            let stream = (at * share.threads + thread) as u64;
            lane::Lane {
                address: lane.address,
                schedule: Schedule::new(&lane.arrivals, share, self.end(), self.seed, stream),
                scenario,
                connections,
                saturates: lane.arrivals == Arrivals::Saturate,
                next: None,
                waits: false,
                all_busy: 0,
                free: VecDeque::with_capacity(connections),
                live: connections,
            }
        };
        self.lanes.iter().zip(scenarios).enumerate().map(lane).collect()
    }
}

/// Drives servers until the round is over. `build` makes the scenario of each seat.
///
/// A server that takes no connection at all ends the round at once; it then has nothing due, and
/// [`Counts::refused`] says why.
///
/// # Errors
/// [`DriveError`] when the machine does not let it.
///
/// # Panics
/// If a thread of the driver panics, as a scenario may.
pub fn run<S: Scenario>(
    drive: &Drive,
    mut build: impl FnMut(Seat) -> S,
    watch: &mut Watch<'_>,
) -> Result<Outcome<S>, DriveError> {
    let threads = drive.threads();
    if let Some(lane) = drive.lanes.iter().find(|lane| lane.connections < threads) {
        return Err(DriveError::Connections { connections: lane.connections, threads });
    }
    allow_files(drive.lanes.iter().map(|lane| lane.connections as u64).sum())?;
    let seats = |thread| (0..drive.lanes.len()).map(move |lane| Seat { thread, lane });
    let answered: Vec<Arc<AtomicU64>> = (0..threads).map(|_| Arc::default()).collect();
    let barrier = Barrier::new(threads);
    let stop = watch.stop;
    // BOUND: nothing is ever sent; the channel ends when the last thread has.
    let (alive, ended) = mpsc::sync_channel::<()>(0);
    let (started, done) = thread::scope(|scope| {
        let mut workers = Vec::new();
        for (thread, answered) in answered.iter().enumerate() {
            let lanes = drive.lanes_of(thread, seats(thread).map(&mut build).collect());
            let (alive, barrier) = (alive.clone(), &barrier);
            let named = thread::Builder::new().name(format!("bench-{thread}"));
            workers.push(named.spawn_scoped(scope, move || {
                let _alive = alive;
                let opened = open(drive, thread, lanes);
                barrier.wait();
                Ok::<_, DriveError>(opened?.run(stop, answered)?)
            })?);
        }
        drop(alive);
        let started = Instant::now();
        show_progress(&ended, &answered, watch);
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok::<_, DriveError>((started, joined.collect::<Result<Vec<Done<S>>, DriveError>>()?))
    })?;
    Ok(outcome(drive, started, done))
}

/// Everything that may fail before the start.
fn open<S: Scenario>(
    drive: &Drive,
    thread: usize,
    lanes: Vec<lane::Lane<S>>,
) -> Result<Worker<S>, DriveError> {
    if let Some(cpu) = drive.cpus.get(thread).copied() {
        pin(&[cpu]).map_err(|source| DriveError::Pin { cpu, source })?;
    }
    let mut worker = Worker::new(drive, lanes)?;
    worker.open()?;
    Ok(worker)
}

/// Waits until all threads have ended.
fn show_progress(ended: &mpsc::Receiver<()>, answered: &[Arc<AtomicU64>], watch: &mut Watch<'_>) {
    let Some(progress) = &mut watch.progress else {
        let _ = ended.recv();
        return;
    };
    let started = Instant::now();
    for second in 1.. {
        let wait = Duration::from_secs(second).saturating_sub(started.elapsed());
        if ended.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        // ORDER: figures for people; see the worker, which stores them.
        let answered = answered.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        progress(Duration::from_secs(second), answered);
    }
}

/// Lets the process have as many connections as it wants, as far as it may.
fn allow_files(connections: u64) -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = connections + FILES_BESIDES;
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

fn outcome<S>(drive: &Drive, started: Instant, done: Vec<Done<S>>) -> Outcome<S> {
    let from = drive.warmup.as_nanos() as u64;
    let until = done.iter().map(|done| done.until).max().unwrap_or(0);
    let interrupted = u128::from(until) < drive.end().as_nanos();
    let recorded = Duration::from_nanos(until.saturating_sub(from));
    let mut counts = Counts::default();
    let (mut threads, mut exchanges) = (Vec::<Recorded>::new(), Vec::<Exchange>::new());
    let (mut scenarios, mut fault) = (Vec::new(), None);
    let mut generator = Generator::default();
    for done in done {
        counts.add(&done.counts);
        generator.ran_ms += done.ran as f64 / 1e6;
        generator.cpu_ms += done.cpu as f64 / 1e6;
        generator.idle_ms += done.idle as f64 / 1e6;
        threads.push(done.recorded);
        exchanges.push(done.exchange);
        scenarios.extend(done.scenarios);
        fault = fault.or(done.fault);
    }
    let merged = Merged::of(&threads, recorded);
    let took = merged.last_answer.max(until).saturating_sub(from);
    let achieved_rate = merged.answers as f64 * 1e9 / took.max(1) as f64;
    let offered = drive.lanes.iter().map(|lane| lane.arrivals.rate(drive.end()));
    let started_ms = (started + drive.warmup).saturating_duration_since(drive.since).as_millis();
    let mut round = Round {
        name: drive.name.clone(),
        offered_rate: offered.sum::<Option<f64>>().unwrap_or(achieved_rate),
        achieved_rate,
        started_ms: started_ms as u64,
        counts,
        intended: Distribution::of(&merged.intended),
        valid: Distribution::of(&merged.valid),
        actual: Distribution::of(&merged.actual),
        lag: Distribution::of(&merged.lag),
        null: None,
        windows: merged.windows,
        seconds: merged.seconds,
        late: merged.late,
        generator_bound: false,
        generator: Some(generator),
        server: None,
        exchange: drive.exchange.then(|| Exchange::view(&exchanges, counts.reconnects)),
    };
    round.generator_bound = !round.windows.is_empty() && !round.is_measurable();
    Outcome { round, scenarios, fault, interrupted }
}

#[cfg(test)]
mod tests;

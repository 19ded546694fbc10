//! The driver: one thread, never asleep, that sends requests when they are due.

use crate::{
    client::{self, Client, Flight, Progress},
    record::{Quantiles, Recorder, Windows},
};
use mio::{Events, Interest, Poll, Token};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;
use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

pub use crate::client::Answer;

/// A run.
#[derive(Debug, Clone)]
pub struct Drive {
    /// The server.
    pub address: SocketAddr,
    /// Connections; one request in flight on each.
    pub connections: usize,
    /// Requests per second.
    pub rate: f64,
    /// How long requests are due.
    pub duration: Duration,
    /// How long before that requests are sent and not recorded.
    pub warmup: Duration,
    /// Core that the driver is pinned to.
    pub cpu: Option<usize>,
}

/// What is asked, and what the answers should be.
pub trait Script {
    /// Writes request `number` to the end of `out`.
    fn request(&mut self, number: u64, out: &mut Vec<u8>);
    /// Whether this is the right answer to request `number`.
    fn check(&mut self, number: u64, answer: Answer) -> bool;
    /// Called about once a second with what was answered so far.
    fn progress(&mut self, _elapsed: Duration, _answered: u64) {}
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Requests that were due, warm-up included.
    pub due: u64,
    /// Requests that were answered rightly.
    pub answered: u64,
    /// Answers that were wrong.
    pub wrong: u64,
    /// Requests whose connection broke.
    pub broken: u64,
    /// Requests that were not answered in time.
    pub timeouts: u64,
    /// Connections made again.
    pub reconnects: u64,
    /// Requests that found no free connection when they were due.
    pub queued: u64,
    /// Answers per second while recording.
    pub achieved_rate: f64,
    /// Latency from when requests were due, of all answers, µs.
    pub latency: Quantiles,
    /// The same over valid windows.
    pub valid: Quantiles,
    /// How late the generator was itself, µs.
    pub lag: Quantiles,
    /// Windows.
    pub windows: Windows,
}

impl Report {
    /// Whether every request was answered rightly.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.answered == self.due
    }
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The server does not take connections.
    #[error("cannot connect to {address}: {source}; is the server running?")]
    Connect {
        /// The server.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("the driver cannot work: {0}")]
    System(#[from] io::Error),
}

/// An answer that takes longer is a timeout.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long connections may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Drives a server. The calling thread is busy until the run is over.
///
/// # Errors
/// [`DriveError`] when there is nothing to drive.
pub fn drive(config: &Drive, script: &mut impl Script) -> Result<Report, DriveError> {
    if let Some(cpu) = config.cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).map_err(io::Error::from)?;
    }
    let mut driver = Driver::connect(config)?;
    driver.run(config, script)?;
    Ok(driver.report())
}

struct Driver {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    /// Connections without a request, the one free longest first. BOUND: each stands in it once.
    free: VecDeque<usize>,
    clock: quanta::Clock,
    start: u64,
    recorder: Recorder,
    scratch: Vec<u8>,
    request: Vec<u8>,
    due: u64,
    answered: u64,
    wrong: u64,
    broken: u64,
    timeouts: u64,
    reconnects: u64,
    queued: u64,
    recorded_from: u64,
    last_answer: u64,
}

impl Driver {
    fn connect(config: &Drive) -> Result<Driver, DriveError> {
        let failed = |source| DriveError::Connect { address: config.address, source };
        let poll = Poll::new()?;
        let clock = quanta::Clock::new();
        let mut driver = Driver {
            events: Events::with_capacity(config.connections.max(16)),
            clients: Vec::with_capacity(config.connections),
            free: VecDeque::with_capacity(config.connections),
            start: clock.raw(),
            recorder: Recorder::default(),
            scratch: client::scratch(),
            request: Vec::with_capacity(4096),
            due: 0,
            answered: 0,
            wrong: 0,
            broken: 0,
            timeouts: 0,
            reconnects: 0,
            queued: 0,
            recorded_from: config.warmup.as_nanos() as u64,
            last_answer: 0,
            poll,
            clock,
        };
        for index in 0..config.connections {
            let mut client = Client::connect(config.address).map_err(failed)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            driver.poll.registry().register(client.source(), Token(index), interest)?;
            driver.clients.push(client);
        }
        while driver.free.len() < config.connections {
            if driver.now() > CONNECT_MAX.as_nanos() as u64 {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
            driver.poll.poll(&mut driver.events, Some(Duration::from_millis(100)))?;
            for event in &driver.events {
                let index = event.token().0;
                let client = &mut driver.clients[index];
                if !client.connected && client.finish_connecting().map_err(failed)? {
                    driver.free.push_back(index);
                }
            }
        }
        driver.start = driver.clock.raw();
        Ok(driver)
    }

    /// Nanoseconds since the run's start.
    fn now(&self) -> u64 {
        self.clock.delta_as_nanos(self.start, self.clock.raw())
    }

    fn run(&mut self, config: &Drive, script: &mut impl Script) -> io::Result<()> {
        let end = (config.warmup + config.duration).as_nanos() as u64;
        let total = (end as f64 / 1e9 * config.rate) as u64;
        let due_at = |number: u64| (number as f64 / config.rate * 1e9) as u64;
        // The request that was found due and waits for a free connection.
        let mut looked_at = 0;
        let mut next_progress = 1_000_000_000;
        loop {
            let now = self.now();
            while self.due < total && due_at(self.due) <= now {
                let due = due_at(self.due);
                if looked_at == self.due {
                    looked_at += 1;
                    if due >= self.recorded_from {
                        self.recorder.looked_at(due, now - due);
                    }
                    self.queued += u64::from(self.free.is_empty());
                }
                let Some(index) = self.free.pop_front() else { break };
                self.send(index, due, script, config);
                self.due += 1;
            }
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            self.take_answers(script, config);
            if now >= next_progress {
                next_progress += 1_000_000_000;
                script.progress(Duration::from_nanos(now), self.answered);
                self.time_out(now, config);
            }
            let idle = self.clients.iter().all(|c| c.flight.is_none());
            if self.due == total && idle {
                return Ok(());
            }
            if now > end + TIMEOUT.as_nanos() as u64 {
                // What never found a connection counts as broken; what is in flight as late.
                self.broken += total - self.due;
                self.timeouts += self.clients.iter().filter(|c| c.flight.is_some()).count() as u64;
                self.due = total;
                return Ok(());
            }
        }
    }

    fn send(&mut self, index: usize, due: u64, script: &mut impl Script, config: &Drive) {
        self.request.clear();
        script.request(self.due, &mut self.request);
        let flight = Flight { number: self.due, due, sent: self.now() };
        if self.clients[index].send(&self.request, flight).is_err() {
            self.broken += 1;
            self.reconnect(index, config);
        }
    }

    fn take_answers(&mut self, script: &mut impl Script, config: &Drive) {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let index = event.token().0;
            if !self.clients[index].connected {
                // One that cannot be made is tried again with the next progress.
                if let Ok(true) = self.clients[index].finish_connecting() {
                    self.free.push_back(index);
                }
                continue;
            }
            let progress = self.clients[index].read(&mut self.scratch);
            match (progress, self.clients[index].flight) {
                (Progress::Waiting, _) => {}
                (Progress::Answer(answer), Some(flight)) => {
                    self.answer(index, flight, answer, script, config);
                }
                (Progress::Broken | Progress::Answer(_), flight) => {
                    self.broken += u64::from(flight.is_some());
                    self.reconnect(index, config);
                }
            }
        }
        self.events = events;
    }

    fn answer(
        &mut self,
        index: usize,
        flight: Flight,
        answer: Answer,
        script: &mut impl Script,
        config: &Drive,
    ) {
        let now = self.now();
        if script.check(flight.number, answer) {
            self.answered += 1;
        } else {
            self.wrong += 1;
        }
        if flight.due >= self.recorded_from {
            self.recorder.answered(flight.due, now - flight.due);
            self.last_answer = now;
        }
        self.clients[index].flight = None;
        if answer.closes {
            self.reconnect(index, config);
        } else {
            self.free.push_back(index);
        }
    }

    /// Gives up on answers that take too long, and makes connections again that could not be made.
    fn time_out(&mut self, now: u64, config: &Drive) {
        for index in 0..self.clients.len() {
            let late = |f: Flight| now.saturating_sub(f.sent) > TIMEOUT.as_nanos() as u64;
            let timed_out = self.clients[index].flight.is_some_and(late);
            self.timeouts += u64::from(timed_out);
            if timed_out || !self.clients[index].connected {
                self.reconnect(index, config);
            }
        }
    }

    /// Replaces a connection. A server that is gone leaves it unconnected, and its requests queue.
    fn reconnect(&mut self, index: usize, config: &Drive) {
        self.reconnects += 1;
        self.free.retain(|free| *free != index);
        let _ = self.poll.registry().deregister(self.clients[index].source());
        self.clients[index].flight = None;
        self.clients[index].connected = false;
        if let Ok(mut client) = Client::connect(config.address) {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let known = self.poll.registry().register(client.source(), Token(index), interest);
            if known.is_ok() {
                self.clients[index] = client;
            }
        }
    }

    fn report(mut self) -> Report {
        let windows = self.recorder.finish();
        let recorded = self.last_answer.saturating_sub(self.recorded_from).max(1);
        Report {
            due: self.due,
            answered: self.answered,
            wrong: self.wrong,
            broken: self.broken,
            timeouts: self.timeouts,
            reconnects: self.reconnects,
            queued: self.queued,
            achieved_rate: self.recorder.all.len() as f64 * 1e9 / recorded as f64,
            latency: Quantiles::of(&self.recorder.all),
            valid: Quantiles::of(&self.recorder.valid),
            lag: Quantiles::of(&self.recorder.lag),
            windows,
        }
    }
}

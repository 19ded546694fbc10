//! One thread's loop: never asleep, it sends requests when they are due and takes answers.
//!
//! ```text
//!  turn:  send what is due ─▶ read where an answer is awaited longest ─▶ there: take it
//!           ▲                       │ not there, or a while ago
//!           │                       ▼
//!           │                    epoll_wait(0) ─▶ for each event: take the answer, send the next
//!           └──────────────────── give up what is overdue
//! ```
//!
//! Answers come mostly in the order of their requests, so a request costs one write and one read.
//! Who else has something is asked in turns that would do nothing, and every [`ASK_EVERY`] turns:
//! no answer waits for that, for it is the first before long.
//! Events are edge-triggered. The clock is read before a send, behind a read, and in idle turns.

use super::{
    Drive,
    client::{Client, Flight, Progress, Reading, Sent, Shape, State},
    flights::Flights,
    lane::Lane,
};
use crate::{
    cores::cpu_time,
    exchange::Exchange,
    policy::Policy,
    record::{LAG_MAX, Recorded, Recorder},
    report::Counts,
    scenario::{Scenario, Verdict},
    schedule::Due,
};
use mio::{Events, Poll, Token};
use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// The state of the loop.
pub(super) struct Worker<S> {
    poll: Poll,
    lanes: Vec<Lane<S>>,
    clients: Vec<Client>,
    flights: Flights,
    clock: quanta::Clock,
    start: u64,
    /// The last look at the clock.
    looked: u64,
    /// When connections that are not ready are looked after again.
    next_care: u64,
    /// The thread's CPU time at the start.
    cpu: u64,
    /// Nanoseconds of turns that did nothing.
    idle: u64,
    policy: Policy,
    end: u64,
    recorder: Recorder,
    exchange: Exchange,
    counts: Counts,
    fault: Option<String>,
    reading: Reading,
    request: Vec<u8>,
}

/// What a thread has come to.
pub(super) struct Done<S> {
    pub(super) recorded: Recorded,
    pub(super) exchange: Exchange,
    pub(super) counts: Counts,
    /// Until when requests were due, in nanoseconds since the start.
    pub(super) until: u64,
    /// How long it ran, the CPU time of that, and how long it had nothing to do, in nanoseconds.
    pub(super) ran: u64,
    pub(super) cpu: u64,
    pub(super) idle: u64,
    pub(super) fault: Option<String>,
    pub(super) scenarios: Vec<S>,
}

/// How long connections may take to be made, before the start and later.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// How long after a refusal the next attempt is made.
const RETRY: u64 = 100_000_000;

/// How often connections that are not ready are looked after.
const CARE: u64 = 5_000_000;

/// Turns behind which the kernel is asked who has something, though each has found an answer.
const ASK_EVERY: u32 = 256;

/// Nanoseconds that a turn without work takes at most; most take less than one.
const TURN_MAX: u64 = 20_000;

/// Answers that are still awaited when a run is stopped get this long.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// A request as long as any that a scenario renders.
const REQUEST_BYTES: usize = 16 * 1024;

impl<S: Scenario> Worker<S> {
    pub(super) fn new(drive: &Drive, lanes: Vec<Lane<S>>) -> io::Result<Worker<S>> {
        let of_lane = |(at, lane): (usize, &Lane<S>)| {
            (0..lane.connections).map(move |_| Client::new(at)).collect::<Vec<_>>()
        };
        let clients: Vec<Client> = lanes.iter().enumerate().flat_map(of_lane).collect();
        let clock = quanta::Clock::new();
        Ok(Worker {
            poll: Poll::new()?,
            flights: Flights::new(clients.len()),
            exchange: Exchange::new(clients.len()),
            start: clock.raw(),
            looked: 0,
            next_care: 0,
            cpu: 0,
            idle: 0,
            policy: drive.policy,
            end: drive.end().as_nanos() as u64,
            recorder: Recorder::new(drive.warmup.as_nanos() as u64, drive.duration),
            counts: Counts::default(),
            fault: None,
            reading: Reading::new(),
            request: Vec::with_capacity(REQUEST_BYTES),
            lanes,
            clients,
            clock,
        })
    }

    /// Makes all connections, or finds that they cannot be made.
    pub(super) fn open(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.clients.len().max(16));
        for index in 0..self.clients.len() {
            self.connect(index);
        }
        let connecting = |client: &Client| matches!(client.state, State::Connecting { .. });
        while self.clients.iter().any(connecting) && self.look() < CONNECT_MAX.as_nanos() as u64 {
            self.poll.poll(&mut events, Some(Duration::from_millis(10)))?;
            for event in &events {
                self.handle(event.token().0, Some(event.is_read_closed()));
            }
        }
        Ok(())
    }

    /// Drives until everything that was due has ended.
    pub(super) fn run(mut self, stop: &AtomicBool, answered: &AtomicU64) -> io::Result<Done<S>> {
        self.begin();
        if !self.clients.iter().any(|client| client.state == State::Ready) {
            return Ok(self.done(0));
        }
        let mut events = Events::with_capacity(self.clients.len().max(16));
        let (mut was_quiet, mut unasked) = (false, 0);
        loop {
            let (before, sent) = (self.looked, self.counts.due);
            self.send_due();
            if was_quiet && sent == self.counts.due {
                self.idled(before);
            }
            was_quiet = !self.take_first();
            unasked += 1;
            if was_quiet || unasked >= ASK_EVERY {
                unasked = 0;
                self.poll.poll(&mut events, Some(Duration::ZERO))?;
                was_quiet &= events.is_empty();
                for event in &events {
                    self.handle(event.token().0, Some(event.is_read_closed()));
                    self.send_due();
                }
            }
            self.give_up();
            // ORDER: both are for people; nothing else depends on when they are seen.
            answered.store(self.counts.answered, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) && self.end > self.looked {
                self.stop();
            }
            let over = |lane: &Lane<S>| lane.due(u64::MAX, self.end).is_none();
            if self.flights.is_empty() && self.looked >= self.end && self.lanes.iter().all(over) {
                let until = self.end;
                return Ok(self.done(until));
            }
        }
    }

    /// Time counts from now on.
    fn begin(&mut self) {
        self.cpu = cpu_time();
        self.start = self.clock.raw();
        self.looked = 0;
        for client in &mut self.clients {
            match &mut client.state {
                State::Closed { until } => *until = 0,
                State::Connecting { since } => *since = 0,
                State::Ready => {}
            }
        }
        for lane in &mut self.lanes {
            lane.next = lane.schedule.next();
        }
    }

    /// Nothing more becomes due; what is in flight, or waits for a connection, gets a little time.
    fn stop(&mut self) {
        self.end = self.looked;
        self.lanes.iter_mut().for_each(Lane::stop);
        self.policy.timeout = self.policy.timeout.min(STOP_WAIT);
    }

    fn done(self, until: u64) -> Done<S> {
        Done {
            recorded: self.recorder.finish(),
            exchange: self.exchange,
            counts: self.counts,
            until,
            ran: self.looked,
            cpu: cpu_time() - self.cpu,
            idle: self.idle,
            fault: self.fault,
            scenarios: self.lanes.into_iter().map(|lane| lane.scenario).collect(),
        }
    }

    /// Nanoseconds since the start. Looking away for too long, while answers are awaited, spoils
    /// the windows that were missed.
    fn look(&mut self) -> u64 {
        let now = self.clock.delta_as_nanos(self.start, self.clock.raw());
        if now > self.looked + LAG_MAX.as_nanos() as u64 && !self.flights.is_empty() {
            self.recorder.looked_away(self.looked, now);
        }
        self.looked = now;
        now
    }

    /// Nothing was done from `from` until the last look. What took long was no turn: somebody else
    /// had the core.
    fn idled(&mut self, from: u64) {
        let idle = self.looked - from;
        if idle < TURN_MAX {
            self.idle += idle;
        }
    }

    /// Sends what is due, as far as connections are free.
    fn send_due(&mut self) {
        let mut now = self.look();
        for at in 0..self.lanes.len() {
            while let Some(due) = self.lanes[at].due(now, self.end) {
                let free = self.free(at);
                let lane = &mut self.lanes[at];
                // A request is taken up once, even if it has to wait.
                let taken_up = !std::mem::replace(&mut lane.waits, free.is_none());
                let lag = lane.own_lag(due, now);
                let Some(index) = free else {
                    lane.all_busy = now;
                    if taken_up && !lane.saturates {
                        self.counts.queued += 1;
                        self.recorder.taken_up(due.at, lag);
                    }
                    break;
                };
                let waited = lane.all_busy > 0 && due.at <= lane.all_busy && !lane.saturates;
                self.send(index, due, now);
                if taken_up || self.lanes[at].saturates {
                    self.counts.queued += u64::from(waited);
                    self.recorder.taken_up(due.at, lag);
                }
                self.lanes[at].next = self.lanes[at].schedule.next();
                // What has become due since is for the next turn.
                if self.lanes[at].due(now, self.end).is_none() {
                    break;
                }
                now = self.look();
            }
        }
    }

    /// A connection of a lane that has no request, and now is no longer free.
    fn free(&mut self, lane: usize) -> Option<usize> {
        loop {
            let index = self.lanes[lane].free.pop_front()?;
            let client = &mut self.clients[index];
            client.queued = false;
            if client.state == State::Ready && client.flight.is_none() {
                return Some(index);
            }
        }
    }

    fn send(&mut self, index: usize, due: Due, now: u64) {
        let lane = self.clients[index].lane;
        self.request.clear();
        self.lanes[lane].scenario.request(due.number, &mut self.request);
        let no_body = self.request.starts_with(b"HEAD ");
        let shape = if no_body { Shape::NoBody } else { Shape::Whole };
        let flight = Flight { number: due.number, due: due.at, sent: now, shape };
        self.counts.due += 1;
        self.flights.push(index);
        let client = &mut self.clients[index];
        let sent = match client.send(&self.request, flight) {
            Ok(Sent::All) => Ok(()),
            Ok(Sent::InPart) => client.watch(self.poll.registry(), Token(index)),
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) => self.counts.sent += 1,
            Err(error) => self.broke(index, &error),
        }
    }

    /// Takes the answer that is awaited longest, if it is there.
    fn take_first(&mut self) -> bool {
        let Some(index) = self.flights.first() else { return false };
        self.handle(index, None);
        self.flights.first() != Some(index)
    }

    /// Something has happened on a connection; whether it is the last thing, if that is known.
    fn handle(&mut self, index: usize, ends: Option<bool>) {
        let client = &mut self.clients[index];
        match client.state {
            // What the event speaks of is gone already.
            State::Closed { .. } => {}
            State::Connecting { .. } => match client.finish_connecting() {
                Ok(true) => match client.watch(self.poll.registry(), Token(index)) {
                    Ok(()) => self.set_free(index),
                    Err(error) => self.refused(index, &error),
                },
                Ok(false) => {}
                Err(error) => self.refused(index, &error),
            },
            State::Ready => match client.send_rest() {
                Ok(()) => self.read(index, ends),
                Err(error) => self.broke(index, &error),
            },
        }
    }

    fn read(&mut self, index: usize, ends: Option<bool>) {
        let client = &mut self.clients[index];
        let (lane, flight) = (client.lane, client.flight);
        match (client.read(&mut self.reading), flight) {
            (Progress::Waiting, _) => {}
            (Progress::Closed, _) => self.broke(index, &"the server closed the connection"),
            (Progress::Garbage, _) => self.broke(index, &"the answer is no HTTP/1.1, or too long"),
            (Progress::Answer(_), None) => self.broke(index, &"an answer that nobody asked for"),
            (Progress::Answer(answer), Some(flight)) => {
                // As self.look(), which would need all of self while the answer is borrowed.
                let now = self.clock.delta_as_nanos(self.start, self.clock.raw());
                let verdict = self.lanes[lane].scenario.check(flight.number, &answer);
                if let (Verdict::Wrong(why), None) = (verdict, &self.fault) {
                    let status = answer.status;
                    self.fault =
                        Some(format!("request {}: {why} (status {status})", flight.number));
                }
                let closes = answer.closes;
                self.answered(index, flight, verdict, now);
                let closes = self.clients[index].is_over(closes, ends);
                let spent = self.policy.requests_per_connection;
                if closes || spent.is_some_and(|most| self.clients[index].requests >= most) {
                    self.reopen(index);
                } else {
                    self.set_free(index);
                }
            }
        }
    }

    fn answered(&mut self, index: usize, flight: Flight, verdict: Verdict, now: u64) {
        self.clients[index].flight = None;
        self.flights.remove(index);
        match verdict {
            Verdict::Right => self.counts.answered += 1,
            Verdict::Nothing => {
                self.counts.answered += 1;
                self.counts.empty += 1;
            }
            Verdict::Wrong(_) => self.counts.wrong += 1,
        }
        self.recorder.answered(flight.due, flight.sent, now);
        let latency = now - flight.due;
        let late = latency > self.policy.timeout.as_nanos() as u64;
        self.show_exchange(Some(index), flight.due, latency, late);
    }

    /// Gives up on what takes too long, and looks after connections that are not ready.
    fn give_up(&mut self) {
        let now = self.looked;
        let timeout = self.policy.timeout.as_nanos() as u64;
        while let Some(index) = self.flights.first() {
            let Some(flight) = self.clients[index].flight.filter(|f| f.sent + timeout <= now)
            else {
                break;
            };
            self.counts.timeouts += 1;
            self.note(|| format!("request {} was not answered in time", flight.number));
            self.recorder.given_up(flight.due, Some(flight.sent), now);
            self.show_exchange(Some(index), flight.due, now - flight.due, true);
            self.flights.remove(index);
            self.reopen(index);
        }
        for at in 0..self.lanes.len() {
            let patience = if self.lanes[at].live > 0 { timeout } else { 0 };
            let overdue = |due: &Due| due.at + patience <= now;
            while let Some(due) = self.lanes[at].next.filter(overdue) {
                if self.lanes[at].saturates {
                    break;
                }
                if !std::mem::take(&mut self.lanes[at].waits) {
                    self.recorder.taken_up(due.at, self.lanes[at].own_lag(due, now));
                }
                self.counts.due += 1;
                self.counts.timeouts += 1;
                self.note(|| format!("request {} found no connection in time", due.number));
                self.recorder.given_up(due.at, None, now);
                self.show_exchange(None, due.at, now - due.at, true);
                self.lanes[at].next = self.lanes[at].schedule.next();
            }
        }
        if now >= self.next_care {
            self.next_care = now + CARE;
            self.care(now);
        }
    }

    fn care(&mut self, now: u64) {
        for index in 0..self.clients.len() {
            match self.clients[index].state {
                State::Closed { until } if until <= now => self.connect(index),
                State::Connecting { since } if since + CONNECT_MAX.as_nanos() as u64 <= now => {
                    self.refused(index, &"the server does not take the connection");
                }
                _ => {}
            }
        }
    }

    fn show_exchange(&mut self, index: Option<usize>, due: u64, latency: u64, late: bool) {
        if self.recorder.covers(due) {
            self.exchange.ended(index, latency, late);
        }
    }

    fn set_free(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if !std::mem::replace(&mut client.queued, true) {
            self.lanes[client.lane].free.push_back(index);
        }
    }

    /// A connection is of no use any more; what was in flight on it has no answer.
    fn broke(&mut self, index: usize, why: &dyn std::fmt::Display) {
        let now = self.look();
        let asked_nothing = self.clients[index].requests == 0;
        if let Some(flight) = self.clients[index].flight {
            self.counts.broken += 1;
            self.note(|| format!("request {}: {why}", flight.number));
            self.flights.remove(index);
            self.show_exchange(Some(index), flight.due, now - flight.due, true);
        }
        if asked_nothing && self.policy.reopen {
            // A server that closes what it has just accepted is not bothered again at once.
            self.counts.reconnects += 1;
            self.clients[index].close(now + RETRY);
        } else {
            self.reopen(index);
        }
    }

    /// Replaces a connection, if the policy is to.
    fn reopen(&mut self, index: usize) {
        if self.policy.reopen {
            self.counts.reconnects += 1;
            self.connect(index);
        } else {
            self.clients[index].close(u64::MAX);
            self.lanes[self.clients[index].lane].live -= 1;
        }
    }

    fn connect(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let address = self.lanes[client.lane].address;
        let begun = client.connect(address, self.looked, self.poll.registry(), Token(index));
        if let Err(error) = begun {
            self.refused(index, &error);
        }
    }

    fn refused(&mut self, index: usize, why: &dyn std::fmt::Display) {
        self.counts.refused += 1;
        let address = self.lanes[self.clients[index].lane].address;
        self.note(|| format!("cannot connect to {address}: {why}"));
        self.clients[index].close(self.looked + RETRY);
    }

    /// Keeps the first thing that went wrong.
    fn note(&mut self, text: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(text);
    }
}

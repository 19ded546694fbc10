//! A shard: one thread, one core, one ring. It accepts, reads, answers, tells, and shares nothing.
//!
//! ```text
//!  turn: enter the kernel once ─▶ take completions ─▶ answer up to 32 requests or 50 µs
//!          ▲                                            │
//!          │   answers leave with the next entering     ▼
//!          └── spin or park ◀── one slice of compression, deadlines, accepts
//! ```
//!
//! In reading order: the loop is here; `arrival` says when a request's clock starts; `network`
//! takes completions and moves connections through their phases; `serve` answers requests.
//! `connection`, `inputs`, `holds`, `wheel`, `listener`, `crowd` are what it keeps; [`counters`],
//! [`latency`] and [`control`] are what others see of it.
//!
//! Invariants: nothing is allocated and no system call is made but the one entering of a turn.
//! Everything has a bound. A turn is bounded, so no request waits for more than one turn of others.

pub mod control;
pub mod counters;
pub mod latency;

mod arrival;
mod connection;
mod crowd;
mod holds;
mod inputs;
mod listener;
mod network;
mod serve;
mod wheel;

pub use crowd::Crowd;
pub use listener::ListenerParts;

use crate::{
    clock::{Clock, Nanos, WallClock},
    conn::assembly::{AssemblyCounts, AssemblyPool},
    http::date::HeadEnd,
    ring::{Ring, RingBroken, Wait, blocks::OutBlocks, receive::ReceiveBuffers},
    tap::Tap,
};
use arrival::Arrival;
use connection::{Connection, Phase};
use control::{Control, Stage};
use counters::ShardCounters;
use holds::Holds;
use inputs::Inputs;
use latency::LatencyWriter;
use listener::Listener;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use wheel::Wheel;

/// What a shard does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Parks at once.
    Park,
    /// Spins so long, then parks.
    SpinFor(Duration),
    /// Never parks.
    Spin,
}

/// What a shard is made of.
pub struct ShardParts<R, C> {
    /// Its ring. The buffers and blocks below are those that it was opened with.
    pub ring: R,
    /// Its clock.
    pub clock: C,
    /// Receive buffers.
    pub buffers: ReceiveBuffers,
    /// Output blocks.
    pub blocks: OutBlocks,
    /// Slots of the ring's file table, listeners and all.
    pub slots: usize,
    /// Memory for requests in parts.
    pub assembly: AssemblyCounts,
    /// What it listens on, in the order of the ring's listeners.
    pub listeners: Vec<ListenerParts>,
    /// The other shards, if there are any.
    pub crowd: Option<Crowd>,
    /// Topics of the tap.
    pub topics: usize,
    /// The tap.
    pub tap: Tap,
    /// What it does when there is nothing to do.
    pub idle: Idle,
    /// What it is told.
    pub control: Arc<Control>,
    /// What it counts.
    pub counters: Arc<ShardCounters>,
    /// Service times.
    pub latency: LatencyWriter,
}

/// A shard.
pub struct Shard<R, C> {
    ring: R,
    clock: C,
    buffers: ReceiveBuffers,
    blocks: OutBlocks,
    pool: AssemblyPool,
    listeners: Vec<Listener>,
    crowd: Option<Crowd>,
    tap: Tap,
    connections: Vec<Connection>,
    inputs: Inputs,
    /// Connections with something to be read, served in turn. BOUND: each stands in it once.
    runnable: VecDeque<u32>,
    /// Connections that wait for receive buffers. BOUND: each stands in it once.
    starving: VecDeque<u32>,
    holds: Holds,
    wheel: Wheel,
    wall: WallClock,
    head_end: HeadEnd,
    arrival: Arrival,
    idle: Idle,
    control: Arc<Control>,
    counters: Arc<ShardCounters>,
    latency: LatencyWriter,
    /// The time of this turn.
    now: Nanos,
    /// When a drain gives up on those who do not take their answers.
    drain_until: Option<Nanos>,
}

/// Longest sleep: how late a change of the time of day is noticed.
const PARK_MAX: Duration = Duration::from_secs(1);

/// Longest sleep where somebody counts the milliseconds that a request has waited: whatever comes
/// within it is taken for fresh, and a stall is one as soon as it is longer. It holds without a
/// connection too, for the first one may come during the stall.
const BUDGET_PARK_MAX: Duration = Duration::from_millis(2);

/// How long a drain waits for answers to be taken.
const DRAIN_MAX: Duration = Duration::from_secs(5);

impl<R: Ring, C: Clock> Shard<R, C> {
    /// A shard of these parts.
    #[must_use]
    pub fn new(mut parts: ShardParts<R, C>) -> Shard<R, C> {
        let now = parts.clock.now();
        let wall = WallClock::start(&parts.clock);
        parts.tap.reach(wall.at(now).hour());
        let head_end = HeadEnd::at(wall.at(now));
        let listeners = parts.listeners.into_iter().enumerate();
        Shard {
            connections: (0..parts.slots).map(|_| Connection::free()).collect(),
            inputs: Inputs::new(usize::from(parts.buffers.count())),
            runnable: VecDeque::with_capacity(parts.slots),
            starving: VecDeque::with_capacity(parts.slots),
            holds: Holds::new(parts.topics, parts.slots),
            wheel: Wheel::new(parts.slots, now),
            pool: AssemblyPool::new(parts.assembly),
            listeners: listeners.map(|(at, l)| Listener::new(at as u16, l)).collect(),
            crowd: parts.crowd,
            ring: parts.ring,
            clock: parts.clock,
            buffers: parts.buffers,
            blocks: parts.blocks,
            tap: parts.tap,
            wall,
            head_end,
            arrival: Arrival::new(now),
            idle: parts.idle,
            control: parts.control,
            counters: parts.counters,
            latency: parts.latency,
            now,
            drain_until: None,
        }
    }

    /// Serves until told to end.
    ///
    /// # Errors
    /// [`RingBroken`] when the kernel does not let the ring be entered.
    pub fn run(&mut self) -> Result<(), RingBroken> {
        self.arm_accepts();
        while !self.is_over() {
            let wait = self.idle();
            self.turn(wait)?;
        }
        self.tap.finish();
        Ok(())
    }

    /// One turn.
    ///
    /// # Errors
    /// [`RingBroken`], as in [`Shard::run`].
    pub fn turn(&mut self, wait: Wait) -> Result<(), RingBroken> {
        let parks = wait != Wait::No;
        let deadline = match wait {
            Wait::AtMost(time) => self.now.after(time),
            Wait::No => self.now,
        };
        self.ring.enter(wait)?;
        self.now = self.clock.now();
        let open = || self.listeners.iter().map(|listener| listener.connections).sum();
        let slept_until = parks.then_some(deadline);
        let arrived = self.arrival.entered(self.now, slept_until, &self.ring, open);
        self.take_completions(arrived);
        self.listeners.iter_mut().filter(|l| l.is_supplied).for_each(|l| l.service.refresh());
        self.release_held();
        self.serve();
        self.take_news();
        self.tap.end_turn(self.now);
        self.take_news();
        self.expire();
        self.feed_starving();
        self.arm_accepts();
        self.keep_time();
        self.follow_stage();
        self.count(parks);
        Ok(())
    }

    /// Whether the next turn has something to do whatever comes in.
    fn has_work(&self) -> bool {
        !self.runnable.is_empty()
            || self.ring.has_queued()
            || self.tap.has_work(self.now)
            || self.holds.has_released(self.tap.spool().committed())
    }

    /// Spins or decides to park; how long the next entering may stay in the kernel.
    fn idle(&mut self) -> Wait {
        if self.has_work() || self.arrival.is_suspect(self.clock.now()) {
            return Wait::No;
        }
        let spin_until = match self.idle {
            Idle::Park => None,
            Idle::SpinFor(time) => Some(self.now.after(time)),
            Idle::Spin => Some(Nanos(u64::MAX)),
        };
        if let Some(until) = spin_until
            && self.spin(until)
        {
            return Wait::No;
        }
        self.parking()
    }

    /// Looks at memory until there is something to do, or until then. Whether there is.
    fn spin(&mut self, until: Nanos) -> bool {
        let wake_at = self.next_deadline();
        loop {
            let now = self.clock.now();
            if self.ring.has_work() {
                return true;
            }
            self.arrival.saw_nothing(now);
            self.now = now;
            let due = now >= wake_at || self.holds.has_released(self.tap.spool().committed());
            if due || self.control.stage() > Stage::Unready {
                return true;
            }
            // One that somebody waits for closes as soon as the one before is durable.
            if self.holds.count() > 0 && self.tap.has_work(now) {
                return true;
            }
            if now >= until {
                return false;
            }
            std::hint::spin_loop();
        }
    }

    /// How long the kernel may keep us. Tickets are looked at once more after the flag is up, for
    /// the spool wakes only those whose flag it sees.
    fn parking(&mut self) -> Wait {
        if self.holds.count() > 0 {
            self.tap.spool().park();
            if self.has_work() {
                self.tap.spool().unpark();
                return Wait::No;
            }
        }
        let time = self.next_deadline().since(self.now);
        Wait::AtMost(Duration::from_nanos(time).min(PARK_MAX))
    }

    fn next_deadline(&self) -> Nanos {
        let tap = self.tap.next_deadline();
        let wheel = self.wheel.next_deadline();
        let has_budget = self.listeners.iter().any(|listener| listener.has_budget);
        let park = if has_budget { BUDGET_PARK_MAX } else { PARK_MAX };
        let far = self.now.after(park);
        [tap, wheel, self.drain_until].into_iter().flatten().fold(far, Nanos::min)
    }

    /// Batches were handed over: the answers that wait for them know their tickets.
    fn take_news(&mut self) {
        for pushed in self.tap.take_news() {
            self.holds.assign(pushed);
        }
    }

    /// Lets answers go that have become durable.
    fn release_held(&mut self) {
        if self.holds.count() == 0 {
            return;
        }
        self.tap.spool().unpark();
        let committed = self.tap.spool().committed();
        while let Some((token, position)) = self.holds.pop_released(committed) {
            let connection = &mut self.connections[token.slot as usize];
            if connection.generation != token.generation {
                continue; // it is gone; its event is durable all the same
            }
            let up_to = connection.held.release(position);
            connection.output.release(up_to);
            self.advance(token.slot);
        }
    }

    fn arm_accepts(&mut self) {
        for listener in &mut self.listeners {
            listener.arm(&mut self.ring, self.now, self.crowd.as_ref());
        }
    }

    fn keep_time(&mut self) {
        if self.wall.look(self.now, &self.clock) {
            let wall = self.wall.at(self.now);
            self.head_end = HeadEnd::at(wall);
            self.tap.reach(wall.hour());
            self.latency.turn_over();
        }
    }

    /// Does what the stage wants: a drain closes what is idle, and ends when nothing is in flight.
    fn follow_stage(&mut self) {
        if self.control.stage() < Stage::Drain || self.drain_until.is_some() {
            return;
        }
        self.drain_until = Some(self.now.after(DRAIN_MAX));
        for listener in &mut self.listeners {
            listener.close(&mut self.ring);
        }
        for slot in 0..self.connections.len() as u32 {
            self.finish_if_idle(slot);
        }
    }

    fn is_over(&self) -> bool {
        let stage = self.control.stage();
        let late = self.drain_until.is_some_and(|until| self.now >= until);
        let quiet = || {
            self.listeners.iter().all(Listener::is_quiet)
                && self.connections.iter().all(|c| c.phase == Phase::Free)
        };
        stage == Stage::End || (self.drain_until.is_some() && (late || quiet()))
    }

    fn count(&mut self, parked: bool) {
        let counters = &self.counters;
        let (enters, full) = self.ring.enters();
        counters.turns.add(1);
        counters.enters.set(enters);
        counters.full_enters.set(full);
        counters.parks.add(u64::from(parked));
        counters.buffers_in_use.set(self.inputs.in_use as u64);
        let held = self.holds.count() as u64;
        counters.held.set(held);
        self.tap.spool().set_waiters(held);
    }

    /// The ring: for a simulation to look into.
    pub fn ring(&mut self) -> &mut R {
        &mut self.ring
    }

    /// When the shard has to be entered at the latest: for a simulation, which does not sleep.
    #[must_use]
    pub fn wants_turn_at(&self) -> Nanos {
        if self.has_work() || self.ring.has_work() { self.now } else { self.next_deadline() }
    }

    /// Whether it was told to end and has: for a simulation, which calls [`Shard::turn`] itself.
    pub fn try_finish(&mut self) -> bool {
        let over = self.is_over();
        if over {
            self.tap.finish();
        }
        over
    }
}

//! Requests out of connections' inputs, and answers into their outputs.

use super::{
    Shard,
    connection::{Connection, Deadline, Phase},
    control::Stage,
};
use crate::{
    clock::Clock,
    config::Deadlines,
    conn::{Awaits, Step},
    http::{
        answer::{self, Answer, UNAVAILABLE},
        error::HttpError,
        head::header_space,
    },
    ring::Ring,
    roles::{Request, Situation},
};
use std::time::Duration;

/// BOUND: requests of one turn.
const REQUESTS_MAX: u32 = 32;

/// BOUND: time of one turn that goes into requests.
const TURN_NANOS: u64 = 50_000;

/// BOUND: requests of one connection before the next one has its turn.
const IN_A_ROW_MAX: u32 = 8;

/// Output blocks that are kept free: a request is answered only if its answer can be written.
const BLOCKS_SPARE: usize = 8;

/// What became of a connection's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It has nothing more, or enough for now, or cannot be answered before something was sent.
    Paused,
    /// No further request of it is read.
    Over,
}

impl<R: Ring, C: Clock> Shard<R, C> {
    /// Serves connections in turn until the turn's budget is used up.
    pub(super) fn serve(&mut self) {
        let mut budget = REQUESTS_MAX;
        let until = self.now.0 + TURN_NANOS;
        // Every connection in the queue is looked at once at most.
        for _ in 0..self.runnable.len() {
            if budget == 0 || self.now.0 >= until || self.tap.is_full() {
                break;
            }
            if self.blocks.free_count() < BLOCKS_SPARE {
                break;
            }
            let Some(slot) = self.runnable.pop_front() else { break };
            let connection = &mut self.connections[slot as usize];
            connection.queued = false;
            if connection.phase != Phase::Open {
                continue;
            }
            let turn = self.serve_one(slot, &mut budget, until);
            let connection = &mut self.connections[slot as usize];
            if turn == Turn::Over && connection.phase == Phase::Open {
                connection.phase = Phase::Finishing;
            }
            // Puts it back into the queue, behind the others, if it has more.
            self.advance(slot);
        }
        let used = self.blocks.count() - self.blocks.free_count();
        self.counters.blocks_in_use.set(used as u64);
    }

    /// Serves requests of one connection.
    fn serve_one(&mut self, slot: u32, budget: &mut u32, until: u64) -> Turn {
        for _ in 0..IN_A_ROW_MAX {
            let congested = self.connections[slot as usize].is_congested();
            if congested || *budget == 0 || self.now.0 >= until || self.tap.is_full() {
                return Turn::Paused;
            }
            match self.serve_request(slot) {
                Ok(true) => *budget -= 1,
                Ok(false) => return Turn::Paused,
                Err(None) => return Turn::Over,
                Err(Some(error)) => {
                    self.refuse(slot, error);
                    return Turn::Over;
                }
            }
        }
        Turn::Paused
    }

    /// Reads on in a connection's first input, and answers the request that is complete in it.
    /// `Ok(false)` when there is none, `Err` when the connection is over.
    fn serve_request(&mut self, slot: u32) -> Result<bool, Option<HttpError>> {
        let connection = &mut self.connections[slot as usize];
        let listener = &mut self.listeners[usize::from(connection.listener)];
        let Some(input) = self.inputs.front(&connection.inputs) else { return Ok(false) };
        let arrived = input.arrived;
        let all = self.buffers.bytes(&input.buffer);
        let bytes = &all[input.consumed..];
        let mut space = header_space();
        let step = connection.conn.step(bytes, &mut self.pool, &mut space, listener.body_max);
        let (head, body, consumed) = match step {
            Step::Request { head, body, consumed } => (head, body, consumed),
            Step::Refuse(error) => return Err(Some(error)),
            Step::More { wants_continue } => {
                if let Some(buffer) = self.inputs.pop(&mut connection.inputs) {
                    self.ring.give_back(buffer);
                }
                if wants_continue {
                    connection.output.put(&mut self.blocks, answer::CONTINUE);
                }
                let (kind, time) = waiting_for(connection, &listener.deadlines);
                // The time for a head runs from its first byte, and is not begun anew by each.
                if connection.deadline.1 != kind || kind == Deadline::Idle {
                    self.set_deadline(slot, kind, time);
                }
                return Ok(self.connections[slot as usize].inputs.count > 0);
            }
        };
        input.consumed += consumed;
        let dry = input.consumed == all.len();
        let client =
            listener.client(connection.address, &connection.peer, head.fields.forwarded_for);
        let request = Request { head: &head, body, peer: &connection.peer, client: &client };
        let situation = Situation {
            clock: &self.clock,
            arrived,
            time: self.wall.at(arrived),
            ready: self.control.is_listener_ready(usize::from(connection.listener)),
        };
        let closing = self.control.stage() >= Stage::Drain;
        let mut answer =
            Answer::new(&mut connection.output, &mut self.blocks, &self.head_end, &head, closing);
        let served = listener.service.serve(&request, &situation, &mut answer, &mut self.tap);
        if !answer.is_complete() {
            // It found no room in the blocks, or the role forgot to answer: not the client's fault.
            answer.instead(listener.refusal.unwrap_or(&UNAVAILABLE));
        }
        let (status, start) = (answer.status(), answer.start());
        let (complete, keeps_alive) = (answer.is_complete(), answer.keeps_alive());
        let nanos = served.done_at.since(arrived);
        self.now = served.done_at.max(self.now);
        let counters = listener.counters(&self.counters);
        counters.answered(status, nanos);
        if let Some(outcome) = served.outcome {
            counters.outcomes[outcome].add(1);
        }
        self.latency.record(connection.listener, nanos);
        connection.conn.finish(&mut self.pool);
        if dry && let Some(buffer) = self.inputs.pop(&mut connection.inputs) {
            self.ring.give_back(buffer);
        }
        if let Some(topic) = served.waits_for {
            // The event may have closed the batch before its own; those who wait for that one must
            // have their ticket before this one waits for the next.
            self.take_news();
            let connection = &mut self.connections[slot as usize];
            let token = connection.token(slot);
            connection.hold(start);
            self.holds.hold(topic, token, start);
        }
        self.set_idle(slot);
        if complete && keeps_alive { Ok(true) } else { Err(None) }
    }

    /// A request was answered: the time until the next one runs.
    #[inline]
    fn set_idle(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let idle = self.listeners[usize::from(connection.listener)].deadlines.idle;
        self.set_deadline(slot, Deadline::Idle, idle);
    }

    /// Answers with what the role says then, or the error's status, and reads no further.
    pub(super) fn refuse(&mut self, slot: u32, error: HttpError) {
        let connection = &mut self.connections[slot as usize];
        let listener = &self.listeners[usize::from(connection.listener)];
        listener.counters(&self.counters).refused[error as usize].add(1);
        let end = &self.head_end;
        let own = listener.refusal;
        let written = answer::refuse(&mut connection.output, &mut self.blocks, end, error, own);
        connection.conn.finish(&mut self.pool);
        connection.phase = if written { Phase::Finishing } else { Phase::Aborting };
    }
}

/// What a connection is waited for, and how long.
pub(super) fn waiting_for(connection: &Connection, deadlines: &Deadlines) -> (Deadline, Duration) {
    match connection.conn.awaits() {
        Awaits::Request => (Deadline::Idle, deadlines.idle),
        Awaits::Head => (Deadline::Head, deadlines.head),
        Awaits::Body => (Deadline::Body, deadlines.body),
    }
}

//! Completions, and the phases of a connection's life.
//!
//! ```text
//!  Free ─accept─▶ Open ─last answer─▶ Finishing ─all sent─▶ Lingering ─EOF or deadline─▶ Aborting
//!                  │  └─── broken, late, not allowed ──────────────────────────────────────▲  │
//!                  └──── EOF, nothing to send ─────────────────────────────────────────────┘  ▼
//!  Free ◀───────────────────────────────────────────────────────────────────────────────── Closing
//! ```

use super::{
    Shard,
    connection::{Connection, Deadline, Phase},
    inputs::Input,
    serve::waiting_for,
};
use crate::{
    clock::{Clock, Nanos},
    http::error::HttpError,
    ring::{Completion, ConnToken, ListenerIndex, ReceiveEnd, Ring},
};
use rustix::io::Errno;
use std::{net::SocketAddr, time::Duration};

/// How long the other end may take to be done once we are.
const LINGER: Duration = Duration::from_secs(2);

/// BOUND: buffers of one connection that wait to be read; one that sends more is read on later.
const INPUTS_MAX: u32 = 4;

impl<R: Ring, C: Clock> Shard<R, C> {
    /// Takes everything that the entering brought. Bytes in it came at `arrived` at the earliest.
    pub(super) fn take_completions(&mut self, arrived: Nanos) {
        let turn = self.counters.turns.read();
        while let Some(completion) = self.ring.next() {
            match completion {
                Completion::Received { conn, buffer, more } => {
                    let connection = &mut self.connections[conn.slot as usize];
                    connection.receiving = more;
                    let arrived = connection.beginning.next(arrived, self.now, turn);
                    connection.beginning.end();
                    let input = Input { buffer, consumed: 0, arrived };
                    let counters = &self.counters.listeners[usize::from(connection.listener)];
                    counters.received_bytes.add(input.buffer.len() as u64);
                    match connection.phase {
                        Phase::Open => {
                            self.inputs.push(&mut connection.inputs, input);
                            self.enqueue(conn.slot);
                        }
                        // What comes behind the last request is thrown away.
                        _ => self.ring.give_back(input.buffer),
                    }
                    if !more {
                        self.advance(conn.slot);
                    }
                }
                Completion::ReceiveEnded { conn, end } => self.receive_ended(conn, end),
                Completion::Sent { conn, result } => self.sent(conn, result),
                Completion::Shut { conn } => {
                    self.connections[conn.slot as usize].shutting = false;
                    self.advance(conn.slot);
                }
                Completion::Closed { conn } => self.closed(conn),
                Completion::Accepted { listener, slot, peer } => {
                    self.accepted(listener, slot, peer, arrived);
                }
                Completion::AcceptFailed { listener, error } => self.accept_failed(listener, error),
                Completion::Woken => {}
            }
        }
    }

    fn accepted(&mut self, listener: ListenerIndex, slot: u32, peer: SocketAddr, arrived: Nanos) {
        let address = peer.ip().to_canonical();
        let connection = &mut self.connections[slot as usize];
        debug_assert_eq!(connection.phase, Phase::Free, "the kernel gives out free slots");
        connection.open(listener.0, address);
        let token = connection.token(slot);
        let listener = &mut self.listeners[usize::from(listener.0)];
        let turn = self.counters.turns.read();
        let arrived = listener.backlog.next(arrived, self.now, turn);
        connection.beginning.next(arrived, self.now, turn);
        listener.accept_is_over();
        listener.connections += 1;
        let counters = listener.counters(&self.counters);
        counters.accepted.add(1);
        counters.open.set(u64::from(listener.connections));
        if listener.closed || !listener.allow.contain(address) {
            if !listener.closed {
                counters.not_allowed.add(1);
            }
            connection.phase = Phase::Aborting;
            return self.advance(slot);
        }
        connection.receiving = true;
        let idle = listener.deadlines.idle;
        self.ring.receive(token);
        self.set_deadline(slot, Deadline::Idle, idle);
    }

    fn accept_failed(&mut self, listener: ListenerIndex, error: Errno) {
        let listener = &mut self.listeners[usize::from(listener.0)];
        listener.accept_is_over();
        if error != Errno::CANCELED {
            listener.back_off(self.now);
            listener.counters(&self.counters).accept_errors.add(1);
        }
    }

    fn receive_ended(&mut self, token: ConnToken, end: ReceiveEnd) {
        let connection = &mut self.connections[token.slot as usize];
        debug_assert_eq!(connection.generation, token.generation);
        connection.receiving = false;
        connection.cancelling = false;
        match end {
            ReceiveEnd::Eof => connection.eof = true,
            ReceiveEnd::NoBuffers => {
                self.counters.starved.add(1);
                if !std::mem::replace(&mut connection.starved, true) {
                    self.starving.push_back(token.slot);
                }
            }
            ReceiveEnd::Cancelled => {}
            ReceiveEnd::Failed(_) => self.broken(token.slot),
        }
        self.advance(token.slot);
    }

    fn sent(&mut self, token: ConnToken, result: Result<u32, Errno>) {
        let connection = &mut self.connections[token.slot as usize];
        debug_assert_eq!(connection.generation, token.generation);
        let bytes = result.unwrap_or(0);
        connection.output.finish_send(&mut self.blocks, bytes);
        let listener = &self.listeners[usize::from(connection.listener)];
        listener.counters(&self.counters).sent_bytes.add(u64::from(bytes));
        match result {
            Ok(bytes) if bytes > 0 => {
                if connection.deadline.1 == Deadline::Write {
                    let takes = connection.phase == Phase::Open && !connection.is_congested();
                    let (kind, time) = match takes {
                        true => waiting_for(connection, &listener.deadlines),
                        false => (Deadline::Write, listener.deadlines.write),
                    };
                    self.set_deadline(token.slot, kind, time);
                }
            }
            Ok(_) | Err(_) => self.broken(token.slot),
        }
        self.advance(token.slot);
    }

    fn closed(&mut self, token: ConnToken) {
        let connection = &mut self.connections[token.slot as usize];
        debug_assert_eq!(connection.phase, Phase::Closing);
        connection.phase = Phase::Free;
        let listener = &mut self.listeners[usize::from(connection.listener)];
        listener.connections -= 1;
        let counters = listener.counters(&self.counters);
        counters.closed.add(1);
        counters.open.set(u64::from(listener.connections));
    }

    /// The other end is gone in the middle of something.
    fn broken(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if !matches!(connection.phase, Phase::Aborting | Phase::Closing | Phase::Free) {
            let listener = &self.listeners[usize::from(connection.listener)];
            listener.counters(&self.counters).broken.add(1);
            connection.phase = Phase::Aborting;
        }
    }

    /// Does what a connection's state allows next: send, receive, shut, close.
    pub(super) fn advance(&mut self, slot: u32) {
        match self.connections[slot as usize].phase {
            Phase::Open => self.advance_open(slot),
            Phase::Finishing => self.advance_finishing(slot),
            Phase::Lingering => self.advance_lingering(slot),
            Phase::Aborting => self.advance_aborting(slot),
            Phase::Closing | Phase::Free => {}
        }
    }

    fn advance_open(&mut self, slot: u32) {
        self.send(slot);
        let connection = &mut self.connections[slot as usize];
        let congested = connection.is_congested();
        let behind = congested || connection.inputs.count > INPUTS_MAX;
        if connection.receiving {
            if behind && !std::mem::replace(&mut connection.cancelling, true) {
                self.ring.cancel_receive(connection.token(slot));
            }
        } else if !behind && !connection.eof && !connection.starved {
            connection.receiving = true;
            self.ring.receive(connection.token(slot));
        }
        if congested {
            self.expect_taking(slot);
        } else if connection.inputs.count > 0 {
            self.enqueue(slot);
        } else if connection.eof {
            // The other end is done; when our answers are out, so are we.
            connection.phase = Phase::Finishing;
            self.advance_finishing(slot);
        }
    }

    fn advance_finishing(&mut self, slot: u32) {
        self.drop_inputs(slot);
        self.send(slot);
        let connection = &mut self.connections[slot as usize];
        if connection.output.unsent() > 0 || connection.output.is_sending() {
            return self.expect_taking(slot);
        }
        let token = connection.token(slot);
        if connection.eof {
            connection.phase = Phase::Aborting;
            return self.advance_aborting(slot);
        }
        connection.phase = Phase::Lingering;
        connection.shutting = true;
        self.ring.shut_write(token);
        self.set_deadline(slot, Deadline::Linger, LINGER);
        self.advance_lingering(slot);
    }

    fn advance_lingering(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if connection.eof {
            connection.phase = Phase::Aborting;
            self.advance_aborting(slot);
        } else if !connection.receiving && !connection.starved {
            connection.receiving = true;
            self.ring.receive(connection.token(slot));
        }
    }

    /// Waits until nothing of the connection is with the kernel, and then closes it.
    fn advance_aborting(&mut self, slot: u32) {
        self.drop_inputs(slot);
        let connection = &mut self.connections[slot as usize];
        let token = connection.token(slot);
        if !connection.is_busy() {
            connection.output.clear(&mut self.blocks);
            connection.conn.finish(&mut self.pool);
            connection.phase = Phase::Closing;
            self.wheel.clear(slot);
            self.ring.close(token);
        } else if !connection.shutting && !connection.eof {
            // Shutting both sides ends what is under way. Marked as EOF, so that it is done once.
            connection.eof = true;
            connection.shutting = true;
            self.ring.shut(token);
            if connection.receiving && !std::mem::replace(&mut connection.cancelling, true) {
                self.ring.cancel_receive(token);
            }
        }
    }

    /// Answers wait for the other end to take them, and that has a deadline too.
    fn expect_taking(&mut self, slot: u32) {
        let connection = &self.connections[slot as usize];
        if connection.deadline.1 != Deadline::Write {
            let write = self.listeners[usize::from(connection.listener)].deadlines.write;
            self.set_deadline(slot, Deadline::Write, write);
        }
    }

    fn send(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        let token = connection.token(slot);
        if let Some(span) = connection.output.start_send(&self.blocks) {
            self.ring.send(token, span);
        }
    }

    /// Puts a connection in the queue of those to be served.
    fn enqueue(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if !std::mem::replace(&mut connection.queued, true) {
            self.runnable.push_back(slot);
        }
    }

    fn drop_inputs(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        while let Some(buffer) = self.inputs.pop(&mut connection.inputs) {
            self.ring.give_back(buffer);
        }
    }

    /// Lets those receive again that had found no buffer, as far as buffers came back.
    pub(super) fn feed_starving(&mut self) {
        let count = usize::from(self.buffers.count());
        for _ in 0..self.starving.len() {
            if self.inputs.in_use * 4 > count * 3 {
                return;
            }
            let Some(slot) = self.starving.pop_front() else { return };
            self.connections[slot as usize].starved = false;
            self.advance(slot);
        }
    }

    pub(super) fn set_deadline(&mut self, slot: u32, kind: Deadline, time: Duration) {
        let deadline = self.now.after(time);
        let connection = &mut self.connections[slot as usize];
        let sooner = deadline < connection.deadline.0 || connection.deadline.0 <= self.now;
        connection.deadline = (deadline, kind);
        // A later one is found out about when the sooner one comes round.
        if sooner {
            self.wheel.set(slot, deadline);
        }
    }

    /// Ends what has taken too long.
    pub(super) fn expire(&mut self) {
        while let Some(slot) = self.wheel.pop_due(self.now) {
            let connection = &mut self.connections[slot as usize];
            let (deadline, kind) = connection.deadline;
            if deadline > self.now {
                self.wheel.set(slot, deadline);
                continue;
            }
            if matches!(connection.phase, Phase::Free | Phase::Closing) {
                continue;
            }
            self.too_late(slot, kind);
        }
    }

    fn too_late(&mut self, slot: u32, kind: Deadline) {
        let connection = &mut self.connections[slot as usize];
        let counters = self.listeners[usize::from(connection.listener)].counters(&self.counters);
        match kind {
            Deadline::Head => self.refuse(slot, HttpError::HeadTimeout),
            Deadline::Body => self.refuse(slot, HttpError::BodyTimeout),
            Deadline::Idle => {
                counters.idle_timeouts.add(1);
                connection.phase = Phase::Finishing;
            }
            Deadline::Write if connection.held.is_empty() => {
                counters.write_timeouts.add(1);
                connection.phase = Phase::Aborting;
            }
            // It is we who make it wait.
            Deadline::Write => {
                let write = self.listeners[usize::from(connection.listener)].deadlines.write;
                return self.set_deadline(slot, Deadline::Write, write);
            }
            Deadline::Linger => connection.phase = Phase::Aborting,
        }
        self.advance(slot);
    }

    /// Closes a connection that waits for a request, as a drain does.
    pub(super) fn finish_if_idle(&mut self, slot: u32) {
        let connection: &Connection = &self.connections[slot as usize];
        if connection.phase == Phase::Open && connection.inputs.count == 0 {
            self.connections[slot as usize].phase = Phase::Finishing;
            self.advance(slot);
        }
    }
}

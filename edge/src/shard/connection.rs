//! A connection as the shard keeps it: where it stands, what it has received, what it has to send.

use super::{arrival::Chain, holds::Held, inputs::InputList};
use crate::{
    clock::Nanos,
    conn::Conn,
    ring::{ConnToken, output::Output},
};
use brink_proto::event::AddressText;
use std::net::IpAddr;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The slot has no connection.
    Free,
    /// Requests are served.
    Open,
    /// No further request is read; answers leave, and then the write side is shut.
    Finishing,
    /// The write side is shut. What still comes is thrown away, until the other end is done too: a
    /// close with unread bytes would reset the connection and take the last answer with it.
    Lingering,
    /// It is being torn down: whatever is under way has to end first.
    Aborting,
    /// The close is under way.
    Closing,
}

/// What ends at a connection's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    Idle,
    Head,
    Body,
    Write,
    Linger,
}

/// A connection.
pub(super) struct Connection {
    pub(super) phase: Phase,
    pub(super) generation: u32,
    pub(super) listener: u16,
    pub(super) address: IpAddr,
    pub(super) peer: AddressText,
    pub(super) conn: Conn,
    pub(super) inputs: InputList,
    pub(super) output: Output,
    pub(super) held: Held,
    /// A receive is under way.
    pub(super) receiving: bool,
    /// Its cancel is under way.
    pub(super) cancelling: bool,
    /// A shutdown is under way.
    pub(super) shutting: bool,
    /// The other end will send no more.
    pub(super) eof: bool,
    /// It is in the queue of those to be served.
    pub(super) queued: bool,
    /// It waits for receive buffers.
    pub(super) starved: bool,
    /// When its first bytes can have come at the earliest.
    pub(super) beginning: Chain,
    /// When it is too late, and for what.
    pub(super) deadline: (Nanos, Deadline),
}

impl Connection {
    pub(super) fn free() -> Connection {
        Connection {
            phase: Phase::Free,
            generation: 0,
            listener: 0,
            address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            peer: AddressText::new(std::net::Ipv4Addr::UNSPECIFIED.into()),
            conn: Conn::default(),
            inputs: InputList::default(),
            output: Output::default(),
            held: Held::default(),
            receiving: false,
            cancelling: false,
            shutting: false,
            eof: false,
            queued: false,
            starved: false,
            beginning: Chain::NONE,
            deadline: (Nanos(0), Deadline::Idle),
        }
    }

    /// Begins a connection in this slot.
    pub(super) fn open(&mut self, listener: u16, address: IpAddr) {
        let generation = (self.generation + 1) & 0xFF_FFFF;
        *self = Connection {
            phase: Phase::Open,
            generation,
            listener,
            address,
            peer: AddressText::new(address),
            // The slot still stands in the queues that the one before has left it in. It stands in
            // each of them once, so that they never grow.
            queued: self.queued,
            starved: self.starved,
            ..Connection::free()
        };
    }

    pub(super) fn token(&self, slot: u32) -> ConnToken {
        ConnToken { slot, generation: self.generation }
    }

    /// What it sends from there on waits until somebody releases it.
    pub(super) fn hold(&mut self, position: u64) {
        self.held.push(position);
        self.output.hold(position);
    }

    /// Whether an operation of it is with the kernel.
    pub(super) fn is_busy(&self) -> bool {
        self.receiving || self.shutting || self.output.is_sending()
    }

    /// Whether it has so much to send that nothing further is read from it.
    #[inline]
    pub(super) fn is_congested(&self) -> bool {
        self.output.unsent() > UNSENT_MAX || self.held.is_full()
    }
}

/// BOUND: bytes that wait to be sent before nothing further is read. The answer that exceeds it is
/// still written as a whole.
const UNSENT_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_taken_anew_keeps_its_places_in_the_queues() {
        let mut connection = Connection::free();
        connection.open(0, [127, 0, 0, 1].into());
        assert!(!connection.queued && !connection.starved);
        (connection.queued, connection.starved, connection.eof) = (true, true, true);
        connection.open(0, [127, 0, 0, 1].into());
        assert!(connection.queued && connection.starved && !connection.eof);
    }
}

//! The ring: how a shard talks to the kernel, in one call per turn.
//!
//! [`Ring`] is a seam. [`uring`] is the real one; the simulation in `tests/` has another, with the
//! same buffers and blocks, under virtual time. A shard queues operations, enters once, and takes
//! the completions out.
//!
//! Invariants of every ring: at most one send and one receive of a connection are under way. Every
//! operation on a connection ends with a completion that carries its token, so that a completion of
//! a connection that was closed is never taken for one of its successor in the same slot.

#![allow(unsafe_code, reason = "memory shared with the kernel, and the io_uring crate's queues")]

pub mod blocks;
pub mod output;
pub mod receive;
pub mod uring;

mod region;

use blocks::Span;
use receive::Buffer;
use rustix::io::Errno;
use std::{net::SocketAddr, time::Duration};

/// A connection: its slot in the ring's file table, and which of the connections that have had this
/// slot it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnToken {
    /// Slot.
    pub slot: u32,
    /// 24 bits, counted up whenever the slot is given anew.
    pub generation: u32,
}

/// A listener of this shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerIndex(pub u16);

/// A shard of this appliance: this one or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardIndex(pub u16);

/// What an operation came to.
#[derive(Debug)]
pub enum Completion {
    /// A connection was accepted into `slot`; the accept has to be armed again.
    Accepted {
        /// The listener.
        listener: ListenerIndex,
        /// Where it lives now.
        slot: u32,
        /// Its other end.
        peer: SocketAddr,
    },
    /// An accept ended without a connection and has to be armed again.
    AcceptFailed {
        /// The listener.
        listener: ListenerIndex,
        /// Why.
        error: Errno,
    },
    /// Bytes came in.
    Received {
        /// The connection.
        conn: ConnToken,
        /// Where they lie. Must be given back.
        buffer: Buffer,
        /// Whether the receive goes on by itself.
        more: bool,
    },
    /// The receive is over.
    ReceiveEnded {
        /// The connection.
        conn: ConnToken,
        /// Why.
        end: ReceiveEnd,
    },
    /// A send is over: bytes that the kernel has taken.
    Sent {
        /// The connection.
        conn: ConnToken,
        /// Bytes, or why none.
        result: Result<u32, Errno>,
    },
    /// The write side is shut, or both are.
    Shut {
        /// The connection.
        conn: ConnToken,
    },
    /// The connection's slot is free.
    Closed {
        /// The connection that was.
        conn: ConnToken,
    },
    /// Another thread woke this one.
    Woken,
}

/// Why a receive is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// The other end will send no more.
    Eof,
    /// All buffers are in use; arm again when some were given back.
    NoBuffers,
    /// It was cancelled by us.
    Cancelled,
    /// The connection is broken.
    Failed(Errno),
}

/// How long to stay in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until something completes, at most so long.
    AtMost(Duration),
}

/// The ring cannot be entered. Nothing can be served without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingBroken(pub Errno);

/// How a shard talks to the kernel.
pub trait Ring {
    /// Queues an accept. Whoever arms it has a free slot for what comes.
    fn accept(&mut self, listener: ListenerIndex);
    /// Stops the accepts of a listener; each ends with [`Completion::AcceptFailed`].
    fn cancel_accepts(&mut self, listener: ListenerIndex);
    /// Queues a receive that goes on until it ends.
    fn receive(&mut self, conn: ConnToken);
    /// Stops a receive; it ends with [`Completion::ReceiveEnded`].
    fn cancel_receive(&mut self, conn: ConnToken);
    /// Queues a send of what a block holds.
    fn send(&mut self, conn: ConnToken, span: Span);
    /// Shuts the write side: the other end sees the end of our answers.
    fn shut_write(&mut self, conn: ConnToken);
    /// Shuts both sides: a receive under way ends.
    fn shut(&mut self, conn: ConnToken);
    /// Frees the slot. No other operation of the connection is under way.
    fn close(&mut self, conn: ConnToken);
    /// Queues a wake-up of a shard that may sleep in its own ring.
    fn wake(&mut self, shard: ShardIndex);
    /// Gives a buffer back, to be received into again.
    fn give_back(&mut self, buffer: Buffer);

    /// Hands what was queued to the kernel and takes what completed, in one call.
    ///
    /// # Errors
    /// [`RingBroken`] when the kernel refuses, which it does only when we are wrong.
    fn enter(&mut self, wait: Wait) -> Result<(), RingBroken>;
    /// Whether something was queued that the kernel does not have yet.
    fn has_queued(&self) -> bool;
    /// Whether entering would bring completions. Looks at memory alone.
    fn has_work(&self) -> bool;
    /// Whether the kernel has left work undone that another entering would do: it stops after some
    /// completions of one entering, however many wait.
    fn has_more(&self) -> bool;
    /// The next completion.
    fn next(&mut self) -> Option<Completion>;
    /// How often the kernel was entered, and how often more than once in a turn because the queue
    /// was full.
    fn enters(&self) -> (u64, u64);
}

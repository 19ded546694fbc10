//! One stream of requests to one server: what is due on it, and over which connections it goes.

use crate::schedule::{Due, Schedule};
use std::{collections::VecDeque, net::SocketAddr};

/// One stream of requests to one server, over connections of its own.
pub(super) struct Lane<S> {
    pub(super) address: SocketAddr,
    pub(super) schedule: Schedule,
    pub(super) scenario: S,
    pub(super) connections: usize,
    /// Whether requests are due whenever a connection is free.
    pub(super) saturates: bool,
    /// The request to come.
    pub(super) next: Option<Due>,
    /// Whether that was found due and waits for a connection.
    pub(super) waits: bool,
    /// The last moment at which a request was due and no connection was free; 0, if there was none.
    pub(super) all_busy: u64,
    /// Connections without a request, the one free longest first. BOUND: each stands in it once.
    pub(super) free: VecDeque<usize>,
    /// Connections that are there, or will be made again.
    pub(super) live: usize,
}

impl<S> Lane<S> {
    /// The request to come, if it is due.
    pub(super) fn due(&self, now: u64, end: u64) -> Option<Due> {
        if self.saturates {
            let due = self.next.filter(|_| now < end && !self.free.is_empty())?;
            return Some(Due { number: due.number, at: now });
        }
        self.next.filter(|due| due.at <= now)
    }

    /// Nothing more becomes due. A request that waits for a connection has been taken up already.
    pub(super) fn stop(&mut self) {
        self.schedule.stop();
        self.next = self.next.filter(|_| self.waits);
    }

    /// How late the generator itself is with a request. While every connection was busy it was the
    /// server that kept requests waiting: counted as the generator's, that would spoil the very
    /// windows in which a server stalls.
    pub(super) fn own_lag(&self, due: Due, now: u64) -> u64 {
        now.saturating_sub(due.at.max(self.all_busy))
    }
}

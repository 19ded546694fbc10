//! When a request's clock starts.
//!
//! Bytes that are seen now were not there when the ring was looked at last, so they cannot have
//! waited longer than since then. That moment is their arrival: a shard that was stalled, by a
//! neighbour, by the hypervisor or by SIGSTOP, takes a late request for a late one.
//!
//! ```text
//!  looked ──── nothing was there ──── looked again: whatever came may be as old as this gap
//!  looked ──── slept in the kernel ── woken in time: what came woke us, and is new
//!  looked ──── slept in the kernel ── woken too late: we were stalled, see the first line
//! ```
//!
//! The kernel takes some completions per entering and leaves the rest for the next one. What is
//! left behind by a stall is as old as the rest of it ([`Carried`]), and so is what a connection
//! brings that waited in the backlog meanwhile ([`Chain`]).

use crate::{clock::Nanos, ring::Ring};
use std::time::Duration;

/// The moment before which nothing that is still unseen can have come.
#[derive(Debug)]
pub(super) struct Arrival {
    quiet_at: Nanos,
    carried: Option<Carried>,
}

/// What a stall has left behind: as old as `since`, until so many more enterings are over.
#[derive(Debug, Clone, Copy)]
struct Carried {
    since: Nanos,
    enters: u32,
}

/// A sleep that ended this much behind its time was a stall.
const LATE_WAKE: Duration = Duration::from_millis(1);

/// Longer than this between looking and going to sleep, and something may have come meanwhile.
const STALL: Duration = Duration::from_micros(50);

/// A gap of this length is worth being carried to what the kernel has left for later. Shorter ones
/// are every busy shard's, and carrying them would make a queue that only moves look stalled.
const CARRY: Duration = Duration::from_millis(1);

/// Completions that the kernel makes in one entering at least, before it leaves the rest.
const MADE_MIN: u32 = 16;

impl Arrival {
    pub(super) fn new(now: Nanos) -> Arrival {
        Arrival { quiet_at: now, carried: None }
    }

    /// The ring was entered and left at `now`; `slept_until` is when it would have been left at the
    /// latest, if it was allowed to sleep; `open` counts the connections. When what it brought can
    /// have come at the earliest.
    #[inline]
    pub(super) fn entered(
        &mut self,
        now: Nanos,
        slept_until: Option<Nanos>,
        ring: &impl Ring,
        open: impl FnOnce() -> u32,
    ) -> Nanos {
        let before = self.quiet_at;
        let arrived = match slept_until {
            None => before,
            Some(deadline) if ring.has_work() => {
                // It slept only if it was away for longer than an entering takes, and was woken by
                // what came only if that was not later than it would have woken by itself.
                let slept = now.since(before) > STALL.as_nanos() as u64;
                if slept && is_in_time(now, deadline) { now } else { before }
            }
            Some(deadline) => {
                // Woken by nothing: the time was up, or a signal stopped us for who knows how long.
                if now >= deadline && is_in_time(now, deadline) {
                    self.quiet_at = now;
                }
                return before;
            }
        };
        self.quiet_at = now;
        let stalled = now.since(arrived) > CARRY.as_nanos() as u64;
        if !stalled && self.carried.is_none() {
            return arrived;
        }
        self.carry(arrived, stalled, ring.has_more(), open())
    }

    /// Lets what a stall has left behind be as old as the stall.
    #[cold]
    fn carry(&mut self, arrived: Nanos, stalled: bool, has_more: bool, open: u32) -> Nanos {
        let since = self.carried.map_or(arrived, |carried| carried.since.min(arrived));
        self.carried = match self.carried {
            _ if !has_more => None,
            Some(carried) if carried.enters > 0 => {
                Some(Carried { since, enters: carried.enters - 1 })
            }
            // Each connection has one receive under way, so no more completions than that wait.
            None if stalled => Some(Carried { since, enters: open / MADE_MIN + 1 }),
            _ => None,
        };
        since
    }

    /// The ring was looked at and had nothing.
    #[inline]
    pub(super) fn saw_nothing(&mut self, now: Nanos) {
        self.quiet_at = now;
    }

    /// Whether so much time has passed since the ring was looked at that it must be looked at again
    /// before going to sleep: what came meanwhile would be taken for fresh.
    #[inline]
    pub(super) fn is_suspect(&self, now: Nanos) -> bool {
        now.since(self.quiet_at) > STALL.as_nanos() as u64
    }
}

/// Whether a sleep did not end much later than it was to.
#[inline]
fn is_in_time(now: Nanos, deadline: Nanos) -> bool {
    now.since(deadline) < LATE_WAKE.as_nanos() as u64
}

/// Things of which each can wait behind the one before: accepts of a listener, and the first bytes
/// of what was accepted. What is there in the turn after a stall, or behind something that was, has
/// waited through it as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    arrived: Nanos,
    turn: u64,
    /// BOUND: turns that a stall is still seen in. A backlog is served at four accepts a turn.
    turns_left: u32,
}

/// See [`Chain`]; a backlog of a thousand is longer than exchanges keep.
const CHAIN_TURNS_MAX: u32 = 256;

impl Chain {
    pub(super) const NONE: Chain = Chain { arrived: Nanos(u64::MAX), turn: 0, turns_left: 0 };

    /// The next one was taken at `now`, in a turn; when it can have come at the earliest.
    #[inline]
    pub(super) fn next(&mut self, arrived: Nanos, now: Nanos, turn: u64) -> Nanos {
        let same_turn = turn == self.turn;
        let follows = same_turn || self.turns_left > 0 && turn - self.turn == 1;
        let arrived = if follows { arrived.min(self.arrived) } else { arrived };
        let turns_left = match () {
            () if same_turn => self.turns_left,
            () if follows => self.turns_left - 1,
            () if now.since(arrived) > CARRY.as_nanos() as u64 => CHAIN_TURNS_MAX,
            () => 0,
        };
        *self = Chain { arrived, turn, turns_left };
        arrived
    }

    /// Nothing waits behind this turn any more. The first bytes of a connection may be in several
    /// buffers, but all that waited with them comes in the turn in which it is first read from.
    #[inline]
    pub(super) fn end(&mut self) {
        self.turns_left = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_behind_a_stall_is_as_old() {
        let ms = |ms: u64| Nanos(ms * 1_000_000);
        let mut chain = Chain::NONE;
        let rows = [
            (1, 1, 1, 1),
            (2, 2, 2, 2), // no stall, so nothing waits behind one
            (10, 60, 7, 10),
            (60, 61, 8, 10), // in the turn behind it
            (61, 61, 8, 10), // in the same one
            (70, 70, 10, 70),
            (71, 71, 11, 71),
        ];
        for (arrived, now, turn, want) in rows {
            assert_eq!(chain.next(ms(arrived), ms(now), turn), ms(want), "{arrived} in {turn}");
        }
        chain.next(ms(100), ms(150), 100);
        let late = (101..1000).filter(|turn| chain.next(ms(151), ms(151), *turn) == ms(100));
        assert_eq!(late.count(), CHAIN_TURNS_MAX as usize);
    }

    #[test]
    fn all_that_is_read_first_is_as_old_and_nothing_that_comes_later() {
        let ms = |ms: u64| Nanos(ms * 1_000_000);
        let mut chain = Chain::NONE;
        assert_eq!(chain.next(ms(0), ms(50), 7), ms(0), "accepted behind a stall");
        for (turn, want) in [(8, 0), (8, 0), (9, 53), (10, 54)] {
            let now = ms(44 + turn);
            assert_eq!(chain.next(now, now, turn), ms(want), "read in {turn}");
            chain.end();
        }
    }

    #[test]
    fn a_stall_is_carried_to_what_the_kernel_left_behind_and_no_further() {
        let ms = |ms: u64| Nanos(ms * 1_000_000);
        let mut arrival = Arrival::new(ms(0));
        // 40 connections: 3 enterings may bring what the stall has left.
        let rows = [
            (ms(0), ms(50), true, ms(0)),
            (ms(50), ms(51), true, ms(0)),
            (ms(51), ms(52), true, ms(0)),
            (ms(52), ms(53), true, ms(0)),
            (ms(53), ms(54), true, ms(0)),
            (ms(54), ms(54), true, ms(54)),
            (ms(60), ms(70), true, ms(60)),
            (ms(70), ms(70), false, ms(60)),
            (ms(71), ms(71), true, ms(71)),
        ];
        for (at, (arrived, now, has_more, want)) in rows.into_iter().enumerate() {
            let stalled = now.since(arrived) > CARRY.as_nanos() as u64;
            assert_eq!(arrival.carry(arrived, stalled, has_more, 40), want, "row {at}");
        }
    }
}

//! Answers that wait until their events are durable.
//!
//! ```text
//!  answer ─▶ open (batch not handed over) ─▶ due (ticket known) ─▶ released (ticket committed)
//! ```
//!
//! An answer holds back what its connection wrote behind it: pipelined answers leave in order.

use crate::{
    ring::ConnToken,
    tap::{Pushed, TopicIndex},
};
use std::collections::VecDeque;

/// BOUND: answers of one connection that wait for durability. A client that pipelines more waits.
const HELD_MAX: usize = 8;

/// A held answer.
#[derive(Debug, Clone, Copy)]
struct Hold {
    conn: ConnToken,
    /// Where the answer begins in the connection's output.
    position: u64,
}

/// The held answers of a shard. BOUND: [`HELD_MAX`] per connection, so that no queue here grows.
pub(super) struct Holds {
    /// By topic: those in its open batch.
    open: Vec<VecDeque<Hold>>,
    /// In the order of their tickets.
    due: VecDeque<(u64, Hold)>,
}

impl Holds {
    pub(super) fn new(topics: usize, connections: usize) -> Holds {
        let most = connections * HELD_MAX;
        Holds {
            open: (0..topics).map(|_| VecDeque::with_capacity(most)).collect(),
            due: VecDeque::with_capacity(most),
        }
    }

    /// How many answers wait.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.due.len() + self.open.iter().map(VecDeque::len).sum::<usize>()
    }

    /// The answer that begins there waits until the open batch of a topic is durable.
    pub(super) fn hold(&mut self, topic: TopicIndex, conn: ConnToken, position: u64) {
        self.open[topic.0].push_back(Hold { conn, position });
    }

    /// A batch was handed over: those who wait for it know their ticket.
    pub(super) fn assign(&mut self, pushed: Pushed) {
        let open = self.open[pushed.topic.0].drain(..);
        self.due.extend(open.map(|hold| (pushed.ticket, hold)));
    }

    /// Takes out the next answer that may leave, now that `committed` batches are durable.
    pub(super) fn pop_released(&mut self, committed: u64) -> Option<(ConnToken, u64)> {
        let (ticket, _) = self.due.front()?;
        if *ticket >= committed {
            return None;
        }
        self.due.pop_front().map(|(_, hold)| (hold.conn, hold.position))
    }

    /// Whether an answer may leave, now that `committed` batches are durable.
    #[inline]
    pub(super) fn has_released(&self, committed: u64) -> bool {
        self.due.front().is_some_and(|(ticket, _)| *ticket < committed)
    }
}

/// The positions at which a connection's output is held back, in order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    positions: [u64; HELD_MAX],
    released: u8,
    count: u8,
}

const _: () = assert!(HELD_MAX <= 8, "one bit each in `released`");

impl Held {
    /// Whether another answer can be held.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        usize::from(self.count) == HELD_MAX
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn push(&mut self, position: u64) {
        debug_assert!(!self.is_full());
        self.positions[usize::from(self.count)] = position;
        self.released &= !(1 << self.count);
        self.count += 1;
    }

    /// Releases one position; up to where the output may leave now, or all of it.
    pub(super) fn release(&mut self, position: u64) -> Option<u64> {
        let held = &self.positions[..usize::from(self.count)];
        if let Some(at) = held.iter().position(|p| *p == position) {
            self.released |= 1 << at;
        }
        while self.count > 0 && self.released & 1 == 1 {
            self.positions.copy_within(1.., 0);
            self.released >>= 1;
            self.count -= 1;
        }
        (self.count > 0).then_some(self.positions[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_in_order_whatever_the_order_they_become_durable_in() {
        let mut held = Held::default();
        [10, 20, 30].into_iter().for_each(|p| held.push(p));
        assert_eq!(held.release(20), Some(10));
        assert_eq!(held.release(10), Some(30));
        held.push(40);
        assert_eq!(held.release(99), Some(30));
        assert_eq!(held.release(30), Some(40));
        assert_eq!(held.release(40), None);
        assert!(held.is_empty());
        (0..HELD_MAX as u64).for_each(|p| held.push(p));
        assert!(held.is_full());
    }
}

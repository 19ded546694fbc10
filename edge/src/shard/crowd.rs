//! The shards of an appliance, as far as one has to know of the others: who has the fewest
//! connections takes the next one.
//!
//! All shards accept on one socket, and only those accept that have no more connections than any
//! other. An exchange opens few connections and keeps them for long: dealt out by chance, one shard
//! would have twice the work of another for as long.

use super::counters::ShardCounters;
use crate::ring::{Ring, ShardIndex};
use std::sync::{
    Arc,
    atomic::{Ordering, fence},
};

/// All shards, and which one this is.
pub struct Crowd {
    /// What each of them counts.
    members: Vec<Arc<ShardCounters>>,
    me: usize,
}

impl Crowd {
    /// The shards that count so, in the order in which their rings know them; `me` is the one that
    /// asks.
    #[must_use]
    pub fn new(members: Vec<Arc<ShardCounters>>, me: usize) -> Crowd {
        Crowd { members, me }
    }

    fn open(&self, shard: usize, listener: usize) -> u64 {
        self.members[shard].listeners[listener].open.read()
    }

    /// Whether nobody has fewer connections of a listener.
    #[inline]
    pub(super) fn is_fewest(&self, listener: usize) -> bool {
        let mine = self.open(self.me, listener);
        (0..self.members.len()).all(|shard| self.open(shard, listener) >= mine)
    }

    /// Wakes those who have fewer: they may sleep, and it is their turn to accept. The wake-ups
    /// leave with what else this turn has for the kernel. Whether there are any.
    #[cold]
    pub(super) fn wake_fewer(&self, listener: usize, ring: &mut impl Ring) -> bool {
        // ORDER: SeqCst, between what this shard counted last and its look at the others. Of two
        // shards that have just taken a connection each, one at least sees that of the other.
        // Without it both could stand back for each other, and nobody would accept.
        fence(Ordering::SeqCst);
        let mine = self.open(self.me, listener);
        let fewer = (0..self.members.len()).filter(|shard| self.open(*shard, listener) < mine);
        fewer.map(|shard| ring.wake(ShardIndex(shard as u16))).count() > 0
    }
}

//! The tap: gives each event its sequence, and turns events into batches for the spool.
//!
//! ```text
//!  event ─▶ admitted? ─▶ sequence ─▶ staging ─(16 KiB)─▶ one slice of zstd ─▶ batch buffer ─▶ ring
//!              │ no
//!              ▼
//!            shed, counted by reason; no sequence was given, so there is no hole
//! ```
//!
//! A batch opens only with a buffer in hand, and there are no more buffers than ring slots, so
//! handing it over never fails. It closes when it is full (256 KiB raw), old (50 ms), at the hour,
//! or, when somebody waits for it, as soon as the batch before it is durable: 2 ms at the latest.
//!
//! Compressing 256 KiB at once would stall a shard for 0.3 ms. So at most one slice is compressed
//! in a turn, busy or idle: [`Tap::is_full`] ends the turn when a slice is pending, and
//! [`Tap::end_turn`] does it.

mod compressor;
mod counters;
mod stream;

pub use counters::{TapCounters, TopicCounters};

use crate::clock::Nanos;
use brink_proto::{
    event::{Row, Stamp},
    ids::{Hour, Incarnation, Name, ShardId},
    schema::Schema,
};
use brink_shipper::intake::ShardEnd;
use std::{sync::Arc, time::Duration};
use stream::Stream;

/// Pending bytes that make a slice.
pub const SLICE_BYTES: usize = 16 * 1024;

/// Longest a batch stays open when nobody waits for it.
pub const BATCH_AGE: Duration = Duration::from_millis(50);

/// Longest a batch stays open when somebody does, while the spool keeps up.
pub const WAITED_AGE: Duration = Duration::from_millis(2);

/// BOUND: batches on their way behind which one that is waited for is not closed for its age. A
/// disk that stalls would otherwise be handed a small batch every two milliseconds until no buffer
/// is left, and commit none of them sooner.
const WAITED_AHEAD_MAX: u64 = 4;

/// A topic of a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicIndex(pub usize);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It has a sequence and is in the open batch of its topic.
    Taken,
    /// It was shed.
    Shed,
}

/// A batch that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Its topic.
    pub topic: TopicIndex,
    /// It is durable once more batches than this are committed.
    pub ticket: u64,
}

/// Who a tap speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// The appliance.
    pub edge: Name,
    /// Its start.
    pub incarnation: Incarnation,
    /// The shard.
    pub shard: ShardId,
}

/// The tap of one shard.
pub struct Tap {
    streams: Vec<Stream>,
    spool: Spooling,
    sliced: bool,
}

/// The way to the spool.
struct Spooling {
    end: ShardEnd,
    buffers: usize,
    pushed: u64,
    /// BOUND: what was pushed since it was last asked; one per topic and turn, and one more each
    /// when an event did not fit.
    news: Vec<Pushed>,
}

impl Spooling {
    /// Batches that were handed over and are not durable.
    #[inline]
    fn ahead(&self) -> u64 {
        self.pushed - self.end.committed()
    }
}

impl Tap {
    /// A tap for these topics. `buffers` is how many the ring has.
    #[must_use]
    pub fn new(
        speaker: Speaker,
        topics: &[&'static Schema],
        end: ShardEnd,
        buffers: usize,
        counters: &Arc<TapCounters>,
    ) -> Tap {
        let stream = |(index, schema): (usize, &&'static Schema)| {
            Stream::new(speaker, schema, TopicIndex(index), Arc::clone(counters))
        };
        let streams: Vec<_> = topics.iter().enumerate().map(stream).collect();
        let news = Vec::with_capacity(2 * streams.len() * TURNS_OF_NEWS);
        Tap { streams, spool: Spooling { end, buffers, pushed: 0, news }, sliced: false }
    }

    /// Offers an event. With `waited`, its answer is held until it is durable.
    #[inline]
    pub fn offer<R: Row>(
        &mut self,
        topic: TopicIndex,
        stamp: &Stamp<'_>,
        row: &R,
        now: Nanos,
        waited: bool,
    ) -> Offer {
        let stream = &mut self.streams[topic.0];
        let (offer, sliced) = stream.offer(stamp, row, now, waited, &mut self.spool);
        self.sliced |= sliced;
        offer
    }

    /// The clock has come to an hour. No stream goes behind it, also one that had no event in it:
    /// when the clock is set back, whoever has told that the hour before is over is right.
    pub fn reach(&mut self, hour: Hour) {
        self.streams.iter_mut().for_each(|stream| stream.reach(hour));
    }

    /// Whether the turn has to end before another event is offered.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.streams.iter().any(|s| s.pending() >= SLICE_BYTES)
    }

    /// Compresses the one slice of this turn: of a stream that has one pending, or else the last
    /// one of a batch that is due.
    pub fn end_turn(&mut self, now: Nanos) {
        if !std::mem::take(&mut self.sliced)
            && let Some(index) = self.due(now)
        {
            self.streams[index].slice_or_close(&mut self.spool);
        }
    }

    /// Whether the next turn has something to compress.
    #[inline]
    #[must_use]
    pub fn has_work(&self, now: Nanos) -> bool {
        self.due(now).is_some()
    }

    #[inline]
    fn due(&self, now: Nanos) -> Option<usize> {
        let pending = self.streams.iter().position(|s| s.pending() >= SLICE_BYTES);
        let ahead = || self.spool.ahead();
        pending.or_else(|| self.streams.iter().position(|s| s.is_due(now, ahead)))
    }

    /// When the next batch is due, if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let ahead = self.spool.ahead();
        self.streams.iter().filter_map(|s| s.deadline(ahead)).min()
    }

    /// Batches that were handed over since the last call.
    pub fn take_news(&mut self) -> impl Iterator<Item = Pushed> {
        self.spool.news.drain(..)
    }

    /// Closes everything, whatever it costs: nobody is served any more.
    pub fn finish(&mut self) {
        for stream in &mut self.streams {
            while stream.has_open() {
                stream.slice_or_close(&mut self.spool);
            }
        }
    }

    /// The spool's end: tickets, waiters, parking.
    #[inline]
    #[must_use]
    pub fn spool(&self) -> &ShardEnd {
        &self.spool.end
    }

    /// Batches handed over since the start.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.spool.pushed
    }
}

/// The shard takes the news every turn; this many turns' worth finds room without an allocation.
const TURNS_OF_NEWS: usize = 8;

#[cfg(test)]
mod tests;

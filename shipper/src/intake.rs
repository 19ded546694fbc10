//! The seam between a shard and the spool: full buffers out, empty ones back, and tickets.
//!
//! ```text
//!  shard                                     spool thread
//!    │  open batch in a buffer
//!    ├── SealedBatch ──── rtrb, N slots ────▶│ frame, write, sync
//!    │◀──────────────── BatchBuffer ─────────┤ after the commit
//!    │◀──────── tickets.committed ───────────┤
//!    ├────────  tickets.waiters  ───────────▶│ shortens the tick
//! ```
//!
//! BOUND: there are as many buffers as ring slots, and a batch opens only with a buffer in hand, so
//! a push never fails. The n-th batch pushed into a ring is durable once `committed > n`.

use crate::counter::Counter;
use brink_proto::frame::{BatchInfo, PAYLOAD_BYTES_MAX};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering, fence},
};

/// Memory for one batch, taken at boot and passed back and forth for ever.
pub struct BatchBuffer(Box<[u8]>);

impl BatchBuffer {
    fn new() -> BatchBuffer {
        BatchBuffer(vec![0; PAYLOAD_BYTES_MAX].into_boxed_slice())
    }

    /// The memory.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The memory, to be filled.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// A closed batch: what it is, and the buffer with its compressed records in front.
pub struct SealedBatch {
    /// What it is; `payload_bytes` says how much of the buffer is filled.
    pub info: BatchInfo,
    /// Its records.
    pub buffer: BatchBuffer,
}

impl SealedBatch {
    /// The compressed records.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.buffer.0[..self.info.payload_bytes as usize]
    }
}

/// What shard and spool tell each other beside the rings.
#[derive(Default)]
pub struct Tickets {
    /// Batches of this ring that are durable. Written by the spool.
    committed: Counter,
    /// Requests that wait for durability. Written by the shard.
    waiters: Counter,
    /// Whether the shard sleeps and must be woken when a ticket is published.
    parked: AtomicBool,
    /// How full the spool is, in percent; 100 takes nothing. Written by the spool.
    fullness: AtomicU32,
}

/// Wakes a parked shard. Called by the spool thread.
pub type Wake = Box<dyn Fn() + Send>;

/// The shard's end.
pub struct ShardEnd {
    full: Producer<SealedBatch>,
    empty: Consumer<BatchBuffer>,
    tickets: Arc<Tickets>,
    pushed: u64,
}

/// The spool's end.
pub struct SpoolEnd {
    full: Consumer<SealedBatch>,
    empty: Producer<BatchBuffer>,
    tickets: Arc<Tickets>,
    wake: Wake,
    drained: u64,
}

/// Makes the two ends of a ring with `buffers` buffers, all of them at the shard.
#[must_use]
pub fn ring(buffers: usize, wake: Wake) -> (ShardEnd, SpoolEnd) {
    let (full_in, full_out) = RingBuffer::new(buffers);
    let (mut empty_in, empty_out) = RingBuffer::new(buffers);
    for _ in 0..buffers {
        // A ring of N slots takes N buffers.
        let _ = empty_in.push(BatchBuffer::new());
    }
    let tickets = Arc::new(Tickets::default());
    let shard =
        ShardEnd { full: full_in, empty: empty_out, tickets: Arc::clone(&tickets), pushed: 0 };
    (shard, SpoolEnd { full: full_out, empty: empty_in, tickets, wake, drained: 0 })
}

impl ShardEnd {
    /// Buffers that came back and lie in the ring.
    #[must_use]
    pub fn buffers_back(&self) -> usize {
        self.empty.slots()
    }

    /// Takes an empty buffer.
    pub fn take_buffer(&mut self) -> Option<BatchBuffer> {
        self.empty.pop().ok()
    }

    /// Hands a batch over; returns its ticket.
    pub fn push(&mut self, batch: SealedBatch) -> u64 {
        let pushed = self.full.push(batch);
        assert!(pushed.is_ok(), "there are no more buffers than ring slots");
        self.pushed += 1;
        self.pushed - 1
    }

    /// How many batches of this ring are durable: ticket `n` is due when this is above `n`.
    #[inline]
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.tickets.committed.read()
    }

    /// How full the spool is, in percent.
    #[inline]
    #[must_use]
    pub fn fullness_percent(&self) -> u32 {
        // ORDER: Relaxed, a hint that orders nothing.
        self.tickets.fullness.load(Ordering::Relaxed)
    }

    /// Says how many requests wait for durability.
    #[inline]
    pub fn set_waiters(&self, waiters: u64) {
        self.tickets.waiters.set(waiters);
    }

    /// Says that the shard goes to sleep. It must look at [`ShardEnd::committed`] once more after
    /// this and before it sleeps.
    pub fn park(&self) {
        // ORDER: the store and the look at `committed` that follows are ordered by the SeqCst
        // fence, which pairs with the one in `SpoolEnd::publish`: either the spool sees the flag,
        // or the shard sees the ticket.
        self.tickets.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that the shard is awake.
    pub fn unpark(&self) {
        // ORDER: Relaxed, a wake too many does no harm.
        self.tickets.parked.store(false, Ordering::Relaxed);
    }
}

impl SpoolEnd {
    /// Takes the next batch.
    pub fn pop(&mut self) -> Option<SealedBatch> {
        let batch = self.full.pop().ok()?;
        self.drained += 1;
        Some(batch)
    }

    /// Batches waiting in the ring.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.full.slots()
    }

    /// Whether a request waits for durability.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        self.tickets.waiters.read() > 0
    }

    /// Whether the shard is gone and its ring is empty.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // Abandoned is read first: a batch pushed before the shard went is then seen.
        self.full.is_abandoned() && self.full.is_empty()
    }

    /// Gives a buffer back.
    pub fn give_back(&mut self, buffer: BatchBuffer) {
        // A shard that is gone takes nothing back.
        let _ = self.empty.push(buffer);
    }

    /// Says that `batches` more are durable, and wakes the shard if it sleeps on that.
    pub fn publish(&mut self, batches: u64) {
        self.tickets.committed.add(batches);
        // ORDER: pairs with the fence in `ShardEnd::park`.
        fence(Ordering::SeqCst);
        // ORDER: Relaxed, ordered by the fence.
        if self.tickets.parked.load(Ordering::Relaxed) && self.has_waiters() {
            (self.wake)();
        }
    }

    /// Says how full the spool is.
    pub fn set_fullness(&self, percent: u32) {
        // ORDER: Relaxed, a hint that orders nothing.
        self.tickets.fullness.store(percent, Ordering::Relaxed);
    }
}

//! What the rest of the appliance tells a shard, and how it is woken for it.

use rustix::{
    event::{EventfdFlags, eventfd},
    io::Errno,
};
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

/// What a shard is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Serve.
    Serve = 0,
    /// Serve, but tell those who ask that others should be asked.
    Unready = 1,
    /// Answer what is in flight, take nothing new, and end.
    Drain = 2,
    /// End now.
    End = 3,
}

/// Orders to a shard.
#[derive(Debug)]
pub struct Control {
    stage: AtomicU8,
    /// Whether the appliance wants requests.
    ready: AtomicBool,
    /// Why each listener does not, as bits; none when it does.
    unready: Vec<AtomicU8>,
}

impl Control {
    /// Orders to shards with so many listeners: to serve, and not to be ready yet.
    #[must_use]
    pub fn new(listeners: usize) -> Control {
        Control {
            stage: AtomicU8::new(Stage::Serve as u8),
            ready: AtomicBool::new(false),
            unready: (0..listeners).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    /// Says why a listener wants no requests.
    pub fn set_unready(&self, listener: usize, reasons: u8) {
        // ORDER: Relaxed, bits that stand for themselves.
        self.unready[listener].store(reasons, Ordering::Relaxed);
    }

    /// Why a listener wants no requests.
    #[must_use]
    pub fn unready(&self, listener: usize) -> u8 {
        // ORDER: Relaxed, as in `set_unready`.
        self.unready[listener].load(Ordering::Relaxed)
    }

    /// Whether a listener wants requests.
    #[inline]
    #[must_use]
    pub fn is_listener_ready(&self, listener: usize) -> bool {
        self.is_ready() && self.unready(listener) == 0
    }

    /// Moves to a later stage.
    pub fn set_stage(&self, stage: Stage) {
        // ORDER: Relaxed, the stage stands for itself and the wake follows it through the kernel.
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
    }

    /// The stage.
    #[inline]
    #[must_use]
    pub fn stage(&self) -> Stage {
        // ORDER: Relaxed, as in `set_stage`.
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Serve,
            1 => Stage::Unready,
            2 => Stage::Drain,
            _ => Stage::End,
        }
    }

    /// Says whether the appliance wants requests.
    pub fn set_ready(&self, ready: bool) {
        // ORDER: Relaxed, a flag that stands for itself.
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether the appliance wants requests.
    #[inline]
    #[must_use]
    pub fn is_ready(&self) -> bool {
        // ORDER: Relaxed, as in `set_ready`.
        self.ready.load(Ordering::Relaxed) && self.stage() == Stage::Serve
    }
}

/// Wakes a shard that sleeps in its ring, from any thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker.
    ///
    /// # Errors
    /// What the kernel said when it had no descriptor.
    pub fn new() -> Result<Waker, Errno> {
        // Without NONBLOCK a ring would hand a write to a thread of the kernel's.
        Ok(Waker(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Wakes the shard.
    pub fn wake(&self) {
        // Nobody reads the counter: it is watched for being written to, and has room for 2^64 - 2.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// The descriptor that the shard's own ring watches, and that the others' write to.
    #[must_use]
    pub fn descriptor(&self) -> &OwnedFd {
        &self.0
    }
}

//! Numbers with one writer and any number of readers, and no lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and others read.
///
/// Adding is a load and a store, not a locked instruction: only the owning thread may write. Each
/// hop of an event counts for itself, and readers go from the last hop to the first: what a later
/// hop counted, the earlier one has counted too.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning thread calls this.
    #[inline]
    pub fn add(&self, n: u64) {
        // ORDER: Relaxed load, the only writer is this thread.
        let now = self.0.load(Ordering::Relaxed);
        self.set(now.wrapping_add(n));
    }

    /// Sets the number. Only the owning thread calls this.
    #[inline]
    pub fn set(&self, value: u64) {
        // ORDER: Release pairs with the Acquire in `read`: whoever sees this count sees what the
        // earlier hops counted before it.
        self.0.store(value, Ordering::Release);
    }

    /// Reads the number.
    #[inline]
    #[must_use]
    pub fn read(&self) -> u64 {
        // ORDER: Acquire pairs with the Release in `set`.
        self.0.load(Ordering::Acquire)
    }
}

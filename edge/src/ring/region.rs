//! Memory that the kernel reads and writes: mapped once, never moved, gone with its last owner.

use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap_anonymous, munmap},
};
use std::{ptr::NonNull, slice};

/// A mapping. Its bytes are shared with the kernel, so no reference to all of it is ever made:
/// whoever slices it says why nobody else touches those bytes.
pub(super) struct Region {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region is plain memory and tied to no thread. Who may touch which bytes is settled by
// `ReceiveBuffers` and `OutBlocks`, which are not shared between threads.
unsafe impl Send for Region {}
// SAFETY: as above; a shared region only gives out addresses.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `bytes` zeros. Pages are touched when they are first used.
    pub(super) fn map(bytes: usize) -> Result<Region, Errno> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, protection, flags)? };
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        Ok(Region { base, bytes })
    }

    /// Touches every page, so that no first use has to.
    pub(super) fn prefault(&self) {
        for at in (0..self.bytes).step_by(4096) {
            // SAFETY: inside the mapping; called at boot, before the kernel or a slice knows it.
            unsafe { self.address(at).write_volatile(0) };
        }
    }

    /// The address of a byte in it.
    pub(super) fn address(&self, at: usize) -> *mut u8 {
        assert!(at <= self.bytes, "inside the mapping");
        // SAFETY: inside the mapping, or one behind its end.
        unsafe { self.base.add(at).as_ptr() }
    }

    /// A part of it.
    ///
    /// # Safety
    /// While the slice lives, nobody writes to these bytes, the kernel included.
    pub(super) unsafe fn slice(&self, at: usize, len: usize) -> &[u8] {
        assert!(at <= self.bytes && len <= self.bytes - at, "inside the mapping");
        // SAFETY: inside the mapping, initialised by the kernel with zeros, and the caller keeps
        // writers away.
        unsafe { slice::from_raw_parts(self.address(at), len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this size; no slice outlives its borrow, and rings that had
        // the address hold the region themselves.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

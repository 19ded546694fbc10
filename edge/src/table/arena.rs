//! Memory for one table: mapped once, of huge pages where the kernel has them, and used again.
//!
//! A lookup reads two places of a gigabyte, so nearly every one misses the address translation as
//! well. Huge pages take that miss away, and only anonymous memory gets them: a mapped file does
//! not. An arena is never given back while the appliance lives, since taking pages out of a process
//! interrupts every core that it runs on.

#![allow(unsafe_code, reason = "anonymous memory of huge pages has no safe interface")]

use rustix::{
    io::Errno,
    mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap},
};
use std::{
    io::{self, Read},
    ptr::NonNull,
    slice,
};

/// Memory that holds a table, or nothing yet.
pub struct Arena {
    base: NonNull<u8>,
    capacity: usize,
    filled: usize,
}

// SAFETY: an arena is plain memory and tied to no thread; it is written through `&mut` alone.
unsafe impl Send for Arena {}
// SAFETY: as above: what is shared can only be read.
unsafe impl Sync for Arena {}

/// The size of a huge page.
const HUGE_PAGE_BYTES: usize = 2 << 20;

impl Arena {
    /// Maps room for `capacity` bytes. Pages are taken as they are filled.
    ///
    /// # Errors
    /// What the kernel said: it has no room in the address space.
    pub fn map(capacity: usize) -> Result<Arena, Errno> {
        let capacity = capacity.max(1).next_multiple_of(HUGE_PAGE_BYTES);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), capacity, protection, flags)? };
        // SAFETY: the mapping just made, whole. Small pages will do where this is refused.
        let _ = unsafe { madvise(base, capacity, Advice::LinuxHugepage) };
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        Ok(Arena { base, capacity, filled: 0 })
    }

    /// Most bytes that it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Fills it with the next `bytes` of `source`; what it held is gone. The pages are written
    /// here, on the thread that calls, so that no shard is the first to touch them.
    ///
    /// # Errors
    /// What the source said; or that the arena is too small. The arena is empty then.
    pub fn fill(&mut self, source: &mut impl Read, bytes: usize) -> io::Result<()> {
        self.filled = 0;
        if bytes > self.capacity {
            let text = format!("{bytes} bytes for an arena of {}", self.capacity);
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
        }
        // SAFETY: inside the mapping, whose bytes the kernel has initialised with zeros; nobody
        // else has a reference, for this one is exclusive.
        let room = unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), bytes) };
        source.read_exact(room)?;
        self.filled = bytes;
        Ok(())
    }
}

impl AsRef<[u8]> for Arena {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: inside the mapping and initialised; written only through `&mut self`.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.filled) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this size; no slice outlives its borrow.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.capacity) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_filled_again_and_again() {
        let mut arena = Arena::map(3).unwrap();
        assert_eq!(arena.capacity(), HUGE_PAGE_BYTES);
        assert_eq!(arena.as_ref(), b"");
        arena.fill(&mut b"tables".as_slice(), 6).unwrap();
        assert_eq!(arena.as_ref(), b"tables");
        assert!(arena.fill(&mut b"short".as_slice(), 9).is_err());
        assert_eq!(arena.as_ref(), b"", "half a table is none");
        let large = HUGE_PAGE_BYTES + 1;
        assert!(arena.fill(&mut io::repeat(1), large).is_err());
        arena.fill(&mut io::repeat(7), HUGE_PAGE_BYTES).unwrap();
        assert_eq!(arena.as_ref().last(), Some(&7));
    }
}

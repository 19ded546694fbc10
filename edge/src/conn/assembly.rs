//! Memory for requests that come in parts, in three sizes, taken at boot.
//!
//! A request begins in the smallest size and moves up as it grows. BOUND: as many of each size as
//! the profile says; a request that finds none is answered with 503. Pages are touched when they
//! are first used, so what nobody needs costs nothing.

use crate::http::{error::HttpError, head::HEAD_BYTES_MAX};

/// The sizes, and what each is enough for.
const SIZES: [usize; 3] = [
    4096,                       // nearly every head
    HEAD_BYTES_MAX + 4096,      // the longest head
    HEAD_BYTES_MAX + (1 << 20), // the longest head and the longest body
];

/// Longest body that fits beside the longest head.
pub const BODY_BYTES_MAX: usize = SIZES[2] - HEAD_BYTES_MAX;

/// How many of each size there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssemblyCounts {
    /// 4 KiB.
    pub small: u32,
    /// 52 KiB.
    pub medium: u32,
    /// 1 MiB and 48 KiB.
    pub large: u32,
}

impl AssemblyCounts {
    /// Memory that they take when all are in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let counts = [self.small, self.medium, self.large];
        counts.iter().zip(SIZES).map(|(count, size)| *count as usize * size).sum()
    }
}

/// One request's memory. There is one of each, so it is never copied.
#[derive(Debug)]
pub struct Assembly {
    handle: Handle,
}

/// Where an assembly's bytes are.
#[derive(Debug, Clone, Copy)]
pub struct Handle {
    size: u8,
    index: u32,
    len: u32,
}

impl Assembly {
    /// Where its bytes are.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handle.len as usize
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handle.len == 0
    }

    /// Forgets what is behind `len`.
    pub fn truncate(&mut self, len: usize) {
        debug_assert!(len <= self.len());
        self.handle.len = len as u32;
    }
}

/// The memory of all requests in parts.
pub struct AssemblyPool {
    sizes: [Class; 3],
}

struct Class {
    bytes: Vec<u8>,
    free: Vec<u32>,
}

impl AssemblyPool {
    /// Takes the memory.
    #[must_use]
    pub fn new(counts: AssemblyCounts) -> AssemblyPool {
        let counts = [counts.small, counts.medium, counts.large];
        let mut sizes = counts.iter().zip(SIZES).map(|(count, size)| Class {
            // Zeros come straight from the kernel and take no memory until they are written.
            bytes: vec![0; *count as usize * size],
            free: (0..*count).rev().collect(),
        });
        let mut next = || sizes.next().unwrap_or(Class { bytes: Vec::new(), free: Vec::new() });
        AssemblyPool { sizes: [next(), next(), next()] }
    }

    /// Memory for a new request.
    pub fn start(&mut self) -> Option<Assembly> {
        self.take(0, 0)
    }

    /// Adds bytes; moves to a larger size when they do not fit.
    ///
    /// # Errors
    /// [`HttpError::NoMemory`] when there is none of that size.
    pub fn push(&mut self, assembly: &mut Assembly, bytes: &[u8]) -> Result<(), HttpError> {
        let end = assembly.len() + bytes.len();
        if end > SIZES[usize::from(assembly.handle.size)] {
            let size = SIZES.iter().position(|s| end <= *s).ok_or(HttpError::NoMemory)?;
            let larger = self.take(size, assembly.handle.len).ok_or(HttpError::NoMemory)?;
            self.copy(assembly.handle, larger.handle);
            let smaller = std::mem::replace(assembly, larger);
            self.free(smaller);
        }
        let (from, handle) = (assembly.len(), &mut assembly.handle);
        handle.len = end as u32;
        let place = self.place(*handle);
        place[from..end].copy_from_slice(bytes);
        Ok(())
    }

    /// The bytes of an assembly.
    #[must_use]
    pub fn bytes(&self, of: Handle) -> &[u8] {
        let from = of.index as usize * SIZES[usize::from(of.size)];
        &self.sizes[usize::from(of.size)].bytes[from..from + of.len as usize]
    }

    /// Gives the memory back.
    pub fn free(&mut self, assembly: Assembly) {
        let Assembly { handle } = assembly;
        self.sizes[usize::from(handle.size)].free.push(handle.index);
    }

    /// How many of each size are in use.
    #[must_use]
    pub fn in_use(&self) -> [usize; 3] {
        let mut of_size = [0; 3];
        for (count, (class, size)) in of_size.iter_mut().zip(self.sizes.iter().zip(SIZES)) {
            *count = class.bytes.len() / size - class.free.len();
        }
        of_size
    }

    fn take(&mut self, at_least: usize, len: u32) -> Option<Assembly> {
        let with_room = self.sizes[at_least..].iter_mut().enumerate();
        let (above, index) = with_room.filter_map(|(i, c)| Some((i, c.free.pop()?))).next()?;
        Some(Assembly { handle: Handle { size: (at_least + above) as u8, index, len } })
    }

    fn copy(&mut self, from: Handle, to: Handle) {
        // The sizes differ, so they are two vectors.
        let (smaller, larger) = self.sizes.split_at_mut(usize::from(to.size));
        let start = from.index as usize * SIZES[usize::from(from.size)];
        let source = &smaller[usize::from(from.size)].bytes[start..start + from.len as usize];
        let start = to.index as usize * SIZES[usize::from(to.size)];
        larger[0].bytes[start..start + source.len()].copy_from_slice(source);
    }

    fn place(&mut self, of: Handle) -> &mut [u8] {
        let size = SIZES[usize::from(of.size)];
        let from = of.index as usize * size;
        &mut self.sizes[usize::from(of.size)].bytes[from..from + size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assembly_moves_up_as_it_grows_and_gives_back_what_it_leaves() {
        let mut pool = AssemblyPool::new(AssemblyCounts { small: 1, medium: 1, large: 1 });
        let mut assembly = pool.start().unwrap();
        let bytes: Vec<u8> = (0..SIZES[2]).map(|i| (i % 251) as u8).collect();
        let mut used = 0;
        for (end, in_use) in [(4096, [1, 0, 0]), (4097, [0, 1, 0]), (SIZES[2], [0, 0, 1])] {
            pool.push(&mut assembly, &bytes[used..end]).unwrap();
            used = end;
            assert_eq!(pool.in_use(), in_use);
            assert_eq!(pool.bytes(assembly.handle()), &bytes[..end]);
        }
        assert_eq!(pool.push(&mut assembly, b"x"), Err(HttpError::NoMemory));
        pool.free(assembly);
        assert_eq!(pool.in_use(), [0, 0, 0]);
    }

    #[test]
    fn what_is_used_up_is_not_given_out() {
        let mut pool = AssemblyPool::new(AssemblyCounts { small: 1, medium: 1, large: 0 });
        let first = pool.start().unwrap();
        // The next size up serves when the smallest is used up.
        let mut second = pool.start().unwrap();
        assert!(pool.start().is_none());
        assert_eq!(pool.push(&mut second, &[0; 60_000]), Err(HttpError::NoMemory));
        pool.free(first);
        assert!(pool.start().is_some());
    }
}

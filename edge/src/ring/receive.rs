//! Receive buffers: the kernel picks one for each receive, we read it and give it back.

use super::region::Region;
use rustix::io::Errno;
use std::sync::Arc;

/// Size of one buffer. A request that fits into one is parsed where it lies.
pub const BUFFER_BYTES: usize = 4096;

/// A filled buffer in our hands. There is one of each number, so holding it means that the kernel
/// does not write into it.
#[derive(Debug, PartialEq, Eq)]
pub struct Buffer {
    pub(super) number: u16,
    bytes: u32,
}

impl Buffer {
    /// Bytes received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes as usize
    }

    /// Whether nothing was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

/// The memory of all receive buffers of a shard.
pub struct ReceiveBuffers {
    region: Arc<Region>,
    count: u16,
}

impl ReceiveBuffers {
    /// Maps `count` buffers and touches them.
    ///
    /// # Errors
    /// What the kernel said when it had no memory.
    pub fn map(count: u16) -> Result<ReceiveBuffers, Errno> {
        let region = Region::map(usize::from(count) * BUFFER_BYTES)?;
        region.prefault();
        Ok(ReceiveBuffers { region: Arc::new(region), count })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// What was received into a buffer.
    #[inline]
    #[must_use]
    pub fn bytes(&self, buffer: &Buffer) -> &[u8] {
        // SAFETY: the kernel writes only into buffers that it was given, and this one is in the
        // caller's hands for as long as the slice lives: giving it back takes it by value.
        unsafe { self.region.slice(usize::from(buffer.number) * BUFFER_BYTES, buffer.len()) }
    }

    pub(super) fn region(&self) -> Arc<Region> {
        Arc::clone(&self.region)
    }
}

impl Buffer {
    /// The buffer that the kernel says it has filled.
    pub(super) fn filled(number: u16, bytes: u32) -> Buffer {
        debug_assert!(bytes as usize <= BUFFER_BYTES);
        Buffer { number, bytes: bytes.min(BUFFER_BYTES as u32) }
    }
}

/// Fills buffers without a kernel: what a simulated ring uses in its place.
pub struct BufferFiller {
    region: Arc<Region>,
    free: Vec<u16>,
}

impl BufferFiller {
    /// A filler for all buffers of `of`, which no kernel knows.
    #[must_use]
    pub fn new(of: &ReceiveBuffers) -> BufferFiller {
        BufferFiller { region: of.region(), free: (0..of.count).rev().collect() }
    }

    /// Copies up to a buffer's size of `bytes` into a free buffer; none when all are in use.
    pub fn fill(&mut self, bytes: &[u8]) -> Option<Buffer> {
        let number = self.free.pop()?;
        let len = bytes.len().min(BUFFER_BYTES);
        let to = self.region.address(usize::from(number) * BUFFER_BYTES);
        // SAFETY: `to` has room for a whole buffer, `bytes` is elsewhere, and the number was in the
        // free list, so no `Buffer` of it exists and nobody reads there.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
        Some(Buffer::filled(number, len as u32))
    }

    /// Takes a buffer back.
    pub fn give_back(&mut self, buffer: Buffer) {
        let Buffer { number, .. } = buffer;
        self.free.push(number);
    }
}

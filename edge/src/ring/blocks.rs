//! Output blocks: answers are written into them, and sent from them without another copy.
//!
//! ```text
//!  block   ├── sent ──┼── being sent ──┼── written ──┼── room ──┤
//!          0         from              to          filled     4096
//! ```
//!
//! The kernel reads below `filled`, we write above it: a block takes further answers while a send
//! of its front is under way. A block goes back to the pool when all of it was sent.

use super::region::Region;
use rustix::io::Errno;
use std::sync::Arc;

/// Size of one block.
pub const BLOCK_BYTES: usize = 4096;

/// A block in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockId(u32);

/// A part of a block that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The block.
    pub block: BlockId,
    /// First byte.
    pub from: u32,
    /// Byte behind the last.
    pub to: u32,
}

/// The memory that a ring sends from.
#[derive(Clone)]
pub struct BlockMemory(pub(super) Arc<Region>);

impl BlockMemory {
    /// The bytes of a span, copied: what a simulated ring sends.
    #[must_use]
    pub fn copy(&self, span: Span) -> Vec<u8> {
        let len = (span.to - span.from) as usize;
        // SAFETY: below `filled`, where nothing is written any more.
        unsafe { self.0.slice(Self::at(span), len) }.to_vec()
    }

    pub(super) fn at(span: Span) -> usize {
        span.block.0 as usize * BLOCK_BYTES + span.from as usize
    }
}

/// All output blocks of a shard. BOUND: as many as are mapped at boot.
pub struct OutBlocks {
    memory: BlockMemory,
    /// Free blocks; the one freed last is taken first, for it is warm.
    free: Vec<u32>,
    /// How far each block is filled, and the block behind it in its connection.
    heads: Vec<Head>,
}

#[derive(Clone, Copy)]
struct Head {
    filled: u32,
    next: Option<BlockId>,
}

impl OutBlocks {
    /// Maps `count` blocks. Pages are touched when they are first used.
    ///
    /// # Errors
    /// What the kernel said when it had no memory.
    pub fn map(count: u32) -> Result<OutBlocks, Errno> {
        let region = Region::map(count as usize * BLOCK_BYTES)?;
        Ok(OutBlocks {
            memory: BlockMemory(Arc::new(region)),
            free: (0..count).rev().collect(),
            heads: vec![Head { filled: 0, next: None }; count as usize],
        })
    }

    /// The memory, for a ring.
    #[must_use]
    pub fn memory(&self) -> BlockMemory {
        self.memory.clone()
    }

    /// Blocks that there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.heads.len()
    }

    /// Blocks that are free.
    #[inline]
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Takes an empty block.
    #[inline]
    pub fn take(&mut self) -> Option<BlockId> {
        let block = self.free.pop()?;
        self.heads[block as usize] = Head { filled: 0, next: None };
        Some(BlockId(block))
    }

    /// Gives a block back. Nothing of it is under way.
    #[inline]
    pub fn give_back(&mut self, block: BlockId) {
        debug_assert!(!self.free.contains(&block.0), "given back once");
        self.free.push(block.0);
    }

    /// How far a block is filled.
    #[inline]
    #[must_use]
    pub fn filled(&self, block: BlockId) -> u32 {
        self.heads[block.0 as usize].filled
    }

    /// Takes bytes at the end of a block back. Nothing of them is under way.
    pub fn cut(&mut self, block: BlockId, filled: u32) {
        let head = &mut self.heads[block.0 as usize];
        debug_assert!(filled <= head.filled);
        head.filled = filled;
    }

    /// The block behind a block.
    #[inline]
    #[must_use]
    pub fn next(&self, block: BlockId) -> Option<BlockId> {
        self.heads[block.0 as usize].next
    }

    /// Puts a block behind a block.
    #[inline]
    pub fn link(&mut self, block: BlockId, next: Option<BlockId>) {
        self.heads[block.0 as usize].next = next;
    }

    /// Writes as much of `bytes` as finds room; returns how much.
    #[inline]
    pub fn append(&mut self, block: BlockId, bytes: &[u8]) -> usize {
        let filled = self.heads[block.0 as usize].filled as usize;
        let len = bytes.len().min(BLOCK_BYTES - filled);
        let to = self.memory.0.address(block.0 as usize * BLOCK_BYTES + filled);
        // SAFETY: the room of this block begins at `to` and takes `len` bytes. The kernel reads
        // only below `filled`, no slice of the region exists outside `BlockMemory::copy`, which
        // reads below it too, and `bytes` lies elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
        self.heads[block.0 as usize].filled = (filled + len) as u32;
        len
    }
}

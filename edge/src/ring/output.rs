//! What a connection has yet to send: a chain of blocks, and how much of it may leave.
//!
//! ```text
//!  written ────────────────────────────────────────────▶
//!  released ────────────────────▶ (an answer that waits for durability holds back what is behind)
//!  sent ─────────▶
//! ```
//!
//! Positions count bytes since the connection was opened. Answers are written in the order of their
//! requests and leave in that order, whatever the order in which they become durable.

use super::blocks::{BlockId, OutBlocks, Span};

/// Everything is released, until somebody holds it back.
const ALL: u64 = u64::MAX;

/// The output of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    first: Option<BlockId>,
    last: Option<BlockId>,
    /// Bytes of the first block that were sent.
    sent_of_first: u32,
    /// Bytes of the first block that a send under way covers.
    sending: Option<u32>,
    written: u64,
    sent: u64,
    released: u64,
}

/// A place in the output that can be gone back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    last: Option<BlockId>,
    filled: u32,
    written: u64,
}

impl Mark {
    /// Bytes written up to it.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }
}

impl Default for Output {
    fn default() -> Self {
        Output {
            first: None,
            last: None,
            sent_of_first: 0,
            sending: None,
            written: 0,
            sent: 0,
            released: ALL,
        }
    }
}

impl Output {
    /// Bytes written so far.
    #[inline]
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes written and not sent.
    #[inline]
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.written - self.sent
    }

    /// Whether a send is under way.
    #[inline]
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Appends bytes; `false` when there are no more blocks, and then nothing of them counts.
    #[inline]
    pub fn put(&mut self, blocks: &mut OutBlocks, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.last.map_or(0, |last| blocks.append(last, rest));
            rest = &rest[taken..];
            self.written += taken as u64;
            if !rest.is_empty() && !self.grow(blocks) {
                return false;
            }
        }
        true
    }

    fn grow(&mut self, blocks: &mut OutBlocks) -> bool {
        let Some(block) = blocks.take() else { return false };
        match self.last {
            Some(last) => blocks.link(last, Some(block)),
            None => self.first = Some(block),
        }
        self.last = Some(block);
        true
    }

    /// The place reached.
    #[inline]
    #[must_use]
    pub fn mark(&self, blocks: &OutBlocks) -> Mark {
        let filled = self.last.map_or(0, |last| blocks.filled(last));
        Mark { last: self.last, filled, written: self.written }
    }

    /// Takes back what was written behind a mark. Nothing of it may have been handed to a send.
    pub fn rewind(&mut self, blocks: &mut OutBlocks, mark: Mark) {
        let behind = match mark.last {
            Some(last) => {
                let behind = blocks.next(last);
                blocks.link(last, None);
                blocks.cut(last, mark.filled);
                behind
            }
            None => self.first.take(),
        };
        free_chain(blocks, behind);
        self.last = mark.last;
        self.written = mark.written;
    }

    /// Holds back everything from `position` on.
    pub fn hold(&mut self, position: u64) {
        self.released = self.released.min(position);
    }

    /// Lets everything below `position` go; all of it when there is none.
    pub fn release(&mut self, position: Option<u64>) {
        self.released = position.unwrap_or(ALL);
    }

    /// What can be sent next, if no send is under way. It is under way then.
    #[inline]
    pub fn start_send(&mut self, blocks: &OutBlocks) -> Option<Span> {
        if self.sending.is_some() {
            return None;
        }
        let block = self.first?;
        let allowed = self.released.saturating_sub(self.sent);
        let from = self.sent_of_first;
        let to =
            blocks.filled(block).min(from.saturating_add(allowed.min(u64::from(u32::MAX)) as u32));
        if to <= from {
            return None;
        }
        self.sending = Some(to);
        Some(Span { block, from, to })
    }

    /// The send under way is over, and `bytes` of it left.
    #[inline]
    pub fn finish_send(&mut self, blocks: &mut OutBlocks, bytes: u32) {
        self.sending = None;
        self.sent += u64::from(bytes);
        self.sent_of_first += bytes;
        let Some(block) = self.first else { return };
        if self.sent_of_first == blocks.filled(block) {
            // A block with nothing left in it goes back, even if it has room: an idle connection
            // holds no memory.
            self.first = blocks.next(block);
            if self.first.is_none() {
                self.last = None;
            }
            self.sent_of_first = 0;
            blocks.give_back(block);
        }
    }

    /// Gives all blocks back. No send is under way.
    pub fn clear(&mut self, blocks: &mut OutBlocks) {
        debug_assert!(self.sending.is_none());
        free_chain(blocks, self.first.take());
        *self = Output::default();
    }
}

fn free_chain(blocks: &mut OutBlocks, mut chain: Option<BlockId>) {
    while let Some(block) = chain {
        chain = blocks.next(block);
        blocks.give_back(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(output: &mut Output, blocks: &mut OutBlocks, step: u32) -> Vec<u8> {
        let memory = blocks.memory();
        let mut sent = Vec::new();
        while let Some(span) = output.start_send(blocks) {
            assert_eq!(output.start_send(blocks), None, "one send at a time");
            let bytes = step.min(span.to - span.from);
            sent.extend_from_slice(&memory.copy(span)[..bytes as usize]);
            output.finish_send(blocks, bytes);
        }
        sent
    }

    #[test]
    fn bytes_leave_in_order_and_blocks_come_back() {
        let mut blocks = OutBlocks::map(8).unwrap();
        let bytes: Vec<u8> = (0..10_000u32).map(|i| i as u8).collect();
        for step in [1000, 4096, u32::MAX] {
            let mut output = Output::default();
            for part in bytes.chunks(777) {
                assert!(output.put(&mut blocks, part));
            }
            assert_eq!(output.unsent(), 10_000);
            assert_eq!(drain(&mut output, &mut blocks, step), bytes);
            assert_eq!((output.unsent(), blocks.free_count()), (0, 8));
        }
    }

    #[test]
    fn a_block_takes_answers_while_its_front_is_being_sent() {
        let mut blocks = OutBlocks::map(2).unwrap();
        let mut output = Output::default();
        output.put(&mut blocks, b"one");
        let span = output.start_send(&blocks).unwrap();
        output.put(&mut blocks, b"two");
        assert_eq!(blocks.memory().copy(span), b"one");
        output.finish_send(&mut blocks, 3);
        assert_eq!(drain(&mut output, &mut blocks, u32::MAX), b"two");
        assert_eq!(blocks.free_count(), 2);
    }

    #[test]
    fn what_is_held_back_holds_back_what_is_behind_it() {
        let mut blocks = OutBlocks::map(4).unwrap();
        let mut output = Output::default();
        output.put(&mut blocks, b"first");
        output.hold(output.written());
        output.put(&mut blocks, b"second");
        assert_eq!(drain(&mut output, &mut blocks, u32::MAX), b"first");
        output.put(&mut blocks, b"third");
        assert_eq!(output.start_send(&blocks), None);
        output.release(None);
        assert_eq!(drain(&mut output, &mut blocks, u32::MAX), b"secondthird");
    }

    #[test]
    fn an_answer_can_be_taken_back_and_written_anew() {
        let mut blocks = OutBlocks::map(4).unwrap();
        let mut output = Output::default();
        let start = output.mark(&blocks);
        output.put(&mut blocks, &[b'x'; 9000]);
        output.rewind(&mut blocks, start);
        assert_eq!(blocks.free_count(), 4);
        output.put(&mut blocks, b"kept ");
        let mark = output.mark(&blocks);
        output.put(&mut blocks, &[b'x'; 5000]);
        output.rewind(&mut blocks, mark);
        output.put(&mut blocks, b"new");
        assert_eq!(drain(&mut output, &mut blocks, u32::MAX), b"kept new");
    }

    #[test]
    fn without_blocks_nothing_is_written() {
        let mut blocks = OutBlocks::map(1).unwrap();
        let mut output = Output::default();
        let mark = output.mark(&blocks);
        assert!(!output.put(&mut blocks, &[b'x'; 5000]));
        output.rewind(&mut blocks, mark);
        assert!(output.put(&mut blocks, &[b'x'; 4096]));
    }
}

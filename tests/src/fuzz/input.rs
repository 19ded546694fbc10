//! Numbers, names and bytes, taken off the front of an input. Where it ends, there are zeros: every
//! input means something, so none is wasted.

use brink_proto::ids::{Incarnation, Name, ShardId, StreamId};

/// An input that is read from the front.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of an input.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Input<'a> {
        Input(data)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Up to `count` bytes.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.take(8);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        let taken = self.take(4);
        bytes[..taken.len()].copy_from_slice(taken);
        u32::from_le_bytes(bytes)
    }

    /// A number below `end`, of two bytes.
    pub fn below(&mut self, end: usize) -> usize {
        let number = usize::from(self.byte()) << 8 | usize::from(self.byte());
        number % end.max(1)
    }

    /// A name of a few letters.
    pub fn name(&mut self) -> Name {
        const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789_";
        let count = 1 + usize::from(self.byte() % 4);
        let letter = |_| char::from(LETTERS[usize::from(self.byte()) % LETTERS.len()]);
        let text: String = (0..count).map(letter).collect();
        Name::new(&text).expect("made of the letters of names")
    }

    /// A stream.
    pub fn stream(&mut self) -> StreamId {
        StreamId {
            edge: self.name(),
            incarnation: Incarnation(self.u64()),
            shard: ShardId(self.below(1 << 16) as u16),
            topic: self.name(),
        }
    }
}

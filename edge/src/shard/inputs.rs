//! Received bytes that wait to be read: per connection a list of buffers, in one pool.
//!
//! BOUND: as many as there are receive buffers, since each holds one.

use crate::{clock::Nanos, ring::receive::Buffer};

const NONE: u32 = u32::MAX;

/// A filled buffer, how much of it was read, and when its bytes can have come at the earliest.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) buffer: Buffer,
    pub(super) consumed: usize,
    pub(super) arrived: Nanos,
}

/// The inputs of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputList {
    head: u32,
    tail: u32,
    pub(super) count: u32,
}

impl Default for InputList {
    fn default() -> Self {
        InputList { head: NONE, tail: NONE, count: 0 }
    }
}

/// The inputs of all connections.
pub(super) struct Inputs {
    nodes: Vec<Node>,
    free: u32,
    pub(super) in_use: usize,
}

struct Node {
    input: Option<Input>,
    next: u32,
}

impl Inputs {
    pub(super) fn new(count: usize) -> Inputs {
        let next = |at: usize| if at + 1 == count { NONE } else { at as u32 + 1 };
        let nodes = (0..count).map(|at| Node { input: None, next: next(at) }).collect();
        Inputs { nodes, free: if count == 0 { NONE } else { 0 }, in_use: 0 }
    }

    /// Puts an input behind those of a list.
    #[inline]
    pub(super) fn push(&mut self, list: &mut InputList, input: Input) {
        let at = self.free;
        // There are as many nodes as buffers, and the input holds a buffer.
        let node = &mut self.nodes[at as usize];
        self.free = node.next;
        *node = Node { input: Some(input), next: NONE };
        if list.tail == NONE {
            list.head = at;
        } else {
            self.nodes[list.tail as usize].next = at;
        }
        list.tail = at;
        list.count += 1;
        self.in_use += 1;
    }

    /// The first input of a list.
    #[inline]
    pub(super) fn front(&mut self, list: &InputList) -> Option<&mut Input> {
        self.nodes.get_mut(list.head as usize)?.input.as_mut()
    }

    /// Takes the first input of a list out.
    #[inline]
    pub(super) fn pop(&mut self, list: &mut InputList) -> Option<Buffer> {
        let at = list.head;
        let node = self.nodes.get_mut(at as usize)?;
        let input = node.input.take();
        list.head = std::mem::replace(&mut node.next, self.free);
        if list.head == NONE {
            list.tail = NONE;
        }
        list.count -= 1;
        self.free = at;
        self.in_use -= 1;
        input.map(|input| input.buffer)
    }
}

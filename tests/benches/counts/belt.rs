//! A ring that brings each connection its next request as soon as the last answer has left.
//!
//! All that it does happens in `stand_in_for_the_kernel`, which is not counted. Queueing an
//! operation and taking a completion is next to nothing, as it is with the real ring.

use edge::ring::{
    Completion, ConnToken, ListenerIndex, Ring, RingBroken, ShardIndex, Wait,
    blocks::Span,
    receive::{Buffer, BufferFiller},
};
use std::collections::VecDeque;

/// Slots of the listener and of the wake, which connections never get.
const RESERVED: u32 = 2;

/// The ring.
pub(super) struct Belt {
    filler: BufferFiller,
    /// Requests, each in the parts that it is received in.
    requests: Vec<Vec<Vec<u8>>>,
    lanes: Vec<Lane>,
    armed: u32,
    completions: VecDeque<Completion>,
    queued: u32,
    enters: u64,
}

/// One connection.
#[derive(Clone, Default)]
struct Lane {
    /// What it is called, once it was accepted and receives.
    conn: Option<ConnToken>,
    accepted: bool,
    sending: Option<u32>,
    /// The request that comes next, and the part of it.
    request: usize,
    part: usize,
    /// The last part of a request was received, and its answer has not left.
    asked: bool,
}

impl Belt {
    /// A ring with so many connections.
    pub(super) fn new(lanes: usize, requests: Vec<Vec<Vec<u8>>>, filler: BufferFiller) -> Belt {
        let mut belt = Belt {
            filler,
            requests,
            lanes: vec![Lane::default(); lanes],
            armed: 0,
            completions: VecDeque::with_capacity(4 * lanes),
            queued: 0,
            enters: 0,
        };
        for (number, lane) in belt.lanes.iter_mut().enumerate() {
            lane.request = number * 31 % belt.requests.len();
        }
        belt
    }

    /// Slots of the file table.
    pub(super) fn slots(lanes: usize) -> usize {
        RESERVED as usize + lanes
    }

    fn lane(&mut self, conn: ConnToken) -> &mut Lane {
        self.queued += 1;
        &mut self.lanes[(conn.slot - RESERVED) as usize]
    }

    fn accept_next(&mut self) {
        let waiting = self.lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.accepted);
        for (number, lane) in waiting.take(self.armed as usize) {
            self.armed -= 1;
            lane.accepted = true;
            self.completions.push_back(Completion::Accepted {
                listener: ListenerIndex(0),
                slot: RESERVED + number as u32,
                peer: ([127, 0, 0, 1], 10_000 + number as u16).into(),
            });
        }
    }

    /// Brings what the kernel would bring, in a function of its own, so that callgrind can tell.
    #[inline(never)]
    fn stand_in_for_the_kernel(&mut self) {
        self.accept_next();
        for lane in &mut self.lanes {
            let Some(conn) = lane.conn else { continue };
            if let Some(bytes) = lane.sending.take() {
                lane.asked = false;
                self.completions.push_back(Completion::Sent { conn, result: Ok(bytes) });
            }
            if lane.asked {
                continue;
            }
            let parts = &self.requests[lane.request];
            let buffer = self.filler.fill(&parts[lane.part]).expect("there are enough buffers");
            self.completions.push_back(Completion::Received { conn, buffer, more: true });
            lane.part += 1;
            if lane.part == parts.len() {
                lane.part = 0;
                lane.asked = true;
                lane.request = (lane.request + 1) % self.requests.len();
            }
        }
    }
}

impl Ring for Belt {
    fn accept(&mut self, _listener: ListenerIndex) {
        self.armed += 1;
        self.queued += 1;
    }

    fn cancel_accepts(&mut self, _listener: ListenerIndex) {}

    fn receive(&mut self, conn: ConnToken) {
        self.lane(conn).conn = Some(conn);
    }

    fn cancel_receive(&mut self, _conn: ConnToken) {
        unreachable!("nobody sends more than one request at a time");
    }

    fn send(&mut self, conn: ConnToken, span: Span) {
        self.lane(conn).sending = Some(span.to - span.from);
    }

    fn shut_write(&mut self, _conn: ConnToken) {
        unreachable!("connections stay open");
    }

    fn shut(&mut self, _conn: ConnToken) {
        unreachable!("connections stay open");
    }

    fn close(&mut self, _conn: ConnToken) {
        unreachable!("connections stay open");
    }

    fn wake(&mut self, _shard: ShardIndex) {
        unreachable!("the shard is alone");
    }

    fn give_back(&mut self, buffer: Buffer) {
        self.filler.give_back(buffer);
    }

    fn enter(&mut self, _wait: Wait) -> Result<(), RingBroken> {
        self.enters += 1;
        self.queued = 0;
        self.stand_in_for_the_kernel();
        Ok(())
    }

    fn has_queued(&self) -> bool {
        self.queued > 0
    }

    fn has_work(&self) -> bool {
        !self.completions.is_empty()
    }

    fn has_more(&self) -> bool {
        false
    }

    fn next(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }

    fn enters(&self) -> (u64, u64) {
        (self.enters, 0)
    }
}

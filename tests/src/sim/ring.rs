//! A ring without a kernel, with the same rules: completions come with an entering.

use super::{
    network::{ClientId, Network},
    random::Random,
};
use edge::ring::{
    Completion, ConnToken, ListenerIndex, ReceiveEnd, Ring, RingBroken, ShardIndex, Wait,
    blocks::{BlockMemory, Span},
    receive::{BUFFER_BYTES, Buffer, BufferFiller},
};
use std::collections::VecDeque;

/// A simulated ring.
pub struct SimRing {
    network: Network,
    random: Random,
    filler: BufferFiller,
    memory: BlockMemory,
    slots: Vec<Option<Slot>>,
    /// Slots of listeners and the wake, which connections never get.
    reserved: usize,
    armed: u32,
    completions: VecDeque<Completion>,
    queued: u32,
    enters: u64,
}

struct Slot {
    client: ClientId,
    token: ConnToken,
    receiving: bool,
    cancelled: bool,
    sending: Option<Span>,
    shutting: bool,
    shut: bool,
}

impl SimRing {
    /// A ring for one listener.
    #[must_use]
    pub fn new(
        network: Network,
        random: Random,
        filler: BufferFiller,
        memory: BlockMemory,
        slots: usize,
    ) -> SimRing {
        SimRing {
            network,
            random,
            filler,
            memory,
            slots: (0..slots).map(|_| None).collect(),
            reserved: 2,
            armed: 0,
            completions: VecDeque::new(),
            queued: 0,
            enters: 0,
        }
    }

    fn slot(&mut self, conn: ConnToken) -> &mut Slot {
        let slot = self.slots[conn.slot as usize].as_mut().expect("the connection is open");
        // The first operation after an accept tells the generation that the shard has given.
        slot.token = conn;
        slot
    }

    fn accept_waiting(&mut self) {
        while self.armed > 0 {
            let free = (self.reserved..self.slots.len()).find(|i| self.slots[*i].is_none());
            let Some(index) = free else { return };
            let Some((client, peer)) = self.network.accept() else { return };
            self.armed -= 1;
            let token = ConnToken { slot: index as u32, generation: 0 };
            self.slots[index] = Some(Slot {
                client,
                token,
                receiving: false,
                cancelled: false,
                sending: None,
                shutting: false,
                shut: false,
            });
            let listener = ListenerIndex(0);
            self.completions.push_back(Completion::Accepted { listener, slot: index as u32, peer });
        }
    }

    /// What a connection's operations come to by now.
    fn progress(&mut self, index: usize) {
        let Some(slot) = &mut self.slots[index] else { return };
        let (conn, client) = (slot.token, slot.client);
        if slot.shutting {
            slot.shutting = false;
            self.completions.push_back(Completion::Shut { conn });
        }
        if let Some(span) = slot.sending {
            let takes = self.network.client(client, |c| c.reads);
            if slot.shut {
                slot.sending = None;
                let result = Err(rustix::io::Errno::PIPE);
                self.completions.push_back(Completion::Sent { conn, result });
            } else if takes && self.random.chance(80) {
                slot.sending = None;
                let mut bytes = self.memory.copy(span);
                if self.random.chance(10) && bytes.len() > 1 {
                    bytes.truncate(self.random.within(1..bytes.len() as u64) as usize);
                }
                let result = Ok(bytes.len() as u32);
                self.network.client(client, |c| c.incoming.extend_from_slice(&bytes));
                self.completions.push_back(Completion::Sent { conn, result });
            }
        }
        if slot.receiving {
            self.progress_receive(index);
        }
    }

    fn progress_receive(&mut self, index: usize) {
        let Some(slot) = &mut self.slots[index] else { return };
        let (conn, client) = (slot.token, slot.client);
        let mut end = |slot: &mut Slot, end| {
            slot.receiving = false;
            slot.cancelled = false;
            self.completions.push_back(Completion::ReceiveEnded { conn, end });
        };
        if slot.shut {
            return end(slot, ReceiveEnd::Eof);
        }
        if slot.cancelled {
            return end(slot, ReceiveEnd::Cancelled);
        }
        let (waiting, done) = self.network.client(client, |c| (c.outgoing.len(), c.done));
        if waiting == 0 {
            if done {
                end(slot, ReceiveEnd::Eof);
            }
            return;
        }
        let bytes = self.network.receive(client, BUFFER_BYTES, &self.random);
        match self.filler.fill(&bytes) {
            Some(buffer) => {
                let more = !self.random.chance(5);
                slot.receiving = more;
                self.completions.push_back(Completion::Received { conn, buffer, more });
            }
            None => {
                // Put back what found no buffer.
                self.network.client(client, |c| {
                    bytes.iter().rev().for_each(|b| c.outgoing.push_front(*b));
                });
                end(slot, ReceiveEnd::NoBuffers);
            }
        }
    }
}

impl Ring for SimRing {
    fn accept(&mut self, _listener: ListenerIndex) {
        self.armed += 1;
        self.queued += 1;
    }

    fn cancel_accepts(&mut self, listener: ListenerIndex) {
        for _ in 0..std::mem::take(&mut self.armed) {
            let error = rustix::io::Errno::CANCELED;
            self.completions.push_back(Completion::AcceptFailed { listener, error });
        }
    }

    fn receive(&mut self, conn: ConnToken) {
        let slot = self.slot(conn);
        assert!(!slot.receiving, "one receive at a time");
        slot.receiving = true;
        self.queued += 1;
    }

    fn cancel_receive(&mut self, conn: ConnToken) {
        self.slot(conn).cancelled = true;
        self.queued += 1;
    }

    fn send(&mut self, conn: ConnToken, span: Span) {
        let slot = self.slot(conn);
        assert!(slot.sending.is_none(), "one send at a time");
        slot.sending = Some(span);
        self.queued += 1;
    }

    fn shut_write(&mut self, conn: ConnToken) {
        let client = self.slot(conn).client;
        self.slot(conn).shutting = true;
        self.network.client(client, |c| c.ended = true);
        self.queued += 1;
    }

    fn shut(&mut self, conn: ConnToken) {
        let slot = self.slot(conn);
        slot.shutting = true;
        slot.shut = true;
        self.queued += 1;
    }

    fn close(&mut self, conn: ConnToken) {
        let slot = self.slot(conn);
        assert!(
            !slot.receiving && slot.sending.is_none() && !slot.shutting,
            "nothing is under way"
        );
        let client = slot.client;
        self.slots[conn.slot as usize] = None;
        self.network.client(client, |c| c.closed = true);
        self.completions.push_back(Completion::Closed { conn });
        self.queued += 1;
    }

    fn wake(&mut self, _shard: ShardIndex) {
        unreachable!("the simulated shard is alone");
    }

    fn give_back(&mut self, buffer: Buffer) {
        self.filler.give_back(buffer);
    }

    fn enter(&mut self, _wait: Wait) -> Result<(), RingBroken> {
        self.enters += 1;
        self.queued = 0;
        self.accept_waiting();
        for index in self.reserved..self.slots.len() {
            self.progress(index);
        }
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

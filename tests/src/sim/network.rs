//! Clients of a simulated shard: what they send, when, and what they got.

use super::random::Random;
use std::{cell::RefCell, collections::VecDeque, net::SocketAddr, rc::Rc};

/// The network, shared by the ring and the test.
#[derive(Clone, Default)]
pub struct Network {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// Connections that wait in the backlog: their clients.
    backlog: VecDeque<usize>,
    clients: Vec<Client>,
}

/// One client.
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// What it has sent and the server has not received.
    pub(super) outgoing: VecDeque<u8>,
    /// It will send no more.
    pub(super) done: bool,
    /// What it has received.
    pub(super) incoming: Vec<u8>,
    /// Whether it takes what is sent to it.
    pub(super) reads: bool,
    /// The server will send no more.
    pub(super) ended: bool,
    /// The server has closed.
    pub(super) closed: bool,
}

/// A client's handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientId(usize);

impl Network {
    /// A client connects.
    pub fn connect(&self, address: SocketAddr) -> ClientId {
        let mut shared = self.shared.borrow_mut();
        let id = shared.clients.len();
        shared.clients.push(Client {
            address,
            outgoing: VecDeque::new(),
            done: false,
            incoming: Vec::new(),
            reads: true,
            ended: false,
            closed: false,
        });
        shared.backlog.push_back(id);
        ClientId(id)
    }

    /// A client sends.
    pub fn send(&self, client: ClientId, bytes: &[u8]) {
        self.with(client, |c| c.outgoing.extend(bytes));
    }

    /// A client will send no more.
    pub fn finish(&self, client: ClientId) {
        self.with(client, |c| c.done = true);
    }

    /// Whether a client takes what is sent to it.
    pub fn set_reads(&self, client: ClientId, reads: bool) {
        self.with(client, |c| c.reads = reads);
    }

    /// Takes what a client has received.
    #[must_use]
    pub fn take_received(&self, client: ClientId) -> Vec<u8> {
        self.with(client, |c| std::mem::take(&mut c.incoming))
    }

    /// Whether the server has ended its side, or closed.
    #[must_use]
    pub fn is_ended(&self, client: ClientId) -> bool {
        self.with(client, |c| c.ended || c.closed)
    }

    /// Clients in the backlog.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.shared.borrow().backlog.len()
    }

    fn with<T>(&self, client: ClientId, f: impl FnOnce(&mut Client) -> T) -> T {
        f(&mut self.shared.borrow_mut().clients[client.0])
    }

    pub(super) fn accept(&self) -> Option<(ClientId, SocketAddr)> {
        let mut shared = self.shared.borrow_mut();
        let id = shared.backlog.pop_front()?;
        Some((ClientId(id), shared.clients[id].address))
    }

    pub(super) fn client<T>(&self, client: ClientId, f: impl FnOnce(&mut Client) -> T) -> T {
        self.with(client, f)
    }

    /// Up to `most` bytes that a client has sent, cut by chance.
    pub(super) fn receive(&self, client: ClientId, most: usize, random: &Random) -> Vec<u8> {
        self.with(client, |c| {
            let most = most.min(c.outgoing.len());
            let cut = random.chance(30) && most > 1;
            let count = if cut { random.within(1..most as u64) as usize } else { most };
            c.outgoing.drain(..count).collect()
        })
    }
}

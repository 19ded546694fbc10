//! Operations as submission entries, and what their completions carry.

use crate::ring::{Completion, ConnToken, ListenerIndex};
use io_uring::{
    opcode, squeue,
    types::{DestinationSlot, Fixed},
};
use rustix::{io::Errno, net::Shutdown};
use socket2::{SockAddr, SockAddrStorage};
use std::{
    cell::UnsafeCell,
    net::{Ipv4Addr, SocketAddr},
};

/// The group of receive buffers.
pub(super) const BUFFER_GROUP: u16 = 0;

/// Accepts that wait at a listener at once.
const ACCEPTS_ARMED: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Accept = 1,
    Receive,
    Send,
    Shut,
    Close,
    Cancel,
    /// Somebody wakes this shard.
    Woken,
    /// This shard wakes another.
    Wake,
}

/// What a completion says of its operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct UserData(pub(super) u64);

impl UserData {
    pub(super) fn of(kind: Kind, conn: ConnToken) -> UserData {
        let generation = u64::from(conn.generation & 0xFF_FFFF);
        UserData((kind as u64) << 56 | generation << 32 | u64::from(conn.slot))
    }

    pub(super) fn kind(self) -> Option<Kind> {
        Some(match self.0 >> 56 {
            1 => Kind::Accept,
            2 => Kind::Receive,
            3 => Kind::Send,
            4 => Kind::Shut,
            5 => Kind::Close,
            6 => Kind::Cancel,
            7 => Kind::Woken,
            8 => Kind::Wake,
            _ => return None,
        })
    }

    pub(super) fn conn(self) -> ConnToken {
        ConnToken { slot: self.0 as u32, generation: (self.0 >> 32) as u32 & 0xFF_FFFF }
    }
}

pub(super) fn receive(conn: ConnToken) -> squeue::Entry {
    let op = opcode::RecvMulti::new(Fixed(conn.slot), BUFFER_GROUP).build();
    op.user_data(UserData::of(Kind::Receive, conn).0)
}

pub(super) fn send(conn: ConnToken, address: *const u8, bytes: u32) -> squeue::Entry {
    // WAITALL: a short send is gone on with by the kernel. It is the only one of its connection, so
    // nothing can overtake it. NOSIGNAL: a broken connection is a completion, not a signal.
    let flags = rustix::net::SendFlags::NOSIGNAL.bits() as i32
        | rustix::net::RecvFlags::WAITALL.bits() as i32;
    let op = opcode::Send::new(Fixed(conn.slot), address, bytes).flags(flags).build();
    op.user_data(UserData::of(Kind::Send, conn).0)
}

pub(super) fn shut(conn: ConnToken, how: Shutdown) -> squeue::Entry {
    let how = match how {
        Shutdown::Read => 0,
        Shutdown::Write => 1,
        Shutdown::Both => 2,
    };
    let op = opcode::Shutdown::new(Fixed(conn.slot), how).build();
    op.user_data(UserData::of(Kind::Shut, conn).0)
}

pub(super) fn close(conn: ConnToken) -> squeue::Entry {
    let op = opcode::Close::new(Fixed(conn.slot)).build();
    op.user_data(UserData::of(Kind::Close, conn).0)
}

pub(super) fn cancel(what: UserData) -> squeue::Entry {
    let op = opcode::AsyncCancel::new(what.0).build();
    op.user_data(UserData::of(Kind::Cancel, what.conn()).0)
}

/// Watches a waker until the watch ends: one completion for each time that it was written to since
/// the last one.
pub(super) fn watch(waker: u32) -> squeue::Entry {
    let readable = rustix::event::PollFlags::IN.bits().into();
    let op = opcode::PollAdd::new(Fixed(waker), readable).multi(true).build();
    op.user_data(UserData::of(Kind::Woken, ConnToken { slot: waker, generation: 0 }).0)
}

/// What is written to a waker.
static ONE: u64 = 1;

/// Writes to the waker of another shard.
pub(super) fn wake(waker: u32) -> squeue::Entry {
    let one = std::ptr::from_ref(&ONE).cast();
    let op = opcode::Write::new(Fixed(waker), one, size_of_val(&ONE) as u32).build();
    op.user_data(UserData::of(Kind::Wake, ConnToken { slot: waker, generation: 0 }).0)
}

/// Where the kernel writes the addresses of those who connect.
///
/// A multishot accept into the file table does not tell the peer's address, so there are a few
/// single ones, each with memory of its own.
pub(super) struct AcceptSlots {
    /// `ACCEPTS_ARMED` for each listener; never moved while an accept is armed.
    slots: Box<[AcceptSlot]>,
}

struct AcceptSlot {
    address: UnsafeCell<SockAddrStorage>,
    address_bytes: UnsafeCell<u32>,
    armed: bool,
}

impl AcceptSlots {
    pub(super) fn new(listeners: usize) -> AcceptSlots {
        let slot = || {
            let address = UnsafeCell::new(SockAddrStorage::zeroed());
            AcceptSlot { address, address_bytes: UnsafeCell::new(0), armed: false }
        };
        AcceptSlots { slots: (0..listeners * ACCEPTS_ARMED).map(|_| slot()).collect() }
    }

    /// An accept at a listener, if one of its slots is not in use.
    pub(super) fn arm(&mut self, listener: ListenerIndex) -> Option<squeue::Entry> {
        let from = usize::from(listener.0) * ACCEPTS_ARMED;
        let of_listener = self.slots.get_mut(from..from + ACCEPTS_ARMED)?;
        let index = of_listener.iter().position(|slot| !slot.armed)?;
        let slot = of_listener.get_mut(index)?;
        slot.armed = true;
        *slot.address_bytes.get_mut() = slot.address.get_mut().size_of();
        let (address, bytes) = (slot.address.get(), slot.address_bytes.get());
        let op = opcode::Accept::new(Fixed(u32::from(listener.0)), address.cast(), bytes.cast())
            .file_index(Some(DestinationSlot::auto_target()))
            .build();
        Some(op.user_data(Self::data(from + index).0))
    }

    /// Cancels of all accepts that are armed at a listener.
    pub(super) fn cancel(&self, listener: ListenerIndex) -> Vec<squeue::Entry> {
        let from = usize::from(listener.0) * ACCEPTS_ARMED;
        let armed = (from..from + ACCEPTS_ARMED).filter(|i| self.slots[*i].armed);
        armed.map(|index| cancel(Self::data(index))).collect()
    }

    pub(super) fn completion(&mut self, data: UserData, result: Result<u32, Errno>) -> Completion {
        let index = data.conn().slot as usize;
        let listener = ListenerIndex((index / ACCEPTS_ARMED) as u16);
        let slot = &mut self.slots[index];
        slot.armed = false;
        match result {
            Ok(slot_number) => {
                Completion::Accepted { listener, slot: slot_number, peer: slot.peer() }
            }
            Err(error) => Completion::AcceptFailed { listener, error },
        }
    }

    fn data(index: usize) -> UserData {
        UserData::of(Kind::Accept, ConnToken { slot: index as u32, generation: 0 })
    }
}

impl AcceptSlot {
    fn peer(&mut self) -> SocketAddr {
        let mut storage = SockAddrStorage::zeroed();
        std::mem::swap(&mut storage, self.address.get_mut());
        // SAFETY: the kernel filled the address and its length, and the accept is over.
        let address = unsafe { SockAddr::new(storage, *self.address_bytes.get_mut()) };
        address.as_socket().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_carries_what_it_was_given() {
        use Kind::{Cancel, Close, Receive, Send, Shut, Wake, Woken};
        for kind in [Receive, Send, Shut, Close, Cancel, Woken, Wake] {
            for (slot, generation) in [(0, 0), (1, 2), (u32::MAX, 0xFF_FFFF)] {
                let conn = ConnToken { slot, generation };
                let data = UserData::of(kind, conn);
                assert_eq!((data.kind(), data.conn()), (Some(kind), conn));
            }
        }
        assert_eq!(UserData(0).kind(), None);
    }
}

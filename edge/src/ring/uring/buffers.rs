//! The ring of receive buffers that the kernel takes from and we put back into.
//!
//! ```text
//!  entry   address 8 │ length 4 │ number 2 │ (in entry 0: tail 2)
//! ```
//!
//! Only what was taken out is put back, and the tail is published once a turn.

use super::entries::BUFFER_GROUP;
use crate::ring::{
    Completion, ConnToken, ReceiveEnd,
    receive::{BUFFER_BYTES, Buffer, ReceiveBuffers},
    region::Region,
};
use io_uring::{Submitter, cqueue, types::BufRingEntry};
use rustix::io::Errno;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

pub(super) struct BufferRing {
    /// The entries.
    ring: Region,
    /// The buffers.
    memory: Arc<Region>,
    mask: u16,
    tail: u16,
}

impl BufferRing {
    /// Registers all of `buffers`; their count is a power of two.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        buffers: &ReceiveBuffers,
    ) -> io::Result<BufferRing> {
        let count = buffers.count();
        assert!(count.is_power_of_two(), "the kernel wants a power of two");
        let ring = Region::map(usize::from(count) * size_of::<BufRingEntry>())?;
        let address = ring.address(0) as u64;
        // SAFETY: the entries lie in a mapping that lives as long as the ring: `RingMemory` drops
        // the ring first.
        unsafe { submitter.register_buf_ring_with_flags(address, count, BUFFER_GROUP, 0)? };
        let mut this = BufferRing { ring, memory: buffers.region(), mask: count - 1, tail: 0 };
        (0..count).for_each(|number| this.put(number));
        this.publish();
        Ok(this)
    }

    pub(super) fn completion(
        &mut self,
        conn: ConnToken,
        result: Result<u32, Errno>,
        flags: u32,
    ) -> Completion {
        let end = match result {
            Ok(bytes) => match cqueue::buffer_select(flags) {
                Some(number) if bytes > 0 => {
                    let buffer = Buffer::filled(number, bytes);
                    return Completion::Received { conn, buffer, more: cqueue::more(flags) };
                }
                Some(number) => {
                    self.put(number);
                    ReceiveEnd::Eof
                }
                None => ReceiveEnd::Eof,
            },
            Err(Errno::NOBUFS) => ReceiveEnd::NoBuffers,
            Err(Errno::CANCELED) => ReceiveEnd::Cancelled,
            Err(error) => ReceiveEnd::Failed(error),
        };
        Completion::ReceiveEnded { conn, end }
    }

    #[inline]
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        let Buffer { number, .. } = buffer;
        self.put(number);
    }

    #[inline]
    fn put(&mut self, number: u16) {
        let address = self.memory.address(usize::from(number) * BUFFER_BYTES) as u64;
        let entries: *mut BufRingEntry = self.ring.address(0).cast();
        // SAFETY: the index is below the count of entries, which the mapping has room for.
        let entry = unsafe { entries.add(usize::from(self.tail & self.mask)) };
        // SAFETY: mapped and initialised with zeros; the kernel does not read an entry at or behind
        // the tail that was published, and no other reference to it exists.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel have what was put back.
    #[inline]
    pub(super) fn publish(&mut self) {
        let entries: *const BufRingEntry = self.ring.address(0).cast();
        // SAFETY: the tail lies in the first entry, which is mapped and initialised.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: mapped, aligned to two bytes, and only ever written here; the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // ORDER: Release, pairs with the kernel's acquire of the tail: it sees the entries.
        tail.store(self.tail, Ordering::Release);
    }
}

//! The floor: a bare io_uring loop that answers a pixel and logs nothing.
//!
//! One multishot accept, a multishot receive for each connection out of one ring of buffers, one
//! send in flight on each, one system call a turn. Requests are found by their empty line, and
//! nothing of them is understood but whether they close the connection. A server that does
//! something with a request has to spend more than this; how much more is the question.
//!
//! What the kernel works on is never freed: buffers are leaked, and a connection is dropped only
//! when neither a receive nor a send of it is under way.
#![allow(unsafe_code, reason = "memory that is shared with the kernel, and the io_uring queues")]

use brink_peers::{Arguments, answer::Written, listen};
use io_uring::{IoUring, cqueue, opcode, squeue::Entry, types::BufRingEntry, types::Fd};
use memchr::memmem;
use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::{AsRawFd, FromRawFd},
    slice,
    sync::atomic::{AtomicU16, Ordering},
};

/// BOUND: operations that are queued before the kernel is entered.
const ENTRIES: u32 = 1024;

/// BOUND: buffers that are being received into or looked at.
const BUFFERS: u16 = 256;
const BUFFER_GROUP: u16 = 0;

/// BOUND: a request; a connection with a longer one is closed.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

const _: () = assert!(BUFFERS as usize * size_of::<BufRingEntry>() <= size_of::<Page>());

/// What an operation was, in the upper half of its user data; the lower is the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Accept,
    Receive,
    Send,
}

fn main() -> io::Result<()> {
    let listener = listen(Arguments::of_process()?.address)?;
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(8 * ENTRIES)
        .build(ENTRIES)?;
    let buffers = Buffers::register(&ring)?;
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
    let mut floor = Floor {
        ring,
        buffers,
        connections: Vec::new(),
        written: Written::now(),
        accept: accept.user_data(data(Kind::Accept, 0)),
    };
    floor.push(floor.accept.clone())?;
    floor.run()
}

fn data(kind: Kind, index: usize) -> u64 {
    (kind as u64) << 32 | index as u64
}

struct Floor {
    ring: IoUring,
    buffers: Buffers,
    connections: Vec<Option<Connection>>,
    written: Written,
    accept: Entry,
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a request.
    input: Vec<u8>,
    /// Answers that wait for the send that is under way.
    waiting: Vec<u8>,
    /// What that one sends; not touched until it has ended.
    output: Vec<u8>,
    sent: usize,
    sending: bool,
    receiving: bool,
    /// Whether it is closed once everything is sent.
    closes: bool,
}

impl Floor {
    fn run(&mut self) -> io::Result<()> {
        let mut completions = Vec::with_capacity(8 * ENTRIES as usize);
        loop {
            self.buffers.publish();
            self.ring.submit_and_wait(1)?;
            self.written.refresh();
            completions.extend(self.ring.completion());
            for completion in completions.drain(..) {
                let (kind, index) = (completion.user_data() >> 32, completion.user_data() as u32);
                let index = index as usize;
                match kind {
                    kind if kind == Kind::Accept as u64 => self.accepted(&completion)?,
                    kind if kind == Kind::Receive as u64 => self.received(index, &completion)?,
                    _ => self.sent(index, completion.result())?,
                }
            }
        }
    }

    fn push(&mut self, entry: Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.ring.submit()?;
        }
        // SAFETY: buffers are leaked; an output is not touched while its send is under way, and its
        // connection is kept until then.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(io::Error::other)
    }

    fn accepted(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        if !cqueue::more(completion.flags()) {
            self.push(self.accept.clone())?;
        }
        if completion.result() < 0 {
            return Ok(());
        }
        // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
        let stream = unsafe { TcpStream::from_raw_fd(completion.result()) };
        let free = self.connections.iter().position(Option::is_none);
        let index = free.unwrap_or(self.connections.len());
        if free.is_none() {
            self.connections.push(None);
        }
        self.connections[index] = Some(Connection {
            stream,
            input: Vec::new(),
            waiting: Vec::new(),
            output: Vec::new(),
            sent: 0,
            sending: false,
            receiving: true,
            closes: false,
        });
        self.receive(index)
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        connection.receiving = true;
        let fd = Fd(connection.stream.as_raw_fd());
        let receive = opcode::RecvMulti::new(fd, BUFFER_GROUP).build();
        self.push(receive.user_data(data(Kind::Receive, index)))
    }

    fn received(&mut self, index: usize, completion: &cqueue::Entry) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        connection.receiving = cqueue::more(completion.flags());
        let buffer = cqueue::buffer_select(completion.flags());
        if let (Some(buffer), Ok(bytes @ 1..)) = (buffer, usize::try_from(completion.result())) {
            let received = self.buffers.received(buffer, bytes);
            connection.take(received, &self.written);
        } else if completion.result() != NO_BUFFERS {
            // The other end has closed or reset it: nothing more is answered.
            connection.closes = true;
        }
        if let Some(buffer) = buffer {
            self.buffers.put(buffer);
        }
        let arms_again = !connection.receiving && !connection.closes;
        self.send(index)?;
        if arms_again { self.receive(index) } else { Ok(()) }
    }

    /// Sends what waits, unless a send is under way; closes what is to be closed.
    fn send(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        if connection.sending {
            return Ok(());
        }
        if connection.sent == connection.output.len() {
            connection.output.clear();
            connection.sent = 0;
            std::mem::swap(&mut connection.output, &mut connection.waiting);
        }
        let rest = &connection.output[connection.sent..];
        if !rest.is_empty() {
            connection.sending = true;
            let fd = Fd(connection.stream.as_raw_fd());
            let send = opcode::Send::new(fd, rest.as_ptr(), rest.len() as u32);
            return self.push(send.build().user_data(data(Kind::Send, index)));
        }
        if connection.closes {
            if connection.receiving {
                // The receive then ends, and comes back here.
                let _ = connection.stream.shutdown(Shutdown::Both);
            } else {
                self.connections[index] = None;
            }
        }
        Ok(())
    }

    fn sent(&mut self, index: usize, result: i32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        connection.sending = false;
        match usize::try_from(result) {
            Ok(bytes) => connection.sent += bytes,
            Err(_) => {
                connection.closes = true;
                connection.waiting.clear();
                connection.sent = connection.output.len();
            }
        }
        self.send(index)
    }
}

/// -ENOBUFS: all buffers are being looked at; the receive is armed again.
const NO_BUFFERS: i32 = -105;

impl Connection {
    /// Answers the requests that are whole, and keeps the beginning of the next one.
    fn take(&mut self, received: &[u8], written: &Written) {
        if self.input.is_empty() {
            let taken = self.answer(received, written);
            self.input.extend_from_slice(&received[taken..]);
        } else {
            self.input.extend_from_slice(received);
            let input = std::mem::take(&mut self.input);
            let taken = self.answer(&input, written);
            self.input.extend_from_slice(&input[taken..]);
        }
        if self.input.len() > REQUEST_BYTES_MAX {
            self.closes = true;
        }
    }

    /// Answers; how many bytes were whole requests.
    fn answer(&mut self, bytes: &[u8], written: &Written) -> usize {
        let mut taken = 0;
        while !self.closes {
            let rest = &bytes[taken..];
            let Some(end) = memmem::find(rest, b"\r\n\r\n") else { break };
            taken += end + 4;
            self.closes = closes(&rest[..end]);
            self.waiting.extend_from_slice(written.bytes(self.closes));
        }
        taken
    }
}

/// Whether a head says `Connection: close`, in whatever case.
fn closes(head: &[u8]) -> bool {
    memmem::find_iter(head, b"lose").any(|at| {
        let line = head[..at].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        line.to_ascii_lowercase().trim_ascii_end() == b"connection: c"
    })
}

/// The ring of receive buffers: the kernel takes from it, we put back.
struct Buffers {
    entries: *mut BufRingEntry,
    memory: *mut Page,
    tail: u16,
}

impl Buffers {
    fn register(ring: &IoUring) -> io::Result<Buffers> {
        let entries: &mut Page = Box::leak(Box::new(Page([0; 4096])));
        let memory: &mut [Page] = Box::leak(vec![Page([0; 4096]); BUFFERS.into()].into());
        let entries: *mut BufRingEntry = std::ptr::from_mut(entries).cast();
        // SAFETY: the entries are leaked, and so outlive the ring.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                entries as u64,
                BUFFERS,
                BUFFER_GROUP,
                0,
            )?;
        }
        let mut this = Buffers { entries, memory: memory.as_mut_ptr(), tail: 0 };
        (0..BUFFERS).for_each(|number| this.put(number));
        Ok(this)
    }

    /// What the kernel has put into a buffer.
    fn received(&self, number: u16, bytes: usize) -> &'static [u8] {
        assert!(number < BUFFERS && bytes <= size_of::<Page>());
        // SAFETY: inside the array.
        let page = unsafe { self.memory.add(number.into()) };
        // SAFETY: leaked; the kernel has given the buffer to us with so many bytes in it, and has
        // it again only after `put`, behind which nobody holds this slice.
        unsafe { slice::from_raw_parts(page.cast(), bytes) }
    }

    fn put(&mut self, number: u16) {
        assert!(number < BUFFERS);
        // SAFETY: inside the array.
        let page = unsafe { self.memory.add(number.into()) };
        // SAFETY: inside the page of entries, which has room for all of them.
        let entry = unsafe { self.entries.add((self.tail & (BUFFERS - 1)).into()) };
        // SAFETY: leaked and initialised; the kernel does not read behind the tail that was
        // published, and no other reference exists.
        let entry = unsafe { &mut *entry };
        entry.set_addr(page as u64);
        entry.set_len(size_of::<Page>() as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel have what was put back.
    fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry, which is leaked and initialised.
        let tail = unsafe { BufRingEntry::tail(self.entries) };
        // SAFETY: aligned to two bytes, and written here only; the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // ORDER: Release, pairs with the kernel's acquire of the tail: it sees the entries.
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_closes_the_connection_when_it_says_so() {
        for (head, want) in [
            ("GET / HTTP/1.1\r\nConnection: close", true),
            ("GET / HTTP/1.1\r\nconnection: Close\r\nHost: a", true),
            ("GET /close HTTP/1.1\r\nConnection: keep-alive", false),
            ("GET / HTTP/1.1\r\nX-Connection: close", false),
            ("GET / HTTP/1.1\r\nReferer: connection: close", false),
        ] {
            assert_eq!(closes(head.as_bytes()), want, "{head}");
        }
    }
}

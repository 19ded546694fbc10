//! The real ring, on the io_uring crate.
//!
//! In reading order: [`rungs`] says what this kernel can do, `setup` builds and locks down the
//! ring, and here operations become entries and completions become [`Completion`]s.
//!
//! ```text
//!  user data   kind 8 bits │ generation 24 bits │ slot 32 bits
//!  file table  listeners │ wakers of all shards │ connections, given out by the kernel
//! ```
//!
//! The ring is made disabled. Files, buffers and the ring's own descriptor are registered, then
//! what it may do is restricted to the eight operations of `setup` and two flags, then it is
//! enabled: whoever takes over this process cannot make it open a file.

mod buffers;
mod entries;
pub mod rungs;
mod setup;

pub use setup::{RingConfig, RingFiles, RingMemory, RingSetupError};

use super::{
    Completion, ConnToken, ListenerIndex, Ring, RingBroken, ShardIndex, Wait,
    blocks::{BlockMemory, Span},
    receive::Buffer,
};
use buffers::BufferRing;
use entries::{AcceptSlots, Kind, UserData};
use io_uring::{
    CompletionQueue, EnterFlags, SubmissionQueue, Submitter, cqueue, squeue,
    types::{SubmitArgs, Timespec},
};
use rungs::Rungs;
use rustix::io::Errno;
use std::time::Duration;

/// A ring that is open: it may be entered by the thread that opened it, and by no other.
pub struct UringRing<'r> {
    submitter: Submitter<'r>,
    submissions: SubmissionQueue<'r>,
    completions: CompletionQueue<'r>,
    memory: BlockMemory,
    buffers: BufferRing,
    accepts: AcceptSlots,
    wakers: Wakers,
    rungs: Rungs,
    enters: u64,
    full_enters: u64,
    queued: u32,
}

/// Where the wakers of the shards live in the file table, in their order.
#[derive(Clone, Copy)]
struct Wakers {
    first: u32,
    /// This shard's own, which is watched.
    own: ShardIndex,
}

impl Wakers {
    fn slot(self, shard: ShardIndex) -> u32 {
        self.first + u32::from(shard.0)
    }
}

impl UringRing<'_> {
    /// Which rungs it stands on.
    #[must_use]
    pub fn rungs(&self) -> Rungs {
        self.rungs
    }

    /// Queues an entry. A full queue is handed to the kernel first, by an entering of its own.
    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: what entries point to is owned by this ring (accept addresses), by memory
            // that it keeps alive (receive buffers, blocks) or by nobody (what wakes), and stays
            // where it is until the completion.
            if unsafe { self.submissions.push(entry) }.is_ok() {
                self.queued += 1;
                return;
            }
            self.full_enters += 1;
            // A refusal here shows again at the turn's own entering.
            let _ = self.call(Wait::No);
        }
    }

    /// Enters the kernel once.
    fn call(&mut self, wait: Wait) -> Result<(), RingBroken> {
        self.submissions.sync();
        self.enters += 1;
        let mut flags = EnterFlags::GETEVENTS;
        let entered = match wait {
            Wait::No => {
                // SAFETY: no argument is passed, and none is announced.
                unsafe {
                    self.submitter.enter::<SubmitArgs<'_, '_>>(self.queued, 0, flags.bits(), None)
                }
            }
            Wait::AtMost(time) => {
                let time = timespec(time);
                let args = SubmitArgs::new().timespec(&time);
                flags |= EnterFlags::EXT_ARG;
                if self.rungs.no_iowait {
                    flags |= EnterFlags::NO_IOWAIT;
                }
                // SAFETY: `SubmitArgs` is laid out as the kernel's argument, which EXT_ARG
                // announces, and it and the time live until the call returns.
                unsafe { self.submitter.enter(self.queued, 1, flags.bits(), Some(&args)) }
            }
        };
        self.submissions.sync();
        self.completions.sync();
        self.queued = self.submissions.len() as u32;
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match Errno::from_io_error(&error) {
                // Time is up, a signal came, or completions have to be taken out first.
                Some(Errno::TIME | Errno::INTR | Errno::BUSY | Errno::AGAIN) => Ok(()),
                Some(errno) => Err(RingBroken(errno)),
                None => Err(RingBroken(Errno::IO)),
            },
        }
    }

    fn watch(&mut self) {
        self.push(&entries::watch(self.wakers.slot(self.wakers.own)));
    }

    fn completion(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let data = UserData(entry.user_data());
        let conn = data.conn();
        let result = match entry.result() {
            n if n < 0 => Err(Errno::from_raw_os_error(-n)),
            n => Ok(n as u32),
        };
        Some(match data.kind()? {
            Kind::Accept => self.accepts.completion(data, result),
            Kind::Receive => self.buffers.completion(conn, result, entry.flags()),
            Kind::Send => Completion::Sent { conn, result },
            Kind::Shut => Completion::Shut { conn },
            Kind::Close => Completion::Closed { conn },
            Kind::Woken => {
                if !cqueue::more(entry.flags()) {
                    self.watch();
                }
                Completion::Woken
            }
            // What was cancelled says so itself, and who was woken looks for itself.
            Kind::Cancel | Kind::Wake => return None,
        })
    }
}

impl Ring for UringRing<'_> {
    fn accept(&mut self, listener: ListenerIndex) {
        if let Some(entry) = self.accepts.arm(listener) {
            self.push(&entry);
        }
    }

    fn cancel_accepts(&mut self, listener: ListenerIndex) {
        for entry in self.accepts.cancel(listener) {
            self.push(&entry);
        }
    }

    fn receive(&mut self, conn: ConnToken) {
        self.push(&entries::receive(conn));
    }

    fn cancel_receive(&mut self, conn: ConnToken) {
        self.push(&entries::cancel(UserData::of(Kind::Receive, conn)));
    }

    fn send(&mut self, conn: ConnToken, span: Span) {
        let address = self.memory.0.address(BlockMemory::at(span));
        self.push(&entries::send(conn, address, span.to - span.from));
    }

    fn shut_write(&mut self, conn: ConnToken) {
        self.push(&entries::shut(conn, rustix::net::Shutdown::Write));
    }

    fn shut(&mut self, conn: ConnToken) {
        self.push(&entries::shut(conn, rustix::net::Shutdown::Both));
    }

    fn close(&mut self, conn: ConnToken) {
        self.push(&entries::close(conn));
    }

    fn wake(&mut self, shard: ShardIndex) {
        self.push(&entries::wake(self.wakers.slot(shard)));
    }

    #[inline]
    fn give_back(&mut self, buffer: Buffer) {
        self.buffers.give_back(buffer);
    }

    fn enter(&mut self, wait: Wait) -> Result<(), RingBroken> {
        self.buffers.publish();
        self.call(wait)
    }

    #[inline]
    fn has_queued(&self) -> bool {
        self.queued > 0
    }

    #[inline]
    fn has_work(&self) -> bool {
        // The flag says that completions wait to be made by an entering; an overflow likewise.
        !self.completions.is_empty() || self.submissions.taskrun() || self.submissions.cq_overflow()
    }

    #[inline]
    fn has_more(&self) -> bool {
        self.submissions.taskrun() || self.submissions.cq_overflow()
    }

    fn next(&mut self) -> Option<Completion> {
        loop {
            let entry = self.completions.next()?;
            if let Some(completion) = self.completion(&entry) {
                return Some(completion);
            }
        }
    }

    fn enters(&self) -> (u64, u64) {
        (self.enters, self.full_enters)
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec::new().sec(time.as_secs()).nsec(time.subsec_nanos())
}

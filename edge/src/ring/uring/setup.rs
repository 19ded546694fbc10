//! Builds a ring and locks it down.

use super::{
    UringRing, Wakers,
    buffers::BufferRing,
    entries::AcceptSlots,
    rungs::{self, Rungs},
};
use crate::ring::{ShardIndex, blocks::OutBlocks, receive::ReceiveBuffers};
use io_uring::{
    CompletionQueue, IoUring, SubmissionQueue, Submitter, opcode, register::Restriction, squeue,
};
use rustix::io::Errno;
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// What a ring needs to know before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingConfig {
    /// BOUND: entries that are queued before the kernel is entered.
    pub entries: u32,
    /// BOUND: connections, over all listeners.
    pub connections: u32,
    /// Rungs that may be used.
    pub allowed: Rungs,
}

/// What a ring works on beside its connections.
pub struct RingFiles<'f> {
    /// Sockets that are listened on.
    pub listeners: &'f [OwnedFd],
    /// What wakes each of the shards.
    pub wakers: &'f [&'f OwnedFd],
    /// Whose ring it is.
    pub me: ShardIndex,
}

/// Why there is no ring.
#[derive(Debug, thiserror::Error)]
pub enum RingSetupError {
    /// The kernel has no io_uring, or one that is too old.
    #[error(
        "this kernel has no io_uring that a shard could use ({0}); Linux 6.1 or newer is needed"
    )]
    TooOld(Errno),
    /// Something forbids it.
    #[error(
        "io_uring is blocked for this process ({0}): set the sysctl kernel.io_uring_disabled to 0 (or \
         to 1 and add the user to kernel.io_uring_group), and allow io_uring_setup, io_uring_enter and \
         io_uring_register in the container's seccomp profile"
    )]
    Blocked(Errno),
    /// There is too little memory that may be locked.
    #[error(
        "too little memory may be locked for io_uring: raise the limit (LimitMEMLOCK=64M in the \
         systemd unit, or ulimit -l 65536)"
    )]
    Memory,
    /// Fewer files may be open than the ring's table has places.
    #[error(
        "the ring's file table needs {files} places and fewer files may be open: raise the limit \
         (LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536)"
    )]
    Files {
        /// Places: one for each connection of the shard, and some more.
        files: u32,
    },
    /// A step of the setup failed.
    #[error("io_uring cannot be set up: {step} failed: {source}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl RingSetupError {
    /// What an error of `io_uring_setup` means.
    #[must_use]
    pub fn of_setup(errno: Errno) -> RingSetupError {
        match errno {
            Errno::PERM | Errno::ACCESS => RingSetupError::Blocked(errno),
            Errno::NOMEM => RingSetupError::Memory,
            Errno::NOSYS | Errno::INVAL => RingSetupError::TooOld(errno),
            other => RingSetupError::Step { step: "io_uring_setup", source: other.into() },
        }
    }

    fn step(step: &'static str) -> impl FnOnce(io::Error) -> RingSetupError {
        move |source| match Errno::from_io_error(&source) {
            Some(Errno::NOMEM) => RingSetupError::Memory,
            _ => RingSetupError::Step { step, source },
        }
    }
}

/// A ring's memory, which outlives the ring that works in it.
pub struct RingMemory {
    ring: IoUring,
    rungs: Rungs,
    config: RingConfig,
}

impl RingMemory {
    /// Makes a ring, disabled as yet. The calling thread is the one that will use it.
    ///
    /// # Errors
    /// [`RingSetupError`] says what is missing, and the remedy.
    pub fn new(config: RingConfig) -> Result<RingMemory, RingSetupError> {
        let found = rungs::probe().map_err(RingSetupError::of_setup)?;
        let rungs = Rungs {
            no_iowait: found.no_iowait && config.allowed.no_iowait,
            no_sqarray: found.no_sqarray && config.allowed.no_sqarray,
            registered_ring: found.registered_ring && config.allowed.registered_ring,
            restrictions: config.allowed.restrictions,
        };
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_r_disabled()
            .setup_cqsize(config.entries * COMPLETIONS_PER_ENTRY);
        if rungs.no_sqarray {
            builder.setup_no_sqarray();
        }
        let ring = builder.build(config.entries);
        let ring = ring
            .map_err(|e| RingSetupError::of_setup(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
        Ok(RingMemory { ring, rungs, config })
    }

    /// Registers everything, restricts the ring, enables it.
    ///
    /// # Errors
    /// [`RingSetupError`] says which step failed.
    pub fn open(
        &mut self,
        files: &RingFiles<'_>,
        buffers: &ReceiveBuffers,
        blocks: &OutBlocks,
    ) -> Result<UringRing<'_>, RingSetupError> {
        let step = RingSetupError::step;
        let (mut rungs, config) = (self.rungs, self.config);
        let parts: (Submitter<'_>, SubmissionQueue<'_>, CompletionQueue<'_>) = self.ring.split();
        let (mut submitter, submissions, completions) = parts;
        let RingFiles { listeners, wakers, me } = *files;
        let fixed = listeners.iter().chain(wakers.iter().copied());
        let fixed: Vec<_> = fixed.map(AsRawFd::as_raw_fd).collect();
        let files = fixed.len() as u32 + config.connections;
        submitter.register_files_sparse(files).map_err(|error| {
            match Errno::from_io_error(&error) {
                Some(Errno::MFILE) => RingSetupError::Files { files },
                _ => step("registering the file table")(error),
            }
        })?;
        let registered = submitter.register_files_update(0, &fixed);
        registered.map_err(step("registering the listeners and wakers"))?;
        let buffers = BufferRing::register(&submitter, buffers)
            .map_err(step("registering the receive buffers"))?;
        if rungs.registered_ring {
            submitter.register_ring_fd().map_err(step("registering the ring"))?;
        }
        if rungs.restrictions {
            let restricted = submitter.register_restrictions(&mut restrictions());
            match restricted {
                Ok(()) => {}
                // A hardened kernel may refuse even this; the shard works without.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {
                    rungs.restrictions = false;
                }
                Err(error) => return Err(step("restricting the ring")(error)),
            }
        }
        submitter.register_enable_rings().map_err(step("enabling the ring"))?;
        let mut ring = UringRing {
            submitter,
            submissions,
            completions,
            memory: blocks.memory(),
            buffers,
            accepts: AcceptSlots::new(listeners.len()),
            wakers: Wakers { first: listeners.len() as u32, own: me },
            rungs,
            enters: 0,
            full_enters: 0,
            queued: 0,
        };
        ring.watch();
        Ok(ring)
    }
}

/// Multishot receives make many completions of one entry.
const COMPLETIONS_PER_ENTRY: u32 = 8;

/// The operations and flags of a shard, and nothing else. Without the flags, entries that use the
/// file table or select a buffer are refused.
fn restrictions() -> Vec<Restriction> {
    let operations = [
        opcode::Accept::CODE,
        opcode::RecvMulti::CODE,
        opcode::Send::CODE,
        opcode::Shutdown::CODE,
        opcode::Close::CODE,
        opcode::AsyncCancel::CODE,
        opcode::PollAdd::CODE,
        opcode::Write::CODE,
    ];
    let flags = squeue::Flags::FIXED_FILE | squeue::Flags::BUFFER_SELECT;
    let mut allowed: Vec<_> = operations.map(Restriction::sqe_op).into();
    allowed.push(Restriction::sqe_flags_allowed(flags.bits()));
    allowed
}

//! How a process ends: each reason has its own code, which docs/operating.md lists.

use crate::{appliance::StartError, config::ConfigError, ring::uring::RingSetupError};
use brink_shipper::spool::SpoolError;
use std::process::ExitCode;

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The code.
    pub code: u8,
    /// What it means.
    pub meaning: &'static str,
}

/// All is well.
pub const OK: Exit = Exit { code: 0, meaning: "done, or stopped in order" };
/// What was checked is not as it should be.
pub const FAILED: Exit = Exit {
    code: 1,
    meaning: "a check failed: a wrong answer, a ledger that does not add up, a fault found",
};
/// The command line makes no sense.
pub const USAGE: Exit = Exit { code: 2, meaning: "the command line makes no sense" };
/// The configuration makes no sense.
pub const CONFIG: Exit = Exit { code: 3, meaning: "the configuration cannot be used" };
/// There is no io_uring.
pub const NO_RING: Exit =
    Exit { code: 4, meaning: "io_uring is missing, blocked, or may not lock enough memory" };
/// An address is taken.
pub const ADDRESS: Exit =
    Exit { code: 5, meaning: "an address is in use or cannot be listened on" };
/// The spool is in use.
pub const LOCKED: Exit = Exit { code: 6, meaning: "the spool is in use by another process" };
/// The spool is somebody else's.
pub const IDENTITY: Exit =
    Exit { code: 7, meaning: "the spool belongs to another machine or edge; see `edge identity`" };
/// The spool cannot be used.
pub const SPOOL: Exit = Exit { code: 8, meaning: "the spool cannot be used" };
/// The system refuses something.
pub const SYSTEM: Exit = Exit {
    code: 9,
    meaning: "the system refuses a thread, a descriptor or the object store's folder",
};
/// A table cannot be built or read.
pub const TABLE: Exit =
    Exit { code: 10, meaning: "a segment table, or what it is built from, cannot be used" };
/// A part of the appliance ended by itself.
pub const LOST_THREAD: Exit =
    Exit { code: 70, meaning: "a thread ended by itself; what was accepted was kept" };

/// All of them.
pub const ALL: [Exit; 12] = [
    OK,
    FAILED,
    USAGE,
    CONFIG,
    NO_RING,
    ADDRESS,
    LOCKED,
    IDENTITY,
    SPOOL,
    SYSTEM,
    TABLE,
    LOST_THREAD,
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code)
    }
}

/// Says what went wrong with whom, and which exit that is.
pub fn fail(who: &str, error: &dyn Exits) -> Exit {
    eprintln!("{who}: {error}");
    error.exit()
}

/// The exit of an error.
pub trait Exits: std::error::Error {
    /// How the process ends because of it.
    fn exit(&self) -> Exit;
}

impl Exits for ConfigError {
    fn exit(&self) -> Exit {
        CONFIG
    }
}

impl Exits for RingSetupError {
    fn exit(&self) -> Exit {
        NO_RING
    }
}

impl Exits for SpoolError {
    fn exit(&self) -> Exit {
        match self {
            SpoolError::Locked { .. } => LOCKED,
            SpoolError::LockedMemory { .. } => NO_RING,
            SpoolError::OtherEdge { .. } | SpoolError::OtherMachine { .. } => IDENTITY,
            SpoolError::Absent { .. }
            | SpoolError::Second { .. }
            | SpoolError::Folder { .. }
            | SpoolError::Identity { .. }
            | SpoolError::Newer { .. }
            | SpoolError::Thread { .. } => SPOOL,
        }
    }
}

impl Exits for StartError {
    fn exit(&self) -> Exit {
        match self {
            StartError::AddressInUse { .. } | StartError::Listen { .. } => ADDRESS,
            StartError::Ring(_) => NO_RING,
            StartError::Spool(error) => error.exit(),
            StartError::Store(_)
            | StartError::Kafka(_)
            | StartError::Thread { .. }
            | StartError::ThreadEnded { .. }
            | StartError::System(_) => SYSTEM,
        }
    }
}

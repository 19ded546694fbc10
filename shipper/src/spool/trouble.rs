//! What of the disk's work fails: one alarm for all of it, which is over when all of it works.

use super::Shared;
use crate::{
    alarms::Alarm,
    disk::{Disk, Timer},
};
use std::cell::Cell;

/// Work that the disk does for a spool.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Frames and segments are written.
    Log,
    /// Cursors are, and copies of what no sink can deliver.
    Decisions,
    /// Headers are read again.
    Headers,
    /// Payloads are read for a sink.
    Payloads,
}

/// Which of it has failed last.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    failing: Cell<u8>,
}

impl<D: Disk, T: Timer> Shared<D, T> {
    /// The disk has failed at something; whether that is news.
    pub(super) fn disk_fails(&self, work: Work) -> bool {
        self.trouble.failing.set(self.trouble.failing.get() | 1 << work as u8);
        self.alarms.raise(Alarm::SpoolDisk)
    }

    /// The disk has done something.
    pub(super) fn disk_works(&self, work: Work) {
        let failing = self.trouble.failing.get() & !(1 << work as u8);
        self.trouble.failing.set(failing);
        if failing == 0 {
            self.alarms.over(Alarm::SpoolDisk);
        }
    }
}

//! The ladder: what this kernel's io_uring can do, and what we do without.
//!
//! The floor is Linux 6.1: single issuer, deferred task work, multishot receives into provided
//! buffers, direct accepts. Above it every rung is looked for and never assumed, and each can be
//! taken away by configuration (`[ring] without = [...]`), so that the tests climb all of them.

use io_uring::{IoUring, cqueue, squeue};
use rustix::io::Errno;

/// The rungs that a ring stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rungs {
    /// Waiting is not counted as I/O wait (6.15).
    pub no_iowait: bool,
    /// No indirection between queue and entries (6.6).
    pub no_sqarray: bool,
    /// The ring's own descriptor is registered (5.18).
    pub registered_ring: bool,
    /// The ring can do nothing but what the shard does (5.10).
    pub restrictions: bool,
}

/// One rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The first kernel that has it.
    pub since: &'static str,
    /// What is lost without it.
    pub without: &'static str,
}

/// All rungs, the highest first.
pub const RUNGS: [Rung; 4] = [
    Rung {
        name: "no_iowait",
        since: "6.15",
        without: "a parked shard shows as I/O wait in top and in PSI; nothing is slower",
    },
    Rung {
        name: "no_sqarray",
        since: "6.6",
        without: "one more cache line written per submission; not measurable here",
    },
    Rung {
        name: "registered_ring",
        since: "5.18",
        without: "the ring's descriptor is looked up at every entering, some 20 ns",
    },
    Rung {
        name: "restrictions",
        since: "5.10",
        without: "the ring could be made to do any operation by whoever takes the process over",
    },
];

impl Rungs {
    /// All of them.
    pub const ALL: Rungs =
        Rungs { no_iowait: true, no_sqarray: true, registered_ring: true, restrictions: true };

    /// Takes a rung away; whether there is one of this name.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(rung) = self.by_name(name) else { return false };
        *rung = false;
        true
    }

    /// Whether a ring stands on the rung of this name.
    #[must_use]
    pub fn has(mut self, name: &str) -> bool {
        self.by_name(name).is_some_and(|rung| *rung)
    }

    fn by_name(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "no_iowait" => Some(&mut self.no_iowait),
            "no_sqarray" => Some(&mut self.no_sqarray),
            "registered_ring" => Some(&mut self.registered_ring),
            "restrictions" => Some(&mut self.restrictions),
            _ => None,
        }
    }
}

/// What this kernel has, or why there is no ring at all.
///
/// # Errors
/// What the kernel said to the smallest ring that a shard could work with.
pub fn probe() -> Result<Rungs, Errno> {
    let build = |no_sqarray: bool| {
        let mut builder = IoUring::<squeue::Entry, cqueue::Entry>::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
        if no_sqarray {
            builder.setup_no_sqarray();
        }
        builder.build(4)
    };
    let plain = build(false).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let registered_ring = plain.submitter().register_ring_fd().is_ok();
    Ok(Rungs {
        no_iowait: plain.params().is_feature_no_iowait(),
        no_sqarray: build(true).is_ok(),
        registered_ring,
        restrictions: true,
    })
}

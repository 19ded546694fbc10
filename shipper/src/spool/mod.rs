//! The spool: the log of record. What it has accepted survives a crash and is delivered from here.
//!
//! In reading order:
//!
//! - [`identity`]: whose folder it is, locked; which start this is.
//! - [`segment`], [`walk`], `recovery`: what lies on disk, and how a start finds its end.
//!   `payload`: what a frame carries.
//! - `log`: the same in memory; `commit` writes it; `server` tells the sinks of it, in the order
//!   that `feeds` says, and `reads` gives them payloads. `free` makes room where much is delivered
//!   and little is not.
//! - [`cursors`]: how far each sink is; durable before anything is let go. [`chain`]: the part of
//!   one that manifests are made of.
//! - [`port`]: the rings between the spool and a sink. `quarantine`: where corrupt parts go.
//!   `trouble`: what of the disk's work fails.
//!
//! ```text
//!  spool/ lock                one process
//!         identity            edge, machine, latest incarnation
//!         cursors             two slots
//!         segments/N.seg      the log, N grows; N.free waits to be written again
//!         quarantine/         copies of corrupt ranges
//! ```
//!
//! Invariants: a frame is in the log once it is durable. A ticket is published after that. A cursor
//! is durable before what it allows is done. Nothing is deleted that a sink has not delivered. The
//! spool is one thread; the disk and the clock are seams, so that a simulation can break them.

pub mod chain;
pub mod cursors;
pub mod identity;
pub mod port;
pub mod segment;
pub mod walk;

mod commit;
mod counters;
mod feeds;
mod free;
mod log;
mod notify;
pub(crate) mod payload;
mod quarantine;
mod reads;
pub(crate) mod recovery;
mod server;
pub(crate) mod text;
mod thread;
mod trouble;

pub use counters::{Held, SpoolCounters, StreamCounters};
pub use recovery::RecoveryReport;
pub use thread::{SpoolHandle, SpoolStart, SpoolThread, spawn};

use crate::{
    alarms::{Alarm, Alarms},
    disk::{Disk, Timer},
    intake::SpoolEnd,
    steps::Step,
};
use brink_proto::ids::Incarnation;
use commit::Committer;
use cursors::{CursorFile, Cursors, Found};
use log::Log;
use notify::Notify;
use port::SpoolPort;
use server::Server;
use std::{
    cell::{Cell, RefCell},
    io,
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use trouble::Trouble;

/// How a spool works.
#[derive(Debug, Clone)]
pub struct SpoolConfig {
    /// This start.
    pub incarnation: Incarnation,
    /// Size of a segment, a multiple of 4096.
    pub segment_bytes: u32,
    /// BOUND: bytes that the segments may take.
    pub quota_bytes: u64,
    /// Longest time between a batch's arrival and its commit, when nobody waits for it.
    pub commit_interval: Duration,
    /// A group of this size is committed at once.
    pub group_bytes: usize,
    /// Of what was in the log at the start, so many bytes a second are given to each sink.
    pub replay_bytes_per_s: u64,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be worked with.
    #[error("cannot {doing} the spool {}: {source}", path.display())]
    Folder {
        /// The spool.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is none.
    #[error("there is no spool in {}: it has no identity; name the folder that [spool] path names",
        path.display()
    )]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// Its second folder cannot be used, or must be.
    #[error("the second folder {} of the spool {text}", path.display())]
    Second {
        /// The second folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        text: &'static str,
    },
    /// Another process uses it.
    #[error(
        "the spool {} is in use by {holder}; stop that process, or give this one another [spool] path",
        path.display()
    )]
    Locked {
        /// The spool.
        path: PathBuf,
        /// Who holds the lock.
        holder: String,
    },
    /// The identity file cannot be read.
    #[error("the identity in the spool {} makes no sense: {text}", path.display())]
    Identity {
        /// The spool.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// A newer build wrote it.
    #[error(
        "the spool {} has format {found} and this build knows {known}; it was left untouched, \
         start the newer build",
        path.display()
    )]
    Newer {
        /// The spool.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Our format.
        known: u32,
    },
    /// It belongs to another appliance.
    #[error(
        "the spool {} belongs to edge {found:?} and the configuration says {configured:?}; run \
         `edge identity adopt` if the appliance was renamed, `edge identity reset` if it is a new one",
        path.display()
    )]
    OtherEdge {
        /// The spool.
        path: PathBuf,
        /// Its edge.
        found: String,
        /// Ours.
        configured: String,
    },
    /// It was written on another machine.
    #[error(
        "the spool {} was written on another machine; run `edge identity reset` if this droplet is a \
         clone (its backlog is set aside, the original delivers it), `edge identity adopt` if the disk \
         moved here",
        path.display()
    )]
    OtherMachine {
        /// The spool.
        path: PathBuf,
    },
    /// There is too little memory that may be locked.
    #[error(
        "the spool's executor needs {kib_min} KiB of memory that may be locked and may lock {kib} KiB: \
         raise the limit (LimitMEMLOCK=64M in the systemd unit, or ulimit -l 65536)"
    )]
    LockedMemory {
        /// What may be locked.
        kib: u64,
        /// What is needed.
        kib_min: u64,
    },
    /// The thread could not be started.
    #[error("the spool thread could not be started: {text}")]
    Thread {
        /// What went wrong.
        text: String,
    },
}

/// What the two tasks of the spool thread share.
pub(crate) struct Shared<D: Disk, T: Timer> {
    pub(crate) disk: D,
    pub(crate) timer: T,
    pub(crate) config: SpoolConfig,
    pub(crate) log: RefCell<Log<D::File>>,
    pub(crate) cursors: RefCell<Cursors>,
    pub(crate) counters: Arc<SpoolCounters>,
    pub(crate) alarms: Arc<Alarms>,
    trouble: Trouble,
    pub(crate) work: Notify,
    /// Whether a sink has work that waits for this thread alone.
    pub(crate) is_sink_behind: Cell<bool>,
    give_up: Arc<AtomicBool>,
    committer_done: Cell<bool>,
    server_done: Cell<bool>,
}

impl<D: Disk, T: Timer> Shared<D, T> {
    /// Whether a stop took too long and what is not durable is to be lost, loudly.
    pub(crate) fn gives_up(&self) -> bool {
        // ORDER: Relaxed, a flag that stands for itself.
        self.give_up.load(Ordering::Relaxed)
    }

    pub(crate) fn committer_is_done(&self) {
        self.counters.finished.set(1);
        Step::LogDrained.pass();
        self.committer_done.set(true);
    }

    pub(crate) fn is_committer_done(&self) -> bool {
        self.committer_done.get()
    }

    pub(crate) fn server_is_done(&self) {
        self.server_done.set(true);
    }
}

/// What a spool is connected to.
pub struct Connections {
    /// One end per shard.
    pub rings: Vec<SpoolEnd>,
    /// One port per sink.
    pub ports: Vec<SpoolPort>,
    /// What it counts.
    pub counters: Arc<SpoolCounters>,
    /// What it raises.
    pub alarms: Arc<Alarms>,
    /// Set when a stop has taken too long.
    pub give_up: Arc<AtomicBool>,
}

/// A spool that was found on its disk and is ready to run. Generic over disk and clock: the thread
/// runs it on the real ones, the simulation on its own.
pub struct Spool<D: Disk, T: Timer> {
    shared: Rc<Shared<D, T>>,
    committer: Committer<D, T>,
    server: Server<D, T>,
    report: RecoveryReport,
}

impl<D: Disk + Clone, T: Timer> Spool<D, T> {
    /// Recovers the log.
    ///
    /// # Errors
    /// What the disk said; [`io::ErrorKind::Unsupported`] when a newer build wrote the log.
    pub async fn open(
        disk: D,
        timer: T,
        config: SpoolConfig,
        with: Connections,
    ) -> io::Result<Spool<D, T>> {
        Step::StartCounted.pass();
        recovery::refuse_newer(&disk).await?;
        let (mut cursor_file, mut cursors, found) = CursorFile::open(disk.clone()).await?;
        let (log, mut report) = recovery::recover(&disk, config.segment_bytes).await?;
        Step::LogRecovered.pass();
        report.cursors_lost = found == Found::Lost;
        if report.cursors_lost {
            with.alarms.raise(Alarm::CursorsLost);
        }
        if report.corrupt_ranges > 0 {
            with.alarms.raise(Alarm::CorruptFrame);
        }
        let known = cursors.sinks.len();
        for port in &with.ports {
            cursors.sinks.entry(port.name.clone()).or_default();
        }
        // A sink is known from its first start: who drains the spool must not forget it.
        if cursors.sinks.len() > known
            && found != Found::Lost
            && let Err(error) = cursor_file.write(&cursors).await
        {
            tracing::warn!(%error, "a new sink is not in the cursors yet");
        }
        let shared = Rc::new(Shared {
            disk,
            timer,
            config,
            log: RefCell::new(log),
            cursors: RefCell::new(cursors),
            counters: with.counters,
            alarms: with.alarms,
            trouble: Trouble::default(),
            work: Notify::default(),
            is_sink_behind: Cell::new(false),
            give_up: with.give_up,
            committer_done: Cell::new(false),
            server_done: Cell::new(false),
        });
        let committer = Committer::new(Rc::clone(&shared), with.rings);
        let server = Server::new(Rc::clone(&shared), cursor_file, with.ports);
        Ok(Spool { shared, committer, server, report })
    }

    /// What the start found.
    #[must_use]
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// What a sink has behind it, and how many events in the log it has not. Of how streams were
    /// numbered it is told for those that have something left.
    #[must_use]
    pub fn sink_start(&self, sink: &str) -> (cursors::SinkCursor, u64) {
        let log = self.shared.log.borrow();
        let mut cursor = self.shared.cursors.borrow().sinks.get(sink).cloned().unwrap_or_default();
        cursor.begin(log.firsts());
        let backlog = log.backlog(&cursor);
        cursor.lineages.retain(|lineage| backlog.contains_key(&lineage.stream));
        (cursor, backlog.values().sum())
    }

    /// The two tasks: the one that appends, and the one that reads for the sinks. Both must be run;
    /// they end when every shard is gone and every sink has ended.
    pub fn into_tasks(
        self,
    ) -> (impl Future<Output = ()> + 'static, impl Future<Output = ()> + 'static) {
        let Spool { shared, committer, server, .. } = self;
        let append = async move {
            committer.run().await;
            // The sinks go on; their server is woken from here.
            while !shared.server_done.get() {
                shared.work.notify();
                shared.timer.sleep(SERVER_TICK).await;
            }
        };
        (append, server.run())
    }
}

/// How often the sinks are looked after once nothing is appended any more.
const SERVER_TICK: Duration = Duration::from_millis(2);

//! The appliance: one process, composed of its threads.
//!
//! ```text
//!  main ── supervisor: waits for signals and for threads that end
//!   ├─ shard-N    one per serving core
//!   ├─ spool      glommio
//!   ├─ delivery   tokio: sink, operators' listener
//!   └─ encode     lowest priority
//! ```
//!
//! In reading order: `start` takes what must be taken (spool, addresses, memory) and says what is
//! missing; `shards`, `delivery` are the threads, `readiness` and [`tables`] run on the latter;
//! [`board`] and [`ledger`] are what can be seen;
//! [`Appliance::stop`] is the way down, hop by hop, so that nothing is left between two of them.

pub mod board;
pub mod ledger;

mod delivery;
mod events;
mod listen;
mod readiness;
mod runway;
mod shards;
mod start;
pub mod tables;

pub use board::Board;
pub use events::Event;
pub use readiness::Unready;

use crate::{
    config::EdgeConfig,
    ring::uring::RingSetupError,
    roles::Roles,
    shard::control::{Stage, Waker},
};
use brink_shipper::{
    alarms::Alarm,
    kafka::TlsError,
    objects::store::StoreConfigError,
    sink::Phase,
    spool::{SpoolError, SpoolHandle, identity::SpoolFolder},
};
use delivery::Delivery;
use ledger::Ledger;
use listen::Door;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Why an appliance does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken.
    #[error(
        "listener {name:?}: {address} is in use; stop what listens there (`ss -ltnp`), or give this \
         listener another address"
    )]
    AddressInUse {
        /// The listener.
        name: String,
        /// Its address.
        address: SocketAddr,
    },
    /// An address cannot be listened on.
    #[error("listener {name:?}: cannot listen on {address}: {source}")]
    Listen {
        /// The listener.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There is no ring.
    #[error(transparent)]
    Ring(#[from] RingSetupError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The object store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreConfigError),
    /// TLS to Kafka cannot be used as it is configured.
    #[error("[kafka]: {0}")]
    Kafka(#[from] TlsError),
    /// A thread cannot be started.
    #[error("thread {name} cannot be started: {source}")]
    Thread {
        /// The thread.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A thread ended while it started.
    #[error("thread {name} ended while it started; see the log")]
    ThreadEnded {
        /// The thread.
        name: String,
    },
    /// The machine has run out of something.
    #[error("cannot start: {0}")]
    System(#[from] rustix::io::Errno),
}

/// How an appliance is to be started, beside its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartOptions {
    /// Whether SIGTERM and SIGINT stop it.
    pub signals: bool,
}

/// A running appliance.
pub struct Appliance {
    board: Arc<Board>,
    events: Receiver<Event>,
    wakers: Vec<Waker>,
    shards: Vec<JoinHandle<()>>,
    spool: SpoolHandle,
    delivery: Delivery,
    give_up: Arc<AtomicBool>,
    /// Of its listeners.
    doors: Vec<Door>,
    /// Held while it lives.
    _folder: SpoolFolder,
}

/// How an appliance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Where events are.
    pub ledger: Ledger,
    /// A thread that had ended by itself, if that is why.
    pub lost_thread: Option<String>,
}

impl Appliance {
    /// Starts everything; comes back when requests are answered.
    ///
    /// # Errors
    /// [`StartError`] says what is missing, and the remedy. Nothing runs then.
    pub fn start(
        config: EdgeConfig,
        roles: &Roles,
        options: StartOptions,
    ) -> Result<Appliance, StartError> {
        start::start(config, roles, options)
    }

    /// What can be seen of it.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Waits until somebody wants it to stop, or a thread ends by itself, and stops.
    #[must_use]
    pub fn run(self) -> Ended {
        let lost_thread = match self.events.recv() {
            Ok(Event::ThreadEnded(thread)) => {
                tracing::error!(thread, "a thread has ended by itself, stopping");
                self.board.alarms.raise(Alarm::ThreadLost);
                Some(thread)
            }
            Ok(Event::StopWanted) | Err(_) => None,
        };
        let ended = self.stop();
        Ended { lost_thread, ..ended }
    }

    /// Stops, hop by hop: not ready, answers in flight, batches, spool, delivery.
    #[must_use]
    pub fn stop(self) -> Ended {
        let drain = self.board.config.drain;
        tracing::info!("not ready any more");
        self.board.control.set_ready(false);
        self.set_stage(Stage::Unready);
        if !self.shards.is_empty() {
            // A second signal cuts the grace short.
            let until = Instant::now() + drain.grace;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                if self.events.recv_timeout(left) == Ok(Event::StopWanted) {
                    break;
                }
            }
        }
        self.set_stage(Stage::Drain);
        for shard in self.shards {
            if shard.join().is_err() {
                self.board.alarms.raise(Alarm::ThreadLost);
            }
        }
        self.doors.iter().for_each(Door::close);
        let until = Instant::now() + drain.deliver;
        let _ = self.delivery.phase.send(Phase::Drain);
        let spooled = || self.board.spool.finished.read() > 0;
        if !wait_until(until, spooled) {
            tracing::error!("the spool takes nothing, giving up what it has not written");
            // ORDER: Relaxed, a flag that stands for itself.
            self.give_up.store(true, Ordering::Relaxed);
            wait_until(Instant::now() + GIVE_UP_MAX, spooled);
        }
        // Behind the last event there is still what tells of it: a sink is done when it has ended.
        if !wait_until(until, || self.delivery.phase.is_closed()) {
            let pending = Ledger::read(&self.board).sinks.values().map(|s| s.pending).sum::<u64>();
            tracing::warn!(pending, "not all was delivered in time; the next start goes on");
            let _ = self.delivery.phase.send(Phase::End);
        }
        if let Err(error) = self.spool.join() {
            tracing::error!(%error, "the spool did not end well");
        }
        let _ = self.delivery.closing.send(true);
        if self.delivery.thread.join().is_err() {
            tracing::error!("the delivery thread panicked");
        }
        let ledger = Ledger::read(&self.board);
        tracing::info!(accepted = ledger.accepted(), "stopped");
        Ended { ledger, lost_thread: None }
    }

    fn set_stage(&self, stage: Stage) {
        self.board.control.set_stage(stage);
        self.wakers.iter().for_each(Waker::wake);
    }
}

/// How long a spool may take to give up.
const GIVE_UP_MAX: Duration = Duration::from_secs(2);

fn wait_until(until: Instant, done: impl Fn() -> bool) -> bool {
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

//! The spool thread: a glommio executor with a queue for appends and a lesser one for reads.

use super::{Connections, RecoveryReport, Spool, SpoolConfig, SpoolError, cursors::SinkCursor};
use crate::disk::{
    dma::{DmaDisk, DmaTimer},
    pair::Pair,
};
use glommio::{
    ExecutorJoinHandle, GlommioError, Latency, LocalExecutorBuilder, Placement, Shares, executor,
    spawn_local, spawn_local_into, timer,
};
use rustix::process::{Resource, getrlimit};
use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    time::Duration,
};

/// Where and how the thread runs.
#[derive(Debug, Clone)]
pub struct SpoolThread {
    /// The spool's folder.
    pub path: PathBuf,
    /// Its second one, on another disk, if there is one.
    pub second: Option<PathBuf>,
    /// The core it is pinned to.
    pub cpu: usize,
}

/// What a start found, as the rest of the appliance needs it.
#[derive(Debug)]
pub struct SpoolStart {
    /// What was found on disk.
    pub report: RecoveryReport,
    /// Per sink, in the order of the ports: what is behind it, and how many events are not.
    pub sinks: Vec<(SinkCursor, u64)>,
}

/// A running spool thread.
pub struct SpoolHandle {
    /// What its start found.
    pub start: SpoolStart,
    thread: ExecutorJoinHandle<()>,
}

/// glommio's memory for reads and writes: a group of writes, and the reads of a sink.
const IO_MEMORY_BYTES: usize = 2 << 20;

/// Shares of the queues: appends against reads.
const APPEND_SHARES: usize = 1000;
const SERVE_SHARES: usize = 100;

/// When glommio preempts a queue: not in this life. If that timer fires between the poll that armed
/// it and the first queue's turn, because the system ran something else in between, then glommio
/// goes to sleep although tasks could run, and nothing wakes it: the log stands still. Our two
/// tasks wait for the disk or for a timer at every step, so they need no preemption.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the executor sleeps at most. Whatever else makes it sleep with tasks that could run,
/// such as a wake-up from another thread in that same instant, is over after so long.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// glommio refuses to start below this, whoever the user is.
const LOCKED_BYTES_MIN: u64 = 512 * 1024;

/// Starts the thread and waits until the log is recovered.
///
/// # Errors
/// [`SpoolError`] when the thread cannot be started or the log cannot be read.
pub fn spawn(
    at: &SpoolThread,
    config: SpoolConfig,
    with: Connections,
) -> Result<SpoolHandle, SpoolError> {
    if let Some(limit) = getrlimit(Resource::Memlock).current.filter(|l| *l < LOCKED_BYTES_MIN) {
        return Err(SpoolError::LockedMemory {
            kib: limit / 1024,
            kib_min: LOCKED_BYTES_MIN / 1024,
        });
    }
    // BOUND: the thread says once how its start went.
    let (told, started) = sync_channel(1);
    let (path, second) = (at.path.clone(), at.second.clone());
    let thread = LocalExecutorBuilder::new(Placement::Fixed(at.cpu))
        .name("spool")
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(64)
        .preempt_timer(NEVER)
        .spawn(move || run(path, second, config, with, told))
        .map_err(|e: GlommioError<()>| SpoolError::Thread { text: e.to_string() })?;
    let failed = |doing, source| SpoolError::Folder { path: at.path.clone(), doing, source };
    match started.recv() {
        Ok(Ok(start)) => Ok(SpoolHandle { start, thread }),
        Ok(Err(source)) => Err(failed("recover", source)),
        Err(_) => Err(SpoolError::Thread { text: "it ended before it had started".to_owned() }),
    }
}

impl SpoolHandle {
    /// Waits for the thread to end: no shard is left, everything is durable, no sink is left.
    ///
    /// # Errors
    /// [`SpoolError::Thread`] when it panicked.
    pub fn join(self) -> Result<(), SpoolError> {
        self.thread.join().map_err(|e| SpoolError::Thread { text: e.to_string() })
    }
}

/// The disks of a spool.
async fn disks(path: &Path, second: Option<PathBuf>) -> io::Result<Pair<DmaDisk>> {
    let second = match second {
        Some(second) => Some(DmaDisk::open(&second).await?),
        None => None,
    };
    Pair::open(DmaDisk::open(path).await?, second).await
}

async fn run(
    path: PathBuf,
    second: Option<PathBuf>,
    config: SpoolConfig,
    with: Connections,
    told: SyncSender<io::Result<SpoolStart>>,
) {
    // glommio numbers its threads; ours are known by name.
    let _ = rustix::thread::set_name(c"spool");
    let sinks: Vec<String> = with.ports.iter().map(|p| p.name.clone()).collect();
    let opened = match disks(&path, second).await {
        Ok(disk) => Spool::open(disk, DmaTimer::start(), config, with).await,
        Err(error) => Err(error),
    };
    let spool = match opened {
        Ok(spool) => spool,
        Err(error) => {
            let _ = told.send(Err(error));
            return;
        }
    };
    let start = SpoolStart {
        report: spool.report().clone(),
        sinks: sinks.iter().map(|sink| spool.sink_start(sink)).collect(),
    };
    let _ = told.send(Ok(start));
    let heart = spawn_local(async {
        loop {
            timer::sleep(HEARTBEAT).await;
        }
    });
    let queue =
        |shares, latency, name| executor().create_task_queue(Shares::Static(shares), latency, name);
    let appends = queue(APPEND_SHARES, Latency::Matters(NEVER), "append");
    let reads = queue(SERVE_SHARES, Latency::NotImportant, "serve");
    let (append, serve) = spool.into_tasks();
    let tasks = (spawn_local_into(append, appends), spawn_local_into(serve, reads));
    match tasks {
        (Ok(append), Ok(serve)) => {
            append.await;
            serve.await;
        }
        _ => tracing::error!("the spool's task queues are gone"),
    }
    heart.cancel().await;
}

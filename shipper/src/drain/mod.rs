//! What a dead box has left, delivered: all that its spool holds, from another machine.
//!
//! ```text
//!  lock ─▶ recover the log ─▶ sinks go on from their cursors ─▶ segments are removed ─▶ report
//! ```
//!
//! Nothing is new about what is delivered: edge, incarnations, sequences, seals and lineages are
//! those that lie on the disk, and the identity is left as it is, machine and all. So an end at any
//! moment is one that a crash of the appliance could have brought, and whoever goes on, this verb
//! or the box itself, makes the same objects and sends the same numbers.

mod progress;

pub use progress::{Progress, SinkProgress};

use crate::{
    alarms::{Alarm, Alarms},
    config::Destinations,
    inspect,
    kafka::{
        Tls, TlsError,
        sink::{self as kafka_sink, KafkaCounters, KafkaSink},
    },
    objects::{
        encode::Encoder,
        plan::RollPolicy,
        sink::{self as object_sink, ObjectCounters, ObjectSink},
        store::{Store, StoreConfigError},
    },
    sink::Phase,
    spool::{
        self, Connections, SpoolConfig, SpoolCounters, SpoolError, SpoolHandle, SpoolThread,
        identity::SpoolFolder,
        port::{self, ReadEnd, SinkEnd},
    },
};
use brink_proto::schema::TOPICS;
use progress::Watch;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;
use std::{
    fmt::{self, Display, Formatter},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::{JoinHandle, LocalSet},
};

/// Why a spool is not drained.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The spool cannot be had.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The store cannot be used as it is configured.
    #[error(transparent)]
    Store(#[from] StoreConfigError),
    /// TLS to the brokers cannot be used as it is configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What the spool delivered to is not where it would be drained to.
    #[error(
        "the spool {} delivers to {sink:?} as well and the configuration has no section for it: add \
         one, or give up what waits for it with --without {sink}",
        path.display()
    )]
    Unserved {
        /// The spool.
        path: PathBuf,
        /// The sink.
        sink: String,
    },
    /// A sink would be given up that can be delivered to.
    #[error("--without {0}: the configuration has a section for it; remove that first")]
    Served(String),
    /// The system refuses a thread or a signal.
    #[error("cannot begin: {0}")]
    System(#[from] io::Error),
    /// A thread ended by itself.
    #[error("a thread has ended by itself, the log says which; what is left waits in the spool")]
    ThreadLost,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// The spool.
    pub spool: PathBuf,
    /// Whose events it held.
    pub edge: String,
    /// Each sink.
    pub sinks: Vec<SinkProgress>,
    /// Whether it was stopped before every sink had all.
    pub stopped: bool,
    /// What an operator should look at.
    pub alarms: Vec<&'static str>,
}

impl Drained {
    /// Events that no sink will ever get.
    #[must_use]
    pub fn quarantined(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.quarantined).sum()
    }
}

impl Display for Drained {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "spool        {}", self.spool.display())?;
        writeln!(f, "edge         {}", self.edge)?;
        for SinkProgress { name, backlog, delivered, quarantined, .. } in &self.sinks {
            write!(f, "{name:<12} {delivered} of {backlog} events delivered")?;
            if *quarantined > 0 {
                write!(f, ", {quarantined} quarantined")?;
            }
            writeln!(f)?;
        }
        for alarm in &self.alarms {
            writeln!(f, "alarm        {alarm}")?;
        }
        match (self.stopped, self.quarantined()) {
            (true, _) => {
                writeln!(f, "stopped: the rest waits in the spool; the same command goes on")
            }
            (false, 0) => writeln!(f, "done: every sink has all of it, and the spool is empty"),
            (false, _) => writeln!(f, "done, but for what is quarantined; the spool is empty"),
        }
    }
}

/// Delivers everything that the spool at `path` holds, and tells how far it is every few seconds.
/// What waits for a sink in `without`, which the configuration does not know, is given up.
///
/// # Errors
/// [`DrainError`] when it cannot begin, and then nothing was changed; or when a thread is lost.
pub fn drain(
    path: &Path,
    second: Option<&Path>,
    to: &Destinations,
    without: &[String],
    tell: &mut dyn FnMut(&Progress),
) -> Result<Drained, DrainError> {
    let folder = SpoolFolder::open_as_it_is(path, second)?;
    check_sinks(path, to, without)?;
    let store = Store::open_within(&to.objects.store, to.objects.limits)?;
    let tls = to.kafka.as_ref().and_then(|kafka| kafka.tls.as_ref()).map(Tls::new).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let draining = Draining::start(&folder, to, store, tls)?;
    let ended = LocalSet::new().block_on(&runtime, draining.run(tell));
    let (sinks, stopped, alarms) = ended?;
    Ok(Drained { spool: path.to_owned(), edge: folder.edge.to_string(), sinks, stopped, alarms })
}

/// Holds the sinks that the spool's cursors know against those that it would be drained to:
/// segments go when all of the latter are done with them.
fn check_sinks(path: &Path, to: &Destinations, without: &[String]) -> Result<(), DrainError> {
    let served = |sink: &String| {
        sink == object_sink::NAME || (sink == kafka_sink::NAME && to.kafka.is_some())
    };
    if let Some(sink) = without.iter().find(|sink| served(sink)) {
        return Err(DrainError::Served(sink.clone()));
    }
    let known = inspect::known_sinks(path).map_err(|source| SpoolError::Folder {
        path: path.to_owned(),
        doing: "read the cursors of",
        source,
    })?;
    match known.into_iter().find(|sink| !served(sink) && !without.contains(sink)) {
        Some(sink) => Err(DrainError::Unserved { path: path.to_owned(), sink }),
        None => Ok(()),
    }
}

/// A group of objects is not kept open longer: no event comes that it could wait for.
const AGE_MAX: Duration = Duration::from_secs(10);

/// How often is looked whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// Between two reports of progress.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// The spool, running, and the sinks that are not started yet.
struct Draining {
    handle: SpoolHandle,
    objects: (ObjectSink, watch::Sender<Phase>),
    kafka: Option<(KafkaSink, watch::Sender<Phase>)>,
    alarms: Arc<Alarms>,
}

impl Draining {
    fn start(
        folder: &SpoolFolder,
        to: &Destinations,
        store: Store,
        tls: Option<Tls>,
    ) -> Result<Draining, DrainError> {
        let cpus = allowed_cpus();
        let counters = Arc::new(SpoolCounters::new(0, Vec::new()));
        let alarms = Arc::new(Alarms::default());
        let mut ports = Vec::new();
        let mut port = |name| -> (SinkEnd, ReadEnd) {
            let (spool_port, sink_end, read_end) = port::port(name);
            ports.push(spool_port);
            (sink_end, read_end)
        };
        let (objects_end, objects_reads) = port(object_sink::NAME);
        let kafka_ends = to.kafka.as_ref().map(|_| port(kafka_sink::NAME));
        let handle = spool::spawn(
            &SpoolThread {
                path: folder.path.clone(),
                second: folder.second.clone(),
                cpu: cpus.first().copied().unwrap_or(0),
            },
            SpoolConfig {
                incarnation: folder.incarnation,
                // No segment is of this size, so none is kept to be written again.
                segment_bytes: u32::MAX,
                quota_bytes: u64::MAX,
                commit_interval: Duration::ZERO,
                group_bytes: 0,
                replay_bytes_per_s: u64::MAX,
            },
            Connections {
                rings: Vec::new(),
                ports,
                counters: Arc::clone(&counters),
                alarms: Arc::clone(&alarms),
                give_up: Arc::new(AtomicBool::new(false)),
            },
        )?;
        let mut starts = handle.start.sinks.iter().cloned();
        let (phase, phases) = watch::channel(Phase::Run);
        let objects = ObjectSink {
            spool: objects_end,
            encoder: Encoder::spawn(objects_reads, TOPICS.to_vec(), cpus)?,
            edge: folder.edge,
            incarnation: None,
            topics: Vec::new(),
            store,
            policy: RollPolicy { age_max: to.objects.roll.age_max.min(AGE_MAX), ..to.objects.roll },
            start: starts.next().unwrap_or_default(),
            counters: Arc::new(ObjectCounters::default()),
            spool_counters: Arc::clone(&counters),
            alarms: Arc::clone(&alarms),
            phase: phases,
        };
        let kafka = to.kafka.clone().zip(kafka_ends).map(|(config, (spool, reads))| {
            // Its batches go as they are: there is nothing to be waited for.
            let (phase, phases) = watch::channel(Phase::Drain);
            let sink = KafkaSink {
                spool,
                reads,
                config,
                tls,
                spool_id: folder.id.clone(),
                start: starts.next().unwrap_or_default(),
                counters: Arc::new(KafkaCounters::default()),
                spool_counters: counters,
                alarms: Arc::clone(&alarms),
                phase: phases,
            };
            (sink, phase)
        });
        Ok(Draining { handle, objects: (objects, phase), kafka, alarms })
    }

    async fn run(
        self,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<(Vec<SinkProgress>, bool, Vec<&'static str>), DrainError> {
        let Draining { handle, objects: (objects, phase), kafka, alarms } = self;
        let mut watch = Watch::new(&objects.start, Arc::clone(&objects.counters));
        let mut phases = vec![phase.clone()];
        let mut tasks = vec![tokio::task::spawn_local(objects.run())];
        if let Some((sink, phase)) = kafka {
            watch.also_kafka(&sink.start, Arc::clone(&sink.counters));
            phases.push(phase);
            tasks.push(tokio::task::spawn_local(sink.run()));
        }
        let mut interrupts = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut look = tokio::time::interval(LOOK);
        let mut told = tokio::time::interval(TOLD_EVERY);
        let mut stopped = false;
        told.tick().await;
        while !tasks.iter().all(JoinHandle::is_finished) {
            tokio::select! {
                _ = look.tick() => {
                    // Objects fill up as ever until all is taken; the last ones are as they are.
                    if !stopped && watch.has_taken_all() {
                        phase.send_replace(Phase::Drain);
                    }
                }
                _ = told.tick() => tell(&watch.progress(&alarms)),
                _ = interrupts.0.recv() => stopped = true,
                _ = interrupts.1.recv() => stopped = true,
            }
            if stopped {
                for phase in &phases {
                    phase.send_replace(Phase::End);
                }
            }
        }
        let mut lost = false;
        for task in tasks {
            lost |= task.await.is_err();
        }
        // The sinks are gone, so the thread removes what they are done with, and ends.
        handle.join()?;
        let Progress { sinks, alarms, .. } = watch.progress(&alarms);
        let stopped = sinks.iter().any(|sink| sink.left() > 0);
        let by_signal = phases.iter().all(|phase| *phase.borrow() == Phase::End);
        if lost || (stopped && !by_signal) {
            return Err(DrainError::ThreadLost);
        }
        Ok((sinks, stopped, alarms))
    }
}

/// The cores that this process may run on.
fn allowed_cpus() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Alarms that are up.
fn raised(alarms: &Alarms) -> Vec<&'static str> {
    Alarm::ALL.iter().filter(|alarm| alarms.state(**alarm).0).map(|alarm| alarm.label()).collect()
}

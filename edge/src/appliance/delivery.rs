//! The delivery thread: one tokio runtime for the sinks, the operators' listener, and the small
//! things that somebody has to do once a second.

use super::{
    Board, Event, StartError,
    events::Events,
    readiness::Readiness,
    runway::{Level, RunwayWatch},
    tables::TableSupply,
};
use crate::{admin, shard::control::Stage};
use brink_shipper::{
    kafka::sink::KafkaSink,
    objects::sink::ObjectSink,
    sink::Phase,
    threads::{Weight, settle},
};
use std::{
    io,
    net::TcpListener,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener as AsyncListener,
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::LocalSet,
    time::MissedTickBehavior,
};

/// What the delivery thread is started with.
pub(super) struct DeliveryPlan {
    pub(super) cpus: Vec<usize>,
    pub(super) objects: ObjectSink,
    /// The Kafka sink, if there is a cluster.
    pub(super) kafka: Option<KafkaSink>,
    pub(super) admin: TcpListener,
    pub(super) board: Arc<Board>,
    pub(super) events: Events,
    /// What brings segment tables, if anybody looks into one.
    pub(super) tables: Option<TableSupply>,
    /// Whether SIGTERM and SIGINT stop the appliance.
    pub(super) signals: bool,
}

/// A running delivery thread.
pub(super) struct Delivery {
    /// What the sinks are asked to do.
    pub(super) phase: watch::Sender<Phase>,
    /// True once the operators' listener may close, which is last.
    pub(super) closing: watch::Sender<bool>,
    pub(super) thread: JoinHandle<()>,
}

/// Starts the thread.
pub(super) fn spawn(
    plan: DeliveryPlan,
    phase: watch::Sender<Phase>,
) -> Result<Delivery, StartError> {
    let name = "delivery".to_owned();
    let failed = |source| StartError::Thread { name: "delivery".to_owned(), source };
    let (closing, closes) = watch::channel(false);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("delivery-io")
        .build()
        .map_err(failed)?;
    // Here and not in the thread: whoever hears that we are ready may send a signal at once.
    let signals = plan.signals.then(|| Signals::watch(&runtime)).transpose().map_err(failed)?;
    let thread = thread::Builder::new().name(name.clone()).spawn(move || {
        let _guard = plan.events.clone().guard(name);
        settle(&plan.cpus, Weight::Low);
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, run(plan, signals, closes));
    });
    Ok(Delivery { phase, closing, thread: thread.map_err(failed)? })
}

/// Files are written on threads of tokio's; they hardly overlap.
const BLOCKING_THREADS_MAX: usize = 2;

async fn run(plan: DeliveryPlan, signals: Option<Signals>, mut closes: watch::Receiver<bool>) {
    let DeliveryPlan { objects, kafka, admin, board, events, tables, .. } = plan;
    let supplying = tables.map(|tables| tokio::task::spawn_local(tables.run()));
    let housekeeping = tokio::task::spawn_local(keep_house(Arc::clone(&board)));
    let watching = signals.map(|s| tokio::task::spawn_local(s.tell(events.clone())));
    let serving = match AsyncListener::from_std(admin) {
        Ok(listener) => Some(tokio::task::spawn_local(admin::serve(listener, Arc::clone(&board)))),
        Err(error) => {
            tracing::error!(%error, "the operators' listener does not work");
            None
        }
    };
    // One ends by itself only when the spool or the encoder is gone, and then the rest has to end
    // too: nothing would be delivered any more, or not even kept.
    let ended = || {
        if board.control.stage() == Stage::Serve {
            events.send(Event::ThreadEnded("spool or encode".to_owned()));
        }
    };
    let delivering = async {
        objects.run().await;
        ended();
    };
    let streaming = async {
        if let Some(kafka) = kafka {
            kafka.run().await;
            ended();
        }
    };
    tokio::join!(delivering, streaming);
    // What was delivered can still be looked at until the rest has ended too.
    let _ = closes.wait_for(|closing| *closing).await;
    housekeeping.abort();
    supplying.inspect(|supplying| supplying.abort());
    watching.inspect(|watching| watching.abort());
    serving.inspect(|serving| serving.abort());
}

async fn keep_house(board: Arc<Board>) {
    let mut readiness = Readiness::new(board.config.listeners.len());
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut runway = RunwayWatch::default();
    let mut looks: u64 = 0;
    loop {
        look.tick().await;
        readiness.look(&board);
        if looks.is_multiple_of(LOOKS_OF_A_SECOND) {
            board.gather_latency();
            let (live, come) = (board.spool.live_bytes.read(), board.spool.accepted_bytes());
            let level = Level { live, come, quota: board.config.spool.quota_bytes };
            runway.look(Instant::now(), level, &board.runway);
        }
        looks += 1;
    }
}

/// How often readiness is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const LOOKS_OF_A_SECOND: u64 = 10;

/// The first signal stops the appliance in order. Those who cannot wait send SIGKILL: what was
/// accepted is delivered by the next start.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they end nothing by themselves.
    fn watch(runtime: &Runtime) -> io::Result<Signals> {
        let _entered = runtime.enter();
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Signals { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    async fn tell(mut self, events: Events) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            events.send(Event::StopWanted);
        }
    }
}

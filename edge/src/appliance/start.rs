//! A start: what must be taken is taken first, so that what is missing is said before anything
//! runs; then the threads, from the last hop to the first, so that every event finds its way open.

use super::{
    Appliance, Board, StartError, StartOptions,
    board::Latency,
    delivery::{self, Delivery, DeliveryPlan},
    events::Events,
    listen::{self, Bound},
    shards::{self, ShardPlan},
};
use crate::{
    clock::QuantaClock,
    config::EdgeConfig,
    ring::uring::{RingSetupError, rungs},
    roles::Roles,
    shard::{
        control::{Control, Waker},
        counters::ShardCounters,
        latency::{LatencyWriter, latency},
    },
    tap::{Speaker, TapCounters},
};
use brink_proto::{
    ids::{Name, ShardId},
    schema::Schema,
};
use brink_shipper::{
    alarms::Alarms,
    intake::{self, ShardEnd, SpoolEnd},
    objects::{
        encode::Encoder,
        sink::{self, ObjectSink, Phase, SinkCounters},
        store::Store,
    },
    spool::{
        self, Connections, SpoolConfig, SpoolCounters, SpoolHandle, SpoolThread,
        identity::{Claim, SpoolFolder},
        port::{self, ReadEnd, SinkEnd},
    },
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
    time::Instant,
};
use tokio::sync::watch;

/// A group of this size is committed at once.
const GROUP_BYTES: usize = 1 << 20;

pub(super) fn start(
    config: EdgeConfig,
    roles: &Roles,
    options: StartOptions,
) -> Result<Appliance, StartError> {
    raise_open_files();
    let taken = Taken::take(&config)?;
    let topics = roles.topics(config.listeners.iter().map(|l| l.role.as_str()));
    let wakers = config.cores.shards.iter().map(|_| Waker::new()).collect::<Result<Vec<_>, _>>()?;
    let spooled = Spooled::start(&config, &taken.folder, &topics, &wakers)?;
    let (writers, readers): (Vec<_>, Vec<_>) =
        wakers.iter().map(|_| latency(config.listeners.len())).unzip();
    let latency = Latency::new(readers, config.listeners.len());
    let board = Arc::new(board(config, &taken, &spooled, &topics, latency));
    let (events, inbox) = Events::new();
    let Taken { folder, store, listeners, admin } = taken;
    let Spooled { handle, shard_ends, sink_end, read_end, give_up, .. } = spooled;
    let ends = SinkEnds { start: &handle, sink_end, read_end };
    let delivery = start_delivery(&board, ends, store, admin.0, &topics, &events, options)?;
    let mut sockets: Vec<Vec<_>> = wakers.iter().map(|_| Vec::new()).collect();
    let mut locks = Vec::new();
    for bound in listeners {
        bound.sockets.into_iter().zip(&mut sockets).for_each(|(s, of)| of.push(s));
        locks.push(bound.lock);
    }
    let ends = shard_ends.into_iter().zip(writers).zip(sockets);
    let mut this = Appliance {
        board,
        events: inbox,
        wakers,
        shards: Vec::new(),
        spool: handle,
        delivery,
        give_up,
        _locks: locks,
        _folder: folder,
    };
    let ends = ends.map(|((spool, latency), sockets)| (spool, latency, sockets)).collect();
    if let Err(error) = start_shards(&mut this, ends, &topics, roles, &events) {
        // Those that run are drained, so that what runs behind them ends too.
        let _ = this.stop();
        return Err(error);
    }
    this.board.control.set_ready(true);
    Ok(this)
}

/// Lets as many files be open as the process may ask for: a shell's limit is 1024 at first, and a
/// ring's file table, with a place for each connection, counts against it.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// What only one appliance can have.
struct Taken {
    folder: SpoolFolder,
    store: Store,
    listeners: Vec<Bound>,
    admin: (TcpListener, SocketAddr),
}

impl Taken {
    fn take(config: &EdgeConfig) -> Result<Taken, StartError> {
        // The spool's executor would panic where there is no ring, and say nothing of the remedy.
        rungs::probe().map_err(RingSetupError::of_setup)?;
        let folder = SpoolFolder::open(&config.spool.path, config.edge, Claim::Refuse)?;
        let shards = config.cores.shards.len();
        let bound = config.listeners.iter().map(|listener| listen::bind(listener, shards));
        Ok(Taken {
            folder,
            listeners: bound.collect::<Result<_, _>>()?,
            admin: bind_admin(config.admin)?,
            store: Store::open(&config.store)?,
        })
    }
}

/// The spool, running, and the ends of what is connected to it.
struct Spooled {
    handle: SpoolHandle,
    shard_ends: Vec<ShardEnd>,
    sink_end: SinkEnd,
    read_end: ReadEnd,
    counters: Arc<SpoolCounters>,
    alarms: Arc<Alarms>,
    give_up: Arc<AtomicBool>,
}

impl Spooled {
    fn start(
        config: &EdgeConfig,
        folder: &SpoolFolder,
        topics: &[&'static Schema],
        wakers: &[Waker],
    ) -> Result<Spooled, StartError> {
        let buffers = config.profile.shard.batch_buffers;
        let ring = |waker: &Waker| {
            let waker = waker.clone();
            intake::ring(buffers, Box::new(move || waker.wake()))
        };
        let (shard_ends, rings): (Vec<_>, Vec<SpoolEnd>) = wakers.iter().map(ring).unzip();
        let counters = Arc::new(SpoolCounters::new(rings.len(), names(topics)));
        let alarms = Arc::new(Alarms::default());
        let give_up = Arc::new(AtomicBool::new(false));
        let (spool_port, sink_end, read_end) = port::port(sink::NAME);
        let handle = spool::spawn(
            &SpoolThread { path: folder.path.clone(), cpu: config.cores.rest[0] },
            SpoolConfig {
                incarnation: folder.incarnation,
                segment_bytes: config.spool.segment_bytes,
                quota_bytes: config.spool.quota_bytes,
                commit_interval: config.spool.commit_interval,
                group_bytes: GROUP_BYTES,
            },
            Connections {
                rings,
                ports: vec![spool_port],
                counters: Arc::clone(&counters),
                alarms: Arc::clone(&alarms),
                give_up: Arc::clone(&give_up),
            },
        )?;
        Ok(Spooled { handle, shard_ends, sink_end, read_end, counters, alarms, give_up })
    }
}

fn names(topics: &[&'static Schema]) -> Vec<Name> {
    topics.iter().filter_map(|t| Name::new(t.topic).ok()).collect()
}

fn board(
    config: EdgeConfig,
    taken: &Taken,
    spooled: &Spooled,
    topics: &[&'static Schema],
    latency: Latency,
) -> Board {
    let tap = || Arc::new(TapCounters::new(&names(topics)));
    let counters = |_| Arc::new(ShardCounters::new(config.listeners.len(), tap()));
    let addresses = taken.listeners.iter().map(|bound| bound.address);
    Board {
        incarnation: taken.folder.incarnation,
        started: Instant::now(),
        listening: config.listeners.iter().map(|l| l.name.clone()).zip(addresses).collect(),
        admin: taken.admin.1,
        control: Arc::new(Control::default()),
        shards: config.cores.shards.iter().map(counters).collect(),
        spool: Arc::clone(&spooled.counters),
        sink_name: sink::NAME,
        sink: Arc::new(SinkCounters::default()),
        alarms: Arc::clone(&spooled.alarms),
        recovery: spooled.handle.start.report.clone(),
        rungs: OnceLock::new(),
        latency: Mutex::new(latency),
        config,
    }
}

/// What a sink begins with.
struct SinkEnds<'a> {
    start: &'a SpoolHandle,
    sink_end: SinkEnd,
    read_end: ReadEnd,
}

fn start_delivery(
    board: &Arc<Board>,
    ends: SinkEnds<'_>,
    store: Store,
    admin: TcpListener,
    topics: &[&'static Schema],
    events: &Events,
    options: StartOptions,
) -> Result<Delivery, StartError> {
    let cpus = board.config.cores.rest.clone();
    let failed = |source| StartError::Thread { name: "encode".to_owned(), source };
    let encoder = Encoder::spawn(ends.read_end, known_topics(topics), cpus.clone());
    let (phase, phases) = watch::channel(Phase::Run);
    let sink = ObjectSink {
        spool: ends.sink_end,
        encoder: encoder.map_err(failed)?,
        store,
        policy: board.config.roll,
        start: ends.start.start.sinks.first().cloned().unwrap_or_default(),
        counters: Arc::clone(&board.sink),
        spool_counters: Arc::clone(&board.spool),
        alarms: Arc::clone(&board.alarms),
        phase: phases,
    };
    let plan = DeliveryPlan {
        cpus,
        sink,
        admin,
        board: Arc::clone(board),
        events: events.clone(),
        signals: options.signals,
    };
    delivery::spawn(plan, phase)
}

/// The topics served here, and all others of this build: the backlog may be of any.
fn known_topics(served: &[&'static Schema]) -> Vec<&'static Schema> {
    let mut all = served.to_vec();
    let unserved = |s: &&&'static Schema| !served.iter().any(|t| t.topic == s.topic);
    all.extend(brink_proto::schema::TOPICS.iter().filter(unserved));
    all
}

type ShardEnds = Vec<(ShardEnd, LatencyWriter, Vec<std::os::fd::OwnedFd>)>;

fn start_shards(
    this: &mut Appliance,
    ends: ShardEnds,
    topics: &[&'static Schema],
    roles: &Roles,
    events: &Events,
) -> Result<(), StartError> {
    let clock = QuantaClock::start();
    let board = &this.board;
    for (index, (spool, latency, sockets)) in ends.into_iter().enumerate() {
        let plan = ShardPlan {
            speaker: Speaker {
                edge: board.config.edge,
                incarnation: board.incarnation,
                shard: ShardId(index as u16),
            },
            core: board.config.cores.shards[index],
            sockets,
            topics: topics.to_vec(),
            spool,
            waker: this.wakers[index].clone(),
            control: Arc::clone(&board.control),
            counters: Arc::clone(&board.shards[index]),
            latency,
            clock: clock.clone(),
        };
        let (thread, rungs) = shards::spawn(plan, &board.config, roles, events.clone())?;
        this.shards.push(thread);
        // All shards stand on the same rungs.
        let _ = board.rungs.set(rungs);
    }
    Ok(())
}

fn bind_admin(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let name = || "admin".to_owned();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { name: name(), address },
        _ => StartError::Listen { name: name(), address, source },
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

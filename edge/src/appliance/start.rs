//! A start: what must be taken is taken first, so that what is missing is said before anything
//! runs; then the threads, from the last hop to the first, so that every event finds its way open.

use super::{
    Appliance, Board, StartError, StartOptions,
    board::Latency,
    delivery::{self, Delivery, DeliveryPlan},
    events::Events,
    listen::{self, Bound},
    readiness::Readiness,
    runway::Runway,
    shards::{self, ShardPlan},
    tables::{TableCounters, TableSupply},
};
use crate::{
    clock::QuantaClock,
    config::{EdgeConfig, ListenerConfig},
    ring::uring::{RingSetupError, rungs},
    roles::{Outcomes, RoleHost, Roles},
    shard::{
        Crowd,
        control::{Control, Waker},
        counters::ShardCounters,
        latency::{LatencyWriter, latency},
    },
    table::handover::{TableGiver, TableTaker},
    tap::{Speaker, TapCounters},
};
use brink_proto::{
    ids::{Name, ShardId},
    schema::Schema,
};
use brink_shipper::{
    alarms::Alarms,
    downlink::Downlink,
    intake::{self, ShardEnd, SpoolEnd},
    kafka::{
        Tls,
        sink::{self as kafka_sink, KafkaSink},
    },
    objects::{
        encode::Encoder,
        sink::{self as object_sink, ObjectCounters, ObjectSink},
        store::Store,
    },
    sink::Phase,
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
    // Each listener's role is known: its configuration was resolved with these roles.
    let host = |l: &ListenerConfig| roles.by_name(&l.role).map(RoleHost::outcomes);
    let outcomes = config.listeners.iter().filter_map(host).collect();
    let board = Arc::new(board(config, &taken, &spooled, &topics, latency, outcomes));
    let (supply, takers) = table_supply(&board, &wakers)?;
    let (events, inbox) = Events::new();
    let Taken { folder, store, listeners, admin, tls } = taken;
    let Spooled { handle, shard_ends, objects, kafka, give_up, .. } = spooled;
    let ends = SinkEnds { start: &handle, objects, kafka };
    let around = Around { topics: &topics, events: &events, options, tables: supply, tls };
    let delivery = start_delivery(&board, ends, store, admin.0, around)?;
    let mut sockets: Vec<Vec<_>> = wakers.iter().map(|_| Vec::new()).collect();
    let mut doors = Vec::new();
    for bound in listeners {
        bound.sockets.into_iter().zip(&mut sockets).for_each(|(s, of)| of.push(s));
        doors.push(bound.door);
    }
    let ends = shard_ends.into_iter().zip(writers).zip(sockets).zip(takers);
    let mut this = Appliance {
        board,
        events: inbox,
        wakers,
        shards: Vec::new(),
        spool: handle,
        delivery,
        give_up,
        doors,
        _folder: folder,
    };
    let ends = ends
        .map(|(((spool, latency), sockets), tables)| ShardEnds { spool, latency, sockets, tables })
        .collect();
    if let Err(error) = start_shards(&mut this, ends, &topics, roles, &events) {
        // Those that run are drained, so that what runs behind them ends too.
        let _ = this.stop();
        return Err(error);
    }
    // Looked at once before anybody can ask; from here on delivery does it.
    Readiness::new(this.board.config.listeners.len()).look(&this.board);
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
    /// How connections to Kafka are made secret, if they are.
    tls: Option<Tls>,
}

impl Taken {
    fn take(config: &EdgeConfig) -> Result<Taken, StartError> {
        let tls = config.kafka.as_ref().and_then(|kafka| kafka.tls.as_ref());
        let tls = tls.map(Tls::new).transpose()?;
        // The spool's executor would panic where there is no ring, and say nothing of the remedy.
        rungs::probe().map_err(RingSetupError::of_setup)?;
        let folder = SpoolFolder::open(&config.spool.path, config.edge, Claim::Refuse)?
            .with_second(config.spool.second_path.as_deref(), Claim::Refuse)?;
        let shards = config.cores.shards.len();
        let bound = config.listeners.iter().map(|listener| listen::bind(listener, shards));
        Ok(Taken {
            folder,
            listeners: bound.collect::<Result<_, _>>()?,
            admin: bind_admin(config.admin)?,
            store: Store::open_within(&config.store, config.store_limits)?,
            tls,
        })
    }
}

/// The spool, running, and the ends of what is connected to it.
struct Spooled {
    handle: SpoolHandle,
    shard_ends: Vec<ShardEnd>,
    objects: (SinkEnd, ReadEnd),
    kafka: Option<(SinkEnd, ReadEnd)>,
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
        let mut ports = Vec::new();
        let mut port = |name| {
            let (spool_port, sink_end, read_end) = port::port(name);
            ports.push(spool_port);
            (sink_end, read_end)
        };
        let objects = port(object_sink::NAME);
        let kafka = config.kafka.as_ref().map(|_| port(kafka_sink::NAME));
        let handle = spool::spawn(
            &SpoolThread {
                path: folder.path.clone(),
                second: folder.second.clone(),
                cpu: config.cores.rest[0],
            },
            SpoolConfig {
                incarnation: folder.incarnation,
                segment_bytes: config.spool.segment_bytes,
                quota_bytes: config.spool.quota_bytes,
                commit_interval: config.spool.commit_interval,
                group_bytes: GROUP_BYTES,
                replay_bytes_per_s: config.spool.replay_bytes_per_s,
            },
            Connections {
                rings,
                ports,
                counters: Arc::clone(&counters),
                alarms: Arc::clone(&alarms),
                give_up: Arc::clone(&give_up),
            },
        )?;
        Ok(Spooled { handle, shard_ends, objects, kafka, counters, alarms, give_up })
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
    outcomes: Vec<Outcomes>,
) -> Board {
    let tap = || Arc::new(TapCounters::new(&names(topics)));
    let counters = |_| Arc::new(ShardCounters::new(config.listeners.len(), tap()));
    let addresses = taken.listeners.iter().map(|bound| bound.address);
    Board {
        incarnation: taken.folder.incarnation,
        spool_id: taken.folder.id.clone(),
        started: Instant::now(),
        listening: config.listeners.iter().map(|l| l.name.clone()).zip(addresses).collect(),
        admin: taken.admin.1,
        outcomes,
        control: Arc::new(Control::new(config.listeners.len())),
        shards: config.cores.shards.iter().map(counters).collect(),
        spool: Arc::clone(&spooled.counters),
        runway: Runway::default(),
        objects: Arc::new(ObjectCounters::default()),
        kafka: config.kafka.as_ref().map(|_| Arc::default()),
        alarms: Arc::clone(&spooled.alarms),
        recovery: spooled.handle.start.report.clone(),
        rungs: OnceLock::new(),
        tables: TableCounters::default(),
        latency: Mutex::new(latency),
        config,
    }
}

/// What sinks begin with.
struct SinkEnds<'a> {
    start: &'a SpoolHandle,
    objects: (SinkEnd, ReadEnd),
    kafka: Option<(SinkEnd, ReadEnd)>,
}

fn start_delivery(
    board: &Arc<Board>,
    ends: SinkEnds<'_>,
    store: Store,
    admin: TcpListener,
    around: Around<'_>,
) -> Result<Delivery, StartError> {
    let Around { topics, events, options, tables, tls } = around;
    let cpus = board.config.cores.rest.clone();
    let failed = |source| StartError::Thread { name: "encode".to_owned(), source };
    let (spool, reads) = ends.objects;
    let encoder = Encoder::spawn(reads, known_topics(topics), cpus.clone());
    let (phase, phases) = watch::channel(Phase::Run);
    let mut starts = ends.start.start.sinks.iter().cloned();
    let objects = ObjectSink {
        spool,
        encoder: encoder.map_err(failed)?,
        edge: board.config.edge,
        incarnation: Some(board.incarnation),
        topics: names(topics),
        store,
        policy: board.config.roll,
        start: starts.next().unwrap_or_default(),
        counters: Arc::clone(&board.objects),
        spool_counters: Arc::clone(&board.spool),
        alarms: Arc::clone(&board.alarms),
        phase: phases.clone(),
    };
    let kafka = board.config.kafka.clone().zip(board.kafka.clone()).zip(ends.kafka);
    let kafka = kafka.map(|((config, counters), (spool, reads))| KafkaSink {
        spool,
        reads,
        config,
        tls,
        spool_id: board.spool_id.clone(),
        start: starts.next().unwrap_or_default(),
        counters,
        spool_counters: Arc::clone(&board.spool),
        alarms: Arc::clone(&board.alarms),
        phase: phases,
    });
    let plan = DeliveryPlan {
        cpus,
        objects,
        kafka,
        admin,
        board: Arc::clone(board),
        events: events.clone(),
        tables,
        signals: options.signals,
    };
    delivery::spawn(plan, phase)
}

/// What delivery is started with, beside the sinks.
struct Around<'a> {
    topics: &'a [&'static Schema],
    events: &'a Events,
    options: StartOptions,
    tables: Option<TableSupply>,
    tls: Option<Tls>,
}

/// What brings segment tables, and for each shard where they come in.
fn table_supply(
    board: &Arc<Board>,
    wakers: &[Waker],
) -> Result<(Option<TableSupply>, Vec<Vec<TableTaker>>), StartError> {
    let lookers = board.config.listeners.iter().filter(|l| l.provider.is_some()).count();
    let (giver, takers) = TableGiver::new(lookers * wakers.len());
    let mut takers = takers.into_iter();
    let by_shard = wakers.iter().map(|_| takers.by_ref().take(lookers).collect()).collect();
    let Some(settings) = board.config.tables.clone().filter(|_| lookers > 0) else {
        return Ok((None, by_shard));
    };
    let downlink = Downlink::open(&settings.store, settings.path.clone(), settings.bytes_max)?;
    let (wakers, board) = (wakers.to_vec(), Arc::clone(board));
    Ok((Some(TableSupply { settings, downlink, giver, wakers, board, spare: None }), by_shard))
}

/// The topics served here, and all others of this build: the backlog may be of any.
fn known_topics(served: &[&'static Schema]) -> Vec<&'static Schema> {
    let mut all = served.to_vec();
    let unserved = |s: &&&'static Schema| !served.iter().any(|t| t.topic == s.topic);
    all.extend(brink_proto::schema::TOPICS.iter().filter(unserved));
    all
}

/// What one shard is connected to.
struct ShardEnds {
    spool: ShardEnd,
    latency: LatencyWriter,
    sockets: Vec<std::os::fd::OwnedFd>,
    tables: Vec<TableTaker>,
}

fn start_shards(
    this: &mut Appliance,
    ends: Vec<ShardEnds>,
    topics: &[&'static Schema],
    roles: &Roles,
    events: &Events,
) -> Result<(), StartError> {
    let clock = QuantaClock::start();
    let board = &this.board;
    for (index, ends) in ends.into_iter().enumerate() {
        let ShardEnds { spool, latency, sockets, tables } = ends;
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
            wakers: this.wakers.clone(),
            control: Arc::clone(&board.control),
            counters: Arc::clone(&board.shards[index]),
            latency,
            clock: clock.clone(),
            tables,
            crowd: (board.shards.len() > 1).then(|| Crowd::new(board.shards.clone(), index)),
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

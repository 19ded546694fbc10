//! One appliance in the simulated world: a shard, its tap and a spool, from start to stop or crash.

use super::{
    clock::SimClock, disk::SimDisk, executor::Executor, network::Network, random::Random,
    ring::SimRing,
};
use brink_proto::{
    ids::{Incarnation, Name, ShardId},
    schema::Schema,
};
use brink_shipper::{
    alarms::Alarms,
    intake,
    spool::{
        Connections, Spool, SpoolConfig, SpoolCounters,
        port::{self, Notice, ReadEnd, SinkEnd},
    },
};
use brink_tuning::host::Host;
use edge::{
    clock::{Clock, Nanos},
    config::{EdgeConfig, resolve_text},
    conn::assembly::AssemblyCounts,
    ring::{
        Wait,
        blocks::OutBlocks,
        receive::{BufferFiller, ReceiveBuffers},
    },
    roles::{Roles, Supplies},
    shard::{
        Idle, ListenerParts, Shard, ShardParts,
        control::{Control, Stage},
        counters::ShardCounters,
        latency::latency,
    },
    tap::{Speaker, Tap, TapCounters},
};
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// The sink of a world: everything is told to it, and it delivers nothing.
const SINK: &str = "audit";

/// The parts of a world that outlive a crash.
#[derive(Clone)]
pub struct Planet {
    /// Time.
    pub clock: SimClock,
    /// Chance.
    pub random: Random,
    /// The disk.
    pub disk: SimDisk,
}

/// Bounds of an appliance, small, so that they are reached.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections.
    pub connections: u32,
    /// Receive buffers.
    pub receive_buffers: u16,
    /// Batch buffers.
    pub batch_buffers: usize,
    /// Size of a segment.
    pub segment_bytes: u32,
    /// Disk for segments.
    pub quota_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: 16,
            receive_buffers: 16,
            batch_buffers: 8,
            segment_bytes: 1 << 20,
            quota_bytes: 64 << 20,
        }
    }
}

/// A running appliance.
pub struct Appliance<'a> {
    /// What outlives it.
    pub planet: Planet,
    /// Its clients.
    pub network: Network,
    /// The shard.
    pub shard: Shard<SimRing, SimClock>,
    /// What the shard counts.
    pub counters: Arc<ShardCounters>,
    /// What the spool counts.
    pub spool_counters: Arc<SpoolCounters>,
    /// What it raises.
    pub alarms: Arc<Alarms>,
    /// What the shard is told.
    pub control: Arc<Control>,
    executor: Executor<'a>,
    _sink: SinkEnd,
    _reads: ReadEnd,
}

/// The configuration of a listener, with `ack` for its pixel.
#[must_use]
pub fn config(ack: &str, connections: u32) -> EdgeConfig {
    resolved(&format!(
        "name = \"pixel\"\nrole = \"pixel\"\nconnections_max = {connections}\n\
         ack = {{ \"/i.gif\" = \"{ack}\" }}"
    ))
}

/// The configuration of an appliance that provides.
///
/// # Panics
/// When it makes no sense, which it does.
#[must_use]
pub fn provider_config(connections: u32) -> EdgeConfig {
    resolved(&format!(
        "name = \"provider\"\nrole = \"provider\"\nexchange = \"xandr\"\n\
         connections_max = {connections}\n[tables]\nurl = \"file:tables\"\npath = \"served\""
    ))
}

fn resolved(listener: &str) -> EdgeConfig {
    let text = format!(
        r#"
        [edge]
        name = "sim"
        [[listener]]
        address = "127.0.0.1:0"
        allow = ["127.0.0.0/8"]
        {listener}
        [admin]
        address = "127.0.0.1:0"
        [spool]
        path = "spool"
        [objects]
        url = "file:objects"
        "#
    );
    let host = Host {
        cores: vec![0],
        quota: None,
        memory_mib: 1024,
        interrupts: Vec::new(),
        kernel: String::new(),
    };
    resolve_text(Path::new("sim.toml"), &text, &Roles::standard(), &host)
        .expect("the simulated configuration makes sense")
}

fn topics() -> Vec<&'static Schema> {
    Roles::standard().topics(["pixel"].into_iter())
}

fn names() -> Vec<Name> {
    topics().iter().map(|t| Name::new(t.topic).expect("a topic's name is one")).collect()
}

fn spool_config(incarnation: u64, bounds: Bounds) -> SpoolConfig {
    SpoolConfig {
        incarnation: Incarnation(incarnation),
        segment_bytes: bounds.segment_bytes,
        quota_bytes: bounds.quota_bytes,
        commit_interval: Duration::from_millis(50),
        group_bytes: 256 << 10,
        replay_bytes_per_s: u64::MAX,
    }
}

impl<'a> Appliance<'a> {
    /// Starts one on what the disk holds.
    ///
    /// # Panics
    /// When the spool cannot be opened, which is a fault of ours.
    #[must_use]
    pub fn start(planet: &Planet, incarnation: u64, ack: &str, bounds: Bounds) -> Appliance<'a> {
        let config = config(ack, bounds.connections);
        let (end, ring) = intake::ring(bounds.batch_buffers, Box::new(|| {}));
        let spool_counters = Arc::new(SpoolCounters::new(1, names()));
        let alarms = Arc::new(Alarms::default());
        let (port, sink, reads) = port::port(SINK);
        let with = Connections {
            rings: vec![ring],
            ports: vec![port],
            counters: Arc::clone(&spool_counters),
            alarms: Arc::clone(&alarms),
            give_up: Arc::new(AtomicBool::new(false)),
        };
        let spool = open(planet, spool_config(incarnation, bounds), with);
        let mut executor = Executor::default();
        let (append, serve) = spool.into_tasks();
        executor.spawn(append);
        executor.spawn(serve);

        let buffers = ReceiveBuffers::map(bounds.receive_buffers).expect("memory");
        let blocks = OutBlocks::map(2 * bounds.connections + 64).expect("memory");
        let network = Network::default();
        let slots = 2 + bounds.connections as usize;
        let ring = SimRing::new(
            network.clone(),
            planet.random.clone(),
            BufferFiller::new(&buffers),
            blocks.memory(),
            slots,
        );
        let tap_counters = Arc::new(TapCounters::new(&names()));
        let counters = Arc::new(ShardCounters::new(1, Arc::clone(&tap_counters)));
        let speaker =
            Speaker { edge: config.edge, incarnation: Incarnation(incarnation), shard: ShardId(0) };
        let control = Arc::new(Control::new(1));
        control.set_ready(true);
        let listener = config.listeners[0].clone();
        let roles = Roles::standard();
        let host = roles.by_name(&listener.role).expect("the pixel is a role");
        let service = host.host(&listener, &topics(), Supplies::default())();
        let shard = Shard::new(ShardParts {
            ring,
            clock: planet.clock.clone(),
            buffers,
            blocks,
            slots,
            assembly: AssemblyCounts { small: 8, medium: 4, large: 1 },
            listeners: vec![ListenerParts { config: listener, service }],
            crowd: None,
            topics: topics().len(),
            tap: Tap::new(speaker, &topics(), end, bounds.batch_buffers, &tap_counters),
            idle: Idle::Park,
            control: Arc::clone(&control),
            counters: Arc::clone(&counters),
            latency: latency(1).0,
        });
        Appliance {
            planet: planet.clone(),
            network,
            shard,
            counters,
            spool_counters,
            alarms,
            control,
            executor,
            _sink: sink,
            _reads: reads,
        }
    }

    /// Runs until `nanos`.
    ///
    /// # Panics
    /// When a turn takes longer than a turn may.
    pub fn run_until(&mut self, nanos: u64) {
        let clock = self.planet.clock.clone();
        while clock.nanos() < nanos {
            let next = [Some(self.shard.wants_turn_at().0), clock.next_wake(), Some(nanos)];
            let next = next.into_iter().flatten().min().unwrap_or(nanos);
            // The network needs a moment, and so does everybody else.
            clock.move_to(next.max(clock.nanos() + 1000));
            self.step();
        }
    }

    /// One turn of the shard, and what the spool can do by now.
    ///
    /// # Panics
    /// When the turn takes longer than a turn may.
    pub fn step(&mut self) {
        let before = self.planet.clock.nanos();
        self.shard.turn(Wait::No).expect("the simulated ring does not break");
        let took = self.planet.clock.nanos() - before;
        assert!(took < TURN_MAX_NANOS, "a turn took {took} ns");
        self.executor.run_until_stalled();
    }

    /// Stops in order, within so much virtual time; whether it got to the end.
    pub fn stop(mut self, within: Duration) -> bool {
        self.control.set_stage(Stage::Drain);
        let until = self.planet.clock.nanos() + within.as_nanos() as u64;
        while !self.shard.try_finish() {
            if self.planet.clock.nanos() > until {
                return false;
            }
            let next = self.planet.clock.nanos() + 100_000;
            self.run_until(next);
        }
        let Appliance { planet, shard, mut executor, _sink: sink, _reads: reads, .. } = self;
        drop((shard, sink, reads));
        while !executor.is_done() && planet.clock.nanos() < until {
            let wake = planet.clock.next_wake().unwrap_or(u64::MAX);
            planet.clock.move_to(wake.min(planet.clock.nanos() + 1_000_000));
            executor.run_until_stalled();
        }
        executor.is_done()
    }
}

/// No turn of the simulated shard may take longer: it never waits for anybody.
const TURN_MAX_NANOS: u64 = 1_000_000;

fn open(planet: &Planet, config: SpoolConfig, with: Connections) -> Spool<SimDisk, SimClock> {
    let opened = Spool::open(planet.disk.clone(), planet.clock.clone(), config, with);
    let clock = planet.clock.clone();
    let opened = super::executor::block_on(opened, || {
        let next = clock.next_wake().unwrap_or(clock.nanos() + 1000);
        clock.move_to(next);
    });
    opened.expect("the spool opens")
}

/// A frame of the log with its records, decompressed.
pub struct AuditFrame {
    /// What it is.
    pub frame: brink_proto::frame::FrameHeader,
    /// Its Kafka records.
    pub records: Vec<u8>,
}

/// Everything that a start finds in the log, in log order, and what it says of lost events.
///
/// # Panics
/// When a frame cannot be read or decompressed that the log says is sound.
#[must_use]
pub fn audit(planet: &Planet, incarnation: u64, bounds: Bounds) -> (Vec<AuditFrame>, Vec<Notice>) {
    let (port, mut sink, mut reads) = port::port(SINK);
    let with = Connections {
        rings: Vec::new(),
        ports: vec![port],
        counters: Arc::new(SpoolCounters::new(0, names())),
        alarms: Arc::new(Alarms::default()),
        give_up: Arc::new(AtomicBool::new(false)),
    };
    let spool = open(planet, spool_config(incarnation, bounds), with);
    let mut executor = Executor::default();
    let (append, serve) = spool.into_tasks();
    executor.spawn(append);
    executor.spawn(serve);
    let mut frames = Vec::new();
    let mut lost = Vec::new();
    let mut quiet = 0;
    while quiet < 50 {
        executor.run_until_stalled();
        quiet += 1;
        while let Ok(notice) = sink.notices.pop() {
            quiet = 0;
            match notice {
                Notice::Frame(frame) => frames.push(frame),
                lost_notice @ Notice::Lost { .. } => lost.push(lost_notice),
                Notice::Again { .. } => {}
            }
        }
        let now = planet.clock.now();
        planet.clock.move_to(Nanos(now.0 + 5_000_000).0);
    }
    let mut read = Vec::new();
    for frame in frames {
        assert!(reads.try_request(frame));
        let reply = loop {
            executor.run_until_stalled();
            if let Some(reply) = reads.try_read() {
                break reply;
            }
            planet.clock.move_to(planet.clock.nanos() + 1_000_000);
        };
        if reply.result.is_err() {
            let end = frame.batch.end_sequence();
            lost.push(Notice::Lost { stream: frame.batch.stream, end, position: frame.position });
            continue;
        }
        let payload = &reply.bytes[brink_proto::frame::HEADER_BYTES..];
        let payload = &payload[..frame.batch.payload_bytes as usize];
        let raw_bytes = frame.batch.raw_bytes as usize;
        let records = zstd::bulk::decompress(payload, raw_bytes).expect("a sound frame");
        read.push(AuditFrame { frame, records });
    }
    (read, lost)
}

//! A spool alone in the simulated world: batches in, notices and payloads out, step by step.

use super::{
    clock::SimClock,
    disk::SimDisk,
    executor::{Executor, block_on},
    random::Random,
};
use brink_proto::{
    frame::{BatchInfo, FrameHeader, SHED_REASONS},
    ids::{Class, Hour, Incarnation, Name, Sequence, StreamId},
};
use brink_shipper::{
    alarms::Alarms,
    disk::pair::Pair,
    intake::{self, SealedBatch, ShardEnd},
    spool::{
        Connections, RecoveryReport, Spool, SpoolConfig, SpoolCounters,
        cursors::SinkCursor,
        port::{self, Command, Notice, ReadEnd, ReadFault, SinkEnd},
    },
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// The sink of a spool alone.
pub const SINK: &str = "sink";

/// A disk and the time: what outlives a spool.
#[derive(Clone)]
pub struct Ground {
    /// Time.
    pub clock: SimClock,
    /// The disk.
    pub disk: SimDisk,
    /// Another one, if there is one.
    pub second: Option<SimDisk>,
}

impl Ground {
    /// An empty disk, whose chances are those of the seed.
    #[must_use]
    pub fn new(seed: u64) -> Ground {
        let clock = SimClock::new(0);
        Ground { disk: SimDisk::new(clock.clone(), Random::new(seed)), second: None, clock }
    }

    /// Two empty disks.
    #[must_use]
    pub fn of_two(seed: u64) -> Ground {
        let ground = Ground::new(seed);
        let second = Some(SimDisk::new(ground.clock.clone(), Random::new(seed + 1)));
        Ground { second, ..ground }
    }
}

/// A running spool with one shard and one sink.
pub struct Lone {
    ground: Ground,
    executor: Executor<'static>,
    /// None once the shard is gone.
    ring: Option<ShardEnd>,
    durable: usize,
    /// The sink's end.
    pub sink: SinkEnd,
    reads: ReadEnd,
    /// What it raises.
    pub alarms: Arc<Alarms>,
    /// What it counts.
    pub counters: Arc<SpoolCounters>,
    /// What the start found.
    pub report: RecoveryReport,
    /// What of that the sink had behind it.
    pub cursor: SinkCursor,
    incarnation: u64,
    next: BTreeMap<Name, u64>,
    /// By ticket, the stream and the sequence behind the batch.
    handed: Vec<(StreamId, Sequence)>,
}

/// How a lone spool works, unless a test says otherwise.
#[must_use]
pub fn config(incarnation: u64) -> SpoolConfig {
    SpoolConfig {
        incarnation: Incarnation(incarnation),
        segment_bytes: 512 << 10,
        quota_bytes: 64 << 20,
        commit_interval: Duration::from_millis(50),
        group_bytes: 64 << 10,
        replay_bytes_per_s: u64::MAX,
    }
}

/// Batches that may be on their way.
const BUFFERS: usize = 64;

impl Lone {
    /// Starts one on what the disk holds.
    ///
    /// # Errors
    /// What the disk said.
    ///
    /// # Panics
    /// When the start never ends.
    pub fn start(ground: &Ground, config: SpoolConfig) -> io::Result<Lone> {
        let topics = ["a", "b"].map(|name| Name::new(name).expect("a name"));
        let (ring, end) = intake::ring(BUFFERS, Box::new(|| {}));
        let counters = Arc::new(SpoolCounters::new(1, topics.to_vec()));
        let alarms = Arc::new(Alarms::default());
        let (port, sink, reads) = port::port(SINK);
        let with = Connections {
            rings: vec![end],
            ports: vec![port],
            counters: Arc::clone(&counters),
            alarms: Arc::clone(&alarms),
            give_up: Arc::new(AtomicBool::new(false)),
        };
        let incarnation = config.incarnation.0;
        let clock = ground.clock.clone();
        let opened = async {
            let disk = Pair::open(ground.disk.clone(), ground.second.clone()).await?;
            Spool::open(disk, clock.clone(), config, with).await
        };
        let spool = block_on(opened, || clock.move_to(clock.nanos() + 1000))?;
        let report = spool.report().clone();
        let (cursor, _) = spool.sink_start(SINK);
        let mut executor = Executor::default();
        let (append, serve) = spool.into_tasks();
        executor.spawn(append);
        executor.spawn(serve);
        Ok(Lone {
            ground: ground.clone(),
            executor,
            ring: Some(ring),
            durable: 0,
            sink,
            reads,
            alarms,
            counters,
            report,
            cursor,
            incarnation,
            next: BTreeMap::new(),
            handed: Vec::new(),
        })
    }

    /// The stream of this start on a topic.
    ///
    /// # Panics
    /// When the topic is no name.
    #[must_use]
    pub fn stream(&self, topic: &str) -> StreamId {
        format!("e/{}/0/{topic}", self.incarnation).parse().expect("a stream")
    }

    /// Hands over a batch of ten events; whether there was a buffer for it.
    pub fn append(&mut self, topic: &str, payload_bytes: usize) -> bool {
        let Some(mut buffer) = self.ring.as_mut().and_then(ShardEnd::take_buffer) else {
            return false;
        };
        let stream = self.stream(topic);
        let next = self.next.entry(stream.topic).or_default();
        let payload = &mut buffer.bytes_mut()[..payload_bytes];
        payload.iter_mut().zip(*next..).for_each(|(byte, n)| *byte = n as u8 | 1);
        let info = BatchInfo {
            stream,
            first_sequence: Sequence(*next),
            count: 10,
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            hour: Hour(1),
            schema: 1,
            class: Class::Normal,
            raw_bytes: payload_bytes as u32,
            payload_bytes: payload_bytes as u32,
            shed: [0; SHED_REASONS],
        };
        *next += 10;
        self.handed.push((stream, info.end_sequence()));
        if let Some(ring) = &mut self.ring {
            ring.push(SealedBatch { info, buffer });
        }
        true
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..2 * ms {
            self.executor.run_until_stalled();
            self.ground.clock.move_to(self.ground.clock.nanos() + 500_000);
        }
        self.executor.run_until_stalled();
        self.durable = self.ring.as_ref().map_or(self.durable, |r| r.committed() as usize);
    }

    /// The shard goes: nothing more comes.
    pub fn finish(&mut self) {
        self.ring = None;
    }

    /// How far each stream of this start is durable, as the shard was told.
    #[must_use]
    pub fn durable(&self) -> BTreeMap<StreamId, Sequence> {
        self.handed[..self.durable].iter().copied().collect()
    }

    /// What the sink was told since the last time.
    pub fn told(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.sink.notices.pop().ok()).collect()
    }

    /// Lets time pass until nothing is told any more; all that was.
    pub fn told_all(&mut self) -> Vec<Notice> {
        let mut all = Vec::new();
        let mut quiet = 0;
        while quiet < 4 {
            self.run(30);
            let told = self.told();
            quiet = if told.is_empty() { quiet + 1 } else { 0 };
            all.extend(told);
        }
        all
    }

    /// Whether a decision became durable within a second.
    pub fn decide(&mut self, command: &Command) -> bool {
        if !self.sink.try_send(command) {
            return false;
        }
        for _ in 0..100 {
            self.run(10);
            if let Some(durable) = self.sink.try_reply() {
                return durable;
            }
        }
        false
    }

    /// Payloads that came without being asked for, since the last time.
    pub fn unasked(&mut self) -> Vec<FrameHeader> {
        std::iter::from_fn(|| self.reads.try_read()).map(|reply| reply.frame).collect()
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Why it could not be had.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn read(&mut self, frame: FrameHeader) -> Result<(), ReadFault> {
        let mut results = self.read_all(&[frame]);
        results.pop().expect("one answer to one request")
    }

    /// Reads frames that are asked for at once.
    ///
    /// # Panics
    /// When an answer does not come.
    pub fn read_all(&mut self, frames: &[FrameHeader]) -> Vec<Result<(), ReadFault>> {
        let asked = frames.iter().all(|frame| self.reads.try_request(*frame));
        assert!(asked, "there is room for the requests");
        let mut results = Vec::new();
        for _ in 0..100 {
            self.run(10);
            results.extend(std::iter::from_fn(|| self.reads.try_read()).map(|reply| reply.result));
            if results.len() == frames.len() {
                return results;
            }
        }
        panic!("{} answers to {} reads", results.len(), frames.len());
    }
}

/// Frames among notices.
pub fn frames(notices: &[Notice]) -> impl Iterator<Item = &FrameHeader> {
    notices.iter().filter_map(|notice| match notice {
        Notice::Frame(frame) => Some(frame),
        Notice::Lost { .. } | Notice::Again { .. } => None,
    })
}

//! What is counted: the real shard, with its tap, role, connections and wheel, under a clock that
//! is moved by hand and a ring without a kernel.

use crate::{belt::Belt, browsers, exchange};
use brink_proto::ids::{Incarnation, Name, ShardId};
use brink_shipper::intake::{self, SpoolEnd};
use brink_tests::sim::{clock::SimClock, world};
use edge::{
    conn::assembly::AssemblyCounts,
    ring::{
        Wait,
        blocks::OutBlocks,
        receive::{BufferFiller, ReceiveBuffers},
    },
    roles::{Roles, Supplies},
    shard::{
        Idle, ListenerParts, Shard, ShardParts, control::Control, counters::ShardCounters,
        latency::latency,
    },
    tap::{Speaker, Tap, TapCounters},
};
use std::sync::Arc;

/// A way in which requests come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    /// Its name in `counts.toml`.
    pub(super) name: &'static str,
    /// What it is, for people.
    pub(super) about: &'static str,
    lanes: usize,
    parts: usize,
    ack: &'static str,
    asks: Asks,
    /// Time between two turns.
    turn_us: u64,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Pixel,
    Probe,
    Segments,
}

/// All of them.
pub(super) const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "pixel_alone",
        about: "a pixel, one request a turn",
        lanes: 1,
        parts: 1,
        ack: "received",
        asks: Asks::Pixel,
        turn_us: 200,
    },
    Scenario {
        name: "pixel_busy",
        about: "a pixel, 32 requests a turn",
        lanes: 32,
        parts: 1,
        ack: "received",
        asks: Asks::Pixel,
        turn_us: 300,
    },
    Scenario {
        name: "pixel_split",
        about: "a pixel, each request in two receives",
        lanes: 1,
        parts: 2,
        ack: "received",
        asks: Asks::Pixel,
        turn_us: 200,
    },
    Scenario {
        name: "pixel_durable",
        about: "a pixel, each answer held until its batch is durable",
        lanes: 1,
        parts: 1,
        ack: "durable",
        asks: Asks::Pixel,
        turn_us: 500,
    },
    Scenario {
        name: "probe",
        about: "/ready, which tells nothing",
        lanes: 1,
        parts: 1,
        ack: "received",
        asks: Asks::Probe,
        turn_us: 200,
    },
    Scenario {
        name: "provider_alone",
        about: "a user's segments, one request a turn",
        lanes: 1,
        parts: 1,
        ack: "received",
        asks: Asks::Segments,
        turn_us: 200,
    },
    Scenario {
        name: "provider_busy",
        about: "users' segments, 32 requests a turn",
        lanes: 32,
        parts: 1,
        ack: "received",
        asks: Asks::Segments,
        turn_us: 300,
    },
];

/// Requests that are counted: some four batches, so that what a batch costs is shared out as it is
/// in a long run.
pub(super) const REQUESTS: u64 = 2048;

/// Requests before that.
const WARM_UP: u64 = 1024;

const BATCH_BUFFERS: usize = 32;

/// A shard that is driven, and the spool's end of its ring.
pub(super) struct Driven {
    shard: Shard<Belt, SimClock>,
    spool: SpoolEnd,
    clock: SimClock,
    counters: Arc<ShardCounters>,
    turn_us: u64,
}

impl Scenario {
    /// The one of a name.
    pub(super) fn by_name(name: &str) -> Option<Scenario> {
        SCENARIOS.into_iter().find(|scenario| scenario.name == name)
    }

    fn requests(&self) -> Vec<Vec<Vec<u8>>> {
        let parts = |number: u64| {
            let request = match self.asks {
                Asks::Probe => b"GET /ready HTTP/1.1\r\nHost: px.example.net\r\n\r\n".to_vec(),
                Asks::Pixel => browsers::request(number),
                Asks::Segments => exchange::request(number),
            };
            let part = request.len().div_ceil(self.parts);
            request.chunks(part).map(<[u8]>::to_vec).collect()
        };
        (0..browsers::COUNT).map(parts).collect()
    }

    fn driven(&self) -> Driven {
        let clock = SimClock::new(1_795_417_201_000_000);
        let (role, config) = match self.asks {
            Asks::Segments => ("provider", world::provider_config(self.lanes as u32)),
            _ => ("pixel", world::config(self.ack, self.lanes as u32)),
        };
        let roles = Roles::standard();
        let topics = roles.topics([role].into_iter());
        let names: Vec<_> = topics.iter().map(|t| Name::new(t.topic).expect("a name")).collect();
        let (end, spool) = intake::ring(BATCH_BUFFERS, Box::new(|| {}));
        let buffers = ReceiveBuffers::map(64).expect("memory");
        let blocks = OutBlocks::map(2 * self.lanes as u32 + 64).expect("memory");
        let tap_counters = Arc::new(TapCounters::new(&names));
        let counters = Arc::new(ShardCounters::new(1, Arc::clone(&tap_counters)));
        let incarnation = Incarnation(1_795_413_912_345);
        let speaker = Speaker { edge: config.edge, incarnation, shard: ShardId(0) };
        let control = Arc::new(Control::new(1));
        control.set_ready(true);
        let listener = config.listeners[0].clone();
        let supplies = match self.asks {
            Asks::Segments => exchange::supplies(),
            _ => Supplies::default(),
        };
        let service = roles.by_name(role).expect("a role").host(&listener, &topics, supplies)();
        let shard = Shard::new(ShardParts {
            ring: Belt::new(self.lanes, self.requests(), BufferFiller::new(&buffers)),
            clock: clock.clone(),
            buffers,
            blocks,
            slots: Belt::slots(self.lanes),
            assembly: AssemblyCounts { small: 8, medium: 4, large: 1 },
            listeners: vec![ListenerParts { config: listener, service }],
            crowd: None,
            topics: topics.len(),
            tap: Tap::new(speaker, &topics, end, BATCH_BUFFERS, &tap_counters),
            idle: Idle::Park,
            control,
            counters: Arc::clone(&counters),
            latency: latency(1).0,
        });
        Driven { shard, spool, clock, counters, turn_us: self.turn_us }
    }

    /// Runs it; how many requests were answered in turns that are counted.
    pub(super) fn run(&self) -> u64 {
        let mut driven = self.driven();
        while driven.answered() < WARM_UP {
            driven.shard.turn(Wait::No).expect("this ring does not break");
            driven.between_turns();
        }
        let from = driven.answered();
        while driven.answered() < from + REQUESTS {
            measured_turn(&mut driven.shard);
            driven.between_turns();
        }
        driven.answered() - from
    }
}

/// A turn of the shard that is counted, by a name that callgrind finds.
#[inline(never)]
fn measured_turn(shard: &mut Shard<Belt, SimClock>) {
    shard.turn(Wait::No).expect("this ring does not break");
}

impl Driven {
    /// Answers so far, all of them with 200.
    fn answered(&self) -> u64 {
        let [ok, others @ ..] = &self.counters.listeners[0].answered;
        assert!(others.iter().all(|c| c.read() == 0), "every request is answered with 200");
        ok.read()
    }

    /// Time passes, and the spool takes what there is.
    fn between_turns(&mut self) {
        while let Some(batch) = self.spool.pop() {
            self.spool.give_back(batch.buffer);
            self.spool.publish(1);
        }
        self.clock.move_to(self.clock.nanos() + self.turn_us * 1000);
    }
}

//! What happens to Kafka and to the store while the appliance lives and dies: they come and go.

use crate::world::World;
use brink_tests::{
    asking::let_live,
    s3::proxy::{ALL, Fault},
    sim::random::Random,
};
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// A time in which something does not work.
#[derive(Debug, Clone, Copy)]
enum Storm {
    /// The broker takes connections and answers nothing.
    BrokerStill,
    /// The broker cannot be reached, and connections to it break.
    BrokerAway,
    /// The store fares like this.
    Store(Fault),
}

const STORMS: [Storm; 8] = [
    Storm::BrokerStill,
    Storm::BrokerAway,
    Storm::Store(Fault::Answer(503)),
    Storm::Store(Fault::Answer(403)),
    Storm::Store(Fault::LoseAnswer),
    Storm::Store(Fault::AnswerAfter(503)),
    Storm::Store(Fault::CloseInBody),
    Storm::Store(Fault::Delay(Duration::from_millis(150))),
];

/// How long storms are, and the time between them.
const STORM_MS: std::ops::Range<u64> = 50..400;
const CALM_MS: std::ops::Range<u64> = 300..1200;

/// The weather over a world.
pub(crate) struct Weather<'w> {
    world: &'w World,
    seed: u64,
    /// Held in a storm.
    storm: Mutex<()>,
    storms: AtomicU64,
    settled: AtomicBool,
}

impl<'w> Weather<'w> {
    pub(crate) fn new(world: &'w World, seed: u64) -> Weather<'w> {
        let (storms, settled) = (AtomicU64::new(0), AtomicBool::new(false));
        Weather { world, seed, storm: Mutex::new(()), storms, settled }
    }

    /// One storm after the other, until it is settled.
    pub(crate) fn change(&self) {
        let random = Random::new(self.seed);
        let pass = |range| let_live(Duration::from_millis(random.within(range)));
        self.world.kafka.cut_every(self.world.mode.answers());
        // ORDER: Relaxed, a flag that stands for itself.
        while !self.settled.load(Ordering::Relaxed) {
            let storm = self.calm();
            let kind = STORMS[random.within(0..STORMS.len() as u64) as usize];
            self.begin(kind);
            pass(STORM_MS);
            self.end(kind);
            drop(storm);
            // ORDER: Relaxed, a number that stands for itself.
            self.storms.fetch_add(1, Ordering::Relaxed);
            pass(CALM_MS);
        }
        self.world.kafka.cut_every(0);
    }

    fn begin(&self, storm: Storm) {
        let World { broker, kafka, store, .. } = self.world;
        match storm {
            Storm::BrokerStill => broker.freeze(true),
            Storm::BrokerAway => {
                kafka.send_to(None);
                kafka.cut_every(1);
            }
            Storm::Store(fault) => store.inject_always(fault, ALL),
        }
    }

    fn end(&self, storm: Storm) {
        let World { broker, kafka, store, mode, .. } = self.world;
        match storm {
            Storm::BrokerStill => broker.freeze(false),
            Storm::BrokerAway => {
                kafka.send_to(Some(broker.address));
                kafka.cut_every(mode.answers());
            }
            Storm::Store(_) => store.clear(),
        }
    }

    /// No storm begins while this is held.
    pub(crate) fn calm(&self) -> MutexGuard<'_, ()> {
        self.storm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the storm that there is when this is dropped be the last one: also where a test has
    /// failed, for somebody waits for the end.
    pub(crate) fn changes(&self) -> Changes<'_> {
        Changes(&self.settled)
    }

    /// How many there were.
    pub(crate) fn storms(&self) -> u64 {
        // ORDER: Relaxed, a number that stands for itself.
        self.storms.load(Ordering::Relaxed)
    }
}

/// While this lives, the weather changes.
pub(crate) struct Changes<'w>(&'w AtomicBool);

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        // ORDER: Relaxed, a flag that stands for itself.
        self.0.store(true, Ordering::Relaxed);
    }
}

//! One start of the appliance, which is asked all the time, and its kill.

use crate::{proof::Asked, tally::Moment, weather::Weather, world::World};
use brink_shipper::steps::{Step, VARIABLE};
use brink_tests::{
    asking::{askers, let_live},
    process::{self, Serving},
    s3::proxy::{Fault, OBJECTS},
    sim::random::Random,
};
use std::{
    os::unix::process::ExitStatusExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Longest time from a start to a kill at any moment.
const LIFE_MS_MAX: u64 = 1200;

/// How long a step is waited for; then it is killed from outside after all.
const STEP_MAX: Duration = Duration::from_millis(2500);

/// The same where all that earlier lives have left has to be delivered or read back before.
const DELIVERED_MAX: Duration = Duration::from_secs(20);

/// From a start to a stop, and the longest time from there to a kill.
const STOP_AT: Duration = Duration::from_millis(600);
const STOP_MS_MAX: u64 = 200;

/// Clients that ask.
const ASKERS: u64 = 2;

/// Lives once, and dies: when, if it did not end in order before.
pub(crate) fn live(
    world: &World,
    weather: &Weather<'_>,
    (name, aim): (&str, Moment),
    random: &Random,
    asked: &mut Asked,
) -> Option<Moment> {
    let at = match aim {
        Moment::Step(step) => {
            Some(format!("{}:{}", step.label(), 1 + random.within(0..passages(step))))
        }
        _ => None,
    };
    let still = matches!(aim, Moment::ObjectUnderWay).then(|| weather.calm());
    if still.is_some() {
        world.store.inject_always(Fault::HoldAnswer, OBJECTS);
    }
    let variables: Vec<_> = at.iter().map(|at| (VARIABLE, at.as_str())).collect();
    let mut serving = Serving::launch_with(&world.site.config(), &variables);
    let killer = Killer::new(world, serving.id(), aim, random);
    let status = thread::scope(|scope| {
        let killing = scope.spawn(|| killer.run());
        if serving.becomes_ready() {
            for asker in askers(&serving, (0..ASKERS).map(|n| format!("{name}-{n}"))) {
                asked.add(asker.join().expect("it asks"));
            }
        }
        let status = serving.wait();
        killer.process_ended();
        killing.join().expect("it kills");
        status
    });
    if still.is_some() {
        world.store.clear();
    }
    match status.signal() {
        Some(_) => Some(if killer.met_aim() { aim } else { Moment::Any }),
        // It had stopped in order before the kill came.
        None => {
            assert!(aim == Moment::Stop && status.success(), "{aim:?}: it ended: {status}");
            None
        }
    }
}

/// How often a step is passed in a life, more or less.
fn passages(step: Step) -> u64 {
    match step {
        Step::GroupTaken | Step::GroupWritten | Step::GroupSynced => 40,
        Step::BatchSent | Step::BatchAcknowledged => 10,
        Step::CursorWritten | Step::CursorSynced | Step::ObjectEncoding => 6,
        Step::SegmentFull | Step::SegmentSealed => 2,
        Step::SegmentNamed | Step::SegmentHeaded => 2,
        Step::ObjectSealed | Step::ObjectEncoded | Step::ObjectAnswered => 2,
        Step::SegmentReleased | Step::ObjectFound | Step::LineageDurable => 1,
        Step::ManifestSealed | Step::ManifestAnswered => 1,
        Step::StartCounted | Step::LogRecovered | Step::LogDrained => 1,
        Step::TransactionBegun | Step::TransactionFilled | Step::PositionWritten => 2,
        Step::CommitSent | Step::TransactionCommitted => 2,
    }
}

/// How long a step is waited for.
fn patience(step: Step) -> Duration {
    match step {
        Step::SegmentReleased | Step::ManifestSealed | Step::ManifestAnswered => DELIVERED_MAX,
        // The positions that earlier lives have written, which nobody compacts meanwhile.
        _ if Step::OF_TRANSACTIONS.contains(&step) => DELIVERED_MAX,
        _ => STEP_MAX,
    }
}

/// Kills from outside, or stops and kills.
struct Killer<'w> {
    world: &'w World,
    process: u32,
    aim: Moment,
    stop_at: Option<Duration>,
    kill_at: Duration,
    /// Requests of the store that fared badly before this life.
    struck: usize,
    /// The process has ended: its id means nothing any more.
    ended: AtomicBool,
    /// The kill came from here.
    killed: AtomicBool,
    /// And an object was under way.
    under_way: AtomicBool,
}

impl<'w> Killer<'w> {
    fn new(world: &'w World, process: u32, aim: Moment, random: &Random) -> Killer<'w> {
        let within = |ms: u64| Duration::from_micros(random.within(0..ms * 1000));
        let is_told = matches!(aim, Moment::Step(Step::ManifestSealed | Step::ManifestAnswered));
        let stops = matches!(aim, Moment::Stop | Moment::Step(Step::LogDrained)) || is_told;
        let kill_at = match aim {
            Moment::Any => within(LIFE_MS_MAX),
            Moment::Stop => STOP_AT + within(STOP_MS_MAX),
            Moment::Step(step) => patience(step),
            Moment::ObjectUnderWay => STEP_MAX,
        };
        Killer {
            world,
            process,
            aim,
            stop_at: stops.then_some(STOP_AT),
            kill_at,
            struck: world.store.struck(),
            ended: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            under_way: AtomicBool::new(false),
        }
    }

    fn run(&self) {
        let begun = Instant::now();
        let mut stop_at = self.stop_at;
        // ORDER: Relaxed, a flag that stands for itself.
        while !self.ended.load(Ordering::Relaxed) {
            if stop_at.take_if(|at| begun.elapsed() >= *at).is_some() {
                process::signal(self.process, "TERM");
            }
            let under_way =
                self.aim == Moment::ObjectUnderWay && self.world.store.struck() > self.struck;
            if under_way || begun.elapsed() >= self.kill_at {
                // ORDER: Relaxed, they are read when this thread has ended.
                self.under_way.store(under_way, Ordering::Relaxed);
                self.killed.store(true, Ordering::Relaxed);
                process::signal(self.process, "KILL");
                return;
            }
            let_live(Duration::from_micros(500));
        }
    }

    fn process_ended(&self) {
        // ORDER: Relaxed, a flag that stands for itself.
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether the kill came when it was to come.
    fn met_aim(&self) -> bool {
        // ORDER: Relaxed, the thread that sets them has ended.
        match self.aim {
            Moment::Step(_) => !self.killed.load(Ordering::Relaxed),
            Moment::ObjectUnderWay => self.under_way.load(Ordering::Relaxed),
            Moment::Stop | Moment::Any => true,
        }
    }
}

//! An appliance that delivers to Kafka and to a store is killed at every step of delivery, while
//! both come and go. Nothing that was accepted is lost, and nothing stands twice.
//!
//! A kill comes from outside at any moment; or the process kills itself at a step that
//! [`brink_shipper::steps`] names, for no signal from outside meets those that are short; or the
//! store keeps its answer back until the kill. `BRINK_KILLS` says how many there are: of a
//! thousand, twenty or more are for each step.
//!
//! It delivers to Kafka in both ways, a spell of kills at a time; between two of them it lives in
//! calm until all is delivered, which is when another way may begin.
//!
//! [`world`] is what there is, [`mode`] the way to Kafka, [`weather`] what happens to Kafka and the
//! store meanwhile, [`life`] one start and its kill, [`tally`] the count, and [`proof`] what lies
//! where in the end, told by readers that share no code with us.

mod life;
mod mode;
mod proof;
mod tally;
mod weather;
mod world;

use brink_tests::{appliance::eventually, services::Python, sim::random::Random};
use mode::Mode;
use proof::Asked;
use std::{collections::BTreeSet, thread, time::Instant};
use tally::{Histogram, Tally};
use weather::Weather;
use world::World;

/// Kills, unless `BRINK_KILLS` says how many; there are never fewer than one at each moment in each
/// mode.
const KILLS: u64 = 50;

/// Kills of a spell. A life is too short for what those before it have left, and each start reads
/// all of it: a thousand in one go would see little else.
const KILLS_A_SPELL: u64 = 50;

fn kills() -> u64 {
    let wanted = std::env::var("BRINK_KILLS").ok();
    wanted.map_or(KILLS, |kills| kills.parse().expect("BRINK_KILLS is a number"))
}

#[test]
fn no_kill_at_any_step_loses_an_event_or_delivers_one_twice() {
    let Some(python) = Python::find() else { return };
    let Some(mut world) = World::start() else { return };
    let begun = Instant::now();
    let (mut asked, random) = (Asked::default(), Random::new(5));
    let mut tallies = Mode::ALL.map(|mode| Tally::new(mode, kills()));
    let mut storms = 0;
    while !tallies.iter().all(Tally::is_complete) {
        for tally in tallies.iter_mut().filter(|tally| !tally.is_complete()) {
            world.deliver_in(tally.mode);
            storms += kill_for_a_spell(&world, tally, &random, &mut asked);
            let (kills, mode) = (tally.kills(), tally.mode.label());
            println!("{mode}: {kills} kills after {} s", begun.elapsed().as_secs());
            deliver(&world);
        }
    }
    let seconds = begun.elapsed().as_secs();
    println!("{}", Histogram(&tallies));
    println!("{storms} storms, {} connections cut, {seconds} s", world.kafka.cuts());

    let stands = proof::read(&world, &python);
    let lost = asked.answered.difference(&stands).collect::<BTreeSet<_>>();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(stands.is_subset(&asked.sent), "nobody asked for some of it");
    println!("{} answered, 0 of them lost, 0 stand twice", asked.answered.len());
}

/// Lives and dies until there were enough kills, or a spell of them; how many storms there were.
fn kill_for_a_spell(world: &World, tally: &mut Tally, random: &Random, asked: &mut Asked) -> u64 {
    let weather = Weather::new(world, random.any());
    let until = tally.kills() + KILLS_A_SPELL;
    thread::scope(|scope| {
        let changes = weather.changes();
        let changing = scope.spawn(|| weather.change());
        while tally.kills() < until
            && let Some(aim) = tally.aim(random)
        {
            let name = format!("{}-{}", tally.mode.label(), tally.lives());
            tally.count(aim, life::live(world, &weather, (&name, aim), random, asked));
        }
        drop(changes);
        changing.join().expect("the weather changes");
    });
    weather.storms()
}

/// Lives in calm until all that was accepted is delivered.
fn deliver(world: &World) {
    let serving = world.site.serve();
    let is_strict = world.mode == Mode::Strict;
    assert_eq!(serving.status()["kafka"]["transactional"], is_strict, "another way goes on");
    for sink in ["kafka", "objects"] {
        let pending = || serving.status()["ledger"]["sinks"][sink]["pending"].as_u64();
        // There is much of it: it may take its time, as long as it moves.
        let mut left = pending();
        while left > Some(0) {
            eventually("more of the backlog is delivered", || pending() < left);
            left = pending();
        }
    }
    assert_eq!(serving.stop().code(), Some(0));
}

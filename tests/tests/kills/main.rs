//! An appliance that delivers to Kafka and to a store is killed at every step of delivery, while
//! both come and go. Nothing that was accepted is lost, and nothing stands twice.
//!
//! A kill comes from outside at any moment; or the process kills itself at a step that
//! [`brink_shipper::steps`] names, for no signal from outside meets those that are short; or the
//! store keeps its answer back until the kill. `BRINK_KILLS` says how many there are: of a
//! thousand, twenty or more are for each step.
//!
//! [`world`] is what there is, [`weather`] what happens to Kafka and the store meanwhile, [`life`]
//! one start and its kill, [`tally`] the count, and [`proof`] what lies where in the end, told by
//! readers that share no code with us.

mod life;
mod proof;
mod tally;
mod weather;
mod world;

use brink_tests::{appliance::eventually, services::Python, sim::random::Random};
use proof::Asked;
use std::{collections::BTreeSet, thread, time::Instant};
use tally::Tally;
use weather::Weather;
use world::World;

/// Kills, unless `BRINK_KILLS` says how many: one for each step, and some more.
const KILLS: u64 = 30;

/// Kills between two spells of calm. A life is too short for what those before it have left, and
/// each start reads all of it: a thousand in one go would see little else.
const KILLS_A_SPELL: u64 = 50;

fn kills() -> u64 {
    let wanted = std::env::var("BRINK_KILLS").ok();
    wanted.map_or(KILLS, |kills| kills.parse().expect("BRINK_KILLS is a number"))
}

#[test]
fn no_kill_at_any_step_loses_an_event_or_delivers_one_twice() {
    let Some(python) = Python::find() else { return };
    let Some(world) = World::start() else { return };
    let begun = Instant::now();
    let (mut asked, mut tally) = (Asked::default(), Tally::new(kills()));
    let weather = Weather::new(&world);
    thread::scope(|scope| {
        let changes = weather.changes();
        let changing = scope.spawn(|| weather.change());
        let random = Random::new(5);
        let mut lives = 0;
        while let Some(aim) = tally.aim(&random) {
            let died = life::live(&world, &weather, (lives, aim), &random, &mut asked);
            died.into_iter().for_each(|moment| tally.count(aim, moment));
            lives += 1;
            if died.is_some() && tally.kills().is_multiple_of(KILLS_A_SPELL) {
                println!("{} kills after {} s", tally.kills(), begun.elapsed().as_secs());
                weather.hold_still(|| deliver(&world));
            }
            assert!(lives < 2 * tally.wanted() + 60, "steps are not met:\n{tally}");
        }
        drop(changes);
        changing.join().expect("the weather changes");
    });
    let (seconds, storms) = (begun.elapsed().as_secs(), weather.storms());
    println!("{tally}\n{storms} storms, {} connections cut, {seconds} s", world.kafka.cuts());

    deliver(&world);
    let stands = proof::read(&world, &python);
    let lost = asked.answered.difference(&stands).collect::<BTreeSet<_>>();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(stands.is_subset(&asked.sent), "nobody asked for some of it");
    println!("{} answered, 0 of them lost, 0 stand twice", asked.answered.len());
}

/// Lives until all that was accepted is delivered.
fn deliver(world: &World) {
    let serving = world.site.serve();
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

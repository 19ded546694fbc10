//! A store that is slower than a request may last: the appliance gives up, and what it gave up may
//! be done, then or later, while the same object is on its way once more.

use crate::{
    traffic::{PREFIX, ask},
    world::{Noticed, World, strike_in},
};
use brink_tests::{
    appliance::eventually,
    s3::proxy::{Fault, OBJECTS, Seen},
    sim::random::Random,
    site::Site,
};
use std::{collections::BTreeSet, fs, time::Duration};

/// Longer than a request lasts here.
const LONGER: Duration = Duration::from_millis(1500);

/// Requests last a second.
fn hurried(site: Site) -> Site {
    site.with("credentials =", "request_timeout_ms = 1000\ncredentials =")
}

/// A fault that outlasts requests.
fn outlast(fault: Fault, times: u32) {
    if let Some(world) = World::start_as(hurried) {
        strike_in(world, fault, times, Noticed::Alarm);
    }
}

#[test]
fn an_object_whose_answer_never_comes_is_known_as_ours_when_it_is_tried_again() {
    outlast(Fault::HoldAnswer, 2);
}

#[test]
fn an_object_that_is_made_after_it_was_given_up_is_made_once() {
    // While the second try is on its way, or while it is looked whose object that is.
    outlast(Fault::SlowBody(LONGER), 1);
    outlast(Fault::SlowBody(LONGER), 2);
    outlast(Fault::Delay(LONGER), 3);
}

#[test]
fn an_object_that_was_taken_slowly_and_never_made_is_sent_again() {
    outlast(Fault::LostBody(LONGER), 2);
}

#[test]
fn an_answer_that_drips_longer_than_a_request_lasts_is_not_waited_for() {
    outlast(Fault::Drip(LONGER), 2);
}

/// Rows of an object of more than [`TAKEN_BYTES`].
const ROWS: usize = 1000;
const QUERY_BYTES: usize = 8000;

/// More than what is taken of a request in a second, with all that the kernel keeps of it.
const TAKEN_BYTES: u64 = 4 << 20;

#[test]
fn an_object_that_the_store_does_not_take_in_time_is_given_up_in_the_middle_and_sent_again() {
    let rows = format!("age_max_ms = 60000\nrows_max = {ROWS}\n");
    let Some(mut world) = World::start_as(|site| hurried(site).with("age_max_ms = 100\n", &rows))
    else {
        return;
    };
    let random = Random::new(7);
    world.proxy.inject(Fault::SlowBody(10 * LONGER), OBJECTS, 2);
    world.asked = (0..ROWS + 1).map(|_| random.letters(QUERY_BYTES)).collect();
    ask(&world.serving, &world.asked);
    eventually("it was tried often enough", || world.proxy.struck() == 2);
    eventually("it is delivered", || world.figure("delivered") > 0);
    assert!(world.raised("store_failing") > 0);
    let puts = |seen: &Seen| seen.method == "PUT" && seen.path.contains(".parquet");
    let keys: BTreeSet<String> =
        world.proxy.seen().into_iter().filter(puts).map(|seen| seen.path).collect();
    assert_eq!(keys.len(), 1, "the same object each time: {keys:?}");
    let folder = world.site.path().join("looked");
    let made = world.server.download(PREFIX, &folder);
    let bytes = made.iter().map(|key| fs::metadata(folder.join(key)).expect("a file").len());
    assert!(bytes.max() > Some(TAKEN_BYTES));
    world.conclude();
}

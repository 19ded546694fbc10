//! A store that fails in all the ways that stores have been seen to fail.

use crate::{
    traffic::{PREFIX, ask, settings, site},
    world::{Noticed, World, strike},
};
use brink_tests::{
    appliance::eventually,
    s3::{
        S3Server,
        proxy::{ALL, Fault, OBJECTS, Proxy, Seen, Target},
    },
    sim::random::Random,
};
use std::{
    fs,
    time::{Duration, Instant},
};

#[test]
fn a_storm_of_503_passes() {
    strike(Fault::Answer(503), 12, Noticed::Alarm);
}

#[test]
fn errors_of_the_server_pass() {
    strike(Fault::Answer(500), 5, Noticed::Alarm);
}

#[test]
fn a_conflict_of_requests_is_tried_again() {
    strike(Fault::Answer(409), 3, Noticed::Alarm);
}

#[test]
fn an_object_that_was_made_and_answered_with_409_is_known_as_ours() {
    strike(Fault::AnswerAfter(409), 3, Noticed::Nothing);
}

#[test]
fn an_object_whose_answer_was_lost_is_known_as_ours() {
    strike(Fault::LoseAnswer, 3, Noticed::Alarm);
}

#[test]
fn an_object_whose_answer_never_comes_is_found_by_the_next_start() {
    let Some(mut world) = World::start() else { return };
    world.ask();
    world.await_delivery();
    world.proxy.inject_always(Fault::HoldAnswer, OBJECTS);
    world.ask();
    eventually("an object is under way", || world.proxy.struck() == 1);
    let key = world.await_object();
    world.serving.signal("KILL");
    let _ = world.serving.wait();
    world.proxy.clear();
    world.serving = world.site.serve();
    eventually("the rest is delivered", || world.figure("pending") == 0);
    // It was looked for and not made again.
    let after = world.proxy.seen().into_iter().filter(|s| s.method == "PUT" && s.path == key);
    assert_eq!(after.count(), 1);
    assert!(world.figure("backlog") > 0);
    world.conclude();
}

#[test]
fn an_object_that_an_earlier_start_has_made_is_waited_for_until_all_of_it_is_read() {
    let Some(mut world) = World::start() else { return };
    let live_again = |world: &mut World, from: &str, to: &str| {
        world.serving.signal("KILL");
        let _ = world.serving.wait();
        world.site.change(from, to);
        world.serving = world.site.serve();
    };
    live_again(&mut world, "age_max_ms = 100\n", "age_max_ms = 60000\n");
    let random = Random::new(3);
    world.asked = (0..80).map(|_| random.letters(4000)).collect();
    ask(&world.serving, &world.asked);
    world.proxy.inject_always(Fault::HoldAnswer, OBJECTS);
    world.serving.signal("TERM");
    eventually("an object is under way", || world.proxy.struck() == 1);
    world.await_object();
    // Its frames are read again over seconds. Before the last one it would be old, and there is a
    // stop, which waits for nothing else.
    world.proxy.clear();
    world.site.change("[spool]", "[spool]\nreplay_bytes_per_s = 65536");
    live_again(&mut world, "age_max_ms = 60000\n", "age_max_ms = 100\n");
    world.conclude();
}

#[test]
fn an_object_that_was_made_and_answered_with_503_is_known_as_ours() {
    // The client tries again by itself, and is told that the object exists.
    strike(Fault::AnswerAfter(503), 3, Noticed::Nothing);
}

#[test]
fn a_connection_that_closes_in_the_middle_of_an_object_leaves_no_half_of_it() {
    strike(Fault::CloseInBody, 3, Noticed::Alarm);
}

#[test]
fn a_slow_store_and_a_dripping_answer_are_waited_for() {
    strike(Fault::Delay(Duration::from_millis(300)), 2, Noticed::Nothing);
    strike(Fault::Drip(Duration::from_millis(300)), 3, Noticed::Nothing);
}

/// A refusal that lasts, through a kill in the middle of it.
fn refuse(status: u16) {
    let Some(mut world) = World::start() else { return };
    world.ask();
    world.await_delivery();
    world.proxy.inject_always(Fault::Answer(status), ALL);
    world.ask();
    eventually("the alarm", || world.is_alarmed("store_refusing"));
    world.ask();
    let status = world.serving.status();
    assert_eq!(status.sink()["delivered"], 100);
    assert_eq!((status.sink()["pending"].as_u64(), status.shed()), (Some(200), 0));
    assert_eq!(world.serving.connect().get("/ready").status, 200, "who asks is served");
    // A kill in the middle of it changes nothing.
    world.serving.signal("KILL");
    let _ = world.serving.wait();
    world.serving = world.site.serve();
    eventually("the alarm again", || world.is_alarmed("store_refusing"));
    world.proxy.clear();
    eventually("it goes on by itself", || world.figure("pending") == 0);
    eventually("the alarm is over", || !world.is_alarmed("store_refusing"));
    world.conclude();
}

#[test]
fn a_refusal_is_an_alarm_keeps_everything_and_ends_by_itself() {
    refuse(403);
}

#[test]
fn so_it_is_with_what_the_store_makes_no_sense_of() {
    refuse(400);
}

#[test]
fn so_it_is_with_credentials_that_nobody_knows() {
    refuse(401);
}

#[test]
fn so_it_is_with_a_bucket_that_is_gone() {
    refuse(404);
}

#[test]
fn a_store_that_ignores_the_condition_is_recognised_and_each_object_is_looked_for() {
    let tell = |proxy: &Proxy| proxy.inject_always(Fault::IgnoreCondition, ALL);
    let Some(mut world) = World::start_with(tell) else { return };
    eventually("it is recognised", || world.is_alarmed("store_unconditional"));
    world.ask();
    world.await_delivery();
    let is_object = |method: &str| {
        let seen = world.proxy.seen();
        let of = |seen: &&Seen| seen.method == method && seen.path.contains("ds=");
        seen.iter().filter(of).count()
    };
    assert!(is_object("GET") >= is_object("PUT") && is_object("PUT") > 0);
    world.conclude();
}

/// The first PUT of an object that was refused: its key.
fn first_key(proxy: &Proxy) -> Option<String> {
    let seen = proxy.seen();
    let path = &seen.iter().find(|s| s.method == "PUT" && s.path.contains("ds="))?.path;
    Some(path.split_once(PREFIX)?.1.trim_start_matches('/').to_owned())
}

/// Somebody else's object under our key: ours goes aside, theirs stays, and delivery goes on.
fn conflict(condition: Option<Fault>) {
    let Some(mut world) = World::start_with(|proxy| {
        if let Some(fault) = condition {
            proxy.inject_always(fault, ALL);
        }
    }) else {
        return;
    };
    eventually("the store is known", || world.proxy.seen().len() >= 2);
    eventually("and what it does", || {
        world.is_alarmed("store_unconditional") == condition.is_some()
    });
    let target = Target { method: "PUT", path: "ds" };
    // A refusal is not tried again by the client itself, which would not look again.
    world.proxy.inject_always(Fault::Answer(403), target);
    world.ask();
    eventually("an object is tried", || first_key(&world.proxy).is_some());
    let key = first_key(&world.proxy).unwrap();
    let theirs = b"somebody else's";
    world.server.put(PREFIX, &key, theirs);
    match condition {
        Some(fault) => {
            // Only a look finds theirs; a PUT that came before it would be written over it.
            eventually("it is found", || world.is_alarmed("object_conflict"));
            world.proxy.inject_always(fault, ALL);
        }
        None => world.proxy.clear(),
    }
    world.await_delivery();
    world.ask();
    world.await_delivery();
    assert!(world.is_alarmed("object_conflict"));
    let World { server, site, serving, asked, .. } = world;
    assert_eq!(serving.stop().code(), Some(0));
    let folder = site.path().join("objects");
    let keys = server.download(PREFIX, &folder);
    assert_eq!(fs::read(folder.join(&key)).unwrap(), theirs);
    fs::remove_file(folder.join(&key)).unwrap();
    let aside = keys.iter().filter(|k| k.starts_with("_conflict/") && k.ends_with(&key)).count();
    assert_eq!(aside, 1, "{keys:?}");
    // Nothing is lost: what lies aside has its rows.
    let audit = site.audit();
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();
}

#[test]
fn an_object_of_somebody_else_under_our_key_stays_and_ours_goes_aside() {
    conflict(None);
}

#[test]
fn so_it_does_in_a_store_that_ignores_the_condition() {
    conflict(Some(Fault::IgnoreCondition));
}

#[test]
fn no_more_requests_go_to_a_store_than_it_is_to_get() {
    let Some(server) = S3Server::start() else { return };
    let proxy = Proxy::start(server.address(), server.secret());
    let site = site(&server, &settings(&server, &proxy.endpoint()))
        .with("requests_per_second_max = 1000", "requests_per_second_max = 1")
        .with("age_max_ms = 100", "age_max_ms = 200");
    let started = Instant::now();
    let mut world = World::of(server, proxy, site);
    // What is kept for ten seconds goes at once, and then one a second.
    let (at_once, more) = (10, 4);
    eventually("there is more to be sent than may go at once", || {
        world.ask();
        world.proxy.seen().len() > at_once + more
    });
    assert!(started.elapsed() >= Duration::from_secs(more as u64), "{:?}", started.elapsed());
    world.conclude();
}

//! A store that fails in all the ways that stores have been seen to fail.

use crate::traffic::{PREFIX, ask, delivered, settings, site};
use brink_tests::{
    appliance::eventually,
    process::Serving,
    s3::{
        S3Server,
        proxy::{ALL, Fault, OBJECTS, Proxy, Seen, Target},
    },
    sim::random::Random,
    site::Site,
};
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

/// A server, a proxy in front of it, and an appliance that knows only the proxy.
struct World {
    server: S3Server,
    proxy: Proxy,
    site: Site,
    serving: Serving,
    asked: BTreeSet<String>,
}

impl World {
    fn start() -> Option<World> {
        World::start_with(|_| {})
    }

    /// The proxy is told before the appliance starts.
    fn start_with(tell: impl FnOnce(&Proxy)) -> Option<World> {
        let server = S3Server::start()?;
        let proxy = Proxy::start(server.address(), server.secret());
        tell(&proxy);
        let site = site(&server, &settings(&server, &proxy.endpoint()));
        let serving = site.serve();
        Some(World { server, proxy, site, serving, asked: BTreeSet::new() })
    }

    /// Asks for some more pixels.
    fn ask(&mut self) {
        let from = self.asked.len();
        let more: BTreeSet<String> = (from..from + 100).map(|n| n.to_string()).collect();
        ask(&self.serving, &more);
        self.asked.extend(more);
    }

    fn figure(&self, name: &str) -> u64 {
        self.serving.status().sink()[name].as_u64().expect("a number")
    }

    fn await_delivery(&self) {
        eventually("all is delivered", || self.figure("delivered") == self.asked.len() as u64);
    }

    /// The object whose answer is held back, once it is made.
    fn await_object(&self) -> String {
        let key = self.proxy.seen().into_iter().rfind(|s| s.fault.is_some()).expect("it").path;
        let name = key.rsplit_once('/').expect("a folder").1;
        eventually("it is made", || {
            let keys = self.server.download(PREFIX, &self.site.path().join("looked"));
            keys.iter().any(|key| key.ends_with(name))
        });
        key
    }

    fn is_alarmed(&self, alarm: &str) -> bool {
        self.serving.status().is_alarmed(alarm)
    }

    /// Stops it; what lies in the store is what was asked for, each once.
    fn conclude(self) {
        let World { server, proxy, site, serving, asked } = self;
        proxy.clear();
        assert_eq!(serving.stop().code(), Some(0));
        let audit = delivered(&server, &site);
        assert_eq!(audit.nonces(), asked);
        audit.check_dense();
    }
}

/// A fault that strikes a few PUTs, after which everything is as if nothing had been.
fn strike(fault: Fault, times: u32) {
    let Some(mut world) = World::start() else { return };
    world.ask();
    world.await_delivery();
    world.proxy.inject(fault, OBJECTS, times);
    for _ in 0..3 {
        world.ask();
        world.await_delivery();
    }
    assert_eq!(world.proxy.struck(), times as usize);
    eventually("no alarm is left", || {
        let alarms = ["store_failing", "store_refusing", "object_conflict"];
        alarms.iter().all(|alarm| !world.is_alarmed(alarm))
    });
    world.conclude();
}

#[test]
fn a_storm_of_503_passes() {
    strike(Fault::Answer(503), 12);
}

#[test]
fn errors_of_the_server_pass() {
    strike(Fault::Answer(500), 5);
}

#[test]
fn a_conflict_of_requests_is_tried_again() {
    strike(Fault::Answer(409), 3);
}

#[test]
fn an_object_whose_answer_was_lost_is_known_as_ours() {
    strike(Fault::LoseAnswer, 3);
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
    strike(Fault::AnswerAfter(503), 3);
}

#[test]
fn a_connection_that_closes_in_the_middle_of_an_object_leaves_no_half_of_it() {
    strike(Fault::CloseInBody, 3);
}

#[test]
fn a_slow_store_and_a_dripping_answer_are_waited_for() {
    strike(Fault::Delay(Duration::from_millis(300)), 2);
    strike(Fault::Drip, 3);
}

#[test]
fn a_refusal_is_an_alarm_keeps_everything_and_ends_by_itself() {
    let Some(mut world) = World::start() else { return };
    world.ask();
    world.await_delivery();
    world.proxy.inject_always(Fault::Answer(403), ALL);
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
    let mut world = World { serving: site.serve(), server, proxy, site, asked: BTreeSet::new() };
    // What is kept for ten seconds goes at once, and then one a second.
    let (at_once, more) = (10, 4);
    eventually("there is more to be sent than may go at once", || {
        world.ask();
        world.proxy.seen().len() > at_once + more
    });
    assert!(started.elapsed() >= Duration::from_secs(more as u64), "{:?}", started.elapsed());
    world.conclude();
}

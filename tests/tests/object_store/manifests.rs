//! Manifests through kills: whatever the arrow at which the appliance dies, the next start makes
//! the one that was meant, and `shipper audit` finds the hour whole.

use crate::traffic::{self, PREFIX, ask, delivered, prove};
use brink_tests::{
    appliance::eventually,
    audit::hour_of,
    s3::{
        S3Server,
        proxy::{Fault, MANIFESTS, OBJECTS, Proxy, Seen, Target},
    },
    site::Site,
};
use std::collections::BTreeSet;

fn site(server: &S3Server, proxy: &Proxy) -> Site {
    traffic::site(server, &traffic::settings(server, &proxy.endpoint()))
}

/// Lives until a request of this kind has met the fault, and is killed then.
fn live_and_be_killed(site: &Site, proxy: &Proxy, fault: Fault, target: Target) {
    let before = proxy.struck();
    proxy.inject_always(fault, target);
    let serving = site.serve();
    let more: BTreeSet<String> = (0..40).map(|n| format!("{before}-{n}")).collect();
    ask(&serving, &more);
    eventually("it has met the fault", || proxy.struck() > before);
    serving.kill();
    proxy.clear();
}

fn puts<'a>(seen: &'a [Seen], path: &'a str) -> impl Iterator<Item = &'a Seen> {
    seen.iter().filter(move |s| s.method == "PUT" && s.path.contains(path))
}

#[test]
fn a_kill_at_any_arrow_of_a_manifest_leaves_an_hour_that_is_proved_whole() {
    let Some(server) = S3Server::start() else { return };
    let proxy = Proxy::start(server.address(), server.secret());
    let site = site(&server, &proxy);
    let arrows = [
        // The object exists, and nothing says so: neither the cursor nor a list.
        (Fault::HoldAnswer, OBJECTS),
        // The start before has a list, of which the sealed one is durable and no manifest exists.
        (Fault::Answer(503), MANIFESTS),
        // The manifest exists, and the cursor does not say so.
        (Fault::HoldAnswer, MANIFESTS),
        // The same, and somebody was told that it had failed.
        (Fault::AnswerAfter(503), MANIFESTS),
        // It is cut off in the middle.
        (Fault::CloseInBody, MANIFESTS),
    ];
    for (fault, target) in arrows {
        // Something to be told by the next start, and delivered before this one is killed.
        let serving = site.serve();
        let more: BTreeSet<String> =
            (0..40).map(|n| format!("{}+{n}", proxy.seen().len())).collect();
        ask(&serving, &more);
        eventually("all is delivered", || serving.status().sink()["pending"] == 0);
        serving.kill();
        live_and_be_killed(&site, &proxy, fault, target);
    }
    assert_eq!(site.serve().stop().code(), Some(0));
    let audit = delivered(&server, &site);
    audit.check_dense();
    assert_eq!(audit.nonces().len(), 2 * 40 * arrows.len());
    // Each was meant once: whatever was sent again had the same key, and no other was made.
    let seen = proxy.seen();
    let sent: BTreeSet<&str> = puts(&seen, "_manifests").map(|s| s.path.as_str()).collect();
    let keys = server.download(PREFIX, &site.path().join("again"));
    let made = keys.iter().filter(|key| key.starts_with("_manifests")).count();
    assert_eq!(made, sent.len());
    assert!(!keys.iter().any(|key| key.starts_with("_conflict")), "{keys:?}");
}

#[test]
fn a_stop_whose_last_manifest_is_not_taken_ends_in_time_and_the_next_start_goes_on() {
    let Some(server) = S3Server::start() else { return };
    let proxy = Proxy::start(server.address(), server.secret());
    let site = site(&server, &proxy).with("deliver_ms = 100000", "deliver_ms = 500");
    let asked: BTreeSet<String> = (0..40).map(|n| n.to_string()).collect();
    for fault in [Fault::Answer(503), Fault::HoldAnswer] {
        proxy.inject_always(fault, MANIFESTS);
        let serving = site.serve();
        if matches!(fault, Fault::Answer(_)) {
            ask(&serving, &asked);
        }
        eventually("all is delivered", || serving.status().sink()["pending"] == 0);
        assert_eq!(serving.stop().code(), Some(0));
        proxy.clear();
    }
    let site = site.with("deliver_ms = 500", "deliver_ms = 100000");
    assert_eq!(site.serve().stop().code(), Some(0));
    assert_eq!(delivered(&server, &site).nonces(), asked);
}

#[test]
fn a_manifest_of_somebody_else_under_our_key_stays_and_ours_goes_aside() {
    let Some(server) = S3Server::start() else { return };
    let proxy = Proxy::start(server.address(), server.secret());
    let site = site(&server, &proxy);
    proxy.inject_always(Fault::Answer(403), MANIFESTS);
    let mut serving = site.serve();
    ask(&serving, &(0..40).map(|n| n.to_string()).collect());
    eventually("all is delivered", || serving.status().sink()["pending"] == 0);
    // A stop has to write it, and cannot yet.
    serving.signal("TERM");
    let key = || {
        let seen = proxy.seen();
        let path = puts(&seen, "_manifests").next().map(|s| s.path.clone())?;
        Some(path.split_once(PREFIX)?.1.trim_start_matches('/').to_owned())
    };
    eventually("it is tried", || key().is_some());
    let key = key().expect("it was tried");
    server.put(PREFIX, &key, b"{}");
    proxy.clear();
    assert_eq!(serving.wait().code(), Some(0));
    let keys = server.download(PREFIX, &site.path().join("objects"));
    let aside = keys.iter().filter(|k| k.starts_with("_conflict/") && k.ends_with(&key)).count();
    assert_eq!(aside, 1, "{keys:?}");
    let found = prove(&server, &hour_of(&key).expect("an hour"));
    let faults = found["faults"].as_array().expect("faults");
    assert!(faults.iter().any(|f| f["fault"] == "chain" && f["key"] == *key), "{found}");
}

//! Two of a spool and one store: one that was restored from an old copy, or a copy beside its
//! original. No row stands twice in silence, and none is lost.
//!
//! Where both have the same frames they group them in different ways, so no key of one is a key of
//! the other.

use crate::traffic::{PREFIX, ask_on, delivered, prove, settings, site, site_at};
use brink_tests::{
    appliance::eventually,
    audit::{Audit, hour_of},
    hdfs::HdfsCluster,
    http::Client,
    process::Serving,
    s3::{
        S3Server,
        proxy::{Fault, OBJECTS, Proxy},
    },
    site::Site,
};
use std::{collections::BTreeSet, fs};

/// Rows that wait when the copy is made.
const WAITING: usize = 100;

/// Rows that are asked for at once, so no frame has more.
const FRAME_MAX: usize = 20;

/// An appliance whose objects are never old, and full when there is more than what waited, whatever
/// the frames that it comes in.
fn patient(site: Site) -> Site {
    let rows = 2 * WAITING - FRAME_MAX;
    site.with("age_max_ms = 100\n", &format!("age_max_ms = 3600000\nrows_max = {rows}\n"))
}

/// Asks for as many as wait when the copy is made.
fn ask_by(client: &mut Client, name: &str) -> BTreeSet<String> {
    let asked: BTreeSet<String> = (0..WAITING).map(|n| format!("{name}-{n}")).collect();
    ask_on(client, &asked);
    asked
}

fn figure(serving: &Serving, name: &str) -> u64 {
    serving.status().sink()[name].as_u64().expect("a number")
}

/// An appliance with rows that wait, and a copy of its spool as it is then.
struct Pair {
    original: Serving,
    /// Of the original: one connection, so one stream.
    client: Client,
    /// Where the original is.
    at: Site,
    copy: Site,
    asked: BTreeSet<String>,
}

impl Pair {
    /// Makes both in sites of one store.
    fn new(site: &dyn Fn() -> Site) -> Pair {
        let at = patient(site());
        let original = at.serve();
        let mut client = original.connect();
        let asked = ask_by(&mut client, "first");
        original.freeze();
        let copy = site().with_spool_of(&at);
        original.signal("CONT");
        Pair { original, client, at, copy, asked }
    }

    /// The original goes on, until what had waited is in an object together with more.
    fn go_on(&mut self) {
        self.asked.extend(ask_by(&mut self.client, "more"));
        eventually("an object is full", || figure(&self.original, "delivered") > WAITING as u64);
    }
}

/// A spool goes on from an old copy of itself.
fn restore(site: &dyn Fn() -> Site, read: &dyn Fn(&Site) -> Audit) {
    let mut pair = Pair::new(site);
    pair.go_on();
    let Pair { original, copy, mut asked, .. } = pair;
    assert_eq!(original.stop().code(), Some(0));
    let restored = copy.serve();
    asked.extend(ask_by(&mut restored.connect(), "restored"));
    let all = 2 * WAITING as u64;
    eventually("all of it is behind the sink", || figure(&restored, "delivered") == all);
    assert_eq!(figure(&restored, "backlog"), WAITING as u64);
    assert!(restored.status().is_alarmed("store_ahead"));
    assert_eq!(restored.stop().code(), Some(0));
    let audit = read(&copy);
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();
}

#[test]
fn a_spool_that_was_restored_from_a_copy_is_noticed_and_no_row_stands_twice_in_a_store() {
    let Some(server) = S3Server::start() else { return };
    let settings = settings(&server, server.endpoint());
    restore(&|| site(&server, &settings), &|site| delivered(&server, site));
}

#[test]
fn so_it_is_in_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("file:{}", folder.path().display());
    restore(&|| site_at(&url, ""), &|_| Audit::read(folder.path()));
}

#[test]
fn so_it_is_in_hdfs() {
    let Some(cluster) = HdfsCluster::start() else { return };
    restore(&|| site_at(&cluster.url(PREFIX), ""), &|site| {
        cluster.download(PREFIX, &site.path().join("objects"));
        site.audit()
    });
}

#[test]
fn a_copy_that_starts_beside_its_original_is_noticed_and_no_row_stands_twice() {
    let Some(server) = S3Server::start() else { return };
    let settings = settings(&server, server.endpoint());
    let mut pair = Pair::new(&|| site(&server, &settings));
    pair.go_on();
    let Pair { original, mut client, at: _at, copy, mut asked } = pair;
    let copied = copy.serve();
    asked.extend(ask_by(&mut copied.connect(), "copied"));
    asked.extend(ask_by(&mut client, "later"));
    let all = 2 * WAITING as u64;
    eventually("all of it is behind the sink", || figure(&copied, "delivered") == all);
    assert!(copied.status().is_alarmed("store_ahead"));
    assert!(!original.status().is_alarmed("store_ahead"));
    assert_eq!(copied.stop().code(), Some(0));
    // The copy has ended the manifests of the start that the original goes on with.
    assert!(log_of(original).iter().any(|line| line.contains("something else has this key")));
    server.download(PREFIX, &copy.path().join("objects"));
    let audit = copy.audit();
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();
}

/// Stops it; what it has logged.
fn log_of(serving: Serving) -> Vec<String> {
    serving.signal("TERM");
    let (ended, log) = serving.wait_with_log();
    assert_eq!(ended.code(), Some(0));
    log
}

#[test]
fn rows_that_both_of_a_spool_deliver_at_once_are_alarmed_and_named() {
    let Some(server) = S3Server::start() else { return };
    let proxy = Proxy::start(server.address(), server.secret());
    let settings = |endpoint: &str| settings(&server, endpoint);
    let mut pair = Pair::new(&|| site(&server, &settings(server.endpoint())));
    // The copy has looked, and its object is on its way, when the original makes one.
    let copy = pair.copy.with(server.endpoint(), &proxy.endpoint());
    proxy.inject_always(Fault::HoldAnswer, OBJECTS);
    let copied = copy.serve();
    eventually("its object is on its way", || proxy.struck() > 0);
    pair.copy = copy;
    pair.go_on();
    proxy.clear();
    eventually("all of it is behind the sink", || figure(&copied, "delivered") == WAITING as u64);
    eventually("it is noticed", || copied.status().is_alarmed("store_ahead"));
    assert_eq!(copied.stop().code(), Some(0));
    assert!(log_of(pair.original).iter().any(|line| line.contains("something else has this key")));
    let keys = server.download(PREFIX, &pair.at.path().join("objects"));
    let hours: BTreeSet<String> = keys.iter().filter_map(|key| hour_of(key)).collect();
    let twice = |hour: &String| {
        let found = prove(&server, hour);
        found["faults"].as_array().expect("faults").iter().any(|f| f["fault"] == "twice")
    };
    assert!(hours.iter().any(twice));
}

/// Writes over both slots of a spool's cursor file.
fn lose_cursors(site: &Site) {
    let path = site.path().join("spool/cursors");
    let bytes = fs::metadata(&path).expect("a file").len() as usize;
    fs::write(&path, vec![0xAA; bytes]).expect("it can be written");
}

#[test]
fn what_the_store_has_is_not_delivered_again_when_the_cursors_are_lost() {
    let Some(server) = S3Server::start() else { return };
    let site = site(&server, &settings(&server, server.endpoint()));
    let mut asked = BTreeSet::new();
    let serving = site.serve();
    for more in ["first", "second", "third"] {
        asked.extend(ask_by(&mut serving.connect(), more));
        eventually("all is delivered", || figure(&serving, "pending") == 0);
    }
    serving.kill();
    lose_cursors(&site);
    let serving = site.serve();
    assert!(serving.status().is_alarmed("cursors_lost"));
    eventually("all is behind the sink", || figure(&serving, "pending") == 0);
    assert_eq!(figure(&serving, "backlog"), asked.len() as u64);
    assert!(serving.status().is_alarmed("store_ahead"));
    assert_eq!(serving.stop().code(), Some(0));
    server.download(PREFIX, &site.path().join("objects"));
    let audit = site.audit();
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();
}

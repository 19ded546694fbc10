//! Delivery into a real HDFS: the same promises, kept by a rename.

use crate::{
    publish_and_serve,
    traffic::{PREFIX, ask, site_at},
};
use brink_shipper::objects::store::{Condition, Put, Same, Store, StoreConfig, StorePlace};
use brink_tests::{
    appliance::eventually,
    asking::let_live,
    audit::Audit,
    hdfs::HdfsCluster,
    process::{self, Serving},
    sim::random::Random,
    site::Site,
};
use std::{collections::BTreeSet, time::Duration};

/// What the cluster has.
fn delivered(cluster: &HdfsCluster, site: &Site) -> Audit {
    cluster.download(PREFIX, &site.path().join("objects"));
    site.audit()
}

fn nonces(from: u64, count: u64) -> BTreeSet<String> {
    (from..from + count).map(|n| n.to_string()).collect()
}

/// How often it is killed.
const KILLS: u64 = 12;

/// The longest that one lives that is killed.
const LIFE_MS_MAX: u64 = 600;

/// Asks for pixels and kills, again and again; what was answered.
fn ask_and_kill(site: &Site, kills: u64) -> BTreeSet<String> {
    let random = Random::new(11);
    let mut asked = BTreeSet::new();
    for life in 0..kills {
        let serving = site.serve();
        // They are durable when they are answered.
        let more: BTreeSet<String> = (0..100).map(|n| format!("{life}-{n}")).collect();
        ask(&serving, &more);
        asked.extend(more);
        // When exactly it is killed is what is varied here: objects are made all the time.
        let_live(Duration::from_millis(random.within(0..LIFE_MS_MAX)));
        serving.kill();
    }
    asked
}

#[test]
fn no_kill_loses_a_row_or_puts_it_into_hdfs_twice() {
    let Some(cluster) = HdfsCluster::start() else { return };
    let site = site_at(&cluster.url(PREFIX), "")
        .with("quota_bytes = 67108864", "quota_bytes = 1073741824");
    // Somebody who may not write there waits, with an alarm, and what is his is delivered later.
    let stranger = [("HADOOP_USER_NAME", "stranger")];
    let serving = Serving::start_with(&site.config(), &stranger);
    let mut asked = nonces(0, 100);
    ask(&serving, &asked);
    eventually("the alarm", || serving.status().is_alarmed("store_refusing"));
    assert_eq!(serving.status().sink()["pending"], 100);
    serving.kill();

    asked.extend(ask_and_kill(&site, KILLS));
    assert_eq!(site.serve().stop().code(), Some(0));
    let audit = delivered(&cluster, &site);
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();
    check_hours(&site, &cluster.url(PREFIX), asked.len() as u64);
}

/// What `shipper audit` says of the hours that a site has delivered in.
fn check_hours(site: &Site, store: &str, rows: u64) {
    let mut found = 0;
    for hour in site.hours() {
        let output = process::shipper(&["audit", "--store", store, "--hour", &hour, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        found += told["rows"].as_u64().expect("a number");
    }
    assert_eq!(found, rows);
}

#[test]
fn a_name_node_that_does_not_answer_is_waited_for_and_so_is_one_that_is_not_there() {
    let Some(cluster) = HdfsCluster::start() else { return };
    let site = site_at(&cluster.url(PREFIX), "");
    let serving = site.serve();
    let mut asked = nonces(0, 100);
    ask(&serving, &asked);
    eventually("all is delivered", || serving.status().sink()["delivered"] == 100);
    assert!(!serving.status().is_alarmed("store_unconditional"));

    cluster.freeze(true);
    let more = nonces(100, 100);
    ask(&serving, &more);
    asked.extend(more);
    eventually("the alarm", || serving.status().is_alarmed("store_failing"));
    let status = serving.status();
    assert_eq!((status.sink()["delivered"].as_u64(), status.shed()), (Some(100), 0));
    assert_eq!(serving.connect().get("/ready").status, 200, "who asks is served");
    cluster.freeze(false);
    eventually("it goes on by itself", || serving.status().sink()["delivered"] == 200);
    eventually("the alarm is over", || !serving.status().is_alarmed("store_failing"));
    assert_eq!(serving.stop().code(), Some(0));
    let audit = delivered(&cluster, &site);
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();

    // Nobody listens there.
    let site = site_at("hdfs://127.0.0.1:1/edge", "");
    let serving = site.serve();
    ask(&serving, &nonces(0, 10));
    eventually("the alarm", || serving.status().is_alarmed("store_failing"));
    assert_eq!(serving.status().sink()["pending"], 10);
    serving.signal("KILL");
    let (_, log) = serving.wait_with_log();
    assert!(log.iter().any(|line| line.contains("refused")), "why is told: {log:?}");
}

/// Three blocks of the cluster's.
const BYTES: usize = 5 << 19;

#[test]
fn hdfs_is_a_store_as_any_other() {
    let Some(cluster) = HdfsCluster::start() else { return };
    let url = cluster.url("store");
    let place = StorePlace { url: &url, endpoint: None, region: "", credentials: None };
    let config = StoreConfig::read(place).expect("a url");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut store = Store::open(&config).unwrap();
        assert_eq!(store.probe("_probe/test").await.unwrap(), Condition::Honoured);
        // Of writers that come at once, one makes it, and all others are told whose it is. It has
        // several blocks.
        let key = "ds=t/dt=2026-11-23/hour=07/a.bin";
        let store = std::sync::Arc::new(store);
        let writers: Vec<_> = (0..4u8)
            .map(|n| {
                let (store, bytes) = (std::sync::Arc::clone(&store), vec![n; BYTES]);
                let create = async move { store.create(key, bytes.into(), Same::Bytes).await };
                tokio::spawn(async move { create.await.unwrap() })
            })
            .collect();
        let mut ends = Vec::new();
        for writer in writers {
            ends.push(writer.await.unwrap());
        }
        let made = ends.iter().position(|end| *end == Put::Created).expect("one has made it");
        assert_eq!(ends.iter().filter(|end| **end == Put::Conflict).count(), 3, "{ends:?}");
        let found = store.read(key, u64::MAX).await.unwrap().flatten().expect("it is there");
        assert!(found.len() == BYTES && found.iter().all(|b| *b == made as u8));
        assert_eq!(store.create(key, found, Same::Bytes).await.unwrap(), Put::WasOurs);
        // Losers leave nothing behind, and folders are seen as folders.
        assert!(store.folder("_tmp").await.unwrap().objects.is_empty());
        assert_eq!(store.folder("").await.unwrap().folders, ["_probe", "_tmp", "ds=t"]);
        assert_eq!(store.folder("nowhere").await.unwrap().folders, [""; 0]);
        assert_eq!(store.keys_below("ds=t", 10).await.unwrap(), [key]);
        assert_eq!(store.read("nothing", 1).await.unwrap(), None);
    });
    // The client keeps connections for the whole process, and nobody drives these any more.
    drop(runtime);
    let tables = cluster.url("tables");
    publish_and_serve(&["--store", &tables], &format!("url = \"{tables}\"\n"));
}

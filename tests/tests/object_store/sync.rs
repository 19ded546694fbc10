//! `shipper sync`: from a real HDFS to a real S3 server, with an end in the middle.

use crate::traffic::{PREFIX, ask, site_at};
use brink_tests::{
    appliance::eventually,
    hdfs::HdfsCluster,
    process,
    s3::{
        S3Server,
        proxy::{ALL, Fault, Proxy},
    },
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Rows of one object, and objects.
const ROWS: u64 = 50;
const OBJECTS: u64 = 60;

/// Objects that it copies at once.
const AT_ONCE: u64 = 8;

const MANIFEST: &str = "_manifests/ds=impressions/dt=2026-11-23/hour=07/test-9-0.json";

struct World {
    cluster: HdfsCluster,
    server: S3Server,
}

impl World {
    /// The command line, with an address of the server.
    fn line(&self, endpoint: &str, more: &[&str]) -> Vec<String> {
        let credentials = self.server.credentials().display().to_string();
        let (source, target) = (self.cluster.url(PREFIX), self.server.url(PREFIX));
        let line = ["sync", &source, &target, "--endpoint", endpoint, "--json"];
        let line = [&line[..], &["--credentials", &credentials], more].concat();
        line.into_iter().map(str::to_owned).collect()
    }

    /// What it finds, and its exit code.
    fn sync(&self, more: &[&str]) -> (Option<i32>, Value) {
        let line = self.line(self.server.endpoint(), more);
        let output = process::shipper(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = serde_json::from_slice(&output.stdout).unwrap_or(Value::String(errors));
        (output.status.code(), told)
    }

    /// What lies in the target and is no probe.
    fn target(&self, folder: &Path) -> Vec<String> {
        let mut keys = self.server.download(PREFIX, folder);
        keys.retain(|key| !key.starts_with("_probe/"));
        keys
    }
}

#[test]
fn what_is_missing_is_copied_and_proved_whenever_it_was_ended() {
    let Some(cluster) = HdfsCluster::start() else { return };
    let Some(server) = S3Server::start() else { return };
    let rolls = format!("age_max_ms = 60000\nrows_max = {ROWS}");
    let site = site_at(&cluster.url(PREFIX), "").with("age_max_ms = 100", &rolls);
    let serving = site.serve();
    let asked: BTreeSet<String> = (0..ROWS * OBJECTS).map(|n| n.to_string()).collect();
    ask(&serving, &asked);
    assert_eq!(serving.stop().code(), Some(0));
    cluster.put(PREFIX, MANIFEST, b"{}");
    let world = World { cluster, server };
    let folder = site.path().join("objects");

    // A look changes nothing.
    let (code, told) = world.sync(&["--dry-run"]);
    assert_eq!((code, &told["copied"]), (Some(1), &0.into()));
    let count = |kind: &str| told[kind].as_u64().expect("a number");
    let (objects, manifests) = (count("objects"), count("manifests"));
    assert!(objects >= OBJECTS / 2 && manifests >= 2, "the appliance's own, and ours: {told}");
    assert_eq!(told["missing"], objects + manifests);
    assert_eq!(world.target(&folder), [""; 0]);

    let before = killed_in_the_middle(&world, &folder);
    assert!(before.len() >= 5 && (before.len() as u64) < objects, "{before:?}");
    let (code, told) = world.sync(&[]);
    assert_eq!(code, Some(0), "{told}");
    let copied = told["copied"].as_u64().expect("a number");
    let all = objects + manifests;
    assert_eq!((&told["proved"], &told["rows"]), (&all.into(), &asked.len().into()));
    // What was on its way when it was killed may have come since.
    assert!(copied + AT_ONCE + before.len() as u64 > objects && copied < all, "{told}");
    // Independent of what the tool says: each row lies there, once.
    assert_eq!(world.target(&folder).len() as u64, all);
    let audit = site.audit();
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();

    // Again there is nothing to do, byte for byte.
    for more in [&[][..], &["--bytes"]] {
        let (code, told) = world.sync(more);
        assert_eq!((code, &told["copied"]), (Some(0), &0.into()), "{told}");
    }
    wounds(&world, &folder);
}

/// A run that is killed when some objects are there; what is there then.
fn killed_in_the_middle(world: &World, folder: &Path) -> Vec<String> {
    let proxy = Proxy::start(world.server.address(), world.server.secret());
    proxy.inject_always(Fault::Delay(Duration::from_millis(200)), ALL);
    let mut command = Command::new(process::binary("brink-shipper", "shipper"));
    command.args(world.line(&proxy.endpoint(), &[])).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = command.spawn().expect("shipper runs");
    let objects = || {
        let seen = proxy.seen();
        seen.iter().filter(|s| s.method == "PUT" && s.path.contains(".parquet")).count()
    };
    eventually("it is at work", || objects() >= 20);
    running.kill().expect("it runs");
    let _ = running.wait();
    world.target(folder)
}

/// What is wrong in the target is named, and stays as it is.
fn wounds(world: &World, folder: &Path) {
    let keys = world.target(folder);
    let objects: Vec<&String> = keys.iter().filter(|key| key.ends_with(".parquet")).collect();
    let whole = |key: &str| fs::read(folder.join(key)).expect("it was fetched");
    // Cut off; another object of ours; a byte in the middle, which only all of the bytes show.
    let (cut, other, flipped) = (objects[0], objects[1], objects[2]);
    let mut bytes = whole(flipped);
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    let wounds = [(cut, whole(cut)[..100].to_vec()), (other, whole(cut)), (flipped, bytes)];
    for (key, bytes) in &wounds {
        world.server.put(PREFIX, key, bytes);
    }
    world.server.put(PREFIX, MANIFEST, b"{ }");
    world.cluster.put(PREFIX, "ds=impressions/notes.txt", b"by hand");
    for (more, deep) in [(&[][..], 0), (&["--bytes"], 1)] {
        let (code, told) = world.sync(more);
        assert_eq!((code, &told["copied"]), (Some(1), &0.into()), "{told}");
        let faults = told["faults"].as_array().expect("faults");
        let named = |kind: &str, key: &str| {
            faults.iter().filter(|f| f["fault"] == kind && f["key"] == key).count()
        };
        assert_eq!(faults.len(), 4 + deep, "{told}");
        assert_eq!((named("differs", cut), named("differs", other)), (1, 1), "{told}");
        assert_eq!((named("differs", MANIFEST), named("differs", flipped)), (1, deep), "{told}");
        assert_eq!(named("foreign", "ds=impressions/notes.txt"), 1, "{told}");
    }
    world.target(folder);
    for (key, bytes) in &wounds {
        assert_eq!(&whole(key), bytes, "{key} stays as it is");
    }
    // What is asked for only.
    let (code, told) = world.sync(&["--hour", "2001-01-01T00"]);
    assert!(code == Some(2) && told.to_string().contains("no object"), "{told}");
    let (code, told) = world.sync(&["--topic", "lookups"]);
    assert!(code == Some(2), "{told}");
}

#[test]
fn what_makes_no_sense_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let here = format!("file:{}", dir.path().display());
    let nowhere = format!("{here}/nowhere");
    for (source, target, says) in [
        (&*here, &*here, "one place"),
        ("ftp://a/b", &here, "hdfs://NAMENODE:PORT/FOLDER"),
        (&nowhere, &here, "no folder"),
        (&here, "hdfs://127.0.0.1:1/a", "refused"),
        ("hdfs://nobody.has.configured.this/a", &here, "SOURCE"),
    ] {
        let output = process::shipper(&["sync", source, target]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(says), "{errors:?} does not say {says:?}");
    }
}

//! How tables come to the shards while they serve, and what is refused on the way.

use brink_proto::ids::hex;
use brink_shipper::{alarms::Alarm, downlink::manifest::TableManifest};
use brink_tests::{
    appliance::{Running, eventually, start, start_in},
    process,
    tables::{LISTENER, file, provider, publish, sections, table},
};
use edge::roles::Roles;
use std::{fs, path::Path};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn serve(dir: &Path, more: &str) -> Running {
    start(&provider(LISTENER, &sections(dir, more)))
}

fn await_version(running: &Running, version: u64) {
    eventually("the version is served", || running.board().tables.version.read() == version);
    assert_eq!(answer(running, "7"), format!("v{version}:750\n"));
}

fn answer(running: &Running, user: &str) -> String {
    let body = running.connect().get(&format!("/v1/segments/xandr?uid={user}")).body;
    String::from_utf8(body).unwrap()
}

/// Publishes a version that says which one it is.
fn publish_version(dir: &Path, version: u64) {
    publish(dir, version, &table(&["7"], &format!("v{version}")));
}

/// Changes the announcement.
fn announce(dir: &Path, change: impl FnOnce(&mut TableManifest)) {
    let path = dir.join("tables/current.json");
    let mut manifest = TableManifest::read(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, manifest.text()).unwrap();
}

#[test]
fn a_newer_table_is_served_as_soon_as_it_is_announced() {
    let dir = folder();
    publish_version(dir.path(), 1);
    let running = serve(dir.path(), "");
    for version in 1..=5 {
        publish_if_new(dir.path(), version);
        await_version(&running, version);
    }
    // All but the last two are gone, and no memory is left over.
    assert_eq!(running.board().tables.loaded.read(), 5);
    let kept = || fs::read_dir(dir.path().join("served")).unwrap().count();
    eventually("two are kept, with their manifests", || kept() == 4);
    let _ = running.stop();
}

fn publish_if_new(dir: &Path, version: u64) {
    if !dir.join(format!("{version}.table")).exists() {
        publish_version(dir, version);
    }
}

/// What is announced next, and what is wrong with it.
type Wrong = (&'static str, fn(&Path, &mut TableManifest));

#[test]
fn a_table_with_something_wrong_is_refused_and_the_old_one_is_served() {
    let wrongs: [Wrong; 6] = [
        ("shorter than announced", |_, manifest| manifest.bytes += 1),
        ("longer than announced", |_, manifest| manifest.bytes -= 1),
        ("another digest", |_, manifest| manifest.sha256 = "00".repeat(32)),
        ("too large", |_, manifest| manifest.bytes = 1 << 40),
        ("no table", |store, manifest| replace(store, manifest, b"no table at all".to_vec())),
        ("a broken table", |store, manifest| {
            let mut bytes = fs::read(store.join(&manifest.file)).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            replace(store, manifest, bytes);
        }),
    ];
    for (what, wrong) in wrongs {
        let dir = folder();
        publish_version(dir.path(), 1);
        let running = serve(dir.path(), "");
        await_version(&running, 1);
        // What is announced is wrong from the first moment on: it is made elsewhere.
        let elsewhere = folder();
        publish_version(elsewhere.path(), 2);
        announce(elsewhere.path(), |manifest| wrong(&elsewhere.path().join("tables"), manifest));
        for file in ["tables/tables/00000000000000000002.table", "tables/current.json"] {
            fs::copy(elsewhere.path().join(file), dir.path().join(file)).unwrap();
        }
        eventually(what, || running.board().tables.refused.read() > 0);
        assert!(running.board().alarms.state(Alarm::TableRefused).0, "{what}");
        assert_eq!(answer(&running, "7"), "v1:750\n", "{what}");
        // It is not tried again and again, and the next good one ends it.
        publish_version(dir.path(), 3);
        await_version(&running, 3);
        eventually("it is over", || !running.board().alarms.state(Alarm::TableRefused).0);
        assert_eq!(running.board().tables.refused.read(), 1, "{what}");
        let _ = running.stop();
    }
}

/// Puts something else in the place of a table, and announces that.
fn replace(store: &Path, manifest: &mut TableManifest, bytes: Vec<u8>) {
    use sha2::{Digest, Sha256};
    manifest.bytes = bytes.len() as u64;
    manifest.sha256 = hex(&Sha256::digest(&bytes));
    fs::write(store.join(&manifest.file), bytes).unwrap();
}

#[test]
fn what_is_announced_as_nonsense_is_told_and_changes_nothing() {
    let dir = folder();
    publish_version(dir.path(), 1);
    let running = serve(dir.path(), "");
    await_version(&running, 1);
    fs::write(dir.path().join("tables/current.json"), "{").unwrap();
    eventually("it is refused", || running.board().alarms.state(Alarm::TableRefused).0);
    assert_eq!(answer(&running, "7"), "v1:750\n");
    let _ = running.stop();
}

#[test]
fn an_older_table_is_taken_only_when_it_is_pinned() {
    let dir = folder();
    publish_version(dir.path(), 1);
    publish_version(dir.path(), 2);
    let running = serve(dir.path(), "");
    await_version(&running, 2);
    let first = dir.path().join("tables/manifests/00000000000000000001.json");
    fs::copy(&first, dir.path().join("tables/current.json")).unwrap();
    eventually("it is refused", || running.board().tables.refused.read() > 0);
    assert_eq!(answer(&running, "7"), "v2:750\n");
    let _ = running.stop();

    // Pinned, it is served, whatever is announced; and a pin that there is not is told.
    publish_version(dir.path(), 3);
    let pinned = serve(dir.path(), "pin = 1");
    await_version(&pinned, 1);
    let _ = pinned.stop();
    let missing = serve(dir.path(), "pin = 9");
    eventually("it is told", || missing.board().alarms.state(Alarm::TableRefused).0);
    assert_eq!(answer(&missing, "7"), "\n");
    let _ = missing.stop();
}

#[test]
fn a_start_without_the_store_serves_the_last_good_table() {
    let dir = folder();
    publish_version(dir.path(), 1);
    publish_version(dir.path(), 2);
    let running = serve(dir.path(), "");
    await_version(&running, 2);
    let (_, home) = running.stop();

    // The store is a file now: no folder can be listed in it, and none be made.
    fs::remove_dir_all(dir.path().join("tables")).unwrap();
    fs::create_dir(dir.path().join("tables")).unwrap();
    let text = sections(dir.path(), "");
    let away = start_in(home, &Roles::standard(), &provider(LISTENER, &text));
    await_version(&away, 2);
    eventually("it is ready", || away.connect().get("/ready").status == 200);
    let (_, home) = away.stop();

    // What lies on the disk is looked at like what comes from the store.
    let served = dir.path().join("served/00000000000000000002.table");
    let mut bytes = fs::read(&served).unwrap();
    bytes[4097] ^= 1;
    fs::write(&served, bytes).unwrap();
    let broken = start_in(home, &Roles::standard(), &provider(LISTENER, &text));
    eventually("it is refused", || broken.board().tables.refused.read() > 0);
    assert_eq!(answer(&broken, "7"), "\n");
    let _ = broken.stop();
}

#[test]
fn a_table_that_is_none_is_not_published() {
    let dir = folder();
    let good = table(&["7"], "a");
    let broken = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let version = {
        // A whole header of a later build: its checksum is right.
        let mut bytes = good.clone();
        bytes[8] = 9;
        bytes[12..16].fill(0);
        let crc = crc32c::crc32c(&bytes[..4096]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    let cases = [
        (broken(0), "magic"),
        (version, "version"),
        (good[..good.len() - 1].to_vec(), "bytes"),
        (broken(20), "checksum"),
        (broken(4096), "checksum"),
    ];
    for (at, (bytes, word)) in cases.into_iter().enumerate() {
        let path = file(dir.path(), at as u64, &bytes);
        let path = path.to_str().unwrap();
        let verb = ["table", "publish", "--table", path, "--store", "file:store"];
        let output = process::edge(&verb, dir.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{word}");
        assert!(said.contains(path) && said.contains(word), "{said:?} does not say {word:?}");
        assert!(!dir.path().join("store/current.json").exists(), "nothing is announced");
    }
}

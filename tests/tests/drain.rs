//! `shipper drain`: a dead box's volume, delivered from another machine, whatever comes between.

use brink_shipper::objects::readback;
use brink_tests::{
    appliance::Extra, asking::pixel, process, sim::random::Random, site::Site, volume::Volume,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

/// Rows of the dead box, in objects of at most so many.
const ROWS: usize = 3000;
const ROWS_OF_OBJECT: usize = 20;

/// A box that was killed with everything still in its spool, whose volume hangs on another machine
/// now. It had a second stream of an earlier start.
struct Dead {
    site: Site,
    spool: PathBuf,
    nonces: BTreeSet<String>,
    identity: Vec<u8>,
}

impl Dead {
    fn new(sections: &str) -> Dead {
        let listener = "ack = { \"/i.gif\" = \"durable\" }";
        let site = Site::new(&Extra { listener, sections, ..Extra::default() });
        let rows_max = format!("age_max_ms = 60000\nrows_max = {ROWS_OF_OBJECT}");
        let mut site = site.with("age_max_ms = 60000", "age_max_ms = 3600000");
        let mut nonces = BTreeSet::new();
        for life in 0..2 {
            let serving = site.serve();
            let mut client = serving.connect();
            for number in 0..ROWS / 2 {
                let nonce = format!("{life}-{number}");
                assert_eq!(client.get(&format!("/i.gif?n={nonce}")).status, 200);
                nonces.insert(nonce);
            }
            serving.kill();
        }
        site.change("age_max_ms = 3600000", &rows_max);
        let spool = site.path().join("spool");
        Dead::elsewhere(site, spool, nonces)
    }

    /// A killed box's spool, as it hangs on another machine.
    fn elsewhere(site: Site, spool: PathBuf, nonces: BTreeSet<String>) -> Dead {
        let path = spool.join("identity");
        let mut identity: Value =
            serde_json::from_slice(&fs::read(&path).expect("an identity")).expect("JSON");
        let machine = identity["machine"].as_object_mut().expect("hashes");
        machine.values_mut().for_each(|hash| *hash = json!("of the dead box"));
        machine.insert("machine_id".to_owned(), json!("of the dead box"));
        let identity = identity.to_string().into_bytes();
        fs::write(&path, &identity).expect("it can be written");
        Dead { site, spool, nonces, identity }
    }

    fn objects(&self) -> usize {
        readback::objects_below(&self.site.path().join("objects")).map_or(0, |all| all.len())
    }

    /// A drain under way.
    fn drain(&self, more: &[&str]) -> Child {
        let mut command = Command::new(process::binary("brink-shipper", "shipper"));
        command.arg("drain").arg("--spool").arg(&self.spool);
        command.arg("--config").arg(self.site.config()).arg("--json").args(more);
        command.current_dir(self.site.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("shipper runs")
    }

    /// A drain to its end: exit code, report, and what it said beside.
    fn drained(&self, more: &[&str]) -> (Option<i32>, Value, String) {
        outcome(&self.drain(more).wait_with_output().expect("it ends"))
    }

    /// What `shipper inspect` says of the spool.
    fn inspected(&self) -> Value {
        let arguments = ["inspect", "--json", "--spool", self.spool.to_str().expect("text")];
        serde_json::from_slice(&process::shipper(&arguments).stdout).expect("JSON")
    }

    /// Everything is there once, by the names of objects and by their rows; the spool is empty, and
    /// still the dead box's.
    fn conclude(self) {
        let audit = self.site.audit();
        assert_eq!(audit.nonces(), self.nonces);
        audit.check_dense();
        let mut rows = 0;
        for hour in hours(&self.site) {
            let store = format!("file:{}/objects", self.site.path().display());
            let arguments = ["audit", "--store", &store, "--hour", &hour, "--json"];
            let output = process::shipper(&arguments);
            let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(output.status.code(), Some(0), "{found}");
            rows += found["rows"].as_u64().expect("a number");
        }
        assert_eq!(rows, self.nonces.len() as u64);
        let seen = self.inspected();
        assert_eq!((&seen["segments"], &seen["free"]["count"]), (&json!([]), &json!(0)));
        assert_eq!(seen["sinks"]["objects"]["pending"], 0);
        assert_eq!(seen["identity"]["this_machine"], false);
        assert_eq!(fs::read(self.spool.join("identity")).unwrap(), self.identity);
    }
}

fn outcome(output: &Output) -> (Option<i32>, Value, String) {
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), report, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The hours of the objects, as `shipper audit` takes them.
fn hours(site: &Site) -> BTreeSet<String> {
    let partition = |path: &Path, up: usize| {
        let name = path.ancestors().nth(up).and_then(Path::file_name).expect("a folder");
        name.to_str().and_then(|n| n.split_once('=')).expect("a partition").1.to_owned()
    };
    let objects = readback::objects_below(&site.path().join("objects")).expect("objects");
    objects.iter().map(|o| format!("{}T{}", partition(o, 2), partition(o, 1))).collect()
}

/// How often the drain is killed.
const KILLS: usize = 8;

/// More objects than a life makes before it is killed.
const OBJECTS_OF_LIFE: u32 = 12;

#[test]
fn a_dead_box_is_drained_however_often_the_drain_is_killed_and_each_event_stands_once() {
    let dead = Dead::new("");
    let random = Random::new(11);
    let mut pending = vec![ROWS as u64];
    for _ in 0..KILLS {
        let before = dead.objects();
        let mut child = dead.drain(&[]);
        let more = random.within(0..OBJECTS_OF_LIFE.into()) as usize;
        while dead.objects() < before + more && child.try_wait().expect("a child").is_none() {
            thread::park_timeout(Duration::from_millis(1));
        }
        thread::park_timeout(Duration::from_micros(random.within(0..20_000)));
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        let left = dead.inspected()["sinks"]["objects"]["pending"].as_u64();
        pending.push(left.unwrap_or(ROWS as u64));
    }
    assert!(pending.is_sorted_by(|a, b| a >= b), "{pending:?}");
    assert!(pending[KILLS] > 0, "it was killed before the end: {pending:?}");
    let (code, report, said) = dead.drained(&[]);
    assert_eq!(code, Some(0), "{report} {said}");
    let sink = &report["sinks"][0];
    assert_eq!((&sink["name"], &sink["backlog"]), (&json!("objects"), &json!(pending[KILLS])));
    assert_eq!((&sink["delivered"], &report["alarms"]), (&sink["backlog"], &json!([])));
    // And once more there is nothing to do.
    let (code, report, _) = dead.drained(&[]);
    assert_eq!((code, &report["sinks"][0]["backlog"]), (Some(0), &json!(0)));
    dead.conclude();
}

#[test]
fn a_drain_that_is_interrupted_says_so_and_goes_on_later() {
    let dead = Dead::new("");
    let mut child = dead.drain(&[]);
    while dead.objects() < 3 {
        assert!(child.try_wait().expect("a child").is_none(), "it ends too soon");
        thread::park_timeout(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let (code, report, said) = outcome(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, &report["stopped"]), (Some(3), &json!(true)), "{report} {said}");
    let (code, report, said) = dead.drained(&[]);
    assert_eq!((code, &report["stopped"]), (Some(0), &json!(false)), "{report} {said}");
    dead.conclude();
}

#[test]
fn what_cannot_be_drained_is_told_with_its_remedy_and_left_as_it_is() {
    // A box that delivered to Kafka as well.
    let kafka = "[kafka]\nbrokers = [\"127.0.0.1:1\"]\n";
    let mut dead = Dead::new(kafka);
    let refused = |dead: &Dead, more: &[&str]| {
        let before = dead.inspected();
        let (code, report, said) = dead.drained(more);
        assert_eq!((code, report), (Some(2), Value::Null), "{said}");
        let after = dead.inspected();
        assert_eq!((&before["segments"], &before["sinks"]), (&after["segments"], &after["sinks"]));
        said
    };
    assert!(refused(&dead, &["--without", "kafka"]).contains("has a section for it"));
    dead.site.change(kafka, "");
    assert!(refused(&dead, &[]).contains("or give up what waits for it with --without kafka"));

    // In use, by the box that it came back to.
    let identity = dead.site.path().join("spool/identity");
    assert_eq!(dead.site.edge(&["identity", "adopt"]).status.code(), Some(0));
    let serving = dead.site.serve();
    let said = dead.drained(&["--without", "kafka"]).2;
    assert!(said.contains(&format!("is in use by pid {}", serving.id())), "{said}");
    serving.kill();
    fs::write(&identity, &dead.identity).expect("it can be written");

    // No spool, and a newer one.
    let folder = tempfile::tempdir().expect("a folder");
    let config = dead.site.config();
    let drain = || {
        let (spool, config) = (folder.path().to_str(), config.to_str());
        let paths = (spool.expect("text"), config.expect("text"));
        let output = process::shipper(&["drain", "--spool", paths.0, "--config", paths.1]);
        assert_eq!(output.status.code(), Some(2));
        let files = fs::read_dir(folder.path()).expect("a folder").count();
        (String::from_utf8_lossy(&output.stderr).into_owned(), files)
    };
    let (said, files) = drain();
    assert!(said.contains("there is no spool in") && files == 0, "{said}");
    let newer = r#"{"format": 9, "edge": "e", "incarnation": 1, "machine": {}}"#;
    fs::write(folder.path().join("identity"), newer).expect("the folder takes a file");
    let (said, files) = drain();
    assert!(said.contains("has format 9 and this build knows 2") && files == 1, "{said}");

    // And with the right word all of it goes.
    assert_eq!(dead.drained(&["--without", "kafka"]).0, Some(0));
    dead.conclude();
}

/// Segments in a folder of a spool.
fn segments(folder: &Path) -> usize {
    fs::read_dir(folder.join("segments")).map_or(0, |entries| entries.count())
}

#[test]
fn a_dead_box_with_two_disks_is_drained_from_where_they_are_now() {
    let volume = Volume::mount(96);
    let spool = volume.path().join("spool");
    let listener = "ack = { \"/i.gif\" = \"durable\" }";
    let site = Site::new(&Extra { listener, ..Extra::default() }).with_spool_at(&spool);
    let second = site.path().join("second");
    let first = format!("path = \"{}\"", spool.display());
    let site = site
        .with(&first, &format!("{first}\nsecond_path = \"{}\"", second.display()))
        .with("age_max_ms = 60000", "age_max_ms = 3600000")
        .with("segment_bytes = 4194304", "segment_bytes = 524288");
    let serving = site.serve();
    let (mut client, random) = (serving.connect(), Random::new(5));
    let mut nonces = BTreeSet::new();
    let mut ask = || {
        let some: Vec<String> = (0..20).map(|_| random.letters(8000)).collect();
        client.send(some.iter().map(|nonce| pixel(nonce)).collect::<String>());
        assert!(some.iter().all(|_| client.response().status == 200));
        nonces.extend(some);
    };
    while segments(&spool) < 2 {
        ask();
    }
    let filler = volume.fill();
    while segments(&second) < 2 {
        ask();
    }
    serving.kill();
    fs::remove_file(filler).expect("it is there");

    // The second disk hangs somewhere else than on the dead box.
    let now = site.path().join("now");
    fs::rename(&second, &now).expect("a folder");
    let dead = Dead::elsewhere(site, spool, nonces);
    let (code, report, said) = dead.drained(&[]);
    assert_eq!((code, report), (Some(2), Value::Null), "{said}");
    assert!(said.contains("is its disk mounted?") && said.contains("--second"), "{said}");
    let (code, report, said) = dead.drained(&["--second", now.to_str().expect("text")]);
    assert_eq!(code, Some(0), "{report} {said}");
    let rows = dead.nonces.len();
    assert_eq!(report["sinks"][0]["delivered"], rows, "{report}");
    assert_eq!((segments(&dead.spool), segments(&now)), (0, 0), "nothing is left on either");
    fs::rename(&now, &second).expect("a folder");
    dead.conclude();
    drop(volume);
}

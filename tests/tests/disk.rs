//! Disks that are full, and disks that return other bytes than they took.

use brink_proto::frame::{FRAME_ALIGN, FrameHeader, HEADER_BYTES, LogPosition};
use brink_proto::ids::Sequence;
use brink_shipper::{spool::segment, steps};
use brink_tests::{
    appliance::{Extra, eventually},
    audit::hours,
    process::{self, Serving},
    sim::random::Random,
    site::Site,
    status::Status,
    volume::Volume,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
};

/// Clients that ask for pixels with long queries that hardly compress, so that disks fill soon.
struct Traffic {
    random: Random,
    nonces: BTreeSet<String>,
}

/// One client is not enough, for there may be several shards.
const CLIENTS: usize = 16;

/// Requests of one round: as many as fill a few batches.
const ROUND: usize = 10 * CLIENTS;

impl Traffic {
    fn new() -> Traffic {
        Traffic { random: Random::new(7), nonces: BTreeSet::new() }
    }

    /// Asks and is answered, [`ROUND`] times: each client at once, again and again.
    fn ask(&mut self, serving: &Serving) {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| serving.connect()).collect();
        for _ in 0..ROUND / CLIENTS {
            for client in &mut clients {
                let nonce = self.nonces.len().to_string();
                let query = format!("n={nonce}&p={}", self.random.letters(4000));
                client.send(format!("GET /i.gif?{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
                self.nonces.insert(nonce);
            }
            for client in &mut clients {
                assert_eq!(client.response().status, 200);
            }
        }
    }

    /// Asks until `/status` is as it should be.
    fn ask_until(&mut self, serving: &Serving, what: &str, so: impl Fn(&Status) -> bool) {
        // BOUND: more than any disk or quota here takes.
        for _ in 0..500 {
            self.ask(serving);
            if so(&serving.status()) {
                return;
            }
        }
        panic!("{what}: not after {} requests: {}", self.nonces.len(), *serving.status());
    }

    /// Holds what was delivered at the end against what was asked.
    fn conclude(self, serving: Serving, site: &Site) {
        let status = serving.status();
        let shed = status.shed();
        assert_eq!(status.events("offered"), self.nonces.len() as u64);
        assert_eq!(serving.stop().code(), Some(0));
        let audit = site.audit();
        assert!(audit.nonces().is_subset(&self.nonces));
        assert_eq!(audit.rows() + shed, self.nonces.len() as u64);
        // What is shed leaves no hole.
        audit.check_dense();
    }
}

#[test]
fn a_full_disk_sheds_by_class_serves_on_and_recovers() {
    let volume = Volume::mount(96);
    let site = Site::new(&Extra::default())
        .with_spool_at(&volume.path().join("spool"))
        .with("quota_bytes = 67108864", "quota_bytes = 1073741824");
    let serving = site.serve();
    let mut traffic = Traffic::new();
    traffic.ask(&serving);
    eventually("the first are accepted", || serving.status().events("accepted") == ROUND as u64);
    let filler = volume.fill();
    traffic.ask_until(&serving, "the alarm", |status| status.is_alarmed("spool_full"));
    traffic.ask_until(&serving, "events are shed", |status| status.shed() > 0);
    // Whoever asks is served, and told that the appliance is there.
    let (accepted, before) = (serving.status().events("accepted"), serving.status().shed());
    traffic.ask(&serving);
    let status = serving.status();
    assert_eq!(status.events("accepted"), accepted, "the disk takes nothing");
    assert_eq!(status.shed(), before + ROUND as u64, "and neither does the tap");
    assert_eq!(serving.connect().get("/ready").status, 200);
    assert!(status["spool"]["write_errors"].as_u64() > Some(0));
    assert_eq!(status["ledger_faults"], json!([]));
    let reasons = &status["ledger"]["streams"][0]["shed"];
    assert!(reasons["spool_full"].as_u64() > Some(0), "{reasons}");

    fs::remove_file(filler).unwrap();
    eventually("the alarm is over", || !serving.status().is_alarmed("spool_full"));
    eventually("all that has a sequence is accepted", || {
        let status = serving.status();
        status.events("emitted") == status.events("accepted")
    });
    let before = serving.status().shed();
    traffic.ask(&serving);
    assert_eq!(serving.status().shed(), before, "nothing is shed any more");
    traffic.conclude(serving, &site);
    drop(volume);
}

#[test]
fn a_full_first_disk_is_gone_on_from_on_the_second_and_both_are_read() {
    let volume = Volume::mount(96);
    let spool = volume.path().join("spool");
    let site = Site::new(&Extra::default()).with_spool_at(&spool);
    let second = site.path().join("second");
    let named = format!("path = {:?}\nsecond_path = {:?}", spool.display(), second.display());
    let mut site = site
        .with("quota_bytes = 67108864", "quota_bytes = 1073741824")
        .with(&format!("path = \"{}\"", spool.display()), &named);
    let serving = site.serve();
    let mut traffic = Traffic::new();
    traffic.ask(&serving);
    let filler = volume.fill();
    let on_second = || fs::read_dir(second.join("segments")).map_or(0, |entries| entries.count());
    traffic.ask_until(&serving, "the second one is used", |_| on_second() >= 2);
    assert_eq!(serving.status().shed(), 0, "nothing is shed");
    let asked = traffic.nonces.len() as u64;
    eventually("all is accepted", || serving.status().events("accepted") == asked);
    serving.kill();
    let spool = spool.to_str().expect("text");
    let verified = process::shipper(&["verify", "--spool", spool]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    // A start writes its number down. Without the second folder, what lies there would be out of
    // sight.
    fs::remove_file(filler).expect("it is there");
    site.change(&format!("\nsecond_path = {:?}", second.display()), "");
    let refused = site.edge(&["serve"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(8) && text.contains("not configured any more"), "{text}");
    site.change(&format!("path = {spool:?}"), &named);
    let serving = site.serve();
    assert_eq!(serving.status().sink()["backlog"], asked);
    assert_eq!(serving.stop().code(), Some(0));
    let audit = site.audit();
    assert_eq!(audit.nonces(), traffic.nonces);
    audit.check_dense();
    drop(volume);
}

#[test]
fn a_quota_that_is_reached_is_as_a_full_disk() {
    let site = Site::new(&Extra::default()).with("age_max_ms = 60000", "age_max_ms = 100");
    // A file stands where the store would make a folder: nothing can be delivered.
    fs::create_dir(site.path().join("objects")).unwrap();
    let blocked = site.path().join("objects/ds=impressions");
    fs::write(&blocked, "in the way").unwrap();
    let serving = site.serve();
    let mut traffic = Traffic::new();
    traffic.ask_until(&serving, "events are shed", |status| status.shed() > 0);
    traffic.ask_until(&serving, "the alarm", |status| status.is_alarmed("spool_full"));
    traffic.ask(&serving);
    let status = serving.status();
    let bytes = |key: &str| status["spool"][key].as_u64().unwrap();
    assert!(bytes("file_bytes") <= bytes("quota_bytes"), "the quota is kept");
    let remedy = status["alarms"].as_array().unwrap().iter().find(|a| a["alarm"] == "spool_full");
    assert!(remedy.unwrap()["remedy"].as_str().unwrap().contains("quota_bytes"));
    eventually("the store's fault is an alarm", || {
        let status = serving.status();
        status.is_alarmed("store_failing") || status.is_alarmed("store_refusing")
    });

    fs::remove_file(blocked).unwrap();
    eventually("the alarms are over", || serving.status()["alarms"] == json!([]));
    let before = serving.status().shed();
    traffic.ask(&serving);
    assert_eq!(serving.status().shed(), before, "nothing is shed any more");
    traffic.conclude(serving, &site);
}

/// Frames of the log that the tests below damage; each has one row, whose nonce is its sequence.
const FRAMES: usize = 10;

/// The one that is damaged.
const DAMAGED: usize = 4;

/// The log that a killed appliance has left: all accepted, nothing delivered.
struct Left {
    site: Site,
    log: PathBuf,
    bytes: Vec<u8>,
    frames: Vec<FrameHeader>,
}

impl Left {
    fn new() -> Left {
        let extra = Extra { listener: "ack = { \"/i.gif\" = \"durable\" }", ..Extra::default() };
        let site = Site::new(&extra);
        let serving = site.serve();
        // One after the other on one connection, each waits for its own commit.
        let mut client = serving.connect();
        for nonce in 0..FRAMES {
            assert_eq!(client.get(&format!("/i.gif?n={nonce}")).status, 200);
        }
        serving.kill();
        // What starts next delivers soon.
        let site = site.with("age_max_ms = 60000", "age_max_ms = 100");
        let log = site.path().join("spool").join(segment::file_name(1));
        let bytes = fs::read(&log).unwrap();
        let places = (segment::FRAMES_FROM as usize..bytes.len()).step_by(FRAME_ALIGN);
        let frames: Vec<_> =
            places.filter_map(|at| FrameHeader::decode(&bytes[at..]).ok()).collect();
        assert_eq!(frames.len(), FRAMES);
        assert!(frames.iter().all(|f| f.batch.count == 1));
        Left { site, log, bytes, frames }
    }

    /// Where a frame lies.
    fn place(&self, frame: usize) -> Range<usize> {
        let at = self.frames[frame].position.offset() as usize;
        at..at + self.frames[frame].frame_bytes()
    }

    /// Where the log ends.
    fn end(&self) -> usize {
        self.place(FRAMES - 1).end
    }

    /// Writes the log as it was changed, starts, and waits until nothing is pending.
    fn start(&self) -> (Serving, Status) {
        fs::write(&self.log, &self.bytes).unwrap();
        let serving = self.site.serve();
        eventually("the backlog is done with", || serving.status().sink()["pending"] == 0);
        let status = serving.status();
        (serving, status)
    }

    /// Stops, and says which nonces and which sequences are missing.
    fn conclude(&self, serving: Serving) -> (BTreeSet<String>, Vec<i64>) {
        assert_eq!(serving.connect().get("/i.gif?n=after").status, 200);
        assert_eq!(serving.stop().code(), Some(0));
        let audit = self.site.audit();
        let mut all: BTreeSet<String> = (0..FRAMES).map(|n| n.to_string()).collect();
        all.insert("after".to_owned());
        let rows = audit.nonces();
        assert!(rows.is_subset(&all));
        (all.difference(&rows).cloned().collect(), audit.holes())
    }
}

/// What `shipper audit` finds lost, with the reason that a manifest gives; it finds nothing else.
fn lost(site: &Site) -> Vec<(u64, String)> {
    let objects = site.path().join("objects");
    let store = format!("file:{}", objects.display());
    let faults = |hour: &String| {
        let output = process::shipper(&[
            "audit", "--store", &store, "--hour", hour, "--back", "1", "--json",
        ]);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        found["faults"].as_array().expect("faults").clone()
    };
    let told = |fault: Value| {
        assert_eq!(fault["fault"], "lost", "{fault}");
        let number = |key: &str| fault[key].as_u64().expect("a number");
        assert_eq!(number("from") + 1, number("to"), "{fault}");
        (number("from"), fault["reason"].as_str().expect("a reason").to_owned())
    };
    hours(&objects).iter().flat_map(faults).map(told).collect()
}

/// The copies in the quarantine folder, by name.
fn quarantined(site: &Site) -> Vec<(String, Vec<u8>)> {
    let folder = fs::read_dir(site.path().join("spool/quarantine")).unwrap();
    let file = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.to_owned(), fs::read(path).unwrap())
    };
    folder.map(|entry| file(&entry.unwrap().path())).collect()
}

#[test]
fn a_corrupt_payload_is_quarantined_and_the_frames_around_it_are_delivered() {
    let mut left = Left::new();
    let place = left.place(DAMAGED);
    left.bytes[place.start + HEADER_BYTES + 5] ^= 0x40;
    let (serving, status) = left.start();
    let sink = status.sink();
    assert_eq!(sink["backlog"], FRAMES);
    assert_eq!(sink["delivered"], FRAMES - 1);
    assert_eq!(sink["quarantined"], json!({ "corrupt": 1, "missing": 0, "refused": 0 }));
    assert_eq!(status["ledger_faults"], json!([]));
    assert!(status.is_alarmed("corrupt_frame") && !status.is_alarmed("sequence_gap"));
    assert_eq!(status["spool"]["corrupt_ranges"], 1);
    let copy = (format!("0000000001-{:010}.bytes", place.start), left.bytes[place].to_vec());
    assert_eq!(quarantined(&left.site), [copy]);
    let (missing, holes) = left.conclude(serving);
    assert_eq!(missing, [DAMAGED.to_string()].into());
    assert_eq!(holes, [DAMAGED as i64]);
    assert_eq!(lost(&left.site), [(DAMAGED as u64, "corrupt".to_owned())]);
}

#[test]
fn a_corrupt_header_is_quarantined_and_its_events_are_known_to_be_missing() {
    let mut left = Left::new();
    let place = left.place(DAMAGED);
    left.bytes[place.start + 80] ^= 1;
    let (serving, status) = left.start();
    let sink = status.sink();
    assert_eq!(sink["delivered"], FRAMES - 1);
    assert_eq!(sink["quarantined"], json!({ "corrupt": 0, "missing": 1, "refused": 0 }));
    assert_eq!(status["ledger_faults"], json!([]));
    assert!(status.is_alarmed("corrupt_frame") && status.is_alarmed("sequence_gap"));
    let copy = (format!("0000000001-{:010}.bytes", place.start), left.bytes[place].to_vec());
    assert_eq!(quarantined(&left.site), [copy]);
    let (missing, holes) = left.conclude(serving);
    assert_eq!(missing, [DAMAGED.to_string()].into());
    assert_eq!(holes, [DAMAGED as i64]);
    assert_eq!(lost(&left.site), [(DAMAGED as u64, "missing".to_owned())]);
}

#[test]
fn what_is_in_an_object_is_not_lost_with_its_frame_and_is_in_no_other_one() {
    // In the middle, and the first of a stream of which nothing else is known.
    for damaged in [DAMAGED, 0] {
        let mut left = Left::new();
        let die = (steps::VARIABLE, "object_answered:1");
        let mut dying = Serving::launch_with(&left.site.config(), &[die]);
        assert_eq!(dying.wait().signal(), Some(Signal::KILL.as_raw()));
        assert_eq!(left.site.audit().nonces().len(), FRAMES, "the object is there");

        left.bytes = fs::read(&left.log).unwrap();
        let place = left.place(damaged);
        left.bytes[place.start + 80] ^= 1;
        let (serving, status) = left.start();
        let sink = status.sink();
        assert_eq!(sink["delivered"], FRAMES, "frame {damaged}");
        assert_eq!(sink["quarantined"], json!({ "corrupt": 0, "missing": 0, "refused": 0 }));
        assert_eq!(status["ledger_faults"], json!([]));
        assert!(status.is_alarmed("corrupt_frame") && !status.is_alarmed("sequence_gap"));
        let (missing, holes) = left.conclude(serving);
        assert_eq!((missing.len(), holes.len()), (0, 0), "frame {damaged}");
        assert_eq!(lost(&left.site), []);
    }
}

#[test]
fn what_was_being_written_when_the_end_came_is_no_corruption() {
    let garbage = |left: &mut Left| {
        let random = Random::new(3);
        let end = left.end();
        left.bytes[end..end + 3 * FRAME_ALIGN].fill_with(|| random.any() as u8);
    };
    let header_without_payload = |left: &mut Left| {
        let (end, mut frame) = (left.end(), left.frames[FRAMES - 1]);
        frame.batch.first_sequence = Sequence(FRAMES as u64);
        frame.position = LogPosition::new(1, end as u32);
        frame.commit_position = frame.position;
        left.bytes[end..end + HEADER_BYTES].copy_from_slice(&frame.encode());
    };
    for damage in [garbage as fn(&mut Left), header_without_payload] {
        let mut left = Left::new();
        damage(&mut left);
        let (serving, status) = left.start();
        let sink = status.sink();
        assert_eq!((&sink["backlog"], &sink["delivered"]), (&json!(FRAMES), &json!(FRAMES)));
        assert_eq!(sink["quarantined"], json!({ "corrupt": 0, "missing": 0, "refused": 0 }));
        assert_eq!(status["alarms"], json!([]));
        assert_eq!(status["spool"]["corrupt_ranges"], 0);
        assert_eq!(quarantined(&left.site), []);
        assert_eq!(left.conclude(serving), (BTreeSet::new(), Vec::new()));
    }
}

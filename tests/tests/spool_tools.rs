//! `shipper inspect` and `shipper verify` on spools of real appliances: beside one that serves, and
//! on what one has left behind, sound and damaged.

use brink_proto::frame::{FRAME_ALIGN, FrameHeader, HEADER_BYTES, LogPosition};
use brink_shipper::spool::{cursors, segment};
use brink_tests::{
    appliance::{Extra, eventually},
    http::Client,
    process::{self, Serving},
    sim::random::Random,
    site::{Site, copy},
    volume::Volume,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use tempfile::TempDir;

/// Every answer is durable, and objects are made all the time, so that segments are recycled.
fn site() -> Site {
    let listener = "ack = { \"/i.gif\" = \"durable\" }";
    let site = Site::new(&Extra { listener, ..Extra::default() });
    site.with("age_max_ms = 60000", "age_max_ms = 100")
}

/// Letters of a request that hardly compress, so that segments fill soon.
const NOISE: usize = 4000;

/// Asks for pixels until it is told to stop; the nonces of those that were answered.
fn ask(mut client: Client, name: u64, stop: &AtomicBool) -> BTreeSet<String> {
    let random = Random::new(name);
    let mut answered = BTreeSet::new();
    // ORDER: Relaxed, a flag that stands for itself.
    while !stop.load(Ordering::Relaxed) {
        let nonce = format!("{name}-{}", answered.len());
        let answer = client.get(&format!("/i.gif?n={nonce}&p={}", random.letters(NOISE)));
        assert_eq!(answer.status, 200);
        answered.insert(nonce);
    }
    answered
}

/// What a verb says of a spool as JSON, and how it ends.
fn look(verb: &str, spool: &Path) -> (Option<i32>, Value) {
    let output = process::shipper(&[verb, "--spool", spool.to_str().expect("text"), "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let seen = serde_json::from_slice(&output.stdout);
    (output.status.code(), seen.unwrap_or(Value::String(errors)))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number from 0"))
}

/// How many looks are taken at an appliance that serves.
const LOOKS: usize = 30;

/// Holds one look against what the appliance said before and after it.
fn check_beside(serving: &Serving, spool: &Path, verb: &str) -> u64 {
    let before = serving.status();
    let (code, seen) = look(verb, spool);
    let after = serving.status();
    assert_eq!(code, Some(0), "{verb}: {seen}");
    assert_eq!(seen["faults"], json!([]), "{verb}");
    assert_eq!(seen["lock"]["held_by"], serving.id(), "{verb}");
    assert_eq!(seen["identity"]["incarnation"], before["incarnation"]);
    // What was accepted is in the log, or was delivered from it and let go.
    let mut reached: BTreeMap<&str, u64> = BTreeMap::new();
    let of_log = seen["streams"].as_array().expect("streams").iter().map(|s| (s, &s["end"]));
    let of_sink = seen["sinks"]["objects"]["streams"].as_array().into_iter().flatten();
    for (stream, to) in of_log.chain(of_sink.map(|s| (s, &s["delivered"]))) {
        let reached = reached.entry(stream["stream"].as_str().expect("text")).or_default();
        *reached = (*reached).max(to.as_u64().unwrap_or(0));
    }
    let reached: u64 = reached.values().sum();
    let (accepted, emitted) = (before.events("accepted"), after.events("emitted"));
    assert!((accepted..=emitted).contains(&reached), "{verb}: {accepted} to {emitted}: {seen}");
    for stream in seen["streams"].as_array().expect("streams") {
        let range = number(&stream["end"]) - number(&stream["first"]);
        // Segments go from between two others as well, when all of them was delivered.
        assert!(number(&stream["events"]) <= range, "{verb}: {stream}");
    }
    number(&seen["released"])
}

#[test]
fn a_serving_appliance_can_be_looked_at_and_notices_nothing() {
    let site = site();
    let spool = site.path().join("spool");
    let serving = site.serve();
    let stop = AtomicBool::new(false);
    let mut answered = BTreeSet::new();
    thread::scope(|scope| {
        let (stop, serving) = (&stop, &serving);
        let askers = (0..4).map(|name| {
            let client = serving.connect();
            scope.spawn(move || ask(client, name, stop))
        });
        let askers: Vec<_> = askers.collect();
        eventually("a segment was sealed", || newest(&spool) >= 2);
        let mut released = 0;
        for number in 0..LOOKS {
            released += check_beside(serving, &spool, ["inspect", "verify"][number % 2]);
        }
        let recycled = newest(&spool);
        // ORDER: Relaxed, a flag that stands for itself.
        stop.store(true, Ordering::Relaxed);
        let of_askers = askers.into_iter().map(|asker| asker.join().expect("it is answered"));
        answered = of_askers.flatten().collect();
        println!("{LOOKS} looks at {recycled} segments, {released} let go under them");
    });
    let status = serving.status();
    assert_eq!((&status["alarms"], &status["ledger_faults"]), (&json!([]), &json!([])));
    assert_eq!(status.shed(), 0);
    assert_eq!(serving.stop().code(), Some(0));
    let audit = site.audit();
    assert_eq!(audit.nonces(), answered);
    audit.check_dense();

    let (code, seen) = look("verify", &spool);
    assert_eq!((code, number(&seen["sinks"]["objects"]["pending"])), (Some(0), 0), "{seen}");
    assert_eq!(seen["lock"]["held_by"], Value::Null);
}

/// The highest generation of a spool's segments.
fn newest(spool: &Path) -> u32 {
    let entries = fs::read_dir(spool.join("segments")).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| segment::generation_of(&name, ".seg")).max().unwrap_or(0)
}

/// At how many places the tail is cut.
const CUTS: usize = 16;

/// What a killed appliance left: nothing was delivered, and several segments are full.
struct Left {
    site: Site,
    /// Rows that were answered, and with it durable.
    rows: u64,
}

impl Left {
    fn new() -> Left {
        let site = site();
        // A file where objects need a folder: nothing can be delivered, however long it takes.
        fs::create_dir(site.path().join("objects")).expect("a folder");
        fs::write(site.path().join("objects/ds=impressions"), "").expect("a file");
        let serving = site.serve();
        let mut clients: Vec<_> = (0..16).map(|_| serving.connect()).collect();
        let random = Random::new(3);
        let mut rows = 0;
        while newest(&site.path().join("spool")) < 3 {
            for client in &mut clients {
                client.send(format!(
                    "GET /i.gif?n={rows}&p={} HTTP/1.1\r\nHost: a\r\n\r\n",
                    random.letters(NOISE)
                ));
                rows += 1;
            }
            for client in &mut clients {
                assert_eq!(client.response().status, 200);
            }
        }
        let seals =
            || look("inspect", &site.path().join("spool")).1["sinks"]["objects"]["seals"].clone();
        eventually("an object was decided on", || {
            seals().as_array().is_some_and(|seals| !seals.is_empty())
        });
        serving.kill();
        Left { site, rows }
    }

    fn spool(&self) -> PathBuf {
        self.site.path().join("spool")
    }

    /// A copy in a folder of its own.
    fn copy(&self) -> TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        copy(&self.spool(), dir.path());
        dir
    }
}

/// All files below a folder with what is in them, and when they were written.
fn contents(folder: &Path) -> Vec<(PathBuf, std::time::SystemTime, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            let modified = fs::metadata(&path).and_then(|m| m.modified()).expect("a time");
            all.push((path.clone(), modified, fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

/// The frames of a segment file.
fn frames(path: &Path) -> Vec<FrameHeader> {
    let bytes = fs::read(path).expect("a segment");
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let generation = segment::generation_of(name, ".seg").expect("a segment");
    let places = (FRAME_ALIGN..bytes.len()).step_by(FRAME_ALIGN);
    let frame = |at: usize| {
        let frame = FrameHeader::decode(&bytes[at..]).ok()?;
        (frame.position == LogPosition::new(generation, at as u32)).then_some(frame)
    };
    places.filter_map(frame).collect()
}

fn overwrite(path: &Path, change: impl FnOnce(&mut [u8])) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("a file");
}

#[test]
fn what_a_killed_appliance_left_is_sound_and_looking_changes_nothing() {
    let left = Left::new();
    let spool = left.spool();
    let before = contents(&spool);
    for verb in ["inspect", "verify"] {
        let (code, seen) = look(verb, &spool);
        assert_eq!(code, Some(0), "{seen}");
        let events = seen["streams"].as_array().expect("streams").iter();
        assert_eq!(events.map(|s| number(&s["events"])).sum::<u64>(), left.rows, "{seen}");
        assert_eq!(seen["lock"]["held_by"], Value::Null);
        let sink = &seen["sinks"]["objects"];
        assert_eq!(
            (&seen["cursors"]["state"], &sink["pending"]),
            (&json!("sound"), &json!(left.rows))
        );
        let sealed: Vec<_> =
            seen["segments"].as_array().expect("segments").iter().map(|s| &s["sealed"]).collect();
        assert_eq!(sealed, [true, true, false]);
        let text = process::shipper(&[verb, "--spool", spool.to_str().expect("text")]);
        let text = String::from_utf8(text.stdout).expect("text");
        assert!(text.contains("in use by    nobody; the last one was pid"), "{text}");
        assert_eq!(text.contains("sound: "), verb == "verify", "{text}");
    }
    assert_eq!(contents(&spool), before);

    let volume = Volume::mount(64);
    copy(&spool, &volume.path());
    volume.make_read_only();
    for verb in ["inspect", "verify"] {
        assert_eq!(look(verb, &volume.path()).0, Some(0));
    }

    // And the next start finds what it would have found.
    fs::remove_file(left.site.path().join("objects/ds=impressions")).expect("a file");
    let serving = left.site.serve();
    assert_eq!(serving.status().sink()["backlog"], left.rows);
    assert_eq!(serving.stop().code(), Some(0));
    left.site.audit().check_dense();
    assert_eq!(left.site.audit().rows(), left.rows);
}

#[test]
fn a_tail_that_is_cut_anywhere_is_sound_and_damage_is_told_by_its_place() {
    let left = Left::new();
    let dir = left.copy();
    let last = dir.path().join(segment::file_name(3));
    let whole = fs::read(&last).expect("a segment");
    let tail = frames(&last);
    let end = tail.last().map_or(FRAME_ALIGN, |f| f.position.offset() as usize + f.frame_bytes());
    let random = Random::new(5);
    for _ in 0..CUTS {
        let at = random.within(FRAME_ALIGN as u64..end as u64) as usize;
        overwrite(&last, |bytes| bytes[at..end].fill(0));
        let (code, seen) = look("verify", dir.path());
        assert_eq!((code, &seen["faults"]), (Some(0), &json!([])), "cut at {at}");
        let kept = tail.iter().filter(|f| f.position.offset() as usize + f.frame_bytes() <= at);
        let kept: u64 = kept.map(|f| u64::from(f.batch.count)).sum();
        // The zeros behind a payload are zeros again.
        assert!(number(&seen["segments"][2]["events"]) >= kept, "cut at {at}: {seen}");
        fs::write(&last, &whole).expect("a file");
    }

    let first = segment::file_name(1);
    let length = fs::metadata(dir.path().join(&first)).expect("a file").len() as usize;
    let frame = frames(&dir.path().join(&first))[1].position.offset() as usize;
    let damages = [
        (frame + 60, "corrupt"),
        (frame + HEADER_BYTES + 20, "payload"),
        (length - 100, "summary"),
        (20, "head"),
    ];
    for (at, kind) in damages {
        let path = dir.path().join(&first);
        overwrite(&path, |bytes| bytes[at] ^= 1);
        let (code, seen) = look("verify", dir.path());
        assert_eq!((code, &seen["faults"][0]["fault"]), (Some(1), &json!(kind)), "{seen}");
        assert_eq!(seen["faults"][0]["generation"], 1);
        assert_eq!(look("inspect", dir.path()).0, Some(0), "to look is not to judge");
        overwrite(&path, |bytes| bytes[at] ^= 1);
    }
    assert_eq!(look("verify", dir.path()).0, Some(0));
    // A slot that tore leaves the other one; two are more than a crash can do.
    overwrite(&dir.path().join(cursors::FILE_NAME), |bytes| bytes[70] ^= 1);
    assert_eq!(look("verify", dir.path()).0, Some(0));
    overwrite(&dir.path().join(cursors::FILE_NAME), |bytes| bytes[cursors::SLOT_BYTES + 70] ^= 1);
    let (code, seen) = look("verify", dir.path());
    assert_eq!((code, &seen["faults"][0]["fault"]), (Some(1), &json!("cursors")));
}

#[test]
fn what_cannot_be_looked_at_is_told_with_its_reason_and_exit_code_2() {
    let left = Left::new();
    let dir = left.copy();
    let identity = dir.path().join("identity");
    let newer =
        fs::read_to_string(&identity).expect("text").replace("\"format\": 1", "\"format\": 9");
    fs::write(&identity, newer).expect("a file");
    let before = contents(dir.path());
    let empty = tempfile::tempdir().expect("a folder");
    let gone = empty.path().join("gone");
    for verb in ["inspect", "verify"] {
        let said = |path: &Path| match look(verb, path) {
            (Some(2), Value::String(text)) => text,
            (code, seen) => panic!("{verb} {}: {code:?} {seen}", path.display()),
        };
        assert!(said(dir.path()).contains("has format 9 and this build knows 2"));
        assert!(said(empty.path()).contains("there is no spool in"));
        assert!(said(&gone).contains("No such file or directory"));
        assert!(said(&identity).contains("Not a directory"));
        let usage = process::shipper(&[verb]);
        assert_eq!(usage.status.code(), Some(2));
    }
    assert_eq!(contents(dir.path()), before);
}

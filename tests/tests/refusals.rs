//! What an appliance does not start with: each has its exit code, and a text that says what to do.

mod sealed;

use brink_shipper::spool::{cursors, identity::Identity, segment};
use brink_tests::{appliance::Extra, process, site::Site};
use sealed::{Answer, edge_without_io_uring};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Output,
};

/// Both texts of a process that has ended, one behind the other.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Holds an ended process against a code and parts of its text.
fn check(output: &Output, code: i32, parts: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn a_wrong_configuration_is_named_by_file_key_value_and_what_is_allowed() {
    let lowest = "quota_bytes = 16777215";
    let cases: [(&str, &str, [&str; 3]); 9] = [
        (
            "name = \"test\"",
            "name = \"NYC-1\"",
            ["edge.name", "is \"NYC-1\"", "1 to 32 of a-z, 0-9 and _"],
        ),
        (
            "profile = \"s-1vcpu-1gb\"",
            "profile = \"xxl\"",
            ["edge.profile", "is \"xxl\"", "s-1vcpu-1gb"],
        ),
        (
            "role = \"pixel\"",
            "role = \"pixle\"",
            ["listener \"first\": role", "is \"pixle\"", "\"pixel\"]"],
        ),
        (
            "allow = \"any\"",
            "allow = [\"10.0.0.1/8\"]",
            ["listener \"first\": allow", "is \"10.0.0.1/8\"", "zeros behind the prefix"],
        ),
        ("quota_bytes = 67108864", lowest, ["spool.quota_bytes", "is 16777215", "16777216 to"]),
        ("grace_ms = 0", "grace_ms = 3600001", ["drain.grace_ms", "is 3600001", "0 to 3600000"]),
        (
            "format = \"json\"",
            "format = \"xml\"",
            ["log.format", "is \"xml\"", "\"text\", \"json\""],
        ),
        // What the parser finds: it shows the line.
        ("grace_ms = 0", "grace_sec = 0", ["grace_sec = 0", "unknown field", "`grace_ms`"]),
        ("grace_ms = 0", "grace_ms = \"0\"", ["grace_ms = \"0\"", "string", "expected u64"]),
    ];
    for (from, to, parts) in cases {
        let site = Site::new(&Extra::default()).with(from, to);
        for verb in ["check", "serve"] {
            let output = site.edge(&[verb]);
            check(&output, 3, &parts);
            check(&output, 3, &["edge.toml: "]);
        }
        assert!(!site.path().join("spool").exists(), "nothing was begun");
    }
    let dir = tempfile::tempdir().unwrap();
    let missing = process::edge(&["serve", "--config", "nowhere.toml"], dir.path());
    check(&missing, 3, &["cannot read nowhere.toml", "No such file"]);
}

#[test]
fn the_example_can_be_used() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = process::edge(&["check", "--config", "edge/config/local.toml"], workspace);
    let parts = ["127.0.0.1:8083", "127.0.0.1:8084", "memory at most", "can be used"];
    check(&output, 0, &parts);
}

#[test]
fn an_address_that_is_taken_is_not_shared() {
    let first = Site::new(&Extra::default());
    let serving = first.serve();
    let taken = serving.listeners[0].to_string();
    // A second instance of ours, which the kernel would let share the address.
    let second = Site::new(&Extra { address: Some(&taken), ..Extra::default() });
    check(&second.edge(&["serve"]), 5, &["listener \"first\"", &taken, "is in use", "ss -ltnp"]);
    // Somebody else's listener, on an address of ours and on that of the operators.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let second = Site::new(&Extra { address: Some(&taken), ..Extra::default() });
    check(&second.edge(&["serve"]), 5, &[&taken, "is in use", "another address"]);
    let admin = "[admin]\naddress = \"127.0.0.1:0\"";
    let second =
        Site::new(&Extra::default()).with(admin, &format!("[admin]\naddress = \"{taken}\""));
    check(&second.edge(&["serve"]), 5, &["listener \"admin\"", &taken, "is in use"]);

    assert_eq!(serving.connect().get("/ready").status, 200);
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_spool_has_one_process_at_a_time() {
    let site = Site::new(&Extra::default());
    let serving = site.serve();
    let holder = format!("in use by pid {}", serving.id());
    check(&site.edge(&["serve"]), 6, &[&holder, "stop that process", "another [spool] path"]);
    for claim in ["reset", "adopt"] {
        check(&site.edge(&["identity", claim]), 6, &[&holder]);
    }
    // Looking does not need the lock.
    check(&site.edge(&["identity", "show"]), 0, &["edge         test", "this one"]);
    serving.kill();
    // The lock goes with the process, however that ended.
    assert_eq!(site.serve().stop().code(), Some(0));
}

/// A site whose spool has a backlog of ten events.
fn site_with_backlog() -> Site {
    let site =
        Site::new(&Extra { listener: "ack = { \"/i.gif\" = \"durable\" }", ..Extra::default() });
    let serving = site.serve();
    let mut client = serving.connect();
    for n in 0..10 {
        assert_eq!(client.get(&format!("/i.gif?n={n}")).status, 200);
    }
    serving.kill();
    site
}

fn change_identity(site: &Site, change: impl Fn(&mut Identity)) {
    let path = site.path().join("spool/identity");
    let mut identity = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut identity);
    fs::write(path, serde_json::to_vec(&identity).unwrap()).unwrap();
}

fn clone_to_another_machine(site: &Site) {
    change_identity(site, |identity| {
        assert!(!identity.machine.is_empty(), "this machine has an identity");
        let another = |hash: &mut String| *hash = "another".to_owned();
        identity.machine.values_mut().for_each(another);
    });
}

#[test]
fn a_cloned_disk_waits_until_it_is_reset_and_then_delivers_nothing_of_the_original() {
    let site = site_with_backlog();
    check(&site.edge(&["identity", "show"]), 0, &["edge         test", "machine      this one"]);
    clone_to_another_machine(&site);
    check(&site.edge(&["identity", "show"]), 7, &["machine      another one"]);
    let refused = site.edge(&["serve"]);
    check(
        &refused,
        7,
        &["another machine", "identity reset` if this droplet is a", "identity adopt`"],
    );

    check(&site.edge(&["identity", "reset"]), 0, &["edge test's on this machine now"]);
    check(&site.edge(&["identity", "show"]), 0, &["machine      this one"]);
    let segments = fs::read_dir(site.path().join("spool/set-aside-1/segments")).unwrap();
    assert!(segments.count() > 0, "nothing is deleted");
    let serving = site.serve();
    assert_eq!(serving.connect().get("/i.gif?n=new").status, 200);
    assert_eq!(serving.stop().code(), Some(0));
    assert_eq!(site.audit().nonces(), ["new".to_owned()].into());
}

#[test]
fn a_disk_that_moved_is_adopted_with_its_backlog() {
    let site = site_with_backlog();
    clone_to_another_machine(&site);
    check(&site.edge(&["serve"]), 7, &["another machine"]);
    check(&site.edge(&["identity", "adopt"]), 0, &["edge test's on this machine now"]);
    let serving = site.serve();
    assert_eq!(serving.status().sink()["backlog"], 10);
    assert_eq!(serving.stop().code(), Some(0));
    assert_eq!(site.audit().nonces(), (0..10).map(|n| n.to_string()).collect());
}

#[test]
fn a_renamed_edge_waits_until_it_is_adopted() {
    let mut site = site_with_backlog();
    site.change("name = \"test\"", "name = \"renamed\"");
    check(&site.edge(&["serve"]), 7, &["edge \"test\"", "\"renamed\"", "`edge identity adopt`"]);
    check(&site.edge(&["identity", "show"]), 7, &["the configuration says renamed"]);
    check(&site.edge(&["identity", "adopt"]), 0, &["edge renamed's"]);
    assert_eq!(site.serve().stop().code(), Some(0));
    // The rows are those of the edge that answered.
    let holds_rows_of = |edge: &str| site.audit().stream_names().any(|s| s.starts_with(edge));
    assert!(holds_rows_of("test-") && !holds_rows_of("renamed-"));
}

/// Every file below a folder, but for the lock, which says who looked last.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "lock" {
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_newer_spool_is_refused_and_left_untouched() {
    let site = site_with_backlog();
    let spool = site.path().join("spool");
    change_identity(&site, |identity| identity.format += 2);
    let before = contents(&spool);
    for verb in [&["serve"][..], &["identity", "adopt"], &["identity", "reset"]] {
        let parts = ["format 3", "this build knows 2", "left untouched", "start the newer build"];
        check(&site.edge(verb), 8, &parts);
    }
    assert!(contents(&spool) == before, "something was changed");

    // The same of a log in a folder that both builds know.
    change_identity(&site, |identity| identity.format -= 2);
    let log = fs::read_dir(spool.join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&log).unwrap();
    bytes[7] += 1;
    let (head, _) = bytes.split_at_mut(segment::FRAMES_FROM as usize);
    head[8..12].fill(0);
    let crc = crc32c::crc32c(head);
    head[8..12].copy_from_slice(&crc.to_le_bytes());
    fs::write(&log, &bytes).unwrap();
    let log_and_cursors = || {
        let mut files = contents(&spool.join("segments"));
        files.insert(cursors::FILE_NAME.into(), fs::read(spool.join(cursors::FILE_NAME)).unwrap());
        files
    };
    let before = log_and_cursors();
    check(&site.edge(&["serve"]), 8, &["segment 1 has version 2, which is newer"]);
    assert!(log_and_cursors() == before, "the log was changed");
}

#[test]
fn without_io_uring_there_is_one_message_with_the_remedy() {
    let cases = [
        (Answer::NotPermitted, ["io_uring is blocked", "kernel.io_uring_disabled", "seccomp"]),
        (Answer::NotImplemented, ["has no io_uring", "Linux 6.1 or newer", "needed"]),
    ];
    for (answer, parts) in cases {
        let site = Site::new(&Extra::default());
        let config = site.config();
        let config = config.to_str().unwrap();
        let serve = edge_without_io_uring(answer, &["serve", "--config", config]);
        check(&serve, 4, &parts);
        assert_eq!(said(&serve).lines().count(), 1, "{}", said(&serve));
        let doctor = edge_without_io_uring(answer, &["doctor", "--config", config]);
        check(&doctor, 4, &["FAIL  io_uring"]);
        check(&doctor, 4, &parts);
        let doctor = edge_without_io_uring(answer, &["doctor", "--json"]);
        let visit: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let findings = visit["findings"].as_array().unwrap();
        let fails: Vec<_> = findings.iter().filter(|f| f["verdict"] == "fails").collect();
        assert_eq!((fails.len(), &fails[0]["what"]), (1, &Value::from("io_uring")));
    }
    // The same filter is not what keeps it from starting otherwise.
    assert_eq!(Site::new(&Extra::default()).serve().stop().code(), Some(0));
}

/// The verbs that a help text lists.
fn verbs(help: &str) -> Vec<&str> {
    let commands = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    let listed = commands.take_while(|l| !l.is_empty());
    listed.filter_map(|l| l.split_whitespace().next()).filter(|v| *v != "help").collect()
}

#[test]
fn help_has_examples_that_parse_and_names_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let help = process::edge(&["--help"], dir.path());
    check(&help, 0, &["Examples:", "docs/operating.md"]);
    let text = said(&help);
    assert_eq!(verbs(&text), ["serve", "demo", "check", "doctor", "consent", "identity", "table"]);
    for verb in verbs(&text) {
        check(&process::edge(&[verb, "--help"], dir.path()), 0, &["Usage: edge"]);
        let example = text.lines().find(|l| l.trim().starts_with(&format!("edge {verb}")));
        let words: Vec<_> = example.unwrap().split_whitespace().skip(1).collect();
        // The parser takes an example, then its help.
        check(&process::edge(&[&words[..], &["--help"]].concat(), dir.path()), 0, &["Usage:"]);
    }
    let identity = said(&process::edge(&["identity", "--help"], dir.path()));
    assert_eq!(verbs(&identity), ["show", "reset", "adopt"]);
    let table = said(&process::edge(&["table", "--help"], dir.path()));
    assert_eq!(verbs(&table), ["build", "publish", "inspect"]);
    let consent = said(&process::edge(&["consent", "--help"], dir.path()));
    assert_eq!(verbs(&consent), ["explain", "reasons"]);
    check(&process::edge(&["fly"], dir.path()), 2, &["unrecognized subcommand 'fly'"]);
}

#[test]
fn tune_lists_and_shows_profiles() {
    let tune = |arguments: &[&str]| {
        let mut command = std::process::Command::new(process::binary("brink-tuning", "tune"));
        command.args(arguments).output().unwrap()
    };
    check(&tune(&["--help"]), 0, &["Examples:"]);
    assert_eq!(verbs(&said(&tune(&["--help"]))), ["list", "show"]);
    let list = tune(&["list", "--json"]);
    let profiles: Value = serde_json::from_slice(&list.stdout).unwrap();
    let profiles = profiles.as_array().unwrap();
    assert!(profiles.len() >= 4);
    let text = said(&tune(&["list"]));
    for profile in profiles {
        let name = profile["name"].as_str().unwrap();
        assert!(text.contains(name));
        check(&tune(&["show", name]), 0, &["made for", "memory at most", "cores on this host"]);
        let shown: Value = serde_json::from_slice(&tune(&["show", name, "--json"]).stdout).unwrap();
        assert_eq!(shown["profile"], *profile);
    }
    check(&tune(&["show", "xxl"]), 1, &["xxl", "s-1vcpu-1gb"]);
}

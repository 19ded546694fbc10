//! `shipper audit` on what real appliances have delivered: whole, and with everything that can be
//! wrong with it.

use brink_shipper::objects::readback;
use brink_tests::{appliance::Extra, process, site::Site};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const DURABLE: &str = "ack = { \"/i.gif\" = \"durable\" }";

/// An appliance that was killed and started again, and has delivered a few objects.
fn delivered() -> Site {
    let extra = Extra { listener: DURABLE, ..Extra::default() };
    let site = Site::new(&extra).with("age_max_ms = 60000", "age_max_ms = 100\nrows_max = 100");
    for life in 0..3 {
        let serving = site.serve();
        let mut client = serving.connect();
        for number in 0..350 {
            assert_eq!(client.get(&format!("/i.gif?n={life}-{number}")).status, 200);
        }
        match life {
            1 => serving.kill(),
            _ => assert_eq!(serving.stop().code(), Some(0)),
        }
    }
    site
}

fn objects(site: &Site) -> Vec<PathBuf> {
    let mut paths = readback::objects_below(&site.path().join("objects")).expect("objects");
    paths.sort();
    paths
}

/// The hour that an object lies in, as the tool takes it.
fn hour_of(object: &Path) -> String {
    let folder = |up: usize| {
        let name = object.ancestors().nth(up).and_then(Path::file_name).expect("a folder");
        name.to_str().and_then(|n| n.split_once('=')).expect("a partition").1.to_owned()
    };
    format!("{}T{}", folder(2), folder(1))
}

/// What the audit of an hour finds, and its exit code.
fn audit(site: &Site, hour: &str, more: &[&str]) -> (Option<i32>, Value) {
    let store = format!("file:{}/objects", site.path().display());
    let arguments = ["audit", "--store", &store, "--hour", hour, "--json"];
    let output = process::shipper(&[&arguments, more].concat());
    let told = serde_json::from_slice(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), told.unwrap_or_else(|_| Value::String(errors.into_owned())))
}

#[test]
fn what_was_delivered_is_whole_and_every_wound_is_named() {
    let site = delivered();
    let all = objects(&site);
    // The clock may have struck meanwhile: each hour is audited, and wounded where there is most.
    let mut hours: Vec<String> = all.iter().map(|path| hour_of(path)).collect();
    hours.dedup();
    let mut rows = 0;
    for hour in &hours {
        let (code, found) = audit(&site, hour, &[]);
        assert_eq!(code, Some(0), "{found}");
        assert_eq!(found["notes"], Value::Array(Vec::new()), "{found}");
        let chains = found["chains"].as_array().expect("chains");
        assert!(!chains.is_empty() && chains.iter().all(|c| c["closed"] == true), "{found}");
        rows += found["rows"].as_u64().expect("a number");
    }
    assert_eq!(rows, 1050);

    let victim = all.iter().max_by_key(|path| path.metadata().map_or(0, |m| m.len()));
    let first = |path: &Path| path.to_str().expect("text").contains("-00000000000000000000-");
    let victim = all.iter().find(|path| first(path)).or(victim).expect("an object").clone();
    let hour = hour_of(&victim);
    let whole = fs::read(&victim).expect("an object");
    let faults = |more: &[&str]| {
        let (code, found) = audit(&site, &hour, more);
        let faults = found["faults"].as_array().expect("faults").clone();
        assert_eq!(code, Some(i32::from(!faults.is_empty())), "{found}");
        faults
    };

    let kinds = |found: &[Value]| found.iter().map(|f| f["fault"].to_string()).collect::<Vec<_>>();

    // Gone: its stream begins behind it, and a manifest lists it.
    fs::remove_file(&victim).expect("it can be removed");
    let found = faults(&[]);
    assert_eq!((kinds(&found), &found[0]["from"]), (quoted(&["gap", "vanished"]), &0.into()));
    // Something else, which has no footer.
    fs::write(&victim, b"PAR1 is not enough").expect("the folder takes a file");
    let found = faults(&[]);
    assert_eq!((found.len(), &found[0]["fault"]), (1, &"broken".into()));
    fs::write(&victim, &whole).expect("the folder takes a file");
    assert_eq!(faults(&[]).len(), 0);
    // The same rows again, under a name that says fewer.
    let name = victim.file_name().and_then(|n| n.to_str()).expect("a name");
    let again =
        victim.with_file_name(name.replacen("-00000000000000000000-", "-00000000000000000001-", 1));
    fs::write(&again, &whole).expect("the folder takes a file");
    assert_eq!(kinds(&faults(&[])), quoted(&["twice", "broken", "unlisted"]));
    fs::remove_file(&again).expect("it can be removed");
    // What nobody of ours has put there.
    let stray = victim.with_file_name("part-00000.parquet");
    fs::write(&stray, &whole).expect("the folder takes a file");
    assert_eq!(kinds(&faults(&[])), quoted(&["foreign"]));
    fs::remove_file(&stray).expect("it can be removed");
    // An edge that should be there and is not.
    let roster = site.path().join("fleet.txt");
    fs::write(&roster, "test   # this one\n\nabsent_one\n").expect("the folder takes a file");
    let found = faults(&["--roster", roster.to_str().expect("text"), "--topic", "impressions"]);
    assert_eq!((kinds(&found), &found[0]["edge"]), (quoted(&["absent"]), &"absent_one".into()));
}

fn quoted(kinds: &[&str]) -> Vec<String> {
    kinds.iter().map(|kind| format!("{kind:?}")).collect()
}

/// The manifests of a site, in the order of their numbers.
fn manifests(site: &Site) -> Vec<PathBuf> {
    let mut folders = vec![site.path().join("objects/_manifests")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    found
}

#[test]
fn manifests_follow_each_other_and_every_wound_of_theirs_is_named() {
    let extra = Extra { listener: DURABLE, ..Extra::default() };
    let site = Site::new(&extra).with("age_max_ms = 60000", "age_max_ms = 60000\nrows_max = 1");
    let serving = site.serve();
    let mut client = serving.connect();
    for number in 0..140 {
        assert_eq!(client.get(&format!("/i.gif?n={number}")).status, 200);
    }
    assert_eq!(serving.stop().code(), Some(0));
    let objects = objects(&site);
    let hour = hour_of(objects.last().expect("an object"));
    let all = manifests(&site);
    // A list takes 128 objects, unless the hour ends before.
    assert!(all.len() >= 2, "{all:?}");
    let told = |more: &[&str]| {
        let (code, found) = audit(&site, &hour, more);
        assert_eq!(code, Some(i32::from(found["faults"] != Value::Array(Vec::new()))), "{found}");
        found
    };
    let whole = told(&[]);
    assert_eq!((&whole["faults"], &whole["notes"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    let of_hour = |list: &Value, fault: &str| {
        list.as_array().expect("a list").iter().filter(|f| f["fault"] == fault).count()
    };
    let last = all.last().expect("a manifest");
    let text = fs::read(last).expect("a manifest");
    // The last one is gone: nothing says any more that the hour is told, and a young one may wait.
    fs::remove_file(last).expect("it can be removed");
    let found = told(&[]);
    assert_eq!(of_hour(&found["faults"], "chain"), 0, "{found}");
    assert_eq!(of_hour(&found["notes"], "open"), 1, "{found}");
    assert!(of_hour(&found["notes"], "unlisted") > 0, "{found}");
    // It says something else, or nothing.
    let other =
        String::from_utf8(text.clone()).expect("text").replace("\"digest\":\"", "\"digest\":\"0");
    for wrong in [other.as_bytes(), b"{}"] {
        fs::write(last, wrong).expect("the folder takes a file");
        let found = told(&[]);
        assert!(of_hour(&found["faults"], "chain") > 0, "{found}");
    }
    fs::write(last, &text).expect("the folder takes a file");
    // The one before it is gone, or was changed.
    let before = &all[all.len() - 2];
    let text = fs::read(before).expect("a manifest");
    fs::write(before, [&text[..], b" "].concat()).expect("the folder takes a file");
    assert_eq!(of_hour(&told(&[])["faults"], "chain"), 1);
    fs::write(before, &text).expect("the folder takes a file");
    assert_eq!(told(&[])["faults"], Value::Array(Vec::new()));
    // None is there at all, as before there were any: objects alone are held against each other.
    fs::remove_dir_all(site.path().join("objects/_manifests")).expect("they can be removed");
    let found = told(&[]);
    assert_eq!((&found["manifests"], &found["notes"]), (&0.into(), &Value::Array(Vec::new())));
}

#[test]
fn what_cannot_be_audited_says_why() {
    let site = Site::new(&Extra::default());
    let (code, told) = audit(&site, "2026-11-23T07", &[]);
    assert!(code == Some(2) && told.to_string().contains("there is no folder"), "{told}");
    fs::create_dir(site.path().join("objects")).expect("a folder");
    let (code, found) = audit(&site, "2026-11-23T07", &[]);
    assert_eq!((code, &found["objects"]), (Some(0), &0.into()));
    for (hour, more, want) in [
        ("2026-11-23", &[][..], "as 2026-11-23T07"),
        ("2026-11-31T07", &[], "as 2026-11-23T07"),
        ("2026-11-23T07", &["--back", "10000"], "at most 744"),
        ("2026-11-23T07", &["--topic", "A"], "is no name"),
        ("2026-11-23T07", &["--roster", "/nowhere"], "cannot read /nowhere"),
    ] {
        let (code, told) = audit(&site, hour, more);
        assert!(code == Some(2) && told.to_string().contains(want), "{told}");
    }
}

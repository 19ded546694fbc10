//! Delivery into a real S3 server: all of it, each row once, whatever happens on the way.
//!
//! [`traffic`] asks, and reads what lies in the store; [`world`] has a proxy in between that fails
//! as it is told to: in all ways in [`faults`], for longer than requests last in [`slow`], and
//! while it kills at every arrow of a manifest's way in [`manifests`]. In [`copies`] there are two
//! of a spool. [`hdfs`] is the same for a real HDFS, and [`sync`] goes from there to S3. What goes
//! well is here.

mod copies;
mod faults;
mod hdfs;
mod manifests;
mod slow;
mod sync;
mod traffic;
mod world;

use brink_tests::{
    appliance::{Extra, Running, eventually, start},
    http::Client,
    process::{self, Serving},
    s3::S3Server,
    site::Site,
    tables::{LISTENER, file, provider, table},
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use traffic::{PREFIX, ask, delivered, settings, site};

#[test]
fn what_was_answered_lies_in_the_store_and_the_secret_is_seen_nowhere() {
    let Some(server) = S3Server::start() else { return };
    let settings = format!("endpoint = \"{}\"", server.endpoint());
    let site = site(&server, &settings).with("level = \"info\"", "level = \"debug\"");
    let serving = Serving::start_with(&site.config(), &server.variables());
    let asked: BTreeSet<String> = (0..500).map(|n| n.to_string()).collect();
    ask(&serving, &asked);
    eventually("all is delivered", || serving.status().sink()["delivered"] == 500);
    let status = serving.status();
    assert_eq!(status.events("accepted"), 500);
    for quiet in ["store_unconditional", "store_failing", "store_refusing", "object_conflict"] {
        assert!(!status.is_alarmed(quiet), "{quiet}");
    }
    let mut operators = Client::connect(serving.admin);
    let pages = ["/status", "/metrics"].map(|page| operators.get(page).body);
    serving.signal("TERM");
    let (ended, log) = serving.wait_with_log();
    assert_eq!(ended.code(), Some(0), "{log:?}");

    let audit = delivered(&server, &site);
    assert_eq!(audit.nonces(), asked);
    audit.check_dense();
    // The log has what the client of the store says of its requests, and not what they are signed
    // with.
    assert!(log.iter().any(|line| line.contains("object delivered")), "{log:?}");
    let seen = pages.into_iter().map(|page| String::from_utf8(page).unwrap()).chain(log);
    for text in seen {
        assert!(!text.contains(server.secret()), "{text}");
    }
}

#[test]
fn whoever_looks_at_a_configuration_a_spool_or_a_store_does_not_see_the_secret() {
    let Some(server) = S3Server::start() else { return };
    let site = site(&server, &settings(&server, server.endpoint()));
    let serving = site.serve();
    ask(&serving, &(0..100).map(|n| n.to_string()).collect());
    serving.kill();
    let text = |path: PathBuf| path.to_str().expect("a text").to_owned();
    let (spool, config) = (text(site.path().join("spool")), text(site.config()));
    let (url, credentials) = (server.url(PREFIX), text(server.credentials()));
    let store = ["--store", &url, "--endpoint", server.endpoint(), "--credentials", &credentials];
    let edge: [&[&str]; 4] =
        [&["check"], &["doctor"], &["doctor", "--json"], &["identity", "show"]];
    let shipper: [&[&str]; 6] = [
        &["inspect", "--spool", &spool],
        &["inspect", "--spool", &spool, "--json"],
        &["verify", "--spool", &spool],
        &["drain", "--spool", &spool, "--config", &config, "--json"],
        &[&["audit", "--hour", "2026-01-01T00"], &store[..]].concat(),
        &[&["audit", "--hour", "2026-01-01T00", "--json"], &store[..]].concat(),
    ];
    let outputs = edge.into_iter().map(|verb| (verb, site.edge(verb)));
    let outputs = outputs.chain(shipper.into_iter().map(|verb| (verb, process::shipper(verb))));
    for (verb, output) in outputs {
        let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, errors) = (told(&output.stdout), told(&output.stderr));
        assert!(!said.is_empty(), "{verb:?}: {errors}");
        let secret = server.secret();
        assert!(!said.contains(secret) && !errors.contains(secret), "{verb:?}: {said} {errors}");
    }
}

#[test]
fn a_file_of_credentials_that_others_may_read_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials");
    fs::write(&path, "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=canary\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut site = Site::new(&Extra::default());
    let url = format!("url = \"file:{}/objects\"", site.path().display());
    let file = path.display();
    site.change(&url, &format!("url = \"s3://nobody/a\"\ncredentials = \"{file}\""));
    let output = site.edge(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains(&format!("chmod 600 {file}")), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_wrong_secret_is_an_alarm_and_is_not_told() {
    let Some(server) = S3Server::start() else { return };
    let settings = format!("endpoint = \"{}\"", server.endpoint());
    let site = site(&server, &settings).with("level = \"info\"", "level = \"debug\"");
    let [(access, access_key), (secret, _)] = server.variables();
    let canary = "canary-that-no-log-may-have";
    let variables = [(access, access_key), (secret, canary)];
    let serving = Serving::start_with(&site.config(), &variables);
    // Nothing was asked yet: the probe finds it out.
    eventually("it is refused", || serving.status().is_alarmed("store_refusing"));
    let page = Client::connect(serving.admin).get("/status").body;
    assert!(!String::from_utf8(page).unwrap().contains(canary));
    serving.signal("TERM");
    let (_, log) = serving.wait_with_log();
    for text in log {
        assert!(!text.contains(canary), "{text}");
    }
}

#[test]
fn a_table_that_is_published_in_the_store_is_served_from_it() {
    let Some(server) = S3Server::start() else { return };
    let credentials = server.credentials().display().to_string();
    let (url, endpoint) = (server.url("tables"), server.endpoint());
    let place = ["--store", &url, "--endpoint", endpoint, "--credentials", &credentials];
    publish_and_serve(
        &place,
        &format!("url = \"{url}\"\nendpoint = \"{endpoint}\"\ncredentials = \"{credentials}\"\n"),
    );
}

/// Publishes two tables at a place; an appliance that looks there serves each.
pub(crate) fn publish_and_serve(place: &[&str], keys: &str) {
    let dir = tempfile::tempdir().unwrap();
    let publish = |version: u64| {
        let path = file(dir.path(), version, &table(&["7"], &format!("v{version}")));
        let version = version.to_string();
        let what = ["table", "publish", "--table", path.to_str().unwrap(), "--version", &version];
        let output = process::edge(&[&what[..], place].concat(), dir.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    publish(1);
    let served = dir.path().join("served");
    let path = served.display();
    let sections = format!("[tables]\n{keys}path = \"{path}\"\npoll_ms = 100\n");
    let running = start(&provider(LISTENER, &sections));
    await_version(&running, 1, &served);
    publish(2);
    await_version(&running, 2, &served);
    let _ = running.stop();
}

fn await_version(running: &Running, version: u64, served: &Path) {
    eventually("the version is served", || running.board().tables.version.read() == version);
    let body = running.connect().get("/v1/segments/xandr?uid=7").body;
    assert_eq!(String::from_utf8(body).unwrap(), format!("v{version}:750\n"));
    assert!(served.join(format!("{version:020}.table")).exists());
}

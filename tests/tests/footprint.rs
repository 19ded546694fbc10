//! What an appliance takes of its machine: memory, and calls into the kernel.
//!
//! Both are read of the real process from outside. `tests/measure/syscalls.sh` looks at the calls
//! themselves, with strace, under load.

use brink_tests::{appliance::eventually, http::Client, process::Serving};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use std::{fs, net::SocketAddr, path::Path};
use tempfile::TempDir;

/// An appliance as it is configured for a droplet with two cores, and its folder.
fn serving() -> (Serving, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    let text = format!(
        r#"
        [edge]
        name = "footprint"
        profile = "s-2vcpu-2gb"
        [[listener]]
        name = "pixel"
        role = "pixel"
        address = "127.0.0.1:0"
        allow = ["127.0.0.0/8"]
        [admin]
        address = "127.0.0.1:0"
        [spool]
        path = "{path}/spool"
        [objects]
        url = "file:{path}/objects"
        [drain]
        grace_ms = 0
        [log]
        format = "json"
        "#
    );
    let file = dir.path().join("edge.toml");
    fs::write(&file, text).unwrap();
    (Serving::start(&file), dir)
}

fn status(admin: SocketAddr) -> Value {
    let response = Client::connect(admin).get("/status");
    serde_json::from_slice(&response.body).unwrap()
}

/// A line of `/proc/PID/status`, in KiB.
fn kib(process: u32, name: &str) -> u64 {
    let text = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    let text = text.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// Lets this process have as many files as it may.
fn raise_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

const CONNECTIONS: usize = 1000;

const RESIDENT_KIB_MAX: u64 = 64 * 1024;

#[test]
fn a_thousand_idle_connections_take_less_than_64_mebibytes() {
    raise_files();
    let (serving, _dir) = serving();
    let before = kib(serving.id(), "VmRSS:");
    let mut idle: Vec<Client> = (0..CONNECTIONS).map(|_| serving.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/i.gif?auction_id=9f6c2a41").status, 200);
    }
    let open = |status: &Value| status["listeners"][0]["connections"].as_u64();
    assert_eq!(open(&status(serving.admin)), Some(CONNECTIONS as u64));
    // The rows of those requests are on their way through the spool; they are there then, too.
    eventually("the rows are accepted", || {
        status(serving.admin)["ledger"]["streams"][0]["accepted"] == CONNECTIONS
    });
    let resident = kib(serving.id(), "VmRSS:");
    println!("resident: {before} KiB before, {resident} KiB with {CONNECTIONS} connections");
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB with {CONNECTIONS} idle connections");
    drop(idle);
    assert!(serving.stop().success());
}

#[test]
fn a_shard_enters_the_kernel_once_a_turn_at_most() {
    let (serving, _dir) = serving();
    let mut clients: Vec<Client> = (0..32).map(|_| serving.connect()).collect();
    for round in 0..50 {
        let request = format!("GET /i.gif?n={round} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(8);
        clients.iter_mut().for_each(|client| client.send(&request));
        for client in &mut clients {
            (0..8).for_each(|_| assert_eq!(client.response().status, 200));
        }
    }
    // Each page is read while shards run, and they may go on between two numbers of it.
    eventually("no shard has entered more often than it has turned", || {
        let status = status(serving.admin);
        let shards = status["shards"].as_array().unwrap();
        let count = |shard: &Value, name: &str| shard[name].as_u64().unwrap();
        assert!(shards.iter().all(|shard| count(shard, "turns") > 100), "{shards:?}");
        shards.iter().all(|shard| count(shard, "enters") <= count(shard, "turns"))
    });
    assert!(serving.stop().success());
}

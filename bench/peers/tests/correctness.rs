//! The peers are real servers: each is started as `bench peers` starts it, and passes its checks.

use brink_bench::{
    peers::{
        correctness,
        layout::Layout,
        peer::{Missing, Peer, Place},
    },
    process::{Launch, Serving},
};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
};

const REQUEST: &[u8] =
    b"GET /i.gif?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: c/1\r\nReferer: d\r\n\r\n";

/// One to see whether it answers, and those of the checks.
const REQUESTS: usize = 1 + 2 + 6 + 1 + 4 + 2 + 2;

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a peer, checks it, stops it; what it has logged.
fn check(peer: Peer) -> Result<String, Missing> {
    let folder = tempfile::tempdir().unwrap();
    let program = peer.program(folder.path())?;
    let (address, admin) = (free_address(), free_address());
    let layout = Layout::one_core(0, 0);
    let place = Place { folder: folder.path(), address, admin, layout: &layout };
    let launch = Launch {
        command: peer.command(&program, &place)?,
        cores: &[],
        address,
        request: REQUEST,
        log: &folder.path().join("log"),
    };
    let serving = Serving::start(launch).unwrap_or_else(|e| panic!("{}: {e}", peer.name()));
    correctness::pass(address, REQUEST).unwrap_or_else(|e| panic!("{}: {e}", peer.name()));
    serving.stop().unwrap();
    Ok(fs::read_to_string(folder.path().join("access.log")).unwrap_or_default())
}

#[test]
fn our_own_peers_pass() {
    for peer in [Peer::Hyper, Peer::Axum, Peer::Floor] {
        check(peer).unwrap_or_else(|missing| panic!("{}: {missing}", peer.name()));
    }
}

#[test]
fn a_line_of_log_says_what_that_of_nginx_says() {
    let want = "127.0.0.1 \"GET /i.gif?a=b HTTP/1.1\" 200 \"d\" \"c/1\" \"-\"";
    for peer in [Peer::Hyper, Peer::Nginx, Peer::H2o] {
        match check(peer) {
            Ok(text) => {
                let rests = text.lines().map(|line| line.split_once(' ').unwrap().1);
                assert_eq!(rests.filter(|rest| *rest == want).count(), REQUESTS, "{text}");
            }
            Err(missing) => eprintln!("NOT TESTED: {}: {missing}", peer.name()),
        }
    }
    let text = check(Peer::Axum).unwrap();
    assert_eq!(text.lines().count(), REQUESTS);
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    for (key, want) in [("target", "/i.gif?a=b"), ("referer", "d"), ("user_agent", "c/1")] {
        assert_eq!(line[key], want, "{line}");
    }
}

#[test]
fn peers_of_the_distribution_and_the_appliance_pass_where_they_are_installed() {
    for peer in [Peer::Nginx, Peer::H2o, Peer::Edge] {
        if let Err(missing) = check(peer) {
            // The appliance has tests of its own; here it is only there if it was built.
            let required = std::env::var_os("BRINK_REQUIRE_SERVICES").is_some();
            assert!(!required || peer == Peer::Edge, "{}: {missing}", peer.name());
            eprintln!("NOT TESTED: {}: {missing}", peer.name());
        }
    }
}

//! Bounds on clients: time, connections, addresses. Nobody is reset for the sake of a bound.

use brink_tests::{
    appliance::{Extra, Running, eventually, start, start_on},
    http::Client,
};
use edge::roles::Roles;
use std::{
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

#[test]
fn a_head_that_does_not_come_is_timed_out() {
    let running = start(&Extra { listener: "head_timeout_ms = 200", ..Extra::default() });
    let begun = Instant::now();
    let mut slow = running.connect();
    slow.send("GET /i.gif HTTP/1.1\r\nHost: a\r\nX: ");
    // A byte now and then does not begin the time anew.
    slow.stream().set_read_timeout(Some(Duration::from_millis(60))).unwrap();
    let mut first = [0; 12];
    let status = loop {
        match slow.stream().read(&mut first) {
            Ok(_) => break std::str::from_utf8(&first).unwrap().to_owned(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => slow.try_send("x"),
            // A ring that this thread had looked at is taken down by the kernel, which says so.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never timed out");
    };
    assert_eq!(status, "HTTP/1.1 408");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let _ = running.stop();
}

#[test]
fn a_body_that_does_not_come_is_timed_out() {
    let running = start(&Extra { listener: "body_timeout_ms = 200", ..Extra::default() });
    let mut slow = running.connect();
    slow.send("POST /i.gif HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(slow.response().status, 408);
    assert!(slow.is_closed());
    let _ = running.stop();
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    let running = start(&Extra { listener: "idle_timeout_ms = 200", ..Extra::default() });
    let mut idle = running.connect();
    assert_eq!(idle.get("/i.gif").status, 200);
    assert!(idle.is_closed());
    let mut mute = running.connect();
    assert!(mute.is_closed());
    let counters = &running.board().shards[0].listeners[0];
    assert_eq!(counters.idle_timeouts.read(), 2);
    let _ = running.stop();
}

/// Connections of each shard.
fn open(running: &Running) -> Vec<u64> {
    running.board().shards.iter().map(|shard| shard.listeners[0].open.read()).collect()
}

#[test]
fn a_fresh_connection_goes_to_the_shard_with_the_fewest() {
    let cores = vec![0, 1];
    let dir = tempfile::tempdir().unwrap();
    let running = start_on(cores, dir, &Roles::standard(), &Extra::default());
    let connect = |of: &Running| {
        let mut client = of.connect();
        assert_eq!(client.get("/health").status, 200);
        client
    };
    let mut clients = Vec::new();
    for count in 1..=20_u64 {
        clients.push(connect(&running));
        let open = open(&running);
        assert!(open[0].abs_diff(open[1]) <= 1, "{open:?} after {count}");
    }
    // Some leave, of whichever shard: those who come then fill the gap.
    for _ in 0..8 {
        drop(clients.pop());
    }
    eventually("they are closed", || open(&running).iter().sum::<u64>() == 12);
    let first = open(&running);
    for _ in 0..8 {
        clients.push(connect(&running));
    }
    let open = open(&running);
    assert!(open[0].abs_diff(open[1]) <= 1, "{open:?} after {first:?}");
    let _ = running.stop();
}

#[test]
fn no_connection_is_left_in_the_backlog_while_shards_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_on(vec![0, 1], dir, &Roles::standard(), &Extra::default());
    // One that stays and is busy: its shard looks at every moment whether it is its turn.
    let mut stays = running.connect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // ORDER: Relaxed, a flag that carries nothing.
            while !over.load(Ordering::Relaxed) {
                assert_eq!(stays.get("/health").status, 200);
            }
        });
        let served = (0..2000).take_while(|_| {
            let mut short = running.connect();
            short.send("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            short.try_response(true).is_ok_and(|response| response.status == 200)
        });
        let served = served.count();
        // ORDER: Relaxed, as above.
        over.store(true, Ordering::Relaxed);
        assert_eq!(served, 2000);
    });
    let _ = running.stop();
}

#[test]
fn who_finds_no_room_waits_and_is_served_when_one_leaves() {
    let running = start(&Extra { listener: "connections_max = 3", ..Extra::default() });
    let mut served: Vec<Client> = (0..3).map(|_| running.connect()).collect();
    for client in &mut served {
        assert_eq!(client.get("/i.gif").status, 200);
    }
    let mut waiting: Vec<Client> = (0..5).map(|_| running.connect()).collect();
    for client in &mut waiting {
        client.send("GET /i.gif HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let board = running.board();
    let counters = &board.shards[0].listeners[0];
    // Those who are served go on being served.
    for _ in 0..20 {
        for client in &mut served {
            assert_eq!(client.get("/i.gif").status, 200);
        }
    }
    assert_eq!(counters.accepted.read(), 3);
    // As each one leaves, the next one is served.
    drop(served);
    for mut client in waiting {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(counters.broken.read(), 0);
    let _ = running.stop();
}

#[test]
fn addresses_that_are_not_allowed_are_closed_and_counted() {
    let running = start(&Extra { listener: "allow = [\"127.0.0.2/32\"]", ..Extra::default() });
    let mut stranger = running.connect();
    stranger.try_send("GET /i.gif HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut rest = Vec::new();
    // Closed with our request unread, which the kernel may call a reset.
    let _ = stranger.stream().read_to_end(&mut rest);
    assert!(rest.is_empty());
    let board = running.board();
    let counters = &board.shards[0].listeners[0];
    eventually("the stranger is counted", || counters.not_allowed.read() == 1);

    let mut known = from("127.0.0.2", running.address());
    assert_eq!(known.get("/i.gif").status, 200);
    let _ = running.stop();
}

/// A client that connects from an address of its choice.
fn from(address: &str, to: SocketAddr) -> Client {
    use std::os::fd::OwnedFd;
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    );
    let socket: OwnedFd = socket.unwrap();
    let local: SocketAddr = format!("{address}:0").parse().unwrap();
    rustix::net::bind(&socket, &local).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    Client::of(TcpStream::from(socket))
}

#[test]
fn one_listener_takes_both_families_and_tells_them_apart() {
    let running = start(&Extra {
        address: Some("[::]:0"),
        listener: "allow = [\"127.0.0.1/32\", \"::1/128\"]",
        ..Extra::default()
    });
    let port = running.address().port();
    assert_eq!(Client::connect(([127, 0, 0, 1], port).into()).get("/i.gif?n=4").status, 200);
    let six: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    assert_eq!(Client::connect(six).get("/i.gif?n=6").status, 200);
    let (_, dir) = running.stop();
    let mut peers: Vec<_> = brink_tests::appliance::rows(dir.path(), "peer_address")
        .into_iter()
        .map(|row| row.text.unwrap())
        .collect();
    peers.sort();
    assert_eq!(peers, ["127.0.0.1", "::1"]);
}

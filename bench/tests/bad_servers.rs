//! Servers that refuse, close, lie, dawdle or say nothing: each request of a run against them ends
//! exactly once, in a counter that says how, and the run ends too.
//!
//! Servers are real sockets on the loopback. A run that hangs fails its test after a minute.

use brink_bench::{
    drive::{self, Drive, Lane, Outcome, Watch},
    policy::Policy,
    report::Counts,
    responder::{Conduct, Responder},
    scenario::{Answer, Scenario, Verdict},
    schedule::Arrivals,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Nothing that is driven here takes nearly as long.
const HANGS: Duration = Duration::from_secs(60);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong";

/// GET of anything; right is 200 and the four bytes.
#[derive(Debug)]
struct Ping(&'static str);

impl Scenario for Ping {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        let request = format!("{} /{number} HTTP/1.1\r\nHost: x\r\n\r\n", self.0);
        out.extend_from_slice(request.as_bytes());
    }

    fn check(&mut self, _number: u64, answer: &Answer<'_>) -> Verdict {
        let wanted: &[u8] = if self.0 == "HEAD" { b"" } else { b"pong" };
        if answer.status == 200 && answer.body == wanted {
            Verdict::Right
        } else {
            Verdict::Wrong("that is no pong")
        }
    }
}

/// A server; each connection has a thread, which does as it is told until it returns.
fn serve(conduct: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let conduct = Arc::new(conduct);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let conduct = conduct.clone();
            thread::spawn(move || conduct(stream));
        }
    });
    address
}

/// Reads one request, which has no body; false at the end of the connection.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// 200 requests in 200 ms over four connections.
fn plan(address: SocketAddr) -> Drive {
    let arrivals = Arrivals::Constant { rate: 1000.0 };
    Drive {
        lanes: vec![Lane { address, arrivals: arrivals.clone(), connections: 4 }],
        duration: Duration::from_millis(200),
        warmup: Duration::ZERO,
        ..Drive::new(address, arrivals)
    }
}

fn drive_with(drive: Drive, method: &'static str) -> Outcome<Ping> {
    let (done, result) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let stop = AtomicBool::new(false);
        let mut watch = Watch { stop: &stop, progress: None };
        let _ = done.send(drive::run(&drive, |_| Ping(method), &mut watch));
    });
    result.recv_timeout(HANGS).expect("the run hangs").expect("the machine lets it run")
}

/// Drives, and checks what is true of every run.
fn counts_of(drive: Drive) -> (Counts, Outcome<Ping>) {
    let outcome = drive_with(drive, "GET");
    let counts = outcome.round.counts;
    let ended = counts.answered + counts.wrong + counts.broken + counts.timeouts;
    assert_eq!(counts.due, ended, "{counts:?}");
    assert!(counts.sent <= counts.due, "{counts:?}");
    (counts, outcome)
}

fn fault(outcome: &Outcome<Ping>) -> &str {
    outcome.fault.as_deref().unwrap_or_default()
}

#[test]
fn a_server_that_is_not_there_ends_the_run_at_once_and_every_attempt_is_counted() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let drive = Drive { duration: Duration::from_secs(3000), ..plan(gone) };
    let (counts, outcome) = counts_of(drive);
    assert_eq!(counts, Counts { refused: 4, ..Counts::default() });
    assert!(!counts.is_clean());
    assert!(fault(&outcome).contains(&format!("cannot connect to {gone}")), "{outcome:?}");
}

#[test]
fn a_server_that_closes_in_the_middle_of_its_answers_breaks_every_request() {
    let address = serve(|mut stream| {
        if read_request(&mut stream) {
            let _ = stream.write_all(&ANSWER[..ANSWER.len() - 2]);
        }
    });
    let (counts, outcome) = counts_of(plan(address));
    assert_eq!((counts.due, counts.broken), (200, 200), "{counts:?}");
    assert_eq!(counts.reconnects, 200);
    assert!(fault(&outcome).contains("the server closed the connection"), "{outcome:?}");
    assert_eq!(outcome.round.intended.quantiles.count, 0, "what broke has no latency");
}

#[test]
fn a_server_that_closes_whatever_it_accepts_is_not_stormed() {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let address = serve(move |_| {
        // ORDER: Relaxed, a count that carries nothing.
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut drive = plan(address);
    drive.policy.timeout = Duration::from_millis(300);
    let (counts, _) = counts_of(drive);
    assert_eq!((counts.due, counts.answered), (200, 0), "{counts:?}");
    // Four connections, each made again at most ten times a second, or once for a request.
    // ORDER: Relaxed, the count again; what is accepted later only makes it larger.
    let accepted = accepted.load(Ordering::Relaxed);
    assert!(accepted <= 4 + 200 + 4 * 10 * 60, "{accepted}");
}

#[test]
fn answers_that_are_no_http_break_their_requests() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ] {
        let address = serve(move |mut stream| {
            while read_request(&mut stream) {
                let _ = stream.write_all(garbage.as_bytes());
            }
        });
        let (counts, outcome) = counts_of(plan(address));
        assert_eq!((counts.due, counts.broken), (200, 200), "{garbage:?} {counts:?}");
        assert!(fault(&outcome).contains("no HTTP/1.1"), "{outcome:?}");
    }
}

#[test]
fn answers_that_nobody_asked_for_and_answers_without_an_end_are_counted_and_bounded() {
    let address = serve(|mut stream| {
        while read_request(&mut stream) {
            let _ = stream.write_all(&[ANSWER, ANSWER].concat());
        }
    });
    let (counts, _) = counts_of(plan(address));
    assert_eq!(counts.broken, 200, "{counts:?}");

    let address = serve(|mut stream| {
        if read_request(&mut stream) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
            while stream.write_all(&[b'a'; 4096]).is_ok() {}
        }
    });
    let (counts, _) = counts_of(Drive { duration: Duration::from_millis(20), ..plan(address) });
    assert_eq!((counts.due, counts.broken), (20, 20), "{counts:?}");
}

#[test]
fn a_server_that_never_answers_costs_each_request_its_timeout() {
    let address = serve(|mut stream| while read_request(&mut stream) {});
    let mut drive = plan(address);
    drive.policy.timeout = Duration::from_millis(50);
    let (counts, outcome) = counts_of(drive);
    assert_eq!((counts.due, counts.timeouts), (200, 200), "{counts:?}");
    assert!(counts.sent < 200, "with four connections most are never sent: {counts:?}");
    let round = &outcome.round;
    assert_eq!(round.intended.quantiles.count, 200, "giving up takes time, and that counts");
    assert!(round.intended.quantiles.p50 >= 50_000.0, "{:?}", round.intended.quantiles);
    let beyond_10_ms = round.late.iter().find(|late| late.beyond_ms == 10).unwrap();
    assert_eq!(beyond_10_ms.count, 200);
}

#[test]
fn late_answers_are_answers_and_each_bound_that_they_missed_is_counted() {
    let late = Responder::start(Conduct::FixedDelay(Duration::from_millis(150)), None).unwrap();
    let mut drive = plan(late.address());
    drive.lanes[0].connections = 200;
    let outcome = drive_with(drive, "GET");
    let (counts, round) = (outcome.round.counts, &outcome.round);
    assert_eq!(counts.wrong + counts.answered, 200, "{counts:?}");
    assert_eq!(counts.queued, 0, "there is a connection for each");
    let beyond = |ms| round.late.iter().find(|late| late.beyond_ms == ms).unwrap().count;
    assert_eq!((beyond(1), beyond(100)), (200, 200));
    assert!(round.intended.quantiles.p50 >= 150_000.0, "{:?}", round.intended.quantiles);
}

#[test]
fn waiting_for_a_connection_counts_from_when_the_request_was_due() {
    let slow = Responder::start(Conduct::FixedDelay(Duration::from_millis(10)), None).unwrap();
    let mut drive = plan(slow.address());
    drive.lanes[0].connections = 1;
    drive.lanes[0].arrivals = Arrivals::Constant { rate: 250.0 };
    let round = drive_with(drive, "GET").round;
    assert_eq!(round.counts.due, 50, "{:?}", round.counts);
    assert!(round.counts.queued >= 40, "{:?}", round.counts);
    // The last of 50 is due after 196 ms and sent behind 49 that took 10 ms each.
    assert!(round.intended.quantiles.max >= 290_000.0, "{:?}", round.intended.quantiles);
    assert!(round.actual.quantiles.p50 < round.intended.quantiles.p50);
}

#[test]
fn a_server_that_goes_away_leaves_its_requests_counted_and_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut streams: Vec<TcpStream> = (0..4).map(|_| listener.accept().unwrap().0).collect();
        for stream in &mut streams {
            assert!(read_request(stream));
            stream.write_all(ANSWER).unwrap();
        }
    });
    let mut drive = plan(address);
    drive.policy.timeout = Duration::from_millis(400);
    let (counts, _) = counts_of(drive);
    assert_eq!(counts.due, 200);
    assert!((1..=4).contains(&counts.answered), "{counts:?}");
    assert!(counts.timeouts > 0 && counts.refused > 0, "{counts:?}");
}

#[test]
fn wrong_answers_are_counted_and_the_first_one_is_told() {
    let address = serve(|mut stream| {
        while read_request(&mut stream) {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let (counts, outcome) = counts_of(plan(address));
    assert_eq!((counts.due, counts.wrong), (200, 200), "{counts:?}");
    assert!(fault(&outcome).contains("that is no pong (status 404)"), "{outcome:?}");
}

#[test]
fn answers_in_pieces_are_answers() {
    let address = serve(|mut stream| {
        stream.set_nodelay(true).unwrap();
        while read_request(&mut stream) {
            for byte in ANSWER {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
            }
        }
    });
    let (counts, outcome) = counts_of(plan(address));
    assert_eq!((counts.due, counts.answered, counts.broken), (200, 200, 0), "{outcome:?}");
    assert!(counts.is_clean());
}

#[test]
fn a_connection_that_the_server_closes_behind_an_answer_is_made_again() {
    let address = serve(|mut stream| {
        if read_request(&mut stream) {
            let closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npong";
            let _ = stream.write_all(closing);
        }
    });
    let (counts, outcome) = counts_of(plan(address));
    assert_eq!((counts.due, counts.answered), (200, 200), "{outcome:?}");
    assert_eq!(counts.reconnects, 200);
}

#[test]
fn an_end_that_comes_with_an_answer_is_seen_and_nothing_is_sent_behind_it() {
    let address = serve(|mut stream| {
        // What a corked socket holds back leaves with its end, in one segment.
        rustix::net::sockopt::set_tcp_cork(&stream, true).unwrap();
        if read_request(&mut stream) {
            let _ = stream.write_all(ANSWER);
        }
    });
    let (counts, outcome) = counts_of(plan(address));
    assert_eq!((counts.due, counts.answered, counts.broken), (200, 200, 0), "{outcome:?}");
}

#[test]
fn short_lived_connections_have_as_many_requests_as_the_policy_says() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let address = serve(move |mut stream| {
        let mut requests = 0;
        while read_request(&mut stream) {
            requests += 1;
            let _ = stream.write_all(ANSWER);
        }
        // ORDER: Relaxed, a figure that carries nothing.
        seen.fetch_max(requests, Ordering::Relaxed);
    });
    let (counts, _) = counts_of(Drive { policy: Policy::churn(), ..plan(address) });
    // Of the last ten on each of the four connections some may be missing.
    assert!(counts.answered == 200 && (17..=20).contains(&counts.reconnects), "{counts:?}");
    // ORDER: Relaxed, that figure; most connections have been closed for long.
    assert_eq!(most.load(Ordering::Relaxed), 10);
}

#[test]
fn an_exchange_closes_what_is_late_opens_it_again_and_sees_both() {
    let address = serve(|mut stream| {
        // The third request on each connection is never answered.
        for _ in 0..2 {
            if !read_request(&mut stream) || stream.write_all(ANSWER).is_err() {
                return;
            }
        }
        while read_request(&mut stream) {}
    });
    let policy = Policy::exchange(Duration::from_millis(20));
    let (counts, outcome) = counts_of(Drive { policy, exchange: true, ..plan(address) });
    assert!(counts.answered > 0 && counts.timeouts > 0, "{counts:?}");
    assert!(counts.reconnects > 0, "{counts:?}");
    let view = outcome.round.exchange.unwrap();
    assert!(view.late_share >= counts.timeouts as f64 / 200.0, "{view:?} {counts:?}");
    assert_eq!(view.worst_ms_per_connection.len(), 4);
    assert!(view.worst_ms_per_connection.iter().any(|worst| *worst >= 20.0), "{view:?}");
    assert_eq!(view.reconnects, counts.reconnects);
}

#[test]
fn connections_that_are_not_to_be_made_again_run_out_and_the_rest_is_given_up() {
    let address = serve(|mut stream| {
        if read_request(&mut stream) {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npong",
            );
        }
    });
    let policy = Policy { reopen: false, ..Policy::default() };
    let (counts, _) = counts_of(Drive { policy, ..plan(address) });
    assert_eq!((counts.answered, counts.timeouts, counts.reconnects), (4, 196, 0), "{counts:?}");
}

#[test]
fn head_requests_have_answers_without_a_body() {
    let address = serve(|mut stream| {
        while read_request(&mut stream) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        }
    });
    let outcome = drive_with(plan(address), "HEAD");
    assert_eq!(outcome.round.counts.answered, 200, "{outcome:?}");
}

/// A run of nearly an hour, stopped at its first progress.
fn stopped(address: SocketAddr) -> Outcome<Ping> {
    let drive = Drive { duration: Duration::from_secs(3000), ..plan(address) };
    let (done, result) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let stop = AtomicBool::new(false);
        // ORDER: Relaxed, a flag that carries nothing.
        let mut stop_it = |_, _| stop.store(true, Ordering::Relaxed);
        let mut watch = Watch { stop: &stop, progress: Some(&mut stop_it) };
        let _ = done.send(drive::run(&drive, |_| Ping("GET"), &mut watch));
    });
    result.recv_timeout(HANGS).expect("the run hangs").unwrap()
}

#[test]
fn a_run_that_is_stopped_reports_what_it_has_seen() {
    let quick = stopped(serve(|mut stream| {
        while read_request(&mut stream) {
            let _ = stream.write_all(ANSWER);
        }
    }));
    assert!(quick.round.counts.is_clean(), "{:?}", quick.round.counts);
    // Here a request waits for a connection when the stop comes: it is due, and has its end too.
    let late = Responder::start(Conduct::FixedDelay(Duration::from_millis(20)), None).unwrap();
    let slow = stopped(late.address());
    assert!(slow.round.counts.queued > 0, "{:?}", slow.round.counts);
    for outcome in [quick, slow] {
        let round = &outcome.round;
        assert!(outcome.interrupted && round.seconds.len() <= 60, "{}", round.seconds.len());
        let due: u64 = round.seconds.iter().map(|second| second.due).sum();
        let counts = &round.counts;
        assert_eq!(due, counts.due);
        assert_eq!(counts.due, counts.answered + counts.wrong + counts.timeouts, "{counts:?}");
    }
}

#[test]
fn threads_share_the_requests_and_what_they_saw_is_one_round() {
    let address = serve(|mut stream| {
        while read_request(&mut stream) {
            let _ = stream.write_all(ANSWER);
        }
    });
    let allowed = rustix::thread::sched_getaffinity(None).unwrap();
    let cpu = (0..1024).find(|cpu| allowed.is_set(*cpu)).unwrap();
    let drive = Drive { cpus: vec![cpu; 2], ..plan(address) };
    let (counts, outcome) = counts_of(drive.clone());
    assert!(counts.is_clean() && counts.due == 200, "{counts:?}");
    assert_eq!((outcome.scenarios.len(), outcome.round.intended.quantiles.count), (2, 200));
    let error = drive::run(
        &Drive { cpus: vec![cpu; 5], ..drive.clone() },
        |_| Ping("GET"),
        &mut Watch { stop: &AtomicBool::new(false), progress: None },
    );
    assert!(error.unwrap_err().to_string().contains("4 connections are too few for 5 threads"));
    let error = drive::run(
        &Drive { cpus: vec![100_000], ..drive },
        |_| Ping("GET"),
        &mut Watch { stop: &AtomicBool::new(false), progress: None },
    );
    assert!(error.unwrap_err().to_string().contains("core 100000"));
}

#[test]
fn lanes_are_driven_beside_each_other_and_a_dead_one_does_not_hold_up_the_other() {
    let alive = serve(|mut stream| {
        while read_request(&mut stream) {
            let _ = stream.write_all(ANSWER);
        }
    });
    let silent = serve(|mut stream| while read_request(&mut stream) {});
    let mut drive = plan(alive);
    drive.lanes.push(Lane { address: silent, connections: 2, ..drive.lanes[0].clone() });
    drive.policy.timeout = Duration::from_millis(100);
    let (counts, _) = counts_of(drive);
    assert_eq!((counts.due, counts.answered, counts.timeouts), (400, 200, 200), "{counts:?}");
}

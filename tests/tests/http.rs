//! HTTP over real sockets: what a correct server does, however its clients behave.

mod echo;

use brink_tests::{
    appliance::{Extra, Running, start, start_in},
    http::Client,
};
use edge::roles::Roles;
use std::{thread, time::Duration};

const GIF_BYTES: usize = 43;

fn echo() -> Running {
    let extra = Extra { role: Some("echo"), ..Extra::default() };
    start_in(tempfile::tempdir().unwrap(), &Roles::standard().with::<echo::Echo>(), &extra)
}

fn post(body: &str, headers: &str) -> String {
    let length = body.len();
    format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

#[test]
fn a_request_is_answered_wherever_it_is_split() {
    let running = start(&Extra::default());
    let request = "GET /i.gif?n=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: t\r\n\r\n".as_bytes();
    let mut client = running.connect();
    for cut in 1..request.len() {
        client.send(&request[..cut]);
        // Another round trip in between, so that the parts come in two receives.
        assert_eq!(running.connect().get("/health").status, 200);
        client.send(&request[cut..]);
        let response = client.response();
        assert_eq!((response.status, response.body.len()), (200, GIF_BYTES), "cut at {cut}");
    }
    for byte in request {
        client.send([*byte]);
    }
    assert_eq!(client.response().status, 200);
    let _ = running.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let running = echo();
    let mut client = running.connect();
    let requests: String = (0..500).map(|n| post(&format!("body {n}"), "")).collect();
    client.send(requests);
    for n in 0..500 {
        assert_eq!(client.response().body, format!("body {n}").into_bytes());
    }
    let _ = running.stop();
}

#[test]
fn chunked_bodies_are_put_together() {
    let running = echo();
    let mut client = running.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n"));
    assert_eq!(client.response().body, b"hello world");
    // A megabyte in chunks, and a request right behind it.
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let body = chunk.repeat(256);
    client.send(format!("{head}{body}0\r\n\r\n{}", post("next", "")));
    assert_eq!(client.response().body.len(), 1 << 20);
    assert_eq!(client.response().body, b"next");
    let _ = running.stop();
}

#[test]
fn heads_have_no_body_and_the_connection_goes_on() {
    let running = start(&Extra::default());
    let mut client = running.connect();
    client.send("HEAD /i.gif HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response_to_head();
    assert_eq!((response.status, response.header("content-length")), (200, Some("43")));
    assert!(response.header("date").unwrap().ends_with(" GMT"));
    assert!(response.header("cache-control").unwrap().contains("no-store"));
    assert_eq!(client.get("/i.gif").body.len(), GIF_BYTES);
    assert_eq!(client.get("/robots.txt").status, 200);
    assert_eq!(client.get("/favicon.ico").status, 204);
    assert_eq!(client.get("/health").body, b"ok\n");
    assert_eq!(client.get("/ready").body, b"1\n");
    assert_eq!(client.get("/nothing").status, 404);
    client.send("DELETE /i.gif HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(client.get("http://any.example/i.gif?x").status, 200);
    let _ = running.stop();
}

#[test]
fn connections_stay_open_and_close_as_asked() {
    let running = start(&Extra::default());
    let cases = [
        ("HTTP/1.1\r\nHost: a\r\n", "keep-alive", false),
        ("HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", "close", true),
        ("HTTP/1.0\r\n", "close", true),
        ("HTTP/1.0\r\nConnection: keep-alive\r\n", "keep-alive", false),
    ];
    for (rest, connection, closes) in cases {
        let mut client = running.connect();
        client.send(format!("GET /i.gif {rest}\r\n"));
        let response = client.response();
        assert_eq!(response.header("connection"), Some(connection), "{rest:?}");
        if closes {
            assert!(client.is_closed(), "{rest:?}");
        } else {
            assert_eq!(client.get("/health").status, 200, "{rest:?}");
        }
    }
    let _ = running.stop();
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on() {
    let running = echo();
    let mut client = running.connect();
    let whole = post("hello", "Expect: 100-continue\r\n");
    let (head, body) = whole.split_at(whole.len() - 5);
    client.send(head);
    assert_eq!(client.response().status, 100);
    client.send(body);
    assert_eq!(client.response().body, b"hello");
    // One that does not wait is not told.
    client.send(&whole);
    assert_eq!(client.response().status, 200);
    // A body that will be refused is refused at once.
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n",
    );
    assert_eq!(client.response().status, 413);
    let _ = running.stop();
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let running = echo();
    let mut client = running.connect();
    client.send(format!("{}{}", post("one", ""), post("two", "")));
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.response().body, b"one");
    assert_eq!(client.response().body, b"two");
    assert!(client.is_closed());
    let _ = running.stop();
}

#[test]
fn what_is_no_request_gets_its_status_and_a_closed_connection() {
    let running = echo();
    let long = "x".repeat(17 * 1024);
    let headers = format!("X: {}\r\n", "y".repeat(1000)).repeat(50);
    let cases: [(String, u16); 13] = [
        ("NONSENSE\r\n\r\n".into(), 400),
        ("GET /echo HTTP/1.1\r\n\r\n".into(), 400),
        ("GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        ("GET /echo HTTP/1.1\r\nHost : a\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(), 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n".into(), 413),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET /echo HTTP/1.1\r\nHost: a\r\n{headers}\r\n"), 431),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n".into(), 417),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".into(), 501),
        ("GET /echo HTTP/3.0\r\nHost: a\r\n\r\n".into(), 505),
    ];
    for (request, status) in cases {
        let mut client = running.connect();
        client.try_send(&request);
        // What follows is not read as a request, whatever it looks like.
        client.try_send(post("smuggled", ""));
        let response = client.response();
        let shown: String = request.chars().take(60).collect();
        assert_eq!(response.status, status, "{shown:?}");
        assert_eq!(response.header("connection"), Some("close"), "{shown:?}");
        assert!(client.is_closed(), "{shown:?}");
    }
    let _ = running.stop();
}

#[test]
fn a_large_answer_reaches_a_slow_reader_whole() {
    let running = echo();
    let body: String = (0..(1 << 20)).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
    let mut client = running.connect();
    client.send(post(&body, ""));
    // It is not read for a while: the kernel's buffers fill up, and the rest waits.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(client.response().body, body.as_bytes());
    client.send(post("next", ""));
    assert_eq!(client.response().body, b"next");
    let _ = running.stop();
}

#[test]
fn a_reader_that_never_reads_holds_up_nobody_and_is_closed() {
    let extra =
        Extra { role: Some("echo"), listener: "write_timeout_ms = 300", ..Extra::default() };
    let roles = Roles::standard().with::<echo::Echo>();
    let running = start_in(tempfile::tempdir().unwrap(), &roles, &extra);
    let stubborn: Vec<_> = (0..4)
        .map(|_| {
            let mut client = running.connect();
            let body = post(&"x".repeat(1 << 20), "");
            // More answers than any buffer of the kernel takes.
            client.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            (0..20).for_each(|_| client.try_send(&body));
            client
        })
        .collect();
    let mut other = running.connect();
    for n in 0..50 {
        other.send(post(&n.to_string(), ""));
        assert_eq!(other.response().body, n.to_string().as_bytes());
    }
    let counters = &running.board().shards[0].listeners[0];
    brink_tests::appliance::eventually("those who do not read are closed", || {
        counters.write_timeouts.read() == 4
    });
    drop(stubborn);
    let _ = running.stop();
}

#[test]
fn many_connections_at_once_are_all_served() {
    let running = start(&Extra::default());
    let mut clients: Vec<Client> = (0..200).map(|_| running.connect()).collect();
    for round in 0..5 {
        for client in &mut clients {
            client.send(format!("GET /i.gif?n={round} HTTP/1.1\r\nHost: a\r\n\r\n"));
        }
        for client in &mut clients {
            assert_eq!(client.response().status, 200);
        }
    }
    drop(clients);
    let (ended, _) = running.stop();
    assert_eq!(ended.ledger.accepted(), 1000);
}

//! What an exchange is answered, also while the box is stalled, full or without a table.

use brink_proto::{
    frame::{FrameHeader, HEADER_BYTES},
    schema::{Kind, LOOKUPS},
};
use brink_shipper::objects::readback;
use brink_tests::{
    appliance::{eventually, rows, start},
    http::Client,
    process::Serving,
    tables::{LISTENER, provider, publish, sections, site, table},
};
use edge::{http::error::HttpError, roles::provider::dialect_bytes};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

fn await_ready(address: SocketAddr) {
    eventually("a table is served", || Client::connect(address).get("/ready").body == b"1\n");
}

fn body(client: &mut Client, query: &str) -> String {
    let answer = client.get(&format!("/v1/segments/xandr?{query}"));
    assert_eq!(answer.status, 200, "{query}");
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn ready_says_no_without_a_one_until_a_table_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let sections = sections(dir.path(), "");
    let running = start(&provider(LISTENER, &sections));
    let mut client = running.connect();
    eventually("why is said", || running.board().unready(0).len() == 1);
    let ready = client.get("/ready");
    assert_eq!((ready.status, ready.body), (503, b"0\n".to_vec()));
    assert!(!ready.head.split("\r\n\r\n").nth(1).unwrap_or_default().contains('1'));
    assert_eq!(body(&mut client, "uid=7"), "\n", "and everybody is answered");
    assert_eq!(client.get("/health").status, 200);

    publish(dir.path(), 1, &table(&["7"], "sports"));
    await_ready(running.address());
    assert_eq!(body(&mut client, "uid=7"), "sports:750\n");
    assert_eq!(body(&mut client, "uid=8"), "\n");
    drop(client);

    let (_, folder) = running.stop();
    let outcomes = rows(folder.path(), "outcome");
    let outcomes: Vec<_> = outcomes.iter().filter_map(|row| row.text.as_deref()).collect();
    assert_eq!(outcomes, ["no_table", "segments", "unknown"]);
}

#[test]
fn a_table_that_is_too_old_makes_the_box_unready() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), 1, &table(&["7"], "sports"));
    let sections = sections(dir.path(), "age_max_ms = 1000");
    let running = start(&provider(LISTENER, &sections));
    eventually("the table is old", || {
        running.board().tables.version.read() == 1
            && running.board().unready(0).iter().any(|reason| reason.label() == "old_table")
    });
    assert_eq!(running.connect().get("/ready").status, 503);
    assert_eq!(body(&mut running.connect(), "uid=7"), "sports:750\n", "it is served all the same");
    let _ = running.stop();
}

/// Requests that are sent one a millisecond over some connections, and what became of them.
struct Stream {
    clients: Vec<Client>,
    sent: Vec<Instant>,
}

impl Stream {
    fn new(serving: &Serving, connections: usize) -> Stream {
        let clients = (0..connections).map(|_| serving.connect()).collect();
        Stream { clients, sent: Vec::new() }
    }

    fn send_for(&mut self, time: Duration) {
        let from = Instant::now();
        let mut due = from;
        while from.elapsed() < time {
            let at = self.sent.len() % self.clients.len();
            self.sent.push(Instant::now());
            self.clients[at].send("GET /v1/segments/xandr?uid=7 HTTP/1.1\r\nHost: a\r\n\r\n");
            due += Duration::from_millis(1);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// Whether each was answered with segments, in the order that they were sent.
    fn answers(mut self) -> Vec<(Instant, bool)> {
        let count = self.clients.len();
        let mut answers = Vec::new();
        for (at, sent) in self.sent.iter().enumerate() {
            let answer = self.clients[at % count].response();
            assert_eq!(answer.status, 200);
            let known = [&b"\n"[..], b"sports:750\n"].iter().position(|body| answer.body == *body);
            answers.push((*sent, known.expect("one of two answers") == 1));
        }
        answers
    }
}

#[test]
fn a_stalled_box_answers_what_is_late_with_nothing() {
    let site = site("exchange = \"xandr\"\n[listener.provider]\nlate_percent_max = 100", "");
    let serving = site.serve();
    await_ready(serving.listeners[0]);
    let mut stream = Stream::new(&serving, 64);
    stream.send_for(Duration::from_millis(300));
    serving.freeze();
    let stopped = Instant::now();
    stream.send_for(Duration::from_millis(50));
    let continued = Instant::now();
    serving.signal("CONT");
    stream.send_for(Duration::from_millis(300));

    let late_by = continued - Duration::from_millis(7);
    let mut answers = stream.answers();
    let all = answers.len();
    let empty = answers.iter().filter(|(_, segments)| !segments).count();
    answers.retain(|(sent, _)| *sent > stopped && *sent < late_by);
    assert!(answers.len() >= 20, "{} requests in the stall", answers.len());
    assert!(answers.iter().all(|(_, segments)| !segments), "no codes for what is late");
    assert!(empty < all / 2, "{empty} of {all} were empty");
    let late = serving.status()["listeners"][0]["outcomes"]["late"].as_u64();
    assert_eq!(late, Some(empty as u64), "every empty answer is counted");
    assert!(serving.stop().success());
}

#[test]
fn beyond_the_limit_everybody_is_answered_and_nobody_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), 1, &table(&["7"], "sports"));
    let sections = sections(dir.path(), "");
    let listener = "exchange = \"xandr\"\n[listener.provider]\nrate_limit = 100\nbudget_ms = 10000";
    let running = start(&provider(listener, &sections));
    await_ready(running.address());
    let mut client = running.connect();
    let one = "GET /v1/segments/xandr?uid=7 HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(one.repeat(500));
    let answers: Vec<_> = (0..500).map(|_| client.response()).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    let empty = answers.iter().filter(|answer| answer.body == b"\n").count();
    assert!((1..500).contains(&empty), "{empty} were shed");
    let shed = running.board().outcomes[0].labels.iter().position(|o| *o == "shed").unwrap();
    assert_eq!(running.board().shards[0].listeners[0].outcomes[shed].read(), empty as u64);
    drop(client);
    let _ = running.stop();
}

/// What an exchange sends of a user who did not consent; each value is looked for afterwards.
const NONCES: [&str; 8] = [
    "nonce-user-5e0f",
    "nonce-external-5e0f",
    "nonce-extended-5e0f",
    "nonce-agent-5e0f",
    "nonce-referer-5e0f",
    "203.0.113.77",
    "nonce-cookie-5e0f",
    "nonce-other-5e0f",
];

/// What lies in the spool, decompressed.
fn spooled(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let Ok(bytes) = fs::read(entry.path()) else { continue };
        all.extend_from_slice(&bytes);
        for at in (0..bytes.len()).step_by(4096) {
            let Ok(header) = FrameHeader::decode(&bytes[at..]) else { continue };
            let payload =
                at + HEADER_BYTES..at + HEADER_BYTES + header.batch.payload_bytes as usize;
            let Some(payload) = bytes.get(payload) else { continue };
            let raw = zstd::bulk::decompress(payload, header.batch.raw_bytes as usize);
            all.extend_from_slice(&raw.expect("a sound frame"));
        }
    }
    all
}

#[test]
fn who_did_not_consent_is_named_nowhere() {
    let keeps = "[listener.provider]\nkeep_query = true";
    let ack = "ack = { \"/v1/segments/\" = \"durable\" }";
    let site = site(&format!("exchange = \"xandr\"\n{ack}\n{keeps}"), "");
    let serving = site.serve();
    await_ready(serving.listeners[0]);
    let [user, external, extended, agent, referer, ip, cookie, other] = NONCES;
    let query = format!(
        "uid={user}&ext_uid={external}&extended_ids=a,{extended}&ua={agent}&ref={referer}&ip={ip}\
         &other={other}&auction_id=seen-5e0f"
    );
    for consent in ["gdpr=1", "us_privacy=1YYN", "gpp=DBAA&gpp_sid=7", "coppa=1"] {
        let mut client = serving.connect();
        client.send(format!(
            "GET /v1/segments/xandr?{query}&{consent} HTTP/1.1\r\nHost: a\r\nCookie: uid={cookie}\r\n\
             Referer: {referer}\r\nUser-Agent: {agent}\r\n\r\n"
        ));
        assert_eq!(client.response().body, b"\n", "{consent}");
    }
    // Wrong in HTTP itself: what is refused is not logged either.
    serving.connect().try_send(format!("GET /v1/segments/xandr?{query} HTTP/1.1\r\n\r\n"));
    let pages = ["/status", "/metrics"].map(|page| Client::connect(serving.admin).get(page).body);
    serving.kill();

    let spool = spooled(&site.path().join("spool/segments"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(text(&spool).contains("seen-5e0f"), "the rows are in the spool");
    // The next start delivers what the spool has, and logs.
    let again = site.serve();
    again.signal("TERM");
    let (status, lines) = again.wait_with_log();
    assert!(status.success());
    let logs = lines.concat();
    let mut columns = String::new();
    for path in readback::objects_below(&site.path().join("objects")).unwrap() {
        for field in LOOKUPS.fields().filter(|f| f.kind == Kind::Text) {
            let rows = readback::rows(&path, field.name).unwrap();
            rows.iter().filter_map(|r| r.text.as_deref()).for_each(|t| columns.push_str(t));
        }
        columns.push_str(&text(&fs::read(&path).unwrap()));
    }
    assert!(columns.contains("seen-5e0f") && columns.contains("203.0.113.0"));
    for nonce in NONCES {
        for (place, found) in [
            ("the spool", &text(&spool)),
            ("the objects", &columns),
            ("the log", &logs),
            ("/status", &text(&pages[0])),
            ("/metrics", &text(&pages[1])),
        ] {
            assert!(!found.contains(nonce), "{nonce} stands in {place}");
        }
    }
}

/// A POST of a segment request, packed, as Google sends it.
fn segment_request(json: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let head = format!(
        "POST /v1/segments/google HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

#[test]
fn google_is_answered_in_json_and_told_in_rows() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), 1, &table(&["7"], "sports"));
    let sections = sections(dir.path(), "");
    let listener = "exchange = \"google\"\n[listener.provider]\ndialect = \"google\"\n\
                    namespace = \"xandr\"\nbudget_ms = 10000\nlate_percent_max = 100";
    let running = start(&provider(listener, &sections));
    await_ready(running.address());
    let mut client = running.connect();
    let user = r#""imp":[{"tagid":"t-1"},{"tagid":"t-2"}],"user":{"id":7,"eids":[{"source":"a.b",
        "uids":[{"id":"nonce-eid"}]}]},"device":{"ip":"203.0.113.77","ua":"nonce-agent","geo":{
        "country":"USA","city":"nonce-city"}},"site":{"page":"nonce-page"}"#;
    client.send(segment_request(&format!(r#"{{"segment_request_id":"first",{user}}}"#)));
    let answer = client.response();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("content-encoding"), None, "it is short");
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    assert_eq!(answer.body, br#"{"segment":[{"segment_id":"sports"}]}"#);
    // Nobody, somebody who opted out, no JSON, no gzip: one connection, and nothing to say.
    let packed = segment_request("{");
    let broken = [&packed[..packed.len() - 1], b"x"].concat();
    let denied = r#""regs":{"ext":{"us_privacy":"1YYN"}}"#;
    for request in [
        segment_request(r#"{"segment_request_id":"second","user":{"id":"8"}}"#),
        segment_request(&format!(r#"{{"segment_request_id":"third",{user},{denied}}}"#)),
        segment_request(&format!(r#"{{"segment_request_id":"fourth",{user}"#)),
        broken,
        b"GET /v1/segments/google HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
    ] {
        client.send(request);
        let answer = client.response();
        assert_eq!((answer.status, answer.header("content-length")), (204, None));
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
    drop(client);
    // What this dialect takes of memory is planned for.
    let board = running.board();
    let status: Value =
        serde_json::from_slice(&Client::connect(board.admin).get("/status").body).unwrap();
    let lines = status["memory"]["table"].as_array().unwrap();
    let line = lines.iter().find(|line| line["what"] == "segment requests in JSON").unwrap();
    let listener = &board.config.listeners[0];
    let bytes = dialect_bytes(listener.provider.as_ref().unwrap());
    assert!(bytes > 512 << 10);
    assert_eq!(line["bytes"].as_u64(), Some(board.shards.len() as u64 * bytes));
    let planned: u64 = lines.iter().map(|line| line["bytes"].as_u64().unwrap()).sum();
    assert_eq!(status["memory"]["planned_bytes"].as_u64(), Some(planned));

    let (_, folder) = running.stop();
    let column = |name: &str| {
        let rows = rows(folder.path(), name);
        rows.into_iter().map(|row| row.text.unwrap_or_default()).collect::<Vec<_>>()
    };
    let outcomes = ["segments", "unknown", "denied", "bad_request", "bad_request", "bad_request"];
    assert_eq!(column("outcome"), outcomes);
    for (name, want) in [
        ("auction_id", ["first", "second", "third"]),
        ("tag_id", ["t-1", "", "t-1"]),
        ("user_id", ["7", "8", ""]),
        ("extended_ids", ["a.b,nonce-eid", "", ""]),
        ("client_address", ["203.0.113.77", "", "203.0.113.0"]),
        ("user_agent", ["nonce-agent", "", ""]),
        ("referer", ["nonce-page", "", ""]),
        ("country", ["USA", "", "USA"]),
        ("city", ["nonce-city", "", ""]),
        ("matched_namespace", ["xandr", "", ""]),
        ("answered_segments", ["sports", "", ""]),
        ("consent_reason", ["", "", "us_privacy_opt_out"]),
    ] {
        assert_eq!(column(name), [&want[..], &[""; 3]].concat(), "{name}");
    }
}

/// What HTTP itself refuses, as an exchange or somebody else may send it to a path.
fn refused(path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let post = format!("POST {path} HTTP/1.1\r\nHost: a\r\n");
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096));
    let field = format!("X-Field: {}\r\n", "x".repeat(1000));
    let texts = [
        ("body_too_large", format!("{post}Content-Length: 8193\r\n\r\n{{\"user\":")),
        ("body_too_large", format!("{post}Content-Length: {}\r\n\r\n", "9".repeat(30))),
        ("body_too_large", format!("{post}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(3))),
        ("line_too_long", format!("GET {path}?uid={} HTTP/1.1\r\n", "7".repeat(17_000))),
        ("headers_too_large", format!("{post}{}\r\n", field.repeat(60))),
        ("headers_too_large", format!("{post}{}\r\n", "a: b\r\n".repeat(101))),
        ("host", format!("GET {path}?uid=7 HTTP/1.1\r\n\r\n")),
        ("length", format!("{post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}")),
        ("length", format!("{post}Content-Length: -1\r\n\r\n")),
        ("coding", format!("{post}Transfer-Encoding: gzip\r\n\r\n")),
        ("chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nx\r\n")),
        ("expectation", format!("{post}Expect: miracles\r\n\r\n")),
        ("version", format!("GET {path}?uid=7 HTTP/2.0\r\nHost: a\r\n\r\n")),
        ("version", format!("GET {path} ?uid=7\r\n\r\n")),
        ("malformed", format!("G@T {path}?uid=7 HTTP/1.1\r\nHost\r\n\r\n")),
        ("head_timeout", format!("GET {path}?uid=7 HTTP/1.1\r\nHost:")),
        ("body_timeout", format!("{post}Content-Length: 20\r\n\r\n{{\"user\"")),
    ];
    let mut all: Vec<_> = texts.map(|(reason, text)| (reason, text.into_bytes())).into();
    all.push(("malformed", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()));
    all
}

#[test]
fn what_is_no_call_at_all_is_answered_with_nothing_in_both_dialects() {
    for (dialect, status, nothing) in [("xandr", 200, &b"\n"[..]), ("google", 204, b"")] {
        let path = format!("/v1/segments/{dialect}");
        let dir = tempfile::tempdir().unwrap();
        publish(dir.path(), 1, &table(&["7"], "sports"));
        let sections = sections(dir.path(), "");
        let listener = format!(
            "exchange = \"{dialect}\"\nbody_bytes_max = 8192\nhead_timeout_ms = 100\n\
             body_timeout_ms = 100\n[listener.provider]\ndialect = \"{dialect}\"\n\
             late_percent_max = 100\nbudget_ms = 10000"
        );
        let running = start(&provider(&listener, &sections));
        await_ready(running.address());
        let refusals = refused(&path);
        for (reason, request) in &refusals {
            let shown = request[..request.len().min(99)].escape_ascii();
            let mut client = running.connect();
            client.try_send(request);
            let answer = client.response();
            assert_eq!((answer.status, &*answer.body), (status, nothing), "{reason}: {shown}");
            assert_eq!(answer.header("connection"), Some("close"), "{reason}");
            assert!(client.is_closed(), "{reason}");
        }
        let board = running.board();
        let counters = &board.shards[0].listeners[0];
        for (error, counted) in HttpError::ALL.iter().zip(&counters.refused) {
            let sent = refusals.iter().filter(|(reason, _)| *reason == error.label()).count();
            assert_eq!(counted.read(), sent as u64, "{error:?}");
        }
        // What is only no call leaves the connection as it is.
        let coded = |coding: &str| {
            format!(
                "POST /v1/segments/google HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\n\
                 Content-Length: 6\r\n\r\n\x0b\x01\x00{{}}\x03"
            )
        };
        let bomb = segment_request(&format!("{{}}{}", " ".repeat(5 << 20)));
        let mut client = running.connect();
        for request in [bomb, coded("br").into(), coded("gzip, br").into()] {
            let behind_path = request.strip_prefix(b"POST /v1/segments/google").unwrap();
            client.send([format!("POST {path}").as_bytes(), behind_path].concat());
            let answer = client.response();
            assert_eq!((answer.status, &*answer.body), (status, nothing));
            assert_eq!(answer.header("connection"), Some("keep-alive"));
        }
        let bad = board.outcomes[0].labels.iter().position(|o| *o == "bad_request").unwrap();
        assert_eq!(counters.outcomes[bad].read(), 3);
        drop(client);
        let _ = running.stop();
    }
}

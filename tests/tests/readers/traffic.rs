//! Requests of every kind that a pixel tells apart, and the row that each must become.
//!
//! Every request has a nonce in its query, by which its row is known again. What only the appliance
//! knows (shard, sequence, time, duration) is not in the expected row; [`Traffic::check`] holds it
//! against what must be true of it.

use brink_proto::schema::IMPRESSIONS;
use brink_tests::http::Client;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::Range,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// Columns by name.
pub(crate) type Row = Map<String, Value>;

/// The keys of a listener that the requests are made for. Every answer means that its row is
/// durable.
pub(crate) const LISTENER: &str = r#"
exchange = "xandr"
trusted_proxies = ["127.0.0.0/8"]
ack = { "/i.gif" = "durable" }
"#;

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Name of the listener.
    pub(crate) listener: &'static str,
    pub(crate) incarnation: u64,
}

/// Connections that ask at once, and requests in flight on each.
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;

/// Columns that only the appliance knows.
const MEASURED: [&str; 4] = ["shard", "sequence", "event_time", "service_time_ns"];

/// What was asked and answered, and when.
#[derive(Default)]
pub(crate) struct Traffic {
    /// The rows that there must be, by nonce.
    wanted: BTreeMap<String, Row>,
    /// Microseconds since 1970 within which each start was asked, by incarnation.
    asked: BTreeMap<u64, Range<i64>>,
}

impl Traffic {
    /// Asks for `count` pixels.
    pub(crate) fn ask(&mut self, target: Target, count: usize) {
        // The appliance's clock and ours may differ by a little.
        let slack = 1_000_000;
        let from = now_us() - slack;
        let share = move |asker: usize| (0..count).skip(asker).step_by(CONNECTIONS);
        let askers: Vec<_> = (0..CONNECTIONS)
            .map(|asker| {
                thread::spawn(move || {
                    let numbers: Vec<_> = share(asker).collect();
                    let mut client = Client::connect(target.address);
                    let answered = |chunk: &[usize]| pipeline(&mut client, target, chunk);
                    numbers.chunks(IN_FLIGHT).flat_map(answered).collect::<Vec<_>>()
                })
            })
            .collect();
        for asker in askers {
            self.wanted.extend(asker.join().expect("every request is answered"));
        }
        let until = now_us() + slack;
        self.asked.entry(target.incarnation).or_insert(from..until).end = until;
    }

    /// How many rows there must be.
    pub(crate) fn count(&self) -> u64 {
        self.wanted.len() as u64
    }

    /// Holds what a reader has read against what was answered, row by row and column by column.
    /// `beside` are the columns that the reader adds.
    pub(crate) fn check(&self, reader: &str, rows: &BTreeMap<String, Row>, beside: &[&str]) {
        let nonces = |rows: &BTreeMap<String, Row>| rows.keys().cloned().collect::<BTreeSet<_>>();
        let (want, got) = (nonces(&self.wanted), nonces(rows));
        let missing: Vec<_> = want.difference(&got).take(3).collect();
        let invented: Vec<_> = got.difference(&want).take(3).collect();
        assert!(missing.is_empty(), "{reader}: answered and not a row: {missing:?}");
        assert!(invented.is_empty(), "{reader}: a row that nobody asked for: {invented:?}");
        let columns = IMPRESSIONS.fields().map(|f| f.name).chain(beside.iter().copied());
        let columns: BTreeSet<&str> = columns.collect();
        let mut sequences: BTreeMap<(u64, u64), BTreeSet<u64>> = BTreeMap::new();
        for (nonce, row) in rows {
            assert_eq!(row.keys().map(String::as_str).collect::<BTreeSet<_>>(), columns);
            for (column, want) in &self.wanted[nonce] {
                assert_eq!(row[column], *want, "{reader}: {column} of {nonce}");
            }
            let number = |column: &str| row[column].as_u64().expect("a number from 0");
            let incarnation = number("incarnation");
            let time = number("event_time") as i64;
            assert!(self.asked[&incarnation].contains(&time), "{reader}: {time} of {nonce}");
            assert!(number("service_time_ns") > 0, "{reader}: {nonce}");
            let stream = sequences.entry((incarnation, number("shard"))).or_default();
            let fresh = stream.insert(number("sequence"));
            assert!(fresh, "{reader}: the sequence of {nonce} stands twice");
        }
        for (stream, sequences) in sequences {
            let last = sequences.last().copied().unwrap_or(0);
            assert_eq!(last + 1, sequences.len() as u64, "{reader}: {stream:?} has holes");
        }
    }

    /// How many rows of each column are null.
    pub(crate) fn nulls(&self) -> Row {
        let nulls = |column: &str| self.wanted.values().filter(|row| row[column].is_null()).count();
        let told = |column: &&str| !MEASURED.contains(column);
        let columns = IMPRESSIONS.fields().map(|f| f.name);
        let mut counts: Row =
            columns.filter(told).map(|c| (c.to_owned(), json!(nulls(c)))).collect();
        counts.extend(MEASURED.map(|column| (column.to_owned(), json!(0))));
        counts
    }

    /// How many rows have this value.
    pub(crate) fn with(&self, column: &str, value: &str) -> u64 {
        self.wanted.values().filter(|row| row[column] == value).count() as u64
    }
}

/// Rows by the nonce in their query.
pub(crate) fn by_nonce(rows: Vec<Value>) -> BTreeMap<String, Row> {
    let count = rows.len();
    let keyed = rows.into_iter().map(|row| {
        let Value::Object(row) = row else { panic!("a row is an object") };
        let query = row["raw_query"].as_str().expect("every request has a query");
        let nonce = query.split('&').find_map(|p| p.strip_prefix("n=")).expect("a nonce");
        (nonce.to_owned(), row)
    });
    let keyed: BTreeMap<_, _> = keyed.collect();
    assert_eq!(keyed.len(), count, "a row stands twice");
    keyed
}

/// Sends requests at once, and reads all answers; gives the row of each by its nonce.
fn pipeline(client: &mut Client, target: Target, numbers: &[usize]) -> Vec<(String, Row)> {
    let asked: Vec<_> = numbers.iter().map(|n| Asked::new(target, *n)).collect();
    let bytes: Vec<u8> = asked.iter().flat_map(|a| a.request.iter().copied()).collect();
    client.send(bytes);
    let answered = asked.into_iter().map(|mut asked| {
        let answer = match asked.row["method"].as_str() {
            Some("HEAD") => client.response_to_head(),
            _ => client.response(),
        };
        assert_eq!(answer.status, 200);
        let bytes = answer.head.len() + answer.body.len();
        asked.row.insert("response_bytes".to_owned(), json!(bytes));
        (asked.nonce, asked.row)
    });
    answered.collect()
}

/// A request, and the row that it must become.
struct Asked {
    nonce: String,
    request: Vec<u8>,
    row: Row,
}

impl Asked {
    /// Request `number`, which chooses its kind.
    fn new(target: Target, number: usize) -> Asked {
        let Target { listener, incarnation, .. } = target;
        let nonce = format!("{listener}-{incarnation}-{number}");
        let mut asked = Asked { request: Vec::new(), row: Row::new(), nonce };
        let plain = json!({
            "edge": "test", "incarnation": incarnation, "listener": listener,
            "exchange_label": "xandr", "datacenter_label": null, "peer_address": "127.0.0.1",
            "status": 200, "client_address": "127.0.0.1", "method": "GET", "path": "/i.gif",
            "raw_query": format!("n={}", asked.nonce), "referer": null, "user_agent": null,
            "accept_language": null, "cookie_id": null, "auction_id": null,
            "consent_decision": null, "truncated": null,
        });
        asked.expect(plain);
        asked.line("GET", "");
        asked.dress(number);
        asked.request.extend_from_slice(b"\r\n");
        asked
    }

    /// Begins the request anew, with its line; `query` follows the nonce.
    fn line(&mut self, method: &str, query: &str) {
        let query = format!("n={}{query}", self.nonce);
        self.request = format!("{method} /i.gif?{query} HTTP/1.1\r\nHost: test\r\n").into_bytes();
        self.expect(json!({ "method": method, "raw_query": query }));
    }

    fn header(&mut self, name: &str, value: &[u8]) {
        self.request.extend_from_slice(name.as_bytes());
        self.request.extend_from_slice(b": ");
        self.request.extend_from_slice(value);
        self.request.extend_from_slice(b"\r\n");
    }

    fn expect(&mut self, columns: Value) {
        let Value::Object(columns) = columns else { panic!("columns by name") };
        self.row.extend(columns);
    }

    /// Gives the request what its kind has: texts of every form, and every way of having none.
    fn dress(&mut self, number: usize) {
        match number % 8 {
            0 => {}
            1 => {
                let (auction, cookie) = (format!("a{number}"), format!("u{}", number % 97));
                self.line("GET", &format!("&auction_id={auction}&p=%20%C3%A9"));
                self.header("Referer", b"https://news.example/story?a=1&b=2");
                self.header("User-Agent", b"Mozilla/5.0 (X11; Linux x86_64)");
                self.header("Accept-Language", b"en-US,en;q=0.9");
                self.header("Cookie", format!("a=b; uid={cookie}; c=d").as_bytes());
                self.expect(json!({
                    "referer": "https://news.example/story?a=1&b=2",
                    "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
                    "accept_language": "en-US,en;q=0.9",
                    "cookie_id": cookie, "auction_id": auction,
                }));
            }
            // Empty, or never filled in, is null.
            2 => {
                self.line("GET", "&auction_id=%24%7BAUCTION_ID%7D");
                self.header("Cookie", b"uid=");
            }
            3 => {
                let text = "https://пример.example/\u{1f600}/\"\\";
                self.header("Referer", text.as_bytes());
                self.expect(json!({ "referer": text }));
            }
            // Bytes that are no UTF-8 are ISO-8859-1.
            4 => {
                self.header("User-Agent", b"caf\xe9 \xff\x80");
                self.expect(json!({ "user_agent": "café ÿ\u{80}" }));
            }
            5 if number % 128 == 5 => self.lengthen(number),
            // A text that is too long is cut at a character, and the row says so.
            5 => {
                let text = "ж".repeat(1500);
                self.header("User-Agent", text.as_bytes());
                self.expect(json!({ "user_agent": &text[..2048], "truncated": true }));
            }
            6 => self.line("HEAD", ""),
            _ => {
                self.header("X-Forwarded-For", b"10.0.0.1, 2001:db8::17");
                self.header("Accept-Language", b"");
                self.expect(json!({ "client_address": "2001:db8::17", "accept_language": "" }));
            }
        }
    }

    /// Makes the event longer than what the appliance compresses at once.
    fn lengthen(&mut self, number: usize) {
        let text: String = (number..number + 3000).map(|n| format!("{n:x}.")).collect();
        self.line("GET", &format!("&{}", &text[..9000]));
        self.header("Referer", text.as_bytes());
        self.expect(json!({ "referer": &text[..8192], "truncated": true }));
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_micros() as i64
}

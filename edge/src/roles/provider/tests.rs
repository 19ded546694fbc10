//! What a provider answers, row by row.

use super::*;
use crate::{
    config::{file::DialectWord, provider::ProviderConfig},
    consent::Policy,
    http::{
        date::HeadEnd,
        head::{header_space, parse},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::Ack,
    table::handover::{LoadedTable, TableTaker},
};
use brink_proto::{
    decoded::Lookup,
    event::Row,
    ids::{Micros, PriceMicros},
    table::{Namespace, Segment, Table, write},
    wire::Writer,
};
use prost::Message;
use std::time::Duration;

/// What the tests buy: a user of the exchange, one of ours, one of another system.
fn table() -> LoadedTable {
    let price = |micros: u64| PriceMicros::new(micros);
    let segment = |code: &'static str, price| Segment { code: code.as_bytes(), price, score: None };
    let entry = |ns: &str, id: &str, base_price, segments| write::Entry {
        key: Namespace::new(ns).key(id.as_bytes()),
        base_price,
        segments,
    };
    let bytes = write::assemble(&[
        entry("xandr", "7", None, vec![segment("autos", price(1_200_000)), segment("b", None)]),
        entry("external", "e,7", price(50_500), vec![segment("sports", None)]),
        entry("liveramp.com", "X=", None, vec![segment("travel", price(750_000))]),
        entry("xandr", "8", None, Vec::new()),
    ]);
    LoadedTable::of_bytes(&bytes.unwrap(), 17, Micros(1_000_000)).unwrap()
}

pub(super) fn config(form: Form, rate: Option<f64>) -> ProviderConfig {
    ProviderConfig {
        form,
        keep_query: true,
        rate_per_shard: rate,
        ..ProviderConfig::of_defaults(DialectWord::Xandr, "xandr")
    }
}

/// A provider, and everything that a request needs.
pub(super) struct Fixture {
    view: ProviderView,
    state: ProviderState,
    blocks: OutBlocks,
    pub(super) waited: Duration,
}

/// The status line and the fields of an answer, and its body.
pub(super) fn parts(answer: &[u8]) -> (String, Vec<u8>) {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
}

/// Status, body, and the event if there is one.
type Told = (u16, String, Option<Lookup>);

impl Fixture {
    fn new(form: Form, rate: Option<f64>, with_table: bool) -> Fixture {
        Fixture::of(&config(form, rate), with_table.then(table))
    }

    pub(super) fn of(config: &ProviderConfig, table: Option<LoadedTable>) -> Fixture {
        let supplies = Supplies { table: table.map(TableTaker::holding) };
        let view = ProviderView::of(config, "xandr", Ack::Received, Policy::default(), supplies);
        let state = Provider::state(&view);
        Fixture { view, state, blocks: OutBlocks::map(16).unwrap(), waited: Duration::ZERO }
    }

    fn standard() -> Fixture {
        Fixture::new(Form::Price, None, true)
    }

    fn ask(&mut self, method: &str, target: &str) -> Told {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (status, answer, event) = self.send(&head, b"");
        if status == 404 {
            return (status, String::new(), event);
        }
        let (_, body) = parts(&answer);
        (status, String::from_utf8(body).unwrap(), event)
    }

    /// Status, what was written, and the event if there is one.
    pub(super) fn send(&mut self, head: &str, body: &[u8]) -> (u16, Vec<u8>, Option<Lookup>) {
        let mut output = Output::default();
        let head_end = HeadEnd::at(Micros(0));
        let mut space = header_space();
        let (head, _) = parse(head.as_bytes(), &mut space).unwrap().unwrap();
        let mut answer = Answer::new(&mut output, &mut self.blocks, &head_end, &head, false);
        let address = AddressText::new("192.0.2.1".parse().unwrap());
        let request = Request { head: &head, body, peer: &address, client: &address };
        let moment = Moment { time: Micros(3_500_000), waited: self.waited };
        let outcome = Provider::handle(&request, &self.view, &mut self.state, moment, &mut answer);
        let event = match outcome {
            super::super::Outcome::NotFound => return (404, Vec::new(), None),
            super::super::Outcome::Answered => None,
            super::super::Outcome::Event { row, outcome, .. } => {
                let mut bytes = vec![0; row.encoded_bytes()];
                let mut out = Writer::new(&mut bytes);
                row.encode(&mut out);
                assert_eq!(out.finish(), Some(bytes.len()));
                let event = Lookup::decode(bytes.as_slice()).unwrap();
                assert_eq!(event.outcome, Provider::OUTCOMES[outcome]);
                Some(event)
            }
        };
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(span) = output.start_send(&self.blocks) {
            bytes.extend(self.blocks.memory().copy(span));
            output.finish_send(&mut self.blocks, span.to - span.from);
        }
        (status, bytes, event)
    }

    /// The body and the outcome of a query.
    fn query(&mut self, query: &str) -> (String, String) {
        let (status, body, event) = self.ask("GET", &format!("/v1/segments/xandr?{query}"));
        assert_eq!(status, 200, "{query}");
        (body, event.map(|event| event.outcome).unwrap_or_default())
    }
}

#[test]
fn a_user_is_found_under_any_id_that_the_exchange_sends() {
    let mut fixture = Fixture::standard();
    let rows = [
        ("uid=7", "autos:1200\nb\n", "segments"),
        ("uid=%37&tag=1", "autos:1200\nb\n", "segments"),
        ("uid=6&ext_uid=e%2C7", "sports:50\n", "segments"),
        ("uid=${USER_ID}&ext_uid=e,7", "sports:50\n", "segments"),
        ("uid=0&extended_ids=a.b,1|liveramp.com,X=", "travel:750\n", "segments"),
        ("extended_ids=liveramp.com%2CX%3D%7Ca,1", "travel:750\n", "segments"),
        ("uid=7&uid=6", "autos:1200\nb\n", "segments"),
        ("uid=8", "\n", "unknown"),
        ("uid=6", "\n", "unknown"),
        ("uid=", "\n", "unknown"),
        ("", "\n", "unknown"),
        ("extended_ids=liveramp.com", "\n", "unknown"),
        ("extended_ids=,|,|||liveramp.com,", "\n", "unknown"),
        ("uid=%ff%fe%00&ext_uid=%", "\n", "unknown"),
    ];
    for (query, body, outcome) in rows {
        assert_eq!(fixture.query(query), (body.to_owned(), outcome.to_owned()), "{query}");
    }
}

#[test]
fn codes_stand_alone_where_the_exchange_wants_no_price() {
    let mut fixture = Fixture::new(Form::Code, None, true);
    assert_eq!(fixture.query("uid=7").0, "autos\nb\n");
}

#[test]
fn everything_below_the_path_is_answered_and_nothing_else() {
    let mut fixture = Fixture::standard();
    let path = "/v1/segments/xandr";
    let rows = [
        ("POST", path, 200, "\n", Some("bad_request")),
        ("DELETE", path, 200, "\n", Some("bad_request")),
        ("HEAD", path, 200, "", Some("unknown")),
        ("GET", "/v1/segments/other?uid=7", 404, "", None),
        ("GET", "/v1/segments/xandr/", 404, "", None),
        ("GET", "/", 404, "", None),
    ];
    for (method, target, status, body, outcome) in rows {
        let got = fixture.ask(method, target);
        assert_eq!((got.0, got.1.as_str()), (status, body), "{method} {target}");
        assert_eq!(got.2.map(|event| event.outcome).as_deref(), outcome, "{method} {target}");
    }
}

#[test]
fn a_request_whose_budget_is_used_up_gets_no_codes() {
    let mut fixture = Fixture::standard();
    for (waited_us, outcome) in [(6_999, "segments"), (7_000, "segments"), (7_001, "late")] {
        fixture.waited = Duration::from_micros(waited_us);
        assert_eq!(fixture.query("uid=7").1, outcome, "{waited_us}");
    }
    assert_eq!(Provider::LATE, Provider::OUTCOMES.iter().position(|o| *o == "late"));
    // In a queue that grows, whoever has no segments is not looked for any further.
    fixture.waited = Duration::from_micros(3_501);
    let rows = [("uid=7", "segments"), ("uid=6&ext_uid=e,7", "shed"), ("uid=6", "shed")];
    for (query, outcome) in rows {
        assert_eq!(fixture.query(query).1, outcome, "{query}");
    }
}

#[test]
fn beyond_the_limit_those_without_segments_go_without_first() {
    // Ten tokens, and a quarter of them for those who are worth something.
    let mut fixture = Fixture::new(Form::Price, Some(100.0), true);
    let mut outcomes = Vec::new();
    for _ in 0..12 {
        outcomes.push(fixture.query("uid=6").1);
    }
    assert_eq!(outcomes.iter().filter(|o| *o == "unknown").count(), 8);
    assert_eq!(outcomes.iter().filter(|o| *o == "shed").count(), 4);
    let rest: Vec<_> = (0..3).map(|_| fixture.query("uid=7").1).collect();
    assert_eq!(rest, ["segments", "segments", "shed"]);
}

#[test]
fn without_a_table_the_answer_is_empty() {
    let mut fixture = Fixture::new(Form::Price, None, false);
    assert_eq!(fixture.query("uid=7"), ("\n".to_owned(), "no_table".to_owned()));
}

#[test]
fn an_event_tells_what_was_asked_and_answered() {
    let mut fixture = Fixture::standard();
    let query = "uid=7&ext_uid=9&extended_ids=a,1&ip=203.0.113.9&ua=M%2F5&ref=r&tag=t&country=US\
                 &region=NY&city=C&dma=501&postal=10001&auction_id=9f6c&gdpr=0";
    let event = fixture.ask("GET", &format!("/v1/segments/xandr?{query}")).2.unwrap();
    let want = Lookup {
        outcome: "segments".into(),
        user_id: Some("7".into()),
        external_id: Some("9".into()),
        extended_ids: Some("a,1".into()),
        matched_namespace: Some("xandr".into()),
        client_address: Some("203.0.113.9".into()),
        user_agent: Some("M%2F5".into()),
        referer: Some("r".into()),
        tag_id: Some("t".into()),
        country: Some("US".into()),
        region: Some("NY".into()),
        city: Some("C".into()),
        dma: Some("501".into()),
        postal: Some("10001".into()),
        auction_id: Some("9f6c".into()),
        consent_decision: Some("allowed".into()),
        consent_reason: Some("out_of_scope".into()),
        answered_segments: Some("autos:1200 b".into()),
        segment_count: 2,
        table_version: Some(17),
        table_age_ms: Some(2_500),
        raw_query: Some(query.into()),
        ..Lookup::default()
    };
    assert_eq!(event, want);
}

#[test]
fn an_event_of_somebody_who_did_not_consent_says_nothing_of_them() {
    let mut fixture = Fixture::standard();
    for (ip, network) in [("203.0.113.9", "203.0.113.0"), ("2001:db8:1:2::3", "2001:db8:1::")] {
        let query = format!(
            "uid=7&ext_uid=9&extended_ids=a,1&ip={ip}&ua=u&ref=r&tag=t&country=US&region=NY&city=C\
             &dma=501&postal=10001&auction_id=9f6c&us_privacy=1YYN"
        );
        let (_, body, event) = fixture.ask("GET", &format!("/v1/segments/xandr?{query}"));
        assert_eq!(body, "\n");
        let want = Lookup {
            outcome: "denied".into(),
            client_address: Some(network.into()),
            tag_id: Some("t".into()),
            country: Some("US".into()),
            region: Some("NY".into()),
            auction_id: Some("9f6c".into()),
            consent_decision: Some("denied".into()),
            consent_reason: Some("us_privacy_opt_out".into()),
            ..Lookup::default()
        };
        assert_eq!(event, Some(want));
    }
    // Nor when it came too late to be looked at.
    fixture.waited = Duration::from_secs(1);
    let event = fixture.ask("GET", "/v1/segments/xandr?uid=7&us_privacy=1YYN").2.unwrap();
    assert_eq!((event.outcome.as_str(), event.user_id, event.raw_query), ("late", None, None));
}

#[test]
fn an_answer_is_bounded_and_whole_lines() {
    let codes: Vec<String> = (0..4096).map(|n| format!("segment_{n:04}")).collect();
    let price = PriceMicros::new(1_000_000);
    let segments =
        codes.iter().map(|code| Segment { code: code.as_bytes(), price, score: None }).collect();
    let key = Namespace::new("xandr").key(b"1");
    let bytes = write::assemble(&[write::Entry { key, base_price: None, segments }]).unwrap();
    let table = Table::open(bytes).unwrap();
    let mut lines = Lines::default();
    lines.write(table.find(key).unwrap(), Form::Price);
    assert!((1..4096).contains(&lines.count()));
    assert_eq!(lines.as_bytes().last(), Some(&b'\n'));
    assert_eq!(lines.as_bytes().split(|b| *b == b'\n').count(), lines.count() + 1);
}

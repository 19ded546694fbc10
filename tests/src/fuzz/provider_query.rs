//! The provider against any query: answered by whole lines within a bound, its row what was sent.

use super::feature::reached;
use brink_proto::{
    decoded,
    event::{AddressText, EVENT_BYTES_MAX, Row},
    ids::{Micros, PriceMicros},
    table::{Namespace, Segment, Table, write},
    wire::Writer,
};
use edge::{
    config::{
        file::DialectWord,
        provider::{ProviderConfig, TEXT_BYTES_MAX},
    },
    consent::Policy,
    http::{
        answer::Answer,
        date::HeadEnd,
        head::{BodyFraming, Fields, Head, Version},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::{
        Ack, Moment, Outcome, Request, Role, Supplies,
        parameters::Meaning,
        provider::{Form, Provider, ProviderState, ProviderView},
    },
    table::{
        arena::Arena,
        handover::{LoadedTable, TableGiver},
    },
};
use prost::Message;
use std::{cell::RefCell, sync::Arc, time::Duration};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn provider_query(data: &[u8]) {
    WORLD.with_borrow_mut(|world| world.ask(data));
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// A provider with a table of a few users.
struct World {
    view: ProviderView,
    state: ProviderState,
    blocks: OutBlocks,
    /// Keeps the table alive.
    _giver: TableGiver,
}

impl World {
    fn new() -> World {
        let (mut giver, mut takers) = TableGiver::new(1);
        assert!(giver.give(Arc::new(table())).is_ok());
        let config = ProviderConfig {
            dialect: DialectWord::Xandr,
            form: Form::Price,
            namespace: "xandr".to_owned(),
            external_namespace: "external".to_owned(),
            parameters: Meaning::ALL.map(|(meaning, _, name)| (meaning, name.to_owned())).to_vec(),
            budget: Duration::from_millis(7),
            rate_per_shard: None,
            late_percent_max: 5,
            text_bytes_max: TEXT_BYTES_MAX,
        };
        let supplies = Supplies { table: takers.pop() };
        let policy = Policy { vendor: 42, ..Policy::default() };
        let mut view = ProviderView::of(&config, "xandr", Ack::Received, policy, supplies);
        Provider::refresh(&mut view);
        let state = Provider::state(&view);
        let blocks = OutBlocks::map(8).expect("memory");
        World { view, state, blocks, _giver: giver }
    }

    fn ask(&mut self, query: &[u8]) {
        let head = Head {
            method: "GET",
            path: b"/v1/segments/xandr",
            query: Some(query),
            version: Version::Http11,
            fields: Fields::default(),
            keep_alive: true,
            expects_continue: false,
            framing: BodyFraming::Length(0),
        };
        let mut output = Output::default();
        let head_end = HeadEnd::at(Micros(0));
        let mut answer = Answer::new(&mut output, &mut self.blocks, &head_end, &head, false);
        let address = AddressText::new([192, 0, 2, 1].into());
        let request = Request { head: &head, body: b"", peer: &address, client: &address };
        let moment = Moment::at(Micros(1_000_000));
        let outcome = Provider::handle(&request, &self.view, &mut self.state, moment, &mut answer);
        let Outcome::Event { outcome, row, .. } = outcome else { panic!("a call is told") };
        reached(Provider::OUTCOMES[outcome]);
        let mut buffer = [0; EVENT_BYTES_MAX];
        let mut out = Writer::new(&mut buffer);
        row.encode(&mut out);
        let written = out.finish().expect("no row is longer than the longest event");
        assert_eq!(written, row.encoded_bytes());
        let row = decoded::Lookup::decode(&buffer[..written]).expect("a message");
        assert!(answer.is_complete() && answer.status() == 200 && answer.keeps_alive());
        let span = output.start_send(&self.blocks).expect("an answer");
        let bytes = self.blocks.memory().copy(span);
        let sent = span.to - span.from;
        output.finish_send(&mut self.blocks, sent);
        let body = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        check(&bytes[body..], &row);
    }
}

fn check(body: &[u8], row: &decoded::Lookup) {
    let lines: Vec<_> = body.strip_suffix(b"\n").expect("lines").split(|b| *b == b'\n').collect();
    let told = row.answered_segments.as_deref().unwrap_or_default();
    assert_eq!(lines, told.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    assert_eq!(row.outcome == "segments", row.segment_count > 0);
    if row.consent_decision.as_deref() == Some("denied") {
        assert_eq!((row.outcome.as_str(), body), ("denied", &b"\n"[..]));
        let ids = [&row.user_id, &row.external_id, &row.extended_ids, &row.raw_query];
        assert!(ids.into_iter().all(Option::is_none), "nobody is named who did not allow it");
    }
}

fn table() -> LoadedTable {
    let price = PriceMicros::new(750_000);
    let entry = |ns: &str, id: &str| write::Entry {
        key: Namespace::new(ns).key(id.as_bytes()),
        base_price: None,
        segments: vec![
            Segment { code: b"a", price, score: None },
            Segment { code: b"b", price: None, score: None },
        ],
    };
    let entries = [entry("xandr", "7"), entry("external", "7"), entry("a.b", "7")];
    let bytes = write::assemble(&entries).expect("a table");
    let mut arena = Arena::map(bytes.len()).expect("memory");
    arena.fill(&mut bytes.as_slice(), bytes.len()).expect("room");
    let table = Table::open(arena).expect("a table");
    LoadedTable { table, version: 1, published: Micros(0) }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [
        "uid=7&ext_uid=8&extended_ids=a.b,7|c,9&ip=203.0.113.9&ua=M&ref=r&tag=1&country=US&region=NY\
         &city=C&dma=501&postal=10001&gdpr=0&auction_id=9f6c",
        "uid=${USER_ID}&ext_uid=7&gdpr=${GDPR_APPLIES}&gdpr_consent=",
        "uid=0&extended_ids=a.b%2C7%7Cx&us_privacy=1YYN&ip=2001:db8::1",
        "uid=%37&gpp=DBAA&gpp_sid=2,7&coppa=1",
    ]
    .map(|query| query.as_bytes().to_vec())
    .to_vec()
}

/// What is worth putting into an input.
pub const WORDS: &[&[u8]] = &[
    b"&",
    b"=",
    b"%2C",
    b"%7C",
    b"|",
    b",",
    b"uid=",
    b"ext_uid=",
    b"extended_ids=a.b,7",
    b"${",
    b"0",
    b"7",
    b"gdpr=1",
    b"us_privacy=1NYN",
    b"ip=::1",
];

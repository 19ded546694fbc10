//! A provider for the bodies of its targets: a table of a few users, and one call after another.

use super::feature::reached;
use brink_proto::{
    decoded,
    event::{AddressText, EVENT_BYTES_MAX, Row},
    ids::{Micros, PriceMicros},
    table::{Namespace, Segment, write},
    wire::Writer,
};
use edge::{
    config::{file::DialectWord, provider::ProviderConfig},
    consent::Policy,
    http::{
        answer::Answer,
        date::HeadEnd,
        head::{BodyFraming, Fields, Head, Version},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::{
        Ack, Moment, Outcome, Request, Role, Supplies,
        provider::{Provider, ProviderState, ProviderView},
    },
    table::handover::{LoadedTable, TableTaker},
};
use prost::Message;

/// A provider with a table: "7" is a user of "xandr", of "external" and of "a.b", and "8" one of
/// "xandr" with many segments.
pub(super) struct World {
    view: ProviderView,
    state: ProviderState,
    blocks: OutBlocks,
}

/// A call.
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) query: Option<&'a [u8]>,
    pub(super) fields: Fields<'a>,
    pub(super) body: &'a [u8],
}

/// What came of it.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    pub(super) row: decoded::Lookup,
}

/// What the users of the tests' world have to allow.
pub(super) fn policy() -> Policy {
    Policy { vendor: 42, ..Policy::default() }
}

impl World {
    pub(super) fn new(dialect: DialectWord) -> World {
        let config =
            ProviderConfig { keep_query: true, ..ProviderConfig::of_defaults(dialect, "xandr") };
        let supplies = Supplies { table: Some(TableTaker::holding(table())) };
        let view = ProviderView::of(&config, "xandr", Ack::Received, policy(), supplies);
        let state = Provider::state(&view);
        let blocks = OutBlocks::map(16).expect("memory");
        World { view, state, blocks }
    }

    /// Calls. The answer is whole, and the row decodes.
    pub(super) fn ask(&mut self, call: &Call<'_>) -> Answered {
        let head = Head {
            method: call.method,
            path: b"/v1/segments/xandr",
            query: call.query,
            version: Version::Http11,
            fields: call.fields,
            keep_alive: true,
            expects_continue: false,
            framing: BodyFraming::Length(call.body.len()),
        };
        let mut output = Output::default();
        let head_end = HeadEnd::at(Micros(0));
        let mut answer = Answer::new(&mut output, &mut self.blocks, &head_end, &head, false);
        let address = AddressText::new([192, 0, 2, 1].into());
        let request = Request { head: &head, body: call.body, peer: &address, client: &address };
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
        assert!(answer.is_complete() && answer.keeps_alive());
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(span) = output.start_send(&self.blocks) {
            bytes.extend(self.blocks.memory().copy(span));
            output.finish_send(&mut self.blocks, span.to - span.from);
        }
        let body = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(bytes[..body].to_vec()).expect("ASCII");
        Answered { status, head, body: bytes[body..].to_vec(), row }
    }
}

fn table() -> LoadedTable {
    let price = PriceMicros::new(750_000);
    let codes: Vec<String> = (0..100).map(|n| format!("segment_{n:02}")).collect();
    let segment = |code: &'static str, price| Segment { code: code.as_bytes(), price, score: None };
    let entry = |ns: &str, id: &str, segments| write::Entry {
        key: Namespace::new(ns).key(id.as_bytes()),
        base_price: None,
        segments,
    };
    let two = || vec![segment("a", price), segment("b", None)];
    let many = codes.iter().map(|code| Segment { code: code.as_bytes(), price, score: None });
    let entries = [
        entry("xandr", "7", two()),
        entry("external", "7", two()),
        entry("a.b", "7", two()),
        entry("xandr", "8", many.collect()),
    ];
    let bytes = write::assemble(&entries).expect("a table");
    LoadedTable::of_bytes(&bytes, 1, Micros(0)).expect("a table")
}

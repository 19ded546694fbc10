//! The borrowed encoder against prost's decoder: what we write is what every consumer reads.

use brink_proto::{
    decoded,
    event::{AddressText, EVENT_BYTES_MAX, Event, Row, STAMP_BYTES_MAX, Stamp, identity, labels},
    ids::{Incarnation, Micros, Name, Sequence, ShardId},
    schema::{self, Kind},
    wire::Writer,
    *,
};
use proptest::prelude::*;
use prost::Message;
use std::net::IpAddr;

/// The text that a consumer should see for the bytes that a client sent.
fn seen(bytes: &[u8], max: usize) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    };
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ -~]{0,40}".prop_map(String::into_bytes),
        2 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (0..3usize, any::<u8>()).prop_map(move |(over, b)| vec![b; max - 1 + over]),
    ]
}

fn maybe(max: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(bytes(max))
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_prost_decodes(
        sequence in any::<u64>().prop_map(|s| s >> 1),
        time in any::<i64>(),
        numbers in (100u16..600, 0..1u64 << 63, 0..1u64 << 63),
        address in any::<IpAddr>(),
        exchange in proptest::option::of("[a-z0-9]{1,64}"),
        client in "[0-9.]{0,45}",
        method in bytes(16),
        path in bytes(4096),
        query in maybe(16_384),
        headers in (maybe(8192), maybe(2048), maybe(512)),
        ids in (maybe(256), maybe(256)),
    ) {
        let identity = identity(Name::new("edge_1").unwrap(), Incarnation(77), ShardId(2));
        let labels = labels("pixel", exchange.as_deref(), None);
        let peer = AddressText::new(address);
        let row = ImpressionRow {
            client_address: client.as_str().into(),
            method: method.as_slice().into(),
            path: path.as_slice().into(),
            raw_query: query.as_deref().map(Into::into),
            referer: headers.0.as_deref().map(Into::into),
            user_agent: headers.1.as_deref().map(Into::into),
            accept_language: headers.2.as_deref().map(Into::into),
            cookie_id: ids.0.as_deref().map(Into::into),
            auction_id: ids.1.as_deref().map(Into::into),
            consent_decision: None,
        };
        let (status, response_bytes, service_time_ns) = numbers;
        let stamp = Stamp {
            time: Micros(time), labels: &labels, peer: &peer, status, response_bytes,
            service_time_ns,
        };
        let event = Event { identity: &identity, sequence: Sequence(sequence), stamp, row: &row };

        let mut buffer = vec![0; EVENT_BYTES_MAX];
        let mut out = Writer::new(&mut buffer);
        event.encode(&mut out);
        let written = out.finish().expect("no event is longer than the longest");
        prop_assert_eq!(written, event.encoded_bytes());
        prop_assert!(row.encoded_bytes() <= ImpressionRow::BYTES_MAX);
        prop_assert!(written - row.encoded_bytes() <= STAMP_BYTES_MAX);

        let got = decoded::Impression::decode(&buffer[..written]).unwrap();
        let text = |t: &Option<Vec<u8>>, max| t.as_deref().map(|b| seen(b, max));
        let longer = |t: &[u8], max: usize| seen(t, max) != seen(t, usize::MAX);
        let cut = longer(&method, 16) || longer(&path, 4096)
            || [(&query, 16_384), (&headers.0, 8192), (&headers.1, 2048), (&headers.2, 512),
                (&ids.0, 256), (&ids.1, 256)]
                .iter().any(|(t, max)| t.as_deref().is_some_and(|t| longer(t, *max)));
        let want = decoded::Impression {
            edge: "edge_1".into(), incarnation: 77, shard: 2, sequence: sequence as i64,
            event_time: time, listener: "pixel".into(), exchange_label: exchange,
            datacenter_label: None, peer_address: address.to_canonical().to_string(),
            status: i32::from(status), response_bytes: response_bytes as i64,
            service_time_ns: service_time_ns as i64, client_address: client,
            method: seen(&method, 16), path: seen(&path, 4096), raw_query: text(&query, 16_384),
            referer: text(&headers.0, 8192), user_agent: text(&headers.1, 2048),
            accept_language: text(&headers.2, 512), cookie_id: text(&ids.0, 256),
            auction_id: text(&ids.1, 256), consent_decision: None, truncated: cut.then_some(true),
        };
        prop_assert_eq!(got, want);
    }
}

/// The words that Hive 4 and Spark's ANSI mode reserve, and that a column might be called.
const RESERVED: &str = "all alter and any array as at between both by case \
    cast check collate column conf constraint create cross cube current cursor \
    database date decimal delete describe distinct double drop else end escape \
    exchange exists extended external extract false fetch filter float following for \
    foreign from full function grant group grouping having if import in \
    inner insert int integer intersect interval into is join lateral leading \
    left less like local macro map minus more natural none not \
    null numeric of offset on only or order out outer over \
    overlaps partition percent preceding precision primary procedure range reads references regexp \
    revoke right rollup row rows select set smallint some start table \
    then time timestamp to trailing transform trigger true truncate unbounded union \
    unique unknown update user using values varchar views when where window \
    with";

#[test]
fn column_names_are_lower_case_and_reserved_nowhere() {
    let reserved: Vec<_> = RESERVED.split(' ').collect();
    for topic in schema::TOPICS {
        let mut numbers: Vec<_> = topic.fields().map(|f| f.number).collect();
        assert!(
            numbers.is_sorted(),
            "{}: columns stand in the order of their numbers",
            topic.topic
        );
        numbers.dedup();
        assert_eq!(numbers.len(), topic.fields().count());
        for field in topic.fields() {
            let name = field.name;
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(!reserved.contains(&name), "{name} is a reserved word");
            assert!(!["dt", "hour", "ds"].contains(&name), "{name} is a partition column");
            let bounded =
                field.kind != Kind::Text || field.number < 16 || field.bytes_max.is_some();
            assert!(bounded, "{name} has no limit");
        }
    }
}

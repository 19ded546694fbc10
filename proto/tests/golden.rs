//! Golden bytes: what is on disk and on the wire today must be readable tomorrow.
//!
//! A change here is a change of format: it needs a new version, not new golden bytes.

use brink_proto::{
    event::{AddressText, Event, Stamp, identity, labels},
    frame::{BatchInfo, FrameHeader, LogPosition},
    ids::{
        Class, Hour, Incarnation, Micros, Name, PriceMicros, ScoreMillionths, Sequence, ShardId,
        StreamId,
    },
    kafka::{
        batch::{BatchHead, ProducerSequence},
        record::{Record, RecordHead, records},
    },
    schema,
    table::{
        self, Key, Namespace, Segment, Table,
        write::{Entry, assemble},
    },
    wire::Writer,
    *,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn header() -> FrameHeader {
    let stream = StreamId {
        edge: Name::new("nyc3_px_07").unwrap(),
        incarnation: Incarnation(1_795_413_912_345),
        shard: ShardId(3),
        topic: Name::new("impressions").unwrap(),
    };
    FrameHeader {
        batch: BatchInfo {
            stream,
            first_sequence: Sequence(4711),
            count: 815,
            base_timestamp_ms: 1_795_417_201_000,
            max_timestamp_ms: 1_795_417_201_049,
            hour: Hour(498_727),
            schema: 1,
            class: Class::Normal,
            raw_bytes: 262_100,
            payload_bytes: 50_123,
            shed: [7, 9, 0, 0],
        },
        position: LogPosition::new(12, 0x8000),
        commit_position: LogPosition::new(12, 0x4000),
        payload_crc: 0xDEAD_BEEF,
    }
}

#[test]
fn a_frame_header_is_these_bytes() {
    let want = "42524e4b46524d0176f15e5defbeadde0c00000000000000008000000c000000\
                004000000c000000192b0207a2010000671200000000000068593407a2010000\
                99593407a2010000279c0700010000002f030000cbc30000d4ff030003000104\
                070000000900000000000000000000006e7963335f70785f3037000000000000\
                00000000000000000000000000000000696d7072657373696f6e730000000000\
                0000000000000000000000000000000000000000000000000000000000000000\
                0000000000000000000000000000000000000000000000000000000000000000\
                0000000000000000000000000000000000000000000000000000000000000000";
    let bytes = header().encode();
    assert_eq!(hex(&bytes), want);
    assert_eq!(FrameHeader::decode(&bytes), Ok(header()));
}

#[test]
fn a_batch_header_is_these_bytes() {
    let head = BatchHead {
        base_timestamp_ms: 1_795_417_201_000,
        max_timestamp_ms: 1_795_417_201_049,
        count: 815,
        producer: ProducerSequence { id: 4_000, epoch: 2, base: 99 },
        transactional: false,
    };
    let want = "000000000000000000000038ffffffff02708b1f0700040000032e000001a207\
                345968000001a2073459990000000000000fa00002000000630000032f";
    assert_eq!(hex(&head.encode(b"payload")), want);
}

#[test]
fn a_record_is_these_bytes() {
    let mut buffer = [0; 64];
    let mut out = Writer::new(&mut buffer);
    let head = RecordHead::new(-3, 300, 5);
    head.write(&mut out, |out| out.put(b"value"));
    let written = out.finish().unwrap();
    assert_eq!(hex(&buffer[..written]), "180005d804010a76616c756500");
    assert_eq!(head.record_bytes(), written);
    let read: Vec<_> = records(&buffer[..written]).collect();
    let want = Record { timestamp_delta_ms: -3, offset_delta: 300, value: b"value" };
    assert_eq!(read, [Ok(want)]);
}

#[test]
fn an_event_is_these_bytes() {
    let identity = identity(Name::new("a").unwrap(), Incarnation(300), ShardId(1));
    let labels = labels("pixel", Some("xandr"), None);
    let row = ImpressionRow {
        client_address: "198.51.100.23".into(),
        method: "GET".into(),
        path: "/i.gif".into(),
        raw_query: Some("n=1".into()),
        referer: None,
        user_agent: Some(b"caf\xe9".as_slice().into()),
        accept_language: None,
        cookie_id: None,
        auction_id: None,
        consent_decision: None,
    };
    let event = Event {
        identity: &identity,
        sequence: Sequence(5),
        stamp: Stamp {
            time: Micros(1_000_000),
            labels: &labels,
            peer: &AddressText::new("::ffff:10.0.0.1".parse().unwrap()),
            status: 200,
            response_bytes: 283,
            service_time_ns: 5400,
        },
        row: &row,
    };
    let mut buffer = [0; 256];
    let mut out = Writer::new(&mut buffer);
    event.encode(&mut out);
    let written = out.finish().unwrap();
    let want = "0a016110ac021801200528c0843d3205706978656c3a0578616e64724a083130\
                2e302e302e3150c801589b0260982a82010d3139382e35312e3130302e32338a\
                01034745549201062f692e6769669a01036e3d31aa0105636166c3a9";
    assert_eq!(hex(&buffer[..written]), want);
}

#[test]
fn a_segment_table_is_these_bytes() {
    let segment = |code: &'static str, price, score: Option<u64>| Segment {
        code: code.as_bytes(),
        price: Option::map(price, |micros| PriceMicros::new(micros).unwrap()),
        score: score.map(|millionths| ScoreMillionths::new(millionths).unwrap()),
    };
    let key = Namespace::new("xandr").key(b"5470312093817209345");
    let segments = vec![
        segment("sports", None, None),
        segment("auto", Some(750_000), Some(400_000)),
        segment("travel", None, Some(0)),
    ];
    let entry = Entry { key, base_price: PriceMicros::new(500_000), segments };
    let bytes = assemble(&[entry]).unwrap();
    assert_eq!(bytes.len(), 4 * table::PAGE_BYTES);
    let page = |index: usize| {
        let page = &bytes[index * table::PAGE_BYTES..][..table::PAGE_BYTES];
        let end = page.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        hex(&page[..end])
    };
    let header = "42524e4b5441424c01000000100cd77700400000000000000100000000000000\
                0300000000000000030000000100000000100000000000002000000000000000\
                d808956f000000000020000000000000140000000000000094144d5000000000\
                00300000000000000010000000000000fc7268d9";
    let codes = "00000000040000000a000000100000006175746f73706f72747374726176656c";
    let record = "07a0c21e00b1e32d81b518000000000001";
    assert_eq!([page(0), page(1), page(2)], [header, codes, record]);
    let home = key.hi as usize % 64;
    let bucket = format!("{}{}01", hex(&key.lo.to_le_bytes()), "00".repeat(52));
    assert_eq!(page(3), format!("{}{bucket}", "00".repeat(64 * home)));
    assert_eq!(key, Key { hi: 0xBE3D_19D8_A6AC_BB0B, lo: 0xF441_301C_00CB_4DBB });
    assert_eq!(Table::open(&bytes).unwrap().verify(), Ok(()));
}

#[test]
fn the_page_about_events_is_made_from_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");
    let want = schema::events_markdown();
    if std::env::var_os("BRINK_BLESS").is_some() {
        std::fs::write(path, &want).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == want, "docs/events.md is not what events.proto says; see its head");
}

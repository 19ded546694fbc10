//! What an event and a batch cost to be written: `cargo bench -p brink-proto`.
//!
//! The event is an impression with the fields that a browser fills, 440 bytes of it. Nothing is
//! compressed and nothing is handed over here: `edge/benches/tap.rs` measures that.

use brink_proto::{
    ImpressionRow,
    event::{AddressText, Event, Identity, Labels, Stamp, identity, labels},
    frame::{BatchInfo, FrameHeader, LogPosition},
    ids::{Class, Hour, Incarnation, Micros, Name, Sequence, ShardId, StreamId},
    kafka::{
        batch::{BatchHead, ProducerSequence},
        record::RecordHead,
    },
    schema::IMPRESSIONS,
    wire::Writer,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// The parts of an event that are encoded once.
struct Parts {
    identity: Identity,
    labels: Labels,
    peer: AddressText,
}

fn parts() -> Parts {
    let edge = Name::new("nyc3_px_07").expect("a name");
    Parts {
        identity: identity(edge, Incarnation(1_795_413_912_345), ShardId(0)),
        labels: labels("pixel", Some("xandr"), Some("nym2")),
        peer: AddressText::new([198, 51, 100, 23].into()),
    }
}

fn row() -> ImpressionRow<'static> {
    ImpressionRow {
        client_address: "198.51.100.23".into(),
        method: "GET".into(),
        path: "/i.gif".into(),
        raw_query: Some("auction_id=9f6c2a41-0b7d-4c07-9f62-0b1f1c2d3e4f&cr=8812&pos=3".into()),
        referer: Some("https://news.example.com/2026/11/some-article.html?from=front".into()),
        user_agent: Some(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/139.0.0.0 Safari/537.36"
                .into(),
        ),
        accept_language: Some("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7".into()),
        cookie_id: Some("4e1f0c77d2a94b6e8f10".into()),
        auction_id: Some("9f6c2a41-0b7d-4c07-9f62-0b1f1c2d3e4f".into()),
        consent_decision: None,
    }
}

fn event<'a>(parts: &'a Parts, row: &'a ImpressionRow<'a>) -> Event<'a, ImpressionRow<'a>> {
    let stamp = Stamp {
        time: Micros(1_795_417_201_049_123),
        labels: &parts.labels,
        peer: &parts.peer,
        status: 200,
        response_bytes: 283,
        service_time_ns: 11_730,
    };
    Event { identity: &parts.identity, sequence: Sequence(4_711_000), stamp, row }
}

fn events(c: &mut Criterion) {
    let (parts, row) = (parts(), row());
    let event = event(&parts, &row);
    let bytes = event.encoded_bytes();
    let mut buffer = vec![0; 2048];
    let mut group = c.benchmark_group("event");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("encoded_bytes", |b| b.iter(|| black_box(&event).encoded_bytes()));
    group.bench_function("encode", |b| {
        b.iter(|| {
            let mut out = Writer::new(black_box(&mut buffer));
            black_box(&event).encode(&mut out);
            out.finish()
        });
    });
    // As the tap does it: the length first, since the record's head announces it.
    group.bench_function("record", |b| {
        b.iter(|| {
            let event = black_box(&event);
            let head = RecordHead::new(17, 300, event.encoded_bytes());
            let mut out = Writer::new(black_box(&mut buffer));
            head.write(&mut out, |out| event.encode(out));
            out.finish()
        });
    });
    group.finish();
}

fn headers(c: &mut Criterion) {
    let stream = StreamId {
        edge: Name::new("nyc3_px_07").expect("a name"),
        incarnation: Incarnation(1_795_413_912_345),
        shard: ShardId(0),
        topic: Name::new(IMPRESSIONS.topic).expect("a name"),
    };
    let frame = FrameHeader {
        batch: BatchInfo {
            stream,
            first_sequence: Sequence(4_711_000),
            count: 540,
            base_timestamp_ms: 1_795_417_201_000,
            max_timestamp_ms: 1_795_417_201_049,
            hour: Hour(498_727),
            schema: IMPRESSIONS.version,
            class: Class::Normal,
            raw_bytes: 262_100,
            payload_bytes: 50_123,
            shed: [0; 4],
        },
        position: LogPosition::new(12, 0x8000),
        commit_position: LogPosition::new(12, 0x4000),
        payload_crc: 0xDEAD_BEEF,
    };
    let encoded = frame.encode();
    c.bench_function("frame_header/encode", |b| b.iter(|| black_box(&frame).encode()));
    c.bench_function("frame_header/decode", |b| {
        b.iter(|| FrameHeader::decode(black_box(&encoded)));
    });
    let head = BatchHead {
        base_timestamp_ms: 1_795_417_201_000,
        max_timestamp_ms: 1_795_417_201_049,
        count: 540,
        producer: ProducerSequence { id: 4_000, epoch: 2, base: 99 },
        transactional: false,
    };
    let payload = vec![0x5A; frame.batch.payload_bytes as usize];
    // Nearly all of it is the checksum over the payload.
    let mut group = c.benchmark_group("batch_header");
    group.throughput(Throughput::Bytes(payload.len() as u64));
    group.bench_function("encode", |b| b.iter(|| black_box(&head).encode(black_box(&payload))));
    group.finish();
}

criterion_group!(benches, events, headers);
criterion_main!(benches);

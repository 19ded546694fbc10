//! What it costs to tell an event: `cargo bench -p edge --bench tap`.
//!
//! - `offer`: one event into the open batch, which is to cost 300 ns at most.
//! - `slice`: 16 KiB of records compressed, once in some 37 events, in a turn of its own.
//! - `hand over`: a batch of one event closed by age, pushed to the spool, and the buffer back.

mod browsers;

use brink_proto::{
    ImpressionRow,
    event::{AddressText, Labels, Stamp, labels},
    ids::{Incarnation, Micros, Name, ShardId},
    schema::IMPRESSIONS,
};
use brink_shipper::intake::{SpoolEnd, ring};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use edge::{
    clock::Nanos,
    consent::Policy,
    http::{
        answer::Answer,
        date::HeadEnd,
        head::{Head, header_space, parse},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::{
        Ack, Moment, Outcome, Request, Role,
        pixel::{Pixel, PixelView, parameters},
    },
    tap::{BATCH_AGE, Offer, SLICE_BYTES, Speaker, Tap, TapCounters, TopicIndex},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const BUFFERS: usize = 32;

/// A tap, the spool's end of its ring, and events to offer.
struct Telling<'a> {
    tap: Tap,
    spool: SpoolEnd,
    labels: Labels,
    peer: AddressText,
    rows: &'a [ImpressionRow<'a>],
    next: usize,
    now: Nanos,
}

impl<'a> Telling<'a> {
    fn new(rows: &'a [ImpressionRow<'a>]) -> Telling<'a> {
        let (end, spool) = ring(BUFFERS, Box::new(|| {}));
        let name = |text| Name::new(text).expect("a name");
        let counters = Arc::new(TapCounters::new(&[name(IMPRESSIONS.topic)]));
        let incarnation = Incarnation(1_795_413_912_345);
        let speaker = Speaker { edge: name("nyc3_px_07"), incarnation, shard: ShardId(0) };
        Telling {
            tap: Tap::new(speaker, &[&IMPRESSIONS], end, BUFFERS, &counters),
            spool,
            labels: labels("pixel", Some("xandr"), Some("nym2")),
            peer: AddressText::new([198, 51, 100, 23].into()),
            rows,
            next: 0,
            now: Nanos(0),
        }
    }

    #[inline]
    fn offer(&mut self) {
        self.now.0 += 5_000;
        let stamp = Stamp {
            time: Micros(1_795_417_201_000_000 + (self.now.0 / 1000) as i64),
            labels: &self.labels,
            peer: &self.peer,
            status: 200,
            response_bytes: 283,
            service_time_ns: 11_730,
        };
        let row = &self.rows[self.next];
        self.next = (self.next + 1) % self.rows.len();
        let offer = self.tap.offer(TopicIndex(0), &stamp, row, self.now, false);
        assert_eq!(offer, Offer::Taken);
    }

    /// What the spool does: batches are taken, and buffers given back.
    #[inline]
    fn take(&mut self) {
        self.tap.take_news().for_each(drop);
        while let Some(batch) = self.spool.pop() {
            self.spool.give_back(batch.buffer);
            self.spool.publish(1);
        }
    }
}

/// How long `count` events take that fill slices, without the slices.
fn offers(telling: &mut Telling<'_>, count: u64) -> Duration {
    let mut offered = 0;
    let mut time = Duration::ZERO;
    while offered < count {
        let begun = Instant::now();
        while offered < count && !telling.tap.is_full() {
            telling.offer();
            offered += 1;
        }
        time += begun.elapsed();
        telling.tap.end_turn(telling.now);
        telling.take();
    }
    time
}

/// How long `count` slices take, without the events in them.
fn slices(telling: &mut Telling<'_>, count: u64) -> Duration {
    let mut time = Duration::ZERO;
    for _ in 0..count {
        while !telling.tap.is_full() {
            telling.offer();
        }
        let begun = Instant::now();
        telling.tap.end_turn(telling.now);
        time += begun.elapsed();
        telling.take();
    }
    time
}

fn hand_overs(telling: &mut Telling<'_>, count: u64) -> Duration {
    let mut time = Duration::ZERO;
    for _ in 0..count {
        telling.offer();
        telling.now = telling.now.after(BATCH_AGE);
        let begun = Instant::now();
        telling.tap.end_turn(telling.now);
        telling.take();
        time += begun.elapsed();
        assert_eq!(telling.tap.next_deadline(), None, "the batch is gone");
    }
    time
}

fn tap(c: &mut Criterion) {
    let requests: Vec<_> = (0..browsers::COUNT).map(browsers::request).collect();
    let heads: Vec<_> = requests.iter().map(|bytes| head(bytes)).collect();
    let peer = AddressText::new([198, 51, 100, 23].into());
    let view = PixelView {
        ack: Ack::Received,
        cookie: b"uid".to_vec(),
        parameters: parameters("auction_id"),
        policy: Policy::default(),
    };
    let mut states: Vec<_> = heads.iter().map(|_| Pixel::state(&view)).collect();
    let each = heads.iter().zip(&mut states);
    let rows: Vec<_> = each.map(|(head, state)| row(head, &peer, &view, state)).collect();
    let mut telling = Telling::new(&rows);
    c.bench_function("offer", |b| b.iter_custom(|count| offers(&mut telling, count)));
    let mut group = c.benchmark_group("slice");
    group.throughput(Throughput::Bytes(SLICE_BYTES as u64));
    group.bench_function("16 KiB", |b| b.iter_custom(|count| slices(&mut telling, count)));
    group.finish();
    telling.tap.finish();
    telling.take();
    c.bench_function("hand over", |b| b.iter_custom(|count| hand_overs(&mut telling, count)));
}

fn head(bytes: &[u8]) -> Head<'_> {
    let mut space = header_space();
    parse(bytes, &mut space).ok().flatten().expect("a request").0
}

/// The row that the pixel describes.
fn row<'a>(
    head: &'a Head<'a>,
    peer: &'a AddressText,
    view: &'a PixelView,
    state: &'a mut <Pixel as Role>::State,
) -> ImpressionRow<'a> {
    let mut blocks = OutBlocks::map(1).expect("memory");
    let (mut output, head_end) = (Output::default(), HeadEnd::at(Micros(0)));
    let mut answer = Answer::new(&mut output, &mut blocks, &head_end, head, false);
    let request = Request { head, body: b"", peer, client: peer };
    match Pixel::handle(&request, view, state, Moment::at(Micros(0)), &mut answer) {
        Outcome::Event { row, .. } => row,
        _ => panic!("a pixel is told"),
    }
}

criterion_group!(benches, tap);
criterion_main!(benches);

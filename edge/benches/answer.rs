//! What it costs to answer: `cargo bench -p edge --bench answer`.
//!
//! `pixel` is the role: routes, the answer in the connection's output, the row described, but not
//! yet written anywhere. `refusal` is what a malformed request gets. Each answer is taken by a
//! send, so that its block is free for the next one.

mod browsers;

use brink_proto::{
    event::{AddressText, Row},
    ids::Micros,
};
use criterion::{Criterion, criterion_group, criterion_main};
use edge::{
    consent::Policy,
    http::{
        answer::{Answer, refuse},
        date::HeadEnd,
        error::HttpError,
        head::{header_space, parse},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::{
        Ack, Moment, Outcome, Request, Role,
        pixel::{Pixel, PixelView, parameters},
    },
};
use std::hint::black_box;

/// A connection's output, and what it is written with.
struct Writing {
    output: Output,
    blocks: OutBlocks,
    head_end: HeadEnd,
}

impl Writing {
    fn new() -> Writing {
        let blocks = OutBlocks::map(4).expect("memory");
        Writing { output: Output::default(), blocks, head_end: HeadEnd::at(Micros(0)) }
    }

    /// What was written leaves; how many bytes.
    fn send(&mut self) -> u32 {
        let span = self.output.start_send(&self.blocks).expect("an answer");
        let bytes = span.to - span.from;
        self.output.finish_send(&mut self.blocks, bytes);
        bytes
    }
}

fn answers(c: &mut Criterion) {
    let mut writing = Writing::new();
    let view = PixelView {
        ack: Ack::Received,
        cookie: b"uid".to_vec(),
        parameters: parameters("auction_id"),
        policy: Policy::default(),
    };
    let mut state = Pixel::state(&view);
    let address = AddressText::new([198, 51, 100, 23].into());
    let bytes = browsers::request(0);
    let mut space = header_space();
    let (head, _) = parse(&bytes, &mut space).ok().flatten().expect("a request");
    let request = Request { head: &head, body: b"", peer: &address, client: &address };
    c.bench_function("pixel", |b| {
        b.iter(|| {
            let Writing { output, blocks, head_end } = &mut writing;
            let mut answer = Answer::new(output, blocks, head_end, &head, false);
            let outcome = Pixel::handle(
                black_box(&request),
                &view,
                &mut state,
                Moment::at(Micros(0)),
                &mut answer,
            );
            let Outcome::Event { row, .. } = black_box(outcome) else { panic!("no event") };
            (writing.send(), row.schema().version)
        });
    });
    c.bench_function("refusal", |b| {
        b.iter(|| {
            let Writing { output, blocks, head_end } = &mut writing;
            let refused = refuse(output, blocks, head_end, black_box(HttpError::Malformed), None);
            (writing.send(), refused)
        });
    });
    c.bench_function("date, once a second", |b| {
        b.iter(|| HeadEnd::at(black_box(Micros(1_795_417_201_049_123))));
    });
}

criterion_group!(benches, answers);
criterion_main!(benches);

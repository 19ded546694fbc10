//! What it costs to read a request: `cargo bench -p edge --bench parse`.
//!
//! `head` is one request head where it lies; `step` is a connection's step around it, and in two
//! parts, which are put together first.

mod browsers;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use edge::{
    conn::{
        Conn, Step,
        assembly::{AssemblyCounts, AssemblyPool},
    },
    http::head::{header_space, parse},
};
use std::hint::black_box;

const SMALLEST: &[u8] = b"GET /i.gif HTTP/1.1\r\nHost: a\r\n\r\n";

fn requests() -> [(&'static str, Vec<u8>); 2] {
    [("smallest", SMALLEST.to_vec()), ("browser", browsers::request(0))]
}

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    for (name, request) in requests() {
        group.throughput(Throughput::Bytes(request.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut space = header_space();
                let parsed = parse(black_box(&request), &mut space);
                parsed.is_ok_and(|head| black_box(head).is_some())
            });
        });
    }
    group.finish();
}

/// Takes the parts of one request; whether it came out whole.
fn steps(conn: &mut Conn, pool: &mut AssemblyPool, parts: &[&[u8]]) -> bool {
    let mut whole = false;
    for part in parts {
        let mut space = header_space();
        let step = conn.step(black_box(part), pool, &mut space, 1024);
        whole = matches!(black_box(step), Step::Request { .. });
    }
    conn.finish(pool);
    whole
}

fn connection(c: &mut Criterion) {
    let mut pool = AssemblyPool::new(AssemblyCounts { small: 4, medium: 1, large: 1 });
    let mut conn = Conn::default();
    let mut group = c.benchmark_group("step");
    for (name, request) in requests() {
        group.throughput(Throughput::Bytes(request.len() as u64));
        let (first, second) = request.split_at(request.len() / 2);
        for (kind, parts) in [("whole", vec![&*request]), ("two parts", vec![first, second])] {
            assert!(steps(&mut conn, &mut pool, &parts));
            group.bench_function(BenchmarkId::new(kind, name), |b| {
                b.iter(|| steps(&mut conn, &mut pool, &parts));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, heads, connection);
criterion_main!(benches);

//! Slots of the cursor file: refused, or what they say is what was written.
//!
//! The input is a slot, and once more the text in a slot that is sound.

use super::feature::reached;
use brink_shipper::spool::{
    chain::{Chain, ChainId, Gap, GapReason, Link, List, ListSeal, Listed},
    cursors::{Cursors, Lineage, Seal, SinkCursor, fill_slot, read_slot},
};
use std::collections::BTreeMap;

/// What a text has in front of it.
const FRONT_BYTES: usize = 64;

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn cursors(data: &[u8]) {
    let _ = read_slot(data);
    let Some(cursors) = through_a_slot(data) else { return };
    let text = serde_json::to_vec(&cursors).expect("cursors can be written");
    assert_eq!(through_a_slot(&text).as_ref(), Some(&cursors));
    let seals: usize = cursors.sinks.values().map(|sink| sink.seals.len()).sum();
    reached((cursors.sinks.len().min(3), seals.min(3)));
}

/// What is read of a text that was written.
fn through_a_slot(text: &[u8]) -> Option<Cursors> {
    let mut slot = vec![0xAA; FRONT_BYTES + text.len() + 7];
    fill_slot(&mut slot, 9, text);
    let read = read_slot(&slot);
    let end = FRONT_BYTES + text.len();
    assert!(read_slot(&slot[..end - 1]).is_none(), "a slot that ends too early is none");
    slot[12 + text.len() % (end - 12)] ^= 1;
    assert!(read_slot(&slot).is_none(), "a bit turned round unnoticed");
    let (writes, cursors) = read?;
    assert_eq!(writes, 9);
    Some(cursors)
}

/// Cursors that could stand in a spool.
pub(super) fn some() -> Cursors {
    let stream = "e/7/0/impressions".parse().expect("a stream");
    let seal = Seal {
        key: "ds=impressions/x.parquet".to_owned(),
        stream,
        first: 42,
        end: 47,
        frames: 1,
        schema: 1,
        writer: 1,
        digest: "00ff".to_owned(),
    };
    let delivered = BTreeMap::from([(stream, brink_proto::ids::Sequence(42))]);
    let lineage = Lineage {
        stream,
        cluster: "c".to_owned(),
        topic: "0a".to_owned(),
        partition: 3,
        producer: 4000,
        epoch: 0,
        first: 42,
        transactional: false,
    };
    let object = Listed {
        shard: 0,
        first: 0,
        end: 42,
        schema: 1,
        digest: "00ff".to_owned(),
        bytes: 9,
        shed: BTreeMap::from([("no_buffer".to_owned(), 7)]),
        aside: false,
    };
    let gap = Gap { shard: 0, first: 42, end: 43, reason: GapReason::Missing };
    let seal_of_list = ListSeal { closed: Some(498_727), last: false };
    let list =
        List { hour: 498_727, objects: vec![object], gaps: vec![gap], seal: Some(seal_of_list) };
    let chain = Chain {
        id: ChainId::of(&stream),
        next: 1,
        previous: Some(Link { hour: 498_726, digest: "00ff".to_owned() }),
        ends: BTreeMap::from([(0, 0)]),
        list: Some(list),
    };
    let (seals, lineages, chains) = (vec![seal], vec![lineage], vec![chain]);
    let sink = SinkCursor { delivered, seals, lineages, chains };
    Cursors { sinks: BTreeMap::from([("objects".to_owned(), sink)]) }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let text = serde_json::to_vec(&some()).expect("cursors can be written");
    let mut slot = vec![0; FRONT_BYTES + text.len()];
    fill_slot(&mut slot, 1, &text);
    vec![text, slot, b"{\"sinks\":{}}".to_vec()]
}

pub(super) const WORDS: &[&[u8]] = &[
    b"BRNKCUR\x01",
    b"\"e/7/0/t\"",
    b"\"seals\":[]",
    b"\"chains\":[]",
    b"18446744073709551615",
    b"-1",
    b"1e999",
    b"[[[[[[[[",
    b"{\"\":",
    b"\\ud800",
    b",",
];

//! Names of streams, segments, objects and manifests: refused or written as they are read, and the
//! order of keys is the order of the log.
//!
//! ```text
//!  input = two objects: topic, hour, edge, incarnation, shard, first, count │ texts, as names
//! ```

use super::{feature::reached, input::Input};
use brink_proto::ids::{Hour, Incarnation, Name, Sequence, ShardId, StreamId};
use brink_shipper::{
    objects::{key, manifest::ManifestName},
    spool::{
        chain::ChainId,
        segment::{file_name, generation_of},
    },
};

/// The last hour whose year has four digits.
const HOUR_MAX: u32 = 70_000_000;

/// What decides where an object stands in the order of the log.
type Place = (Name, Hour, Name, Incarnation, ShardId, Sequence, Sequence);

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn object_key(data: &[u8]) {
    let mut input = Input::new(data);
    let (one, other) = (place(&mut input), place(&mut input));
    assert_eq!(spelled(&one).cmp(&spelled(&other)), one.cmp(&other), "{one:?} {other:?}");
    reached(one.cmp(&other));
    let (one, other) = (manifest(&one), manifest(&other));
    assert_eq!(one.key().cmp(&other.key()), told(&one).cmp(&told(&other)), "{one:?} {other:?}");
    let text = String::from_utf8_lossy(input.rest());
    text.lines().for_each(names);
}

fn place(input: &mut Input<'_>) -> Place {
    let StreamId { edge, incarnation, shard, topic } = input.stream();
    let hour = Hour(input.u32() % HOUR_MAX);
    let first = input.u64() >> 1;
    let last = first + u64::from(input.u32());
    (topic, hour, edge, incarnation, shard, Sequence(first), Sequence(last))
}

fn spelled((topic, hour, edge, incarnation, shard, first, last): &Place) -> String {
    let stream = StreamId { edge: *edge, incarnation: *incarnation, shard: *shard, topic: *topic };
    let key = key::object_key(&stream, *hour, *first, Sequence(last.0 + 1), 1);
    let known = |c: char| c.is_ascii_alphanumeric() || "_-=/.".contains(c);
    assert!(key.chars().all(known), "{key}");
    assert_eq!(key.split('/').count(), 4, "{key}");
    key
}

/// The manifest of an object's chain that has its first sequence for a number.
fn manifest((topic, hour, edge, incarnation, _, first, _): &Place) -> ManifestName {
    let id = ChainId { edge: *edge, incarnation: *incarnation, topic: *topic };
    let name = ManifestName { id, number: first.0, hour: *hour };
    assert_eq!(ManifestName::read(&name.key()), Some(name));
    name
}

/// What decides where a manifest's name stands.
fn told(name: &ManifestName) -> (Name, Hour, Name, Incarnation, u64) {
    (name.id.topic, name.hour, name.id.edge, name.id.incarnation, name.number)
}

fn names(text: &str) {
    if let Some(name) = ManifestName::read(text) {
        assert_eq!(name.key(), text);
        reached("manifest");
    }
    if let Ok(chain) = text.parse::<ChainId>() {
        assert_eq!(chain.to_string().parse(), Ok(chain), "{text}");
        reached("chain");
    }
    if let Ok(stream) = text.parse::<StreamId>() {
        assert_eq!(stream.to_string().parse(), Ok(stream), "{text}");
        reached("stream");
    }
    match Name::new(text) {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert_eq!(Name::from_padded(&name.padded()), Ok(name));
            reached("name");
        }
        Err(_) => assert!(Name::from_padded(text.as_bytes()).is_err() || text.contains('\0')),
    }
    if let Some(generation) = generation_of(text, ".seg") {
        let written = file_name(generation);
        let name = written.rsplit('/').next().unwrap_or_default();
        assert_eq!(generation_of(name, ".seg"), Some(generation), "{text}");
        reached("segment");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = "nyc3_px_07/1795413912345/3/impressions\n0000000012.seg\n+7.seg\nname_1\na/1/70000/t\na/1/t\n\
         _manifests/ds=t/dt=2026-11-23/hour=07/a-00000000000000000001-00000000000000000002.json";
    let first = [[1; 40].as_slice(), &[2; 40], texts.as_bytes()].concat();
    let equal = [[7; 80].as_slice(), texts.as_bytes()].concat();
    vec![first, equal, Vec::new()]
}

pub(super) const WORDS: &[&[u8]] = &[
    b"/",
    b"18446744073709551615",
    b"4294967295.seg",
    b"65535",
    b"+1",
    b"-1",
    b"01",
    b"_",
    b"\n",
    b"\0",
];

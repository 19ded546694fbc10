//! A manifest: which objects of an hour one start of an appliance has made of one topic.
//!
//! ```text
//! _manifests/ds=<topic>/dt=YYYY-MM-DD/hour=HH/<edge>-<incarnation>-<number>.json
//! ```
//!
//! One line of JSON, a function of the sealed list that it is made of, so that it can be made
//! again. Its SHA-256 stands in its successor: nobody can change one, or leave one out, unnoticed.

use super::key::{self, aside_key, object_key};
use crate::spool::chain::{Chain, ChainId, Gap, GapReason, Listed};
use brink_proto::ids::{Hour, Incarnation, Name, Sequence, ShedReason, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// In front of the keys of manifests: Hive and Spark pass over it.
pub const FOLDER: &str = "_manifests";

/// BOUND: bytes of a manifest; full ones have some 60,000.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;

const FORMAT: u32 = 1;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// The appliance.
    pub edge: String,
    /// Its start.
    pub incarnation: u64,
    /// The topic.
    pub topic: String,
    /// Its number, from 0 for each start and topic.
    pub number: u64,
    /// The hour of its objects.
    pub hour: String,
    /// The manifest before it; nothing for number 0.
    pub previous: Option<Previous>,
    /// All events of this hour and of those before are told, here or in an earlier manifest.
    pub closed: Option<String>,
    /// Whether it is the last one: the start is over, and all that it accepted is told.
    pub last: bool,
    /// Every stream of the chain: objects and gaps lead from one end to the other.
    pub streams: Vec<Span>,
    /// The objects.
    pub objects: Vec<Entry>,
    /// Events that are in no object.
    pub gaps: Vec<Gap>,
    /// Sums.
    pub ledger: Sums,
}

/// A manifest's predecessor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// The hour whose folder it lies in.
    pub hour: String,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
}

/// How far one manifest leads a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The shard.
    pub shard: u16,
    /// Where the manifest before it ended; for a stream that is new, its first sequence.
    pub from: u64,
    /// The sequence behind all that is told now.
    pub end: u64,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// The shard.
    pub shard: u16,
    /// First sequence in it.
    pub first: u64,
    /// Sequence behind the last in it.
    pub end: u64,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Its log digest.
    pub digest: String,
    /// Events that were shed between its frames, by reason; they have no sequence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shed: BTreeMap<String, u64>,
}

/// `offered = accepted + shed`, `accepted = delivered + quarantined`, of what this manifest tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Events that got a sequence and are told here.
    pub accepted: u64,
    /// Of them, rows of objects.
    pub delivered: u64,
    /// Of them, in no object, by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Events that were not taken, by reason.
    pub shed: BTreeMap<String, u64>,
}

impl Manifest {
    /// The manifest of a chain's list; nothing, as long as something can be added to it.
    #[must_use]
    pub fn of(chain: &Chain) -> Option<Manifest> {
        let list = chain.list.as_ref()?;
        let seal = list.seal?;
        let ChainId { edge, incarnation, topic } = chain.id;
        let entry = |listed: &Listed| entry(&chain.id, Hour(list.hour), listed);
        let span = |(shard, from): (&u16, &u64)| {
            let end = chain.end_of(*shard).unwrap_or(*from);
            Span { shard: *shard, from: *from, end }
        };
        let previous = chain
            .previous
            .as_ref()
            .map(|link| Previous { hour: hour_text(Hour(link.hour)), digest: link.digest.clone() });
        let objects: Vec<Entry> = list.objects.iter().map(entry).collect();
        Some(Manifest {
            format: FORMAT,
            edge: edge.to_string(),
            incarnation: incarnation.0,
            topic: topic.to_string(),
            number: chain.next,
            hour: hour_text(Hour(list.hour)),
            previous,
            closed: seal.closed.map(|hour| hour_text(Hour(hour))),
            last: seal.last,
            streams: chain.ends.iter().map(span).collect(),
            ledger: Sums::of(&objects, &list.gaps),
            objects,
            gaps: list.gaps.clone(),
        })
    }

    /// Its bytes.
    ///
    /// # Panics
    /// Never: all of it can be written as JSON.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("texts and numbers are JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Where it lies; nothing, if it says of itself what no manifest does.
    #[must_use]
    pub fn place(&self) -> Option<ManifestName> {
        let id = ChainId {
            edge: Name::new(&self.edge).ok()?,
            incarnation: Incarnation(self.incarnation),
            topic: Name::new(&self.topic).ok()?,
        };
        Some(ManifestName { id, number: self.number, hour: read_hour(&self.hour)? })
    }
}

fn entry(id: &ChainId, hour: Hour, listed: &Listed) -> Entry {
    let Listed { shard, first, end, schema, digest, bytes, shed, aside } = listed;
    let key = object_key(&id.stream(*shard), hour, Sequence(*first), Sequence(*end), *schema);
    let key = if *aside { aside_key(digest, &key) } else { key };
    let (digest, shed) = (digest.clone(), shed.clone());
    let (shard, first, end) = (*shard, *first, *end);
    Entry { key, shard, first, end, rows: end.saturating_sub(first), bytes: *bytes, digest, shed }
}

impl Sums {
    /// Those of a manifest with these objects and gaps.
    #[must_use]
    pub fn of(objects: &[Entry], gaps: &[Gap]) -> Sums {
        let reasons = [GapReason::Corrupt, GapReason::Missing].map(|r| (r.label().to_owned(), 0));
        let mut quarantined = BTreeMap::from(reasons);
        for gap in gaps {
            let sum: &mut u64 = quarantined.entry(gap.reason.label().to_owned()).or_default();
            *sum = sum.saturating_add(gap.end.saturating_sub(gap.first));
        }
        let mut shed = BTreeMap::from(ShedReason::ALL.map(|r| (r.label().to_owned(), 0)));
        for (reason, count) in objects.iter().flat_map(|object| &object.shed) {
            let sum: &mut u64 = shed.entry(reason.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        let delivered = objects.iter().fold(0_u64, |sum, object| sum.saturating_add(object.rows));
        let lost = quarantined.values().fold(0_u64, |sum, events| sum.saturating_add(*events));
        Sums { accepted: delivered.saturating_add(lost), delivered, quarantined, shed }
    }
}

/// What names a manifest: SHA-256 over its bytes, in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// An hour as `2026-11-23T07`.
#[must_use]
pub fn hour_text(hour: Hour) -> String {
    let (date, of_day) = hour.partition();
    format!("{date}T{of_day}")
}

/// The hour that [`hour_text`] writes like this, if there is one.
#[must_use]
pub fn read_hour(text: &str) -> Option<Hour> {
    let (date, of_day) = text.split_once('T')?;
    Hour::of_partition(date, of_day)
}

/// The folder of an hour's manifests of a topic.
#[must_use]
pub fn folder(topic: &Name, hour: Hour) -> String {
    format!("{FOLDER}/{}", key::folder(topic, hour))
}

/// What the key of a manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestName {
    /// Its chain.
    pub id: ChainId,
    /// Its number there.
    pub number: u64,
    /// The hour whose folder it lies in.
    pub hour: Hour,
}

impl ManifestName {
    /// Its key. Numbers are padded, so that the order of names is their order.
    #[must_use]
    pub fn key(&self) -> String {
        let ManifestName { id: ChainId { edge, incarnation, topic }, number, hour } = self;
        let folder = folder(topic, *hour);
        format!("{folder}/{edge}-{:020}-{number:020}.json", incarnation.0)
    }

    /// Reads a key; nothing, if none of ours is like it.
    #[must_use]
    pub fn read(key: &str) -> Option<ManifestName> {
        let mut folders = key.strip_prefix(FOLDER)?.strip_prefix('/')?.split('/');
        let topic = Name::new(folders.next()?.strip_prefix("ds=")?).ok()?;
        let (date, of_day) = (folders.next()?.strip_prefix("dt=")?, folders.next()?);
        let hour = Hour::of_partition(date, of_day.strip_prefix("hour=")?)?;
        let mut parts = folders.next()?.strip_suffix(".json")?.split('-');
        let edge = Name::new(parts.next()?).ok()?;
        let incarnation = Incarnation(parts.next()?.parse().ok()?);
        let number = parts.next()?.parse().ok()?;
        let name = ManifestName { id: ChainId { edge, incarnation, topic }, number, hour };
        (name.key() == key).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::chain::{ListSeal, tests::object};

    /// A chain with one manifest behind it, and a list with an object, a gap, and an object aside.
    fn chain() -> Chain {
        let mut chain = Chain::new("nyc3_px_07/1795413912345/impressions".parse().unwrap());
        chain.add(Hour(498_726), Sequence(0), Vec::new(), object(3, 0, 4711));
        chain.seal(Hour(0), ListSeal::default());
        chain.link("0b".repeat(32));
        let gap = Gap { shard: 3, first: 5000, end: 5010, reason: GapReason::Corrupt };
        let shed = BTreeMap::from([("no_buffer".to_owned(), 7)]);
        let first = Listed { shed, ..object(3, 4711, 5000) };
        let second = Listed { aside: true, ..object(3, 5010, 5030) };
        chain.add(Hour(498_727), Sequence(0), Vec::new(), first);
        chain.add(Hour(498_727), Sequence(0), vec![gap], second);
        chain
    }

    #[test]
    fn a_manifest_is_these_bytes() {
        let mut chain = chain();
        assert_eq!(Manifest::of(&chain), None);
        chain.seal(Hour(0), ListSeal { closed: Some(498_727), last: false });
        let manifest = Manifest::of(&chain).unwrap();
        let key = "ds=impressions/dt=2026-11-23/hour=07/nyc3_px_07-00000001795413912345-00003-\
                   00000000000000004711-00000000000000004999.v1.parquet";
        let aside = "_conflict/00ff/ds=impressions/dt=2026-11-23/hour=07/nyc3_px_07-\
                     00000001795413912345-00003-00000000000000005010-00000000000000005029.v1.parquet";
        let want = format!(
            concat!(
                r#"{{"format":1,"edge":"nyc3_px_07","incarnation":1795413912345,"#,
                r#""topic":"impressions","number":1,"hour":"2026-11-23T07","#,
                r#""previous":{{"hour":"2026-11-23T06","digest":"{digest}"}},"#,
                r#""closed":"2026-11-23T07","last":false,"#,
                r#""streams":[{{"shard":3,"from":4711,"end":5030}}],"#,
                r#""objects":[{{"key":"{key}","shard":3,"first":4711,"end":5000,"rows":289,"#,
                r#""bytes":9,"digest":"00ff","shed":{{"no_buffer":7}}}},"#,
                r#"{{"key":"{aside}","shard":3,"first":5010,"end":5030,"rows":20,"#,
                r#""bytes":9,"digest":"00ff"}}],"#,
                r#""gaps":[{{"shard":3,"first":5000,"end":5010,"reason":"corrupt"}}],"#,
                r#""ledger":{{"accepted":319,"delivered":309,"#,
                r#""quarantined":{{"corrupt":10,"missing":0}},"#,
                r#""shed":{{"no_buffer":7,"spool_full":0}}}}}}"#,
                "\n"
            ),
            digest = "0b".repeat(32),
            key = key,
            aside = aside,
        );
        assert_eq!(String::from_utf8(manifest.bytes()).unwrap(), want);
        assert_eq!(serde_json::from_str::<Manifest>(&want).unwrap(), manifest);
    }

    #[test]
    fn names_sort_as_numbers_do_and_are_read_back() {
        let name = |number: u64| {
            let id = "nyc3_px_07/1795413912345/impressions".parse().unwrap();
            ManifestName { id, number, hour: Hour(498_727) }
        };
        let key = "_manifests/ds=impressions/dt=2026-11-23/hour=07/\
                   nyc3_px_07-00000001795413912345-00000000000000000012.json";
        assert_eq!(name(12).key(), key);
        assert_eq!(ManifestName::read(key), Some(name(12)));
        assert!(name(9).key() < name(10).key());
        for other in [key.replace("12.json", "12.jsonx"), key.replace("0000012", "12")] {
            assert_eq!(ManifestName::read(&other), None, "{other}");
        }
        let mut chain = chain();
        chain.seal(Hour(0), ListSeal::default());
        assert_eq!(Manifest::of(&chain).unwrap().place(), Some(name(1)));
    }

    #[test]
    fn a_full_manifest_is_smaller_than_what_is_read_of_one() {
        let mut chain = Chain::new("nyc3_px_07/1795413912345/impressions".parse().unwrap());
        let digest = "0f".repeat(32);
        let shed = Sums::of(&[], &[]).shed;
        let all = Listed { digest, shed, aside: true, bytes: u64::MAX, ..object(0, 0, u64::MAX) };
        for _ in 0..crate::spool::chain::LISTED_MAX {
            chain.add(Hour(5), Sequence(0), Vec::new(), all.clone());
        }
        chain.seal(Hour(5), ListSeal::default());
        let bytes = Manifest::of(&chain).unwrap().bytes().len() as u64;
        assert!(bytes < MANIFEST_BYTES_MAX / 4, "{bytes}");
    }
}

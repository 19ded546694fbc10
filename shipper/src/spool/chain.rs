//! What was delivered and is to be told in a manifest: the part of a cursor that manifests are made
//! of.
//!
//! A *chain* is the manifests of one topic of one start of an appliance, numbered from 0. Behind
//! the last one that exists there is at most one *list*: what was delivered since. A list is of one
//! hour. Once it is sealed its number and what it says are fixed, and durable before the manifest
//! is sent; the manifest's digest opens the next one.
//!
//! ```text
//!  manifest 0 ◀─digest─ manifest 1 ◀─digest─ list
//!         ends ─ objects ─▶ ends ─ objects ─▶ ends      of each stream, without a gap
//! ```

use super::text;
use brink_proto::ids::{Hour, Incarnation, Name, Sequence, ShardId, StreamId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Which chain: one topic of one start of an appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainId {
    /// The appliance.
    pub edge: Name,
    /// Its start.
    pub incarnation: Incarnation,
    /// The topic.
    pub topic: Name,
}

impl ChainId {
    /// The chain that a stream's objects are listed in.
    #[must_use]
    pub fn of(stream: &StreamId) -> ChainId {
        let StreamId { edge, incarnation, topic, .. } = *stream;
        ChainId { edge, incarnation, topic }
    }

    /// The stream of a shard.
    #[must_use]
    pub fn stream(&self, shard: u16) -> StreamId {
        let ChainId { edge, incarnation, topic } = *self;
        StreamId { edge, incarnation, shard: ShardId(shard), topic }
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChainId { edge, incarnation, topic } = self;
        write!(f, "{edge}/{}/{topic}", incarnation.0)
    }
}

impl FromStr for ChainId {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<ChainId, ChainError> {
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or(ChainError);
        let id = ChainId {
            edge: Name::new(part()?).map_err(|_| ChainError)?,
            incarnation: Incarnation(part()?.parse().map_err(|_| ChainError)?),
            topic: Name::new(part()?).map_err(|_| ChainError)?,
        };
        if parts.next().is_some() { Err(ChainError) } else { Ok(id) }
    }
}

/// A text is no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainError;

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chain is edge/incarnation/topic")
    }
}

/// BOUND: objects and gaps in one list, which becomes a manifest when there are so many.
pub const LISTED_MAX: usize = 128;

/// BOUND: objects and gaps in all lists of a sink: less than half of a cursor's slot.
pub const ALL_LISTED_MAX: usize = 1024;

/// How far the manifests of a chain are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Which one.
    #[serde(with = "text")]
    pub id: ChainId,
    /// Number of the next manifest.
    pub next: u64,
    /// The manifest before it; there is none in front of number 0.
    pub previous: Option<Link>,
    /// By shard: the sequence behind all that the manifests below `next` tell.
    pub ends: BTreeMap<u16, u64>,
    /// What is delivered and in no manifest yet.
    pub list: Option<List>,
}

/// A manifest that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The hour whose folder it lies in.
    pub hour: u32,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
}

/// What one manifest tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The hour of all objects in it.
    pub hour: u32,
    /// Objects, those of a stream in the order of their sequences.
    pub objects: Vec<Listed>,
    /// Events that are in no object.
    pub gaps: Vec<Gap>,
    /// What else it says, once nothing is added to it any more.
    pub seal: Option<ListSeal>,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The shard whose stream it holds.
    pub shard: u16,
    /// First sequence in it.
    pub first: u64,
    /// Sequence behind the last in it.
    pub end: u64,
    /// Schema version of its rows.
    pub schema: u32,
    /// Its log digest.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    /// Events of its stream that were shed between its frames, by reason; they have no sequence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shed: BTreeMap<String, u64>,
    /// Whether something else had its key, so that it went aside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aside: bool,
}

/// Events of a stream that no object holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The shard.
    pub shard: u16,
    /// The first that is not there.
    pub first: u64,
    /// The first that is there again.
    pub end: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why events are in no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The payload of their frame was corrupt; a copy is in quarantine.
    Corrupt,
    /// Their frames were not in the log any more.
    Missing,
}

impl GapReason {
    /// What it is called, here and in the ledger.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            GapReason::Corrupt => "corrupt",
            GapReason::Missing => "missing",
        }
    }
}

/// What a list says of the chain, decided when it is sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSeal {
    /// All events of this hour and of those before are told, here or in an earlier manifest.
    pub closed: Option<u32>,
    /// Nothing comes after it: the start is over and all that it accepted is told.
    pub last: bool,
}

impl Chain {
    /// A chain without a manifest.
    #[must_use]
    pub fn new(id: ChainId) -> Chain {
        Chain { id, next: 0, previous: None, ends: BTreeMap::new(), list: None }
    }

    /// The sequence behind all of a stream that is told or listed; nothing of one that is new here.
    #[must_use]
    pub fn end_of(&self, shard: u16) -> Option<u64> {
        let list = self.list.iter();
        let listed = list.filter_map(|list| list.pieces().filter(|p| p.0 == shard).last());
        let end = listed.map(|(_, _, end)| end).next();
        end.or_else(|| self.ends.get(&shard).copied())
    }

    /// Whether objects and gaps lead each stream from where the manifests end to where the list
    /// does, and nothing is missing between them.
    #[must_use]
    pub fn tiles(&self) -> bool {
        let mut ends = self.ends.clone();
        self.list.iter().flat_map(List::pieces).all(|(shard, first, end)| {
            let before = ends.insert(shard, end);
            before == Some(first) && first < end
        })
    }

    /// Takes what was delivered of a stream, or will never be, in the order of its sequences. A
    /// stream that is new here begins at `begin`.
    pub(crate) fn add(&mut self, hour: Hour, begin: Sequence, gaps: Vec<Gap>, object: Listed) {
        self.ends.entry(object.shard).or_insert(begin.0);
        let list = self.open(hour);
        list.gaps.extend(gaps);
        list.objects.push(object);
    }

    /// Takes events of a stream that will never be delivered.
    pub(crate) fn pass_over(&mut self, hour: Hour, begin: Sequence, gaps: Vec<Gap>) {
        for gap in gaps {
            self.ends.entry(gap.shard).or_insert(begin.0);
            self.open(hour).gaps.push(gap);
        }
    }

    fn open(&mut self, hour: Hour) -> &mut List {
        let empty = List { hour: hour.0, objects: Vec::new(), gaps: Vec::new(), seal: None };
        self.list.get_or_insert(empty)
    }

    /// Ends the list, which is an empty one of `hour` if there is none. What was sealed before
    /// stays as it is: its manifest may exist.
    pub(crate) fn seal(&mut self, hour: Hour, seal: ListSeal) {
        self.open(hour).seal.get_or_insert(seal);
    }

    /// The sealed list is a manifest now, with this digest.
    pub(crate) fn link(&mut self, digest: String) {
        let Some(list) = self.list.take() else { return };
        for (shard, _, end) in list.pieces() {
            self.ends.insert(shard, end);
        }
        self.previous = Some(Link { hour: list.hour, digest });
        self.next += 1;
    }
}

impl List {
    /// How much stands in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len() + self.gaps.len()
    }

    /// Whether nothing does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Objects and gaps, those of a stream in order: shard, first sequence and the one behind.
    pub fn pieces(&self) -> impl Iterator<Item = (u16, u64, u64)> {
        let objects = self.objects.iter().map(|o| (o.shard, o.first, o.end));
        let mut pieces: Vec<_> = objects.collect();
        pieces.extend(self.gaps.iter().map(|gap| (gap.shard, gap.first, gap.end)));
        pieces.sort_unstable();
        pieces.into_iter()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn object(shard: u16, first: u64, end: u64) -> Listed {
        Listed {
            shard,
            first,
            end,
            schema: 1,
            digest: "00ff".into(),
            bytes: 9,
            shed: BTreeMap::new(),
            aside: false,
        }
    }

    #[test]
    fn a_chain_goes_on_where_its_last_manifest_ended() {
        let id: ChainId = "e/7/t".parse().unwrap();
        assert_eq!((id.to_string(), id.stream(3).to_string()), ("e/7/t".into(), "e/7/3/t".into()));
        assert!(["e/7", "e/7/t/", "e/-1/t", "E/7/t"].iter().all(|t| t.parse::<ChainId>().is_err()));
        let mut chain = Chain::new(id);
        chain.add(Hour(5), Sequence(0), Vec::new(), object(3, 0, 10));
        let gap = Gap { shard: 3, first: 10, end: 12, reason: GapReason::Corrupt };
        chain.add(Hour(5), Sequence(0), vec![gap], object(3, 12, 20));
        chain.add(Hour(5), Sequence(4), Vec::new(), object(1, 4, 5));
        assert_eq!((chain.end_of(3), chain.end_of(1), chain.end_of(0)), (Some(20), Some(5), None));
        assert_eq!(chain.ends, BTreeMap::from([(1, 4), (3, 0)]));
        chain.seal(Hour(9), ListSeal { closed: Some(5), last: false });
        assert_eq!(chain.list.as_ref().map(|list| (list.hour, list.len())), Some((5, 4)));
        chain.link("aa".into());
        assert_eq!((chain.next, chain.list.is_none()), (1, true));
        assert_eq!(chain.previous, Some(Link { hour: 5, digest: "aa".into() }));
        assert_eq!(chain.ends, BTreeMap::from([(1, 5), (3, 20)]));
        let lost = Gap { shard: 3, first: 20, end: 30, reason: GapReason::Missing };
        chain.pass_over(Hour(6), Sequence(0), vec![lost]);
        assert_eq!((chain.end_of(3), chain.tiles()), (Some(30), true));
        let mut torn = chain.clone();
        torn.add(Hour(6), Sequence(0), Vec::new(), object(3, 31, 32));
        assert!(!torn.tiles());
        let text = serde_json::to_string(&chain).unwrap();
        assert_eq!(serde_json::from_str::<Chain>(&text).unwrap(), chain);
    }
}

//! Manifests held against each other and against the objects. Pure.
//!
//! ```text
//!  … ◀─ number 5 ◀─ number 6 ◀─ number 7, which closes the hour
//!       │ ends      │ objects, gaps      read: from the one in front of the hour's first
//! ```

use super::tiling::Fault;
use crate::{
    objects::{
        key::ObjectName,
        manifest::{Entry, Manifest, ManifestName, Sums, hour_text, read_hour},
    },
    spool::chain::ChainId,
};
use brink_proto::ids::Hour;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// A manifest that was read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: ManifestName,
    /// SHA-256 of its bytes.
    pub(super) digest: String,
    pub(super) manifest: Manifest,
}

/// What the manifests of one chain say of an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainTold {
    /// `edge/incarnation/topic`.
    pub chain: String,
    /// Number of the first manifest that was looked at.
    pub first: u64,
    /// Number of the last one.
    pub last: u64,
    /// Objects of the hour that they list.
    pub objects: u64,
    /// Whether they tell all of the hour.
    pub closed: bool,
}

impl fmt::Display for ChainTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChainTold { chain, first, last, objects, closed } = self;
        let closed = if *closed { "closed" } else { "not closed yet" };
        write!(f, "{chain}: manifests {first} to {last}, {objects} objects, {closed}")
    }
}

/// Which manifests of a chain tell of an hour. `names` are in the order of their numbers.
pub(super) struct Wanted {
    /// The first: the one in front of the hour's first, if it was listed.
    pub(super) begin: usize,
    /// The earliest that can close the hour.
    pub(super) close_from: usize,
}

/// What has to be read of a chain.
pub(super) fn wanted(names: &[ManifestName], hour: Hour) -> Wanted {
    let is_before = |name: &ManifestName| name.hour < hour;
    let first = names.iter().position(|name| !is_before(name)).unwrap_or(names.len());
    let begin = first.saturating_sub(1);
    let in_hour = names.iter().rposition(|name| name.hour == hour);
    Wanted { begin, close_from: in_hour.unwrap_or(begin).max(begin) }
}

/// Whether a manifest says that all of an hour is told.
pub(super) fn closes(manifest: &Manifest, hour: Hour) -> bool {
    let closed = manifest.closed.as_deref().and_then(read_hour);
    manifest.last || closed.is_some_and(|closed| closed >= hour)
}

/// What is wrong with manifests that follow each other, and what they tell of the hour.
pub(super) fn follow(id: &ChainId, chain: &[Found], hour: Hour) -> (Vec<Fault>, ChainTold) {
    let mut faults = Vec::new();
    let mut wrong = |found: &Found, text: String| {
        faults.push(Fault::Chain { key: found.name.key(), text });
    };
    for found in chain {
        within(found).into_iter().for_each(|text| wrong(found, text));
    }
    for pair in chain.windows(2) {
        let [before, found] = pair else { continue };
        between(before, found).into_iter().for_each(|text| wrong(found, text));
    }
    let number = |found: Option<&Found>| found.map_or(0, |found| found.name.number);
    let in_hour = chain.iter().filter(|found| found.name.hour == hour);
    let told = ChainTold {
        chain: id.to_string(),
        first: number(chain.first()),
        last: number(chain.last()),
        objects: in_hour.map(|found| found.manifest.objects.len() as u64).sum(),
        closed: chain.iter().any(|found| closes(&found.manifest, hour)),
    };
    (faults, told)
}

/// What is wrong with one manifest by itself.
fn within(found: &Found) -> Vec<String> {
    let Found { name, manifest, .. } = found;
    let mut wrong = Vec::new();
    let mut pieces: BTreeMap<u16, Vec<(u64, u64)>> = BTreeMap::new();
    for entry in &manifest.objects {
        pieces.entry(entry.shard).or_default().push((entry.first, entry.end));
        if !is_named_so(entry, name) {
            wrong.push(format!("what it says of {} is not what that name says", entry.key));
        }
    }
    for gap in &manifest.gaps {
        pieces.entry(gap.shard).or_default().push((gap.first, gap.end));
    }
    for span in &manifest.streams {
        let mut end = span.from;
        let mut pieces = pieces.remove(&span.shard).unwrap_or_default();
        pieces.sort_unstable();
        for (first, behind) in pieces {
            if first != end {
                wrong.push(format!("shard {}: {end} is followed by {first}", span.shard));
            }
            end = behind;
        }
        if end != span.end {
            wrong.push(format!("shard {}: it ends at {end}, and says {}", span.shard, span.end));
        }
    }
    for shard in pieces.keys() {
        wrong.push(format!("shard {shard} is in it, and is none of its streams"));
    }
    if manifest.ledger != Sums::of(&manifest.objects, &manifest.gaps) {
        wrong.push("its sums are not those of its objects and gaps".to_owned());
    }
    wrong
}

fn is_named_so(entry: &Entry, of: &ManifestName) -> bool {
    ObjectName::read_wherever(&entry.key).is_some_and(|object| {
        let says = (ChainId::of(&object.stream), object.hour, object.stream.shard.0);
        let holds = (object.first.0, object.end.0, object.rows());
        says == (of.id, of.hour, entry.shard) && holds == (entry.first, entry.end, entry.rows)
    })
}

/// What is wrong between two manifests that should follow each other.
fn between(before: &Found, found: &Found) -> Vec<String> {
    let mut wrong = Vec::new();
    let number = before.name.number + 1;
    if found.name.number != number {
        return vec![format!("number {number} is not there")];
    }
    let said = found.manifest.previous.as_ref().map(|p| (p.hour.clone(), p.digest.clone()));
    if said != Some((hour_text(before.name.hour), before.digest.clone())) {
        wrong.push(format!("it was not made behind the number {} that is there", number - 1));
    }
    if before.manifest.last {
        wrong.push(format!("number {} says that it is the last", number - 1));
    }
    let ends = before.manifest.streams.iter().map(|span| (span.shard, span.end));
    let mut ends: BTreeMap<u16, u64> = ends.collect();
    for span in &found.manifest.streams {
        // A stream that is new begins with its first event.
        let end = ends.remove(&span.shard).unwrap_or(0);
        if end != span.from {
            wrong.push(format!("shard {}: {end} is followed by {}", span.shard, span.from));
        }
    }
    wrong.extend(ends.keys().map(|shard| format!("shard {shard} is not in it any more")));
    wrong
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        objects::manifest::digest,
        spool::chain::{Chain, Gap, GapReason, ListSeal, tests::object},
    };
    use brink_proto::ids::Sequence;

    const HOUR: Hour = Hour(498_727);

    fn found(manifest: Manifest) -> Found {
        let name = manifest.place().unwrap();
        Found { name, digest: digest(&manifest.bytes()), manifest }
    }

    /// Three manifests: an hour before, the hour with an object and a gap, and an empty one.
    fn chain() -> Vec<Found> {
        let mut chain = Chain::new("e/7/t".parse().unwrap());
        let mut made = Vec::new();
        let mut next = |chain: &mut Chain, closed: Option<u32>| {
            chain.seal(Hour(HOUR.0 + 1), ListSeal { closed, last: false });
            let found = found(Manifest::of(chain).unwrap());
            chain.link(found.digest.clone());
            made.push(found);
        };
        chain.add(Hour(HOUR.0 - 1), Sequence(0), Vec::new(), object(0, 0, 10));
        next(&mut chain, None);
        let gap = Gap { shard: 0, first: 10, end: 12, reason: GapReason::Corrupt };
        chain.add(HOUR, Sequence(0), vec![gap], object(0, 12, 20));
        chain.add(HOUR, Sequence(0), Vec::new(), object(1, 0, 5));
        next(&mut chain, None);
        next(&mut chain, Some(HOUR.0));
        made
    }

    fn told(chain: &[Found]) -> Vec<String> {
        let (faults, _) = follow(&"e/7/t".parse().unwrap(), chain, HOUR);
        let text = |fault: Fault| match fault {
            Fault::Chain { text, .. } => text,
            other => other.to_string(),
        };
        faults.into_iter().map(text).collect()
    }

    #[test]
    fn a_chain_that_was_made_is_whole_and_closes_its_hour() {
        let chain = chain();
        assert_eq!(told(&chain), [""; 0]);
        let (_, told) = follow(&"e/7/t".parse().unwrap(), &chain, HOUR);
        assert_eq!((told.first, told.last, told.objects, told.closed), (0, 2, 2, true));
        let (_, told) = follow(&"e/7/t".parse().unwrap(), &chain[..2], HOUR);
        assert!(!told.closed);
        let names: Vec<_> = chain.iter().map(|found| found.name).collect();
        for (hour, begin, close_from) in [(HOUR.0 - 1, 0, 0), (HOUR.0, 0, 1), (HOUR.0 + 1, 1, 2)] {
            let Wanted { begin: from, close_from: close } = wanted(&names, Hour(hour));
            assert_eq!((from, close), (begin, close_from), "{hour}");
        }
    }

    type Wound = fn(&mut Vec<Found>);

    #[test]
    fn every_wound_of_a_chain_is_told() {
        let wounds: [(Wound, &str); 8] = [
            (|c| c.retain(|found| found.name.number != 1), "number 1 is not there"),
            (|c| c[0].digest = "00".into(), "it was not made behind the number 0 that is there"),
            (|c| c[1].manifest.streams[0].from = 11, "shard 0: 11 is followed by 10"),
            (|c| c[1].manifest.objects.truncate(1), "shard 1: it ends at 0, and says 5"),
            (|c| c[1].manifest.gaps.clear(), "shard 0: 10 is followed by 12"),
            (|c| c[2].manifest.streams.truncate(1), "shard 1 is not in it any more"),
            (|c| c[1].manifest.ledger.delivered = 1, "its sums are not those of its objects"),
            (|c| c[1].manifest.objects[0].rows = 1, "is not what that name says"),
        ];
        for (wound, want) in wounds {
            let mut chain = chain();
            wound(&mut chain);
            let told = told(&chain);
            assert!(told.iter().any(|text| text.contains(want)), "{want}: {told:?}");
        }
    }
}

//! The manifests that tell of an hour: found in a store, read, and what they prove.

use super::{
    OBJECTS_MAX,
    chains::{ChainTold, Found, Wanted, closes, follow, wanted},
    tiling::Fault,
};
use crate::{
    objects::{
        key::ObjectName,
        manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestName, digest, folder, read_hour},
        store::{PutError, Store},
    },
    spool::chain::ChainId,
};
use brink_proto::ids::{Hour, Name, StreamId};
use std::collections::BTreeMap;

/// Milliseconds of an hour: an incarnation is the time of its start.
const HOUR_MS: u64 = 3_600_000;

/// What manifests prove.
#[derive(Default)]
pub(super) struct Proof {
    /// How many were read.
    pub(super) manifests: u64,
    /// What each chain says, and whether its appliance was there in the hour.
    pub(super) chains: BTreeMap<ChainId, (ChainTold, bool)>,
    /// Keys of the hour's objects with their log digests.
    pub(super) listed: BTreeMap<String, String>,
    /// Events that are in no object, by reason.
    gaps: Vec<(StreamId, u64, u64, &'static str)>,
    /// Where streams begin in the first manifest of their chain: what is below was delivered before
    /// there were manifests.
    begins: BTreeMap<StreamId, u64>,
}

impl Proof {
    /// Whether a manifest tells of an object, or nobody could have told of it.
    pub(super) fn tells(&self, object: &ObjectName) -> bool {
        let begin = self.begins.get(&object.stream);
        self.listed.contains_key(&object.key()) || begin.is_some_and(|b| object.end.0 <= *b)
    }

    /// Whether this edge has made manifests of a start before this one, or of this one.
    pub(super) fn has_begun(&self, stream: &StreamId) -> bool {
        let begun = |id: &ChainId| id.edge == stream.edge && id.incarnation <= stream.incarnation;
        self.chains.keys().any(begun)
    }

    /// The log digest that a manifest says an object has.
    pub(super) fn digest_of(&self, object: &ObjectName) -> Option<&str> {
        self.listed.get(&object.key()).map(String::as_str)
    }

    /// A gap with its reason, if manifests name one for all of it.
    pub(super) fn explained(&self, fault: Fault) -> Vec<Fault> {
        let Fault::Gap { stream, from, to } = &fault else { return vec![fault] };
        let mut at = *from;
        let mut lost = Vec::new();
        for (of, first, end, reason) in &self.gaps {
            if of.to_string() == *stream && *first <= at && at < *end && at < *to {
                let (stream, from, reason) = (stream.clone(), at, *reason);
                at = (*end).min(*to);
                lost.push(Fault::Lost { stream, from, to: at, reason });
            }
        }
        if at == *to { lost } else { vec![fault] }
    }

    fn add(&mut self, id: ChainId, chain: &[Found], hour: Hour) -> Vec<Fault> {
        let (faults, told) = follow(&id, chain, hour);
        let is_of_hour = chain.iter().any(|found| {
            let closed = found.manifest.closed.as_deref().and_then(read_hour);
            found.name.hour == hour || closed.is_some_and(|closed| closed >= hour)
        });
        for Found { name, manifest, .. } in chain {
            if name.number == 0 {
                let begins = manifest.streams.iter();
                self.begins.extend(begins.map(|span| (id.stream(span.shard), span.from)));
            }
            let gaps = manifest.gaps.iter();
            self.gaps.extend(gaps.map(|g| (id.stream(g.shard), g.first, g.end, g.reason.label())));
            let entries = manifest.objects.iter().filter(|_| name.hour == hour);
            let known = entries.filter(|entry| ObjectName::read_wherever(&entry.key).is_some());
            self.listed.extend(known.map(|entry| (entry.key.clone(), entry.digest.clone())));
        }
        self.gaps.sort_unstable();
        self.manifests += chain.len() as u64;
        self.chains.insert(id, (told, is_of_hour));
        faults
    }
}

/// Where the manifests of a topic are looked for.
pub(super) struct Listings<'a> {
    pub(super) store: &'a Store,
    pub(super) topic: &'a Name,
    pub(super) hour: Hour,
}

impl Listings<'_> {
    /// Reads the manifests of the hour and what is needed around them; `from` and `to` are the
    /// hours that are listed.
    pub(super) async fn prove(
        &self,
        from: Hour,
        to: Hour,
        proof: &mut Proof,
    ) -> Result<Vec<Fault>, PutError> {
        let mut faults = Vec::new();
        let mut chains: BTreeMap<ChainId, Vec<ManifestName>> = BTreeMap::new();
        for hour in (from.0..=to.0).map(Hour) {
            for key in self.store.keys_below(&folder(self.topic, hour), OBJECTS_MAX).await? {
                match ManifestName::read(&key) {
                    Some(name) => chains.entry(name.id).or_default().push(name),
                    None if hour == self.hour => faults.push(Fault::Foreign { key }),
                    None => {}
                }
            }
        }
        for (id, mut names) in chains {
            // Who started later has nothing to tell.
            if id.incarnation.0 / HOUR_MS > u64::from(self.hour.0) {
                continue;
            }
            names.sort_by_key(|name| name.number);
            let chain = self.read_chain(&names, &mut faults).await?;
            faults.extend(proof.add(id, &chain, self.hour));
        }
        Ok(faults)
    }

    /// The manifests of a chain, from the one in front of the hour's first up to the one that
    /// closes it, or the last there is.
    async fn read_chain(
        &self,
        names: &[ManifestName],
        faults: &mut Vec<Fault>,
    ) -> Result<Vec<Found>, PutError> {
        let Wanted { begin, close_from } = wanted(names, self.hour);
        let mut chain: Vec<Found> = Vec::new();
        for (at, name) in names.iter().enumerate().skip(begin) {
            let Some(found) = self.read(name, faults).await? else { continue };
            if chain.is_empty() && name.number > 0 && name.hour >= self.hour {
                chain.extend(self.read_before(&found, faults).await?);
            }
            let is_enough = at >= close_from && closes(&found.manifest, self.hour);
            chain.push(found);
            if is_enough {
                break;
            }
        }
        Ok(chain)
    }

    /// The manifest in front of one whose hour was not listed.
    async fn read_before(
        &self,
        found: &Found,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<Found>, PutError> {
        let hour = found.manifest.previous.as_ref().and_then(|p| read_hour(&p.hour));
        let Some(hour) = hour else { return Ok(None) };
        let number = found.name.number.saturating_sub(1);
        self.read(&ManifestName { number, hour, ..found.name }, faults).await
    }

    async fn read(
        &self,
        name: &ManifestName,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<Found>, PutError> {
        let key = name.key();
        let text = match self.store.read(&key, MANIFEST_BYTES_MAX).await? {
            None => "it is not there".to_owned(),
            Some(None) => format!("it has more than {MANIFEST_BYTES_MAX} bytes"),
            Some(Some(bytes)) => match serde_json::from_slice::<Manifest>(&bytes) {
                Err(error) => format!("it cannot be read: {error}"),
                Ok(manifest) if manifest.place() != Some(*name) => {
                    "it says that it is another one".to_owned()
                }
                Ok(manifest) => {
                    let (name, digest) = (*name, digest(&bytes));
                    return Ok(Some(Found { name, digest, manifest }));
                }
            },
        };
        faults.push(Fault::Chain { key, text });
        Ok(None)
    }
}

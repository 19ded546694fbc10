//! Whether what was delivered is whole: the objects of one hour, held against each other and
//! against the manifests that tell of them.
//!
//! ```text
//!  keys of the hour and those before ─▶ by stream ─▶ first to end, first to end, …
//!  footers of the hour's objects     ─▶ rows and digest are there
//!  manifests, from the one in front of the hour's first up to the one that closes it
//!                                    ─▶ they follow each other, and list these objects
//!  the fleet's roster                ─▶ every edge has delivered something
//!  records of Kafka, if it is asked  ─▶ the objects' sequences, each once and in order
//! ```
//!
//! A key says which sequences its object holds, and sequences of a stream are dense from 0, so keys
//! alone show what is missing or stands twice. They cannot show what was not delivered behind the
//! last object of a stream: a manifest that closes the hour says that there is nothing. A store
//! that has no manifests is proved as far as keys go.

mod chains;
mod proof;
mod tiling;
mod topic;

pub use chains::ChainTold;
pub use tiling::{Fault, StreamTiles};

use crate::{
    kafka::reader::{ReadFault, Reader},
    objects::{
        key::{self, ObjectName},
        manifest::hour_text,
        store::{PutError, Store},
    },
    spool::chain::ChainId,
};
use brink_proto::ids::{Hour, Name};
use proof::{Listings, Proof};
use serde::Serialize;
use std::{collections::BTreeSet, fmt, time::Duration};
use tiling::tile;
use topic::Awaited;

/// BOUND: objects of one hour and topic, a fleet's worth many times over.
const OBJECTS_MAX: usize = 1_000_000;

/// What is to be proved.
#[derive(Debug, Clone)]
pub struct Question {
    /// Topics.
    pub topics: Vec<Name>,
    /// The hour.
    pub hour: Hour,
    /// Hours before it in which a stream's earlier objects are looked for.
    pub back: u32,
    /// Edges that must have delivered something; nobody must, if it is empty.
    pub roster: Vec<Name>,
    /// Now, since 1970: a young hour may have objects that no manifest lists yet.
    pub now: Duration,
}

/// What may be missing of manifests is a note and no fault until the hour is so long over: objects
/// roll within minutes, and a store may be away for a while.
const YOUNG: Duration = Duration::from_secs(30 * 60);

/// BOUND: hours behind the one that is asked for, in which the manifest that closes it is looked
/// for.
const AHEAD_MAX: u32 = 48;

impl Question {
    fn is_young(&self) -> bool {
        self.now < hours(self.hour.0 + 1) + YOUNG
    }

    /// The last hour in which a manifest can lie.
    fn latest(&self) -> Hour {
        let now = u32::try_from(self.now.as_secs() / 3600).unwrap_or(u32::MAX);
        Hour(now.clamp(self.hour.0, self.hour.0.saturating_add(AHEAD_MAX)))
    }
}

fn hours(count: u32) -> Duration {
    Duration::from_secs(3600 * u64::from(count))
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Audit {
    /// The hour, as `2026-11-23T07`.
    pub hour: String,
    /// Streams that have objects in it.
    pub streams: Vec<StreamTiles>,
    /// Objects in it.
    pub objects: u64,
    /// Their rows.
    pub rows: u64,
    /// Manifests that were read.
    pub manifests: u64,
    /// What they say.
    pub chains: Vec<ChainTold>,
    /// Records of Kafka that were held against them, if it was asked.
    pub kafka_records: Option<u64>,
    /// What would be wrong if the hour were over for longer.
    pub notes: Vec<Fault>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Audit {
    /// Whether nothing is missing, twice, or broken.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Why an hour cannot be audited.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] PutError),
    /// The topic cannot be read.
    #[error("Kafka: {0}")]
    Kafka(#[from] ReadFault),
}

/// Time before an hour in which records of its first events may have been made.
const EARLY: Duration = Duration::from_secs(600);

/// Audits an hour, in Kafka as well if there is a cluster; `tell` hears how many objects were
/// looked into, of how many.
///
/// # Errors
/// [`AuditError`] when the store or the cluster does not answer.
pub async fn audit(
    store: &Store,
    kafka: Option<&Reader>,
    question: &Question,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Audit, AuditError> {
    let mut audit = Audit { hour: hour_text(question.hour), ..Audit::default() };
    let from = Hour(question.hour.0.saturating_sub(question.back));
    let mut names = Vec::new();
    let mut proof = Proof::default();
    for topic in &question.topics {
        let (objects, foreign) = objects(store, topic, from, question.hour).await?;
        names.extend(objects);
        audit.faults.extend(foreign);
        let listings = Listings { store, topic, hour: question.hour };
        audit.faults.extend(listings.prove(from, question.latest(), &mut proof).await?);
    }
    let (streams, faults) = tile(&names, from, question.hour);
    audit.streams = streams;
    audit.faults.extend(faults.into_iter().flat_map(|fault| proof.explained(fault)));
    names.retain(|name| name.hour == question.hour);
    audit.objects = names.len() as u64;
    audit.rows = names.iter().map(ObjectName::rows).sum();
    for (count, name) in names.iter().enumerate() {
        tell(count, names.len());
        audit.faults.extend(broken(store, name, proof.digest_of(name)).await?);
    }
    audit.faults.extend(vanished(store, &names, &proof).await?);
    audit.hold_against_chains(question, &names, &proof);
    if let Some(kafka) = kafka {
        audit.hold_against_kafka(question, &names, kafka).await?;
    }
    audit.manifests = proof.manifests;
    audit.chains = proof.chains.into_values().map(|(told, _)| told).collect();
    Ok(audit)
}

/// The objects of a topic in these hours, and what is none in the last of them.
async fn objects(
    store: &Store,
    topic: &Name,
    from: Hour,
    to: Hour,
) -> Result<(Vec<ObjectName>, Vec<Fault>), PutError> {
    let (mut names, mut foreign) = (Vec::new(), Vec::new());
    for hour in (from.0..=to.0).map(Hour) {
        for key in store.keys_below(&key::folder(topic, hour), OBJECTS_MAX).await? {
            match ObjectName::read(&key) {
                Some(name) => names.push(name),
                None if hour == to => foreign.push(Fault::Foreign { key }),
                None => {}
            }
        }
    }
    Ok((names, foreign))
}

/// Objects that manifests of the hour list and that are not there.
async fn vanished(
    store: &Store,
    names: &[ObjectName],
    proof: &Proof,
) -> Result<Vec<Fault>, PutError> {
    let there: BTreeSet<String> = names.iter().map(ObjectName::key).collect();
    let mut faults = Vec::new();
    for (key, digest) in proof.listed.iter().filter(|(key, _)| !there.contains(*key)) {
        // What went aside lies in none of the folders that were listed.
        let is_aside = !key.starts_with("ds=");
        let found = if is_aside { store.footer_of(key).await? } else { None };
        if found.is_none_or(|footer| footer.digest != *digest) {
            faults.push(Fault::Vanished { key: key.clone() });
        }
    }
    Ok(faults)
}

impl Audit {
    /// Whether the topics have what the objects have. They are read to their ends: what was
    /// delivered late lies behind later hours.
    async fn hold_against_kafka(
        &mut self,
        question: &Question,
        names: &[ObjectName],
        kafka: &Reader,
    ) -> Result<(), ReadFault> {
        let from = hours(question.hour.0).saturating_sub(EARLY);
        let from_ms = i64::try_from(from.as_millis()).unwrap_or(i64::MAX);
        let topics: BTreeSet<Name> = names.iter().map(|name| name.stream.topic).collect();
        let mut records = 0;
        for topic in topics {
            let mut awaited = Awaited::new(topic, names);
            kafka.read(&topic, from_ms, &mut |value| awaited.take(value)).await?;
            records += awaited.records;
            self.faults.extend(awaited.faults());
        }
        self.kafka_records = Some(records);
        Ok(())
    }

    /// Which objects no manifest lists, which chains are open, and which edges are absent.
    fn hold_against_chains(&mut self, question: &Question, names: &[ObjectName], proof: &Proof) {
        let mut present: BTreeSet<Name> = names.iter().map(|name| name.stream.edge).collect();
        let mut late = Vec::new();
        for name in names.iter().filter(|name| !proof.tells(name)) {
            let unlisted = Fault::Unlisted { key: name.key() };
            match proof.chains.get(&ChainId::of(&name.stream)) {
                Some((told, _)) if told.closed => self.faults.push(unlisted),
                Some(_) => late.push(unlisted),
                None if proof.has_begun(&name.stream) => late.push(unlisted),
                // It may have been delivered before there were manifests.
                None if proof.manifests > 0 => self.notes.push(unlisted),
                None => {}
            }
        }
        for (id, (told, is_of_hour)) in &proof.chains {
            if !told.closed {
                late.push(Fault::Open { edge: id.edge.to_string(), chain: told.chain.clone() });
            }
            if *is_of_hour {
                present.insert(id.edge);
            }
        }
        for edge in &question.roster {
            let is_told = proof.chains.keys().any(|id| id.edge == *edge);
            let edge_text = edge.to_string();
            if !present.contains(edge) {
                self.faults.push(Fault::Absent { edge: edge_text });
            } else if !is_told && proof.manifests > 0 {
                late.push(Fault::Open { edge: edge_text.clone(), chain: edge_text });
            }
        }
        let to = if question.is_young() { &mut self.notes } else { &mut self.faults };
        to.append(&mut late);
    }
}

/// What is wrong with an object, by its footer.
async fn broken(
    store: &Store,
    name: &ObjectName,
    listed: Option<&str>,
) -> Result<Option<Fault>, PutError> {
    let key = name.key();
    let text = match store.footer_of(&key).await? {
        None => "it was listed and is not there any more".to_owned(),
        Some(footer) if footer.digest.is_empty() => {
            "it is no Parquet of ours: there is no log digest in its footer".to_owned()
        }
        Some(footer) if footer.rows != name.rows() => {
            format!("it has {} rows, and its name says {}", footer.rows, name.rows())
        }
        Some(footer) if listed.is_some_and(|digest| digest != footer.digest) => {
            "its manifest lists another log digest".to_owned()
        }
        Some(_) => return Ok(None),
    };
    Ok(Some(Fault::Broken { key, text }))
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Audit { hour, objects, rows, streams, manifests, chains, notes, faults, .. } = self;
        writeln!(f, "hour {hour}: {objects} objects, {rows} rows, {} streams", streams.len())?;
        for stream in streams {
            writeln!(f, "  {stream}")?;
        }
        match manifests {
            0 => writeln!(f, "no manifests: what follows is proved by objects alone")?,
            _ => writeln!(f, "{manifests} manifests of {} chains", chains.len())?,
        }
        for chain in chains {
            writeln!(f, "  {chain}")?;
        }
        if let Some(records) = self.kafka_records {
            writeln!(f, "{records} records in Kafka")?;
        }
        if !notes.is_empty() {
            writeln!(f, "not proved: {} notes", notes.len())?;
        }
        notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        match faults.len() {
            0 => writeln!(f, "whole: no gap, nothing twice"),
            count => {
                writeln!(f, "NOT WHOLE: {count} faults")?;
                faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        objects::{manifest::Manifest, store::StoreConfig},
        spool::chain::{Chain, ListSeal},
    };
    use std::{fs, path::Path};

    const HOUR: u32 = 498_727;

    /// Writes a manifest without objects of an edge's first start.
    fn write(folder: &Path, edge: &str, hour: u32, seal: ListSeal) {
        let mut chain = Chain::new(format!("{edge}/7/impressions").parse().unwrap());
        chain.seal(Hour(hour), seal);
        let manifest = Manifest::of(&chain).unwrap();
        let path = folder.join(manifest.place().unwrap().key());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, manifest.bytes()).unwrap();
    }

    /// Faults and notes of the hour, so long after it.
    fn told(folder: &Path, after: Duration) -> [Vec<String>; 2] {
        let name = |text: &str| Name::new(text).unwrap();
        let question = Question {
            topics: vec![name("impressions")],
            hour: Hour(HOUR),
            back: 24,
            roster: ["quiet", "late", "dead", "unknown"].map(name).into(),
            now: hours(HOUR + 1) + after,
        };
        let store = Store::open(&StoreConfig::Folder(folder.to_owned())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(audit(&store, None, &question, &mut |_, _| {})).unwrap();
        let text = |fault: &Fault| match fault {
            Fault::Open { edge, .. } => format!("open {edge}"),
            Fault::Absent { edge } => format!("absent {edge}"),
            other => other.to_string(),
        };
        [found.faults, found.notes].map(|list| list.iter().map(text).collect())
    }

    #[test]
    fn edges_that_have_not_closed_an_hour_are_named_and_so_are_those_that_were_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let closed = |hour| ListSeal { closed: Some(hour), last: false };
        // One that had nothing to say, one that has said so of the hour before, one that had ended.
        write(dir.path(), "quiet", HOUR, closed(HOUR));
        write(dir.path(), "late", HOUR, closed(HOUR - 1));
        write(dir.path(), "dead", HOUR - 3, ListSeal { closed: None, last: true });
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let absent = ["absent dead", "absent unknown"].map(str::to_owned).to_vec();
        let late = vec!["open late".to_owned()];
        assert_eq!(told(dir.path(), minutes(29)), [absent.clone(), late.clone()]);
        assert_eq!(told(dir.path(), minutes(31)), [[absent, late].concat(), Vec::new()]);
    }
}

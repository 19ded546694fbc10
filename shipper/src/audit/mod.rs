//! Whether what was delivered is whole: the objects of one hour, held against each other.
//!
//! ```text
//!  keys of the hour and those before ─▶ by stream ─▶ first to end, first to end, …
//!  footers of the hour's objects     ─▶ rows and digest are there
//!  the fleet's roster                ─▶ every edge has delivered something
//! ```
//!
//! A key says which sequences its object holds, and sequences of a stream are dense from 0, so keys
//! alone show what is missing or stands twice. They cannot show what was not delivered behind the
//! last object of a stream: that waits in a spool, and [`crate::inspect`] says how much.

mod tiling;

pub use tiling::{Fault, StreamTiles};

use crate::objects::{
    key::ObjectName,
    store::{PutError, Store},
};
use brink_proto::ids::{Hour, Name};
use serde::Serialize;
use std::{collections::BTreeSet, fmt};
use tiling::tile;

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

/// Audits an hour; `tell` hears how many objects were looked into, of how many.
///
/// # Errors
/// [`PutError`] when the store does not answer.
pub async fn audit(
    store: &Store,
    question: &Question,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Audit, PutError> {
    let (date, of_day) = question.hour.partition();
    let mut audit = Audit { hour: format!("{date}T{of_day}"), ..Audit::default() };
    let mut names = Vec::new();
    let from = Hour(question.hour.0.saturating_sub(question.back));
    for topic in &question.topics {
        for hour in (from.0..=question.hour.0).map(Hour) {
            let (date, of_day) = hour.partition();
            let folder = format!("ds={topic}/dt={date}/hour={of_day}");
            for key in store.keys_below(&folder, OBJECTS_MAX).await? {
                match ObjectName::read(&key) {
                    Some(name) => names.push(name),
                    None if hour == question.hour => audit.faults.push(Fault::Foreign { key }),
                    None => {}
                }
            }
        }
    }
    let (streams, faults) = tile(&names, from, question.hour);
    audit.streams = streams;
    audit.faults.extend(faults);
    names.retain(|name| name.hour == question.hour);
    audit.objects = names.len() as u64;
    audit.rows = names.iter().map(ObjectName::rows).sum();
    for (count, name) in names.iter().enumerate() {
        tell(count, names.len());
        audit.faults.extend(broken(store, name).await?);
    }
    let seen: BTreeSet<&Name> = names.iter().map(|name| &name.stream.edge).collect();
    let absent = question.roster.iter().filter(|edge| !seen.contains(edge));
    audit.faults.extend(absent.map(|edge| Fault::Absent { edge: edge.to_string() }));
    Ok(audit)
}

/// What is wrong with an object, by its footer.
async fn broken(store: &Store, name: &ObjectName) -> Result<Option<Fault>, PutError> {
    let key = name.key();
    let text = match store.footer_of(&key).await? {
        None => "it was listed and is not there any more".to_owned(),
        Some(footer) if footer.digest.is_empty() => {
            "it is no Parquet of ours: there is no log digest in its footer".to_owned()
        }
        Some(footer) if footer.rows != name.rows() => {
            format!("it has {} rows, and its name says {}", footer.rows, name.rows())
        }
        Some(_) => return Ok(None),
    };
    Ok(Some(Fault::Broken { key, text }))
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Audit { hour, objects, rows, streams, faults } = self;
        writeln!(f, "hour {hour}: {objects} objects, {rows} rows, {} streams", streams.len())?;
        for stream in streams {
            writeln!(f, "  {stream}")?;
        }
        match faults.len() {
            0 => writeln!(f, "whole: no gap, nothing twice"),
            count => {
                writeln!(f, "NOT WHOLE: {count} faults")?;
                faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"))
            }
        }
    }
}

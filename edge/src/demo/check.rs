//! The objects of a run against the requests that were answered.

use super::script::Script;
use crate::appliance::board::Board;
use brink_shipper::objects::readback::{self, ReadError};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// An object of this run.
pub(super) struct CheckedObject {
    pub(super) path: PathBuf,
    pub(super) rows: usize,
    pub(super) bytes: u64,
}

/// What was found.
pub(super) struct Checked {
    pub(super) objects: Vec<CheckedObject>,
    pub(super) faults: Vec<String>,
}

/// Reads the objects of this start and of one topic, and holds them against the nonces that were
/// answered.
pub(super) fn objects(folder: &Path, board: &Board, script: &Script) -> Result<Checked, ReadError> {
    let topic = script.asker.topic();
    let folder = &folder.join(format!("ds={topic}"));
    if !folder.exists() {
        let faults = vec![format!("{topic}: no object was written")];
        return Ok(Checked { objects: Vec::new(), faults });
    }
    let ours = format!("{}-{:020}-", board.config.edge, board.incarnation.0);
    let is_ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&ours))
    };
    let mut objects = Vec::new();
    let mut faults = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for path in readback::objects_below(folder)?.into_iter().filter(is_ours) {
        let rows = readback::rows(&path, script.asker.column())?;
        for row in &rows {
            // Names sort as the log does, so each shard's rows come in order of sequence.
            let expected = next.entry(row.shard).or_insert(0);
            if row.sequence != *expected {
                let (shard, found) = (row.shard, row.sequence);
                faults.push(format!(
                    "{topic}, shard {shard}: sequence {found} where {expected} was due"
                ));
            }
            *expected = row.sequence + 1;
            let number = row.text.as_deref().and_then(|query| script.number_of(query));
            match number {
                Some(number) if seen.insert(number) => {}
                Some(number) => faults.push(format!("{topic}: nonce {number} stands in two rows")),
                None => faults.push(format!("{topic}: row {} was not answered", row.sequence)),
            }
        }
        let bytes = fs::metadata(&path).map_or(0, |m| m.len());
        objects.push(CheckedObject { path, rows: rows.len(), bytes });
    }
    if seen.len() != script.answered() {
        let missing = script.answered() - seen.len();
        faults.push(format!("{topic}: {missing} answered requests have no row"));
    }
    faults.truncate(FAULTS_SHOWN);
    Ok(Checked { objects, faults })
}

/// More than that say nothing new.
const FAULTS_SHOWN: usize = 20;

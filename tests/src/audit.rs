//! What was delivered, read back from the objects and held against what was asked and answered.
//!
//! Requests carry a nonce, `n=…`, first in their query; the row of each has it in `raw_query`.

use brink_shipper::objects::readback;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The hours that objects below a folder lie in, as `shipper audit` takes them.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn hours(objects: &Path) -> BTreeSet<String> {
    let paths = readback::objects_below(objects).expect("objects");
    let hour = |path: &PathBuf| hour_of(path.to_str().expect("a text")).expect("a partition");
    paths.iter().map(hour).collect()
}

/// The hour that a key lies in, as `shipper audit` takes it.
#[must_use]
pub fn hour_of(key: &str) -> Option<String> {
    let part = |name: &str| key.split('/').find_map(|part| part.strip_prefix(name));
    Some(format!("{}T{}", part("dt=")?, part("hour=")?))
}

/// The rows of all objects: by stream, sequences with their nonces.
#[derive(Debug, Default)]
pub struct Audit {
    streams: BTreeMap<String, Vec<(i64, String)>>,
}

impl Audit {
    /// Reads the objects below a folder.
    ///
    /// # Panics
    /// When one cannot be read, or a row has no nonce.
    #[must_use]
    pub fn read(objects: &Path) -> Audit {
        let mut audit = Audit::default();
        for path in readback::objects_below(objects).expect("objects") {
            // <edge>-<incarnation>-<shard>-<first>-<last>.v<schema>.parquet
            let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
            let stream = name.splitn(4, '-').take(3).collect::<Vec<_>>().join("-");
            let rows = audit.streams.entry(stream).or_default();
            for row in readback::rows(&path, "raw_query").unwrap_or_else(|e| panic!("{e}")) {
                let query = row.text.expect("every request has a query");
                let nonce = query.split('&').next().and_then(|p| p.strip_prefix("n="));
                rows.push((row.sequence, nonce.expect("a nonce").to_owned()));
            }
        }
        audit.streams.values_mut().for_each(|rows| rows.sort());
        audit
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.streams.values().map(|rows| rows.len() as u64).sum()
    }

    /// The streams that have rows: edge, incarnation and shard of each.
    pub fn stream_names(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str)
    }

    /// The nonces of all rows.
    ///
    /// # Panics
    /// When one stands twice.
    #[must_use]
    pub fn nonces(&self) -> BTreeSet<String> {
        let mut nonces = BTreeSet::new();
        for (stream, rows) in &self.streams {
            for (sequence, nonce) in rows {
                let new = nonces.insert(nonce.clone());
                assert!(new, "{nonce} stands twice, once in {stream} at {sequence}");
            }
        }
        nonces
    }

    /// Checks that every stream has all sequences from 0 to its last.
    ///
    /// # Panics
    /// When it has not.
    pub fn check_dense(&self) {
        let holes = self.holes();
        assert!(holes.is_empty(), "sequences that are missing: {holes:?}");
    }

    /// The sequences that are missing in front of a stream's last row.
    ///
    /// # Panics
    /// When a sequence stands twice.
    #[must_use]
    pub fn holes(&self) -> Vec<i64> {
        let mut holes = Vec::new();
        for (stream, rows) in &self.streams {
            let mut next = 0;
            for (sequence, _) in rows {
                assert!(*sequence >= next, "{stream} has {sequence} twice");
                holes.extend(next..*sequence);
                next = sequence + 1;
            }
        }
        holes
    }
}

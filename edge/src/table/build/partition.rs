//! Partitions: rows between being read and being sorted, by the first byte of their keys.
//!
//! ```text
//!  row = 8 hi │ 8 lo │ 4 bytes of what follows
//!        varint(segments << 1 | has base price) │ varint(base price), if it has one
//!        segments × ( varint(number of the code) │ varint(price + 1) │ varint(score + 1) )
//! ```
//!
//! Zero instead of a price or a score means that there is none. A thread gathers rows of each
//! partition and appends them at once, so that rows of all threads lie in one file, in any order.

use super::{BuildError, output::scratch_file};
use brink_proto::{
    ids::{PriceMicros, ScoreMillionths},
    table::Key,
    wire::{VARINT_BYTES_MAX, Writer},
};
use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// How many there are.
pub(super) const PARTITIONS: usize = 256;

/// BOUND: what a thread gathers of a partition: 16 MiB for all of them.
const GATHERED_BYTES: usize = 64 << 10;

/// Key and length.
pub(super) const ROW_HEAD_BYTES: usize = 20;

/// The files.
pub(super) struct Partitions {
    folder: PathBuf,
    files: Vec<Mutex<File>>,
}

impl Partitions {
    pub(super) fn create(folder: &Path) -> Result<Partitions, BuildError> {
        let file = |_| scratch_file(folder).map(Mutex::new);
        let files = (0..PARTITIONS).map(file).collect::<Result<_, _>>()?;
        Ok(Partitions { folder: folder.to_owned(), files })
    }

    /// What a failure to read or write is called.
    pub(super) fn failed(&self, source: std::io::Error) -> BuildError {
        BuildError::output(&self.folder, source)
    }

    fn append(&self, partition: usize, rows: &[u8]) -> Result<(), BuildError> {
        let mut file = self.files[partition].lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(rows).map_err(|source| self.failed(source))
    }

    /// How many bytes of rows a partition has.
    pub(super) fn bytes(&self, partition: usize) -> Result<u64, BuildError> {
        let file = self.files[partition].lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.metadata().map_err(|source| self.failed(source))?.len())
    }

    /// Fills `out` with what lies at `at` of a partition.
    pub(super) fn read(&self, partition: usize, at: u64, out: &mut [u8]) -> Result<(), BuildError> {
        let file = self.files[partition].lock().unwrap_or_else(PoisonError::into_inner);
        file.read_exact_at(out, at).map_err(|source| self.failed(source))
    }
}

/// One segment of a row, with its code's number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered {
    pub(super) number: u32,
    pub(super) price: Option<PriceMicros>,
    pub(super) score: Option<ScoreMillionths>,
}

/// What one thread has gathered.
pub(super) struct Gathered<'p> {
    partitions: &'p Partitions,
    rows: Vec<Vec<u8>>,
    /// Where a row is made: room for the longest one so far, which is not cleared in between.
    row: Vec<u8>,
}

impl<'p> Gathered<'p> {
    pub(super) fn new(partitions: &'p Partitions) -> Gathered<'p> {
        Gathered { partitions, rows: vec![Vec::new(); PARTITIONS], row: Vec::new() }
    }

    /// Takes a row.
    pub(super) fn push(
        &mut self,
        key: Key,
        base_price: Option<PriceMicros>,
        segments: impl ExactSizeIterator<Item = Numbered>,
    ) -> Result<(), BuildError> {
        let partition = (key.hi >> 56) as usize;
        let rows = &mut self.rows[partition];
        if rows.len() >= GATHERED_BYTES {
            self.partitions.append(partition, rows)?;
            rows.clear();
        }
        // BOUND: the longest row of so many segments.
        let longest = ROW_HEAD_BYTES + VARINT_BYTES_MAX * (2 + 3 * segments.len());
        if self.row.len() < longest {
            self.row.resize(longest, 0);
        }
        let (head, body) = self.row.split_at_mut(ROW_HEAD_BYTES);
        let mut body = Writer::new(body);
        body.varint((segments.len() as u64) << 1 | u64::from(base_price.is_some()));
        if let Some(price) = base_price {
            body.varint(price.number());
        }
        for Numbered { number, price, score } in segments {
            body.varint(number.into());
            body.varint(price.map_or(0, |price| price.number() + 1));
            body.varint(score.map_or(0, |score| u64::from(score.number()) + 1));
        }
        let written = body.finish().expect("there is room for the longest");
        head[..8].copy_from_slice(&key.hi.to_le_bytes());
        head[8..16].copy_from_slice(&key.lo.to_le_bytes());
        head[16..].copy_from_slice(&(written as u32).to_le_bytes());
        rows.extend_from_slice(&self.row[..ROW_HEAD_BYTES + written]);
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> Result<(), BuildError> {
        let rows = self.rows.iter().enumerate();
        rows.into_iter().try_for_each(|(partition, rows)| self.partitions.append(partition, rows))
    }
}

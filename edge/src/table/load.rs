//! A table from local disk into memory, off the shards' cores.

use super::{arena::Arena, handover::LoadedTable};
use brink_proto::{
    ids::Micros,
    table::{Table, TableError},
};
use brink_shipper::downlink::folder::LocalTable;
use std::{fs::File, io, path::PathBuf};

/// Why a table on local disk is not served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is no table, or not all of one.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no memory for it.
    #[error("no memory for a table of {bytes_max} bytes: {source}")]
    Memory {
        /// The largest that is taken.
        bytes_max: u64,
        /// What the system said.
        source: rustix::io::Errno,
    },
    /// The shards have not given the one before back.
    #[error("table {version} came while two others are out")]
    Busy {
        /// Its version.
        version: u64,
    },
}

/// Reads a table into an arena, and looks at all of it. The arena comes back where that fails.
pub async fn load(
    spare: Option<Arena>,
    local: LocalTable,
    bytes_max: u64,
) -> (Result<LoadedTable, LoadError>, Option<Arena>) {
    let reading = tokio::task::spawn_blocking(move || read(spare, &local, bytes_max));
    match reading.await {
        Ok(outcome) => outcome,
        // The reader has panicked, and the arena went with it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn read(
    spare: Option<Arena>,
    local: &LocalTable,
    bytes_max: u64,
) -> (Result<LoadedTable, LoadError>, Option<Arena>) {
    let version = local.manifest.version;
    let bytes = local.manifest.bytes;
    let mapped = spare.map_or_else(|| Arena::map(bytes_max as usize), Ok);
    let mut arena = match mapped {
        Ok(arena) => arena,
        Err(source) => return (Err(LoadError::Memory { bytes_max, source }), None),
    };
    let path = local.path.clone();
    let filled = File::open(&path).and_then(|mut file| arena.fill(&mut file, bytes as usize));
    if let Err(source) = filled {
        return (Err(LoadError::File { path, source }), Some(arena));
    }
    let table = match Table::open(arena) {
        Ok(table) => table,
        // The arena went into the table that is none; another one is mapped next time.
        Err(source) => return (Err(LoadError::Table { path, source }), None),
    };
    if let Err(source) = table.verify() {
        return (Err(LoadError::Table { path, source }), Some(table.into_inner()));
    }
    let published = Micros(local.manifest.published_ms.saturating_mul(1000));
    (Ok(LoadedTable { table, version, published }), None)
}

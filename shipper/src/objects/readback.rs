//! Objects read back: what a consumer sees of them, for audits and for tests.

use arrow_array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, errors::ParquetError};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// One row, as far as an audit looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Shard.
    pub shard: i32,
    /// Place in its stream.
    pub sequence: i64,
    /// The text column that was asked for.
    pub text: Option<String>,
}

/// An object that cannot be read as what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no Parquet of ours.
    #[error("{} is not readable as Parquet: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: ParquetError,
    },
    /// A column is missing or of another type.
    #[error("{} has no column {column:?} of the expected type", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
}

/// The Parquet files below a folder, in the order of their names.
///
/// # Errors
/// [`ReadError::File`] when a folder cannot be listed.
pub fn objects_below(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReadError::File { path, source }
    };
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
            let path = entry.map_err(failed(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The rows of an object in their order, with one text column.
///
/// # Errors
/// [`ReadError`] names the file and what is wrong with it.
pub fn rows(path: &Path, text: &str) -> Result<Vec<AuditRow>, ReadError> {
    let broken = |source| ReadError::Parquet { path: path.to_owned(), source };
    let file =
        File::open(path).map_err(|source| ReadError::File { path: path.to_owned(), source })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(broken)?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| broken(ParquetError::from(e)))?;
        let shards: &Int32Array = column(path, &batch, "shard")?;
        let sequences: &Int64Array = column(path, &batch, "sequence")?;
        let texts: &StringArray = column(path, &batch, text)?;
        for at in 0..batch.num_rows() {
            let text = texts.is_valid(at).then(|| texts.value(at).to_owned());
            let (shard, sequence) = (shards.value(at), sequences.value(at));
            rows.push(AuditRow { shard, sequence, text });
        }
    }
    Ok(rows)
}

fn column<'b, A: Array + 'static>(
    path: &Path,
    batch: &'b RecordBatch,
    name: &str,
) -> Result<&'b A, ReadError> {
    let found = batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref());
    found.ok_or_else(|| ReadError::Column { path: path.to_owned(), column: name.to_owned() })
}

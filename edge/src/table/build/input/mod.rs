//! What a table is built from: rows of users and their segments, in one of three formats.
//!
//! In reading order: [`row`] is what all of them come to, [`lines`] cuts a stream into pieces,
//! [`ndjson`] and [`csv`] read a line, [`parquet`] reads a file.

pub(super) mod csv;
pub(super) mod lines;
pub(super) mod ndjson;
pub(super) mod parquet;
pub(super) mod row;

use super::BuildError;
use lines::Lines;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// What rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One user a line, as JSON.
    Ndjson,
    /// One segment a line: ns,id,code,price,score and perhaps base_price.
    Csv,
    /// One segment a row, in columns of these names.
    Parquet,
}

/// An input that was opened.
pub(super) struct Source {
    /// What it is called in errors.
    pub(super) path: PathBuf,
    pub(super) rows: Rows,
}

/// Its rows.
pub(super) enum Rows {
    Ndjson(Lines),
    Csv(Lines),
    Parquet(File),
}

impl Source {
    pub(super) fn open(path: &Path, format: Option<Format>) -> Result<Source, BuildError> {
        let is_stdin = path == Path::new("-");
        let path = if is_stdin { PathBuf::from("standard input") } else { path.to_owned() };
        let failed = |source| BuildError::input(&path, source);
        let format = format.or_else(|| by_name(&path));
        if !is_stdin && format == Some(Format::Parquet) {
            let rows = Rows::Parquet(File::open(&path).map_err(failed)?);
            return Ok(Source { path, rows });
        }
        let stream: Box<dyn Read> = match is_stdin {
            true => Box::new(io::stdin().lock()),
            false => Box::new(File::open(&path).map_err(failed)?),
        };
        let mut lines = Lines::new(stream);
        let rows = match (format, lines.first_byte().map_err(failed)?) {
            (Some(Format::Parquet), _) => {
                let text = "Parquet is not read from a stream; give a file's name".to_owned();
                return Err(BuildError::Shape { path, text });
            }
            (Some(Format::Ndjson), _) | (None, Some(b'{')) => Rows::Ndjson(lines),
            (Some(Format::Csv) | None, _) => Rows::Csv(lines),
        };
        Ok(Source { path, rows })
    }
}

fn by_name(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "ndjson" | "jsonl" | "json" => Some(Format::Ndjson),
        "csv" => Some(Format::Csv),
        "parquet" => Some(Format::Parquet),
        _ => None,
    }
}

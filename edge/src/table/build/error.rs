//! Why there is no table.

use brink_proto::table::write::WriteError;
use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The input cannot be read.
    #[error("{}: {source}", .path.display())]
    Input {
        /// The input.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The input is not what it should be as a whole.
    #[error("{}: {text}", .path.display())]
    Shape {
        /// The input.
        path: PathBuf,
        /// What was found, and what is allowed.
        text: String,
    },
    /// Rows make no sense.
    #[error("{text}{}", skipped(*.allowed))]
    BadRow {
        /// Where the first one stands, what was found and what is allowed.
        text: String,
        /// How many could have been left out.
        allowed: u64,
    },
    /// The output, or what is between the passes, cannot be written.
    #[error("{}: {source}{}", .path.display(), remedy(.source))]
    Output {
        /// The file or the folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another build writes this table.
    #[error("{}: another build is writing this table", .path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// A user has too many segments.
    #[error("a user has {found} segments in all its rows together, allowed are 4096")]
    Segments {
        /// How many there are.
        found: usize,
    },
    /// The format cannot hold it.
    #[error("{0}")]
    Format(#[from] WriteError),
    /// A signal came.
    #[error("interrupted; no table was written")]
    Interrupted,
}

impl BuildError {
    pub(super) fn input(path: &Path, source: io::Error) -> BuildError {
        BuildError::Input { path: path.to_owned(), source }
    }

    pub(super) fn output(path: &Path, source: io::Error) -> BuildError {
        BuildError::Output { path: path.to_owned(), source }
    }
}

fn skipped(allowed: u64) -> String {
    match allowed {
        0 => "; --skip-bad N leaves up to N such rows out".to_owned(),
        allowed => format!("; this is the first of more than {allowed} bad rows"),
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; no table was written: make room, or name another disk with --scratch"
        }
        ErrorKind::FileTooLarge => "; no table was written: the limit on file sizes is too low",
        _ => "",
    }
}

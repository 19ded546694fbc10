//! The manifest of a table: which version it is, where it lies, and what it has to be.

use serde::{Deserialize, Serialize};

/// The version of the form that this build reads and writes.
pub const FORMAT: u32 = 1;

/// What announces the version to be served.
pub const CURRENT_KEY: &str = "current.json";

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct TableManifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The table's version; grows with every one that is published.
    pub version: u64,
    /// When it was published, in milliseconds since 1970.
    pub published_ms: i64,
    /// Its key in the store.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
    /// Users in it.
    pub users: u64,
    /// Segments of all of them.
    pub segments: u64,
}

/// Why something is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not one at all.
    #[error("is no manifest: {0}")]
    Form(#[from] serde_json::Error),
    /// Another build wrote it.
    #[error("has the format {found}; this build reads {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// A key that leads somewhere else.
    #[error("names the file {file:?}; a table's key is {wanted:?}")]
    File {
        /// What it names.
        file: String,
        /// What it would have to name.
        wanted: String,
    },
}

impl TableManifest {
    /// Reads one.
    ///
    /// # Errors
    /// [`ManifestError`] says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<TableManifest, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        // The format first: what follows may have changed with it.
        let Head { format: found } = serde_json::from_slice(bytes)?;
        if found != FORMAT {
            return Err(ManifestError::Format { found });
        }
        let manifest: TableManifest = serde_json::from_slice(bytes)?;
        let wanted = table_key(manifest.version);
        if manifest.file != wanted {
            return Err(ManifestError::File { file: manifest.file, wanted });
        }
        Ok(manifest)
    }

    /// As text, with a line for each field.
    #[must_use]
    pub fn text(&self) -> String {
        // A struct of numbers and texts always has a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// The key of a version's manifest.
#[must_use]
pub fn manifest_key(version: u64) -> String {
    format!("manifests/{version:020}.json")
}

/// The key of a version's table.
#[must_use]
pub fn table_key(version: u64) -> String {
    format!("tables/{version:020}.table")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> TableManifest {
        TableManifest {
            format: FORMAT,
            version: 17,
            published_ms: 1_795_413_900_123,
            file: table_key(17),
            bytes: 4096,
            sha256: "00".repeat(32),
            users: 3,
            segments: 5,
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        assert_eq!(TableManifest::read(manifest().text().as_bytes()).unwrap(), manifest());
        assert_eq!(manifest_key(17), "manifests/00000000000000000017.json");
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        let text = manifest().text();
        let rows = [
            ("{".to_owned(), "no manifest"),
            (text.replace("\"format\": 1", "\"format\": 2"), "format 2"),
            (text.replace("\"users\": 3,", ""), "users"),
            (text.replace("tables/", "../"), "names the file"),
            (text.replace("\"version\": 17", "\"version\": 18"), "names the file"),
        ];
        for (text, want) in rows {
            let error = TableManifest::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{error:?} does not say {want:?}");
        }
    }
}

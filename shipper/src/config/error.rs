//! What is wrong with a configuration.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is no configuration: a syntax error, an unknown key, a value of another kind.
    #[error("{}: {text}", file.display())]
    Text {
        /// The file.
        file: PathBuf,
        /// Where and what.
        text: String,
    },
    /// A value that is not allowed.
    #[error("{}: {key} is {found}; allowed: {allowed}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// What was found.
        found: String,
        /// What is allowed.
        allowed: String,
    },
}

/// Makes errors about values of one file.
pub struct Checker<'a> {
    /// The file.
    pub file: &'a Path,
}

impl Checker<'_> {
    /// A value that is not allowed.
    pub fn wrong(&self, key: &str, found: impl std::fmt::Debug, allowed: &str) -> ConfigError {
        ConfigError::Value {
            file: self.file.to_owned(),
            key: key.to_owned(),
            found: format!("{found:?}"),
            allowed: allowed.to_owned(),
        }
    }

    /// A number with bounds.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when it is outside.
    pub fn within(&self, key: &str, value: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        if (min..=max).contains(&value) {
            return Ok(value);
        }
        Err(self.wrong(key, value, &format!("{min} to {max}")))
    }
    /// A time of at most an hour.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when it is longer, or shorter than `min`.
    pub fn millis(&self, key: &str, ms: u64, min: u64) -> Result<Duration, ConfigError> {
        self.within(key, ms, min, 3_600_000).map(Duration::from_millis)
    }
}

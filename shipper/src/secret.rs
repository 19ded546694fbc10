//! Secrets: kept so that they are not printed, and read from files that only their owner may read.

use std::{fmt, fs, io, os::unix::fs::PermissionsExt, path::Path};

/// What must not be seen: it shows itself to nobody who only prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The first line of a file; nothing, if that is empty.
    #[must_use]
    pub fn first_line(text: &str) -> Option<Secret> {
        let line = text.lines().next().filter(|line| !line.is_empty())?;
        Some(Secret(line.to_owned()))
    }

    /// The text, for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Why a file of secrets is not read.
#[derive(Debug)]
pub enum PrivateFault {
    /// What the system said.
    File(io::Error),
    /// Its permissions: others than its owner may read or change it.
    Mode(u32),
}

impl From<io::Error> for PrivateFault {
    fn from(error: io::Error) -> PrivateFault {
        PrivateFault::File(error)
    }
}

/// Bits of a file's mode that let others than its owner at it.
const MODE_OTHERS: u32 = 0o077;

/// The text of a file that only its owner may read.
///
/// # Errors
/// [`PrivateFault`] when others may, or it cannot be read.
pub fn read_private(path: &Path) -> Result<String, PrivateFault> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & MODE_OTHERS != 0 {
        return Err(PrivateFault::Mode(mode));
    }
    Ok(fs::read_to_string(path)?)
}

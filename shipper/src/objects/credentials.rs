//! The two secrets of an S3 store, in a file that only its owner may read.
//!
//! Lines of `NAME=VALUE`, as systemd's `EnvironmentFile` has them; empty lines and lines that begin
//! with `#` are passed over. The values are in no error, and nothing here can be printed.

use crate::secret::{PrivateFault, read_private};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Names the account.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";

/// Signs for it.
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// What requests are signed with.
pub(super) struct Credentials {
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

/// Why a file gives no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("cannot read the credentials in {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("{} has mode {mode:04o}, and holds secrets: chmod 600 {}", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line is none of the two.
    #[error(
        "{}, line {line}: expected {ACCESS_KEY}=VALUE or {SECRET_KEY}=VALUE, each once",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// One of the two is not there.
    #[error("{} does not say {name}; it needs {ACCESS_KEY} and {SECRET_KEY}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        name: &'static str,
    },
}

impl Credentials {
    /// Reads them.
    pub(super) fn read(path: &Path) -> Result<Credentials, CredentialsError> {
        let text = read_private(path).map_err(|fault| match fault {
            PrivateFault::File(source) => CredentialsError::File { path: path.to_owned(), source },
            PrivateFault::Mode(mode) => CredentialsError::Mode { path: path.to_owned(), mode },
        })?;
        let (mut access_key, mut secret_key) = (None, None);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = match line.split_once('=') {
                Some((ACCESS_KEY, value)) if !value.is_empty() => (&mut access_key, value),
                Some((SECRET_KEY, value)) if !value.is_empty() => (&mut secret_key, value),
                _ => return Err(CredentialsError::Line { path: path.to_owned(), line: at + 1 }),
            };
            if place.0.replace(place.1.to_owned()).is_some() {
                return Err(CredentialsError::Line { path: path.to_owned(), line: at + 1 });
            }
        }
        let missing = |name| CredentialsError::Missing { path: path.to_owned(), name };
        Ok(Credentials {
            access_key: access_key.ok_or_else(|| missing(ACCESS_KEY))?,
            secret_key: secret_key.ok_or_else(|| missing(SECRET_KEY))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn read(text: &str, mode: u32) -> Result<Credentials, CredentialsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Credentials::read(&path)
    }

    const BOTH: &str = "# of the bucket\nAWS_ACCESS_KEY_ID=a\n\nAWS_SECRET_ACCESS_KEY=b=c/d\n";

    #[test]
    fn both_are_read_from_a_file_of_ones_own() {
        for mode in [0o600, 0o400] {
            let credentials = read(BOTH, mode).ok().unwrap();
            assert_eq!((&*credentials.access_key, &*credentials.secret_key), ("a", "b=c/d"));
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610] {
            let error = read(BOTH, mode).err().unwrap();
            assert!(matches!(error, CredentialsError::Mode { mode: m, .. } if m == mode));
            assert!(error.to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_without_its_secrets() {
        let cases = [
            ("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY: hush\n", "line 2"),
            ("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=\n", "line 2"),
            ("AWS_SECRET_ACCESS_KEY=hush\nAWS_SECRET_ACCESS_KEY=hush\n", "line 2"),
            ("secret=hush\n", "line 1"),
            ("AWS_SECRET_ACCESS_KEY=hush\n", "does not say AWS_ACCESS_KEY_ID"),
            ("AWS_ACCESS_KEY_ID=a\n", "does not say AWS_SECRET_ACCESS_KEY"),
        ];
        for (text, word) in cases {
            let error = read(text, 0o600).err().unwrap().to_string();
            assert!(error.contains(word), "{error:?} does not say {word:?}");
            assert!(!error.contains("hush"), "{error}");
        }
        let error = Credentials::read(Path::new("/nowhere/at/all")).err().unwrap();
        assert!(matches!(error, CredentialsError::File { .. }));
    }
}

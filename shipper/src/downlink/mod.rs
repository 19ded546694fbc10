//! What comes back from the cluster: versioned tables in an object store, and the last two good
//! ones on local disk.
//!
//! ```text
//!  store   current.json                    the manifest of the version to be served
//!          manifests/<version>.json        one for each version; never changed
//!          tables/<version>.table          never changed
//!  folder  <version>.table, <version>.json the last two that were good: a start without the store
//!          incoming.partial                being fetched
//! ```
//!
//! A version is a number that grows; in names it has twenty digits. Whoever publishes writes the
//! table first and `current.json` last, so a manifest never names what is not there yet.
//!
//! In reading order: [`manifest`], [`publish`], [`folder`]; the fetching is here.

pub mod folder;
pub mod manifest;
pub mod publish;

use crate::objects::store::{StoreConfig, StoreConfigError};
use brink_proto::ids::hex;
use folder::{Folder, LocalTable};
use futures_lite::StreamExt;
use manifest::{CURRENT_KEY, ManifestError, TableManifest, manifest_key};
use object_store::{Error as StoreFault, ObjectStore, ObjectStoreExt, path::Path as Key};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

/// Why a table did not come.
#[derive(Debug, thiserror::Error)]
pub enum DownlinkError {
    /// The store does not answer, or refuses.
    #[error("the store of tables: {0}")]
    Store(#[from] StoreFault),
    /// What it announces is no manifest.
    #[error("{key}: {source}")]
    Manifest {
        /// Its key.
        key: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A pinned version that was never published, or is gone.
    #[error("version {version} is pinned, and the store has no {key}")]
    NoSuchVersion {
        /// The version.
        version: u64,
        /// Where it would be.
        key: String,
    },
    /// It would not fit.
    #[error(
        "table {version} has {bytes} bytes; two of at most {bytes_max} fit in half of the memory"
    )]
    TooLarge {
        /// Its version.
        version: u64,
        /// Its size.
        bytes: u64,
        /// The largest that is taken.
        bytes_max: u64,
    },
    /// It is shorter or longer than announced.
    #[error("table {version} has {found} bytes; its manifest says {said}")]
    Length {
        /// Its version.
        version: u64,
        /// What came.
        found: u64,
        /// What was announced.
        said: u64,
    },
    /// It is not what was announced.
    #[error("table {version} has the digest {found}; its manifest says {said}")]
    Digest {
        /// Its version.
        version: u64,
        /// What came.
        found: String,
        /// What was announced.
        said: String,
    },
    /// The folder takes nothing.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DownlinkError {
    /// Whether the table itself is at fault, and not the way to it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, DownlinkError::Store(_) | DownlinkError::Disk { .. })
    }
}

/// The way of tables.
pub struct Downlink {
    store: Arc<dyn ObjectStore>,
    folder: Folder,
    bytes_max: u64,
}

impl Downlink {
    /// Opens the folder and the store; nothing is asked yet.
    ///
    /// # Errors
    /// [`StoreConfigError`] when the settings cannot work or the folder cannot be made.
    pub fn open(
        store: &StoreConfig,
        folder: PathBuf,
        bytes_max: u64,
    ) -> Result<Downlink, StoreConfigError> {
        let failed = |source| StoreConfigError::Folder { path: folder.clone(), source };
        let folder = Folder::open(&folder).map_err(failed)?;
        Ok(Downlink { store: store.client()?, folder, bytes_max })
    }

    /// The tables on local disk.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What is to be served: the version that is announced, or the pinned one. Nothing, if nothing
    /// was ever published.
    ///
    /// # Errors
    /// [`DownlinkError`] when the store does not say, or says nonsense.
    pub async fn announced(
        &self,
        pin: Option<u64>,
    ) -> Result<Option<TableManifest>, DownlinkError> {
        let key = pin.map_or(CURRENT_KEY.to_owned(), manifest_key);
        let bytes = match self.store.get(&Key::from(key.as_str())).await {
            Ok(answer) => answer.bytes().await?,
            Err(StoreFault::NotFound { .. }) => match pin {
                Some(version) => return Err(DownlinkError::NoSuchVersion { version, key }),
                None => return Ok(None),
            },
            Err(error) => return Err(error.into()),
        };
        let manifest = TableManifest::read(&bytes);
        manifest.map(Some).map_err(|source| DownlinkError::Manifest { key, source })
    }

    /// Whether a table fits, by what was announced of it.
    ///
    /// # Errors
    /// [`DownlinkError::TooLarge`] with the figures.
    pub fn check_size(&self, manifest: &TableManifest) -> Result<(), DownlinkError> {
        let TableManifest { version, bytes, .. } = *manifest;
        let bytes_max = self.bytes_max;
        if bytes > bytes_max {
            return Err(DownlinkError::TooLarge { version, bytes, bytes_max });
        }
        Ok(())
    }

    /// Brings an announced table to local disk, checked against what was announced of it. It is not
    /// one of the good ones yet: [`Folder::keep`] says so, once it was looked into.
    ///
    /// # Errors
    /// [`DownlinkError`] when it does not come whole.
    pub async fn fetch(&self, manifest: &TableManifest) -> Result<LocalTable, DownlinkError> {
        let partial = self.folder.partial();
        let disk = |source| DownlinkError::Disk { path: partial.clone(), source };
        let mut incoming = Incoming {
            file: File::create(&partial).map_err(disk)?,
            digest: Sha256::new(),
            bytes: 0,
        };
        let version = manifest.version;
        let mut parts = self.store.get(&Key::from(manifest.file.as_str())).await?.into_stream();
        let mut gathered = Vec::with_capacity(GATHERED_BYTES);
        // BOUND: no more is taken than was announced, and one part.
        while let Some(part) = parts.next().await {
            gathered.extend_from_slice(&part?);
            if gathered.len() >= GATHERED_BYTES {
                (incoming, gathered) = incoming.take(gathered).await.map_err(disk)?;
            }
            if incoming.bytes + gathered.len() as u64 > manifest.bytes {
                break;
            }
        }
        (incoming, _) = incoming.take(gathered).await.map_err(disk)?;
        if incoming.bytes != manifest.bytes {
            let found = incoming.bytes;
            return Err(DownlinkError::Length { version, found, said: manifest.bytes });
        }
        let found = incoming.finish().await.map_err(disk)?;
        if found != manifest.sha256 {
            return Err(DownlinkError::Digest { version, found, said: manifest.sha256.clone() });
        }
        self.folder.take(manifest).map_err(disk)
    }
}

/// Bytes that are written and digested at once.
const GATHERED_BYTES: usize = 4 << 20;

/// A table on its way to the disk. A disk may take its time and a digest needs a core: both happen
/// on a thread beside the one that has objects to deliver and operators to answer.
struct Incoming {
    file: File,
    digest: Sha256,
    bytes: u64,
}

impl Incoming {
    async fn take(mut self, mut part: Vec<u8>) -> io::Result<(Incoming, Vec<u8>)> {
        beside(move || {
            self.digest.update(&part);
            self.file.write_all(&part)?;
            self.bytes += part.len() as u64;
            part.clear();
            Ok((self, part))
        })
        .await
    }

    /// What was written is on the disk; its digest.
    async fn finish(self) -> io::Result<String> {
        beside(move || {
            self.file.sync_all()?;
            Ok(hex(&self.digest.finalize()))
        })
        .await
    }
}

async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?
}

//! Publishing a table: the table first, its manifest next, the announcement last.

use super::manifest::{CURRENT_KEY, FORMAT, TableManifest, manifest_key, table_key};
use crate::objects::store::{StoreConfig, StoreConfigError};
use brink_proto::ids::hex;
use bytes::Bytes;
use object_store::{
    Error as StoreFault, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, path::Path as Key,
};
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// Why a table was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store cannot be used as it is configured.
    #[error(transparent)]
    Config(#[from] StoreConfigError),
    /// The store does not take it.
    #[error("the store: {0}")]
    Store(#[from] StoreFault),
    /// A version that is not newer than what is announced.
    #[error(
        "version {version} is not newer than {current}, which is announced; leave --version out"
    )]
    NotNewer {
        /// The version.
        version: u64,
        /// What is announced.
        current: u64,
    },
}

/// What is to be published.
#[derive(Clone)]
pub struct Publication {
    /// The table. It was looked into: what is published is good.
    pub table: Vec<u8>,
    /// Its version; the seconds since 1970, if not said, or one more than what is announced.
    pub version: Option<u64>,
    /// Users in it.
    pub users: u64,
    /// Segments of all of them.
    pub segments: u64,
}

/// Bytes of one part of an upload.
const PART_BYTES: usize = 8 << 20;

/// BOUND: parts on their way at once.
const PARTS_MAX: usize = 4;

/// Publishes a table; what was announced of it.
///
/// # Errors
/// [`PublishError`]; nothing new is announced then.
pub async fn publish(
    store: &StoreConfig,
    publication: &Publication,
) -> Result<TableManifest, PublishError> {
    let store = store.client()?;
    let current = announced(&*store).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let version = match (publication.version, current) {
        (Some(version), Some(current)) if version <= current => {
            return Err(PublishError::NotNewer { version, current });
        }
        (Some(version), _) => version,
        (None, current) => now.as_secs().max(current.map_or(0, |current| current + 1)),
    };
    upload(&*store, &publication.table, &table_key(version)).await?;
    let manifest = TableManifest {
        format: FORMAT,
        version,
        published_ms: now.as_millis() as i64,
        file: table_key(version),
        bytes: publication.table.len() as u64,
        sha256: hex(&Sha256::digest(&publication.table)),
        users: publication.users,
        segments: publication.segments,
    };
    for key in [manifest_key(version), CURRENT_KEY.to_owned()] {
        let text = PutPayload::from_bytes(Bytes::from(manifest.text()));
        store.put(&Key::from(key), text).await?;
    }
    Ok(manifest)
}

/// The version that is announced. What cannot be read announces nothing: it is replaced.
async fn announced(store: &dyn ObjectStore) -> Result<Option<u64>, StoreFault> {
    match store.get(&Key::from(CURRENT_KEY)).await {
        Ok(answer) => {
            let bytes = answer.bytes().await?;
            Ok(TableManifest::read(&bytes).ok().map(|manifest| manifest.version))
        }
        Err(StoreFault::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Uploads bytes in parts.
async fn upload(store: &dyn ObjectStore, bytes: &[u8], key: &str) -> Result<(), StoreFault> {
    let upload = store.put_multipart(&Key::from(key)).await?;
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    for part in bytes.chunks(PART_BYTES) {
        writer.wait_for_capacity(PARTS_MAX).await?;
        writer.write(part);
    }
    writer.finish().await?;
    Ok(())
}

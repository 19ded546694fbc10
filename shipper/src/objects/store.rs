//! An object store: one conditional PUT, and what to make of its answer.
//!
//! `AlreadyExists` is ambiguous: a PUT that landed and whose answer was lost comes back as "exists"
//! on its own retry. So whoever is told so looks at what exists: the same log digest in its footer,
//! or for a manifest the same bytes, is ours; another one is somebody else's and is never
//! overwritten.

use super::{
    budget::Budget,
    credentials::{Credentials, CredentialsError},
    footer::{Footer, ObjectFooter, footer},
    hdfs::{self, Hdfs},
};
use bytes::Bytes;
use futures_lite::{Stream, StreamExt};
use object_store::{
    ClientOptions, Error as StoreFault, GetOptions, GetRange, ObjectMeta, ObjectStore, PutMode,
    PutOptions, PutPayload, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    local::LocalFileSystem,
    path::Path as Key,
    prefix::PrefixStore,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Where objects go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// A folder on this machine; made if there is none.
    Folder(PathBuf),
    /// An S3-compatible store.
    S3 {
        /// Bucket.
        bucket: String,
        /// In front of every key.
        prefix: String,
        /// The store's address, such as `https://nyc3.digitaloceanspaces.com`; path style.
        endpoint: Option<String>,
        /// Region to sign for.
        region: String,
        /// File with the credentials; without one they come from `AWS_ACCESS_KEY_ID` and
        /// `AWS_SECRET_ACCESS_KEY`. Only its path is kept here: what is configured can be printed.
        credentials: Option<PathBuf>,
    },
    /// HDFS. What a site says of it is in `HADOOP_CONF_DIR`.
    Hdfs {
        /// The name node, `hdfs://HOST:PORT`, or a name service.
        url: String,
        /// The folder.
        folder: String,
    },
}

/// Where a store is, as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorePlace<'a> {
    /// One of [`STORE_URLS`].
    pub url: &'a str,
    /// For s3: the store's address.
    pub endpoint: Option<&'a str>,
    /// For s3: the region to sign for.
    pub region: &'a str,
    /// For s3: a file with the credentials, if the environment does not have them.
    pub credentials: Option<&'a Path>,
}

/// The urls that [`StoreConfig::read`] takes.
pub const STORE_URLS: &str =
    "\"file:FOLDER\", \"s3://BUCKET/PREFIX\" or \"hdfs://NAMENODE:PORT/FOLDER\"";

impl StoreConfig {
    /// Reads a place; nothing, if the url is none of [`STORE_URLS`].
    #[must_use]
    pub fn read(place: StorePlace<'_>) -> Option<StoreConfig> {
        if let Some(path) = place.url.strip_prefix("file:") {
            // "file:folder" is relative, "file:/folder" and "file:///folder" are not.
            let path = path.strip_prefix("//").unwrap_or(path);
            return (!path.is_empty()).then(|| StoreConfig::Folder(path.into()));
        }
        let (scheme, rest) = place.url.split_once("://")?;
        let (host, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let folder = folder.trim_end_matches('/').to_owned();
        if scheme == "hdfs" && !host.is_empty() {
            return Some(StoreConfig::Hdfs { url: format!("hdfs://{host}"), folder });
        }
        (scheme == "s3" && !host.is_empty()).then(|| StoreConfig::S3 {
            bucket: host.to_owned(),
            prefix: folder,
            endpoint: place.endpoint.map(str::to_owned),
            region: place.region.to_owned(),
            credentials: place.credentials.map(Path::to_owned),
        })
    }

    /// A client of the store. Nothing is sent yet.
    ///
    /// # Errors
    /// [`StoreConfigError`] when the settings cannot work.
    pub fn client(&self) -> Result<Arc<dyn ObjectStore>, StoreConfigError> {
        self.client_within(REQUEST_TIMEOUT, None)
    }

    fn client_within(
        &self,
        request_timeout: Duration,
        budget: Option<Budget>,
    ) -> Result<Arc<dyn ObjectStore>, StoreConfigError> {
        match self {
            StoreConfig::Folder(path) => {
                let failed = |source| StoreConfigError::Folder { path: path.clone(), source };
                std::fs::create_dir_all(path).map_err(failed)?;
                Ok(Arc::new(LocalFileSystem::new_with_prefix(path)?.with_fsync(true)))
            }
            StoreConfig::S3 { bucket, prefix, endpoint, region, credentials } => {
                // Our own loop tries again, and says so; the client tries only what is over soon.
                let retry = RetryConfig {
                    max_retries: 2,
                    retry_timeout: Duration::from_secs(30),
                    ..RetryConfig::default()
                };
                let client = ClientOptions::new().with_timeout(request_timeout);
                let mut builder = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_region(region)
                    .with_conditional_put(S3ConditionalPut::ETagMatch)
                    .with_retry(retry)
                    .with_client_options(client);
                if let Some(budget) = budget {
                    builder = builder.with_http_connector(budget);
                }
                if let Some(path) = credentials {
                    let Credentials { access_key, secret_key } = Credentials::read(path)?;
                    builder =
                        builder.with_access_key_id(access_key).with_secret_access_key(secret_key);
                }
                if let Some(endpoint) = endpoint {
                    builder = builder
                        .with_endpoint(endpoint)
                        .with_allow_http(endpoint.starts_with("http://"));
                }
                Ok(Arc::new(PrefixStore::new(builder.build()?, prefix.as_str())))
            }
            StoreConfig::Hdfs { url, folder } => {
                Ok(Arc::new(PrefixStore::new(Hdfs::open(url, folder)?, folder.as_str())))
            }
        }
    }
}

/// A store that cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum StoreConfigError {
    /// The folder cannot be made.
    #[error("cannot make the folder {} of a store: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The credentials cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The client refused the settings.
    #[error("the object store's settings are refused: {0}")]
    Client(#[from] StoreFault),
}

/// An object store.
pub struct Store {
    store: Arc<dyn ObjectStore>,
    condition: Condition,
    kind: Kind,
}

/// What differs between stores beside their clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    /// What it lists comes in the order of keys.
    S3,
    /// A writer that dies leaves something.
    Hdfs,
}

/// What a store makes of the condition that an object must not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A second PUT is refused.
    Honoured,
    /// A second PUT replaces what the first one made.
    Ignored,
}

/// What makes something that exists the same as what we would write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same<'a> {
    /// This log digest in its footer, whatever its bytes: an object.
    LogDigest(&'a str),
    /// Its bytes: a manifest.
    Bytes,
}

/// How a PUT ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// We made the object.
    Created,
    /// It exists, and it is ours: an earlier try had landed.
    WasOurs,
    /// Something else exists under this key.
    Conflict,
}

/// Why a PUT did not end. It is tried again in every case.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The store does not let us: a person must look.
    #[error("the object store refuses: {0}")]
    Refused(String),
    /// The store does not answer well; that may pass.
    #[error("the object store fails: {0}")]
    Failing(String),
}

impl PutError {
    /// Whether trying again may help by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, PutError::Failing(_))
    }
}

/// What requests to an S3 store are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// No more of them a second, but for what the store did not get in the ten seconds before.
    pub per_second: u32,
    /// Each is given up after so long, body and all. What was given up may still be done.
    pub timeout: Duration,
}

/// Longest request where nobody says otherwise, body and all: 32 MiB at 3 Mbit/s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// What stands in the object of [`Store::probe`].
const PROBE: &[u8] = b"Whether this store refuses to write this a second time.\n";

/// Bytes read from the end of an object to find its footer.
const TAIL_BYTES: u64 = 64 * 1024;

impl Store {
    /// Opens a store. Nothing is sent yet.
    ///
    /// # Errors
    /// [`StoreConfigError`] when the settings cannot work.
    pub fn open(config: &StoreConfig) -> Result<Store, StoreConfigError> {
        Ok(Store::of(config, config.client()?))
    }

    /// Opens a store whose requests are held to limits.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_within(config: &StoreConfig, limits: Limits) -> Result<Store, StoreConfigError> {
        let budget = Budget::new(limits.per_second);
        Ok(Store::of(config, config.client_within(limits.timeout, Some(budget))?))
    }

    fn of(config: &StoreConfig, store: Arc<dyn ObjectStore>) -> Store {
        let kind = match config {
            StoreConfig::Folder(_) => Kind::Folder,
            StoreConfig::S3 { .. } => Kind::S3,
            StoreConfig::Hdfs { .. } => Kind::Hdfs,
        };
        Store { store, condition: Condition::Honoured, kind }
    }

    /// Finds out what the store makes of conditions, with an object that nobody reads: it is
    /// created twice, or once more if it is there already. What dead writers left is removed.
    ///
    /// # Errors
    /// [`PutError`] when the store does not say; what was known of it stands.
    pub async fn probe(&mut self, key: &str) -> Result<Condition, PutError> {
        let key = Key::from(key);
        if self.kind == Kind::Hdfs {
            hdfs::sweep(&*self.store, SystemTime::now() - hdfs::ABANDONED).await;
        }
        for _ in 0..2 {
            match self.send(&key, Bytes::from_static(PROBE), PutMode::Create).await {
                Ok(()) => {}
                Err(StoreFault::AlreadyExists { .. } | StoreFault::Precondition { .. }) => {
                    self.condition = Condition::Honoured;
                    return Ok(self.condition);
                }
                Err(error) => return Err(classified(&error)),
            }
        }
        self.condition = Condition::Ignored;
        Ok(self.condition)
    }

    /// Creates an object, unless it exists.
    ///
    /// In a store that ignores the condition it is looked for first, and then written over whatever
    /// came in between: the same rows if it was us, and nobody can tell if it was not.
    ///
    /// # Errors
    /// [`PutError`] when it is not known to exist.
    pub async fn create(&self, key: &str, bytes: Bytes, same: Same<'_>) -> Result<Put, PutError> {
        let path = Key::from(key);
        let mode = match self.condition {
            Condition::Honoured => PutMode::Create,
            Condition::Ignored => match self.find(key, &bytes, same).await? {
                Some(found) => return Ok(found),
                None => PutMode::Overwrite,
            },
        };
        match self.send(&path, bytes.clone(), mode).await {
            Ok(()) => Ok(Put::Created),
            Err(StoreFault::AlreadyExists { .. } | StoreFault::Precondition { .. }) => {
                // A store that is at work on the same key says so too, and then there is nothing.
                let found = self.find(key, &bytes, same).await?;
                found.ok_or_else(|| PutError::Failing("it exists, and does not".to_owned()))
            }
            Err(error) => Err(classified(&error)),
        }
    }

    async fn send(&self, key: &Key, bytes: Bytes, mode: PutMode) -> Result<(), StoreFault> {
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(key, PutPayload::from_bytes(bytes), options).await.map(|_| ())
    }

    /// Whose the object with this key is; nothing if there is none.
    async fn find(&self, key: &str, ours: &Bytes, same: Same<'_>) -> Result<Option<Put>, PutError> {
        let is_ours = match same {
            Same::LogDigest(digest) => self.footer_of(key).await?.map(|f| f.digest == digest),
            Same::Bytes => {
                let found = self.read(key, ours.len() as u64).await?;
                found.map(|found| found.as_ref() == Some(ours))
            }
        };
        Ok(is_ours.map(|is_ours| if is_ours { Put::WasOurs } else { Put::Conflict }))
    }

    /// A small object: nothing when there is none, and nothing of one that has more than
    /// `bytes_max`.
    ///
    /// # Errors
    /// [`PutError`] when the store does not say.
    pub async fn read(&self, key: &str, bytes_max: u64) -> Result<Option<Option<Bytes>>, PutError> {
        let answer = match self.store.get_opts(&Key::from(key), GetOptions::default()).await {
            Ok(answer) if answer.meta.size > bytes_max => return Ok(Some(None)),
            Ok(answer) => answer,
            Err(StoreFault::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(classified(&error)),
        };
        answer.bytes().await.map(|bytes| Some(Some(bytes))).map_err(|error| classified(&error))
    }

    /// What an object's footer says; nothing when there is no object, no digest when it is none of
    /// ours.
    ///
    /// # Errors
    /// [`PutError`] when the store does not say.
    pub async fn footer_of(&self, key: &str) -> Result<Option<ObjectFooter>, PutError> {
        let path = Key::from(key);
        let mut wanted = TAIL_BYTES;
        loop {
            let range = Some(GetRange::Suffix(wanted));
            let options = GetOptions { range, ..GetOptions::default() };
            let answer = match self.store.get_opts(&path, options).await {
                Ok(answer) => answer,
                Err(StoreFault::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(classified(&error)),
            };
            let size = answer.meta.size;
            let tail = answer.bytes().await.map_err(|e| classified(&e))?;
            match footer(&tail) {
                Footer::Found(footer) => return Ok(Some(ObjectFooter { bytes: size, ..footer })),
                Footer::Needs(bytes) if bytes <= size && bytes > wanted => wanted = bytes,
                Footer::Needs(_) | Footer::NotOurs => {
                    return Ok(Some(ObjectFooter { bytes: size, ..ObjectFooter::default() }));
                }
            }
        }
    }

    /// The keys below a folder, in no order.
    ///
    /// # Errors
    /// [`PutError`] when the store does not say, or there are more than `max`.
    pub async fn keys_below(&self, folder: &str, max: usize) -> Result<Vec<String>, PutError> {
        let folder = Key::from(folder);
        let mut found = self.store.list(Some(&folder));
        let mut keys = Vec::new();
        while let Some(key) = next_key(&mut found).await? {
            keys.push(key);
            if keys.len() > max {
                return Err(PutError::Failing(format!("more than {max} objects below {folder}")));
            }
        }
        Ok(keys)
    }

    /// The keys in a folder whose names begin like this, in no order. A store that lists in the
    /// order of keys is asked for no others.
    ///
    /// # Errors
    /// [`PutError`] when the store does not say.
    pub async fn keys_named(&self, folder: &str, begin: &str) -> Result<Vec<String>, PutError> {
        let begin = format!("{folder}/{begin}");
        let (folder, offset) = (Key::from(folder), Key::from(begin.as_str()));
        let mut found = self.store.list_with_offset(Some(&folder), &offset);
        let mut keys = Vec::new();
        while let Some(key) = next_key(&mut found).await? {
            if key.starts_with(&begin) {
                keys.push(key);
            } else if self.kind == Kind::S3 {
                break;
            }
        }
        Ok(keys)
    }

    /// What lies right in a folder, in the order of names; in the store's own, if it is empty.
    ///
    /// # Errors
    /// [`PutError`] when the store does not say.
    pub async fn folder(&self, folder: &str) -> Result<Folder, PutError> {
        let folder = Key::from(folder);
        let found = match self.store.list_with_delimiter(Some(&folder)).await {
            Ok(found) => found,
            Err(StoreFault::NotFound { .. }) => return Ok(Folder::default()),
            Err(error) => return Err(classified(&error)),
        };
        let mut folders: Vec<String> = found.common_prefixes.iter().map(Key::to_string).collect();
        folders.sort();
        let objects = found.objects.into_iter();
        let mut objects: Vec<_> = objects.map(|o| (o.location.to_string(), o.size)).collect();
        objects.sort();
        Ok(Folder { folders, objects })
    }
}

/// What lies in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// The folders in it.
    pub folders: Vec<String>,
    /// Keys and sizes of the objects in it.
    pub objects: Vec<(String, u64)>,
}

/// The next key of a listing. A folder that is not there has none.
async fn next_key(
    found: &mut (impl Stream<Item = Result<ObjectMeta, StoreFault>> + Unpin),
) -> Result<Option<String>, PutError> {
    match found.next().await {
        Some(Ok(object)) => Ok(Some(object.location.to_string())),
        None | Some(Err(StoreFault::NotFound { .. })) => Ok(None),
        Some(Err(error)) => Err(classified(&error)),
    }
}

/// How the client words the status for what a store makes no sense of: a wrong region, a name of a
/// bucket that is none, a token that has run out.
const SENSELESS: &str = "status code: 400";

/// Codes of that status which say that a request was cut on its way.
const CUT: [&str; 3] = ["RequestTimeout", "IncompleteBody", "BadDigest"];

fn classified(error: &StoreFault) -> PutError {
    let text = error.to_string();
    if text.contains(SENSELESS) && !CUT.iter().any(|code| text.contains(code)) {
        return PutError::Refused(text);
    }
    match error {
        StoreFault::PermissionDenied { .. }
        | StoreFault::Unauthenticated { .. }
        | StoreFault::NotFound { .. }
        | StoreFault::NotSupported { .. }
        | StoreFault::NotImplemented { .. }
        | StoreFault::InvalidPath { .. }
        | StoreFault::UnknownConfigurationKey { .. } => PutError::Refused(text),
        _ => PutError::Failing(text),
    }
}

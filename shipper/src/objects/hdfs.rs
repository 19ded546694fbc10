//! HDFS behind the seam that every store is behind.
//!
//! A file of HDFS is seen while it is written, and a name can be given only to one that is whole:
//!
//! ```text
//!  _tmp/<name>.<chance>: create ─▶ write ─▶ sync ─▶ close ─▶ rename, unless the name is taken
//! ```
//!
//! The rename is one step of the name node, so of two writers one is told that the object exists.
//! Everything else is `hdfs-native-object-store`'s, which writes next to the object, forgets what a
//! writer leaves that dies, and waits for ever for a name node that does not answer.

use async_trait::async_trait;
use futures_lite::{StreamExt, stream};
use hdfs_native::{Client, ClientBuilder, HdfsError, WriteOptions};
use hdfs_native_object_store::HdfsObjectStore;
use object_store::{
    CopyOptions, Error as StoreFault, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, path::Path as Key,
};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// BOUND: bytes on their way to a data node: two queues of 100 packets of 64 KiB, by the client.
pub const PACKETS_BYTES_MAX: u64 = 2 * 100 * (64 << 10);

/// Where files lie until they are whole, below the store's own folder. Names that begin with `_`
/// are passed over by Hive and Spark.
const TEMPORARY: &str = "_tmp";

/// How old something is there when nobody can be writing it any more.
pub(super) const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// BOUND: files that one sweep removes; the next one goes on.
const SWEPT_MAX: usize = 1_000;

/// Longest that the name node may take for one answer: it answers within milliseconds, or collects
/// garbage, or is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest for the bytes of an object: 32 MiB at 3 Mbit/s, as in any store.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

/// What the client is told, whatever `HADOOP_CONF_DIR` says: to come back soon with what is wrong.
/// Whoever asks tries again.
const SETTINGS: [(&str, &str); 1] = [("dfs.client.failover.max.attempts", "2")];

const REMEDY: &str = "say hdfs://HOST:PORT of the name node, or the name of a service that \
                      hdfs-site.xml in the folder HADOOP_CONF_DIR knows";

/// What the name node says when trying again does not help.
const REFUSALS: [&str; 6] = [
    "org.apache.hadoop.security.AccessControlException",
    "org.apache.hadoop.security.authorize.AuthorizationException",
    "org.apache.hadoop.security.token.SecretManager$InvalidToken",
    "org.apache.hadoop.hdfs.protocol.NSQuotaExceededException",
    "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException",
    "org.apache.hadoop.fs.ParentNotDirectoryException",
];

type Listed<T> = Pin<Box<dyn stream::Stream<Item = Result<T, StoreFault>> + Send>>;

/// A cluster. Keys are below its root; a prefix is put in front of them by whoever uses it.
pub(super) struct Hdfs {
    url: String,
    /// The folder of files that are not whole yet.
    temporary: String,
    /// Made when it is needed first: it keeps the runtime that it was made in. Its connections to
    /// data nodes are the process's, so there is one runtime that delivers.
    client: OnceLock<Client>,
}

impl Hdfs {
    /// A cluster by its url, which is looked at, and what lies in a folder of it. Nothing is sent
    /// yet.
    pub(super) fn open(url: &str, folder: &str) -> Result<Hdfs, StoreFault> {
        let hdfs = Hdfs {
            url: url.to_owned(),
            temporary: format!("{}/{TEMPORARY}", absolute(&Key::from(folder))),
            client: OnceLock::new(),
        };
        // Settings that cannot work are told now, with a client that nobody uses: the runtime that
        // will send is another one. Without any, a client makes one, with threads of its own.
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| failing(error.to_string()))?;
        let tried = hdfs.builder().with_io_runtime(runtime.handle().clone()).build();
        let tried = tried.map(drop).map_err(|error| failing(format!("{error}; {REMEDY}")));
        runtime.shutdown_background();
        tried.map(|()| hdfs)
    }

    fn builder(&self) -> ClientBuilder {
        ClientBuilder::new().with_url(self.url.as_str()).with_config(SETTINGS)
    }

    fn client(&self) -> Result<&Client, StoreFault> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = self.builder().build().map_err(|error| told(&Key::default(), &error))?;
        Ok(self.client.get_or_init(|| made))
    }

    fn store(&self) -> Result<HdfsObjectStore, StoreFault> {
        Ok(HdfsObjectStore::new(self.client()?.clone()))
    }

    /// Gives bytes a name, which is there afterwards with all of them.
    async fn create(
        &self,
        key: &Key,
        payload: PutPayload,
        overwrite: bool,
    ) -> Result<(), StoreFault> {
        let client = self.client()?;
        let path = absolute(key);
        if !overwrite {
            // A look is cheaper than all of the bytes; the rename is what is sure.
            match within(key, ANSWER_TIMEOUT, client.get_file_info(&path)).await {
                Ok(_) => return Err(exists(key)),
                Err(StoreFault::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // The standard library's hash keys are random in every process and in every use.
        let chance = RandomState::new().hash_one(&path);
        let name = key.filename().unwrap_or_default();
        let temporary = format!("{}/{name}.{chance:016x}", self.temporary);
        let moved = async {
            within(key, WRITE_TIMEOUT, write(client, &temporary, payload)).await?;
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            within(key, ANSWER_TIMEOUT, client.mkdirs(&format!("{folder}/"), 0o755, true)).await?;
            within(key, ANSWER_TIMEOUT, client.rename(&temporary, &path, overwrite)).await
        };
        let moved = moved.await;
        if moved.is_err() {
            // What cannot be removed now is swept later.
            let _ = within(key, ANSWER_TIMEOUT, client.delete(&temporary, false)).await;
        }
        moved
    }
}

/// Writes a file, and has it on the disks of all who keep it.
async fn write(client: &Client, path: &str, payload: PutPayload) -> Result<(), HdfsError> {
    let mut file = client.create(path, WriteOptions::default()).await?;
    for bytes in payload {
        file.write_bytes(bytes).await?;
    }
    match file.hsync().await {
        // Erasure-coded files cannot be synced; their data nodes write as they please.
        Ok(()) | Err(HdfsError::OperationFailed(_)) => file.close().await,
        Err(error) => Err(error),
    }
}

/// Removes what writers have left that died, if it is from before a time.
pub(super) async fn sweep(store: &dyn ObjectStore, before: SystemTime) {
    let before = before.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let folder = Key::from(TEMPORARY);
    let mut found = store.list(Some(&folder));
    let mut abandoned = Vec::new();
    while let Some(Ok(file)) = found.next().await {
        if file.last_modified.timestamp_millis() < before && abandoned.len() < SWEPT_MAX {
            abandoned.push(file.location);
        }
    }
    for file in abandoned {
        match store.delete(&file).await {
            Ok(()) => tracing::info!(%file, "removed what a writer had left that died"),
            Err(error) => tracing::debug!(%error, %file, "not removed"),
        }
    }
}

/// What a request comes to within a time.
async fn within<T>(
    key: &Key,
    time: Duration,
    request: impl Future<Output = Result<T, HdfsError>>,
) -> Result<T, StoreFault> {
    match tokio::time::timeout(time, request).await {
        Ok(answer) => answer.map_err(|error| told(key, &error)),
        Err(_) => Err(late(time)),
    }
}

/// The same for a request to `hdfs-native-object-store`.
async fn answered<T>(
    key: &Key,
    request: impl Future<Output = Result<T, StoreFault>>,
) -> Result<T, StoreFault> {
    match tokio::time::timeout(ANSWER_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| retold(key, error)),
        Err(_) => Err(late(ANSWER_TIMEOUT)),
    }
}

/// An error as every store says it.
fn told(key: &Key, error: &HdfsError) -> StoreFault {
    // What Java says goes on with its stack.
    let text = error.to_string().lines().next().unwrap_or_default().to_owned();
    let (path, source) = (key.to_string(), text.into());
    match error {
        HdfsError::FileNotFound(_) => StoreFault::NotFound { path, source },
        HdfsError::AlreadyExists(_) => exists(key),
        HdfsError::RPCError(kind, _) | HdfsError::FatalRPCError(kind, _)
            if REFUSALS.contains(&kind.as_str()) =>
        {
            StoreFault::PermissionDenied { path, source }
        }
        HdfsError::SASLError(_) | HdfsError::GSSAPIError(..) | HdfsError::NoSASLMechanism => {
            StoreFault::Unauthenticated { path, source }
        }
        HdfsError::UnsupportedFeature(_) => StoreFault::NotSupported { source },
        _ => StoreFault::Generic { store: "HDFS", source },
    }
}

/// An error that was said once already.
fn retold(key: &Key, fault: StoreFault) -> StoreFault {
    match fault {
        StoreFault::Generic { store, source } => match source.downcast::<HdfsError>() {
            Ok(error) => told(key, &error),
            Err(source) => StoreFault::Generic { store, source },
        },
        other => other,
    }
}

fn exists(key: &Key) -> StoreFault {
    StoreFault::AlreadyExists { path: key.to_string(), source: "the name is taken".into() }
}

fn late(time: Duration) -> StoreFault {
    failing(format!("there was no answer within {} s", time.as_secs()))
}

fn failing(text: String) -> StoreFault {
    StoreFault::Generic { store: "HDFS", source: text.into() }
}

/// A key as HDFS names files.
fn absolute(key: &Key) -> String {
    match key.as_ref() {
        "" => String::new(),
        key => format!("/{key}"),
    }
}

#[async_trait]
impl ObjectStore for Hdfs {
    async fn put_opts(
        &self,
        key: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult, StoreFault> {
        let overwrite = match options.mode {
            PutMode::Create => false,
            PutMode::Overwrite => true,
            PutMode::Update(_) => {
                return Err(StoreFault::NotSupported { source: "no file is replaced".into() });
            }
        };
        self.create(key, payload, overwrite).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        key: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>, StoreFault> {
        answered(key, self.store()?.put_multipart_opts(key, options)).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult, StoreFault> {
        answered(key, self.store()?.get_opts(key, options)).await
    }

    fn delete_stream(&self, keys: Listed<Key>) -> Listed<Key> {
        match self.store() {
            Ok(store) => timed(store.delete_stream(keys)),
            Err(error) => stream::once(Err(error)).boxed(),
        }
    }

    fn list(&self, folder: Option<&Key>) -> Listed<ObjectMeta> {
        match self.store() {
            Ok(store) => timed(store.list(folder)),
            Err(error) => stream::once(Err(error)).boxed(),
        }
    }

    async fn list_with_delimiter(&self, folder: Option<&Key>) -> Result<ListResult, StoreFault> {
        let key = folder.cloned().unwrap_or_default();
        answered(&key, self.store()?.list_with_delimiter(folder)).await
    }

    async fn copy_opts(
        &self,
        from: &Key,
        to: &Key,
        options: CopyOptions,
    ) -> Result<(), StoreFault> {
        answered(from, self.store()?.copy_opts(from, to, options)).await
    }
}

/// A stream each part of which comes in time, or is the last one.
fn timed<T: Send + 'static>(parts: Listed<T>) -> Listed<T> {
    let next = |parts: Option<Listed<T>>| async {
        let mut parts = parts?;
        match tokio::time::timeout(ANSWER_TIMEOUT, parts.next()).await {
            Ok(part) => {
                part.map(|part| (part.map_err(|e| retold(&Key::default(), e)), Some(parts)))
            }
            Err(_) => Some((Err(late(ANSWER_TIMEOUT)), None)),
        }
    };
    stream::unfold(Some(parts), next).boxed()
}

impl fmt::Debug for Hdfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hdfs").field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Display for Hdfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn what_a_dead_writer_left_is_swept_and_nothing_else() {
        let store = InMemory::new();
        for key in ["_tmp/a.parquet.1", "ds=t/a.parquet", "_tmpx/b"] {
            store.put(&Key::from(key), "x".into()).await.unwrap();
        }
        let left = async || {
            let mut keys: Vec<String> = Vec::new();
            let mut listed = store.list(None);
            while let Some(object) = listed.next().await {
                keys.push(object.unwrap().location.to_string());
            }
            keys
        };
        sweep(&store, SystemTime::now() - ABANDONED).await;
        assert_eq!(left().await.len(), 3, "a writer may be at work");
        sweep(&store, SystemTime::now() + Duration::from_secs(1)).await;
        assert_eq!(left().await, ["_tmpx/b", "ds=t/a.parquet"]);
    }

    #[test]
    fn what_cannot_work_is_told_before_anything_is_sent() {
        for url in ["hdfs://a name/", "hdfs://nowhere"] {
            assert!(Hdfs::open(url, "brink").is_err(), "{url}");
        }
        assert!(Hdfs::open("hdfs://127.0.0.1:9000", "brink").is_ok());
    }

    #[test]
    fn a_refusal_is_told_apart_from_what_may_pass_and_without_a_stack() {
        let rpc = |kind: &str| HdfsError::RPCError(kind.to_owned(), "no\n\tat a.java".to_owned());
        let key = Key::from("a");
        let fault = told(&key, &rpc(REFUSALS[0]));
        assert!(matches!(fault, StoreFault::PermissionDenied { .. }), "{fault:?}");
        let fault = told(&key, &rpc("org.apache.hadoop.hdfs.server.namenode.SafeModeException"));
        assert!(matches!(fault, StoreFault::Generic { .. }), "{fault:?}");
        assert!(!fault.to_string().contains("a.java"), "{fault}");
    }
}

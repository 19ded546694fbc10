//! `edge table publish`: a table and its manifest into the store that appliances watch.

use brink_proto::table::{Table, TableError};
use brink_shipper::{
    downlink::{
        manifest::TableManifest,
        publish::{Publication, PublishError, publish},
    },
    objects::{options::S3Options, store::STORE_URLS},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "Examples:
  edge table publish --table users.table --store file:brink-data/tables
  edge table publish --table users.table --store s3://tables/xandr \\
      --endpoint https://nyc3.digitaloceanspaces.com

Credentials come from the file, or from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Appliances serve it within their
[tables] poll_ms. To go back, set [tables] pin to the version before.";

/// What can be said on the command line.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PublishOptions {
    /// The table file.
    #[arg(long)]
    table: PathBuf,
    /// Where appliances look for it: file:FOLDER, s3://BUCKET/PREFIX or
    /// hdfs://NAMENODE:PORT/FOLDER.
    #[arg(long)]
    store: String,
    #[command(flatten)]
    s3: S3Options,
    /// Its version, which has to be newer than the one that is announced. The time in seconds since
    /// 1970, if not said.
    #[arg(long)]
    version: Option<u64>,
    /// Prints the manifest.
    #[arg(long)]
    pub(super) json: bool,
}

impl PublishOptions {
    /// A table for a store, and nothing special.
    #[must_use]
    pub fn new(table: &Path, store: &str) -> PublishOptions {
        PublishOptions {
            table: table.to_owned(),
            store: store.to_owned(),
            s3: S3Options::default(),
            version: None,
            json: false,
        }
    }
}

/// Why a table is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishFault {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no table, or a broken one.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
    /// The store's url is none.
    #[error("--store is {0:?}; allowed: {STORE_URLS}")]
    Url(String),
    /// There is no runtime to send with.
    #[error("cannot start: {0}")]
    System(io::Error),
    /// The store does not take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Looks at a table, all of it, and publishes it; what was announced.
///
/// # Errors
/// [`PublishFault`]; nothing new is announced then.
pub fn run(options: &PublishOptions) -> Result<TableManifest, PublishFault> {
    let store = options.s3.store(&options.store);
    let store = store.ok_or_else(|| PublishFault::Url(options.store.clone()))?;
    let path = &options.table;
    let bytes = fs::read(path);
    let bytes = bytes.map_err(|source| PublishFault::File { path: path.clone(), source })?;
    let table = Table::open(bytes).and_then(|table| table.verify().map(|()| table));
    let table = table.map_err(|source| PublishFault::Table { path: path.clone(), source })?;
    let (users, segments) = (table.header().users, table.header().segments);
    let version = options.version;
    let publication = Publication { table: table.into_inner(), version, users, segments };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let sending = publish(&store, &publication);
    Ok(runtime.map_err(PublishFault::System)?.block_on(sending)?)
}

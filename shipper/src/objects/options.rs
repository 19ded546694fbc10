//! Where a store is, as it is said on a command line.

use super::store::{StoreConfig, StorePlace};
use std::path::PathBuf;

/// What is said of an S3 store beside its url.
#[derive(Debug, Clone, clap::Args)]
pub struct S3Options {
    /// For s3: the store's address.
    #[arg(long)]
    pub endpoint: Option<String>,
    /// For s3: the region to sign for.
    #[arg(long, default_value = REGION)]
    pub region: String,
    /// For s3: a file of mode 600 with AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=….
    #[arg(long)]
    pub credentials: Option<PathBuf>,
}

const REGION: &str = "us-east-1";

impl Default for S3Options {
    fn default() -> S3Options {
        S3Options { endpoint: None, region: REGION.to_owned(), credentials: None }
    }
}

impl S3Options {
    /// The store of a url; nothing, if it is none of [`super::store::STORE_URLS`].
    #[must_use]
    pub fn store(&self, url: &str) -> Option<StoreConfig> {
        StoreConfig::read(StorePlace {
            url,
            endpoint: self.endpoint.as_deref(),
            region: &self.region,
            credentials: self.credentials.as_deref(),
        })
    }
}

//! A real S3 server for one test, and what lies in it. [`proxy`] stands in front of it.

pub mod proxy;

use crate::{services::Service, stored};
use brink_shipper::objects::store::StoreConfig;
use object_store::ObjectStore;
use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// The server, which ends with this value.
pub struct S3Server {
    service: Service,
    home: TempDir,
}

impl S3Server {
    /// Starts one; nothing where it cannot be had.
    ///
    /// # Panics
    /// When it could be had, and does not start.
    #[must_use]
    pub fn start() -> Option<S3Server> {
        let from = "Go, by `tests/services/s3.sh fetch`";
        let service = Service::start("s3.sh", &[], "The S3 server", from)?;
        let home = tempfile::tempdir().expect("a folder");
        let server = S3Server { service, home };
        server.write_credentials();
        Some(server)
    }

    fn write_credentials(&self) {
        let [(access, access_key), (secret, secret_key)] = self.variables();
        let text = format!("{access}={access_key}\n{secret}={secret_key}\n");
        fs::write(self.credentials(), text).expect("the folder takes a file");
        let owner = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.credentials(), owner).expect("the file is ours");
    }

    /// A file with its credentials.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.home.path().join("credentials")
    }

    /// Its credentials, as they stand in an environment.
    #[must_use]
    pub fn variables(&self) -> [(&str, &str); 2] {
        [
            ("AWS_ACCESS_KEY_ID", &self.service.facts["access_key"]),
            ("AWS_SECRET_ACCESS_KEY", self.secret()),
        ]
    }

    /// What must be seen nowhere.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.service.facts["secret_key"]
    }

    /// Its url.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.service.facts["endpoint"]
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When the script told nonsense.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let address = self.endpoint().strip_prefix("http://").expect("plain HTTP");
        address.parse().expect("an address")
    }

    /// The url of a prefix in its bucket.
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{}/{prefix}", self.service.facts["bucket"])
    }

    /// A client of a prefix in its bucket.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn client(&self, prefix: &str) -> Arc<dyn ObjectStore> {
        let config = StoreConfig::S3 {
            bucket: self.service.facts["bucket"].clone(),
            prefix: prefix.to_owned(),
            endpoint: Some(self.endpoint().to_owned()),
            region: "us-east-1".to_owned(),
            credentials: Some(self.credentials()),
        };
        config.client().expect("settings that work")
    }

    /// Copies all that lies below a prefix into a folder; the keys.
    ///
    /// # Panics
    /// When something cannot be read or written.
    pub fn download(&self, prefix: &str, folder: &Path) -> Vec<String> {
        stored::download(&*self.client(prefix), folder)
    }

    /// Writes an object over whatever is there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, prefix: &str, key: &str, bytes: &[u8]) {
        stored::put(&*self.client(prefix), key, bytes.to_vec());
    }
}

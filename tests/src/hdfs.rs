//! A real HDFS for one test, and what lies in it.

use crate::{process, services::Service, stored};
use brink_shipper::objects::store::StoreConfig;
use object_store::ObjectStore;
use std::{path::Path, sync::Arc};

/// The cluster, which ends with this value.
pub struct HdfsCluster {
    service: Service,
}

impl HdfsCluster {
    /// Starts one; nothing where it cannot be had.
    ///
    /// # Panics
    /// When it could be had, and does not start.
    #[must_use]
    pub fn start() -> Option<HdfsCluster> {
        let from = "Maven, by `tests/services/hdfs.sh fetch`";
        let service = Service::start("hdfs.sh", &[], "HDFS", from)?;
        Some(HdfsCluster { service })
    }

    /// The url of a folder.
    #[must_use]
    pub fn url(&self, folder: &str) -> String {
        format!("{}/{folder}", self.service.facts["url"])
    }

    /// Stops the name node and the data node in their tracks, or lets them go on.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn freeze(&self, frozen: bool) {
        assert!(self.signal(if frozen { "STOP" } else { "CONT" }), "the cluster lives");
    }

    fn signal(&self, name: &str) -> bool {
        let id = process::id_in(Path::new(&self.service.facts["dir"]));
        id.is_some_and(|id| process::signal(id, name))
    }

    /// A client of a folder of it.
    fn client(&self, folder: &str) -> Arc<dyn ObjectStore> {
        let (url, folder) = (self.service.facts["url"].clone(), folder.to_owned());
        StoreConfig::Hdfs { url, folder }.client().expect("settings that work")
    }

    /// Copies all that lies in a folder of it into one of this machine; the keys.
    ///
    /// # Panics
    /// When something cannot be read or written.
    pub fn download(&self, from: &str, folder: &Path) -> Vec<String> {
        stored::download(&*self.client(from), folder)
    }

    /// Writes a file over whatever is there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, folder: &str, key: &str, bytes: &[u8]) {
        stored::put(&*self.client(folder), key, bytes.to_vec());
    }
}

impl Drop for HdfsCluster {
    fn drop(&mut self) {
        // One that is stopped cannot be asked to end.
        let _ = self.signal("CONT");
    }
}

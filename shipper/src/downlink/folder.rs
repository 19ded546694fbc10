//! The tables on local disk: those that were good, so that a start needs no store.

use super::manifest::TableManifest;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// A table on local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTable {
    /// The file.
    pub path: PathBuf,
    /// What was announced of it.
    pub manifest: TableManifest,
}

/// BOUND: tables that are kept: the one that is served, and the one before, to go back to.
const KEPT: usize = 2;

impl Folder {
    /// Opens a folder; makes it, if there is none. What was left half fetched is removed.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(path: &Path) -> io::Result<Folder> {
        fs::create_dir_all(path)?;
        let folder = Folder { path: path.to_owned() };
        match fs::remove_file(folder.partial()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(folder),
        }
    }

    /// Where a table is fetched to.
    pub(super) fn partial(&self) -> PathBuf {
        self.path.join("incoming.partial")
    }

    fn table(&self, version: u64) -> PathBuf {
        self.path.join(format!("{version:020}.table"))
    }

    fn manifest(&self, version: u64) -> PathBuf {
        self.path.join(format!("{version:020}.json"))
    }

    /// What was fetched whole gets its name.
    pub(super) fn take(&self, manifest: &TableManifest) -> io::Result<LocalTable> {
        let path = self.table(manifest.version);
        fs::rename(self.partial(), &path)?;
        File::open(&self.path)?.sync_all()?;
        Ok(LocalTable { path, manifest: manifest.clone() })
    }

    /// The good ones, the newest first. One that cannot be read is none.
    #[must_use]
    pub fn tables(&self) -> Vec<LocalTable> {
        let mut tables: Vec<_> = self.versions().filter_map(|v| self.find(v)).collect();
        tables.sort_by_key(|table| std::cmp::Reverse(table.manifest.version));
        tables
    }

    /// A good one by its version.
    #[must_use]
    pub fn find(&self, version: u64) -> Option<LocalTable> {
        let bytes = fs::read(self.manifest(version)).ok()?;
        let manifest = TableManifest::read(&bytes).ok().filter(|m| m.version == version)?;
        let path = self.table(version);
        let whole = fs::metadata(&path).is_ok_and(|meta| meta.len() == manifest.bytes);
        whole.then_some(LocalTable { path, manifest })
    }

    /// Says that a table is good and served; of the others, only the newest stays.
    ///
    /// # Errors
    /// What the system said. The table is served all the same.
    pub fn keep(&self, served: &LocalTable) -> io::Result<()> {
        let version = served.manifest.version;
        let path = self.manifest(version);
        let partial = path.with_extension("partial");
        let mut file = File::create(&partial)?;
        file.write_all(served.manifest.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        let others = self.tables().into_iter().map(|table| table.manifest.version);
        let kept: Vec<_> =
            [version].into_iter().chain(others.filter(|v| *v != version)).take(KEPT).collect();
        for version in self.versions().filter(|v| !kept.contains(v)) {
            // The manifest first: a table without one is none.
            for path in [self.manifest(version), self.table(version)] {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Removes a table that turned out to be none.
    pub fn discard(&self, table: &LocalTable) {
        // What stays is overwritten by the next one of its version, or removed with the old ones.
        let _ = fs::remove_file(self.manifest(table.manifest.version));
        let _ = fs::remove_file(&table.path);
    }

    /// Versions that have a file here.
    fn versions(&self) -> impl Iterator<Item = u64> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let version = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let (stem, kind) = name.split_once('.')?;
            (kind == "table" || kind == "json").then(|| stem.parse().ok())?
        };
        let mut versions: Vec<u64> = entries.filter_map(version).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downlink::manifest::{FORMAT, table_key};

    fn fetched(folder: &Folder, version: u64) -> LocalTable {
        fs::write(folder.partial(), b"table").unwrap();
        let manifest = TableManifest {
            format: FORMAT,
            version,
            published_ms: 0,
            file: table_key(version),
            bytes: 5,
            sha256: String::new(),
            users: 0,
            segments: 0,
        };
        folder.take(&manifest).unwrap()
    }

    fn versions(folder: &Folder) -> Vec<u64> {
        folder.tables().iter().map(|table| table.manifest.version).collect()
    }

    #[test]
    fn the_last_two_good_tables_stay_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.tables().is_empty());
        for version in 1..=4 {
            let table = fetched(&folder, version);
            assert_eq!(folder.find(version), None, "fetched is not good yet");
            folder.keep(&table).unwrap();
            assert_eq!(folder.find(version), Some(table));
        }
        assert_eq!(versions(&folder), [4, 3]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);

        // Going back to an older one keeps it, and the newest beside it.
        let old = fetched(&folder, 2);
        folder.keep(&old).unwrap();
        assert_eq!(versions(&folder), [4, 2]);
        folder.discard(&old);
        assert_eq!(versions(&folder), [4]);
    }

    #[test]
    fn what_is_cut_or_half_fetched_is_no_table() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let table = fetched(&folder, 1);
        folder.keep(&table).unwrap();
        fs::write(&table.path, b"tab").unwrap();
        fs::write(folder.partial(), b"half").unwrap();
        let again = Folder::open(dir.path()).unwrap();
        assert!(again.tables().is_empty());
        assert!(!again.partial().exists());
    }
}

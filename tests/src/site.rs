//! A folder with everything of one appliance in it: its configuration, its spool, its objects.
//!
//! The appliance in it is a process that is started, ended, killed and started again; what it
//! leaves behind is looked at in between.

use crate::{
    appliance::{Extra, configuration},
    audit::Audit,
    process::{self, Serving},
};
use brink_shipper::objects::readback;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use tempfile::TempDir;

/// The folder, and the text of the configuration.
pub struct Site {
    dir: TempDir,
    text: String,
}

/// Copies a folder with all that is in it.
///
/// # Panics
/// When something cannot be read or written.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a kind").is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("there is room")),
        }
    }
}

impl Site {
    /// A new folder with the usual configuration, which logs JSON.
    ///
    /// # Panics
    /// When there is no room for a folder.
    #[must_use]
    pub fn new(extra: &Extra<'_>) -> Site {
        let dir = tempfile::tempdir().expect("a folder");
        let text = configuration(dir.path(), extra);
        let text = format!("{text}\n[log]\nlevel = \"info\"\nformat = \"json\"\n");
        // A stop delivers all of it, however busy the machine is.
        Site { dir, text }.with("deliver_ms = 20000", "deliver_ms = 100000")
    }

    /// Changes a part of the configuration that stands in it once.
    ///
    /// # Panics
    /// When it does not.
    pub fn change(&mut self, from: &str, to: &str) {
        assert_eq!(self.text.matches(from).count(), 1, "{from:?} in {}", self.text);
        self.text = self.text.replace(from, to);
    }

    /// The same with a part of the configuration changed.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Site {
        self.change(from, to);
        self
    }

    /// The same with the spool somewhere else.
    #[must_use]
    pub fn with_spool_at(self, spool: &Path) -> Site {
        let ours = format!("path = \"{}/spool\"", self.dir.path().display());
        self.with(&ours, &format!("path = \"{}\"", spool.display()))
    }

    /// The same with a spool that is a copy of another one as it is now.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn with_spool_of(self, other: &Site) -> Site {
        copy(&other.path().join("spool"), &self.path().join("spool"));
        self
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration, written into the folder.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        let path = self.dir.path().join("edge.toml");
        fs::write(&path, &self.text).expect("the folder takes a file");
        path
    }

    /// Starts `edge serve` and waits until it is ready.
    #[must_use]
    pub fn serve(&self) -> Serving {
        Serving::start(&self.config())
    }

    /// Runs `edge` with a verb and this configuration to its end.
    ///
    /// # Panics
    /// When the folder's name is no text.
    #[must_use]
    pub fn edge(&self, verb: &[&str]) -> Output {
        let config = self.config();
        let config = ["--config", config.to_str().expect("a text")];
        process::edge(&[verb, &config].concat(), self.path())
    }

    /// The hours in which objects were delivered, as `2026-11-23T07`.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    pub fn hours(&self) -> BTreeSet<String> {
        let objects = self.dir.path().join("objects");
        let named = |path: PathBuf| {
            let name = path.strip_prefix(&objects).expect("below it").display().to_string();
            let mut parts = name.split('/').skip(1).filter_map(|part| part.split_once('='));
            let (date, hour) = (parts.next().expect("dt=…").1, parts.next().expect("hour=…").1);
            format!("{date}T{hour}")
        };
        readback::objects_below(&objects).expect("objects").into_iter().map(named).collect()
    }

    /// What was delivered.
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::read(&self.dir.path().join("objects"))
    }
}

//! Who owns a spool: its edge, its machine, and how often it has started.
//!
//! The folder is locked while it is in use, and it remembers the machine. A cloned droplet carries
//! a spool whose backlog its twin delivers as well, under the same name: it refuses to start until
//! a person says what it is, with `edge identity reset` (a new appliance) or `adopt` (the disk
//! moved).

use super::{SpoolError, segment};
use brink_proto::ids::{Incarnation, Name, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The newest format that this build knows: 2 is that of a spool with a second folder.
const FORMAT: u32 = 2;

const FORMAT_OF_ONE: u32 = 1;

/// What a spool says of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Version of the spool's folder.
    pub format: u32,
    /// The appliance's name.
    pub edge: String,
    /// Number of its latest start.
    pub incarnation: u64,
    /// What tells it from every other spool, also of an appliance of the same name. Those of before
    /// there was one have none until their next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Hashes of what identifies the machine, by source.
    pub machine: BTreeMap<String, String>,
    /// Its second folder, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<PathBuf>,
}

impl Identity {
    /// Its id, or one that is made of what it says.
    fn id(&self) -> String {
        self.id.clone().unwrap_or_else(|| id_of(self.incarnation, &self.machine))
    }

    /// Checks that this build knows the format of the spool that says so.
    ///
    /// # Errors
    /// [`SpoolError::Newer`] when it does not.
    pub fn check_format(&self, path: &Path) -> Result<(), SpoolError> {
        if self.format > FORMAT {
            let path = path.to_owned();
            return Err(SpoolError::Newer { path, found: self.format, known: FORMAT });
        }
        Ok(())
    }
}

/// The id of a spool that begins with this start, on this machine.
fn id_of(incarnation: u64, machine: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    digest.update(incarnation.to_le_bytes());
    machine.values().for_each(|source| digest.update(source.as_bytes()));
    hex(&digest.finalize()[..ID_BYTES])
}

/// Bytes of an id.
const ID_BYTES: usize = 6;

/// What to do with a spool that another machine wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Refuse it.
    Refuse,
    /// This machine is a clone: set the backlog aside, the original delivers it.
    Reset,
    /// The disk moved here, or the appliance was renamed: take over, backlog and all.
    Adopt,
}

/// A spool's folder, locked and ours.
#[derive(Debug)]
pub struct SpoolFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The appliance.
    pub edge: Name,
    /// This start.
    pub incarnation: Incarnation,
    /// What tells the spool from every other one.
    pub id: String,
    /// Its second folder, if it has one.
    pub second: Option<PathBuf>,
    _locks: Vec<File>,
}

impl SpoolFolder {
    /// Locks the folder, checks whose it is, and counts a start. Makes the folder if there is none.
    ///
    /// # Errors
    /// [`SpoolError`] when it is in use, of another machine or edge, newer, or cannot be written.
    pub fn open(path: &Path, edge: Name, claim: Claim) -> Result<SpoolFolder, SpoolError> {
        let io = |doing: &'static str| {
            move |source| SpoolError::Folder { path: path.to_owned(), doing, source }
        };
        for folder in FOLDERS {
            fs::create_dir_all(path.join(folder)).map_err(io("make"))?;
        }
        let lock = lock(path)?;
        let stored = read(path)?;
        if let Some(stored) = &stored {
            check(path, stored, edge, claim)?;
            if claim == Claim::Reset {
                set_aside(path).map_err(io("set the backlog aside in"))?;
                if let Some(second) = stored.second.as_ref().filter(|second| second.exists()) {
                    set_aside(second)
                        .map_err(io("set the backlog aside in the second folder of"))?;
                }
            }
        }
        let last = stored.as_ref().map_or(0, |s| s.incarnation);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let incarnation = (last + 1).max(now.as_millis() as u64);
        let machine = machine();
        let stored = stored.filter(|_| claim != Claim::Reset);
        let id = stored.as_ref().map_or_else(|| id_of(incarnation, &machine), Identity::id);
        let second = stored.and_then(|stored| stored.second).filter(|_| claim == Claim::Refuse);
        let identity = Identity {
            format: if second.is_some() { FORMAT } else { FORMAT_OF_ONE },
            edge: edge.to_string(),
            incarnation,
            id: Some(id.clone()),
            machine,
            second,
        };
        write(path, &identity).map_err(io("write the identity in"))?;
        let (path, incarnation) = (path.to_owned(), Incarnation(incarnation));
        Ok(SpoolFolder { path, edge, incarnation, id, second: None, _locks: vec![lock] })
    }
}

impl SpoolFolder {
    /// Locks a folder to deliver what is in it, whoever's it is, and leaves its identity as it is:
    /// no start is counted, and the machine stays the one that wrote it. Its second folder is where
    /// it says, if nothing else is said.
    ///
    /// # Errors
    /// [`SpoolError`] when there is none, it is in use, newer, or cannot be written.
    pub fn open_as_it_is(path: &Path, second: Option<&Path>) -> Result<SpoolFolder, SpoolError> {
        let absent = || SpoolError::Absent { path: path.to_owned() };
        // Looked at first: what is none, or is newer, is left untouched.
        read(path)?.ok_or_else(absent)?.check_format(path)?;
        let lock = lock(path)?;
        let stored = read(path)?.ok_or_else(absent)?;
        let edge = Name::new(&stored.edge).map_err(|_| SpoolError::Identity {
            path: path.to_owned(),
            text: format!("{:?} is no name of an edge", stored.edge),
        })?;
        for folder in FOLDERS {
            let made = fs::create_dir_all(path.join(folder));
            made.map_err(|source| SpoolError::Folder {
                path: path.to_owned(),
                doing: "make",
                source,
            })?;
        }
        let mut locks = vec![lock];
        let id = stored.id();
        let second = second.map(Path::to_owned).or(stored.second);
        if let Some(second) = &second {
            if !second.join(segment::FOLDER).is_dir() {
                return Err(SpoolError::Second { path: second.clone(), text: AWAY });
            }
            locks.push(self::lock(second)?);
        }
        let (path, incarnation) = (path.to_owned(), Incarnation(stored.incarnation));
        Ok(SpoolFolder { path, edge, incarnation, id, second, _locks: locks })
    }
}

impl SpoolFolder {
    /// The same with the second folder that is configured, locked and marked as this spool's. One
    /// that it had before must not have anything left, unless a person has said what it is.
    ///
    /// # Errors
    /// [`SpoolError`] when segments would be out of sight, or the folder cannot be used.
    pub fn with_second(
        mut self,
        second: Option<&Path>,
        claim: Claim,
    ) -> Result<SpoolFolder, SpoolError> {
        let at = |path: &Path, doing| {
            let path = path.to_owned();
            move |source| SpoolError::Folder { path, doing, source }
        };
        let absent = || SpoolError::Absent { path: self.path.clone() };
        let mut identity = read(&self.path)?.ok_or_else(absent)?;
        if let Some(before) = identity.second.take() {
            let is_same = Some(before.as_path()) == second;
            if is_same && !before.join("identity").exists() {
                return Err(SpoolError::Second { path: before, text: AWAY });
            }
            if !is_same && holds_segments(&before).unwrap_or(true) {
                return Err(SpoolError::Second { path: before, text: LEFT });
            }
        }
        identity.format = FORMAT_OF_ONE;
        if let Some(second) = second {
            fs::create_dir_all(second.join(segment::FOLDER)).map_err(at(second, "make"))?;
            self._locks.push(lock(second)?);
            if let Some(there) = read(second)? {
                there.check_format(second)?;
                if there.edge != identity.edge && claim == Claim::Refuse {
                    let (found, configured) = (there.edge, identity.edge);
                    return Err(SpoolError::OtherEdge {
                        path: second.to_owned(),
                        found,
                        configured,
                    });
                }
            }
            // By itself it is a spool without cursors, so that what it holds can be had without
            // the first one.
            write(second, &identity).map_err(at(second, "write the identity in"))?;
            identity.second = Some(second.to_owned());
            identity.format = FORMAT;
        }
        write(&self.path, &identity).map_err(at(&self.path, "write the identity in"))?;
        self.second = identity.second;
        Ok(self)
    }
}

/// What is wrong with a second folder.
const AWAY: &str = "is not there; is its disk mounted? A drain finds it elsewhere with --second, and \
                    `edge identity adopt` gives up what it holds";
const LEFT: &str = "may hold segments and is not configured any more; name it as [spool] second_path, \
                    or give up what it holds with `edge identity adopt`";

/// Whether segments lie in a folder.
fn holds_segments(path: &Path) -> io::Result<bool> {
    let mut entries = fs::read_dir(path.join(segment::FOLDER))?;
    let is_segment = |e: fs::DirEntry| segment::is_segment(&e.file_name().to_string_lossy());
    Ok(entries.any(|entry| entry.is_ok_and(is_segment)))
}

/// Folders of a spool.
const FOLDERS: [&str; 2] = [segment::FOLDER, "quarantine"];

/// Whether a spool was written on this machine. Only what both sides could read is compared, for
/// some sources need root.
#[must_use]
pub fn is_this_machine(stored: &Identity) -> bool {
    let here = machine();
    !stored.machine.iter().any(|(k, v)| here.get(k).is_some_and(|h| h != v))
}

/// What a spool says of its owner, without touching it. Nothing when there is no spool.
///
/// # Errors
/// [`SpoolError`] when what stands there cannot be read.
pub fn read(path: &Path) -> Result<Option<Identity>, SpoolError> {
    let text = match fs::read_to_string(path.join("identity")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(SpoolError::Folder {
                path: path.to_owned(),
                doing: "read the identity in",
                source,
            });
        }
    };
    let identity: Identity = serde_json::from_str(&text)
        .map_err(|e| SpoolError::Identity { path: path.to_owned(), text: e.to_string() })?;
    Ok(Some(identity))
}

fn check(path: &Path, stored: &Identity, edge: Name, claim: Claim) -> Result<(), SpoolError> {
    let path = path.to_owned();
    stored.check_format(&path)?;
    if claim != Claim::Refuse {
        return Ok(());
    }
    if stored.edge != edge.as_str() {
        let (found, configured) = (stored.edge.clone(), edge.to_string());
        return Err(SpoolError::OtherEdge { path, found, configured });
    }
    if is_this_machine(stored) { Ok(()) } else { Err(SpoolError::OtherMachine { path }) }
}

/// One process per spool. The lock goes with the process, however it ends.
fn lock(path: &Path) -> Result<File, SpoolError> {
    let folder = |source| SpoolError::Folder { path: path.to_owned(), doing: "lock", source };
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(path.join("lock")).map_err(folder)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().to_owned();
            return Err(SpoolError::Locked { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(folder(source)),
    }
    // Who holds it is for people; the lock itself does not depend on it.
    let _ = file.set_len(0);
    let _ = file.rewind();
    let _ = write!(file, "pid {}", std::process::id());
    Ok(file)
}

/// Replaces the identity as a whole, or not at all.
fn write(path: &Path, identity: &Identity) -> io::Result<()> {
    let text = serde_json::to_string_pretty(identity)?;
    let fresh = path.join("identity.new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path.join("identity"))?;
    File::open(path)?.sync_all()
}

/// Moves segments and cursors out of the way; nothing is deleted.
fn set_aside(path: &Path) -> io::Result<()> {
    let mut number = 1;
    let aside = loop {
        let aside = path.join(format!("set-aside-{number}"));
        if !aside.exists() {
            break aside;
        }
        number += 1;
    };
    fs::create_dir(&aside)?;
    for name in [segment::FOLDER, "cursors", "identity"] {
        if path.join(name).exists() {
            fs::rename(path.join(name), aside.join(name))?;
        }
    }
    fs::create_dir(path.join(segment::FOLDER))?;
    File::open(path)?.sync_all()
}

/// Hashes of what identifies this machine, as far as it can be read.
fn machine() -> BTreeMap<String, String> {
    let sources = [
        ("machine_id", "/etc/machine-id"),
        ("product_uuid", "/sys/class/dmi/id/product_uuid"),
        ("product_serial", "/sys/class/dmi/id/product_serial"),
    ];
    let hashed = |path: &str| {
        let text = fs::read_to_string(path).ok()?;
        let text = text.trim();
        let digest = Sha256::digest(text.as_bytes());
        (!text.is_empty()).then(|| hex(&digest[..16]))
    };
    sources.iter().filter_map(|(k, path)| Some(((*k).to_owned(), hashed(path)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    #[test]
    fn every_start_has_a_higher_incarnation_and_a_second_one_at_a_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = SpoolFolder::open(dir.path(), edge("a"), Claim::Refuse).unwrap();
        let second = SpoolFolder::open(dir.path(), edge("a"), Claim::Refuse);
        let holder = format!("pid {}", std::process::id());
        assert!(matches!(second, Err(SpoolError::Locked { holder: h, .. }) if h == holder));
        let before = first.incarnation;
        drop(first);

        // A clock that went back does not take the number back.
        let mut identity = read(dir.path()).unwrap().unwrap();
        identity.incarnation = u64::MAX >> 1;
        write(dir.path(), &identity).unwrap();
        let third = SpoolFolder::open(dir.path(), edge("a"), Claim::Refuse).unwrap();
        assert!(third.incarnation > before);
        assert_eq!(third.incarnation, Incarnation((u64::MAX >> 1) + 1));
    }

    #[test]
    fn a_spool_keeps_its_id_until_it_is_reset() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name, claim| SpoolFolder::open(dir.path(), edge(name), claim).unwrap().id;
        let first = open("a", Claim::Refuse);
        assert_eq!(open("a", Claim::Refuse), first);
        assert_eq!(open("b", Claim::Adopt), first);
        let drained = || SpoolFolder::open_as_it_is(dir.path(), None).unwrap().id;
        assert_eq!(drained(), first);
        assert_ne!(open("b", Claim::Reset), first);

        // One of before there were ids: each drain finds the same, and so does the next start.
        let mut identity = read(dir.path()).unwrap().unwrap();
        identity.id = None;
        write(dir.path(), &identity).unwrap();
        let made = drained();
        assert_eq!((drained(), open("b", Claim::Refuse)), (made.clone(), made));
    }

    #[test]
    fn a_spool_of_another_machine_or_edge_waits_for_a_person() {
        let dir = tempfile::tempdir().unwrap();
        drop(SpoolFolder::open(dir.path(), edge("a"), Claim::Refuse).unwrap());
        let renamed = SpoolFolder::open(dir.path(), edge("b"), Claim::Refuse);
        assert!(matches!(renamed, Err(SpoolError::OtherEdge { .. })));

        let mut identity = read(dir.path()).unwrap().unwrap();
        identity.machine.insert("machine_id".into(), "another".into());
        write(dir.path(), &identity).unwrap();
        fs::write(dir.path().join("segments/0000000001.seg"), "backlog").unwrap();
        let cloned = SpoolFolder::open(dir.path(), edge("a"), Claim::Refuse);
        assert!(matches!(cloned, Err(SpoolError::OtherMachine { .. })));

        drop(SpoolFolder::open(dir.path(), edge("a"), Claim::Reset).unwrap());
        assert!(dir.path().join("set-aside-1/segments/0000000001.seg").exists());
        assert!(!dir.path().join("segments/0000000001.seg").exists());
        drop(SpoolFolder::open(dir.path(), edge("b"), Claim::Adopt).unwrap());
        drop(SpoolFolder::open(dir.path(), edge("b"), Claim::Refuse).unwrap());
    }

    #[test]
    fn a_newer_spool_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        drop(SpoolFolder::open(dir.path(), edge("a"), Claim::Refuse).unwrap());
        let mut identity = read(dir.path()).unwrap().unwrap();
        identity.format = FORMAT + 1;
        write(dir.path(), &identity).unwrap();
        let newer = SpoolFolder::open(dir.path(), edge("a"), Claim::Adopt);
        assert!(matches!(newer, Err(SpoolError::Newer { found: 3, .. })));
        assert_eq!(read(dir.path()).unwrap().unwrap(), identity);
    }

    #[test]
    fn a_second_folder_is_not_forgotten_and_not_mistaken() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        let open = |second: Option<&Path>, claim| {
            let folder = SpoolFolder::open(&first, edge("a"), claim)?;
            folder.with_second(second, claim).map(|folder| folder.second.clone())
        };
        let refused = |opened: Result<Option<PathBuf>, SpoolError>, want: &str| {
            let error = opened.unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        };
        assert_eq!(open(None, Claim::Refuse).unwrap(), None);
        assert_eq!(read(&first).unwrap().unwrap().format, FORMAT_OF_ONE);
        assert_eq!(open(Some(&second), Claim::Refuse).unwrap(), Some(second.clone()));
        assert_eq!(read(&first).unwrap().unwrap().format, FORMAT);
        assert_eq!(read(&second).unwrap().unwrap().format, FORMAT_OF_ONE);
        // Its segments would be out of sight.
        let segment = second.join("segments/0000000001.seg");
        fs::write(&segment, "").unwrap();
        refused(open(None, Claim::Refuse), "is not configured any more");
        refused(open(Some(&dir.path().join("third")), Claim::Refuse), "is not configured any more");
        // Its disk is not mounted.
        let away = dir.path().join("away");
        fs::rename(&second, &away).unwrap();
        refused(open(Some(&second), Claim::Refuse), "is its disk mounted?");
        fs::rename(&away, &second).unwrap();
        assert_eq!(open(Some(&second), Claim::Refuse).unwrap(), Some(second.clone()));
        // Whose it is, is looked at, and it is used once.
        let other = dir.path().join("other");
        drop(SpoolFolder::open(&other, edge("b"), Claim::Refuse).unwrap());
        fs::remove_file(&segment).unwrap();
        refused(open(Some(&other), Claim::Refuse), "belongs to edge \"b\"");
        let held = SpoolFolder::open(&second, edge("a"), Claim::Refuse).unwrap();
        refused(open(Some(&second), Claim::Refuse), "is in use by");
        drop(held);
        assert_eq!(open(None, Claim::Refuse).unwrap(), None);
        assert_eq!(read(&first).unwrap().unwrap().format, FORMAT_OF_ONE);
    }
}

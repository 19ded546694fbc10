//! Who holds a spool's lock, without taking it: the kernel lists locks in `/proc/locks`.

use serde::Serialize;
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// What can be said of the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// The process that holds it. One in another container is not seen.
    pub held_by: Option<u32>,
    /// What the file says: who took it last.
    pub says: Option<String>,
}

/// Looks at the lock of the spool at `path`.
pub(super) fn look(path: &Path) -> Lock {
    let file = path.join("lock");
    let Ok(metadata) = fs::metadata(&file) else { return Lock::default() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let says = fs::read_to_string(&file).ok().map(|text| text.trim().to_owned());
    let place = Place { device: metadata.dev(), inode: metadata.ino() };
    Lock { held_by: holder(&locks, &place), says: says.filter(|text| !text.is_empty()) }
}

struct Place {
    device: u64,
    inode: u64,
}

/// The process that holds a `flock` on a file. A line reads
/// `3: FLOCK  ADVISORY  WRITE 4711 fe:01:1054 0 EOF`; one that waits has an arrow.
fn holder(locks: &str, place: &Place) -> Option<u32> {
    let device = (
        u64::from(rustix::fs::major(place.device)),
        u64::from(rustix::fs::minor(place.device)),
        place.inode,
    );
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        if words.next() != Some("FLOCK") {
            return None;
        }
        let process = words.nth(2)?.parse().ok()?;
        let mut parts = words.next()?.split(':');
        let mut hex = || u64::from_str_radix(parts.next()?, 16).ok();
        let (major, minor) = (hex()?, hex()?);
        let inode = parts.next()?.parse().ok()?;
        (device == (major, minor, inode)).then_some(process)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: POSIX  ADVISORY  WRITE 1 fe:01:77 0 EOF
2: -> FLOCK  ADVISORY  WRITE 2 fe:01:77 0 EOF
3: FLOCK  ADVISORY  WRITE 3 fe:02:77 0 EOF
4: FLOCK  ADVISORY  WRITE 4711 fe:01:77 0 EOF
";

    #[test]
    fn the_holder_is_the_one_that_does_not_wait() {
        let place = |minor, inode| Place { device: rustix::fs::makedev(0xfe, minor), inode };
        assert_eq!(holder(LOCKS, &place(1, 77)), Some(4711));
        assert_eq!(holder(LOCKS, &place(2, 77)), Some(3));
        assert_eq!(holder(LOCKS, &place(1, 78)), None);
        assert_eq!(holder("", &place(1, 77)), None);
    }

    #[test]
    fn a_lock_that_is_held_is_seen_and_one_that_was_let_go_is_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()), Lock::default());
        let file = fs::File::create(dir.path().join("lock")).unwrap();
        fs::write(dir.path().join("lock"), "pid 1\n").unwrap();
        file.lock().unwrap();
        let held = Lock { held_by: Some(std::process::id()), says: Some("pid 1".to_owned()) };
        assert_eq!(look(dir.path()), held);
        drop(file);
        assert_eq!(look(dir.path()).held_by, None);
    }
}

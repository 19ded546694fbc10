//! A spool's folder and its files, opened to be read and for nothing else.
//!
//! Files are read past the page cache, as the appliance writes and reads them: what is seen is what
//! the disk holds, and no cached page stands in the way of its direct writes.

use crate::{disk::ReadFile, spool::segment::FOLDER as SEGMENTS};
use brink_proto::frame::FRAME_ALIGN;
use std::{
    cell::RefCell,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// BOUND: read at once, and the memory of an open file.
const READ_BYTES_MAX: usize = 256 * 1024;

/// How often a folder is listed until two lists agree: names change while segments are recycled.
const LISTS_MAX: u32 = 8;

/// The folder, and the second one, in which segments lie as well and nothing else.
pub(super) struct Folder {
    root: PathBuf,
    second: Option<PathBuf>,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Folder {
        Folder { root: root.to_owned(), second: None }
    }

    /// Looks into a second folder for segments as well; whether it is there.
    pub(super) fn also(&mut self, second: &Path) -> bool {
        self.second = Some(second.to_owned()).filter(|second| second.join(SEGMENTS).is_dir());
        self.second.is_some()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.root.join(name).exists()
    }

    /// Names and sizes of what lies in a folder, in the order of the names; nothing when there is
    /// no such folder.
    pub(super) fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let list = || {
            let mut names = list_once(&self.root.join(folder))?;
            if let Some(second) = self.second.as_ref().filter(|_| folder == SEGMENTS) {
                names.extend(list_once(&second.join(folder))?);
                names.sort();
            }
            Ok::<_, io::Error>(names)
        };
        let mut last = list()?;
        for _ in 1..LISTS_MAX {
            let again = list()?;
            let same = again == last;
            last = again;
            if same {
                break;
            }
        }
        Ok(last)
    }

    /// A file of the folder; nothing when there is none of this name.
    pub(super) fn open(&self, name: &str) -> io::Result<Option<SpoolFile>> {
        let mut path = self.root.join(name);
        if let Some(second) = self.second.as_ref().filter(|_| name.starts_with(SEGMENTS))
            && !path.exists()
        {
            path = second.join(name);
        }
        let opened = match File::options().read(true).custom_flags(libc::O_DIRECT).open(&path) {
            // A file system without direct I/O: a copy of a spool may lie anywhere.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => File::open(&path),
            opened => opened,
        };
        match opened {
            Ok(file) => Ok(Some(SpoolFile { file, path, memory: RefCell::default() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn list_once(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let bytes = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?.len(),
        };
        if let Ok(name) = entry.file_name().into_string() {
            names.push((name, bytes));
        }
    }
    names.sort();
    Ok(names)
}

/// An open file of a spool.
pub(super) struct SpoolFile {
    file: File,
    path: PathBuf,
    memory: RefCell<Vec<u8>>,
}

impl SpoolFile {
    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether the file still has the name that it was opened by. A segment loses its name before
    /// it is written again, and no name is given twice: what was read of a file that has its name
    /// was read of that segment.
    pub(super) fn has_its_name(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl ReadFile for SpoolFile {
    async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        let mut memory = self.memory.borrow_mut();
        memory.resize(READ_BYTES_MAX + FRAME_ALIGN, 0);
        let from = memory.as_ptr().align_offset(FRAME_ALIGN);
        let aligned = &mut memory[from..from + READ_BYTES_MAX];
        while out.len() < bytes {
            let part = (bytes - out.len()).min(READ_BYTES_MAX);
            let read = self.file.read_at(&mut aligned[..part], offset + out.len() as u64)?;
            out.extend_from_slice(&aligned[..read]);
            if read < part {
                break; // the end of the file
            }
        }
        Ok(())
    }
}

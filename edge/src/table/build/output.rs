//! The file while it is written: beside its place, under another name, locked.

use super::BuildError;
use brink_proto::table::{Extent, Header, PAGE_BYTES, write::next_page};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// How much is written at once.
pub(super) const BUFFER_BYTES: usize = 1 << 20;

/// A file without a name in this folder.
pub(super) fn scratch_file(folder: &Path) -> Result<File, BuildError> {
    tempfile::tempfile_in(folder).map_err(|source| BuildError::output(folder, source))
}

/// A table that is being written, section by section. Removed when it is not finished.
pub(super) struct Output {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    at: u64,
    section: Extent,
    finished: bool,
}

impl Output {
    /// Takes the name `FILE.partial` for itself. What another build left there is gone.
    pub(super) fn create(path: &Path) -> Result<Output, BuildError> {
        let Some(name) = path.file_name() else {
            let source = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(BuildError::output(path, source));
        };
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = path.with_file_name(partial);
        let failed = |source| BuildError::output(&partial, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&partial)
            .map_err(failed)?;
        // A file that got its name meanwhile is no longer the one that is locked here.
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !locked || !is_same(&file, &partial).map_err(failed)? {
            return Err(BuildError::Busy { path: partial });
        }
        file.set_len(0).map_err(failed)?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let section = Extent::default();
        let path = path.to_owned();
        let mut output = Output { path, partial, file, at: 0, section, finished: false };
        output.put(&[0; PAGE_BYTES])?; // The header comes last.
        Ok(output)
    }

    /// The folder that the table will lie in.
    pub(super) fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    /// How far it is written.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Begins a section, on a page.
    pub(super) fn begin_section(&mut self) -> Result<(), BuildError> {
        let offset = next_page(self.at);
        self.put(&[0; PAGE_BYTES][..(offset - self.at) as usize])?;
        self.section = Extent { offset, ..Extent::default() };
        Ok(())
    }

    /// Appends to the section.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.section.crc = crc32c::crc32c_append(self.section.crc, bytes);
        self.section.bytes += bytes.len() as u64;
        self.put(bytes)
    }

    /// What the section has come to.
    pub(super) fn section(&self) -> Extent {
        self.section
    }

    /// Forgets what was written of the section: it is begun again.
    pub(super) fn restart_section(&mut self) -> Result<(), BuildError> {
        self.at = self.section.offset;
        self.section = Extent { offset: self.at, ..Extent::default() };
        let sought = self.file.seek(SeekFrom::Start(self.at));
        let cut = sought.and_then(|at| self.file.get_ref().set_len(at));
        cut.map_err(|source| BuildError::output(&self.partial, source))
    }

    /// Writes the header, syncs all, and gives the file its name.
    pub(super) fn finish(mut self, header: &Header) -> Result<(), BuildError> {
        let failed = |source| BuildError::output(&self.partial, source);
        self.file.flush().map_err(failed)?;
        let file = self.file.get_ref();
        file.write_all_at(&header.encode(), 0).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let failed = |source| BuildError::output(&self.path, source);
        fs::rename(&self.partial, &self.path).map_err(failed)?;
        self.finished = true;
        let folder = File::open(self.folder()).and_then(|folder| folder.sync_all());
        folder.map_err(|source| BuildError::output(&self.path, source))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.at += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|source| BuildError::output(&self.partial, source))
    }
}

/// Whether the file is the one of this name.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, named) = (file.metadata()?, fs::metadata(path));
    Ok(named.is_ok_and(|named| (ours.dev(), ours.ino()) == (named.dev(), named.ino())))
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

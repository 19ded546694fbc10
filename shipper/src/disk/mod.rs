//! The disk as the spool sees it: a seam, so that a simulated one can fail at every step.
//!
//! Names are relative to the spool's folder. What was written is durable after [`DiskFile::sync`];
//! that a file exists under a name is durable after [`Disk::sync_names`].

pub mod dma;
pub mod pair;

use std::{io, time::Duration};

/// Memory that a disk reads into and writes from: aligned as direct I/O wants it.
pub trait AlignedBuffer {
    /// The bytes.
    fn bytes(&self) -> &[u8];
    /// The bytes, to be filled.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// A folder on a disk.
#[allow(async_fn_in_trait, reason = "the spool is one thread; its futures are not sent")]
pub trait Disk: 'static {
    /// Memory for a write.
    type Buffer: AlignedBuffer;
    /// An open file.
    type File: DiskFile<Buffer = Self::Buffer>;

    /// Memory of `bytes`, a multiple of 4096. What it holds is arbitrary.
    fn buffer(&self, bytes: usize) -> Self::Buffer;
    /// Makes a file with room for `bytes`.
    async fn create(&self, name: &str, bytes: u64) -> io::Result<Self::File>;
    /// Opens a file to read and write.
    async fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, replacing what had it.
    async fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    async fn remove(&self, name: &str) -> io::Result<()>;
    /// Names and sizes of the files in a folder.
    async fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>>;
    /// Bytes of the disk that a file takes: fewer than its size where room was given back.
    async fn allocated(&self, name: &str) -> io::Result<u64>;
    /// Gives the room of ranges of a file back, offsets and bytes: they read as zeros. A crash may
    /// leave any of them as they were.
    async fn free(&self, name: &str, ranges: &[(u64, u64)]) -> io::Result<()>;
    /// Makes names durable: those created, renamed and removed in a folder.
    async fn sync_names(&self, folder: &str) -> io::Result<()>;
}

/// A file that can be read, whoever may write it. Offsets and sizes are multiples of 4096.
#[allow(async_fn_in_trait, reason = "the spool is one thread; its futures are not sent")]
pub trait ReadFile: 'static {
    /// Reads up to `bytes` at `offset` into `out`, replacing what it held; fewer at the file's end.
    async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()>;
}

/// An open file. Offsets and sizes are multiples of 4096.
#[allow(async_fn_in_trait, reason = "the spool is one thread; its futures are not sent")]
pub trait DiskFile: ReadFile {
    /// Memory for a write.
    type Buffer: AlignedBuffer;

    /// Writes all of `buffer` at `offset`.
    async fn write(&self, offset: u64, buffer: Self::Buffer) -> io::Result<()>;
    /// Makes durable what was written.
    async fn sync(&self) -> io::Result<()>;
}

/// Time as the spool sees it.
#[allow(async_fn_in_trait, reason = "the spool is one thread; its futures are not sent")]
pub trait Timer: Clone + 'static {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, time: Duration);
}

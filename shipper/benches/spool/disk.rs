//! What the disk itself takes: direct writes one behind the other, synced as often as the log was.
//!
//! Plain system calls and no glommio. Files are written again once all have been, as the log's
//! segments are: the first round is not counted, for blocks that were never written cost more.

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

/// How the log wrote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cadence {
    /// Bytes of one write.
    pub(super) write_bytes: usize,
    /// Bytes between syncs.
    pub(super) group_bytes: usize,
    /// Bytes of one file.
    pub(super) file_bytes: usize,
}

/// Files that are written in turn.
const FILES: usize = 3;

/// Where direct I/O wants memory to begin.
const ALIGN: usize = 4096;

/// Bytes per second.
pub(super) fn measure(folder: &Path, cadence: Cadence, time: Duration) -> io::Result<f64> {
    let memory = vec![0x5A; cadence.write_bytes + ALIGN];
    let from = memory.as_ptr().align_offset(ALIGN);
    let bytes = &memory[from..from + cadence.write_bytes];
    let paths: Vec<_> = (0..FILES).map(|n| folder.join(format!("direct-{n}"))).collect();
    let open = |path| -> io::Result<File> {
        let mut options = OpenOptions::new();
        let flags = OFlags::DIRECT.bits() as i32;
        let file = options.write(true).create(true).custom_flags(flags).open(path)?;
        fallocate(&file, FallocateFlags::empty(), 0, cadence.file_bytes as u64)?;
        Ok(file)
    };
    let files = paths.iter().map(open).collect::<io::Result<Vec<_>>>()?;
    let fill = |file: &File, until: Option<Instant>| -> io::Result<u64> {
        let (mut at, mut synced) = (0, 0);
        while at + bytes.len() <= cadence.file_bytes && until.is_none_or(|t| Instant::now() < t) {
            file.write_all_at(bytes, at as u64)?;
            at += bytes.len();
            if at - synced >= cadence.group_bytes {
                file.sync_data()?;
                synced = at;
            }
        }
        file.sync_data()?;
        Ok(at as u64)
    };
    for file in &files {
        fill(file, None)?;
    }
    let (begun, mut written) = (Instant::now(), 0);
    while begun.elapsed() < time {
        for file in &files {
            written += fill(file, Some(begun + time))?;
        }
    }
    let rate = written as f64 / begun.elapsed().as_secs_f64();
    paths.iter().try_for_each(std::fs::remove_file)?;
    Ok(rate)
}

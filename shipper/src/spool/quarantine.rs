//! Where corrupt parts of the log go: copied as they are, so that nobody has to guess later.

use super::{Shared, walk::Hole};
use crate::{
    alarms::Alarm,
    disk::{AlignedBuffer, Disk, DiskFile, ReadFile, Timer},
};
use brink_proto::frame::{FrameHeader, LogPosition};
use std::io;

/// BOUND: bytes of a corrupt range that are kept; what lies behind is named but not copied.
const KEPT_BYTES_MAX: u32 = 1 << 20;

const FOLDER: &str = "quarantine";

/// Copies a range of a segment to `quarantine/<generation>-<offset>.bytes`. What of it cannot be
/// read is zeros in the copy.
pub(crate) async fn keep<D: Disk>(
    disk: &D,
    file: &D::File,
    generation: u32,
    from: u32,
    to: u32,
) -> io::Result<()> {
    tracing::error!(generation, from, to, "keeping a copy of a range of the log");
    let bytes = (to - from).min(KEPT_BYTES_MAX) as usize;
    let mut corrupt = Vec::new();
    if let Err(error) = file.read(u64::from(from), bytes, &mut corrupt).await {
        tracing::error!(generation, from, %error, "the corrupt range cannot be read");
    }
    corrupt.resize(bytes, 0);
    copy(disk, LogPosition::new(generation, from), &corrupt).await
}

/// The same of a frame that is sound and that a sink cannot deliver. The copy is all that is left
/// of it in the end, so it is whole or it is none.
pub(crate) async fn keep_frame<D: Disk>(
    disk: &D,
    file: &D::File,
    frame: &FrameHeader,
) -> io::Result<()> {
    let FrameHeader { position, .. } = frame;
    tracing::error!(%position, "keeping a copy of a frame of the log");
    let mut bytes = Vec::new();
    file.read(u64::from(position.offset()), frame.frame_bytes(), &mut bytes).await?;
    copy(disk, *position, &bytes).await
}

/// A copy has its name once it is whole and durable. One of an earlier start is not made again.
async fn copy<D: Disk>(disk: &D, at: LogPosition, bytes: &[u8]) -> io::Result<()> {
    let name = format!("{:010}-{:010}.bytes", at.generation(), at.offset());
    let (path, part) = (format!("{FOLDER}/{name}"), format!("{FOLDER}/{name}.part"));
    let there = disk.list(FOLDER).await?;
    let is_there = |name: &str| there.iter().any(|(known, _)| known == name);
    if !is_there(&name) {
        if is_there(&format!("{name}.part")) {
            disk.remove(&part).await?;
        }
        let copy = disk.create(&part, bytes.len() as u64).await?;
        let mut block = disk.buffer(bytes.len());
        block.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        copy.write(0, block).await?;
        copy.sync().await?;
        disk.rename(&part, &path).await?;
    }
    disk.sync_names(FOLDER).await
}

impl<D: Disk, T: Timer> Shared<D, T> {
    /// Takes note of a frame whose bytes are not those that were written.
    pub(crate) async fn set_aside(&self, frame: &FrameHeader) {
        let (generation, from) = (frame.position.generation(), frame.position.offset());
        let file = self.log.borrow().file(generation);
        if let Some(file) = file {
            let hole = Hole { from, to: from + frame.frame_bytes() as u32 };
            self.quarantine(&file, generation, hole).await;
        }
    }

    /// Takes note of a corrupt range of a segment.
    pub(crate) async fn quarantine(&self, file: &D::File, generation: u32, hole: Hole) {
        self.alarms.raise(Alarm::CorruptFrame);
        self.counters.corrupt_ranges.add(1);
        let kept = keep(&self.disk, file, generation, hole.from, hole.to).await;
        if let Err(error) = kept {
            tracing::error!(%error, "the corrupt range could not be copied");
        }
    }
}

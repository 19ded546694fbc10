//! Where corrupt parts of the log go: copied as they are, so that nobody has to guess later.

use super::{Shared, walk::Hole};
use crate::{
    alarms::Alarm,
    disk::{AlignedBuffer, Disk, DiskFile, ReadFile, Timer},
};
use brink_proto::frame::FrameHeader;
use std::io;

/// BOUND: bytes of a corrupt range that are kept; what lies behind is named but not copied.
const KEPT_BYTES_MAX: u32 = 1 << 20;

/// Copies a range of a segment to `quarantine/<generation>-<offset>.bytes`.
pub(crate) async fn keep<D: Disk>(
    disk: &D,
    file: &D::File,
    generation: u32,
    from: u32,
    to: u32,
) -> io::Result<()> {
    let bytes = (to - from).min(KEPT_BYTES_MAX);
    tracing::error!(generation, from, to, "keeping a copy of a range of the log");
    let folder = "quarantine";
    let name = format!("{generation:010}-{from:010}.bytes");
    if disk.list(folder).await?.iter().any(|(known, _)| *known == name) {
        return Ok(()); // it was kept at an earlier start
    }
    let mut corrupt = Vec::new();
    // A range that cannot even be read leaves a copy of what could be.
    if let Err(error) = file.read(u64::from(from), bytes as usize, &mut corrupt).await {
        tracing::error!(generation, from, %error, "the corrupt range cannot be read");
    }
    let copy = disk.create(&format!("{folder}/{name}"), u64::from(bytes)).await?;
    let mut block = disk.buffer(bytes as usize);
    block.bytes_mut().fill(0);
    block.bytes_mut()[..corrupt.len()].copy_from_slice(&corrupt);
    copy.write(0, block).await?;
    copy.sync().await?;
    disk.sync_names(folder).await
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

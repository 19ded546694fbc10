//! Room in segments that one sink or topic holds: payloads that nobody needs any more are given
//! back to the disk, and what is held then is little more than what is waited for.
//!
//! A segment goes when every sink has all of it. Where one topic is not taken, everybody else's
//! frames stay with it, until the quota is full and all events are shed. So of sealed segments the
//! payloads of streams that all sinks have are freed, in place: positions stay, headers stay, and a
//! walk finds what it found. Cursors are durable before; a crash leaves payloads that are there or
//! are not, and nobody reads them.
//!
//! What is left of a frame is its first block. Frames of the last group stay whole: a start that
//! finds no summary asks for their payloads to see where the log is torn.

use super::{port::Notice, segment, server::Server};
use crate::disk::{Disk, Timer};
use brink_proto::{
    frame::{FRAME_ALIGN, FrameHeader},
    ids::StreamId,
};
use std::{io, time::Duration};

/// Below this there is room enough, in percent of the quota.
const FREE_FROM_PERCENT: u32 = 40;

/// Between two looks when there was nothing to be freed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// BOUND: ranges that are freed in one turn of the server; nobody is served meanwhile.
const RANGES_A_TURN: usize = 16;

/// A segment of which a part is still to be freed.
pub(super) struct Freeing {
    generation: u32,
    /// Offsets and bytes. BOUND: one for each frame of a segment.
    ranges: Vec<(u64, u64)>,
}

impl<D: Disk, T: Timer> Server<D, T> {
    /// Frees a part of a segment, if there is too little room and one is worth it.
    pub(super) async fn free_room(&mut self) {
        if self.freeing.is_none() {
            self.freeing = self.next_to_free().await;
        }
        let Some(Freeing { generation, mut ranges }) = self.freeing.take() else { return };
        // Every sink may be done with it by now.
        if self.shared.log.borrow().segment(generation).is_none() {
            return;
        }
        let part = ranges.split_off(ranges.len().saturating_sub(RANGES_A_TURN));
        if let Err(error) = self.free_part(generation, &part).await {
            // It is not tried again before the next start, and costs room and nothing else.
            tracing::warn!(generation, %error, "payloads that nobody needs keep their room");
        } else if ranges.is_empty() {
            tracing::info!(generation, "payloads that every sink has gave their room back");
        } else {
            self.freeing = Some(Freeing { generation, ranges });
        }
        // The disk's answers come without a wait; whoever has one goes first.
        self.shared.work.notify();
        self.shared.timer.sleep(Duration::ZERO).await;
    }

    /// The segment that is freed next, if there is too little room and one is worth it.
    async fn next_to_free(&mut self) -> Option<Freeing> {
        let now = self.shared.timer.now();
        if now < self.free_at || self.shared.fullness_percent() < FREE_FROM_PERCENT {
            return None;
        }
        let found = {
            let cursors = self.shared.cursors.borrow();
            let is_told = |generation| self.has_told(generation);
            self.shared.log.borrow().freeable(&cursors, &self.names, is_told)
        };
        let Some((generation, streams)) = found else {
            self.free_at = now + LOOK_INTERVAL;
            return None;
        };
        if let Err(error) = self.ensure_index(generation).await {
            tracing::error!(generation, %error, "a segment that is to be freed cannot be read");
            self.free_at = now + LOOK_INTERVAL;
            return None;
        }
        let ranges = self.ranges(generation, &streams);
        self.shared.log.borrow_mut().freeing(generation, streams);
        Some(Freeing { generation, ranges })
    }

    /// Frees ranges of a segment. What the quota counts is what the file system says.
    async fn free_part(&self, generation: u32, part: &[(u64, u64)]) -> io::Result<()> {
        let name = segment::file_name(generation);
        let freed = self.shared.disk.free(&name, part).await;
        let allocated = self.shared.disk.allocated(&name).await?;
        self.shared.log.borrow_mut().set_allocated(generation, allocated);
        freed
    }

    /// The payloads of these streams in a segment, but for their first blocks.
    fn ranges(&self, generation: u32, streams: &[StreamId]) -> Vec<(u64, u64)> {
        let log = self.shared.log.borrow();
        let index = log.segment(generation).and_then(|segment| segment.index.as_ref());
        let frames = index.into_iter().flatten().filter_map(|notice| match notice {
            Notice::Frame(frame) => Some(*frame),
            Notice::Lost { .. } | Notice::Again { .. } => None,
        });
        let frames: Vec<FrameHeader> = frames.collect();
        let committed = frames.iter().map(|frame| frame.commit_position).max();
        let is_freed = |frame: &&FrameHeader| {
            streams.contains(&frame.batch.stream) && Some(frame.position) < committed
        };
        let range = |frame: &FrameHeader| {
            let from = u64::from(frame.position.offset()) + FRAME_ALIGN as u64;
            (from, (frame.frame_bytes() - FRAME_ALIGN) as u64)
        };
        frames.iter().filter(is_freed).map(range).filter(|(_, bytes)| *bytes > 0).collect()
    }
}

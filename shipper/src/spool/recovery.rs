//! A start: which segments live, where the log ends, and what was torn or corrupt.
//!
//! A sealed segment costs one read of its summary. Where there is none, headers are walked, the
//! segment is cut where it is torn, or where a sync had failed and all was written again, and it is
//! sealed: a start never writes frames behind old ones.
//! Memory and time do not depend on how much waits to be delivered, but for one block per segment.

use super::{
    log::{Log, Segment},
    quarantine,
    segment::{self, SEGMENT_BYTES_MIN, SUMMARY_BYTES, Summary},
    walk::{self, Walked},
};
use crate::disk::{AlignedBuffer, Disk, DiskFile, ReadFile};
use brink_proto::frame::{BatchInfo, FRAME_ALIGN, FrameHeader};
use std::{collections::BTreeMap, io, rc::Rc};

/// What a start found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments that hold frames.
    pub segments: u32,
    /// Segments that were not sealed and were walked.
    pub walked: u32,
    /// Frames in the walked ones.
    pub frames: u64,
    /// Corrupt ranges that were quarantined.
    pub corrupt_ranges: u32,
    /// Whether the cursor file could not be read.
    pub cursors_lost: bool,
}

/// Looks at all segments before anything is changed: what a newer build wrote is left untouched,
/// and so is all that lies beside it.
///
/// # Errors
/// What the disk said; [`io::ErrorKind::Unsupported`] when a newer build wrote a part of the log.
pub(crate) async fn refuse_newer<D: Disk>(disk: &D) -> io::Result<()> {
    let mut block = Vec::new();
    for (name, bytes) in disk.list(segment::FOLDER).await? {
        let generation = segment::generation_of(&name, ".seg");
        let Some(generation) = generation.filter(|_| bytes >= u64::from(SEGMENT_BYTES_MIN)) else {
            continue;
        };
        let file = disk.open(&segment::file_name(generation)).await?;
        read_head(&file, generation).await?;
        let summary_at = bytes - u64::from(SUMMARY_BYTES);
        if !summary_at.is_multiple_of(FRAME_ALIGN as u64) {
            continue;
        }
        file.read(summary_at, SUMMARY_BYTES as usize, &mut block).await?;
        if let Some(version) = Summary::newer_version(&block, generation) {
            let text = format!("the summary of segment {generation} has version {version}, newer");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
    }
    Ok(())
}

/// Finds the log on a disk.
pub(crate) async fn recover<D: Disk>(
    disk: &D,
    segment_bytes: u32,
) -> io::Result<(Log<D::File>, RecoveryReport)> {
    let mut report = RecoveryReport::default();
    let mut segments = BTreeMap::new();
    let mut free = Vec::new();
    let mut next_generation = 1;
    let mut names = disk.list(segment::FOLDER).await?;
    names.sort();
    // From the newest one back: what was written again is known before its first place is seen.
    for (name, bytes) in names.into_iter().rev() {
        if let Some(generation) = segment::generation_of(&name, ".free") {
            next_generation = next_generation.max(generation + 1);
            let free_name = segment::free_name(generation);
            let is_whole = disk.allocated(&free_name).await? >= bytes;
            if bytes == u64::from(segment_bytes) && is_whole {
                free.push(generation);
            } else {
                disk.remove(&free_name).await?;
            }
            continue;
        }
        let Some(generation) = segment::generation_of(&name, ".seg") else { continue };
        next_generation = next_generation.max(generation + 1);
        let bytes = u32::try_from(bytes).unwrap_or(0);
        let file_name = segment::file_name(generation);
        let too_small = bytes < SEGMENT_BYTES_MIN;
        let found = match too_small {
            true => None,
            false => segment(disk, generation, bytes, &segments, &mut report).await?,
        };
        match found {
            Some(segment) => {
                report.segments += 1;
                segments.insert(generation, segment);
            }
            None if bytes == segment_bytes => {
                disk.rename(&file_name, &segment::free_name(generation)).await?;
                free.push(generation);
            }
            None => disk.remove(&file_name).await?,
        }
    }
    Ok((Log::new(segments, free, next_generation), report))
}

/// One segment; nothing when it holds no frame.
async fn segment<D: Disk>(
    disk: &D,
    generation: u32,
    bytes: u32,
    later: &BTreeMap<u32, Segment<D::File>>,
    report: &mut RecoveryReport,
) -> io::Result<Option<Segment<D::File>>> {
    let name = segment::file_name(generation);
    let file = disk.open(&name).await?;
    let mut block = Vec::new();
    read_head(&file, generation).await?;
    let summary_at = bytes - SUMMARY_BYTES;
    file.read(u64::from(summary_at), SUMMARY_BYTES as usize, &mut block).await?;
    let summary = match Summary::decode(&block, generation) {
        Some(summary) => summary,
        None => {
            let mut walked = walk::walk(&file, generation, summary_at).await?;
            cut_what_stands_again(&mut walked, later);
            seal(disk, &file, generation, summary_at, walked, report).await?
        }
    };
    if summary.frames == 0 {
        return Ok(None);
    }
    let freed_bytes = u64::from(bytes).saturating_sub(disk.allocated(&name).await?);
    Ok(Some(Segment {
        file: Rc::new(file),
        bytes,
        summary,
        sealed: true,
        freed: Vec::new(),
        freed_bytes,
        index: None,
    }))
}

/// The head of a segment, as [`segment::read_head`] reads it.
///
/// # Errors
/// What the disk said; [`io::ErrorKind::Unsupported`] when a newer build wrote the segment.
pub(crate) async fn read_head<F: ReadFile>(
    file: &F,
    generation: u32,
) -> io::Result<Option<(u32, u64)>> {
    let mut block = Vec::new();
    file.read(0, FRAME_ALIGN, &mut block).await?;
    segment::read_head(&block).map_err(|version| {
        let text = format!("segment {generation} has version {version}, which is newer");
        io::Error::new(io::ErrorKind::Unsupported, text)
    })
}

/// Ends a segment in front of what its life has written again in a later one. Its sync had failed
/// here: it is seen, but no sync that comes now makes it stay. What lies behind it was written
/// again as well, or never promised.
fn cut_what_stands_again<F>(walked: &mut Walked, later: &BTreeMap<u32, Segment<F>>) {
    let stands_again = |frame: &FrameHeader| {
        let BatchInfo { stream, first_sequence, .. } = frame.batch;
        let end = frame.batch.end_sequence();
        let mut entries = later.values().flat_map(|segment| &segment.summary.streams);
        entries.any(|e| e.stream == stream && e.first <= first_sequence && end <= e.end)
    };
    if let Some(at) = walked.frames.iter().position(stands_again) {
        walked.cut_at(at);
    }
}

/// Seals a segment that was walked; its corrupt ranges are set aside.
async fn seal<D: Disk>(
    disk: &D,
    file: &D::File,
    generation: u32,
    summary_at: u32,
    walked: Walked,
    report: &mut RecoveryReport,
) -> io::Result<Summary> {
    report.walked += 1;
    report.frames += walked.frames.len() as u64;
    for hole in &walked.holes {
        report.corrupt_ranges += 1;
        quarantine::keep(disk, file, generation, hole.from, hole.to).await?;
    }
    let summary = Summary::of(&walked.frames);
    if summary.frames > 0 {
        write_summary(disk, file, generation, summary_at, &summary).await?;
    }
    Ok(summary)
}

/// Seals a segment: everything in it becomes durable together with its summary.
pub(crate) async fn write_summary<D: Disk>(
    disk: &D,
    file: &D::File,
    generation: u32,
    summary_at: u32,
    summary: &Summary,
) -> io::Result<()> {
    // Two syncs: a summary must never be durable before the frames that it speaks of.
    file.sync().await?;
    let mut block = disk.buffer(SUMMARY_BYTES as usize);
    summary.encode(block.bytes_mut(), generation);
    file.write(u64::from(summary_at), block).await?;
    file.sync().await
}

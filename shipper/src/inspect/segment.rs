//! One segment: what it holds, and what is wrong with it.
//!
//! A sealed segment is held against its summary: all that the summary speaks of had been synced, so
//! a place in it without a frame is corrupt. One without a summary is read as a start reads it, by
//! [`walk`](crate::spool::walk). While a process appends to it, the walk may pass a place before a
//! frame is written there, and then meet a later frame that calls that place synced. So a hole
//! counts when a second walk finds it again; in front of one that it does not, the log ends for us.

use super::{
    Depth, content,
    fault::{Fault, FaultKind, Faults},
    report::SegmentSeen,
};
use crate::{
    disk::ReadFile,
    spool::{
        payload::{Unpacker, has_sound_payload},
        recovery::read_head,
        segment::{FRAMES_FROM, SUMMARY_BYTES, Summary, SummaryPlace},
        walk::{self, Hole, Walked},
    },
};
use brink_proto::frame::{FRAME_ALIGN, FrameError, FrameHeader, LogPosition};
use std::io::{self, ErrorKind};

/// What is known of a segment before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) generation: u32,
    /// Whether no later segment was there.
    pub(super) is_last: bool,
}

/// A segment that was read.
pub(super) struct Looked {
    pub(super) seen: SegmentSeen,
    /// BOUND: the frames of one segment.
    pub(super) frames: Vec<FrameHeader>,
    /// Of them, those whose payloads were freed; looked for with the payloads.
    pub(super) freed: Vec<FrameHeader>,
    pub(super) faults: Faults,
}

/// Reads a segment of so many bytes. With [`Depth::Payloads`] `read` is told the bytes of each
/// frame that was checked.
///
/// # Errors
/// [`ErrorKind::Unsupported`] when a newer build wrote it; another when it cannot be read at all.
pub(super) async fn look<F: ReadFile>(
    file: &F,
    bytes: u64,
    place: Place,
    depth: Depth,
    read: &mut dyn FnMut(u64),
) -> io::Result<Looked> {
    let Place { generation, .. } = place;
    let head = read_head(file, generation).await?;
    let mut faults = Faults::default();
    let (limit, summary) = summary_of(file, place, bytes, head, &mut faults).await?;
    let mut walked = match &summary {
        Some(summary) => walk::headers(file, generation, summary.end.min(limit)).await?,
        None => walk_twice(file, generation, limit).await?,
    };
    if let Some(summary) = &summary {
        hold_against(summary, generation, &mut walked, &mut faults);
    }
    let is_ours = |head: Option<(u32, u64)>| head.is_some_and(|(named, _)| named == generation);
    // A segment that was being made has frames by now, and with them its head: it is read again.
    if !is_ours(head) && !walked.frames.is_empty() && !is_ours(read_head(file, generation).await?) {
        let text = "the head is not the one of this segment";
        faults.push(Fault::new(FaultKind::Head, text).at(LogPosition::new(generation, 0)));
    }
    for hole in &walked.holes {
        let text = format!("{} bytes that were synced hold no frame", hole.to - hole.from);
        let at = LogPosition::new(generation, hole.from);
        faults.push(Fault::new(FaultKind::Corrupt, text).at(at));
    }
    let is_torn =
        summary.is_none() && (walked.torn > 0 || is_header_torn(file, walked.end, limit).await?);
    let freed = match depth {
        Depth::Payloads => check_payloads(file, &walked.frames, &mut faults, read).await?,
        Depth::Headers => Vec::new(),
    };
    let seen = SegmentSeen {
        generation,
        sealed: summary.is_some(),
        bytes,
        end: walked.end,
        frames: walked.frames.len() as u64,
        events: walked.frames.iter().map(|f| u64::from(f.batch.count)).sum(),
        torn_from: is_torn.then_some(walked.end),
        faults: faults.count,
    };
    Ok(Looked { seen, frames: walked.frames, freed, faults })
}

/// Where frames end at the latest, and the summary behind them, if there is one.
async fn summary_of<F: ReadFile>(
    file: &F,
    place: Place,
    bytes: u64,
    head: Option<(u32, u64)>,
    faults: &mut Faults,
) -> io::Result<(u32, Option<Summary>)> {
    let Place { generation, is_last } = place;
    let says = head.filter(|(named, _)| *named == generation).map(|(_, bytes)| bytes);
    let length = u32::try_from(bytes).unwrap_or(u32::MAX) / FRAME_ALIGN as u32 * FRAME_ALIGN as u32;
    if let Some(says) = says.filter(|says| *says != bytes) {
        let text = format!("the file has {bytes} bytes, its head says {says}");
        faults.push(Fault::new(FaultKind::Length, text).at(LogPosition::new(generation, 0)));
        if bytes < says {
            return Ok((length, None)); // its summary is gone
        }
    }
    let Some(at) = length.checked_sub(SUMMARY_BYTES).filter(|at| *at >= FRAMES_FROM) else {
        return Ok((FRAMES_FROM, None));
    };
    let mut block = Vec::new();
    file.read(u64::from(at), SUMMARY_BYTES as usize, &mut block).await?;
    match SummaryPlace::read(&block, generation) {
        SummaryPlace::Summary(summary) => Ok((at, Some(summary))),
        // The last segment may have been sealed in the moment of a crash, or right now.
        SummaryPlace::Broken if !is_last => {
            let text = "the summary is not what was written";
            faults.push(Fault::new(FaultKind::Summary, text).at(LogPosition::new(generation, at)));
            Ok((at, None))
        }
        SummaryPlace::Broken | SummaryPlace::Empty => Ok((at, None)),
    }
}

pub(super) async fn walk_twice<F: ReadFile>(
    file: &F,
    generation: u32,
    limit: u32,
) -> io::Result<Walked> {
    let first = walk::walk(file, generation, limit).await?;
    if first.holes.is_empty() {
        return Ok(first);
    }
    let mut again = walk::walk(file, generation, limit).await?;
    let fresh = again.holes.iter().position(|hole| !first.holes.contains(hole));
    if let Some(at) = fresh {
        let from = again.holes[at].from;
        again.holes.truncate(at);
        again.frames.retain(|frame| frame.position.offset() < from);
        again.end = from;
    }
    Ok(again)
}

/// What a summary promises must be there.
fn hold_against(summary: &Summary, generation: u32, walked: &mut Walked, faults: &mut Faults) {
    if walked.end < summary.end {
        walked.holes.push(Hole { from: walked.end, to: summary.end });
        walked.end = summary.end;
    }
    let found = Summary::of(&walked.frames);
    let is_same = (found.frames, &found.streams) == (summary.frames, &summary.streams);
    if walked.holes.is_empty() && !is_same {
        let text = format!(
            "the summary says {} frames of {} streams, there are {} of {}, or they differ",
            summary.frames,
            summary.streams.len(),
            found.frames,
            found.streams.len()
        );
        let at = LogPosition::new(generation, FRAMES_FROM);
        faults.push(Fault::new(FaultKind::Disagreement, text).at(at));
    }
}

/// Whether a frame was begun at the end of a log: its header is there, but not whole.
async fn is_header_torn<F: ReadFile>(file: &F, end: u32, limit: u32) -> io::Result<bool> {
    if end >= limit {
        return Ok(false);
    }
    let mut block = Vec::new();
    file.read(u64::from(end), FRAME_ALIGN, &mut block).await?;
    Ok(matches!(FrameHeader::decode(&block), Err(FrameError::HeaderCrc)))
}

async fn check_payloads<F: ReadFile>(
    file: &F,
    frames: &[FrameHeader],
    faults: &mut Faults,
    read: &mut dyn FnMut(u64),
) -> io::Result<Vec<FrameHeader>> {
    let mut freed = Vec::new();
    let mut unpacker = Unpacker::new()?;
    let mut bytes = Vec::new();
    for frame in frames {
        let from = u64::from(frame.position.offset());
        let fault = match file.read(from, frame.frame_bytes(), &mut bytes).await {
            Err(error) => Some((FaultKind::Unreadable, error.to_string())),
            Ok(()) if is_freed(&bytes) => {
                freed.push(*frame);
                None
            }
            Ok(()) if !has_sound_payload(frame, &bytes) => {
                Some((FaultKind::Payload, "the payload does not match its checksum".to_owned()))
            }
            Ok(()) => {
                let raw = unpacker.unpack(frame, &bytes).map_err(|error| error.to_string());
                let checked = raw.and_then(|raw| content::check(frame, raw));
                checked.err().map(|text| (FaultKind::Content, text))
            }
        };
        if let Some((kind, text)) = fault {
            faults.push(Fault::new(kind, text).of_frame(frame));
        }
        read(frame.frame_bytes() as u64);
    }
    Ok(freed)
}

/// Whether all that is left of a frame is its first block: it was freed, for every sink had it.
/// Compressed records are never zeros for so long.
fn is_freed(bytes: &[u8]) -> bool {
    let rest = bytes.get(FRAME_ALIGN..).unwrap_or_default();
    !rest.is_empty() && rest.iter().all(|byte| *byte == 0)
}

/// A segment that the disk does not give back, as far as anything can be said of it.
pub(super) fn unreadable(place: Place, bytes: u64, error: &io::Error) -> Looked {
    let mut faults = Faults::default();
    let at = LogPosition::new(place.generation, 0);
    faults.push(Fault::new(FaultKind::Unreadable, error.to_string()).at(at));
    let seen = SegmentSeen {
        generation: place.generation,
        sealed: false,
        bytes,
        end: FRAMES_FROM,
        frames: 0,
        events: 0,
        torn_from: None,
        faults: faults.count,
    };
    Looked { seen, frames: Vec::new(), freed: Vec::new(), faults }
}

/// Whether an error means that a newer build wrote what was read.
pub(super) fn is_newer(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported
}

//! Finds the frames of a segment by their headers, and tells what is torn from what is corrupt.
//!
//! A frame's header says what was synced before it was written. So when a place holds no sound frame,
//! and a later frame of the same segment says that this place had been synced, the disk has lost what
//! it had promised to keep: that is *corruption*, and reading goes on behind it. Otherwise the place
//! was being written when the end came: it is *torn*, nobody was told that it is durable, and the
//! log ends there.

use super::segment::FRAMES_FROM;
use crate::disk::DiskFile;
use brink_proto::frame::{FRAME_ALIGN, FrameError, FrameHeader, HEADER_BYTES, LogPosition};
use std::io;

/// Read at once while looking for headers.
const WINDOW_BYTES: usize = 64 * 1024;

/// A range of a segment that should hold frames and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// What a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Sound frames in order.
    pub(crate) frames: Vec<FrameHeader>,
    /// Corrupt ranges between them.
    pub(crate) holes: Vec<Hole>,
    /// Offset behind the last frame that counts.
    pub(crate) end: u32,
}

/// Walks a segment from its first frame up to `limit`, and ends it where it is torn.
pub(crate) async fn walk<F: DiskFile>(file: &F, generation: u32, limit: u32) -> io::Result<Walked> {
    let mut walked = headers(file, generation, limit).await?;
    cut_at_first_torn_hole(&mut walked, generation);
    cut_at_first_torn_payload(&mut walked, file).await?;
    Ok(walked)
}

/// All sound headers, wherever they lie, and the holes between them.
pub(crate) async fn headers<F: DiskFile>(
    file: &F,
    generation: u32,
    limit: u32,
) -> io::Result<Walked> {
    let mut window = Window { file, from: 0, bytes: Vec::new() };
    let mut walked = Walked { end: FRAMES_FROM, ..Walked::default() };
    let mut at = FRAMES_FROM;
    while at < limit {
        if let Some(frame) = window.frame_at(generation, at, limit).await? {
            if at > walked.end {
                walked.holes.push(Hole { from: walked.end, to: at });
            }
            at += frame.frame_bytes() as u32;
            walked.end = at;
            walked.frames.push(frame);
        } else {
            at += FRAME_ALIGN as u32;
        }
    }
    Ok(walked)
}

fn cut_at_first_torn_hole(walked: &mut Walked, generation: u32) {
    let committed = walked.frames.iter().map(|f| f.commit_position).max();
    let is_torn =
        |hole: &Hole| committed.is_none_or(|c| c <= LogPosition::new(generation, hole.from));
    if let Some(at) = walked.holes.iter().position(is_torn) {
        let from = walked.holes[at].from;
        walked.holes.truncate(at);
        walked.frames.retain(|f| f.position.offset() < from);
        walked.end = from;
    }
}

/// Frames behind the last commit that a header speaks of may have a header and no payload.
async fn cut_at_first_torn_payload<F: DiskFile>(walked: &mut Walked, file: &F) -> io::Result<()> {
    let Some(committed) = walked.frames.iter().map(|f| f.commit_position).max() else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    for at in 0..walked.frames.len() {
        let frame = walked.frames[at];
        if frame.position < committed {
            continue;
        }
        let offset = frame.position.offset();
        file.read(u64::from(offset), frame.frame_bytes(), &mut bytes).await?;
        if !has_sound_payload(&frame, &bytes) {
            walked.frames.truncate(at);
            walked.end = offset;
            walked.holes.retain(|hole| hole.from < offset);
            break;
        }
    }
    Ok(())
}

/// Whether `bytes`, read at a frame's place, hold that frame and its whole payload.
pub(crate) fn has_sound_payload(frame: &FrameHeader, bytes: &[u8]) -> bool {
    let payload = bytes.get(HEADER_BYTES..HEADER_BYTES + frame.batch.payload_bytes as usize);
    FrameHeader::decode(bytes) == Ok(*frame)
        && payload.is_some_and(|p| crc32c::crc32c(p) == frame.payload_crc)
}

/// A part of the file that was read ahead.
struct Window<'a, F> {
    file: &'a F,
    from: u32,
    bytes: Vec<u8>,
}

impl<F: DiskFile> Window<'_, F> {
    /// The frame at `at`, if a sound header of this generation stands there.
    ///
    /// A frame of another version is an error: whoever wrote it knows more than we do.
    async fn frame_at(
        &mut self,
        generation: u32,
        at: u32,
        limit: u32,
    ) -> io::Result<Option<FrameHeader>> {
        let inside = |w: &Self| {
            let start = at.checked_sub(w.from)? as usize;
            w.bytes.get(start..start + HEADER_BYTES).map(FrameHeader::decode)
        };
        let mut read = inside(self);
        if read.is_none() {
            let bytes = WINDOW_BYTES.min((limit - at) as usize).next_multiple_of(FRAME_ALIGN);
            self.file.read(u64::from(at), bytes, &mut self.bytes).await?;
            self.from = at;
            read = inside(self);
        }
        match read {
            Some(Ok(frame)) => {
                let here = frame.position == LogPosition::new(generation, at);
                let fits = u64::from(at) + frame.frame_bytes() as u64 <= u64::from(limit);
                Ok(Some(frame).filter(|_| here && fits))
            }
            Some(Err(FrameError::Version(version))) => {
                let text = format!("frame version {version} at {generation}:{at} is newer");
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
            Some(Err(_)) | None => Ok(None),
        }
    }
}

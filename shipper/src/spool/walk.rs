//! Finds the frames of a segment by their headers, and tells what is torn from what is corrupt.
//!
//! A frame's header says what was synced before it was written. So when a place holds no sound
//! frame, and a later frame of the same segment says that this place had been synced, the disk has
//! lost what it had promised to keep: that is *corruption*, and reading goes on behind it.
//! Otherwise the place was being written when the end came: it is *torn*, nobody was told that it
//! is durable, and the log ends there.

use super::{payload::has_sound_payload, segment::FRAMES_FROM};
use crate::disk::ReadFile;
use brink_proto::frame::{FRAME_ALIGN, FrameError, FrameHeader, HEADER_BYTES, LogPosition};
use std::io;

/// Read at once while looking for headers.
const WINDOW_BYTES: usize = 64 * 1024;

/// Behind a frame that is longer, one block is read: a window would be payload that nobody asked
/// for.
const LONG_FRAME_BYTES: u32 = 16 * 1024;

/// A range of a segment that should hold frames and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Its first byte.
    pub from: u32,
    /// The byte behind its last.
    pub to: u32,
}

/// What a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Sound frames in order.
    pub frames: Vec<FrameHeader>,
    /// Corrupt ranges between them.
    pub holes: Vec<Hole>,
    /// Offset behind the last frame that counts.
    pub end: u32,
    /// Sound headers behind the end, which do not count: they are torn with it.
    pub torn: u32,
}

/// Walks a segment from its first frame up to `limit`, and ends it where it is torn.
///
/// # Errors
/// What the disk said; [`io::ErrorKind::Unsupported`] when a newer build wrote a frame of it.
pub async fn walk<F: ReadFile>(file: &F, generation: u32, limit: u32) -> io::Result<Walked> {
    let mut walked = headers(file, generation, limit).await?;
    // Asked before anything is cut off: what a frame says was synced was synced, even where the
    // frame itself does not count.
    if let Some(committed) = walked.frames.iter().map(|f| f.commit_position).max() {
        cut_at_first_torn_hole(&mut walked, generation, committed);
        cut_at_first_torn_payload(&mut walked, file, committed).await?;
    }
    Ok(walked)
}

/// All sound headers, wherever they lie, and the holes between them.
pub(crate) async fn headers<F: ReadFile>(
    file: &F,
    generation: u32,
    limit: u32,
) -> io::Result<Walked> {
    let mut window = Window { file, from: 0, bytes: Vec::new(), before: FRAMES_FROM };
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

impl Walked {
    /// Ends the log in front of a frame, as if it were torn there.
    pub(crate) fn cut_at(&mut self, frame: usize) {
        let offset = self.frames[frame].position.offset();
        self.cut(frame, offset);
        self.holes.retain(|hole| hole.from < offset);
    }

    /// Ends the log at `end`, behind its first `kept` frames.
    fn cut(&mut self, kept: usize, end: u32) {
        self.torn += (self.frames.len() - kept) as u32;
        self.frames.truncate(kept);
        self.end = end;
    }
}

fn cut_at_first_torn_hole(walked: &mut Walked, generation: u32, committed: LogPosition) {
    let is_torn = |hole: &Hole| committed <= LogPosition::new(generation, hole.from);
    if let Some(at) = walked.holes.iter().position(is_torn) {
        let from = walked.holes[at].from;
        walked.holes.truncate(at);
        let kept = walked.frames.partition_point(|f| f.position.offset() < from);
        walked.cut(kept, from);
    }
}

/// Frames behind the last commit that a header speaks of may have a header and no payload.
async fn cut_at_first_torn_payload<F: ReadFile>(
    walked: &mut Walked,
    file: &F,
    committed: LogPosition,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for at in 0..walked.frames.len() {
        let frame = walked.frames[at];
        if frame.position < committed {
            continue;
        }
        let offset = frame.position.offset();
        file.read(u64::from(offset), frame.frame_bytes(), &mut bytes).await?;
        if !has_sound_payload(&frame, &bytes) {
            walked.cut_at(at);
            break;
        }
    }
    Ok(())
}

/// A part of the file that was read ahead.
struct Window<'a, F> {
    file: &'a F,
    from: u32,
    bytes: Vec<u8>,
    /// Where a header was looked for last.
    before: u32,
}

impl<F: ReadFile> Window<'_, F> {
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
            let is_long = at - self.before > LONG_FRAME_BYTES;
            let wanted = if is_long { FRAME_ALIGN } else { WINDOW_BYTES };
            let bytes = wanted.min((limit - at) as usize).next_multiple_of(FRAME_ALIGN);
            self.file.read(u64::from(at), bytes, &mut self.bytes).await?;
            self.from = at;
            read = inside(self);
        }
        self.before = at;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const GENERATION: u32 = 3;
    const BLOCK: usize = FRAME_ALIGN;

    /// Frames of one block each, in a row; each names the block below which all is synced.
    fn segment(commits: &[usize]) -> Vec<u8> {
        let mut bytes = vec![0; (2 + commits.len()) * BLOCK];
        for (index, commit) in commits.iter().enumerate() {
            let at = (1 + index) * BLOCK;
            let payload = [index as u8; 100];
            let batch = sample::batch("e/7/0/t", index as u64, 1);
            let header = FrameHeader {
                commit_position: LogPosition::new(GENERATION, (commit * BLOCK) as u32),
                payload_crc: crc32c::crc32c(&payload),
                ..sample::frame(batch, LogPosition::new(GENERATION, at as u32))
            };
            bytes[at..at + HEADER_BYTES].copy_from_slice(&header.encode());
            bytes[at + HEADER_BYTES..at + HEADER_BYTES + 100].copy_from_slice(&payload);
        }
        bytes
    }

    struct File(Vec<u8>);

    impl ReadFile for File {
        async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
            let from = offset as usize;
            out.clear();
            out.extend_from_slice(&self.0[from..(from + bytes).min(self.0.len())]);
            Ok(())
        }
    }

    /// What is found, by block, with the headers of some frames and the payloads of others gone.
    fn check(
        commits: &[usize],
        headers: &[usize],
        payloads: &[usize],
        found: &[u32],
        holes: usize,
    ) {
        let mut bytes = segment(commits);
        headers.iter().for_each(|block| bytes[block * BLOCK] ^= 1);
        payloads.iter().for_each(|block| bytes[block * BLOCK + HEADER_BYTES] ^= 1);
        let limit = bytes.len() as u32;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let walked = runtime.block_on(walk(&File(bytes), GENERATION, limit)).unwrap();
        let blocks = walked.frames.iter().map(|f| f.position.offset() / FRAME_ALIGN as u32);
        let blocks: Vec<u32> = blocks.collect();
        let damage = format!("{commits:?}, headers {headers:?}, payloads {payloads:?}");
        assert_eq!((blocks.as_slice(), walked.holes.len()), (found, holes), "{damage}");
    }

    #[test]
    fn what_was_synced_is_corrupt_and_what_was_being_written_is_torn() {
        check(&[], &[], &[], &[], 0);
        check(&[1, 1, 3, 3], &[], &[], &[1, 2, 3, 4], 0);
        check(&[1, 1, 3, 3], &[2], &[], &[1, 3, 4], 1);
        check(&[1, 1, 3, 3], &[3], &[], &[1, 2], 0);
        check(&[1, 1, 3, 3], &[], &[2], &[1, 2, 3, 4], 0);
        check(&[1, 1, 3, 3], &[], &[3], &[1, 2], 0);
        check(&[1, 1, 3, 3], &[1, 4], &[], &[2, 3], 1);
        // The only frame that says that block 1 was synced is behind a torn one.
        check(&[1, 1, 3, 3], &[3], &[1], &[1, 2], 0);
    }
}

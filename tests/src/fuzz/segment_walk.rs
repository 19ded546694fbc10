//! A walk over a segment: whatever the disk did, a frame is found that a later one calls synced.

use super::{feature::reached, input::Input, segment_image::Image};
use crate::sim::executor::block_on;
use brink_proto::frame::FrameHeader;
use brink_shipper::{
    disk::ReadFile,
    spool::{
        segment::FRAMES_FROM,
        walk::{Walked, walk},
    },
};
use std::io;

const GENERATION: u32 = 5;

/// Frames lie below it.
const LIMIT: u32 = 96 * 1024;

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn segment_walk(data: &[u8]) {
    let mut input = Input::new(data);
    let image = Image::make(&mut input, GENERATION, LIMIT as usize, LIMIT as usize);
    let file = File(image.bytes.clone());
    let walked = block_on(walk(&file, GENERATION, LIMIT), || {}).expect("memory can be read");
    is_in_order(&walked, &file.0);
    if image.damage.is_empty() {
        assert_eq!(walked.frames, image.frames, "what is sound is found");
        assert_eq!((walked.end, walked.holes.len()), (image.end, 0));
    }
    let sound = || image.frames.iter().filter(|frame| image.is_untouched(frame));
    let synced = sound().map(|frame| frame.commit_position).max();
    for frame in sound().filter(|frame| Some(frame.position) < synced) {
        assert!(walked.frames.contains(frame), "{} was synced and is lost", frame.position);
    }
    let cut = image.frames.len() - walked.frames.len().min(image.frames.len());
    reached((walked.holes.len().min(3), cut.min(4), image.damage.is_empty()));
}

/// Frames and holes stand one behind the other, below the end, and each frame is where it says.
fn is_in_order(walked: &Walked, bytes: &[u8]) {
    let frame =
        |f: &FrameHeader| (f.position.offset(), f.position.offset() + f.frame_bytes() as u32);
    let mut ranges: Vec<(u32, u32)> = walked.frames.iter().map(frame).collect();
    ranges.extend(walked.holes.iter().map(|hole| (hole.from, hole.to)));
    ranges.sort_unstable();
    let mut at = FRAMES_FROM;
    for (from, to) in ranges {
        assert_eq!(from, at, "what is between two frames is a hole");
        at = to;
    }
    assert_eq!(at, walked.end);
    assert!(walked.end <= LIMIT);
    for frame in &walked.frames {
        let at = frame.position.offset() as usize;
        assert_eq!(FrameHeader::decode(&bytes[at..]), Ok(*frame));
    }
}

/// A file in memory that is only read.
struct File(Vec<u8>);

impl ReadFile for File {
    async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let from = (offset as usize).min(self.0.len());
        let to = (from + bytes).min(self.0.len());
        out.clear();
        out.extend_from_slice(&self.0[from..to]);
        Ok(())
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    super::segment_image::seeds()
}

pub(super) const WORDS: &[&[u8]] =
    &[b"\0\0\0", b"\x01\0\x02", b"\x02\x10\0\x01", b"BRNKFRM\x01", b"\xff\xff"];

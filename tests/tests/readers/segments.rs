//! The frames that lie in a spool nobody runs, by what the format says and nothing else.

use brink_proto::{
    frame::{FrameHeader, HEADER_BYTES, LogPosition},
    kafka::batch::{BatchHead, ProducerSequence},
};
use brink_shipper::spool::segment::{FRAMES_FROM, read_head};
use std::{fs, path::Path};

/// A frame and its payload.
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The RecordBatch that this frame is: 61 bytes, and the payload untouched.
    pub(crate) fn record_batch(&self, producer: ProducerSequence) -> Vec<u8> {
        let batch = &self.header.batch;
        let head = BatchHead {
            base_timestamp_ms: batch.base_timestamp_ms,
            max_timestamp_ms: batch.max_timestamp_ms,
            count: batch.count,
            producer,
            transactional: false,
        };
        [&head.encode(&self.payload), self.payload.as_slice()].concat()
    }
}

/// All frames of a spool in log order.
pub(crate) fn frames(spool: &Path) -> Vec<Frame> {
    let folder = fs::read_dir(spool.join("segments")).expect("a spool has segments");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    paths.sort();
    paths.iter().flat_map(|path| frames_of(&fs::read(path).expect("a segment"))).collect()
}

fn frames_of(segment: &[u8]) -> Vec<Frame> {
    let head = read_head(segment).expect("a version that we know");
    let (generation, _) = head.expect("a segment begins with its head");
    let mut frames = Vec::new();
    let mut at = FRAMES_FROM;
    while let Ok(header) = FrameHeader::decode(&segment[at as usize..]) {
        // What an older generation has left behind is no frame of this one.
        if header.position != LogPosition::new(generation, at) {
            break;
        }
        let payload = at as usize + HEADER_BYTES;
        let payload = segment[payload..payload + header.batch.payload_bytes as usize].to_vec();
        at += header.frame_bytes() as u32;
        frames.push(Frame { header, payload });
    }
    frames
}

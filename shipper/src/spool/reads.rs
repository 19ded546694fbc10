//! Reads payloads for the sinks. Frames that lie behind each other in the log, as those of a
//! backlog do, are read as one run: a small frame costs the disk nearly as much as many.

use super::{
    Shared,
    cursors::SinkCursor,
    payload::has_sound_payload,
    port::{Notice, ReadFault, ReadReply, ReadRequest, SpoolPort},
    trouble::Work,
};
use crate::disk::{Disk, ReadFile, Timer};
use brink_proto::frame::FrameHeader;
use std::{collections::VecDeque, rc::Rc};

/// BOUND: bytes read at once for several frames, and kept as memory for the next run.
const RUN_BYTES_MAX: usize = 256 * 1024;

/// Bytes between two frames that are read along rather than left out.
const GAP_BYTES_MAX: u32 = 16 * 1024;

/// The reader, and its memory.
pub(crate) struct Reader<D: Disk, T: Timer> {
    shared: Rc<Shared<D, T>>,
    /// BOUND: a port's ring of requests.
    requests: VecDeque<ReadRequest>,
    run: Vec<u8>,
}

impl<D: Disk, T: Timer> Reader<D, T> {
    pub(crate) fn new(shared: Rc<Shared<D, T>>) -> Reader<D, T> {
        Reader { shared, requests: VecDeque::new(), run: Vec::new() }
    }

    /// Has a payload read that the port's sink will want, if it has room for it: of a frame that
    /// has just come. What was there at the start is asked for when its turn comes, and the payload
    /// of what is behind the sink's cursor may be freed.
    pub(crate) fn read_unasked(&mut self, port: &SpoolPort, frame: FrameHeader) {
        let stream = frame.batch.stream;
        let is_live = stream.incarnation == self.shared.config.incarnation
            && !port.feeds.is_told_again(&Notice::Frame(frame));
        let is_behind = |cursor: &SinkCursor| {
            cursor.delivered.get(&stream).is_some_and(|end| frame.batch.end_sequence() <= *end)
        };
        let cursors = self.shared.cursors.borrow();
        let is_wanted = is_live && !cursors.sinks.get(&port.name).is_some_and(is_behind);
        if is_wanted && self.requests.len() < port.read_replies.slots() {
            self.requests.extend(port.request(frame));
        }
    }

    /// Reads what a port wants and has room for; how many payloads.
    pub(crate) async fn serve(&mut self, port: &mut SpoolPort) -> usize {
        let room = port.read_replies.slots();
        while self.requests.len() < room {
            let Ok(request) = port.reads.pop() else { break };
            self.requests.push_back(request);
        }
        let payloads = self.requests.len();
        while let Some(first) = self.requests.front().map(|r| r.frame) {
            let count = run_of(self.requests.iter().map(|r| &r.frame));
            let run = count > 1 && self.read_run(&first, count).await;
            for _ in 0..count {
                let Some(ReadRequest { frame, mut bytes }) = self.requests.pop_front() else {
                    break;
                };
                let memory = bytes.as_mut_vec();
                let result = match run {
                    true => {
                        let from = (frame.position.offset() - first.position.offset()) as usize;
                        let to = (from + frame.frame_bytes()).min(self.run.len());
                        memory.extend_from_slice(self.run.get(from..to).unwrap_or_default());
                        self.check(&frame, memory).await
                    }
                    false => self.read(&frame, memory).await,
                };
                // The ring had as many places, and this is its only producer.
                let _ = port.read_replies.push(ReadReply { frame, bytes, result });
            }
        }
        payloads
    }

    /// Reads the first frames that are wanted as one. Whether that went well; otherwise each is
    /// read by itself, so that one bad place of the disk is the trouble of one frame.
    async fn read_run(&mut self, first: &FrameHeader, count: usize) -> bool {
        let Some(last) = self.requests.get(count - 1) else { return false };
        let from = first.position.offset();
        let bytes = last.frame.position.offset() - from + last.frame.frame_bytes() as u32;
        let generation = first.position.generation();
        let file = self.shared.log.borrow().file(generation);
        let Some(file) = file else { return false };
        let is_read = file.read(u64::from(from), bytes as usize, &mut self.run).await.is_ok();
        if is_read {
            self.shared.disk_works(Work::Payloads);
        }
        is_read
    }

    async fn read(&self, frame: &FrameHeader, bytes: &mut Vec<u8>) -> Result<(), ReadFault> {
        let generation = frame.position.generation();
        let offset = frame.position.offset();
        let file = self.shared.log.borrow().file(generation);
        let file = file.ok_or(ReadFault::Gone)?;
        let read = file.read(u64::from(offset), frame.frame_bytes(), bytes).await;
        if let Err(error) = read {
            tracing::error!(%error, position = %frame.position, "a frame cannot be read");
            self.shared.disk_fails(Work::Payloads);
            return Err(ReadFault::Disk);
        }
        self.shared.disk_works(Work::Payloads);
        self.check(frame, bytes).await
    }

    async fn check(&self, frame: &FrameHeader, bytes: &[u8]) -> Result<(), ReadFault> {
        if has_sound_payload(frame, bytes) {
            return Ok(());
        }
        self.shared.set_aside(frame).await;
        Err(ReadFault::Corrupt)
    }
}

/// How many of the frames, from the first on, are read at once.
fn run_of<'f>(mut frames: impl Iterator<Item = &'f FrameHeader>) -> usize {
    let Some(first) = frames.next() else { return 0 };
    let end = |frame: &FrameHeader| frame.position.offset() + frame.frame_bytes() as u32;
    let mut behind = end(first);
    let mut count = 1;
    for frame in frames {
        let from = frame.position.offset();
        let is_next = frame.position.generation() == first.position.generation()
            && from >= behind
            && from - behind <= GAP_BYTES_MAX
            && (end(frame) - first.position.offset()) as usize <= RUN_BYTES_MAX;
        if !is_next {
            break;
        }
        behind = end(frame);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use brink_proto::frame::{BatchInfo, FRAME_ALIGN, LogPosition};

    fn frame(generation: u32, block: usize, blocks: usize) -> FrameHeader {
        let payload_bytes = ((blocks - 1) * FRAME_ALIGN + 100) as u32;
        let batch = BatchInfo { payload_bytes, ..sample::batch("e/7/0/t", block as u64, 1) };
        sample::frame(batch, LogPosition::new(generation, (block * FRAME_ALIGN) as u32))
    }

    /// How many frames are read at once, each given by generation, block and blocks.
    fn check(frames: &[(u32, usize, usize)], want: usize) {
        let headers: Vec<_> = frames.iter().map(|(g, at, n)| frame(*g, *at, *n)).collect();
        assert_eq!(run_of(headers.iter()), want, "{frames:?}");
    }

    #[test]
    fn neighbours_are_read_at_once_as_far_as_the_bound_goes() {
        check(&[], 0);
        check(&[(1, 1, 1)], 1);
        check(&[(1, 1, 1), (1, 2, 3), (1, 5, 1)], 3);
        check(&[(1, 1, 1), (1, 6, 1), (1, 12, 1)], 2);
        check(&[(1, 1, 1), (2, 2, 1)], 1);
        check(&[(1, 5, 1), (1, 4, 1)], 1);
        check(&[(1, 1, 40), (1, 41, 24), (1, 65, 1)], 2);
        check(&[(1, 1, 65), (1, 66, 1)], 1);
    }
}

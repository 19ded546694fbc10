//! The seam between the spool and a sink: frames out, each stream's in its order, decisions back,
//! payloads.
//!
//! ```text
//!  spool thread                                    sink (delivery thread)
//!    │ committed frames ────── rtrb ──────────────▶ │ plans objects
//!    │ ◀──────────────── commands (seal, delivered) │
//!    │ durable, or failed ───────────────────────▶  │
//!    │                                              encoder thread
//!    │ ◀──────────────── reads of payloads ────────  │
//!    │ payload, or corrupt ──────────────────────▶  │
//! ```
//!
//! Each sink has a port of its own, so a sick one holds up nobody else. BOUND: rings of
//! [`NOTICES_AHEAD`] notices and [`READS_AHEAD`] payloads, which take [`READ_BYTES_MAX`] together;
//! a sink that is behind is told of more frames when it has taken these.

use super::{
    chain::{Chain, ChainId},
    cursors::{Lineage, Seal},
    feeds::Feeds,
};
use brink_proto::{
    frame::{FRAME_BYTES_MAX, FrameHeader, LogPosition},
    ids::{Name, Sequence, StreamId},
};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Notices on their way to a sink.
pub const NOTICES_AHEAD: usize = 1024;

/// Payload reads under way for a sink: enough of the smallest ones for a run of the disk's.
pub const READS_AHEAD: usize = 512;

/// BOUND: bytes of payloads that a sink has asked for, or that came unasked, and that it has not
/// let go of.
pub const READ_BYTES_MAX: usize = 16 * FRAME_BYTES_MAX;

const COMMANDS_AHEAD: usize = 8;

/// What a sink decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// These events become this object. Durable before the object is encoded.
    Seal(Seal),
    /// A frame that is sound and cannot be decoded: a copy is kept.
    Keep {
        /// The frame.
        frame: FrameHeader,
    },
    /// A sealed object is not made after all: a frame of it turned out to be corrupt.
    Unseal {
        /// Its key.
        key: String,
    },
    /// Everything of the streams below their ends is delivered or quarantined.
    Advance {
        /// Streams, and the sequence behind.
        ends: Vec<(StreamId, Sequence)>,
    },
    /// The same of one stream, with what its chain lists from now on.
    Deliver {
        /// The stream, and the sequence behind.
        end: (StreamId, Sequence),
        /// The sealed object that did it, if one did.
        key: Option<String>,
        /// The stream's chain.
        chain: Chain,
    },
    /// A chain stands like this from now on. A list is sealed before its manifest is sent.
    Chain(Chain),
    /// A chain has its last manifest.
    EndChain(ChainId),
    /// Streams are numbered for a broker like this from now on. Durable before anything is sent.
    Begin {
        /// One for each stream.
        lineages: Vec<Lineage>,
    },
    /// The numbering of a stream ends before `at`: what is below is delivered or quarantined.
    Break {
        /// The stream.
        stream: StreamId,
        /// The first event that is not in it any more.
        at: Sequence,
    },
    /// The sink has let frames of a topic go by, because it had no room for them: they are told
    /// again from there on, in their order.
    Again {
        /// The topic.
        topic: Name,
        /// The first that went by.
        from: LogPosition,
    },
}

/// A payload that a sink wants.
pub struct ReadRequest {
    /// The frame.
    pub frame: FrameHeader,
    /// Memory for it.
    pub bytes: FrameBytes,
}

/// A frame as it lies in the log, header in front. It counts against the bound of its port until it
/// is dropped, or taken out.
#[derive(Debug, Default)]
pub struct FrameBytes {
    bytes: Vec<u8>,
    counted: usize,
    /// What may still be asked for.
    room: Arc<AtomicUsize>,
}

impl FrameBytes {
    /// Memory for so many bytes, which are taken from `room`; nothing, if there is too little.
    pub(crate) fn take(count: usize, room: &Arc<AtomicUsize>) -> Option<FrameBytes> {
        // ORDER: Relaxed, a number that stands for itself; payloads go through rings.
        let taken =
            room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(count));
        taken.ok()?;
        let (bytes, room) = (Vec::with_capacity(count), Arc::clone(room));
        Some(FrameBytes { bytes, counted: count, room })
    }

    /// The memory, to be filled.
    pub(crate) fn as_mut_vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The bytes, which from now on count against whatever bound their holder has.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl Deref for FrameBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for FrameBytes {
    fn drop(&mut self) {
        // ORDER: Relaxed, as where it was taken.
        self.room.fetch_add(self.counted, Ordering::Relaxed);
    }
}

/// A payload that was read.
pub struct ReadReply {
    /// The frame.
    pub frame: FrameHeader,
    /// The whole frame, when it is sound.
    pub bytes: FrameBytes,
    /// How it went.
    pub result: Result<(), ReadFault>,
}

/// What a sink is told: the frames of each stream in their order, those that have just come before
/// those that were there at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A committed frame.
    Frame(FrameHeader),
    /// The events of `stream` below `end` that it was not told of are gone: a corrupt header.
    Lost {
        /// The stream.
        stream: StreamId,
        /// The sequence behind the last lost event.
        end: Sequence,
        /// Behind the frames of the segment that has lost them.
        position: LogPosition,
    },
    /// What is told of a topic behind this is told again.
    Again {
        /// The topic.
        topic: Name,
        /// What the sink has asked for.
        from: LogPosition,
    },
}

impl Notice {
    /// The topic that it is about.
    #[must_use]
    pub fn topic(&self) -> Name {
        match self {
            Notice::Frame(frame) => frame.batch.stream.topic,
            Notice::Lost { stream, .. } => stream.topic,
            Notice::Again { topic, .. } => *topic,
        }
    }

    /// Where in the log it is from, if it is from there.
    #[must_use]
    pub fn position(&self) -> Option<LogPosition> {
        match self {
            Notice::Frame(frame) => Some(frame.position),
            Notice::Lost { position, .. } => Some(*position),
            Notice::Again { .. } => None,
        }
    }
}

/// Why a payload could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFault {
    /// The disk answered with an error; it may pass.
    Disk,
    /// The bytes are not those that were written; they lie in quarantine now.
    Corrupt,
    /// The segment is not in the log any more.
    Gone,
}

/// How a sink goes on, as the spool has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It asks for what it wants, when it wants it.
    Asks,
    /// It keeps abreast of the log, and will want each payload: those of new frames come unasked,
    /// and it is woken for several of them at once.
    Abreast,
    /// It catches up, and each of its steps waits for the spool, which looks for it more often.
    Behind,
}

/// The spool's end of a port.
pub struct SpoolPort {
    pub(crate) name: String,
    pub(crate) notices: Producer<Notice>,
    pub(crate) commands: Consumer<Command>,
    pub(crate) replies: Producer<bool>,
    pub(crate) reads: Consumer<ReadRequest>,
    pub(crate) read_replies: Producer<ReadReply>,
    /// Where it is in the log.
    pub(crate) feeds: Feeds,
    /// Tells the sink that there is something for it.
    pub(crate) news: Arc<Notify>,
    /// Since when there is, without its having been told.
    pub(crate) news_since: Option<Duration>,
    pace: Arc<AtomicU8>,
    room: Arc<AtomicUsize>,
}

/// The sink's end of a port.
pub struct SinkEnd {
    /// Committed frames, each stream's in its order: those that have just come before those that
    /// were there at the start.
    pub notices: Consumer<Notice>,
    commands: Producer<Command>,
    replies: Consumer<bool>,
    news: Arc<Notify>,
    pace: Arc<AtomicU8>,
}

/// The encoder's end of a port.
pub struct ReadEnd {
    requests: Producer<ReadRequest>,
    replies: Consumer<ReadReply>,
    room: Arc<AtomicUsize>,
}

/// Makes the three ends of a port.
#[must_use]
pub fn port(sink: &str) -> (SpoolPort, SinkEnd, ReadEnd) {
    let (notices_in, notices_out) = RingBuffer::new(NOTICES_AHEAD);
    let (commands_in, commands_out) = RingBuffer::new(COMMANDS_AHEAD);
    let (replies_in, replies_out) = RingBuffer::new(COMMANDS_AHEAD);
    let (reads_in, reads_out) = RingBuffer::new(READS_AHEAD);
    let (read_replies_in, read_replies_out) = RingBuffer::new(READS_AHEAD);
    let spool = SpoolPort {
        name: sink.to_owned(),
        notices: notices_in,
        commands: commands_out,
        replies: replies_in,
        reads: reads_out,
        read_replies: read_replies_in,
        feeds: Feeds::new(0, u64::MAX),
        news: Arc::new(Notify::new()),
        news_since: None,
        pace: Arc::new(AtomicU8::new(Pace::Asks as u8)),
        room: Arc::new(AtomicUsize::new(READ_BYTES_MAX)),
    };
    let end = SinkEnd {
        notices: notices_out,
        commands: commands_in,
        replies: replies_out,
        news: Arc::clone(&spool.news),
        pace: Arc::clone(&spool.pace),
    };
    let room = Arc::clone(&spool.room);
    (spool, end, ReadEnd { requests: reads_in, replies: read_replies_out, room })
}

impl SpoolPort {
    /// Whether the sink is gone.
    pub(crate) fn is_finished(&self) -> bool {
        self.commands.is_abandoned() && self.commands.is_empty() && self.reads.is_abandoned()
    }

    /// How the sink goes on.
    pub(crate) fn pace(&self) -> Pace {
        // ORDER: Relaxed, a value that stands for itself.
        match self.pace.load(Ordering::Relaxed) {
            pace if pace == Pace::Abreast as u8 => Pace::Abreast,
            pace if pace == Pace::Behind as u8 => Pace::Behind,
            _ => Pace::Asks,
        }
    }

    /// A request that the sink did not make, if it has memory for the payload.
    pub(crate) fn request(&self, frame: FrameHeader) -> Option<ReadRequest> {
        let bytes = FrameBytes::take(frame.frame_bytes(), &self.room)?;
        Some(ReadRequest { frame, bytes })
    }
}

impl SinkEnd {
    /// Waits until the spool has put something in: a notice, an answer, or a payload. It may have
    /// been taken meanwhile.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Says how the sink goes on.
    pub fn set_pace(&self, pace: Pace) {
        // ORDER: Relaxed, a value that stands for itself.
        self.pace.store(pace as u8, Ordering::Relaxed);
    }

    /// Sends a command; `false` when too many are under way.
    pub fn try_send(&mut self, command: &Command) -> bool {
        !self.commands.is_full() && self.commands.push(command.clone()).is_ok()
    }

    /// Whether the oldest command under way is durable now; nothing while it is not known.
    pub fn try_reply(&mut self) -> Option<bool> {
        self.replies.pop().ok()
    }

    /// Whether the spool is gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.replies.is_abandoned()
    }
}

impl ReadEnd {
    /// Asks for a payload; `false` when too many are under way, or too large ones.
    pub fn try_request(&mut self, frame: FrameHeader) -> bool {
        if self.requests.is_full() {
            return false;
        }
        let Some(bytes) = FrameBytes::take(frame.frame_bytes(), &self.room) else { return false };
        self.requests.push(ReadRequest { frame, bytes }).is_ok()
    }

    /// The next payload, in the order of the requests; between them are those that come unasked.
    pub fn try_read(&mut self) -> Option<ReadReply> {
        self.replies.pop().ok()
    }

    /// Whether the spool is gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.replies.is_abandoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use brink_proto::frame::{BatchInfo, LogPosition, PAYLOAD_BYTES_MAX};

    fn frame(payload_bytes: usize) -> FrameHeader {
        let payload_bytes = payload_bytes as u32;
        let batch = BatchInfo { payload_bytes, ..sample::batch("e/7/0/t", 0, 1) };
        sample::frame(batch, LogPosition(4096))
    }

    #[test]
    fn payloads_count_by_their_bytes_until_they_are_let_go() {
        let (mut spool, _sink, mut reads) = port("sink");
        let large = frame(PAYLOAD_BYTES_MAX);
        let asked = (0..READS_AHEAD).take_while(|_| reads.try_request(large)).count();
        assert_eq!(asked, READ_BYTES_MAX / FRAME_BYTES_MAX);
        assert!(spool.request(frame(100)).is_none(), "nor is anything read unasked");
        // One is dropped, and another is taken out of the bound by whoever has its own.
        drop(spool.reads.pop().unwrap());
        assert!(reads.try_request(large));
        assert!(!reads.try_request(large));
        let kept = spool.reads.pop().unwrap().bytes.into_vec();
        assert_eq!(kept.capacity(), FRAME_BYTES_MAX);
        assert!(reads.try_request(large));

        let (_spool, _sink, mut reads) = port("sink");
        let small = (0..).take_while(|_| reads.try_request(frame(100))).count();
        assert_eq!(small, READS_AHEAD);
    }
}

//! What is wrong with a spool, and where.

use brink_proto::{
    frame::{FrameHeader, LogPosition},
    ids::{Sequence, StreamId},
};
use serde::Serialize;

/// BOUND: faults that are kept with their places; more are counted.
pub const FAULTS_MAX: usize = 1000;

/// What kind of damage it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The identity is missing or makes no sense.
    Identity,
    /// Neither slot of the cursor file can be read.
    Cursors,
    /// A segment's head block is not what was written.
    Head,
    /// A segment is not as long as its head says.
    Length,
    /// A segment, or a part of it, cannot be read: the disk answers with an error.
    Unreadable,
    /// A range of a segment that was synced holds no frame.
    Corrupt,
    /// A summary is not what was written.
    Summary,
    /// A summary says something else than the frames in front of it.
    Disagreement,
    /// A payload does not match its checksum.
    Payload,
    /// A payload is what was written, and not what its header says.
    Content,
    /// Sequences of a stream that nobody has delivered are not in the log.
    Missing,
    /// A frame has some sequences that another one has, and some of its own.
    Overlap,
}

impl FaultKind {
    /// What it is called.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            FaultKind::Identity => "identity",
            FaultKind::Cursors => "cursors",
            FaultKind::Head => "head",
            FaultKind::Length => "length",
            FaultKind::Unreadable => "unreadable",
            FaultKind::Corrupt => "corrupt",
            FaultKind::Summary => "summary",
            FaultKind::Disagreement => "disagreement",
            FaultKind::Payload => "payload",
            FaultKind::Content => "content",
            FaultKind::Missing => "missing",
            FaultKind::Overlap => "overlap",
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What kind.
    pub fault: FaultKind,
    /// The segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Where in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
    /// The stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The first sequence that is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The sequence behind the last one that is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// What was found.
    pub text: String,
}

impl Fault {
    /// One of the spool as a whole.
    pub(super) fn new(fault: FaultKind, text: impl Into<String>) -> Fault {
        let text = text.into();
        Fault { fault, generation: None, offset: None, stream: None, first: None, end: None, text }
    }

    /// One in a segment.
    pub(super) fn at(self, position: LogPosition) -> Fault {
        Fault { generation: Some(position.generation()), offset: Some(position.offset()), ..self }
    }

    /// One of events of a stream.
    pub(super) fn of(self, stream: &StreamId, first: Sequence, end: Sequence) -> Fault {
        let stream = Some(stream.to_string());
        Fault { stream, first: Some(first.0), end: Some(end.0), ..self }
    }

    /// One of a frame.
    pub(super) fn of_frame(self, frame: &FrameHeader) -> Fault {
        let batch = &frame.batch;
        self.at(frame.position).of(&batch.stream, batch.first_sequence, batch.end_sequence())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<12}  ", self.fault.label())?;
        if let (Some(generation), Some(offset)) = (self.generation, self.offset) {
            write!(f, "segment {generation} at {offset}: ")?;
        }
        f.write_str(&self.text)?;
        if let (Some(stream), Some(first), Some(end)) = (&self.stream, self.first, self.end) {
            write!(f, " ({stream}, {first} to {})", end.saturating_sub(1))?;
        }
        Ok(())
    }
}

/// All of them, as far as there is room.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) kept: Vec<Fault>,
    pub(super) count: u64,
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        self.count += 1;
        if self.kept.len() < FAULTS_MAX {
            self.kept.push(fault);
        }
    }

    pub(super) fn append(&mut self, others: Faults) {
        self.count += others.count;
        let room = FAULTS_MAX - self.kept.len();
        self.kept.extend(others.kept.into_iter().take(room));
    }
}

//! What was seen of a spool, for machines as JSON; `text` says it to people.

use super::{Depth, fault::Fault, lock::Lock};
use crate::spool::{
    chain::Chain,
    cursors::{Lineage, Seal},
};
use brink_proto::ids::Hour;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// A spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Its folder.
    pub spool: PathBuf,
    /// How much of it was read.
    pub depth: Depth,
    /// Whose it is.
    pub identity: Owner,
    /// Who holds its lock.
    pub lock: Lock,
    /// Its segments in log order. BOUND: one line each, and the quota bounds their number.
    pub segments: Vec<SegmentSeen>,
    /// Empty segments that wait to be written again.
    pub free: FilesSeen,
    /// Segments that the process let go while they were being read; what they held was delivered.
    pub released: u32,
    /// What the log holds of each stream.
    pub streams: Vec<StreamSeen>,
    /// The cursor file.
    pub cursors: CursorsSeen,
    /// How far each sink is, by its name.
    pub sinks: BTreeMap<String, SinkSeen>,
    /// Copies of corrupt ranges.
    pub quarantine: FilesSeen,
    /// Backlogs that `edge identity reset` moved away.
    pub set_aside: Vec<String>,
    /// Payloads that were read and checked.
    pub payloads: u64,
    /// What is wrong, at most [`FAULTS_MAX`](super::fault::FAULTS_MAX) of it.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub faults_count: u64,
}

/// What a spool says of its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The appliance's name.
    pub edge: Option<String>,
    /// The number of its latest start.
    pub incarnation: Option<u64>,
    /// Version of the folder.
    pub format: Option<u32>,
    /// Its second folder, if it has one.
    pub second: Option<PathBuf>,
    /// Whether it is this machine's.
    pub this_machine: Option<bool>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentSeen {
    /// Its number.
    pub generation: u32,
    /// Whether its summary is there.
    pub sealed: bool,
    /// Size of its file.
    pub bytes: u64,
    /// Where the log ends in it.
    pub end: u32,
    /// Frames.
    pub frames: u64,
    /// Events in them.
    pub events: u64,
    /// Where it is torn: what lies behind was being written when the end came, or is right now.
    pub torn_from: Option<u32>,
    /// How much is wrong with it.
    pub faults: u64,
}

/// Files of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FilesSeen {
    /// How many.
    pub count: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// The names of the first ones.
    pub names: Vec<String>,
}

/// BOUND: names that are kept of files of one kind.
const NAMES_MAX: usize = 100;

impl FilesSeen {
    /// These files.
    pub(super) fn of(files: impl Iterator<Item = (String, u64)>) -> FilesSeen {
        let mut seen = FilesSeen::default();
        for (name, bytes) in files {
            seen.count += 1;
            seen.bytes += bytes;
            if seen.names.len() < NAMES_MAX {
                seen.names.push(name);
            }
        }
        seen
    }
}

/// What the log holds of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamSeen {
    /// `edge/incarnation/shard/topic`.
    pub stream: String,
    /// Its first sequence here.
    pub first: u64,
    /// The sequence behind its last one.
    pub end: u64,
    /// Frames.
    pub frames: u64,
    /// Events in them.
    pub events: u64,
    /// Frames that stand twice because their first place had failed; counted once above.
    pub again: u64,
    /// Bytes of the compressed batches.
    pub payload_bytes: u64,
    /// Bytes of the batches before compression.
    pub raw_bytes: u64,
    /// The hours that its events lie in.
    pub hours: Hours,
    /// Events that were shed, by reason; they have no sequence.
    pub shed: BTreeMap<&'static str, u64>,
}

/// The first hour and the last one, UTC, as `2026-11-23 07`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hours {
    /// The first.
    pub from: String,
    /// The last.
    pub to: String,
}

impl Hours {
    pub(super) fn new((from, to): (Hour, Hour)) -> Hours {
        let text = |hour: Hour| {
            let (date, hour) = hour.partition();
            format!("{date} {hour}")
        };
        Hours { from: text(from), to: text(to) }
    }
}

/// The cursor file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CursorsSeen {
    /// `fresh`: nothing was ever decided; `sound`; or `lost`: neither slot can be read.
    pub state: &'static str,
    /// How often it was written.
    pub writes: u64,
    /// Slots that hold something unsound, which is what a crash in the middle of a write leaves.
    pub broken_slots: Vec<u32>,
}

/// How far a sink is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SinkSeen {
    /// Events in the log that are not delivered.
    pub pending: u64,
    /// By stream.
    pub streams: Vec<SinkStream>,
    /// Objects that were decided on and are not known to be delivered.
    pub seals: Vec<Seal>,
    /// How streams are numbered for a Kafka broker.
    pub lineages: Vec<Lineage>,
    /// How far manifests are, and what is in none yet.
    pub chains: Vec<Chain>,
}

/// How far a sink is in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkStream {
    /// The stream.
    pub stream: String,
    /// Everything below is delivered or quarantined; nothing is known when it never decided.
    pub delivered: Option<u64>,
    /// Events in the log that are not.
    pub pending: u64,
}

impl Survey {
    /// Whether nothing is wrong. What a crash leaves is not.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults_count == 0
    }

    /// Events in the log.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.streams.iter().map(|stream| stream.events).sum()
    }
}

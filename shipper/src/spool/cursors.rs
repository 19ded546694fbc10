//! How far each sink has delivered: one small file with two slots that are written in turn.
//!
//! ```text
//!  slot 0 at 0, slot 1 at 1 MiB; each
//!    at size
//!     0    8  "BRNKCUR" and version
//!     8    4  crc32c of everything behind this field, up to the end of the text
//!    12    4  bytes of the text
//!    16    8  count of writes; the higher sound slot is the one that holds
//!    64       JSON text
//! ```
//!
//! A cursor is durable before anything that it allows is done: before a segment is recycled, and a
//! seal before its object is encoded. A write that tears leaves the other slot.
//!
//! The first version's checksum leaves the version out. That of every later one begins with the
//! eight bytes at 0, so that no flipped bit makes a newer slot of one of ours: a newer slot that is
//! sound stops a start, and one that is not is a slot that cannot be read.

use super::{chain::Chain, segment::StreamSummary, text};
use crate::{
    disk::{AlignedBuffer, Disk, DiskFile, ReadFile},
    steps::Step,
};
use brink_proto::{
    frame::FRAME_ALIGN,
    ids::{Sequence, StreamId},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io};

/// The file's name in the spool.
pub const FILE_NAME: &str = "cursors";

/// BOUND: bytes of one slot, some 6,000 streams.
pub const SLOT_BYTES: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"BRNKCUR\x01";
const COVERED_FROM: usize = 12;
const TEXT_FROM: usize = 64;

/// An object that was decided on: which events it holds is durable before it is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Object key.
    pub key: String,
    /// The stream.
    #[serde(with = "text")]
    pub stream: StreamId,
    /// First sequence in it.
    pub first: u64,
    /// Sequence behind the last in it.
    pub end: u64,
    /// Frames it is made of.
    pub frames: u32,
    /// Schema version of its rows.
    pub schema: u32,
    /// Version of the writer that made, or will make it.
    pub writer: u32,
    /// SHA-256 over its frames' payload checksums, sequences and schema, in hex.
    pub digest: String,
}

/// How a stream's events are numbered for a Kafka broker: durable before the first one is sent, so
/// that what is sent again has the numbers that it had, and the broker recognises it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The stream.
    #[serde(with = "text")]
    pub stream: StreamId,
    /// The cluster.
    pub cluster: String,
    /// The topic's id there: a topic that is made anew has another one.
    pub topic: String,
    /// The partition, for as long as the stream lives.
    pub partition: i32,
    /// Who sends.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The event that has number 0.
    pub first: u64,
    /// Its events go in transactions, each of which has the stream's position as well. Producer and
    /// epoch only tell the lineage from others then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub transactional: bool,
}

/// What one sink has behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkCursor {
    /// Per stream: everything below this sequence is delivered or quarantined.
    #[serde(with = "streams")]
    pub delivered: BTreeMap<StreamId, Sequence>,
    /// Objects decided on and not yet known to be delivered.
    pub seals: Vec<Seal>,
    /// How streams are numbered for a broker.
    #[serde(default)]
    pub lineages: Vec<Lineage>,
    /// What is delivered and to be told in manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<Chain>,
}

impl SinkCursor {
    /// Everything of a stream below `end` is behind the sink; a mark never goes back.
    pub(crate) fn advance(&mut self, stream: StreamId, end: Sequence) {
        let mark = self.delivered.entry(stream).or_insert(end);
        *mark = (*mark).max(end);
    }

    /// Streams without a mark begin where the log does, or where the sink has decided on an object:
    /// the log may not have that any more. All count from there.
    pub(crate) fn begin(&mut self, log: impl Iterator<Item = (StreamId, Sequence)>) {
        let mut firsts: BTreeMap<StreamId, Sequence> = log.collect();
        for seal in &self.seals {
            let first = firsts.entry(seal.stream).or_insert(Sequence(seal.first));
            *first = Sequence(seal.first).min(*first);
        }
        for (stream, first) in firsts {
            self.delivered.entry(stream).or_insert(first);
        }
    }

    /// From now on, a chain stands like this.
    pub(crate) fn put_chain(&mut self, chain: &Chain) {
        match self.chains.iter_mut().find(|known| known.id == chain.id) {
            Some(known) => *known = chain.clone(),
            None => self.chains.push(chain.clone()),
        }
    }
}

impl SinkCursor {
    /// Events of a stream that are not delivered, of which the log holds `first` up to `end`.
    #[must_use]
    pub fn pending(&self, stream: &StreamId, first: Sequence, end: Sequence) -> u64 {
        let next = self.delivered.get(stream).unwrap_or(&first);
        end.0.saturating_sub(next.0)
    }
}

/// What every sink has behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors {
    /// By sink name.
    pub sinks: BTreeMap<String, SinkCursor>,
}

impl Cursors {
    /// Whether all of these sinks have what a segment holds of a stream.
    pub(crate) fn are_past(&self, sinks: &[String], entry: &StreamSummary) -> bool {
        let is_past = |sink: &SinkCursor| {
            sink.delivered.get(&entry.stream).is_some_and(|next| *next >= entry.end)
        };
        sinks.iter().all(|name| self.sinks.get(name).is_some_and(is_past))
    }
}

/// The cursor file.
pub(crate) struct CursorFile<D: Disk> {
    disk: D,
    file: D::File,
    writes: u64,
}

/// What the two slots of a cursor file say together.
pub(crate) struct Slots {
    /// The count of writes of the newer sound slot.
    pub(crate) writes: u64,
    /// What that slot says.
    pub(crate) cursors: Cursors,
    /// How far it can be trusted.
    pub(crate) found: Found,
    /// Slots that hold something that is not sound.
    pub(crate) broken: Vec<u32>,
}

impl Slots {
    /// Those of a spool that has no cursor file yet.
    pub(crate) fn fresh() -> Slots {
        let cursors = Cursors::default();
        Slots { writes: 0, cursors, found: Found::Fresh, broken: Vec::new() }
    }

    /// Reads both slots.
    pub(crate) async fn read<F: ReadFile>(file: &F) -> io::Result<Slots> {
        let mut best = None;
        let mut touched = 0;
        let mut broken = Vec::new();
        let mut bytes = Vec::new();
        for slot in 0..2 {
            file.read(u64::from(slot) * SLOT_BYTES as u64, SLOT_BYTES, &mut bytes).await?;
            refuse_newer(&bytes)?;
            let is_touched = bytes.iter().any(|b| *b != 0);
            touched += u32::from(is_touched);
            let read = read_slot(&bytes);
            if is_touched && read.is_none() {
                broken.push(slot);
            }
            if read.as_ref().map(|(n, _)| *n) > best.as_ref().map(|(n, _)| *n) {
                best = read;
            }
        }
        let found = match (&best, touched) {
            (Some(_), _) => Found::Sound,
            // The very first write may have torn; nothing was allowed before it.
            (None, 0 | 1) => Found::Fresh,
            (None, _) => Found::Lost,
        };
        let (writes, cursors) = best.unwrap_or_default();
        Ok(Slots { writes, cursors, found, broken })
    }
}

/// What is found in the cursor file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// There was none: a new spool.
    Fresh,
    /// The newer sound slot.
    Sound,
    /// Neither slot is sound: what was delivered is not known.
    Lost,
}

impl Found {
    /// What it is called.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Found::Fresh => "fresh",
            Found::Sound => "sound",
            Found::Lost => "lost",
        }
    }
}

impl<D: Disk> CursorFile<D> {
    /// Opens or makes the file.
    pub(crate) async fn open(disk: D) -> io::Result<(CursorFile<D>, Cursors, Found)> {
        let exists = disk.list("").await?.iter().any(|(name, _)| name == FILE_NAME);
        if !exists {
            let file = disk.create(FILE_NAME, 2 * SLOT_BYTES as u64).await?;
            disk.sync_names("").await?;
            return Ok((CursorFile { disk, file, writes: 0 }, Cursors::default(), Found::Fresh));
        }
        let file = disk.open(FILE_NAME).await?;
        let Slots { writes, cursors, found, broken } = Slots::read(&file).await?;
        if let (Found::Sound, [slot]) = (found, broken.as_slice()) {
            // Nobody can tell which: the slot that is left may be the older one.
            tracing::warn!(
                slot,
                "a slot of the cursors is not sound, torn or forgotten by the disk"
            );
        }
        Ok((CursorFile { disk, file, writes }, cursors, found))
    }

    /// Makes `cursors` durable.
    pub(crate) async fn write(&mut self, cursors: &Cursors) -> io::Result<()> {
        let text = serde_json::to_vec(cursors)?;
        let bytes = (TEXT_FROM + text.len()).next_multiple_of(FRAME_ALIGN);
        if bytes > SLOT_BYTES {
            let text = format!("{bytes} bytes of cursors, {SLOT_BYTES} is the most");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        let mut buffer = self.disk.buffer(bytes);
        fill_slot(buffer.bytes_mut(), self.writes + 1, &text);
        let slot = (self.writes + 1) % 2;
        self.file.write(slot * SLOT_BYTES as u64, buffer).await?;
        Step::CursorWritten.pass();
        self.file.sync().await?;
        Step::CursorSynced.pass();
        self.writes += 1;
        Ok(())
    }
}

/// Fills a slot with the JSON text of [`Cursors`], as the `writes`-th write.
///
/// # Panics
/// When the slot has no room for the text.
pub fn fill_slot(slot: &mut [u8], writes: u64, text: &[u8]) {
    slot.fill(0);
    slot[..8].copy_from_slice(&MAGIC);
    slot[12..16].copy_from_slice(&(text.len() as u32).to_le_bytes());
    slot[16..24].copy_from_slice(&writes.to_le_bytes());
    slot[TEXT_FROM..TEXT_FROM + text.len()].copy_from_slice(text);
    let crc = crc32c::crc32c(&slot[COVERED_FROM..TEXT_FROM + text.len()]);
    slot[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// Which write made a slot, and what it says; nothing when it is not sound.
#[must_use]
pub fn read_slot(slot: &[u8]) -> Option<(u64, Cursors)> {
    let covered = covered(slot)?;
    if slot.get(..8)? != MAGIC || crc32c::crc32c(covered) != number(slot, 8)? {
        return None;
    }
    let writes = u64::from_le_bytes(covered.get(4..12)?.try_into().ok()?);
    Some((writes, serde_json::from_slice(covered.get(TEXT_FROM - COVERED_FROM..)?).ok()?))
}

/// Whoever wrote a newer version knows more than we do. One that is not sound may be anything, and
/// leaves the other slot.
fn refuse_newer(slot: &[u8]) -> io::Result<()> {
    let Some(version) = newer_version(slot) else { return Ok(()) };
    let text = format!("the cursors have version {version}, which is newer");
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// The version of a sound slot that this build does not know.
fn newer_version(slot: &[u8]) -> Option<u8> {
    let front = slot.get(..8)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(front), covered(slot)?);
    let is_newer = front[..7] == MAGIC[..7] && front[7] > MAGIC[7];
    (is_newer && crc == number(slot, 8)?).then_some(front[7])
}

/// What lies behind the checksum of a slot, up to the end of its text.
fn covered(slot: &[u8]) -> Option<&[u8]> {
    let end = TEXT_FROM.checked_add(number(slot, 12)? as usize)?;
    slot.get(COVERED_FROM..end)
}

fn number(slot: &[u8], at: usize) -> Option<u32> {
    slot.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Streams as texts that are keys.
mod streams {
    use super::{Sequence, StreamId};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<StreamId, Sequence>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(map.iter().map(|(stream, next)| (stream.to_string(), next.0)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<StreamId, Sequence>, D::Error> {
        let map = BTreeMap::<String, u64>::deserialize(from)?;
        let entry = |(stream, next): (String, u64)| {
            Ok((stream.parse().map_err(D::Error::custom)?, Sequence(next)))
        };
        map.into_iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::chain::{ALL_LISTED_MAX, LISTED_MAX, Listed};
    use brink_proto::ids::Hour;

    fn cursors(next: u64) -> Cursors {
        let stream: StreamId = "e/7/0/impressions".parse().unwrap();
        let seal = Seal {
            key: "ds=impressions/x.parquet".into(),
            stream,
            first: next,
            end: next + 5,
            frames: 1,
            schema: 1,
            writer: 1,
            digest: "00ff".into(),
        };
        let lineage = Lineage {
            stream,
            cluster: "c".into(),
            topic: "0a".into(),
            partition: 3,
            producer: 4000,
            epoch: 0,
            first: next,
            transactional: false,
        };
        let sink = SinkCursor {
            delivered: BTreeMap::from([(stream, Sequence(next))]),
            seals: vec![seal],
            lineages: vec![lineage],
            chains: vec![chain(next)],
        };
        Cursors { sinks: BTreeMap::from([("objects".into(), sink)]) }
    }

    fn chain(next: u64) -> Chain {
        let object = Listed {
            shard: 0,
            first: 0,
            end: next,
            schema: 1,
            digest: "00ff".repeat(16),
            bytes: u64::MAX,
            shed: BTreeMap::from([("no_buffer".into(), u64::MAX), ("spool_full".into(), 7)]),
            aside: true,
        };
        let mut chain = Chain::new("e/7/impressions".parse().unwrap());
        chain.add(Hour(5), Sequence(0), Vec::new(), object);
        chain
    }

    #[test]
    fn cursors_of_before_there_were_lineages_and_chains_are_read() {
        let before = r#"{"sinks":{"objects":{"delivered":{"e/7/0/impressions":5},"seals":[]}}}"#;
        let read: Cursors = serde_json::from_str(before).unwrap();
        assert_eq!(read.sinks["objects"].delivered.values().next(), Some(&Sequence(5)));
        assert!(read.sinks["objects"].lineages.is_empty());
        assert!(read.sinks["objects"].chains.is_empty());
    }

    #[test]
    fn a_stream_begins_where_the_log_does_or_an_object_that_was_decided_on() {
        let [sealed, other, marked] = ["e/7/0/impressions", "e/7/1/t", "e/7/2/t"]
            .map(|stream| stream.parse::<StreamId>().unwrap());
        let mut cursor = cursors(42).sinks.remove("objects").unwrap();
        cursor.delivered = BTreeMap::from([(marked, Sequence(5))]);
        let log = [(sealed, Sequence(45)), (other, Sequence(7)), (marked, Sequence(3))];
        cursor.begin(log.into_iter());
        let want = [(sealed, 42), (other, 7), (marked, 5)];
        assert_eq!(cursor.delivered, want.map(|(stream, first)| (stream, Sequence(first))).into());
    }

    #[test]
    fn as_much_as_may_be_listed_takes_less_than_half_of_a_slot() {
        let mut cursors = cursors(42);
        let sink = cursors.sinks.get_mut("objects").unwrap();
        let mut full = chain(u64::MAX);
        let list = full.list.as_mut().unwrap();
        list.objects = vec![list.objects[0].clone(); LISTED_MAX];
        sink.chains = vec![full; ALL_LISTED_MAX / LISTED_MAX];
        assert!(serde_json::to_vec(&cursors).unwrap().len() < SLOT_BYTES / 2);
    }

    #[test]
    fn a_slot_is_read_as_it_was_written_and_refused_when_it_is_torn() {
        let text = serde_json::to_vec(&cursors(42)).unwrap();
        let mut slot = vec![0xAA; SLOT_BYTES];
        fill_slot(&mut slot, 9, &text);
        assert_eq!(read_slot(&slot), Some((9, cursors(42))));
        for at in [0, 7, 8, 12, 16, TEXT_FROM, TEXT_FROM + text.len() - 1] {
            slot[at] ^= 1;
            assert_eq!(read_slot(&slot), None, "byte {at}");
            slot[at] ^= 1;
        }
        for end in [0, 7, 23, TEXT_FROM, TEXT_FROM + text.len() - 1] {
            assert_eq!(read_slot(&slot[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn a_slot_is_newer_when_its_checksum_says_so_and_not_when_a_bit_flips() {
        let text = serde_json::to_vec(&cursors(42)).unwrap();
        let mut slot = vec![0; SLOT_BYTES];
        fill_slot(&mut slot, 9, &text);
        for bit in 1..8 {
            slot[7] ^= 1 << bit;
            assert_eq!((newer_version(&slot), read_slot(&slot)), (None, None), "bit {bit}");
            slot[7] ^= 1 << bit;
        }
        slot[7] = 2;
        let front = crc32c::crc32c(&slot[..8]);
        let crc = crc32c::crc32c_append(front, covered(&slot).unwrap());
        slot[8..12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!((newer_version(&slot), read_slot(&slot)), (Some(2), None));
        assert_eq!(newer_version(&slot[..TEXT_FROM + text.len() - 1]), None);
    }
}

//! Pass 2: the rows of a partition become users, and users records.
//!
//! Threads take partitions in turn and hand each over when its turn has come, so that records lie
//! in the order of keys. A partition that is larger than a thread may hold is read several times,
//! each time for a slice of its keys.

use super::{
    BuildError, check,
    output::{BUFFER_BYTES, Output},
    partition::{PARTITIONS, Partitions, ROW_HEAD_BYTES},
    progress::Progress,
};
use brink_proto::{
    ids::{PriceMicros, ScoreMillionths},
    table::{
        Key, SEGMENTS_MAX,
        write::{Ranked, WriteError, record},
    },
    wire::take_varint,
};
use std::{
    cmp::Reverse,
    fs::File,
    io::{BufWriter, Write},
    sync::{
        atomic::AtomicBool,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// What pass 2 works on.
pub(super) struct Plan<'p> {
    pub(super) partitions: &'p Partitions,
    /// Of each number of a code.
    pub(super) ranks: &'p [u32],
    pub(super) threads: usize,
    /// BOUND: rows that a thread holds.
    pub(super) rows_bytes_max: u64,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Merged {
    pub(super) users: u64,
    pub(super) segments: u64,
    /// Segments that were given again.
    pub(super) duplicates: u64,
}

/// A place of a record, as pass 3 reads it: 8 hi, 8 lo, 4 offset in units of 4 bytes.
pub(super) const PLACE_BYTES: usize = 20;

/// Writes the records of all users, and where each of them is.
pub(super) fn write(
    plan: &Plan<'_>,
    output: &mut Output,
    places: &File,
    progress: &mut Progress,
    stop: &AtomicBool,
) -> Result<Merged, BuildError> {
    let mut places = BufWriter::with_capacity(BUFFER_BYTES, places);
    let mut merged = Merged::default();
    thread::scope(|scope| {
        let ends: Vec<Receiver<Result<Part, BuildError>>> = (0..plan.threads)
            .map(|first| {
                // BOUND: one part waits for its turn while the next one is made.
                let (parts, end) = sync_channel(1);
                scope.spawn(move || work(plan, first, &parts));
                end
            })
            .collect();
        for partition in 0..PARTITIONS {
            // A part says whether it is the last one of its partition.
            while let Ok(part) = ends[partition % plan.threads].recv() {
                let part = part?;
                check(stop)?;
                let start = output.section().bytes / 4;
                for (key, units) in &part.places {
                    let place = start + u64::from(*units);
                    let place = u32::try_from(place).map_err(|_| WriteError::TooLarge)?;
                    let mut bytes = [0; PLACE_BYTES];
                    bytes[..8].copy_from_slice(&key.hi.to_le_bytes());
                    bytes[8..16].copy_from_slice(&key.lo.to_le_bytes());
                    bytes[16..].copy_from_slice(&place.to_le_bytes());
                    let written = places.write_all(&bytes);
                    written.map_err(|source| plan.partitions.failed(source))?;
                }
                output.write(&part.records)?;
                merged.users += part.places.len() as u64;
                merged.segments += part.segments;
                merged.duplicates += part.duplicates;
                progress.tick("sorting", merged.users, "users");
                if part.is_last {
                    break;
                }
            }
        }
        places.flush().map_err(|source| plan.partitions.failed(source))?;
        Ok(merged)
    })
}

/// The users of one slice of a partition.
#[derive(Default)]
struct Part {
    records: Vec<u8>,
    /// Where each record begins, in units of 4 bytes.
    places: Vec<(Key, u32)>,
    segments: u64,
    duplicates: u64,
    is_last: bool,
}

/// One thread: partitions `first`, `first + threads` and so on. It ends when nobody listens.
fn work(plan: &Plan<'_>, first: usize, parts: &SyncSender<Result<Part, BuildError>>) {
    for partition in (first..PARTITIONS).step_by(plan.threads) {
        let bytes = match plan.partitions.bytes(partition) {
            Ok(bytes) => bytes,
            Err(error) => return drop(parts.send(Err(error))),
        };
        let slices = bytes.div_ceil(plan.rows_bytes_max).max(1);
        for slice in 0..slices {
            let part = Rows::load(plan.partitions, partition, bytes, |hi| {
                // The first byte is the partition; the slice is by what follows.
                let after = u128::from(hi << 8);
                (after * u128::from(slices)) >> 64 == u128::from(slice)
            })
            .and_then(|rows| rows.into_part(plan.ranks))
            .map(|part| Part { is_last: slice + 1 == slices, ..part });
            let failed = part.is_err();
            if parts.send(part).is_err() || failed {
                return;
            }
        }
    }
}

/// Rows in memory.
struct Rows {
    bytes: Vec<u8>,
    /// Key, and where the row's body is.
    index: Vec<(Key, u32)>,
}

impl Rows {
    fn load(
        partitions: &Partitions,
        partition: usize,
        bytes_all: u64,
        wanted: impl Fn(u64) -> bool,
    ) -> Result<Rows, BuildError> {
        let mut rows = Rows { bytes: Vec::new(), index: Vec::new() };
        // It grows to what the partition has, up to a block and a row: no more of it is cleared.
        let mut block = Vec::new();
        // What is left of a row that the last block did not end with stands in front.
        let mut kept = 0;
        let mut at = 0;
        while at < bytes_all {
            let more = (bytes_all - at).min(BLOCK_BYTES as u64) as usize;
            let end = kept + more;
            if block.len() < end {
                block.resize(end, 0);
            }
            partitions.read(partition, at, &mut block[kept..end])?;
            at += more as u64;
            let mut rest = &block[..end];
            while let Some((key, body, after)) = split_row(rest) {
                if wanted(key.hi) {
                    let at = u32::try_from(rows.bytes.len()).map_err(|_| WriteError::TooLarge)?;
                    rows.index.push((key, at));
                    rows.bytes.extend_from_slice(body);
                }
                rest = after;
            }
            kept = rest.len();
            block.copy_within(end - kept..end, 0);
        }
        Ok(rows)
    }

    fn into_part(mut self, ranks: &[u32]) -> Result<Part, BuildError> {
        self.index.sort_unstable_by_key(|(key, _)| *key);
        let mut part = Part::default();
        let mut given: Vec<Ranked> = Vec::new();
        for user in self.index.chunk_by(|(one, _), (other, _)| one == other) {
            given.clear();
            let mut base_price = None;
            for (_, at) in user {
                let price = read_body(&self.bytes[*at as usize..], ranks, &mut given);
                base_price = base_price.max(price);
            }
            part.duplicates += settle(&mut given) as u64;
            if given.len() > SEGMENTS_MAX {
                return Err(BuildError::Segments { found: given.len() });
            }
            part.segments += given.len() as u64;
            part.places.push((user[0].0, (part.records.len() / 4) as u32));
            record(&mut part.records, base_price, &given)?;
        }
        Ok(part)
    }
}

const BLOCK_BYTES: usize = 256 << 10;

/// The row at the front, when it is whole.
fn split_row(bytes: &[u8]) -> Option<(Key, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<ROW_HEAD_BYTES>()?;
    let (hi, tail) = head.split_first_chunk::<8>()?;
    let (lo, bytes) = tail.split_first_chunk::<8>()?;
    let bytes = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let (body, rest) = rest.split_at_checked(bytes)?;
    let key = Key { hi: u64::from_le_bytes(*hi), lo: u64::from_le_bytes(*lo) };
    Some((key, body, rest))
}

/// Appends what a row gives, and returns its base price.
fn read_body(mut body: &[u8], ranks: &[u32], given: &mut Vec<Ranked>) -> Option<PriceMicros> {
    let mut next = || take_varint(&mut body).expect("pass 1 wrote it");
    let head = next();
    let base_price = (head & 1 == 1).then(&mut next).and_then(PriceMicros::new);
    for _ in 0..head >> 1 {
        given.push(Ranked {
            rank: ranks[next() as usize],
            price: next().checked_sub(1).and_then(PriceMicros::new),
            score: next().checked_sub(1).and_then(ScoreMillionths::new),
        });
    }
    base_price
}

/// Sorts segments by rank and keeps of each the higher price, then the higher score; returns how
/// many went.
fn settle(given: &mut Vec<Ranked>) -> usize {
    given.sort_unstable_by_key(|segment| segment.rank);
    if given.is_sorted_by(|one, other| one.rank < other.rank) {
        return 0;
    }
    let count = given.len();
    given.sort_unstable_by_key(|segment| {
        (segment.rank, Reverse(segment.price), Reverse(segment.score))
    });
    given.dedup_by_key(|segment| segment.rank);
    count - given.len()
}

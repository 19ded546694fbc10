//! The pieces that a table is built of: codes, records, groups, the first page; and a small table
//! built at once, in memory.
//!
//! A builder of large tables writes codes and records as it goes and fills one group after the
//! other; [`assemble`] does the same to what fits in memory and says how the pieces go together.

use super::{
    Extent, Header, Key, PAGE_BYTES, SEGMENTS_MAX, Segment,
    bucket::{
        BUCKET_BYTES, BUCKETS_PER_GROUP, OFFSETS_AT, OVERFLOWED_AT, RECORD_ALIGN, SLOTS, USED_AT,
        home_of, slot_of,
    },
    is_code,
};
use crate::{
    ids::{PriceMicros, ScoreMillionths},
    wire::{VARINT_BYTES_MAX, Writer},
};
use std::collections::BTreeSet;

pub use super::bucket::group_of;

/// How many users a group is made for: 3.5 of the 5 that each bucket has room for. More would make
/// the table smaller and the searches that go on to a second bucket more.
const USERS_PER_GROUP: u64 = 7 * BUCKETS_PER_GROUP as u64 / 2;

/// Groups that so many users want.
///
/// # Errors
/// [`WriteError::TooLarge`] above 2³² groups.
pub fn groups_for(users: u64) -> Result<u32, WriteError> {
    u32::try_from(users.div_ceil(USERS_PER_GROUP).max(1)).map_err(|_| WriteError::TooLarge)
}

/// Groups to try next for so many users, when one of so many groups was overfull.
///
/// # Errors
/// [`WriteError::GroupFull`] when that many cannot help: the keys are no hashes.
pub fn more_groups(groups: u32, users: u64) -> Result<u32, WriteError> {
    let more = groups.checked_add(groups / 64 + 1).ok_or(WriteError::TooLarge)?;
    // BOUND: one bucket for each user.
    let enough = users.div_ceil(BUCKETS_PER_GROUP as u64) + BUCKETS_PER_GROUP as u64;
    if u64::from(more) <= enough { Ok(more) } else { Err(WriteError::GroupFull) }
}

/// One group of buckets while it is filled.
#[derive(Debug, Clone)]
pub struct Group {
    page: [u8; PAGE_BYTES],
}

impl Group {
    /// An empty one.
    #[must_use]
    pub fn new() -> Group {
        Group { page: [0; PAGE_BYTES] }
    }

    /// Puts a user in whose record is so many bytes into the records.
    ///
    /// # Errors
    /// [`WriteError::GroupFull`], [`WriteError::SameKey`] when a search for one user would find
    /// another, [`WriteError::TooLarge`] when a bucket cannot name the offset.
    pub fn insert(&mut self, key: Key, record_at: u64) -> Result<(), WriteError> {
        let units = record_at / RECORD_ALIGN as u64;
        let units = u32::try_from(units).map_err(|_| WriteError::TooLarge)?;
        let (buckets, _) = self.page.as_chunks_mut::<BUCKET_BYTES>();
        let home = home_of(key.hi);
        for step in 0..BUCKETS_PER_GROUP {
            let Some(bucket) = buckets.get_mut((home + step) % BUCKETS_PER_GROUP) else { break };
            if slot_of(bucket, key.lo).is_some() {
                return Err(WriteError::SameKey);
            }
            let used = usize::from(bucket.get(USED_AT).copied().unwrap_or_default());
            if used < SLOTS {
                put(bucket, 8 * used, &key.lo.to_le_bytes());
                put(bucket, OFFSETS_AT + 4 * used, &units.to_le_bytes());
                put(bucket, USED_AT, &[used as u8 + 1]);
                return Ok(());
            }
            put(bucket, OVERFLOWED_AT, &[1]);
        }
        Err(WriteError::GroupFull)
    }

    /// What it looks like in the file.
    #[must_use]
    pub fn page(&self) -> &[u8; PAGE_BYTES] {
        &self.page
    }
}

impl Default for Group {
    fn default() -> Group {
        Group::new()
    }
}

/// The section of codes.
///
/// # Errors
/// [`WriteError::Code`] when one is none or they are not ascending, [`WriteError::TooLarge`].
pub fn codes<'c>(sorted: impl Iterator<Item = &'c [u8]>) -> Result<Vec<u8>, WriteError> {
    let mut offsets = vec![0; 4];
    let mut texts = Vec::new();
    let mut before: &[u8] = b"";
    for code in sorted {
        if !is_code(code) || code <= before {
            return Err(WriteError::Code);
        }
        before = code;
        texts.extend_from_slice(code);
        let end = u32::try_from(texts.len()).map_err(|_| WriteError::TooLarge)?;
        offsets.extend_from_slice(&end.to_le_bytes());
    }
    offsets.extend_from_slice(&texts);
    Ok(offsets)
}

/// A segment whose code has its rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked {
    /// The code's place among all codes.
    pub rank: u32,
    /// Its own price.
    pub price: Option<PriceMicros>,
    /// Its score.
    pub score: Option<ScoreMillionths>,
}

/// Appends a record to the records.
///
/// # Errors
/// [`WriteError::Segments`] when they are too many or their ranks are not ascending.
pub fn record(
    out: &mut Vec<u8>,
    base_price: Option<PriceMicros>,
    segments: &[Ranked],
) -> Result<(), WriteError> {
    if segments.len() > SEGMENTS_MAX {
        return Err(WriteError::Segments);
    }
    let start = out.len();
    // BOUND: the longest record of so many segments.
    let longest = VARINT_BYTES_MAX * (2 + 3 * segments.len());
    out.resize((start + longest).next_multiple_of(RECORD_ALIGN), 0);
    let mut body = Writer::new(out.get_mut(start..).unwrap_or_default());
    body.varint((segments.len() as u64) << 1 | u64::from(base_price.is_some()));
    if let Some(price) = base_price {
        body.varint(price.number());
    }
    let mut next_rank = 0;
    for segment in segments {
        let delta = segment.rank.checked_sub(next_rank).ok_or(WriteError::Segments)?;
        next_rank = segment.rank.checked_add(1).ok_or(WriteError::Segments)?;
        body.varint(delta.into());
        body.varint(segment.price.map_or(0, |price| price.number() + 1));
        body.varint(segment.score.map_or(0, |score| u64::from(score.number()) + 1));
    }
    let written = body.finish().unwrap_or_default();
    // What was not written is zero, as what fills a record up is.
    out.truncate((start + written).next_multiple_of(RECORD_ALIGN));
    Ok(())
}

/// Where the section behind one that ends here begins.
#[must_use]
pub const fn next_page(end: u64) -> u64 {
    end.next_multiple_of(PAGE_BYTES as u64)
}

/// A user and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'e> {
    /// Who it is.
    pub key: Key,
    /// What a segment without a price of its own costs.
    pub base_price: Option<PriceMicros>,
    /// Segments with their own prices, in any order.
    pub segments: Vec<Segment<'e>>,
}

/// Builds a table in memory: for tests, and for what a person wrote by hand.
///
/// # Errors
/// [`WriteError`] when a code is none, a user or one of its segments comes twice, or there are too
/// many.
pub fn assemble(entries: &[Entry<'_>]) -> Result<Vec<u8>, WriteError> {
    let texts: BTreeSet<&[u8]> =
        entries.iter().flat_map(|entry| &entry.segments).map(|segment| segment.code).collect();
    let ranks: Vec<&[u8]> = texts.into_iter().collect();
    let codes = codes(ranks.iter().copied())?;

    let mut entries: Vec<&Entry<'_>> = entries.iter().collect();
    entries.sort_by_key(|entry| entry.key);
    let mut records = Vec::new();
    let mut places = Vec::with_capacity(entries.len());
    let mut segments = 0;
    for entry in entries {
        let mut ranked = Vec::with_capacity(entry.segments.len());
        for Segment { code, price, score } in &entry.segments {
            let rank = ranks.binary_search(code).map_err(|_| WriteError::Code)?;
            ranked.push(Ranked { rank: rank as u32, price: *price, score: *score });
        }
        ranked.sort_by_key(|segment| segment.rank);
        segments += ranked.len() as u64;
        places.push((entry.key, records.len() as u64));
        record(&mut records, entry.base_price, &ranked)?;
    }

    let users = places.len() as u64;
    let mut groups = groups_for(users)?;
    let buckets = loop {
        match fill(&places, groups) {
            Err(WriteError::GroupFull) => groups = more_groups(groups, users)?,
            done => break done?,
        }
    };
    Ok(lay_out(
        Counts { users, segments, codes: ranks.len() as u32, groups },
        [&codes, &records, &buckets],
    ))
}

fn fill(places: &[(Key, u64)], groups: u32) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::with_capacity(groups as usize * PAGE_BYTES);
    let mut places = places.iter().peekable();
    for index in 0..groups {
        let mut group = Group::new();
        while let Some((key, at)) = places.next_if(|(key, _)| group_of(key.hi, groups) == index) {
            group.insert(*key, *at)?;
        }
        out.extend_from_slice(group.page());
    }
    Ok(out)
}

/// What a header counts.
struct Counts {
    users: u64,
    segments: u64,
    codes: u32,
    groups: u32,
}

fn lay_out(counts: Counts, sections: [&[u8]; 3]) -> Vec<u8> {
    let mut out = vec![0; PAGE_BYTES];
    let extents = sections.map(|section| {
        out.resize(out.len().next_multiple_of(PAGE_BYTES), 0);
        let offset = out.len() as u64;
        out.extend_from_slice(section);
        Extent { offset, bytes: section.len() as u64, crc: crc32c::crc32c(section) }
    });
    let Counts { users, segments, codes, groups } = counts;
    let file_bytes = out.len() as u64;
    let header = Header { file_bytes, users, segments, codes, groups, sections: extents };
    put(&mut out, 0, &header.encode());
    out
}

fn put(out: &mut [u8], at: usize, part: &[u8]) {
    if let Some(place) = out.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

/// Why a table cannot be built of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// A segment's code has characters that none may have, or is too long.
    Code,
    /// A user has too many segments, or one twice.
    Segments,
    /// A user comes twice, or two users have the same key.
    SameKey,
    /// A group has more users than room; take more groups.
    GroupFull,
    /// More codes, records or groups than the format can name.
    TooLarge,
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WriteError::Code => {
                "a code is 1 to 64 printable ASCII characters, without blank, ':' and ','"
            }
            WriteError::Segments => "a user has up to 4096 segments, each once",
            WriteError::SameKey => "two users have the same key",
            WriteError::GroupFull => "a group of buckets has no room left",
            WriteError::TooLarge => "a table has up to 16 GiB of records",
        })
    }
}

impl std::error::Error for WriteError {}

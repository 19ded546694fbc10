//! Buckets: where a user's record is, in one cache line.
//!
//! ```text
//!   at  size
//!    0  5×8  fingerprints   the lower half of each key
//!   40  5×4  offsets        of each record, in units of 4 bytes from the start of the records
//!   60    1  used           entries, from the front
//!   61    1  overflowed     1 when an entry of this bucket or of one before it went past it
//!   62    2  zero
//! ```
//!
//! A search that meets a bucket which did not overflow has seen all that could be there.

use super::{Key, PAGE_BYTES};

/// A cache line.
pub(super) const BUCKET_BYTES: usize = 64;

/// Buckets that are filled without looking at others.
pub(super) const BUCKETS_PER_GROUP: usize = 64;

/// Entries that a bucket has room for.
pub(super) const SLOTS: usize = 5;

pub(super) const OFFSETS_AT: usize = SLOTS * 8;
pub(super) const USED_AT: usize = OFFSETS_AT + SLOTS * 4;
pub(super) const OVERFLOWED_AT: usize = USED_AT + 1;

/// Records begin on multiples of this: four times as many bytes as a `u32` can count.
pub(super) const RECORD_ALIGN: usize = 4;

const _: () = assert!(USED_AT == 60 && OVERFLOWED_AT < BUCKET_BYTES, "the byte picture says so");

/// The group of a key. Keys in order have their groups in order.
#[inline]
#[must_use]
pub fn group_of(hi: u64, groups: u32) -> u32 {
    ((u128::from(hi) * u128::from(groups)) >> 64) as u32
}

/// The bucket in its group where a key belongs.
#[inline]
pub(super) fn home_of(hi: u64) -> usize {
    hi as usize % BUCKETS_PER_GROUP
}

/// Where the record of a key is, in bytes, when the group has it.
#[inline]
pub(super) fn find(group: &[u8; PAGE_BYTES], key: Key) -> Option<usize> {
    let (buckets, _) = group.as_chunks::<BUCKET_BYTES>();
    let home = home_of(key.hi);
    // BOUND: each bucket of the group once.
    for step in 0..BUCKETS_PER_GROUP {
        let bucket = buckets.get((home + step) % BUCKETS_PER_GROUP)?;
        if let Some(slot) = slot_of(bucket, key.lo) {
            let at = bucket.get(OFFSETS_AT + 4 * slot..)?.first_chunk()?;
            return Some(u32::from_le_bytes(*at) as usize * RECORD_ALIGN);
        }
        if bucket.get(OVERFLOWED_AT) == Some(&0) {
            return None;
        }
    }
    None
}

/// The slot that a fingerprint is in. All are compared, for one branch instead of five.
#[inline]
pub(super) fn slot_of(bucket: &[u8; BUCKET_BYTES], fingerprint: u64) -> Option<usize> {
    let (words, _) = bucket.as_chunks::<8>();
    let mut hits = 0u32;
    for (slot, word) in words.iter().take(SLOTS).enumerate() {
        hits |= u32::from(u64::from_le_bytes(*word) == fingerprint) << slot;
    }
    hits &= (1 << Bucket::of(bucket).used) - 1;
    (hits != 0).then_some(hits.trailing_zeros() as usize)
}

/// How full a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Entries in it, at most [`Bucket::SLOTS`].
    pub used: u8,
    /// Whether an entry found no room in it.
    pub overflowed: bool,
}

impl Bucket {
    /// Most entries of one.
    pub const SLOTS: usize = SLOTS;

    #[inline]
    pub(super) fn of(bytes: &[u8; BUCKET_BYTES]) -> Bucket {
        let [.., used, overflowed, _, _] = *bytes;
        Bucket { used: used.min(SLOTS as u8), overflowed: overflowed != 0 }
    }
}

//! What a user's id becomes: 128 bits in which its namespace has a say.
//!
//! ```text
//!   seed = XXH3-64(namespace)     key = XXH3-128(id, seed) = hi, lo
//! ```
//!
//! The same id in two namespaces is two users. Ids of one namespace are what an exchange or a
//! partner calls its users: bytes, compared as they are.

use xxhash_rust::xxh3;

/// Where ids come from: an exchange, a partner. Its seed is made once, not for each id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace {
    seed: u64,
}

impl Namespace {
    /// The namespace of this name.
    #[must_use]
    pub fn new(name: &str) -> Namespace {
        Namespace { seed: xxh3::xxh3_64(name.as_bytes()) }
    }

    /// The key of a user.
    #[inline]
    #[must_use]
    pub fn key(&self, id: &[u8]) -> Key {
        let hash = xxh3::xxh3_128_with_seed(id, self.seed);
        Key { hi: (hash >> 64) as u64, lo: hash as u64 }
    }
}

/// A user as the table knows it; ordered as the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Chooses the group and the bucket in it.
    pub hi: u64,
    /// The fingerprint.
    pub lo: u64,
}

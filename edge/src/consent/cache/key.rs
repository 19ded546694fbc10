//! The key of a combination of strings: SipHash with 128 bits, one round for each word and three
//! at the end, keyed at random.
//!
//! A hash without a secret is faster, but whoever sends strings could then look at leisure for two
//! that collide. The hasher of the standard library has the secret and gives 64 bits, of which some
//! billions of strings would find two that are equal.

use std::hash::{BuildHasher, RandomState};

/// A secret, and the hash that it makes.
#[derive(Clone, Copy)]
pub struct Key(u64, u64);

impl std::fmt::Debug for Key {
    /// The secret stays one.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key")
    }
}

impl Key {
    /// A secret of two halves.
    #[must_use]
    pub const fn new(first: u64, second: u64) -> Key {
        Key(first, second)
    }

    /// A secret from the randomness that the standard library keys its maps with.
    #[must_use]
    pub fn random() -> Key {
        Key(RandomState::new().hash_one(0_u8), RandomState::new().hash_one(1_u8))
    }

    /// The hash of strings, each of which may be absent. An absent one is not the same as an empty
    /// one, and where one ends and the next begins is part of it.
    #[must_use]
    pub fn of(self, strings: [Option<&[u8]>; 5]) -> u128 {
        let mut sip = Sip::<1, 3>::new(self);
        for string in strings {
            match string {
                None => sip.word(u64::MAX),
                Some(bytes) => {
                    sip.word(bytes.len() as u64);
                    let (words, rest) = bytes.as_chunks::<8>();
                    words.iter().for_each(|word| sip.word(u64::from_le_bytes(*word)));
                    sip.word(last_word(rest, 0));
                }
            }
        }
        sip.finish()
    }
}

/// At most seven bytes and a mark in the eighth.
fn last_word(rest: &[u8], mark: u8) -> u64 {
    let bytes = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    bytes | u64::from(mark) << 56
}

/// SPEC: SipHash, Aumasson and Bernstein 2012, and its variant with 128 bits of output.
struct Sip<const EACH: usize, const LAST: usize>([u64; 4]);

impl<const EACH: usize, const LAST: usize> Sip<EACH, LAST> {
    fn new(Key(first, second): Key) -> Self {
        Sip([
            first ^ 0x736f_6d65_7073_6575,
            second ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            first ^ 0x6c79_6765_6e65_7261,
            second ^ 0x7465_6462_7974_6573,
        ])
    }

    fn word(&mut self, word: u64) {
        let [_, _, _, d] = &mut self.0;
        *d ^= word;
        self.rounds(EACH);
        let [a, ..] = &mut self.0;
        *a ^= word;
    }

    fn finish(mut self) -> u128 {
        let [_, _, c, _] = &mut self.0;
        *c ^= 0xee;
        self.rounds(LAST);
        let low = self.mixed();
        let [_, b, ..] = &mut self.0;
        *b ^= 0xdd;
        self.rounds(LAST);
        u128::from(self.mixed()) << 64 | u128::from(low)
    }

    fn mixed(&self) -> u64 {
        self.0.iter().fold(0, |mixed, word| mixed ^ word)
    }

    fn rounds(&mut self, count: usize) {
        let [mut a, mut b, mut c, mut d] = self.0;
        for _ in 0..count {
            a = a.wrapping_add(b);
            c = c.wrapping_add(d);
            b = b.rotate_left(13) ^ a;
            d = d.rotate_left(16) ^ c;
            a = a.rotate_left(32).wrapping_add(d);
            c = c.wrapping_add(b);
            b = b.rotate_left(17) ^ c;
            d = d.rotate_left(21) ^ a;
            c = c.rotate_left(32);
        }
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The hash of the reference implementation, two rounds and four, of bytes alone.
    fn reference(bytes: &[u8]) -> [u8; 16] {
        let key = Key::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let mut sip = Sip::<2, 4>::new(key);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| sip.word(u64::from_le_bytes(*word)));
        sip.word(last_word(rest, bytes.len() as u8));
        sip.finish().to_le_bytes()
    }

    #[test]
    fn the_hash_is_that_of_the_reference() {
        // SPEC: the vectors published with SipHash, for no byte and for the byte 0.
        let none = 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128;
        let one = 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45_u128;
        assert_eq!(reference(&[]), none.to_be_bytes());
        assert_eq!(reference(&[0]), one.to_be_bytes());
    }

    #[test]
    fn where_a_string_stands_and_ends_is_part_of_it() {
        let key = Key::new(3, 4);
        let some: [Option<&[u8]>; 6] =
            [None, Some(b""), Some(b"\0"), Some(b"a"), Some(b"aaaaaaaa"), Some(b"aaaaaaaa\0")];
        let mut keys = BTreeSet::new();
        for first in some {
            for second in some {
                assert!(keys.insert(key.of([first, second, None, None, None])));
                let is_new = keys.insert(key.of([None, None, first, None, second]));
                assert_eq!(is_new, first.is_some() || second.is_some());
            }
        }
        assert_ne!(key.of([None; 5]), Key::new(3, 5).of([None; 5]));
    }
}

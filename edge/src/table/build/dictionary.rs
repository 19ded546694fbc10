//! The codes of segments while rows are read: numbered as they come, ranked when all are there.

use brink_proto::table::is_code;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Mutex, PoisonError},
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

type Numbers = HashMap<Box<[u8]>, u32, BuildHasherDefault<ShortHasher>>;

/// All codes, for all threads.
#[derive(Default)]
pub(super) struct Dictionary {
    numbers: Mutex<Numbers>,
}

impl Dictionary {
    /// The number of a code, which is a new one if need be.
    fn number(&self, code: &[u8]) -> u32 {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.len() as u32;
        *numbers.entry(code.into()).or_insert(next)
    }

    /// The codes in the order of their bytes, and the rank of each number.
    pub(super) fn into_ranks(self) -> (Vec<Box<[u8]>>, Vec<u32>) {
        let numbers = self.numbers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut codes: Vec<(Box<[u8]>, u32)> = numbers.into_iter().collect();
        codes.sort_unstable();
        let mut ranks = vec![0; codes.len()];
        for (rank, (_, number)) in codes.iter().enumerate() {
            ranks[*number as usize] = rank as u32;
        }
        (codes.into_iter().map(|(code, _)| code).collect(), ranks)
    }
}

/// What one thread has seen of them: it asks the others only about what is new to it.
pub(super) struct SeenCodes<'d> {
    dictionary: &'d Dictionary,
    numbers: Numbers,
}

impl<'d> SeenCodes<'d> {
    pub(super) fn new(dictionary: &'d Dictionary) -> SeenCodes<'d> {
        SeenCodes { dictionary, numbers: Numbers::default() }
    }

    /// The numbers of a row's codes. When one is none, no number was given to any of them.
    pub(super) fn number_all<'c>(
        &mut self,
        codes: impl Iterator<Item = &'c [u8]> + Clone,
        numbers: &mut Vec<u32>,
    ) -> Result<(), &'c [u8]> {
        numbers.clear();
        for code in codes.clone() {
            let number = match self.numbers.get(code) {
                Some(number) => *number,
                None => {
                    if let Some(bad) = codes.clone().find(|code| !is_code(code)) {
                        return Err(bad);
                    }
                    let number = self.dictionary.number(code);
                    self.numbers.insert(code.into(), number);
                    number
                }
            };
            numbers.push(number);
        }
        Ok(())
    }
}

/// Hashes short texts. Nobody chooses codes to make them meet: the standard one is not needed.
#[derive(Default)]
struct ShortHasher(u64);

impl Hasher for ShortHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, number: usize) {
        self.0 ^= number as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_bytes_whoever_saw_a_code_first() {
        let dictionary = Dictionary::default();
        let (mut one, mut other) = (SeenCodes::new(&dictionary), SeenCodes::new(&dictionary));
        let number = |seen: &mut SeenCodes<'_>, code: &str| {
            let mut numbers = Vec::new();
            seen.number_all([code.as_bytes()].into_iter(), &mut numbers).unwrap();
            numbers[0]
        };
        let zoo = number(&mut one, "zoo");
        let auto = number(&mut other, "auto");
        assert_eq!(number(&mut other, "zoo"), zoo);
        assert_eq!(number(&mut one, "zoo"), zoo);
        let (codes, ranks) = dictionary.into_ranks();
        assert_eq!(
            codes.iter().map(|code| &**code).collect::<Vec<_>>(),
            [b"auto".as_slice(), b"zoo"]
        );
        assert_eq!((ranks[auto as usize], ranks[zoo as usize]), (0, 1));
    }

    #[test]
    fn a_row_with_a_bad_code_leaves_no_code_behind() {
        let dictionary = Dictionary::default();
        let mut seen = SeenCodes::new(&dictionary);
        let codes = [b"new".as_slice(), b"a:b"];
        assert_eq!(seen.number_all(codes.into_iter(), &mut Vec::new()), Err(b"a:b".as_slice()));
        assert!(dictionary.into_ranks().0.is_empty());
    }
}

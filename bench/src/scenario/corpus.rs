//! Requests that are rendered before a run, and what is still filled in for each.
//!
//! ```text
//!  corpus: request 0 │ request 1 │ … │ request n-1          number % n chooses one
//!  request: bytes ─ [19 digits] ─ bytes ─ [19 digits] ─ …   holes get the number's user, auction
//! ```
//!
//! A table that answers for a million users must be asked for a million users, and an auction that
//! is seen twice may be dropped as a duplicate. Both are written over a copy, in place.

use crate::random::Random;
use std::ops::Range;

/// What a run's requests are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// The same seed gives the same requests.
    pub seed: u64,
    /// How many users there are.
    pub users: u64,
}

/// Rendered requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    population: Population,
    /// BOUND: [`CORPUS_BYTES_MAX`].
    bytes: Vec<u8>,
    requests: Vec<Place>,
    holes: Vec<Hole>,
}

/// Where a request lies.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    bytes: Range<usize>,
    holes: Range<usize>,
}

/// What is filled in for each request anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Where, from the beginning of the request.
    pub at: usize,
    /// What.
    pub filling: Filling,
}

/// What fills a hole: a number of [`DIGITS`] digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// The user's id: one of the population.
    User,
    /// The auction's id: another one for each request.
    Auction,
}

/// Digits of an id. All have as many, so that one can be written over another.
pub const DIGITS: usize = 19;

/// BOUND: bytes of all requests together.
pub const CORPUS_BYTES_MAX: usize = 256 << 20;

/// There is no room for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the requests take more than {} MiB; give fewer", CORPUS_BYTES_MAX >> 20)]
pub struct Full;

impl Corpus {
    /// An empty one.
    #[must_use]
    pub fn new(population: Population) -> Corpus {
        Corpus { population, bytes: Vec::new(), requests: Vec::new(), holes: Vec::new() }
    }

    /// Adds a request.
    ///
    /// # Errors
    /// [`Full`] when there is no room for it.
    pub fn push(&mut self, request: &[u8], holes: &[Hole]) -> Result<(), Full> {
        if self.bytes.len() + request.len() > CORPUS_BYTES_MAX {
            return Err(Full);
        }
        debug_assert!(holes.iter().all(|hole| hole.at + DIGITS <= request.len()));
        let from = (self.bytes.len(), self.holes.len());
        self.bytes.extend_from_slice(request);
        self.holes.extend_from_slice(holes);
        self.requests
            .push(Place { bytes: from.0..self.bytes.len(), holes: from.1..self.holes.len() });
        Ok(())
    }

    /// How many requests there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.requests.len()
    }

    /// Which of them a number chooses.
    #[must_use]
    pub fn chosen(&self, number: u64) -> usize {
        (number % self.requests.len().max(1) as u64) as usize
    }

    /// Writes request `number` to the end of `out`.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let Some(place) = self.requests.get(self.chosen(number)) else { return };
        let from = out.len();
        out.extend_from_slice(&self.bytes[place.bytes.clone()]);
        for hole in &self.holes[place.holes.clone()] {
            let digits = self.digits(number, hole.filling);
            out[from + hole.at..][..DIGITS].copy_from_slice(&digits);
        }
    }

    /// What fills the holes of request `number`.
    #[must_use]
    pub fn digits(&self, number: u64, filling: Filling) -> [u8; DIGITS] {
        let Population { seed, users } = self.population;
        let id = match filling {
            Filling::User => user(seed, Random::new(seed, number).below(users.max(1))),
            Filling::Auction => AUCTIONS.start + number,
        };
        let mut rest = id;
        let mut digits = [b'0'; DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        digits
    }
}

/// Users' ids, of 19 digits, below 2^63.
const USERS: Range<u64> = 1_000_000_000_000_000_000..4_000_000_000_000_000_000;

/// Auctions' ids.
const AUCTIONS: Range<u64> = 5_000_000_000_000_000_000..9_000_000_000_000_000_000;

/// The id of a user, whose index is below the population's size.
#[must_use]
pub fn user(seed: u64, index: u64) -> u64 {
    USERS.start + Random::new(seed ^ USERS.start, index).below(USERS.end - USERS.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const POPULATION: Population = Population { seed: 3, users: 50 };

    fn corpus() -> Corpus {
        let mut corpus = Corpus::new(POPULATION);
        let user = Hole { at: 2, filling: Filling::User };
        let auction = Hole { at: 22, filling: Filling::Auction };
        corpus.push(b"u=0000000000000000000&0000000000000000000;", &[user, auction]).unwrap();
        corpus.push(b"nothing to fill", &[]).unwrap();
        corpus
    }

    #[test]
    fn holes_are_filled_with_ids_of_the_request_and_nothing_else_is_touched() {
        let corpus = corpus();
        let users: HashSet<u64> = (0..POPULATION.users).map(|at| user(3, at)).collect();
        let mut out = b"before|".to_vec();
        let mut seen = HashSet::new();
        for number in (0..1000).step_by(2) {
            out.truncate(7);
            corpus.write(number, &mut out);
            let text = std::str::from_utf8(&out).unwrap();
            let (head, auction) = text.split_once('&').unwrap();
            let id: u64 = head.strip_prefix("before|u=").unwrap().parse().unwrap();
            assert!(users.contains(&id), "{id}");
            let auction: u64 = auction.strip_suffix(';').unwrap().parse().unwrap();
            assert_eq!(auction, AUCTIONS.start + number);
            seen.insert(id);
        }
        assert!(seen.len() > 45, "{} of 50 users in 500 requests", seen.len());
    }

    #[test]
    fn numbers_take_the_requests_in_turn() {
        let corpus = corpus();
        for number in (1..20).step_by(2) {
            let mut out = Vec::new();
            corpus.write(number, &mut out);
            assert_eq!(out, b"nothing to fill");
        }
        Corpus::new(POPULATION).write(0, &mut Vec::new());
    }

    #[test]
    fn there_is_an_end_to_what_a_corpus_holds() {
        let mut corpus = Corpus::new(POPULATION);
        let large = vec![0; CORPUS_BYTES_MAX / 2];
        assert_eq!(corpus.push(&large, &[]), Ok(()));
        assert_eq!(corpus.push(&large, &[]), Ok(()));
        assert_eq!(corpus.push(b"x", &[]), Err(Full));
    }
}

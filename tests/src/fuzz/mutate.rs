//! Inputs made of inputs: bits turned round, words put in, parts cut, doubled and exchanged.

use super::Target;
use crate::sim::random::Random;

/// BOUND: inputs that are kept to begin from.
const KEPT_MAX: usize = 4096;

/// BOUND: bytes of all of them.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Most changes of one input.
const CHANGES_MAX: u64 = 6;

/// Numbers at which lengths and counters go wrong.
const NUMBERS: [u64; 12] =
    [0, 1, 2, 127, 128, 255, 256, 32_767, 65_535, 1 << 31, u32::MAX as u64, u64::MAX];

/// Makes inputs for a target; from one seed always the same ones.
pub struct Mutator {
    random: Random,
    words: &'static [&'static [u8]],
    bytes_max: usize,
    kept: Vec<Vec<u8>>,
    kept_bytes: usize,
}

impl Mutator {
    /// For a target, from a seed.
    #[must_use]
    pub fn new(target: &Target, seed: u64) -> Mutator {
        Mutator {
            random: Random::new(seed),
            words: target.words,
            bytes_max: target.bytes_max,
            kept: vec![Vec::new()],
            kept_bytes: 0,
        }
    }

    /// Keeps an input to begin from, if there is room.
    pub fn keep(&mut self, input: &[u8]) {
        if self.kept.len() < KEPT_MAX && self.kept_bytes + input.len() <= KEPT_BYTES_MAX {
            self.kept_bytes += input.len();
            self.kept.push(input.to_vec());
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// The next input.
    pub fn next(&mut self, out: &mut Vec<u8>) {
        let from = self.some_kept();
        out.clear();
        out.extend_from_slice(&self.kept[from]);
        for _ in 0..=self.random.within(0..CHANGES_MAX) {
            self.change(out);
        }
        out.truncate(self.bytes_max);
    }

    /// One of those that are kept; the latest ones more often, for they got furthest.
    fn some_kept(&self) -> usize {
        let count = self.kept.len();
        let from = if self.random.chance(30) { count - count.div_ceil(8) } else { 0 };
        self.random.within(from as u64..count as u64) as usize
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let random = self.random.clone();
        let at = random.within(0..input.len() as u64 + 1) as usize;
        let end = input.len().min(at + random.within(1..17) as usize);
        match random.within(0..10) {
            0 | 1 if at < input.len() => input[at] ^= 1 << random.within(0..8),
            2 if at < input.len() => input[at] = random.any() as u8,
            3 => self.put_word(input, at),
            4 => self.put_number(input, at),
            5 => drop(input.drain(at..end)),
            6 => {
                let part = input[at..end].to_vec();
                input.splice(at..at, part.repeat(random.within(1..5) as usize));
            }
            7 => {
                let other = &self.kept[self.some_kept()];
                let from = random.within(0..other.len() as u64 + 1) as usize;
                input.splice(at.., other[from..].iter().copied());
            }
            8 => input.truncate(at),
            _ => {
                let bytes: Vec<u8> = (0..end - at + 1).map(|_| random.any() as u8).collect();
                input.splice(at..at, bytes);
            }
        }
    }

    /// Puts a word in, in front of what is there or over it.
    fn put_word(&self, input: &mut Vec<u8>, at: usize) {
        let Some(last) = self.words.len().checked_sub(1) else { return };
        let word = self.words[self.random.within(0..last as u64 + 1) as usize];
        let over = if self.random.chance(50) { word.len().min(input.len() - at) } else { 0 };
        input.splice(at..at + over, word.iter().copied());
    }

    /// Writes a number over what is there: in binary, or in digits where digits stand.
    fn put_number(&self, input: &mut Vec<u8>, at: usize) {
        let number = NUMBERS[self.random.within(0..NUMBERS.len() as u64) as usize];
        let digits = input[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            input.splice(at..at + digits, number.to_string().into_bytes());
            return;
        }
        let bytes = [1, 2, 4, 8][self.random.within(0..4) as usize];
        let bytes = bytes.min(input.len() - at);
        let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
        let part = if self.random.chance(50) { &little[..bytes] } else { &big[8 - bytes..] };
        input[at..at + bytes].copy_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_inputs_and_another_seed_makes_others() {
        let target = super::super::target("http_head").unwrap();
        let inputs = |seed: u64| {
            let mut mutator = Mutator::new(target, seed);
            (target.seeds)().iter().for_each(|input| mutator.keep(input));
            let mut all = Vec::new();
            for _ in 0..500 {
                let mut input = Vec::new();
                mutator.next(&mut input);
                assert!(input.len() <= target.bytes_max);
                all.push(input);
            }
            all
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
    }
}

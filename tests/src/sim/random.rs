//! Random numbers from a seed (SplitMix64).

use std::{cell::Cell, ops::Range, rc::Rc};

/// A source of random numbers, shared by its clones.
#[derive(Debug, Clone)]
pub struct Random(Rc<Cell<u64>>);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(Rc::new(Cell::new(seed)))
    }

    /// Any number.
    #[must_use]
    pub fn any(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in a range that is not empty.
    #[must_use]
    pub fn within(&self, range: Range<u64>) -> u64 {
        range.start + self.any() % (range.end - range.start)
    }

    /// Text that compresses to three quarters: six bits in each letter.
    pub fn letters(&self, count: usize) -> String {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let ten =
            |bits: u64| (0..10).map(move |at| letters[(bits >> (6 * at)) as usize % 64] as char);
        (0..count.div_ceil(10)).flat_map(|_| ten(self.any())).take(count).collect()
    }

    /// Yes, in `percent` of all cases.
    #[must_use]
    pub fn chance(&self, percent: u64) -> bool {
        self.any() % 100 < percent
    }
}

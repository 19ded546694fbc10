//! What an input has reached: a poor man's coverage, which works on any toolchain.
//!
//! A body says what it got to, an error or a number of requests; an input that gets where none was
//! before is worth beginning from. libFuzzer looks at the machine code and needs none of it.

use std::{
    cell::RefCell,
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

#[derive(Default)]
struct Seen {
    features: HashSet<u64>,
    is_new: bool,
}

/// BOUND: features that are remembered.
const FEATURES_MAX: usize = 1 << 16;

/// Says that the input got to `what`.
pub fn reached(what: impl Hash) {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    SEEN.with_borrow_mut(|seen| {
        if seen.features.len() < FEATURES_MAX && seen.features.insert(hasher.finish()) {
            seen.is_new = true;
        }
    });
}

/// Whether something was reached for the first time since this was last asked.
pub(super) fn take_new() -> bool {
    SEEN.with_borrow_mut(|seen| std::mem::take(&mut seen.is_new))
}

/// Forgets everything, for another target.
pub(super) fn forget() {
    SEEN.with_borrow_mut(|seen| *seen = Seen::default());
}

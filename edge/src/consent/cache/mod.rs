//! The decider of a shard: a policy, and what was decided under it.
//!
//! The same strings come again and again, so that most are read once. What is kept is a hash of 128
//! bits for each combination of strings, and its decision; not the strings. Two combinations with
//! one hash would be a user's refusal ignored. So it has a secret, [`key::Key`]: nobody outside
//! this process can look for two of them, and by chance it takes some 2^64 combinations.

pub mod key;

use self::key::Key;
use super::{
    bits::TEXT_BYTES_MAX, decide::decide, decision::Decision, policy::Policy, signals::Signals,
};
use std::cell::Cell;

/// Decides, and remembers. For one thread.
#[derive(Debug)]
pub struct Decider {
    policy: Policy,
    key: Key,
    /// BOUND: made at boot, and never any other size.
    sets: Box<[Cell<Set>]>,
    hits: Cell<u64>,
    misses: Cell<u64>,
}

/// What may lie in one place, the last used first.
type Set = [Option<Entry>; WAYS];

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u128,
    decision: Decision,
}

impl Decider {
    /// A decider that has room for so many combinations, rounded up to a power of two.
    #[must_use]
    pub fn new(policy: Policy, entries: usize) -> Decider {
        Decider::with_key(policy, entries, Key::random())
    }

    /// As [`Decider::new`], with a key of one's own, for tests that must be the same every time.
    #[must_use]
    pub fn with_key(policy: Policy, entries: usize, key: Key) -> Decider {
        let count = entries.div_ceil(WAYS).next_power_of_two();
        let sets = std::iter::repeat_with(Cell::default).take(count).collect();
        Decider { policy, key, sets, hits: Cell::new(0), misses: Cell::new(0) }
    }

    /// Decides as [`decide`] does.
    #[must_use]
    pub fn decide(&self, signals: &Signals<'_>) -> Decision {
        let signals = signals.present();
        let bytes: usize = signals.strings().iter().flatten().map(|text| text.len()).sum();
        // Without strings there is nothing to remember, and what is longer than is read is denied
        // sooner than it is hashed.
        if signals.gpc || signals.coppa || bytes == 0 || bytes > TEXT_BYTES_MAX {
            return decide(&signals, &self.policy);
        }
        let key = self.key.of(signals.strings());
        let Some(set) = self.sets.get(self.place(key)) else {
            return decide(&signals, &self.policy);
        };
        let mut entries = set.get();
        let found = entries.iter().position(|entry| entry.is_some_and(|entry| entry.key == key));
        let decision = match found.and_then(|at| entries.get(at).copied().flatten()) {
            Some(entry) => {
                self.hits.set(self.hits.get() + 1);
                entry.decision
            }
            None => {
                self.misses.set(self.misses.get() + 1);
                decide(&signals, &self.policy)
            }
        };
        if found != Some(0) {
            // The oldest, or the place that it was found in, makes room for it at the front.
            let until = found.map_or(WAYS, |at| at + 1);
            if let Some(moved) = entries.get_mut(..until) {
                moved.rotate_right(1);
            }
            if let Some(first) = entries.first_mut() {
                *first = Some(Entry { key, decision });
            }
            set.set(entries);
        }
        decision
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many decisions were remembered.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// How many decisions were made and then remembered.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.get()
    }

    /// How many combinations there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// The count of sets is a power of two.
    fn place(&self, key: u128) -> usize {
        usize::try_from(key & (self.sets.len() as u128 - 1)).unwrap_or(0)
    }
}

/// Two cache lines.
const WAYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::decision::Reason;
    use super::*;

    fn decider(entries: usize) -> Decider {
        Decider::with_key(Policy::default(), entries, Key::new(1, 2))
    }

    #[test]
    fn what_was_decided_is_remembered() {
        let decider = decider(64);
        let out = Signals { us_privacy: Some(b"1YYN"), ..Signals::default() };
        let not = Signals { us_privacy: Some(b"1YNN"), ..Signals::default() };
        for _ in 0..3 {
            assert_eq!(decider.decide(&out).reason, Reason::UsPrivacyOptOut);
            assert_eq!(decider.decide(&not).reason, Reason::NotOptedOut);
        }
        assert_eq!((decider.hits(), decider.misses()), (4, 2));
        // The flags are no part of the key, since they are looked at before it.
        assert_eq!(decider.decide(&Signals { gpc: true, ..not }).reason, Reason::Gpc);
        assert_eq!(decider.decide(&Signals { coppa: true, ..not }).reason, Reason::Coppa);
        assert_eq!(decider.decide(&Signals::default()).reason, Reason::NoSignal);
        assert_eq!((decider.hits(), decider.misses()), (4, 2));
    }

    #[test]
    fn the_last_used_stay() {
        let decider = decider(1);
        assert_eq!(decider.capacity(), WAYS);
        let texts = [b"1", b"2", b"3", b"4", b"5"];
        let ask = |at: usize| {
            let hits = decider.hits();
            _ = decider.decide(&Signals { us_privacy: Some(texts[at]), ..Signals::default() });
            decider.hits() > hits
        };
        let rows = [(0, false), (1, false), (2, false), (3, false), (0, true), (4, false)];
        let then = [(1, false), (0, true), (4, true), (3, true), (2, false)];
        for (at, want) in rows.into_iter().chain(then) {
            assert_eq!(ask(at), want, "{at}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_denied_without_a_key() {
        let long = vec![b'C'; TEXT_BYTES_MAX + 1];
        let decider = decider(4);
        let decision = decider.decide(&Signals { tc_string: Some(&long), ..Signals::default() });
        assert_eq!(decision.reason, Reason::TcStringUnreadable);
        assert_eq!(decider.misses(), 0);
    }
}

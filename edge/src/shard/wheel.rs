//! Deadlines of connections: a wheel of slots, each a list through two arrays. No allocation, and a
//! deadline that moves away costs nothing: it is looked at again when its old slot comes round.
//!
//! ```text
//!  slot    0     1     2  …  1023        one slot is 64 ms, the wheel goes round in 65 s
//!          │           │
//!          ▼           ▼
//!          conn ─ conn conn
//! ```

use crate::clock::Nanos;

const SLOTS: usize = 1024;
const SLOT_NANOS: u64 = 64_000_000;
const NONE: u32 = u32::MAX;

/// The wheel of a shard.
pub(super) struct Wheel {
    /// First connection of each slot.
    heads: Vec<u32>,
    links: Vec<Link>,
    /// One bit per slot that is not empty.
    occupied: [u64; SLOTS / 64],
    /// The next tick to look at.
    tick: u64,
}

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
    /// The slot it is in.
    slot: u32,
}

const UNLINKED: Link = Link { next: NONE, previous: NONE, slot: NONE };

impl Wheel {
    /// A wheel for this many connections.
    pub(super) fn new(connections: usize, now: Nanos) -> Wheel {
        Wheel {
            heads: vec![NONE; SLOTS],
            links: vec![UNLINKED; connections],
            occupied: [0; SLOTS / 64],
            tick: now.0 / SLOT_NANOS,
        }
    }

    /// Wakes a connection at `deadline`, or a little later; further away than the wheel goes round,
    /// it is woken early. A deadline that it had is forgotten.
    pub(super) fn set(&mut self, connection: u32, deadline: Nanos) {
        self.clear(connection);
        // Rounded up: never early, but for the far ones.
        let tick = deadline.0.div_ceil(SLOT_NANOS);
        let tick = tick.clamp(self.tick, self.tick + SLOTS as u64 - 1);
        let slot = (tick % SLOTS as u64) as u32;
        let head = std::mem::replace(&mut self.heads[slot as usize], connection);
        if head != NONE {
            self.links[head as usize].previous = connection;
        }
        self.links[connection as usize] = Link { next: head, previous: NONE, slot };
        self.occupied[slot as usize / 64] |= 1 << (slot % 64);
    }

    /// Forgets a connection's deadline.
    pub(super) fn clear(&mut self, connection: u32) {
        let Link { next, previous, slot } = self.links[connection as usize];
        if slot == NONE {
            return;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        if previous == NONE {
            self.heads[slot as usize] = next;
            if next == NONE {
                self.occupied[slot as usize / 64] &= !(1 << (slot % 64));
            }
        } else {
            self.links[previous as usize].next = next;
        }
        self.links[connection as usize] = UNLINKED;
    }

    /// Takes out the next connection whose slot has come. Call until there is none.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<u32> {
        let last = now.0 / SLOT_NANOS;
        while self.tick <= last {
            let slot = (self.tick % SLOTS as u64) as usize;
            let head = self.heads[slot];
            if head != NONE {
                self.clear(head);
                return Some(head);
            }
            self.tick += 1;
        }
        None
    }

    /// When the next slot comes that is not empty.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        let words = self.occupied.len() as u64;
        for ahead in 0..=words {
            let tick = self.tick + ahead * 64;
            let word = (tick / 64 % words) as usize;
            // In the word where the search begins, only the bits from there on; at the end, all.
            let from = if ahead == 0 { self.tick % 64 } else { 0 };
            let bits = self.occupied[word] & (u64::MAX << from);
            if bits != 0 {
                let base = tick - tick % 64;
                return Some(Nanos((base + u64::from(bits.trailing_zeros())) * SLOT_NANOS));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Nanos {
        Nanos(ms * 1_000_000)
    }

    fn due(wheel: &mut Wheel, now: Nanos) -> Vec<u32> {
        let mut due = Vec::new();
        while let Some(connection) = wheel.pop_due(now) {
            due.push(connection);
        }
        due.sort_unstable();
        due
    }

    #[test]
    fn connections_come_out_when_they_are_due_and_not_before() {
        let mut wheel = Wheel::new(8, ms(1_000_000));
        let now = |after: u64| ms(1_000_000 + after);
        for (connection, after) in [(0, 100), (1, 5000), (2, 5000), (3, 60_000)] {
            wheel.set(connection, now(after));
        }
        assert!(due(&mut wheel, now(99)).is_empty());
        assert!(wheel.next_deadline().unwrap() >= now(100));
        assert!(wheel.next_deadline().unwrap() < now(200));
        assert_eq!(due(&mut wheel, now(200)), [0]);
        wheel.clear(1);
        wheel.set(3, now(400));
        assert_eq!(due(&mut wheel, now(500)), [3]);
        assert!(due(&mut wheel, now(4999)).is_empty());
        assert_eq!(due(&mut wheel, now(5200)), [2]);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_comes_early_and_can_be_set_again() {
        let mut wheel = Wheel::new(1, ms(0));
        wheel.set(0, ms(600_000));
        let first = wheel.next_deadline().unwrap();
        assert!(first > ms(60_000) && first < ms(66_000), "{first:?}");
        assert_eq!(due(&mut wheel, first), [0]);
        wheel.set(0, ms(70_000));
        assert!(due(&mut wheel, ms(69_000)).is_empty());
        assert_eq!(due(&mut wheel, ms(70_100)), [0]);
    }

    #[test]
    fn the_wheel_agrees_with_a_plain_list() {
        let mut wheel = Wheel::new(64, ms(0));
        let mut plain: Vec<Option<u64>> = vec![None; 64];
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut now = 0;
        for _ in 0..20_000 {
            let connection = random(64) as usize;
            match random(4) {
                0 => {
                    wheel.clear(connection as u32);
                    plain[connection] = None;
                }
                1 => now += random(300),
                _ => {
                    let at = now + random(50_000);
                    wheel.set(connection as u32, ms(at));
                    plain[connection] = Some(at);
                }
            }
            for connection in due(&mut wheel, ms(now)) {
                let at = plain[connection as usize].take().unwrap();
                assert!(at <= now, "{at} is not due at {now}");
            }
            // Nothing stays longer than a slot and a bit behind its time.
            assert!(plain.iter().flatten().all(|at| at + 130 > now));
            let next = plain.iter().flatten().min();
            assert_eq!(wheel.next_deadline().is_some(), next.is_some());
            assert!(next.is_none_or(|n| wheel.next_deadline().unwrap() >= ms(*n)));
        }
    }
}

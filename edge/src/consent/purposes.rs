//! Sets of TCF purposes.

/// A set of purposes, by their ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purposes(u64);

impl Purposes {
    /// No purpose.
    pub const NONE: Purposes = Purposes(0);

    /// Those with these ids. What is no id, 0 or above 63, is left out.
    #[must_use]
    pub fn of(ids: &[u8]) -> Purposes {
        ids.iter().fold(Purposes::NONE, |set, id| set.or(Purposes::one(*id)))
    }

    /// The one with this id; none when it is no id.
    #[must_use]
    pub const fn one(id: u8) -> Purposes {
        if id == 0 || id > ID_MAX { Purposes::NONE } else { Purposes(1 << id) }
    }

    /// SPEC: TCF, `PurposesConsent`: 24 bits, that of purpose 1 first.
    pub(super) const fn of_field(field: u64) -> Purposes {
        Purposes((field << 40).reverse_bits() << 1)
    }

    /// Whether it has this purpose.
    #[must_use]
    pub const fn contains(self, id: u8) -> bool {
        self.0 & Purposes::one(id).0 != 0
    }

    /// Whether it has no purpose.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in this set or the other one.
    #[must_use]
    pub const fn or(self, other: Purposes) -> Purposes {
        Purposes(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Purposes) -> Purposes {
        Purposes(self.0 & other.0)
    }

    /// What is in this set and not in the other one.
    #[must_use]
    pub const fn without(self, other: Purposes) -> Purposes {
        Purposes(self.0 & !other.0)
    }

    /// Whether all of it is in the other set.
    #[must_use]
    pub const fn is_within(self, other: Purposes) -> bool {
        self.without(other).is_empty()
    }

    /// Its ids, the smallest first.
    pub fn ids(self) -> impl Iterator<Item = u8> {
        (1..=ID_MAX).filter(move |id| self.contains(*id))
    }
}

/// SPEC: TCF, `PurposeId`: 6 bits.
const ID_MAX: u8 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_what_was_put_in() {
        let set = Purposes::of(&[4, 1, 63, 0, 64]);
        assert_eq!(set.ids().collect::<Vec<_>>(), [1, 4, 63]);
        assert!(set.contains(63) && !set.contains(0) && !set.contains(64) && !set.contains(2));
        assert!(Purposes::of(&[1, 4]).is_within(set) && !Purposes::of(&[1, 2]).is_within(set));
        assert_eq!(set.without(Purposes::of(&[4, 5])), Purposes::of(&[1, 63]));
        assert_eq!(Purposes::of_field(0x80_0001), Purposes::of(&[1, 24]));
    }
}

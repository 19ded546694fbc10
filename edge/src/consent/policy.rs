//! What the operator asks for before data is used: as which vendor, for which purposes, on which
//! legal basis.

use super::purposes::Purposes;

/// A policy. The words are those of the Global Vendor List: a purpose is registered on one legal
/// basis, and may be flexible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Our id in the Global Vendor List. 0 is nobody's, so that nobody consents to it.
    pub vendor: u16,
    /// Purposes that need consent.
    pub consent: Purposes,
    /// Purposes for which legitimate interest suffices.
    pub interest: Purposes,
    /// Those of both that a publisher may move to the other legal basis.
    pub flexible: Purposes,
    /// What it means that there is no signal.
    pub absent: Absent,
}

/// What it means that there is no signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Absent {
    /// That no regulation applies.
    #[default]
    Allow,
    /// That whoever should have asked the user did not.
    Deny,
}

impl Default for Policy {
    /// Consent to storage (1), a profile (3) and its use for advertisements (4).
    fn default() -> Policy {
        Policy {
            vendor: 0,
            consent: Purposes::of(&[1, 3, 4]),
            interest: Purposes::NONE,
            flexible: Purposes::NONE,
            absent: Absent::Allow,
        }
    }
}

/// Why a policy can never be met, or does not say what is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyFault {
    /// No vendor has the id 0.
    Vendor,
    /// There is no purpose.
    NoPurpose,
    /// No purpose has such an id.
    UnknownPurpose,
    /// A purpose stands on two legal bases.
    TwoBases,
    /// A purpose knows no legitimate interest.
    NoInterest,
    /// A flexible purpose stands on no legal basis, or has only one to stand on.
    NotFlexible,
}

impl Policy {
    /// Holds the policy against TCF, for whoever reads a configuration.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PolicyFault> {
        let asked = self.consent.or(self.interest);
        let interest_only = self.interest.and(CONSENT_ONLY);
        match () {
            () if self.vendor == 0 => Err(PolicyFault::Vendor),
            () if asked.is_empty() => Err(PolicyFault::NoPurpose),
            () if asked.ids().any(|id| id > PURPOSE_MAX) => Err(PolicyFault::UnknownPurpose),
            () if !self.consent.and(self.interest).is_empty() => Err(PolicyFault::TwoBases),
            () if !interest_only.is_empty() => Err(PolicyFault::NoInterest),
            () if !self.flexible.is_within(asked.without(CONSENT_ONLY)) => {
                Err(PolicyFault::NotFlexible)
            }
            () => Ok(()),
        }
    }
}

/// SPEC: TCF policy 4 (TCF 2.2), chapter II: purposes 1 and 3 to 6 know consent alone.
pub(super) const CONSENT_ONLY: Purposes = Purposes::one(1)
    .or(Purposes::one(3))
    .or(Purposes::one(4))
    .or(Purposes::one(5))
    .or(Purposes::one(6));

/// SPEC: TCF policy 4, appendix A: there are eleven.
const PURPOSE_MAX: u8 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_cannot_be_meant_are_refused() {
        let good = Policy { vendor: 42, ..Policy::default() };
        assert_eq!(good.check(), Ok(()));
        let seven = Purposes::of(&[7]);
        let rows = [
            (Policy { vendor: 0, ..good }, PolicyFault::Vendor),
            (Policy { consent: Purposes::NONE, ..good }, PolicyFault::NoPurpose),
            (Policy { consent: Purposes::of(&[12]), ..good }, PolicyFault::UnknownPurpose),
            (Policy { consent: seven, interest: seven, ..good }, PolicyFault::TwoBases),
            (Policy { interest: Purposes::of(&[5]), ..good }, PolicyFault::NoInterest),
            (Policy { flexible: seven, ..good }, PolicyFault::NotFlexible),
            (Policy { flexible: Purposes::of(&[1]), ..good }, PolicyFault::NotFlexible),
        ];
        for (policy, want) in rows {
            assert_eq!(policy.check(), Err(want), "{policy:?}");
        }
        assert_eq!(Policy { interest: seven, flexible: seven, ..good }.check(), Ok(()));
    }
}

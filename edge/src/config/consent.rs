//! `[consent]`: what users have to allow.

use super::{ConfigError, file::ConsentSection};
use crate::consent::{Absent, Policy, Purposes, policy::PolicyFault};
use brink_shipper::config::Checker;

/// Resolves the section. Without a vendor id nobody under GDPR has allowed us anything, which is
/// what a box that serves no such traffic needs.
pub(super) fn resolve(
    check: &Checker<'_>,
    section: &ConsentSection,
) -> Result<Policy, ConfigError> {
    let policy = Policy {
        vendor: section.vendor.unwrap_or(0),
        consent: Purposes::of(&section.purposes),
        interest: Purposes::of(&section.legitimate_interests),
        flexible: Purposes::of(&section.flexible),
        absent: if section.serve_without_signal { Absent::Allow } else { Absent::Deny },
    };
    let interests = &section.legitimate_interests;
    // Whoever has no vendor id is checked as if: the rest has to make sense all the same.
    let checked = Policy { vendor: section.vendor.unwrap_or(1), ..policy };
    match checked.check() {
        Ok(()) => Ok(policy),
        Err(PolicyFault::Vendor) => Err(check.wrong("consent.vendor", 0, "1 to 65535")),
        Err(PolicyFault::NoPurpose) => {
            let allowed = "at least one purpose here or in legitimate_interests";
            Err(check.wrong("consent.purposes", &section.purposes, allowed))
        }
        Err(PolicyFault::UnknownPurpose) => {
            let all = (&section.purposes, interests);
            Err(check.wrong("consent.purposes", all, "purposes 1 to 11"))
        }
        Err(PolicyFault::TwoBases) => {
            let allowed = "purposes that are not in purposes";
            Err(check.wrong("consent.legitimate_interests", interests, allowed))
        }
        Err(PolicyFault::NoInterest) => {
            let allowed = "2 and 7 to 11: the others know consent alone";
            Err(check.wrong("consent.legitimate_interests", interests, allowed))
        }
        Err(PolicyFault::NotFlexible) => {
            let allowed = "2 and 7 to 11, as far as they are asked for";
            Err(check.wrong("consent.flexible", &section.flexible, allowed))
        }
    }
}

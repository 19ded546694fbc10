//! The TC string of TCF 2, read for one vendor, and held against a policy.
//!
//! ```text
//! core "." segment "." segment          segments in any order, each at most once
//!
//! core      0 version      6 created     42 updated     78 CMP           90 its version
//!         102 screen     108 language   120 GVL        132 policy       138 service-specific
//!         139 stacks     140 features   152 consent    176 interest     200 purpose one
//!         201 country    213 vendors by consent, vendors by interest, restrictions
//! segment   0 type (3): 1 disclosed vendors, 2 allowed vendors, 3 publisher's own purposes
//! ```

use super::{
    bits::{Bits, TEXT_BYTES_MAX, Unreadable},
    decision::Reason,
    policy::{CONSENT_ONLY, Policy},
    purposes::Purposes,
    vendors::{entries_hold, section_holds},
};

/// A TC string, as one vendor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcString {
    /// When it was created, in tenths of a second since 1970.
    pub created_tenths: u64,
    /// When it was updated last, in tenths of a second since 1970.
    pub updated_tenths: u64,
    /// Who updated it last: the id of a consent management platform.
    pub cmp_id: u16,
    /// The version of that platform.
    pub cmp_version: u16,
    /// The version of the Global Vendor List.
    pub vendor_list_version: u16,
    /// The version of the TCF policy.
    pub policy_version: u16,
    /// Whether it holds for one service only.
    pub is_service_specific: bool,
    /// Whether purpose 1 was not disclosed at all, as some countries have it. Who asks for
    /// purpose 1 does not get it then: what was not disclosed was not consented to.
    pub purpose_one_treatment: bool,
    /// Country of the publisher, two letters.
    pub publisher_country: [u8; 2],
    /// Purposes that the user consented to.
    pub purpose_consent: Purposes,
    /// Purposes with an established legitimate interest.
    pub purpose_interest: Purposes,
    /// Whether the user consented to the vendor.
    pub vendor_consent: bool,
    /// Whether the vendor has an established legitimate interest.
    pub vendor_interest: bool,
    /// Where the publisher restricts the vendor.
    pub restrictions: Restrictions,
    /// Whether the vendor was disclosed; nothing when the string does not say which ones were.
    pub disclosed: Option<bool>,
}

/// Purposes in which a publisher restricts a vendor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// Type 0: not allowed at all.
    pub not_allowed: Purposes,
    /// Type 1: with consent only.
    pub require_consent: Purposes,
    /// Type 2: with legitimate interest only.
    pub require_interest: Purposes,
    /// Type 3, which has no meaning yet.
    pub undefined: Purposes,
}

impl TcString {
    /// Reads a string, all of it.
    ///
    /// # Errors
    /// When it is not a whole TC string of version 2.
    pub fn read(text: &[u8], vendor: u16) -> Result<TcString, Unreadable> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let mut segments = text.split(|c| *c == b'.');
        let core = Bits::new(segments.next().unwrap_or_default())?;
        let string = read_core(core, vendor)?;
        let mut disclosed = None;
        let mut seen = [false; SEGMENT_TYPES];
        // BOUND: each type comes once.
        for segment in segments {
            let mut bits = Bits::new(segment)?;
            let kind = usize::from(bits.take_short(3)?);
            // Type 0 is the core, which is not marked as a segment; above 3 there is none.
            let seen = seen.get_mut(kind).filter(|seen| kind != 0 && !**seen);
            *seen.ok_or(Unreadable::Malformed)? = true;
            if kind == DISCLOSED_VENDORS {
                disclosed = Some(section_holds(&mut bits, vendor)?);
            }
        }
        Ok(TcString { disclosed, ..string })
    }

    /// Whether it meets a policy.
    ///
    /// # Errors
    /// Why it does not.
    pub fn meets(&self, policy: &Policy) -> Result<(), Reason> {
        if self.policy_version < POLICY_VERSION_MIN {
            return Err(Reason::TcPolicyOutdated);
        }
        match self.disclosed {
            Some(false) => return Err(Reason::VendorNotDisclosed),
            None if self.created_tenths >= DISCLOSURE_SINCE_TENTHS => {
                return Err(Reason::DisclosureMissing);
            }
            _ => {}
        }
        let (consent, interest) = self.restrictions.bases(policy)?;
        // A policy without purposes still does not go where the user refuses the vendor.
        let asks_consent = !consent.is_empty() || interest.is_empty();
        match () {
            () if asks_consent && !self.vendor_consent => Err(Reason::VendorConsent),
            () if !consent.is_within(self.purpose_consent) => Err(Reason::PurposeConsent),
            () if interest.is_empty() => Ok(()),
            () if !self.vendor_interest => Err(Reason::VendorInterest),
            () if !interest.is_within(self.purpose_interest.without(CONSENT_ONLY)) => {
                Err(Reason::PurposeInterest)
            }
            () => Ok(()),
        }
    }
}

impl Restrictions {
    /// The purposes of a policy by consent and by legitimate interest, after the publisher's word.
    /// SPEC: TCF, `RestrictionType`: a flexible purpose moves to the legal basis that is required;
    /// one that is not may not be processed unless it stands there already.
    fn bases(&self, policy: &Policy) -> Result<(Purposes, Purposes), Reason> {
        let asked = policy.consent.or(policy.interest);
        let to_interest = policy.consent.and(self.require_interest);
        let to_consent = policy.interest.and(self.require_consent);
        let moved = to_interest.or(to_consent);
        // Both legal bases at once cannot be, and what is undefined may mean anything.
        let contradicted = self.require_consent.and(self.require_interest);
        let refused = self.not_allowed.or(self.undefined).or(contradicted);
        if !asked.and(refused).is_empty() || !moved.is_within(policy.flexible) {
            return Err(Reason::PurposeRestricted);
        }
        let consent = policy.consent.without(to_interest).or(to_consent);
        let interest = policy.interest.without(to_consent).or(to_interest);
        Ok((consent, interest))
    }

    fn add(&mut self, kind: u64, purpose: Purposes) {
        let set = match kind {
            0 => &mut self.not_allowed,
            1 => &mut self.require_consent,
            2 => &mut self.require_interest,
            _ => &mut self.undefined,
        };
        *set = set.or(purpose);
    }
}

/// SPEC: TCF, "The Core String".
fn read_core(mut bits: Bits<'_>, vendor: u16) -> Result<TcString, Unreadable> {
    if bits.take(6)? != VERSION {
        return Err(Unreadable::Version);
    }
    let created_tenths = bits.take(36)?;
    let updated_tenths = bits.take(36)?;
    let cmp_id = bits.take_short(12)?;
    let cmp_version = bits.take_short(12)?;
    // The screen that the user saw, and its language.
    bits.skip(6 + 12)?;
    let vendor_list_version = bits.take_short(12)?;
    let policy_version = bits.take_short(6)?;
    let is_service_specific = bits.flag()?;
    // Own stacks, and special features: neither changes what a purpose needs.
    bits.skip(1 + 12)?;
    Ok(TcString {
        created_tenths,
        updated_tenths,
        cmp_id,
        cmp_version,
        vendor_list_version,
        policy_version,
        is_service_specific,
        purpose_consent: bits.take(24).map(Purposes::of_field)?,
        purpose_interest: bits.take(24).map(Purposes::of_field)?,
        purpose_one_treatment: bits.flag()?,
        publisher_country: [letter(bits.take(6)?), letter(bits.take(6)?)],
        vendor_consent: section_holds(&mut bits, vendor)?,
        vendor_interest: section_holds(&mut bits, vendor)?,
        restrictions: read_restrictions(&mut bits, vendor)?,
        disclosed: None,
    })
}

/// SPEC: TCF, "Publisher Restrictions Section".
fn read_restrictions(bits: &mut Bits<'_>, vendor: u16) -> Result<Restrictions, Unreadable> {
    let mut restrictions = Restrictions::default();
    // BOUND: 12 bits, and each entry takes at least 20 bits of a text that is bounded itself.
    let count = bits.take(12)?;
    for _ in 0..count {
        let purpose = bits.take(6)?;
        let kind = bits.take(2)?;
        if entries_hold(bits, vendor, u16::MAX)? {
            let purpose = u8::try_from(purpose).map_err(|_| Unreadable::Malformed)?;
            restrictions.add(kind, Purposes::one(purpose));
        }
    }
    Ok(restrictions)
}

/// SPEC: TCF: letters are numbers from `A`, which is 0. What lies behind `Z` is for people alone.
fn letter(value: u64) -> u8 {
    u8::try_from(value).ok().filter(|value| *value < 26).map_or(b'?', |value| b'A' + value)
}

const VERSION: u64 = 2;

/// SPEC: TCF 2.2: since 2023-09-30 a string of an older policy is no consent.
const POLICY_VERSION_MIN: u16 = 4;

/// SPEC: TCF 2.3: a string created since 2026-02-28, 00:00 UTC, says which vendors were disclosed.
pub const DISCLOSURE_SINCE_TENTHS: u64 = 1_772_236_800 * 10;

/// SPEC: TCF, `SegmentType`.
const SEGMENT_TYPES: usize = 4;
const DISCLOSED_VENDORS: usize = 1;

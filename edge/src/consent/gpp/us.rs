//! A section of the United States: what the user opted out of.

use super::{
    super::{
        bits::{Bits, Unreadable},
        decision::Reason,
    },
    layouts::{Field, Follows, LAYOUTS, VALUE_BITS, layout},
};

/// What the user opted out of. A field that the section does not have is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OptOuts {
    /// The sale of data.
    pub sale: Option<Choice>,
    /// The sharing of data.
    pub sharing: Option<Choice>,
    /// Targeted advertising.
    pub targeted_advertising: Option<Choice>,
    /// Global Privacy Control, if the section says whether the browser sent it.
    pub gpc: Option<bool>,
}

/// A choice of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// 0: there was nothing to choose.
    NotApplicable,
    /// 1: the user opted out.
    OptedOut,
    /// 2: the user did not.
    DidNotOptOut,
}

impl OptOuts {
    /// Reads a section, core and sub-sections.
    ///
    /// # Errors
    /// When its layout is not known, or it does not follow it.
    pub fn read(section: u16, text: &[u8]) -> Result<OptOuts, Unreadable> {
        let mut parts = text.split(|c| *c == b'.');
        let mut bits = Bits::new(parts.next().unwrap_or_default())?;
        let layout = layout(section, bits.take(VERSION_BITS)?).ok_or(Unreadable::Version)?;
        let mut found = OptOuts::default();
        for (field, count) in layout.fields {
            match field {
                Field::SaleOptOut => found.sale = Some(Choice::read(&mut bits)?),
                Field::SharingOptOut => found.sharing = Some(Choice::read(&mut bits)?),
                Field::TargetedAdvertisingOptOut => {
                    found.targeted_advertising = Some(Choice::read(&mut bits)?);
                }
                _ => bits.skip(count * VALUE_BITS)?,
            }
        }
        if let Some(part) = parts.next() {
            let bits = Bits::new(part)?;
            match layout.follows {
                Follows::Gpc => found.gpc = Some(read_gpc(bits)?),
                Follows::SensitiveData => read_sensitive_data(bits)?,
            }
        }
        // BOUND: no section has a second sub-section.
        if parts.next().is_some() { Err(Unreadable::TooLong) } else { Ok(found) }
    }

    /// Whether the user lets data be used.
    ///
    /// # Errors
    /// What the user opted out of.
    pub fn allow(&self) -> Result<(), Reason> {
        let out = Some(Choice::OptedOut);
        match () {
            () if self.sale == out => Err(Reason::SaleOptOut),
            () if self.sharing == out => Err(Reason::SharingOptOut),
            () if self.targeted_advertising == out => Err(Reason::TargetedAdvertisingOptOut),
            () if self.gpc == Some(true) => Err(Reason::GppGpc),
            () => Ok(()),
        }
    }
}

impl Choice {
    fn read(bits: &mut Bits<'_>) -> Result<Choice, Unreadable> {
        match bits.take(VALUE_BITS)? {
            0 => Ok(Choice::NotApplicable),
            1 => Ok(Choice::OptedOut),
            2 => Ok(Choice::DidNotOptOut),
            _ => Err(Unreadable::Malformed),
        }
    }
}

/// Whether a section is one of these, in whatever version.
#[must_use]
pub fn is_known(section: u16) -> bool {
    LAYOUTS.iter().any(|layout| layout.section == section)
}

/// SPEC: GPP, "GPC Sub-section".
fn read_gpc(mut bits: Bits<'_>) -> Result<bool, Unreadable> {
    if bits.take(2)? != GPC_TYPE {
        return Err(Unreadable::Malformed);
    }
    bits.flag()
}

/// SPEC: GPP, "Sensitive Data Consents Subsection": what it says concerns none of our purposes.
fn read_sensitive_data(mut bits: Bits<'_>) -> Result<(), Unreadable> {
    bits.skip(8 * VALUE_BITS)
}

/// The width of the version that a section begins with.
pub(in super::super) const VERSION_BITS: usize = 6;

const GPC_TYPE: u64 = 1;

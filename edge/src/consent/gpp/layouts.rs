//! The sections of the United States, one row for each version of each section: a version, and
//! fields of two bits one behind the other.
//!
//! SPEC: GPP, "Sections", the technical specification of each section. In it the last four
//! (Maryland, Indiana, Kentucky, Rhode Island) have a header of their own, whose list of
//! sub-sections begins with an id of 0; Fibonacci coding cannot write a 0, and the encoder of IAB
//! Tech Lab leaves the header out. So do we, and a section that begins with its own id, as that
//! header would, is of an unknown version.

use self::Field::{
    AdditionalDataProcessingConsent, KnownChildSensitiveDataConsents, MspaCoveredTransaction,
    MspaMode, MspaOptOutOptionMode, MspaServiceProviderMode, PersonalDataConsents,
    ProcessingNotice, SaleOptOut, SaleOptOutNotice, SensitiveDataLimitUseNotice,
    SensitiveDataOptOutNotice, SensitiveDataProcessing, SensitiveDataProcessingOptOutNotice,
    SharingNotice, SharingOptOut, SharingOptOutNotice, TargetedAdvertisingOptOut,
    TargetedAdvertisingOptOutNotice,
};

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the standard, which says what they mean")]
pub enum Field {
    SharingNotice,
    ProcessingNotice,
    SaleOptOutNotice,
    SharingOptOutNotice,
    TargetedAdvertisingOptOutNotice,
    SensitiveDataProcessingOptOutNotice,
    SensitiveDataOptOutNotice,
    SensitiveDataLimitUseNotice,
    SaleOptOut,
    SharingOptOut,
    TargetedAdvertisingOptOut,
    SensitiveDataProcessing,
    KnownChildSensitiveDataConsents,
    PersonalDataConsents,
    AdditionalDataProcessingConsent,
    MspaCoveredTransaction,
    MspaOptOutOptionMode,
    MspaServiceProviderMode,
    MspaMode,
}

/// Fields in their order, each with the count of its values.
pub type Fields = &'static [(Field, usize)];

/// How a section is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The id of the section.
    pub section: u16,
    /// What the standard calls it.
    pub prefix: &'static str,
    /// What its first six bits are: its version, in the last four that of the MSPA.
    pub version: u64,
    /// Its fields.
    pub fields: Fields,
    /// What may follow the core.
    pub follows: Follows,
}

/// A sub-section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Global Privacy Control: a type of two bits, which is 1, and a bit. Virginia, Utah and
    /// Florida define none, but one that comes there can mean nothing else.
    Gpc,
    /// Sensitive data, without a type: eight values.
    SensitiveData,
}

/// The layout of a version of a section, if it is known.
#[must_use]
pub fn layout(section: u16, version: u64) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.section == section && layout.version == version)
}

/// The layouts of a family: its fields, with the counts of the two that differ from state to state.
macro_rules! fields {
    (national $sensitive:literal $child:literal) => {
        &[
            (SharingNotice, 1),
            (SaleOptOutNotice, 1),
            (SharingOptOutNotice, 1),
            (TargetedAdvertisingOptOutNotice, 1),
            (SensitiveDataProcessingOptOutNotice, 1),
            (SensitiveDataLimitUseNotice, 1),
            (SaleOptOut, 1),
            (SharingOptOut, 1),
            (TargetedAdvertisingOptOut, 1),
            (SensitiveDataProcessing, $sensitive),
            (KnownChildSensitiveDataConsents, $child),
            (PersonalDataConsents, 1),
            (MspaCoveredTransaction, 1),
            (MspaOptOutOptionMode, 1),
            (MspaServiceProviderMode, 1),
        ]
    };
    (california) => {
        &[
            (SaleOptOutNotice, 1),
            (SharingOptOutNotice, 1),
            (SensitiveDataLimitUseNotice, 1),
            (SaleOptOut, 1),
            (SharingOptOut, 1),
            (SensitiveDataProcessing, 9),
            (KnownChildSensitiveDataConsents, 2),
            (PersonalDataConsents, 1),
            (MspaCoveredTransaction, 1),
            (MspaOptOutOptionMode, 1),
            (MspaServiceProviderMode, 1),
        ]
    };
    ($notice:ident $(and $other:ident)? , $sensitive:literal $child:literal $(, $more:ident)?) => {
        &[
            ($notice, 1),
            (SaleOptOutNotice, 1),
            (TargetedAdvertisingOptOutNotice, 1),
            $(($other, 1),)?
            (SaleOptOut, 1),
            (TargetedAdvertisingOptOut, 1),
            (SensitiveDataProcessing, $sensitive),
            (KnownChildSensitiveDataConsents, $child),
            $(($more, 1),)?
            (MspaCoveredTransaction, 1),
            (MspaOptOutOptionMode, 1),
            (MspaServiceProviderMode, 1),
        ]
    };
    (mspa $($child:ident)?) => {
        &[
            (MspaCoveredTransaction, 1),
            (MspaMode, 1),
            (ProcessingNotice, 1),
            (SaleOptOutNotice, 1),
            (TargetedAdvertisingOptOutNotice, 1),
            (SaleOptOut, 1),
            (TargetedAdvertisingOptOut, 1),
            $(($child, 1),)?
            (AdditionalDataProcessingConsent, 1),
        ]
    };
}

/// Most states: a notice of processing, and consent to what goes beyond the purpose.
macro_rules! processing {
    ($sensitive:literal $child:literal) => {
        fields!(ProcessingNotice, $sensitive $child, AdditionalDataProcessingConsent)
    };
}

/// All of them.
pub static LAYOUTS: [Layout; 22] = [
    row(7, "usnat", 1, fields!(national 12 2), Follows::Gpc),
    row(7, "usnat", 2, fields!(national 16 3), Follows::Gpc),
    row(8, "usca", 1, fields!(california), Follows::Gpc),
    row(9, "usva", 1, fields!(SharingNotice, 8 1), Follows::Gpc),
    row(10, "usco", 1, fields!(SharingNotice, 7 1), Follows::Gpc),
    row(11, "usut", 1, UTAH, Follows::Gpc),
    row(12, "usct", 1, fields!(SharingNotice, 8 3), Follows::Gpc),
    row(13, "usfl", 1, processing!(8 3), Follows::Gpc),
    row(14, "usmt", 1, MONTANA, Follows::Gpc),
    row(15, "usor", 1, processing!(11 3), Follows::Gpc),
    row(16, "ustx", 1, processing!(8 1), Follows::Gpc),
    row(17, "usde", 1, processing!(9 5), Follows::Gpc),
    row(18, "usia", 1, IOWA, Follows::Gpc),
    row(19, "usne", 1, processing!(8 1), Follows::Gpc),
    row(20, "usnh", 1, processing!(8 3), Follows::Gpc),
    row(21, "usnj", 1, processing!(10 5), Follows::Gpc),
    row(22, "ustn", 1, processing!(8 1), Follows::Gpc),
    row(23, "usmn", 1, processing!(8 1), Follows::Gpc),
    row(24, "usmd", 1, fields!(mspa), Follows::Gpc),
    row(25, "usin", 1, fields!(mspa KnownChildSensitiveDataConsents), Follows::SensitiveData),
    row(26, "usky", 1, fields!(mspa KnownChildSensitiveDataConsents), Follows::SensitiveData),
    row(27, "usri", 1, fields!(mspa KnownChildSensitiveDataConsents), Follows::SensitiveData),
];

const UTAH: Fields = fields!(SharingNotice and SensitiveDataProcessingOptOutNotice, 8 1);
const IOWA: Fields = fields!(ProcessingNotice and SensitiveDataOptOutNotice, 8 1);
const MONTANA: Fields = fields!(SharingNotice, 8 3, AdditionalDataProcessingConsent);

const fn row(
    section: u16,
    prefix: &'static str,
    version: u64,
    fields: Fields,
    follows: Follows,
) -> Layout {
    Layout { section, prefix, version, fields, follows }
}

/// The width of a value.
pub const VALUE_BITS: usize = 2;

//! The Global Privacy Platform: which sections a string has, where they are, and which ones apply.
//!
//! In reading order:
//!
//! - [`sections`]: the header, and the sections that it names.
//! - [`applicable`]: the list `gpp_sid`.
//! - [`layouts`]: the fields of each section of the United States, as a table.
//! - [`us`]: such a section, read by that table.
//!
//! Section 2 is a TC string and section 6 a US Privacy string, each read where it is at home.

pub mod applicable;
pub mod layouts;
pub mod sections;
pub mod us;

/// SPEC: GPP, "Section IDs": the TC string of the EU.
pub const TCF_EU: u16 = 2;

/// SPEC: GPP, "Section IDs": the header, and the integrity of the signal. They say nothing about
/// the user.
pub const WITHOUT_CHOICES: [u16; 2] = [3, 4];

/// SPEC: GPP, "Section IDs": the US Privacy string.
pub const US_PRIVACY: u16 = 6;

//! Consent: whether data of a user may be used, by whatever signals a request carries. One module
//! for all roles, so that none of them has an opinion of its own.
//!
//! In reading order:
//!
//! - [`signals`]: what a request says, as it was sent. [`policy`]: what the operator asks for.
//!   [`decision`]: what comes of it, and every reason that there is.
//! - [`mod@decide`]: which signals apply, which one wins over another, and what they lead to.
//! - [`tcf`], [`us_privacy`], [`gpp`]: the formats. They stand on [`bits`], [`purposes`] and
//!   `vendors`.
//! - [`cache`]: the decider of a shard, which decides once for each combination of strings.
//! - [`mod@explain`]: all of that for a person, and [`verb`], which a person calls.
//!
//! Invariants: any bytes lead to a decision; what cannot be read denies; deciding allocates
//! nothing, and its work is bounded by the longest text that is read.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod signals;

pub mod policy;

pub mod decision;

pub mod decide;

pub mod tcf;

pub mod us_privacy;

pub mod gpp;

pub mod bits;
pub mod purposes;
mod vendors;

pub mod cache;

pub mod explain;

pub mod verb;

#[cfg(test)]
mod tests;

pub use cache::Decider;
pub use decide::decide;
pub use decision::{Decision, Reason, Verdict};
pub use explain::explain;
pub use policy::{Absent, Policy};
pub use purposes::Purposes;
pub use signals::Signals;

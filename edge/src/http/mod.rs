//! HTTP/1.1 as a server speaks it: heads, bodies, answers. Pure; SPEC: RFC 9110 and RFC 9112.
//!
//! In reading order: [`error`] (what is refused, and with which status), [`head`] (one request
//! head), [`chunked`] (a body in chunks), [`answer`] (what goes back), [`date`].
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod answer;
pub mod chunked;
pub mod date;
pub mod error;
pub mod head;

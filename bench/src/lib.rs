//! Load whose latencies can be believed: open loop, measured from the moment a request was due.
//!
//! A closed loop waits for one answer before it sends the next request, so a server that stalls is
//! asked less while it stalls, and its tail disappears from the figures. Here requests are due at a
//! constant rate whatever the answers do, and the time that one waits for a free connection counts.
//!
//! In reading order: [`drive`] is the loop, one thread that never sleeps; `client` is one
//! connection; [`record`] keeps histograms, and tells windows in which the generator itself was
//! late from the others.
#![forbid(unsafe_code)]

pub mod drive;
pub mod record;

mod client;

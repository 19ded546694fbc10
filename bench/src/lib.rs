//! Load whose latencies can be believed: open loop, measured from the moment a request was due.
//!
//! A closed loop waits for one answer before it sends the next request, so a server that stalls is
//! asked less while it stalls, and its tail disappears from the figures. Here requests are due when
//! a schedule says so, whatever the answers do, and the time that one waits for a free connection
//! counts.
//!
//! ```text
//!  schedule (when due) ─┐
//!  scenario (what asked)├─▶ drive: a pinned, busy thread per core ─▶ record (histograms, windows)
//!  policy (connections) ┘                                              │ merged, never averaged
//!                                                                      ▼
//!                                                               report::Report
//! ```
//!
//! In reading order:
//!
//! - [`schedule`]: when requests are due. [`random`] is where chance comes from,
//!   and [`cores`] where threads go.
//! - [`scenario`]: what is asked, and which answers are right. [`policy`]: how connections are
//!   used.
//! - [`drive`]: the loop that ties these together.
//! - [`record`]: histograms, and which windows the generator itself did not spoil; [`exchange`]:
//!   what an exchange would have seen.
//! - [`report`]: what is saved and shown. [`environment`]: where it was measured.
//! - [`responder`]: servers of known conduct. [`server`]: what a server's threads spend.
//!   [`process`]: servers that are started and ended. [`load`]: the same load for several of them.
//! - A module for each verb: [`run`], [`compare`], [`peers`], [`selftest`], [`capacity`],
//!   [`gen_table`]; [`verb`] is what they do alike.
#![forbid(unsafe_code)]

pub mod cores;
pub mod random;
pub mod schedule;

pub mod policy;
pub mod scenario;

pub mod drive;

pub mod exchange;
pub mod record;

pub mod environment;
pub mod report;

pub mod responder;
pub mod server;

pub mod verb;

pub mod run;

pub mod load;
pub mod process;

pub mod compare;
pub mod peers;
pub mod selftest;

pub mod capacity;

pub mod gen_table;

#[cfg(test)]
mod synthetic;

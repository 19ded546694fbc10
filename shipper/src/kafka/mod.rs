//! Sealed frames become batches of a topic, untouched: 61 bytes in front, and no event is decoded.
//!
//! In reading order:
//!
//! - [`config`]: the cluster, as it is configured.
//! - [`lineage`]: how events are numbered, so that a batch that is sent twice stands once.
//! - `lane`: one stream on its way to its partition. Pure. `faults`: what error codes mean.
//! - `link`, `tls`, `sasl`: one connection. `cluster`: brokers, topics, producer ids; `contact`:
//!   when they are asked for.
//! - `produce`: one request with batches. `pipes`: connections to the leaders, and what is under
//!   way on them.
//! - `room`: which frames find room in the sink. [`sink`]: the loop that ties all of it together.
//! - [`transaction`]: the other way, with transactions; it has a loop of its own.
//! - [`reader`]: a topic read back, for audits. [`options`]: the cluster on a command line.
//!
//! ```text
//!  notices ─▶ lanes ─▶ reads ─▶ produce ─▶ acknowledged ─▶ advance (durable) ─▶ forgotten
//!               │ lineage (durable) before the first batch
//! ```
//!
//! Invariants: of a stream never more than five batches are with the broker and not durably behind
//! the sink, for a broker remembers five. Nothing is dropped: what a cluster does not take waits in
//! the spool. A cluster that is away, slow, or refuses us holds up this sink and no other.

pub mod config;
pub mod lineage;
pub mod options;
pub mod reader;
pub mod sink;
pub mod transaction;

mod cluster;
mod contact;
mod faults;
mod lane;
mod link;
mod pipes;
mod produce;
mod room;
mod sasl;
mod tls;

pub use tls::{Tls, TlsError};

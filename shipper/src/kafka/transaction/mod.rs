//! Strict mode: what goes to topics, and how far each stream is, in one transaction.
//!
//! In reading order:
//!
//! - [`streams`]: what waits, what goes next, and what is committed. Pure. [`numbers`]: how batches
//!   of an epoch are numbered. Pure.
//! - [`position`]: how far the streams are, as a record of the topic of positions.
//! - [`place`]: whose transactions they are, and where. [`coordinator`]: who keeps them.
//!   [`session`]: one epoch of the edge's producer: opened, which is the one way back, and used.
//!   [`fault`]: why it is over.
//! - [`sink`]: the loop that ties them together.
//!
//! ```text
//!  open: metadata ─▶ coordinator ─▶ InitProducerId ─▶ positions ─▶ streams go on behind them
//!    ▲                                                                 │
//!    └── anything else ── gather ─▶ read ─▶ produce, position ─▶ EndTxn ─▶ advance (durable)
//! ```
//!
//! Invariants: a frame counts as delivered when its transaction is committed, and never before.
//! Nothing is sent again within an epoch: after any doubt a new one is opened, and what the topic
//! of positions says decides what goes again. A start that is fenced sends nothing more and keeps
//! all that it has.

mod streams;

mod numbers;

pub mod position;

mod place;

mod coordinator;
mod fault;
mod session;

mod sink;

pub(super) use sink::{applies, run};

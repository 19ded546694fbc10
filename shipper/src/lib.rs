//! From a shard's ring to the cluster: the spool, and the sinks that deliver from it.
//!
//! In reading order, which is the way of a batch:
//!
//! - [`intake`]: the rings between a shard and the spool.
//! - [`spool`]: the log of record on local disk. [`disk`] is its seam to the hardware.
//! - [`sink`]: what every sink has.
//! - [`objects`]: sealed frames become Parquet objects, each one conditional PUT.
//! - [`kafka`]: sealed frames become batches of a topic, untouched.
//! - [`config`]: where objects and batches go, as a person writes it.
//! - [`downlink`]: the other way, tables that the cluster has made, from a store to local disk.
//! - [`audit`]: whether an hour was delivered whole. [`sync`]: from one store to another.
//! - [`inspect`]: a spool looked at from outside. [`ddl`]: its objects as tables of Hive and Spark.
//! - [`drain`]: what a dead box has left, delivered.
//! - [`secret`]: what is read from files of one's own and never printed.
//! - [`threads`]: where the threads of the appliance run.
//! - [`counter`], [`alarms`]: what every part counts, and what an operator must look at.
//! - [`backoff`]: how long to wait between tries on what fails.
//! - [`steps`]: where a test lets the process die.
//!
//! Invariants: every promise starts at *accepted*, which is a completed group commit. Nothing is
//! dropped by a sink: what cannot be delivered waits in the spool. A slow disk or a dead store may
//! make the spool grow; neither ever makes a shard late.

pub mod alarms;
pub mod audit;
pub mod backoff;
pub mod config;
pub mod counter;
pub mod ddl;
pub mod disk;
pub mod downlink;
pub mod drain;
pub mod inspect;
pub mod intake;
pub mod kafka;
pub mod objects;
#[cfg(test)]
mod sample;
pub mod secret;
pub mod sink;
pub mod spool;
pub mod steps;
pub mod sync;
pub mod threads;

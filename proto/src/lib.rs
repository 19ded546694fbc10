//! What Brink says, and in which bytes: the event schema, its encoder, batches and frames.
//!
//! In reading order, which is the order of an event's life:
//!
//! - [`ids`]: names, sequences, times; the newtypes that every crate shares.
//! - [`schema`]: the columns of each topic, made from `events.proto`.
//! - [`text`]: what a client sent, turned into valid, bounded UTF-8 without a copy.
//! - [`wire`]: the protobuf wire format, just as much as events need.
//! - [`event`]: one event written from borrowed parts, no allocation.
//! - [`kafka`]: events as Kafka v2 records, and the 61 bytes that make them a RecordBatch.
//! - [`frame`]: a sealed batch as it lies in the spool.
//! - [`table`]: the way back: what the cluster has learnt about users.
//!
//! Invariants: nothing here does I/O, allocates on the encoding path, or can panic on any input.
//! Every format has a byte picture beside its code, golden bytes in `tests/`, and a version.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod ids;
pub mod schema;
pub mod text;
pub mod wire;

pub mod event;
pub mod kafka;

pub mod frame;

pub mod table;

mod rows;

pub use rows::*;

/// `events.proto` as a Protobuf `FileDescriptorSet`, comments and all: for consumers that decode
/// without generated code, such as Spark's `from_protobuf`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/events.desc"));

/// The messages of `events.proto` as prost decodes them: for consumers and for tests.
pub mod decoded {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/brink.v1.rs"));
}

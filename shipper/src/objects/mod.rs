//! Sealed frames become Parquet objects, each made exactly once.
//!
//! In reading order:
//!
//! - [`key`]: what an object is called, and what makes two objects the same.
//! - [`plan`]: which frames become which object. Pure.
//! - [`encode`]: the encoder thread, rows into Parquet. [`footer`]: what an object says of itself.
//! - [`credentials`]: the secrets of a store, from a file. [`store`]: one conditional PUT, and what
//!   to make of its answer. [`hdfs`]: one that is HDFS. `budget`: how many requests a second.
//! - [`options`]: where a store is, as a command line says it.
//! - [`readback`]: objects as a consumer sees them.
//! - [`manifest`]: what tells of the objects of an hour. `lists`: when one is due. Pure.
//!   `watch`: the time of day as they believe it.
//! - [`sink`]: the loop that ties them together.

pub mod credentials;
pub mod encode;
pub mod footer;
pub mod hdfs;
pub mod key;
pub mod manifest;
pub mod options;
pub mod plan;
pub mod readback;
pub mod sink;
pub mod store;

mod budget;
mod lists;
mod watch;

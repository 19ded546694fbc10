//! The appliance: io_uring shards that answer exchanges and browsers, and what surrounds them.
//!
//! In reading order, which is the way of a request and then of a process:
//!
//! - [`clock`]: one clock, and the time of day that events carry.
//! - [`ring`]: how a shard talks to the kernel; the one place with unsafe code.
//! - [`http`], [`conn`]: bytes into requests, answers into bytes. Pure.
//! - [`consent`]: what a user allows. Pure. [`table`]: what the cluster knows of users:
//!   built, published, and looked into.
//! - [`roles`]: what a listener answers. Pure.
//! - [`tap`]: events into batches.
//! - [`shard`]: the loop that ties these together, one per core.
//! - [`config`], [`appliance`], [`admin`]: what is to be, what runs, what can be seen.
//! - [`doctor`], [`exit`], [`logging`], `demo`: what a person meets.
//!
//! Invariants: a shard shares nothing, allocates nothing and waits for nobody. A request is
//! answered in the turn it is read in, or it waits for at most one turn of others. An event has a
//! sequence only if there is room for it.

pub mod clock;

pub mod ring;

pub mod http;

pub mod conn;

pub mod consent;
pub mod table;

pub mod roles;

pub mod tap;

pub mod shard;

pub mod config;

pub mod appliance;

pub mod admin;

pub mod doctor;
pub mod exit;
pub mod logging;

#[cfg(feature = "demo")]
pub mod demo;

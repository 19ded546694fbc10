//! What the tests stand on: a simulated world, and real processes.
//!
//! - [`sim`]: ring, disk and clock without hardware: a shard, its tap and a spool run under virtual time,
//!   with faults, from one seed.
//! - [`process`]: the real `edge` in a folder of its own, on ports of the kernel's choice.
//! - [`http`]: a plain client that sends bytes as it is told to.
#![forbid(unsafe_code)]

pub mod http;
pub mod process;
pub mod sim;

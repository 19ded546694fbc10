//! What a droplet is good for: profiles as data, the host as it is, and the plan that follows.
//!
//! In reading order:
//!
//! - [`profile`]: `profiles/*.toml`, checked. Read by `edge` and by `tune` alike.
//! - [`host`]: the cores that this process may use, its quota, and whose interrupts they carry.
//! - [`cores`]: which core serves and which does the rest. Pure.
//! - [`memory`]: how much memory a profile takes, line by line.
#![forbid(unsafe_code)]

pub mod cores;
pub mod host;
pub mod memory;
pub mod profile;

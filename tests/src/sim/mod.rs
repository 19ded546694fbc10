//! A world without hardware, run from a seed: the same seed is the same run, to the last byte.
//!
//! ```text
//!  clients ⇄ SimRing ⇄ Shard ─ Tap ─ rtrb ─▶ Spool ⇄ SimDisk
//!                     SimClock ────────────────┴── faults, crashes
//! ```

pub mod clock;
pub mod disk;
pub mod executor;
pub mod fault;
pub mod network;
pub mod random;
pub mod ring;
pub mod spool;
pub mod world;

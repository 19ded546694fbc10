//! Segment tables: in memory, and how they get there.
//!
//! In reading order: [`arena`] (memory for one), [`load`] (a file into it), [`handover`] (how shards
//! get one and give it back).

pub mod arena;
pub mod handover;
pub mod load;

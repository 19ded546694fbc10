//! Segment tables as files and in memory: what the cluster has learnt about users.
//!
//! `brink_proto::table` has the format and the reader; this is what one does with whole tables.
//! In reading order:
//!
//! - [`build`]: from rows of any order to a table, in bounded memory.
//! - [`inspect`]: what a table file holds, and whether it is sound.
//! - [`publish`]: a table into the store that appliances watch.
//! - [`arena`]: memory for one; [`load`]: a file into it; [`handover`]: how shards get one and give
//!   the one before back.
//! - [`verb`]: `edge table`, what a person says to these.

pub mod build;
pub mod inspect;
pub mod publish;

pub mod arena;
pub mod handover;
pub mod load;

pub mod verb;

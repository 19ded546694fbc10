//! The borrowed row of each topic, made from `events.proto` by `build/rows.rs`.

use crate::{
    event::Row,
    schema::{self, Schema},
    text::Text,
    wire::{self, Writer},
};

include!(concat!(env!("OUT_DIR"), "/rows.rs"));

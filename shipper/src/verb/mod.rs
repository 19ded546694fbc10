//! What all verbs do alike: how they end, and how they tell what they found.

pub(crate) mod audit;
pub(crate) mod ddl;
pub(crate) mod descriptors;
pub(crate) mod drain;
pub(crate) mod inspect;
pub(crate) mod verify;

use serde::Serialize;
use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

/// Something is damaged.
const DAMAGED: u8 = 1;

/// The command line makes no sense, as clap ends as well, or nothing can be read.
const UNREADABLE: u8 = 2;

/// Says why nothing can be said.
fn fail(verb: &str, error: &dyn Display) -> ExitCode {
    eprintln!("shipper {verb}: {error}");
    ExitCode::from(UNREADABLE)
}

/// Prints what was found, as JSON or as text. Whoever reads it may have read enough.
fn show(found: &(impl Serialize + Display), json: bool) {
    let text = match json {
        true => serde_json::json!(found).to_string() + "\n",
        false => found.to_string(),
    };
    print(&text);
}

fn print(text: &str) {
    // A pipe that was closed is nobody's error.
    let _ = io::stdout().write_all(text.as_bytes());
}

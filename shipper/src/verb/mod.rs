//! What all verbs do alike: how they end, and how they tell what they found.

pub(crate) mod audit;
pub(crate) mod ddl;
pub(crate) mod descriptors;
pub(crate) mod drain;
pub(crate) mod inspect;
pub(crate) mod sync;
pub(crate) mod verify;

use brink_proto::ids::{Hour, Name};
use brink_shipper::objects::{
    manifest::read_hour,
    options::S3Options,
    store::{STORE_URLS, Store, StoreConfig},
};
use serde::Serialize;
use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
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

/// How often progress of long work is told.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// When progress was told last.
struct Telling(Instant);

impl Telling {
    fn start() -> Telling {
        Telling(Instant::now())
    }

    /// Tells progress on standard error, if it is time again.
    fn tell(&mut self, progress: impl FnOnce() -> String) {
        if self.0.elapsed() >= TOLD_EVERY {
            self.0 = Instant::now();
            eprintln!("{}", progress());
        }
    }
}

fn print(text: &str) {
    // A pipe that was closed is nobody's error.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Opens a store that an option names.
fn open_store(option: &str, url: &str, s3: &S3Options) -> Result<Store, String> {
    let config = s3.store(url);
    let config = config.ok_or_else(|| format!("{option} is {url:?}; allowed: {STORE_URLS}"))?;
    if let StoreConfig::Folder(path) = &config
        && !path.is_dir()
    {
        return Err(format!("there is no folder {}", path.display()));
    }
    Store::open(&config).map_err(|error| format!("{option}: {error}"))
}

/// Reads what `--hour` says.
fn hour(text: &str) -> Result<Hour, String> {
    read_hour(text).ok_or_else(|| format!("--hour is {text:?}; allowed: as 2026-11-23T07"))
}

/// Reads the name of a topic or of an edge.
fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|_| format!("{text:?} is no name: 1 to 32 of a-z, 0-9 and _"))
}

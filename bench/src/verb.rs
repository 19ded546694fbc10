//! What all verbs do alike: how they are ended, how they end, and how they tell what they found.

use clap::ValueEnum;
use serde::Serialize;
use signal_hook::{consts, flag};
use std::{
    fs, io,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::SystemTime,
};

/// Exit code when the machine kept the generator from its turn too often for latencies to mean
/// something.
pub const NOT_MEASURABLE: u8 = 3;

/// A flag that Ctrl-C and SIGTERM set; a second one ends the process.
///
/// # Errors
/// When signals cannot be handled.
pub fn stopped_by_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [consts::SIGINT, consts::SIGTERM] {
        flag::register_conditional_shutdown(signal, 130, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

/// Writes what was found into a folder, if there is to be one, and prints it: as JSON, or as text.
///
/// # Errors
/// Those of the verb, when it cannot be written.
pub fn show<E: From<serde_json::Error> + From<io::Error>>(
    found: &impl Serialize,
    file: Option<(&Path, &str)>,
    json: bool,
    text: impl FnOnce() -> String,
) -> Result<(), E> {
    let encoded = serde_json::to_string_pretty(found)?;
    if let Some((folder, name)) = file {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(name), encoded.as_bytes())?;
    }
    if json {
        println!("{encoded}");
    } else {
        print!("{}", text());
    }
    Ok(())
}

/// What a value is called on the command line.
pub(crate) fn name_of(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Now, in milliseconds of Unix time.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}

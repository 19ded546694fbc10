//! `edge table build`: from rows of any order to a table, in bounded memory.
//!
//! ```text
//!  input ─▶ lines ─▶ rows ─▶ 256 partitions by the first byte of the key    pass 1, threads
//!                      └───▶ dictionary of codes ─▶ ranks
//!  partition ─▶ sorted ─▶ users, merged ─▶ records ─▶ FILE.partial          pass 2, threads
//!                                     └──▶ keys and places, in order
//!  keys and places ─▶ groups of buckets ─▶ FILE.partial                     pass 3
//!  header ─▶ FILE.partial, synced, renamed to FILE
//! ```
//!
//! What is between the passes lies in files without a name, which the kernel forgets with the
//! process however it ends. Partitions are by the key's first bits, so that partition order is key
//! order and key order is group order: each pass writes from front to back. Nothing in the result
//! depends on the order of rows or on the number of threads: users are sorted by key, codes by
//! their bytes, and what is given twice is settled by what is higher, not by what comes later.

mod buckets;
mod dictionary;
mod error;
mod input;
mod output;
mod partition;
mod progress;
mod rows;
mod users;

use brink_proto::table::{Header, write};
use dictionary::Dictionary;
use input::{Format, Source};
use output::{Output, scratch_file};
use partition::Partitions;
use progress::Progress;
use serde::Serialize;
use std::{
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

pub use error::BuildError;

/// What can be said on the command line.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  edge table build --input users.ndjson --output users.table
  zcat users.csv.gz | edge table build --input - --format csv --output users.table
  edge table build --input users.parquet --output users.table --scratch /mnt/scratch --threads 2

docs/tables.md says what rows look like.")]
pub struct BuildOptions {
    /// Rows: a file, or - for standard input.
    #[arg(long)]
    pub input: PathBuf,
    /// The table file. It is there when it is whole, and not before.
    #[arg(long)]
    pub output: PathBuf,
    /// What the rows are written in; otherwise the name or the first byte says so.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Threads that read rows and sort users; as many as there are cores, unless said otherwise.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// A folder for what is between the passes: about as much as the table. Otherwise beside it.
    #[arg(long)]
    pub scratch: Option<PathBuf>,
    /// Memory that is made use of, in MiB.
    #[arg(long, default_value_t = MEMORY_MIB, value_parser = clap::value_parser!(u32).range(64..))]
    pub memory_mib: u32,
    /// Rows that may be bad and are left out; the first one more ends the build.
    #[arg(long, default_value_t = 0)]
    pub skip_bad: u64,
    /// Prints the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

impl BuildOptions {
    /// An input for an output, and nothing special.
    #[must_use]
    pub fn new(input: PathBuf, output: &Path) -> BuildOptions {
        BuildOptions {
            input,
            output: output.to_owned(),
            format: None,
            threads: None,
            scratch: None,
            memory_mib: MEMORY_MIB,
            skip_bad: 0,
            json: false,
        }
    }

    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get).min(64);
        self.threads.map_or_else(cores, usize::from)
    }

    /// How many bytes of rows a thread of pass 2 may hold: beside them it has their keys and the
    /// records made of them, and as much again waits to be written.
    fn rows_bytes_max(&self) -> u64 {
        let share = (u64::from(self.memory_mib) << 20) / (4 * self.threads() as u64);
        share.clamp(4096, 1 << 30)
    }
}

/// Memory that is made use of, when nothing is said.
const MEMORY_MIB: u32 = 1024;

/// What was built.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Rows that were read, without bad ones.
    pub rows: u64,
    /// Users in the table.
    pub users: u64,
    /// Their segments.
    pub segments: u64,
    /// Different segments.
    pub codes: u32,
    /// Segments that were given again for a user.
    pub duplicates: u64,
    /// Rows that were left out.
    pub bad_rows: u64,
    /// The first few of them, and what is wrong there.
    pub bad_first: Vec<String>,
    /// Size of the table.
    pub bytes: u64,
    /// Per user.
    pub bytes_per_user: f64,
    /// How long it took.
    pub seconds: f64,
    /// Users per second.
    pub users_per_second: f64,
}

/// Builds a table; `stop` ends it early.
///
/// # Errors
/// [`BuildError`]: there is no new file then, and one of that name is as it was.
pub fn build(options: &BuildOptions, stop: &AtomicBool) -> Result<Summary, BuildError> {
    let started = Instant::now();
    let mut progress = Progress::new();
    let source = Source::open(&options.input, options.format)?;
    let mut output = Output::create(&options.output)?;
    let folder = options.scratch.as_deref().unwrap_or_else(|| output.folder());
    let partitions = Partitions::create(folder)?;
    let places = scratch_file(folder)?;

    let dictionary = Dictionary::default();
    let read = rows::read(
        source,
        &rows::Sink { partitions: &partitions, dictionary: &dictionary },
        options,
        &mut progress,
        stop,
    )?;
    let (texts, ranks) = dictionary.into_ranks();

    output.begin_section()?;
    output.write(&write::codes(texts.iter().map(|text| &**text))?)?;
    let codes = output.section();
    output.begin_section()?;
    let plan = users::Plan {
        partitions: &partitions,
        ranks: &ranks,
        threads: options.threads(),
        rows_bytes_max: options.rows_bytes_max(),
    };
    let merged = users::write(&plan, &mut output, &places, &mut progress, stop)?;
    let records = output.section();
    output.begin_section()?;
    let groups = buckets::write(&places, merged.users, &mut output, &mut progress, stop)?;
    let buckets = output.section();

    let header = Header {
        file_bytes: output.at(),
        users: merged.users,
        segments: merged.segments,
        codes: texts.len() as u32,
        groups,
        sections: [codes, records, buckets],
    };
    check(stop)?;
    output.finish(&header)?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Summary {
        rows: read.rows,
        users: header.users,
        segments: header.segments,
        codes: header.codes,
        duplicates: merged.duplicates,
        bad_rows: read.bad_rows,
        bad_first: read.bad_first,
        bytes: header.file_bytes,
        bytes_per_user: header.file_bytes as f64 / header.users.max(1) as f64,
        seconds,
        users_per_second: header.users as f64 / seconds,
    })
}

/// Whether somebody wants it to end.
fn check(stop: &AtomicBool) -> Result<(), BuildError> {
    // ORDER: nothing else is read behind it.
    if stop.load(Ordering::Relaxed) { Err(BuildError::Interrupted) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

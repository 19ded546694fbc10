//! How fast the log takes frames, and how fast they become objects:
//! `cargo bench -p brink-shipper --bench spool -- write` (or `encode`, `leave`).
//!
//! The real spool thread, the real disk, the real rings; a thread on another core stands in for the
//! shards. [`rows`] makes what they would hand over, [`write`] hands it over and follows as a sink
//! would, [`disk`] is what the disk itself takes, [`encode`] turns what lies there into Parquet.
//! Times vary with the machine and its neighbours: what holds is CPU time, and the disk's own
//! figure of the same minute.

mod disk;
mod encode;
mod rows;
mod spooling;
mod thread_time;
mod write;

use brink_proto::ids::Name;
use brink_shipper::spool::identity::{Claim, SpoolFolder};
use clap::{Parser, Subcommand};
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Parser)]
#[command(about = "How fast the log takes frames, and how fast they become objects")]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Said by `cargo bench`.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Hands batches over as fast as they are taken, and says how fast that is.
    Write(write::WriteOptions),
    /// Makes objects of what `leave` has left, and says what that costs.
    Encode(encode::EncodeOptions),
    /// Leaves a backlog in a spool, as an edge that could not deliver would.
    Leave(write::LeaveOptions),
}

/// The spool that is worked on.
#[derive(clap::Args)]
struct Place {
    /// Its folder.
    #[arg(long)]
    folder: PathBuf,
    /// The edge whose it is.
    #[arg(long, default_value = "bench")]
    edge: String,
    /// The core of the spool's thread.
    #[arg(long, default_value_t = 1)]
    spool_cpu: usize,
    /// The core of whatever stands on the other side.
    #[arg(long, default_value_t = 0)]
    other_cpu: usize,
    /// Size of a segment.
    #[arg(long, default_value_t = 64)]
    segment_mib: u32,
}

impl Place {
    /// Takes the folder.
    fn open(&self) -> Result<SpoolFolder, Box<dyn Error>> {
        Ok(SpoolFolder::open(Path::new(&self.folder), Name::new(&self.edge)?, Claim::Refuse)?)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.verb {
        Some(_) if cfg!(debug_assertions) => {
            Err("this code is not optimised; use `cargo bench`".into())
        }
        Some(Verb::Write(options)) => write::write(options),
        Some(Verb::Encode(options)) => encode::encode(options),
        Some(Verb::Leave(options)) => write::leave(options),
        None => {
            println!("spool: nothing is measured but by a verb: write, encode, leave");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spool: {error}");
            ExitCode::FAILURE
        }
    }
}

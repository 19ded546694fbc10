//! `shipper inspect`: what a spool holds.

use super::{fail, show};
use brink_shipper::inspect::{Depth, survey};
use std::{path::PathBuf, process::ExitCode};

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Nothing is written and no lock is taken: it may run beside the appliance.

Examples:
  shipper inspect --spool /var/lib/brink-edge/spool
  shipper inspect --spool brink-data/spool --json | jq '.sinks[].pending'

Exit codes: 0 told; 2 the command line makes no sense, or the spool cannot be read.")]
pub(crate) struct InspectOptions {
    /// The spool's folder.
    #[arg(long)]
    spool: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &InspectOptions) -> ExitCode {
    match survey(&options.spool, Depth::Headers, &mut |_| {}) {
        Ok(seen) => {
            show(&seen, options.json);
            ExitCode::SUCCESS
        }
        Err(error) => fail("inspect", &error),
    }
}

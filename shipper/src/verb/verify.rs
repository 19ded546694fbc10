//! `shipper verify`: whether a spool is sound.

use super::{DAMAGED, Telling, fail, show};
use brink_shipper::inspect::{Depth, Progress, survey};
use std::{path::PathBuf, process::ExitCode};

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Reads every payload; progress of long work is told on standard error.
Nothing is written and no lock is taken: it may run beside the appliance. A torn tail is what a
crash leaves, and no damage.

Examples:
  shipper verify --spool /var/lib/brink-edge/spool
  shipper verify --spool brink-data/spool --json | jq '.faults'

Exit codes: 0 sound; 1 damaged; 2 the command line makes no sense, or the spool cannot be read.")]
pub(crate) struct VerifyOptions {
    /// The spool's folder.
    #[arg(long)]
    spool: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &VerifyOptions) -> ExitCode {
    let mut telling = Telling::start();
    let mut tell = |progress: &Progress| {
        let Progress { segments, of_segments, payloads, bytes } = progress;
        let mib = bytes >> 20;
        telling.tell(|| {
            format!("{segments} of {of_segments} segments, {payloads} payloads, {mib} MiB")
        });
    };
    match survey(&options.spool, Depth::Payloads, &mut tell) {
        Ok(seen) => {
            show(&seen, options.json);
            if seen.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
        }
        Err(error) => fail("verify", &error),
    }
}

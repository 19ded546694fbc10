//! `shipper drain`: a dead box's volume, delivered.

use super::{DAMAGED, fail, show};
use brink_shipper::{
    config::Destinations,
    drain::{Progress, drain},
};
use std::{io, path::PathBuf, process::ExitCode};
use tracing_subscriber::filter::LevelFilter;

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Delivers all that the spool holds, to the store and to the cluster of the configuration, under the name
and the numbers that it has; segments that are delivered are removed. Of the configuration, [objects] and
[kafka] are read; its relative paths are relative to here. What fails is tried again for ever. It may be
ended at any moment, also by kill -9: the same command goes on.

Examples:
  shipper drain --spool /mnt/dead-box/spool --config /etc/brink/edge.toml
  shipper drain --spool /mnt/dead-box/spool --config edge.toml --without kafka

Exit codes: 0 every sink has all; 1 every sink is done, and events are quarantined: corrupt, missing, or refused
for good; 2 the command line makes no sense, the spool is in use or cannot be used, or a thread was lost;
3 stopped by a signal before the end."
)]
pub(crate) struct DrainOptions {
    /// The spool's folder. It is locked, and has to be on a disk that can be written.
    #[arg(long)]
    spool: PathBuf,
    /// Its second folder, if it has one and that is not where it was.
    #[arg(long, value_name = "DIR")]
    second: Option<PathBuf>,
    /// The configuration of the appliance, or of one that delivers to the same places.
    #[arg(long)]
    config: PathBuf,
    /// A sink that the configuration does not know: what waits for it is given up.
    #[arg(long, value_name = "SINK")]
    without: Vec<String>,
    /// Prints JSON at the end.
    #[arg(long)]
    json: bool,
}

/// It was stopped before the end.
const STOPPED: u8 = 3;

pub(crate) fn run(options: &DrainOptions) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(LevelFilter::WARN)
        .with_target(false)
        .with_ansi(false)
        .init();
    let to = match Destinations::read(&options.config) {
        Ok(to) => to,
        Err(error) => return fail("drain", &error),
    };
    let mut tell = |progress: &Progress| eprintln!("{progress}");
    match drain(&options.spool, options.second.as_deref(), &to, &options.without, &mut tell) {
        Ok(drained) => {
            show(&drained, options.json);
            match (drained.stopped, drained.quarantined()) {
                (true, _) => ExitCode::from(STOPPED),
                (false, 0) => ExitCode::SUCCESS,
                (false, _) => ExitCode::from(DAMAGED),
            }
        }
        Err(error) => fail("drain", &error),
    }
}

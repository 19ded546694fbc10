//! `edge table`: what a person says, and is told.

use super::{
    build::{self, BuildError, BuildOptions, Summary},
    inspect::{self, InspectError, InspectOptions},
    publish::{self, PublishFault, PublishOptions},
};
use crate::exit::{self, Exit, Exits};
use signal_hook::{consts, flag};
use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

/// What can be done with tables.
#[derive(Debug, clap::Subcommand)]
pub enum TableVerb {
    /// Builds a table from rows of users and their segments.
    Build(BuildOptions),
    /// Publishes a table for the appliances that watch a store.
    Publish(PublishOptions),
    /// Shows what a table holds and whether it is sound, or what it holds of one user.
    Inspect(InspectOptions),
}

/// Runs one of them.
#[must_use]
pub fn run(verb: TableVerb) -> Exit {
    match verb {
        TableVerb::Build(options) => run_build(&options),
        TableVerb::Publish(options) => run_publish(&options),
        TableVerb::Inspect(options) => run_inspect(&options),
    }
}

fn run_build(options: &BuildOptions) -> Exit {
    let stop = match stopped_by_signals() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("edge table: signals cannot be handled: {error}");
            return exit::SYSTEM;
        }
    };
    match build::build(options, &stop) {
        Ok(summary) if options.json => println!("{}", serde_json::json!(summary)),
        Ok(summary) => print_summary(&summary, options),
        Err(error) => return exit::fail("edge table", &error),
    }
    exit::OK
}

/// A flag that Ctrl-C and SIGTERM set; a second one ends the process.
fn stopped_by_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [consts::SIGINT, consts::SIGTERM] {
        flag::register_conditional_shutdown(signal, exit::TABLE.code.into(), stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

fn print_summary(summary: &Summary, options: &BuildOptions) {
    let Summary { users, segments, codes, duplicates, bytes, .. } = summary;
    summary.bad_first.iter().for_each(|bad| eprintln!("left out: {bad}"));
    println!("{}", options.output.display());
    println!("  users        {users:>14}");
    println!("  segments     {segments:>14}   {codes} different ones");
    println!("  duplicates   {duplicates:>14}   given again for the same user");
    println!("  bad rows     {:>14}   of {}", summary.bad_rows, summary.rows + summary.bad_rows);
    println!("  bytes        {bytes:>14}   {:.1} a user", summary.bytes_per_user);
    let (seconds, rate) = (summary.seconds, summary.users_per_second);
    println!("  seconds      {seconds:>14.1}   {rate:.0} users/s");
}

fn run_inspect(options: &InspectOptions) -> Exit {
    match inspect::inspect(options) {
        Ok(seen) => {
            if options.json {
                println!("{}", serde_json::json!(seen));
            } else {
                seen.print();
            }
            seen.exit()
        }
        Err(error) => exit::fail("edge table", &error),
    }
}

fn run_publish(options: &PublishOptions) -> Exit {
    match publish::run(options) {
        Ok(manifest) if options.json => print!("{}", manifest.text()),
        Ok(manifest) => {
            println!("version {} is announced", manifest.version);
            println!("  users        {:>14}", manifest.users);
            println!("  segments     {:>14}", manifest.segments);
            println!("  bytes        {:>14}", manifest.bytes);
        }
        Err(error) => return exit::fail("edge table", &error),
    }
    exit::OK
}

impl Exits for PublishFault {
    fn exit(&self) -> Exit {
        match self {
            PublishFault::Url(_) => exit::USAGE,
            PublishFault::System(_) => exit::SYSTEM,
            _ => exit::TABLE,
        }
    }
}

impl Exits for BuildError {
    fn exit(&self) -> Exit {
        exit::TABLE
    }
}

impl Exits for InspectError {
    fn exit(&self) -> Exit {
        match self {
            InspectError::User(_) => exit::USAGE,
            InspectError::File { .. } | InspectError::Table { .. } => exit::TABLE,
        }
    }
}

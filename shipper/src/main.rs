//! `shipper`: looks at what an appliance keeps and delivers, delivers what a dead one left, and
//! copies from store to store.
//! Each verb lives in a file of its own.

mod verb;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use verb::{audit, ddl, descriptors, drain, inspect, sync, verify};

/// Looks at what an appliance keeps and delivers, delivers what a dead one has kept, and copies
/// from store to store.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  shipper inspect --spool /var/lib/brink-edge/spool
  shipper verify --spool /var/lib/brink-edge/spool --json
  shipper audit --store s3://impressions/edge --hour 2026-11-23T07 --roster fleet.txt
  shipper drain --spool /mnt/dead-box/spool --config /etc/brink/edge.toml
  shipper sync hdfs://namenode:8020/brink s3://impressions/edge --hour 2026-11-23T07
  shipper ddl --dialect spark --location s3a://impressions/edge

Exit codes: 0 done, sound, or whole; 1 damaged, or not whole; 2 the command line makes no sense, or nothing can be
read; 3 a drain was stopped before its end."
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Shows what a spool holds: whose it is, segments, streams, and how far each sink is.
    Inspect(inspect::InspectOptions),
    /// Reads all of a spool and says whether it is sound.
    Verify(verify::VerifyOptions),
    /// Says whether an hour was delivered whole.
    Audit(Box<audit::AuditOptions>),
    /// Copies to a store what it does not have of another one, and proves that nothing is missing.
    Sync(sync::SyncOptions),
    /// Prints the statements that make tables of delivered objects in Hive or Spark.
    Ddl(ddl::DdlOptions),
    /// Delivers what a dead box's spool holds.
    Drain(drain::DrainOptions),
    /// Writes what consumers of Kafka decode events with.
    Descriptors(descriptors::DescriptorsOptions),
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Inspect(options) => inspect::run(&options),
        Verb::Verify(options) => verify::run(&options),
        Verb::Audit(options) => audit::run(&options),
        Verb::Sync(options) => sync::run(&options),
        Verb::Ddl(options) => ddl::run(&options),
        Verb::Drain(options) => drain::run(&options),
        Verb::Descriptors(options) => descriptors::run(&options),
    }
}

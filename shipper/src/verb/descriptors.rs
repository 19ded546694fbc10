//! `shipper descriptors`: the events' definition, for those who decode without generated code.

use super::fail;
use brink_proto::DESCRIPTORS;
use std::{fs, path::PathBuf, process::ExitCode};

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  shipper descriptors --output events.desc
  # in Spark:  from_protobuf(value, \"brink.v1.Impression\", descFilePath=\"events.desc\")

Exit codes: 0 written; 2 the file cannot be written.")]
pub(crate) struct DescriptorsOptions {
    /// The file, a Protobuf FileDescriptorSet.
    #[arg(long)]
    output: PathBuf,
}

pub(crate) fn run(options: &DescriptorsOptions) -> ExitCode {
    match fs::write(&options.output, DESCRIPTORS) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail("descriptors", &format!("cannot write {}: {error}", options.output.display()))
        }
    }
}

//! `bench`: open-loop load, for people and for machines. Each verb lives in a module of its own.

use brink_bench::{
    capacity::{self, CapacityOptions},
    compare::{self, CompareOptions},
    gen_table::{self, GenTableOptions},
    peers::{self, PeersOptions},
    report::remake::{self, RemakeOptions},
    run::{self, RunOptions},
    selftest::{self, SelftestOptions},
};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Open-loop load: latency from the moment a request was due.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:\n  bench run --url http://127.0.0.1:8083/i.gif\n  \
                  bench run --scenario pixel --url http://127.0.0.1:8083 --rate 20000 --cpu 1 --out pixel\n  \
                  bench run --scenario exchange --url http://127.0.0.1:8081 --ladder --cpu 1"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Sends requests when they are due, and reports latencies.
    Run(Box<RunOptions>),
    /// Holds two servers, or two saved reports, against each other.
    Compare(Box<CompareOptions>),
    /// Makes the files of a saved report again: the page, the interval log, the percentiles.
    Report(RemakeOptions),
    /// Measures the appliance beside what somebody would take instead.
    Peers(Box<PeersOptions>),
    /// Plans machines, bytes and dollars a month from a saved report.
    Capacity(CapacityOptions),
    /// Makes what a segment table is built from.
    GenTable(GenTableOptions),
    /// Tests whether this program measures rightly on this machine.
    Selftest(SelftestOptions),
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Run(options) => run::run(&options),
        Verb::Compare(options) => compare::run(&options),
        Verb::Report(options) => remake::run(&options),
        Verb::Peers(options) => peers::run(&options),
        Verb::Capacity(options) => capacity::run(&options),
        Verb::GenTable(options) => gen_table::run(&options),
        Verb::Selftest(options) => selftest::run(&options),
    }
}

//! `edge`: the appliance. See the library for what it is made of.

use brink_shipper::{
    spool::identity::{self, Claim, SpoolFolder},
    steps,
};
use brink_tuning::{host::Host, memory, profile};
use clap::{Parser, Subcommand};
use edge::{
    appliance::{Appliance, StartOptions},
    config::{self, EdgeConfig, tables::tables_bytes_max},
    consent::verb::{self as consent, ConsentVerb},
    doctor,
    exit::{self, Exit, fail},
    logging,
    roles::Roles,
    table::verb::{self as table, TableVerb},
};
use std::{path::PathBuf, process::ExitCode};

/// A low-latency edge appliance for ad-tech: answers in time, and tells what it answered.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "Examples:
  edge demo
  edge check --config edge/config/local.toml
  edge serve --config /etc/brink/edge.toml
  edge doctor --config /etc/brink/edge.toml
  edge consent explain 1YNN
  edge identity show --config /etc/brink/edge.toml
  edge table build --input users.ndjson --output users.table

Exit codes are listed in docs/operating.md.";

#[derive(Subcommand)]
enum Verb {
    /// Serves until SIGTERM or SIGINT, and stops in order.
    Serve(ConfigFile),
    /// Starts the appliance on 127.0.0.1, drives it, and checks that nothing was lost.
    #[cfg(feature = "demo")]
    Demo(edge::demo::DemoOptions),
    /// Checks a configuration and prints what it comes to: addresses, cores, memory.
    Check(ConfigFile),
    /// Looks at this machine: io_uring, limits, cores and interrupts, and what each lack costs.
    Doctor {
        /// A configuration, for its profile and its spool's disk.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explains consent strings.
    Consent {
        #[command(subcommand)]
        verb: ConsentVerb,
    },
    /// Shows whose the spool is, or says what becomes of one that another machine wrote.
    Identity {
        #[command(subcommand)]
        verb: IdentityVerb,
    },
    /// Builds segment tables, and looks at them.
    Table {
        #[command(subcommand)]
        verb: TableVerb,
    },
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum IdentityVerb {
    /// Shows the spool's edge, its latest start, and whether it is this machine's.
    Show(ConfigFile),
    /// This machine is a clone: sets the backlog aside, which the original delivers.
    Reset(ConfigFile),
    /// The disk moved here, or the edge was renamed: takes the spool over, backlog and all.
    Adopt(ConfigFile),
}

fn main() -> ExitCode {
    let exit = match Arguments::parse().verb {
        Verb::Serve(file) => serve(&file),
        #[cfg(feature = "demo")]
        Verb::Demo(options) => edge::demo::run(&options),
        Verb::Check(file) => check(&file),
        Verb::Doctor { config, json } => run_doctor(config, json),
        Verb::Consent { verb } => consent::run(&verb),
        Verb::Identity { verb } => run_identity(verb),
        Verb::Table { verb } => table::run(verb),
    };
    exit.into()
}

fn read(file: &ConfigFile) -> Result<EdgeConfig, Exit> {
    config::resolve(&file.config, &Roles::standard(), &Host::look()).map_err(|e| fail("edge", &e))
}

fn serve(file: &ConfigFile) -> Exit {
    let config = match read(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Err(text) = logging::start(&config.log) {
        eprintln!("edge: {}: log.level: {text}", file.config.display());
        return exit::CONFIG;
    }
    if let Ok(at) = std::env::var(steps::VARIABLE) {
        match steps::die_at(&at) {
            Ok(step) => tracing::warn!(step = step.label(), "this process is to kill itself"),
            Err(text) => {
                eprintln!("edge: {} {text}", steps::VARIABLE);
                return exit::USAGE;
            }
        }
    }
    let roles = Roles::standard();
    let appliance = match Appliance::start(config, &roles, StartOptions { signals: true }) {
        Ok(appliance) => appliance,
        Err(error) => return fail("edge", &error),
    };
    let board = appliance.board();
    for (name, address) in &board.listening {
        tracing::info!(listener = name, %address, "listening");
    }
    let (incarnation, recovered) = (board.incarnation.0, board.recovery.segments);
    tracing::info!(admin = %board.admin, incarnation, recovered, "ready");
    match appliance.run().lost_thread {
        Some(_) => exit::LOST_THREAD,
        None => exit::OK,
    }
}

fn check(file: &ConfigFile) -> Exit {
    let config = match read(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    println!(
        "edge {}, profile {}, configuration {}",
        config.edge, config.profile.name, config.hash
    );
    for l in &config.listeners {
        println!(
            "  {:<12} {:<10} {}  at most {} connections",
            l.name, l.role, l.address, l.connections_max
        );
    }
    println!("  {:<12} {:<10} {}", "admin", "", config.admin);
    let cores = &config.cores;
    println!(
        "\nshards on cores {:?}, the rest on {:?}, spin {:?}",
        cores.shards, cores.rest, cores.spin
    );
    cores.notes.iter().for_each(|note| println!("  note: {note}"));
    println!(
        "\nspool {}: segments of {} MiB, at most {} MiB",
        config.spool.path.display(),
        config.spool.segment_bytes >> 20,
        config.spool.quota_bytes >> 20
    );
    if let Some(kafka) = &config.kafka {
        let made = if kafka.topics.create { "made where they are not there" } else { "expected" };
        println!("kafka {}: topics {}…, {made}", kafka.brokers.join(", "), kafka.topic_prefix);
    }
    if let Some(tables) = &config.tables {
        let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
        println!("\nsegment tables of at most {}; on a machine of", mib(tables.bytes_max));
        for profile in profile::all().unwrap_or_default() {
            let most = tables_bytes_max(profile.memory_mib);
            println!("  {:<14} {:>6} MiB: {:>10}", profile.name, profile.memory_mib, mib(most));
        }
    }
    println!("\nmemory at most");
    for line in &config.memory {
        println!("  {:<30} {:>8.1} MiB", line.what, line.bytes as f64 / f64::from(1 << 20));
    }
    let total = memory::total(&config.memory) as f64 / f64::from(1 << 20);
    println!("  {:<30} {total:>8.1} MiB", "together");
    println!("\nthe configuration can be used");
    exit::OK
}

fn run_doctor(config: Option<PathBuf>, json: bool) -> Exit {
    let config = match config.map(|config| read(&ConfigFile { config })).transpose() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let visit = doctor::visit(config.as_ref());
    if json {
        println!("{}", serde_json::json!(visit));
    } else {
        visit.print();
    }
    visit.exit()
}

fn run_identity(verb: IdentityVerb) -> Exit {
    let (file, claim) = match verb {
        IdentityVerb::Show(file) => return show_identity(&file),
        IdentityVerb::Reset(file) => (file, Claim::Reset),
        IdentityVerb::Adopt(file) => (file, Claim::Adopt),
    };
    let config = match read(&file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let second = config.spool.second_path.as_deref();
    let folder = SpoolFolder::open(&config.spool.path, config.edge, claim);
    match folder.and_then(|folder| folder.with_second(second, claim)) {
        Ok(folder) => {
            println!(
                "the spool {} is edge {}'s on this machine now",
                folder.path.display(),
                folder.edge
            );
            exit::OK
        }
        Err(error) => fail("edge", &error),
    }
}

fn show_identity(file: &ConfigFile) -> Exit {
    let config = match read(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let path = config.spool.path.display();
    match identity::read(&config.spool.path) {
        Ok(None) => {
            println!("the spool {path} does not exist yet; `edge serve` makes it");
            exit::OK
        }
        Ok(Some(found)) => {
            println!("spool        {path}");
            println!("edge         {} (the configuration says {})", found.edge, config.edge);
            println!("incarnation  {}", found.incarnation);
            let here = identity::is_this_machine(&found);
            println!("machine      {}", if here { "this one" } else { "another one" });
            if here && found.edge == config.edge.as_str() { exit::OK } else { exit::IDENTITY }
        }
        Err(error) => fail("edge", &error),
    }
}

//! `tune`: droplet profiles, as data for people and for machines.

use brink_tuning::{
    cores,
    host::Host,
    memory::{self, Load},
    profile::{self, Profile, ProfileError},
};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Droplet profiles: how many of everything a machine of a size should have.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:\n  tune list\n  tune show s-2vcpu-2gb\n  tune show c-8 --json"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Lists the profiles.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows one profile, its memory table, and which cores it would use on this host.
    Show {
        /// The profile's name.
        profile: String,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::List { json } => list(json),
        Verb::Show { profile, json } => show(&profile, json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tune: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list(json: bool) -> Result<(), ProfileError> {
    let all = profile::all()?;
    if json {
        println!("{}", serde_json::json!(all));
        return Ok(());
    }
    println!("{:<14} {:>5} {:>10}  about", "profile", "vCPUs", "memory");
    for p in all {
        println!("{:<14} {:>5} {:>6} MiB  {}", p.name, p.vcpus, p.memory_mib, p.about);
    }
    Ok(())
}

/// One topic and one sink, as the pixel has them.
const LOAD: Load = Load { shards: 1, topics: 1, sinks: 1 };

fn show(name: &str, json: bool) -> Result<(), ProfileError> {
    let profile = profile::by_name(name)?;
    let host = Host::look();
    let plan = cores::plan(&host, &profile.cores);
    let shards = (profile.vcpus as u64 - 1).max(1);
    let table = memory::table(&profile, Load { shards, ..LOAD });
    if json {
        let all = serde_json::json!({ "profile": profile, "memory": table, "cores_here": plan });
        println!("{all}");
        return Ok(());
    }
    print_settings(&profile);
    println!("\nmemory at most, with {shards} shard(s), one topic and one sink:");
    for line in &table {
        println!("  {:<30} {:>8.1} MiB", line.what, mib(line.bytes));
    }
    println!("  {:<30} {:>8.1} MiB", "together", mib(memory::total(&table)));
    println!("\ncores on this host ({}):", host.kernel);
    println!("  shards on {:?}, the rest on {:?}, spin {:?}", plan.shards, plan.rest, plan.spin);
    plan.notes.iter().for_each(|note| println!("  note: {note}"));
    Ok(())
}

fn print_settings(profile: &Profile) {
    println!("{}: {}", profile.name, profile.about);
    println!("made for {} vCPU(s) and {} MiB\n", profile.vcpus, profile.memory_mib);
    match toml::to_string(profile) {
        Ok(text) => text.lines().skip(4).for_each(|line| println!("  {line}")),
        Err(error) => eprintln!("tune: the profile cannot be printed: {error}"),
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

//! `fuzz`: the bodies of `brink_tests::fuzz` against made inputs, on any toolchain.

use brink_tests::fuzz::{
    TARGETS, Target,
    run::{Broken, Until, attempt, run},
    target,
    watch::Watch,
};
use clap::Parser;
use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Tries made inputs against a parser until one breaks it.
#[derive(Parser)]
#[command(
    name = "fuzz",
    after_help = "Examples:\n  fuzz http_head --seconds 30\n  fuzz --all --seconds 3 --seed 7\n  \
                  fuzz http_head --replay target/fuzz/http_head-0123456789abcdef\n\n\
                  Exit codes: 0 nothing broke, 1 an input broke a target, 2 the command line makes \
                  no sense."
)]
struct Arguments {
    /// Targets; `--list` names them.
    #[arg(required_unless_present_any = ["all", "list"])]
    targets: Vec<String>,
    /// All targets, one after the other.
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Lists the targets and what must hold in each.
    #[arg(long)]
    list: bool,
    /// How long each target is tried.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many inputs each target gets, whatever time that takes: always the same ones for a seed.
    #[arg(long, conflicts_with = "seconds")]
    inputs: Option<u64>,
    /// What inputs are made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tries the input in this file, once, and nothing else.
    #[arg(long, conflicts_with_all = ["all", "seconds", "inputs", "seed"])]
    replay: Option<PathBuf>,
    /// Writes the inputs that a target begins with into this folder, for another fuzzer.
    #[arg(long, conflicts_with_all = ["all", "seconds", "inputs", "seed", "replay"])]
    seeds: Option<PathBuf>,
    /// Where inputs go that break a target.
    #[arg(long, default_value = "target/fuzz")]
    into: PathBuf,
    /// Writes each input to this file before it is tried: for inputs that end the process.
    #[arg(long)]
    trace: Option<PathBuf>,
}

/// No input takes longer.
const LONGEST: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match fuzz(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("fuzz: {text}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing broke.
fn fuzz(arguments: &Arguments) -> Result<bool, String> {
    if arguments.list {
        TARGETS.iter().for_each(|target| println!("{:<16} {}", target.name, target.about));
        return Ok(true);
    }
    let named = arguments.targets.iter().map(|name| {
        target(name).ok_or_else(|| format!("there is no target {name:?}; `fuzz --list` names them"))
    });
    let mut targets = named.collect::<Result<Vec<_>, _>>()?;
    if arguments.all {
        targets.extend(&TARGETS);
    }
    let mut clean = true;
    for target in targets {
        clean &= match (&arguments.seeds, &arguments.replay) {
            (Some(folder), _) => write_seeds(target, folder)?,
            (None, Some(file)) => replay(target, file)?,
            (None, None) => search(target, arguments)?,
        };
    }
    Ok(clean)
}

fn write_seeds(target: &Target, folder: &Path) -> Result<bool, String> {
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let seeds = (target.seeds)();
        let mut numbered = seeds.iter().enumerate();
        numbered.try_for_each(|(at, seed)| fs::write(folder.join(format!("seed-{at}")), seed))
    };
    write().map_err(|e| format!("cannot write seeds into {}: {e}", folder.display()))?;
    Ok(true)
}

fn replay(target: &Target, file: &Path) -> Result<bool, String> {
    let input = fs::read(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    match attempt(target, &input) {
        Ok(()) => println!("{}: {} bytes, nothing breaks", target.name, input.len()),
        Err(message) => {
            println!("{}: {} bytes: {message}\n{}", target.name, input.len(), input.escape_ascii());
            return Ok(false);
        }
    }
    Ok(true)
}

fn search(target: &'static Target, arguments: &Arguments) -> Result<bool, String> {
    let into = arguments.into.clone();
    let watch = Watch::begin(LONGEST, move |input| {
        let message = format!("it takes longer than {} s", LONGEST.as_secs());
        let written = report(target, &Broken { input: input.to_vec(), message }, &into);
        written.unwrap_or_else(|text| eprintln!("fuzz: {text}"));
        std::process::exit(1);
    });
    let until = match arguments.inputs {
        Some(inputs) => Until::Inputs(inputs),
        None => Until::Elapsed(Duration::from_secs(arguments.seconds)),
    };
    let failed = RefCell::new(None);
    let done = run(target, arguments.seed, until, |input| {
        watch.see(input);
        if let Some(file) = &arguments.trace
            && let Err(error) = fs::write(file, input)
        {
            failed.replace(Some(format!("cannot write {}: {error}", file.display())));
        }
    });
    drop(watch);
    let seconds = done.elapsed.as_secs_f64();
    println!(
        "{:<16} {:>9} inputs in {seconds:>6.1} s, {:>8.0}/s, seed {}, {:>4} kept: {}",
        target.name,
        done.inputs,
        done.inputs as f64 / seconds.max(0.001),
        arguments.seed,
        done.kept,
        if done.broken.is_some() { "BROKEN" } else { "nothing breaks" }
    );
    if let Some(broken) = &done.broken {
        report(target, broken, &arguments.into)?;
    }
    failed.take().map_or(Ok(done.broken.is_none()), Err)
}

/// Writes an input to a file of its own, and says how to try it again.
fn report(target: &Target, broken: &Broken, into: &Path) -> Result<(), String> {
    let digest = u64::from(crc32c::crc32c(&broken.input)) << 32 | broken.input.len() as u64;
    let file = into.join(format!("{}-{digest:016x}", target.name));
    let written: io::Result<()> =
        fs::create_dir_all(into).and_then(|()| fs::write(&file, &broken.input));
    written.map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    println!("\n{}\n\ninput: {}", broken.message, broken.input.escape_ascii());
    println!("again: fuzz {} --replay {}\n", target.name, file.display());
    Ok(())
}

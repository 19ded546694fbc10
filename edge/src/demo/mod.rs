//! `edge demo`: the whole appliance on 127.0.0.1, driven and then checked, in one command.
//!
//! ```text
//!  segment table ─▶ start ─▶ 64 connections, 5,000 requests/s, 10 s ─▶ latencies
//!                                                                        │
//!                       objects read back ◀─ ledger ◀─ stop ◀────────────┘
//! ```
//!
//! One half is browsers that ask for pixels, the other an exchange that asks for users' segments.
//! Each request carries a nonce. The demo succeeds if the nonces in the objects are those that were
//! answered, the sequences have no gap, and the ledger adds up.

mod check;
mod script;
mod table;

use crate::{
    appliance::{Appliance, Board, StartOptions, ledger::Ledger},
    config::{EdgeConfig, resolve_text},
    exit::{self, Exit},
    logging,
    roles::Roles,
};
use brink_bench::{
    drive::{self, Drive, Lane, Seat, Watch},
    report::{Quantiles, Round},
    schedule::Arrivals,
};
use brink_shipper::objects::store::StoreConfig;
use brink_tuning::host::Host;
use check::Checked;
use script::{Asker, Script};
use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

/// What can be said on the command line.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// Seconds to drive.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Requests per second.
    #[arg(long, default_value_t = 5000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1000))]
    connections: u64,
    /// Users in the segment table, which is made by the first demo.
    #[arg(long, default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    users: u64,
    /// Keeps serving afterwards, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// The demo's configuration: that of edge/config/local.toml, with two changes.
const LOCAL: &str = include_str!("../../config/local.toml");

/// Objects are made often enough to be looked at.
const OBJECT_AGE: Duration = Duration::from_secs(5);

/// Runs the demo.
#[must_use]
pub fn run(options: &DemoOptions) -> Exit {
    let roles = Roles::standard();
    let host = Host::look();
    let config = match config(&roles, &host) {
        Ok(config) => config,
        Err(error) => return exit::fail("edge demo", &error),
    };
    if let Err(text) = logging::start(&config.log) {
        eprintln!("edge: {text}");
    }
    if let Some(tables) = &config.tables
        && let Err(error) = table::publish(tables, options.users)
    {
        eprintln!("edge demo: {error}");
        return exit::FAILED;
    }
    let appliance = match Appliance::start(config, &roles, StartOptions { signals: options.keep }) {
        Ok(appliance) => appliance,
        Err(error) => return exit::fail("edge demo", &error),
    };
    let board = appliance.board().clone();
    announce(&board, options);
    if !await_ready(&board) {
        eprintln!("edge demo: no table is served after {} s", READY_MAX.as_secs());
        let _ = appliance.stop();
        return exit::FAILED;
    }
    let driven = match drive(&board, &host, options) {
        Ok(driven) => driven,
        Err(text) => {
            eprintln!("edge demo: {text}");
            let _ = appliance.stop();
            return exit::FAILED;
        }
    };
    print_latencies(&driven.round);
    let (ledger, kept) = if options.keep {
        await_delivery(&board);
        (Ledger::read(&board), Some(appliance))
    } else {
        (appliance.stop().ledger, None)
    };
    let exit = conclude(&board, &driven, &ledger);
    if let Some(appliance) = kept {
        println!("\nserving on, until Ctrl-C");
        let ended = appliance.run();
        return if ended.lost_thread.is_some() { exit::LOST_THREAD } else { exit };
    }
    exit
}

fn config(roles: &Roles, host: &Host) -> Result<EdgeConfig, crate::config::ConfigError> {
    // On cores of its own a shard spins, as it would on a droplet; what shares them does not.
    let text = LOCAL.replacen("spin = \"off\"", "", 1);
    let mut config = resolve_text(Path::new("edge/config/local.toml"), &text, roles, host)?;
    config.roll.age_max = OBJECT_AGE;
    config.drain.grace = Duration::ZERO;
    config.log.level = "warn".to_owned();
    Ok(config)
}

/// How long the first table may take from the disk into memory.
const READY_MAX: Duration = Duration::from_secs(60);

fn await_ready(board: &Board) -> bool {
    let until = Instant::now() + READY_MAX;
    while !board.is_ready() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    board.is_ready()
}

fn announce(board: &Board, options: &DemoOptions) {
    let cores = &board.config.cores;
    println!("brink demo: edge {:?}, profile {}", board.config.edge, board.config.profile.name);
    for (name, address) in &board.listening {
        println!("  {name:<8} http://{address}");
    }
    println!("  {:<8} http://{}  (/status, /metrics)", "admin", board.admin);
    println!(
        "  shards on cores {:?}, the rest on {:?}, spin {:?}",
        cores.shards, cores.rest, cores.spin
    );
    println!(
        "\ndriving {} connections at {} requests/s for {} s, open loop",
        options.connections, options.rate, options.seconds
    );
}

/// What the driver did.
struct Driven {
    round: Round,
    scripts: Vec<Script>,
    fault: Option<String>,
}

/// Drives from a core that no shard has.
fn drive(board: &Board, host: &Host, options: &DemoOptions) -> Result<Driven, String> {
    let cores = &board.config.cores;
    let free = |cpu: &&usize| !cores.shards.contains(cpu) && !cores.rest.contains(cpu);
    let cpu = host.cores.iter().find(free).or(cores.rest.first()).copied();
    let askers =
        [("pixel", Asker::Browser), ("provider", Asker::Exchange { users: options.users })];
    let mut lanes = Vec::new();
    for (at, (listener, _)) in askers.iter().enumerate() {
        let (_, address) = board.listening.iter().find(|(name, _)| name == listener).ok_or("?")?;
        let half = |whole: u64| (whole + at as u64) / 2;
        let arrivals = Arrivals::Constant { rate: half(options.rate).max(1) as f64 };
        let connections = half(options.connections).max(1) as usize;
        lanes.push(Lane { address: *address, arrivals, connections });
    }
    let first = lanes[0].clone();
    let drive = Drive {
        lanes,
        duration: Duration::from_secs(options.seconds),
        warmup: Duration::ZERO,
        cpus: if host.cores.len() > 1 { cpu.into_iter().collect() } else { Vec::new() },
        ..Drive::new(first.address, first.arrivals)
    };
    let script = |seat: Seat| {
        Script::new(askers[seat.lane].1, board.incarnation, options.rate * options.seconds)
    };
    let mut show = |elapsed: Duration, answered: u64| {
        println!("  {:>3} s  {answered} answered", elapsed.as_secs());
    };
    let mut watch = Watch { stop: &AtomicBool::new(false), progress: Some(&mut show) };
    let outcome = drive::run(&drive, script, &mut watch).map_err(|e| e.to_string())?;
    Ok(Driven { round: outcome.round, scripts: outcome.scenarios, fault: outcome.fault })
}

fn print_latencies(round: &Round) {
    println!(
        "\n{:<24} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "latency, µs", "p50", "p90", "p99", "p99.9", "max"
    );
    let line = |name: &str, q: &Quantiles| {
        println!(
            "{name:<24} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>9.1}",
            q.p50, q.p90, q.p99, q.p999, q.max
        );
    };
    line("from when it was due", &round.intended.quantiles);
    line("  in valid windows", &round.valid.quantiles);
    println!(
        "valid windows {} of {} (the driver itself was at most 100 µs late)",
        round.windows_valid(),
        round.windows.len()
    );
    let counts = &round.counts;
    println!(
        "\nanswered {} of {}, wrong {}, broken {}, timeouts {}",
        counts.answered, counts.due, counts.wrong, counts.broken, counts.timeouts
    );
}

/// Waits until every event of the drive is in an object.
fn await_delivery(board: &Board) {
    let until = Instant::now() + OBJECT_AGE + Duration::from_secs(20);
    let pending = || Ledger::read(board).faults(true);
    while !pending().is_empty() && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
}

fn conclude(board: &Board, driven: &Driven, ledger: &Ledger) -> Exit {
    for script in driven.scripts.iter().filter(|s| s.asker != Asker::Browser) {
        let (with, all) = (script.with_segments, script.answered());
        println!("segments for {with} of {all} users that the exchange asked for\n");
        // A table that knows everybody and is asked in vain is not the one that was made.
        if with == 0 {
            println!("FAULT: nobody was found in the table");
            return exit::FAILED;
        }
    }
    println!("accepted {}", ledger.accepted());
    print_ledger(ledger);
    let mut faults = ledger.faults(true);
    if !driven.round.counts.is_clean() {
        faults.push("not every request was answered rightly".to_owned());
        faults.extend(driven.fault.clone());
    }
    let StoreConfig::Folder(folder) = &board.config.store else {
        eprintln!("edge demo: objects are not in a folder");
        return exit::FAILED;
    };
    println!("\nobjects below {}", folder.display());
    for script in &driven.scripts {
        match check::objects(folder, board, script) {
            Ok(checked) => {
                print_objects(folder, &checked);
                faults.extend(checked.faults);
            }
            Err(error) => faults.push(error.to_string()),
        }
    }
    for fault in &faults {
        println!("FAULT: {fault}");
    }
    if !faults.is_empty() {
        return exit::FAILED;
    }
    println!("\nthe rows are exactly the requests that were answered; sequences have no gap");
    exit::OK
}

fn print_ledger(ledger: &Ledger) {
    println!("\nledger");
    for s in &ledger.streams {
        let shed: u64 = s.shed.values().sum();
        println!(
            "  {} shard {}: offered {} = emitted {} + shed {shed}; accepted {}",
            s.topic, s.shard, s.offered, s.emitted, s.accepted
        );
    }
    for (name, s) in &ledger.sinks {
        let quarantined: u64 = s.quarantined.values().sum();
        println!(
            "  sink {name}: backlog {} + accepted {} = delivered {} + pending {} + quarantined {quarantined}",
            s.backlog, s.accepted, s.delivered, s.pending
        );
    }
}

fn print_objects(folder: &Path, checked: &Checked) {
    for object in &checked.objects {
        let path: &PathBuf = &object.path;
        let shown = path.strip_prefix(folder).unwrap_or(path).display();
        println!("  {shown}  {} rows, {} bytes", object.rows, object.bytes);
    }
}

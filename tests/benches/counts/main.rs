//! Instructions that a shard's own code takes for one request, held against `counts.toml`:
//! `cargo bench -p brink-tests --bench counts`.
//!
//! Times vary with the machine and with its neighbours; instructions hardly do, so a request that
//! has become dearer is seen in a change of three percent. What is counted is the whole of
//! `Shard::turn`: completions, parsing, the role, the answer, the event into its batch, deadlines,
//! and each batch's closing and handing over, shared out among its requests.
//!
//! Not counted, and why:
//! - what is behind the ring's `enter`: here it is a stand-in for the kernel (`belt.rs`);
//! - zstd: it picks its code by the processor and is compiled by whatever C compiler is there;
//! - libc: its copies and comparisons are picked by the processor too.
//!
//! The last two are printed beside the counts. The counts hold for optimised code of one compiler:
//! another one may well take some percent more or less, and then the file is recorded anew.

mod belt;
mod callgrind;
mod exchange;
mod scenario;

#[path = "../../../edge/benches/browsers/mod.rs"]
mod browsers;

use callgrind::{Counted, Instructions};
use scenario::{SCENARIOS, Scenario};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// How much dearer a request may be than it was recorded, in percent.
const MARGIN_PERCENT: f64 = 3.0;

const REMEDY: &str = "\
If the change is worth it, or the compiler is another one, record the counts anew and say why in
the commit: cargo bench -p brink-tests --bench counts -- --record
To see where they go, run this binary under callgrind and read what callgrind_annotate says:
valgrind --tool=callgrind --toggle-collect='*measured_turn*' BINARY --run NAME";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["--run", name] => run(name),
        ["--record", ..] => measure().and_then(|counts| record(&counts)),
        ["--bench"] => measure().and_then(|counts| compare(&counts)),
        _ => {
            println!("counts: nothing is counted but by `cargo bench`, with optimised code");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("counts: {text}");
            ExitCode::FAILURE
        }
    }
}

/// What runs under valgrind; says how many requests were answered.
fn run(name: &str) -> Result<(), String> {
    let scenario = Scenario::by_name(name).ok_or(format!("no scenario {name:?}"))?;
    println!("{}", scenario.run());
    Ok(())
}

/// What one request costs, in instructions.
struct Count {
    scenario: Scenario,
    own: f64,
    libraries: f64,
    zstd: f64,
}

fn measure() -> Result<Vec<Count>, String> {
    if cfg!(debug_assertions) {
        return Err("this code is not optimised; use `cargo bench`".to_owned());
    }
    SCENARIOS.into_iter().map(count).collect()
}

fn count(scenario: Scenario) -> Result<Count, String> {
    let what = Counted { function: "measured_turn", but: "stand_in_for_the_kernel" };
    let (counted, answered) = callgrind::count(scenario.name, &what)?;
    let requests: f64 = answered.trim().parse().map_err(|e| format!("{answered:?}: {e}"))?;
    let per_request = |instructions: u64| instructions as f64 / requests;
    let Instructions { rust, c, libraries } = counted;
    if rust == 0 {
        return Err(format!("{}: callgrind has not found {}", scenario.name, what.function));
    }
    Ok(Count {
        scenario,
        own: per_request(rust),
        libraries: per_request(libraries),
        zstd: per_request(c),
    })
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/counts/counts.toml")
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output();
    let text = version.map(|v| String::from_utf8_lossy(&v.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "an unknown compiler".to_owned())
}

fn record(counts: &[Count]) -> Result<(), String> {
    let mut text = format!(
        "# Instructions of a shard's own code for one request; main.rs says what is counted.\n\
         # Written by: cargo bench -p brink-tests --bench counts -- --record\n\
         compiler = \"{}\"\n\n[instructions]\n",
        compiler()
    );
    for Count { scenario, own, .. } in counts {
        text += &format!("# {}\n{} = {own:.0}\n", scenario.about, scenario.name);
    }
    let file = file();
    fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
    println!("{} is written", file.display());
    compare(counts)
}

/// Prints the counts beside the recorded ones, and fails when one is dearer.
fn compare(counts: &[Count]) -> Result<(), String> {
    let file = file();
    let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let recorded: toml::Table =
        toml::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    let bound = |name: &str| recorded.get("instructions")?.get(name)?.as_integer();
    println!("instructions per request");
    println!("{:<16}{:>10}{:>10}{:>10}{:>8}{:>8}", "", "recorded", "own", "", "libc", "zstd");
    let mut dearer = Vec::new();
    for Count { scenario, own, libraries, zstd } in counts {
        let name = scenario.name;
        let bound = bound(name).ok_or(format!("{} has no {name}", file.display()))? as f64;
        let percent = (own / bound - 1.0) * 100.0;
        println!("{name:<16}{bound:>10}{own:>10.0}{percent:>+9.1}%{libraries:>8.0}{zstd:>8.0}");
        if percent > MARGIN_PERCENT {
            dearer.push(name);
        } else if percent < -MARGIN_PERCENT {
            println!("  cheaper than recorded: record it, so that it stays so");
        }
    }
    if dearer.is_empty() {
        return Ok(());
    }
    let was = recorded.get("compiler").and_then(|c| c.as_str()).unwrap_or("another compiler");
    Err(format!(
        "{} takes over {MARGIN_PERCENT} % more instructions than recorded.\n\
         Recorded with {was}, this is {}.\n{REMEDY}",
        dearer.join(", "),
        compiler()
    ))
}

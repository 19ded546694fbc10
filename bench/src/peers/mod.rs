//! `bench peers`: the appliance beside what somebody would take instead.
//!
//! ```text
//!  for each layout (who has which core):
//!      correctness of each peer ─▶ who fails is named and left out
//!      edge ─ nginx ─ hyper ─ … ─ … ─ hyper ─ nginx ─ edge ─ …     each started anew, alone
//!      ─▶ side ─▶ verdicts of edge and each other ─▶ table
//!      the floor as fast as it goes ─▶ what the generator itself costs
//! ```
//!
//! All answer the same pixel with as many bytes, on the same core, under the same load. They log
//! what they would log in production; who logs nothing is called the floor.

pub mod correctness;
pub mod layout;
pub mod peer;
pub mod turns;

use crate::{
    compare::{Judged, side::Side, table},
    cores,
    load::{Load, LoadError},
    process::ProcessError,
    report::{HistogramError, Quantiles, Report, files},
    scenario::Role,
    verb::{self, NOT_MEASURABLE},
};
use clap::Args;
use layout::Layout;
use peer::{Missing, Peer};
use serde::Serialize;
use std::{io, path::PathBuf, process::ExitCode};

/// What can be said on the command line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  bench peers --correctness-only\n  \
                       bench peers --only edge,nginx,floor --rounds 8 --out peers")]
pub struct PeersOptions {
    /// Who takes part; all, if nothing is said.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Peer>,
    /// Rounds of each peer.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub rounds: u64,
    /// The peers' core; the last one that is allowed, if nothing is said.
    #[arg(long)]
    pub server_cpu: Option<usize>,
    /// Where the peers write their logs and spools; a disk, not a tmpfs.
    #[arg(long, default_value = ".")]
    pub folder: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its fields are the documentation of the options")]
    pub load: Load,
    /// Folder for peers.json, and for the raw rounds of each layout.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Checks who is there and who answers rightly, and measures nothing.
    #[arg(long)]
    pub correctness_only: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Bytes of each answer.
    pub answer_bytes: usize,
    /// Layouts, in the order in which they were measured.
    pub layouts: Vec<InLayout>,
    /// Who passed the checks, and is measured.
    pub passed: Vec<&'static str>,
    /// Who could not take part, and why.
    pub absent: Vec<Absent>,
    /// Who answered wrongly, and what.
    pub failed: Vec<Absent>,
}

/// Somebody who was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// Who.
    pub peer: &'static str,
    /// Why.
    pub why: String,
}

/// What was found in one layout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InLayout {
    /// Who ran where.
    pub layout: Layout,
    /// Everybody who was measured.
    pub sides: Vec<Side>,
    /// What the same load showed against a responder that does nothing.
    pub null: Option<Quantiles>,
    /// The appliance against each of the others.
    pub verdicts: Vec<Judged>,
    /// The generator against the floor, if that was there.
    pub generator: Option<OwnCost>,
    /// What went wrong in rounds.
    pub faults: Vec<String>,
}

/// What the generator costs, beside a server that does next to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OwnCost {
    /// Requests per second that the two of them do together.
    pub rate: f64,
    /// CPU time of the floor per request.
    pub floor_us: f64,
    /// CPU time of the generator per request, without the turns in which it found nothing to do:
    /// it never sleeps.
    pub generator_us: f64,
}

impl OwnCost {
    /// The generator's time over the floor's.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.generator_us / self.floor_us
    }
}

/// Why peers cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// There are too few cores, or both were given the same one.
    #[error("the peers and the generator need a core each, and may use {allowed:?}")]
    Cores {
        /// Cores that this process may use.
        allowed: Vec<usize>,
    },
    /// They do not do that.
    #[error("the peers answer pixels only; use `bench compare` for other scenarios")]
    Scenario,
    /// Nobody is there, or nobody answers rightly.
    #[error("nobody can be measured: see who is missing, or fails")]
    Nobody,
    /// A peer does not run.
    #[error("{peer}: {source}")]
    Process {
        /// Who.
        peer: &'static str,
        /// Why.
        source: ProcessError,
    },
    /// A peer's files cannot be written.
    #[error("{peer}: {source}")]
    Missing {
        /// Who.
        peer: &'static str,
        /// Why.
        source: Missing,
    },
    /// A round cannot be driven.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A histogram is broken.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// The raw rounds cannot be written.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The system refuses something else.
    #[error("peers cannot be measured: {0}")]
    System(#[from] io::Error),
    /// The result cannot be written as JSON.
    #[error("the result cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Measures, prints, writes. 0: measured; 1: somebody answered wrongly; 2: nothing was measured;
/// 3: latencies are not measurable here.
#[must_use]
pub fn run(options: &PeersOptions) -> ExitCode {
    match peers(options) {
        Ok(found) => found.exit(),
        Err(error) => {
            eprintln!("bench peers: {error}");
            ExitCode::from(2)
        }
    }
}

fn peers(options: &PeersOptions) -> Result<Found, PeersError> {
    if options.load.scenario != Role::Pixel {
        return Err(PeersError::Scenario);
    }
    let allowed = cores::allowed()?;
    let (server, generator) = cores::two_cores(&allowed, options.load.cpu, options.server_cpu)
        .ok_or_else(|| PeersError::Cores { allowed: allowed.clone() })?;
    let stop = verb::stopped_by_signals()?;
    let mut turns = turns::Turns::prepare(options, &stop)?;
    let mut found = turns.checked(&Layout::one_core(server, generator))?;
    if options.correctness_only {
        show(options, &found)?;
        return Ok(found);
    }
    if turns.is_empty() {
        show(options, &found)?;
        return Err(PeersError::Nobody);
    }
    let mut layouts = vec![Layout::one_core(server, generator)];
    layouts.extend(turns.shard_alone(&allowed, server, generator)?);
    for layout in layouts {
        let (measured, report) = turns.measure(layout)?;
        if let Some(folder) = &options.out {
            write_rounds(&report, &folder.join(&measured.layout.name))?;
        }
        found.layouts.push(measured);
    }
    show(options, &found)?;
    Ok(found)
}

fn write_rounds(report: &Report, folder: &std::path::Path) -> Result<(), PeersError> {
    files::write_all(report, folder)?;
    Ok(())
}

fn show(options: &PeersOptions, found: &Found) -> Result<(), PeersError> {
    let file = options.out.as_deref().map(|folder| (folder, "peers.json"));
    verb::show(found, file, options.json, || found.told(options.load.rate))
}

impl Found {
    fn exit(&self) -> ExitCode {
        let sides = || self.layouts.iter().flat_map(|layout| &layout.sides);
        let is_right = self.failed.is_empty() && sides().all(|side| side.counts.is_clean());
        match (is_right, sides().all(Side::is_measurable)) {
            (false, _) => ExitCode::FAILURE,
            (true, false) => ExitCode::from(NOT_MEASURABLE),
            (true, true) => ExitCode::SUCCESS,
        }
    }

    /// For people.
    #[must_use]
    pub fn told(&self, rate: f64) -> String {
        let mut lines = vec![
            format!("every answer has {} bytes", self.answer_bytes),
            format!(
                "answer rightly, in pieces, in a row and to the end: {}",
                self.passed.join(", ")
            ),
        ];
        let absent =
            |what: &str, absent: &Absent| format!("{what}: {}: {}", absent.peer, absent.why);
        lines.extend(self.absent.iter().map(|one| absent("missing", one)));
        lines.extend(self.failed.iter().map(|one| absent("fails, and is not measured", one)));
        for measured in &self.layouts {
            let layout = &measured.layout;
            lines.push(format!("\n{}: {}\n{rate:.0} requests/s\n", layout.name, layout.what));
            let sides: Vec<&Side> = measured.sides.iter().collect();
            lines.push(table::sides(&sides, measured.null.as_ref()));
            lines.push(table::verdicts(&measured.verdicts));
            lines.extend(measured.generator.map(told_cost));
            lines.extend(measured.faults.iter().map(|fault| format!("fault: {fault}")));
        }
        lines.push(
            "loopback: no network card, no interrupt of one and no wire is in this".to_owned(),
        );
        lines.join("\n") + "\n"
    }
}

fn told_cost(cost: OwnCost) -> String {
    format!(
        "the generator's CPU time per request is {:.1} µs, {:.2} of the floor's {:.1} µs, at {:.0}/s",
        cost.generator_us,
        cost.ratio(),
        cost.floor_us,
        cost.rate
    )
}

//! `bench compare`: two servers held against each other, and what may be said of them.
//!
//! ```text
//!  commands: start A, drive, stop ─ start B, drive, stop ─ B ─ A ─ A ─ B …    (order)
//!  reports:  rounds of equal rate                                            (saved)
//!      ─▶ side: valid windows of all rounds ─▶ bootstrap ─▶ verdict ─▶ table
//! ```
//!
//! A server is started anew for each of its rounds, so that the luck of one start (which pages,
//! which hash seeds) is one opinion among several. Only one server lives at a time: what the other
//! one does while it is not asked cannot disturb.

pub mod bootstrap;
pub mod live;
pub mod order;
pub mod saved;
pub mod side;
pub mod table;
pub mod verdict;

use crate::{
    load::{Load, LoadError},
    process::ProcessError,
    report::{HistogramError, Quantiles, Report, files},
    scenario::url::{Url, UrlError},
    verb::{self, NOT_MEASURABLE},
};
use clap::Args;
use serde::{Deserialize, Serialize};
use side::Side;
use std::{io, path::PathBuf, process::ExitCode};
use verdict::{Figure, Verdict, verdict};

/// What can be said on the command line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  bench compare before/report.json after/report.json\n  \
                       bench compare 'old/edge serve --config a.toml' 'new/edge serve --config a.toml' \
                       --url http://127.0.0.1:8083/i.gif")]
pub struct CompareOptions {
    /// A saved report (report.json, or its folder), or the command that starts a server.
    pub a: String,
    /// The other one, of the same kind.
    pub b: String,
    /// Where the servers of two commands listen, and what they are asked for.
    #[arg(long)]
    pub url: Option<String>,
    /// The same for B, if it listens elsewhere.
    #[arg(long, requires = "url")]
    pub url_b: Option<String>,
    /// What A is called.
    #[arg(long, default_value = "A")]
    pub name_a: String,
    /// What B is called.
    #[arg(long, default_value = "B")]
    pub name_b: String,
    /// Rounds of each side; their order is A B B A.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub rounds: u64,
    /// Cores of the servers; any that the generator does not have, if nothing is said.
    #[arg(long, value_delimiter = ',')]
    pub server_cpu: Vec<usize>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its fields are the documentation of the options")]
    pub load: Load,
    /// Folder for comparison.json, and for the raw rounds as a report.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Prints the comparison as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Two sides at one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Requests per second that were due.
    pub offered_rate: f64,
    /// The sides.
    pub sides: [Side; 2],
    /// What the same load showed against a responder that does nothing.
    pub null: Option<Quantiles>,
    /// What may be said.
    pub verdicts: Vec<Judged>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What may be said of two sides in one respect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// In which.
    pub figure: Figure,
    /// The first one's name.
    pub first: String,
    /// The second one's name.
    pub second: String,
    /// What.
    pub verdict: Verdict,
}

/// Why nothing is compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One is a report, and the other is none.
    #[error("one of the two is a saved report and the other is none: compare like with like")]
    Kinds,
    /// Nobody said where to ask.
    #[error("two commands need --url: where their servers listen, and what to ask for")]
    NoUrl,
    /// A URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A report cannot be read or written.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// Reports cannot be compared.
    #[error(transparent)]
    Saved(#[from] saved::SavedError),
    /// A server does not run.
    #[error("{name}: {source}")]
    Server {
        /// Which.
        name: String,
        /// Why.
        source: ProcessError,
    },
    /// A round cannot be driven.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A histogram is broken.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// The system refuses something else.
    #[error("the comparison cannot be made: {0}")]
    System(#[from] io::Error),
    /// The comparison cannot be written as JSON.
    #[error("the comparison cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

impl Comparison {
    /// Of two sides.
    #[must_use]
    pub fn of(rate: f64, sides: [Side; 2], null: Option<Quantiles>, notes: Vec<String>) -> Self {
        let verdicts = judged(&sides[0], &sides[1]);
        Comparison { offered_rate: rate, sides, null, verdicts, notes }
    }

    /// Whether every request of both sides was answered rightly.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.sides.iter().all(|side| side.counts.is_clean())
    }

    /// Whether the latencies of both sides are those of servers, not of a generator that was late.
    #[must_use]
    pub fn is_measurable(&self) -> bool {
        self.sides.iter().all(Side::is_measurable)
    }

    /// For people.
    #[must_use]
    pub fn told(&self) -> String {
        let sides: Vec<&Side> = self.sides.iter().collect();
        let rate = self.offered_rate;
        let mut text = format!("{rate:.0} requests/s, medians with 95 % intervals\n\n");
        text.push_str(&table::sides(&sides, self.null.as_ref()));
        text.push('\n');
        text.push_str(&table::verdicts(&self.verdicts));
        for note in &self.notes {
            text.push_str("note: ");
            text.push_str(note);
            text.push('\n');
        }
        text
    }
}

/// Two sides in every respect.
#[must_use]
pub fn judged(first: &Side, second: &Side) -> Vec<Judged> {
    let one = |figure| Judged {
        figure,
        first: first.name.clone(),
        second: second.name.clone(),
        verdict: verdict(figure, first, second),
    };
    Figure::ALL.map(one).to_vec()
}

/// Compares, prints, writes. 0: compared; 1: not every answer was right; 2: nothing was compared;
/// 3: latencies are not measurable here.
#[must_use]
pub fn run(options: &CompareOptions) -> ExitCode {
    match compare(options) {
        Ok(comparisons) if !comparisons.iter().all(Comparison::is_clean) => ExitCode::FAILURE,
        Ok(comparisons) if !comparisons.iter().all(Comparison::is_measurable) => {
            ExitCode::from(NOT_MEASURABLE)
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench compare: {error}");
            ExitCode::from(2)
        }
    }
}

fn compare(options: &CompareOptions) -> Result<Vec<Comparison>, CompareError> {
    let names = [options.name_a.as_str(), options.name_b.as_str()];
    let comparisons = match (saved_report(&options.a)?, saved_report(&options.b)?) {
        (Some(first), Some(second)) => saved::compare(names, &first, &second, options.load.seed)?,
        (None, None) => {
            let url = options.url.as_deref().ok_or(CompareError::NoUrl)?;
            let first: Url = url.parse()?;
            let second: Url = options.url_b.as_deref().unwrap_or(url).parse()?;
            let plan = live::Plan {
                names,
                commands: [&options.a, &options.b],
                urls: [&first, &second],
                rounds: options.rounds as usize,
                cores: &options.server_cpu,
            };
            let stop = verb::stopped_by_signals()?;
            let (comparison, report) = live::compare(&plan, &options.load, &stop, &mut progress)?;
            if let Some(folder) = &options.out {
                files::write_all(&report, folder)?;
            }
            vec![comparison]
        }
        _ => return Err(CompareError::Kinds),
    };
    show(options, &comparisons)?;
    Ok(comparisons)
}

fn show(options: &CompareOptions, comparisons: &[Comparison]) -> Result<(), CompareError> {
    let file = options.out.as_deref().map(|folder| (folder, "comparison.json"));
    verb::show(&comparisons, file, options.json, || {
        comparisons.iter().map(Comparison::told).collect::<Vec<_>>().join("\n")
    })
}

fn progress(text: &str) {
    eprintln!("{text}");
}

/// The report that an argument names, if it names a folder or a file of JSON.
fn saved_report(argument: &str) -> Result<Option<Report>, files::FileError> {
    let mut path = PathBuf::from(argument);
    if path.is_dir() {
        path.push("report.json");
    }
    // A command may begin with the path of a program, which is a file too.
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(None);
    }
    files::read(&path).map(Some)
}

#[cfg(test)]
mod tests;

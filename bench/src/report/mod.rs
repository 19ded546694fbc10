//! What a run came to, as it is saved: one JSON document, `format` 1, that every verb reads.
//!
//! ```text
//!  Report ─┬─ environment    the machine, the commit, the flags
//!          ├─ plan           what was to be done
//!          └─ rounds ─┬─ counts, late          how requests ended
//!                     ├─ intended, actual, …   distributions, each with its whole histogram
//!                     ├─ windows               200 ms each: was the generator itself in time?
//!                     └─ seconds               1 s each: for the interval log and the plots
//! ```
//!
//! Times carry their unit in their name. `at_ms` counts from the moment a round began to record,
//! which is after its warm-up. Histograms count nanoseconds and travel as HdrHistogram's V2 format,
//! deflated, in base64: the very text of the last column of an interval log.

pub mod table;

pub mod hgrm;
pub mod hlog;
pub mod html;

pub mod files;
pub mod remake;

mod names;

#[cfg(test)]
mod sample;

pub use files::write_all;

use crate::environment::Environment;
use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::record::Quantiles;

/// The version of the document.
pub const FORMAT: u32 = 1;

/// Windows that have to be valid for latencies to be those of the server, in percent.
pub const VALID_PERCENT_MIN: u64 = 60;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// What a person calls it.
    pub title: String,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Where it ran.
    pub environment: Environment,
    /// What was to be done.
    pub plan: Plan,
    /// What was done. A plain run has one round, a ladder several.
    pub rounds: Vec<Round>,
}

/// What was to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked.
    pub scenario: String,
    /// When requests were due.
    pub arrivals: String,
    /// Connections, one request in flight on each.
    pub connections: usize,
    /// How long each round recorded.
    pub duration_ms: u64,
    /// How long it sent before that.
    pub warmup_ms: u64,
    /// When an answer was no longer waited for.
    pub timeout_ms: u64,
    /// The generator's cores; none, and it was not pinned.
    pub cpus: Vec<usize>,
    /// What the arrivals and the requests were drawn from.
    pub seed: u64,
    /// The server's URL, or several.
    pub target: String,
    /// The command line.
    pub command: Vec<String>,
}

/// One rate, or one side's round of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// What tells it from the others.
    pub name: String,
    /// Requests per second that were due.
    pub offered_rate: f64,
    /// Requests per second that were answered, rightly or not, while recording.
    pub achieved_rate: f64,
    /// When it began to record, in milliseconds since the report's start.
    pub started_ms: u64,
    /// How its requests ended, those of the warm-up included.
    pub counts: Counts,
    /// Latency from the moment a request was due. Holds every answer, and every request that was
    /// given up with the time until then: leaving those out would cut the tail off.
    pub intended: Distribution,
    /// The same, of the requests that were due in valid windows.
    pub valid: Distribution,
    /// Latency from the moment a request was sent; what was never sent is not in it.
    pub actual: Distribution,
    /// How late the generator itself was: the moment it took up a request, from when that was due.
    /// Holds the requests that were due in valid windows.
    pub lag: Distribution,
    /// What the same schedule measured against a responder that does nothing.
    pub null: Option<Quantiles>,
    /// 200 ms each, as far as requests were due in them.
    pub windows: Vec<Window>,
    /// One second each, without gaps.
    pub seconds: Vec<Second>,
    /// Latencies, from when a request was due, beyond what exchanges wait for.
    pub late: Vec<Late>,
    /// Whether the generator was too late itself for the latencies to be the server's.
    pub generator_bound: bool,
    /// What the generator's threads did with their time; older reports do not say.
    #[serde(default)]
    pub generator: Option<Generator>,
    /// What the server spent.
    pub server: Option<ServerCost>,
    /// What an exchange would have seen.
    pub exchange: Option<ExchangeView>,
}

/// What the generator's threads did with their time, the warm-up included, all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// How long they ran.
    pub ran_ms: f64,
    /// CPU time that they had.
    pub cpu_ms: f64,
    /// How long they had nothing to do: nothing was due, and no answer there.
    pub idle_ms: f64,
}

impl Generator {
    /// The share of its time in which it worked.
    #[must_use]
    pub fn busy_share(&self) -> f64 {
        1.0 - self.idle_ms / self.ran_ms.max(1e-9)
    }
}

/// How requests ended: `due = answered + wrong + broken + timeouts`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that were due.
    pub due: u64,
    /// Requests that were handed to the kernel.
    pub sent: u64,
    /// Requests that were answered rightly.
    pub answered: u64,
    /// Of them, those that said that there is nothing.
    #[serde(default)]
    pub empty: u64,
    /// Answers that were wrong.
    pub wrong: u64,
    /// Attempts to connect that were refused, or not taken in time.
    pub refused: u64,
    /// Requests whose connection was closed, or answered with what is no HTTP.
    pub broken: u64,
    /// Requests that were given up: not answered in time, or not sent in time.
    pub timeouts: u64,
    /// Connections made again, for whatever reason.
    pub reconnects: u64,
    /// Requests that found no free connection when they were due.
    pub queued: u64,
}

/// Latencies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Some of its quantiles.
    pub quantiles: Quantiles,
    /// All of it: HdrHistogram V2, deflated, base64, in nanoseconds.
    pub histogram: String,
}

/// 200 ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// When it began.
    pub at_ms: u64,
    /// Whether the generator was never more than 100 µs late in it.
    pub valid: bool,
    /// Requests that were due in it and have a latency.
    pub count: u64,
    /// The latest that the generator was.
    pub lag_max_ns: u64,
    /// Half of the latencies are at or below.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// All.
    pub max_us: f64,
}

/// One second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// When it began.
    pub at_ms: u64,
    /// How long it was; the last one may be shorter.
    pub length_ms: u64,
    /// Requests that were due in it.
    pub due: u64,
    /// Answers that came in it, whenever their requests were due.
    pub answered: u64,
    /// Their latencies from when they were due, as in [`Distribution::histogram`].
    pub histogram: String,
}

/// How many latencies were beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// The bound.
    pub beyond_ms: u64,
    /// How many.
    pub count: u64,
}

/// What the server spent on a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerCost {
    /// CPU time by name of thread, µs per request.
    pub threads: BTreeMap<String, f64>,
    /// CPU time of all of them.
    pub cpu_us_per_request: f64,
    /// Voluntary and involuntary switches of all of them.
    pub context_switches_per_request: f64,
}

/// What an exchange would have seen, and done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeView {
    /// Requests without an answer in time, of those that were due: 0 to 1.
    pub late_share: f64,
    /// Connections made again.
    pub reconnects: u64,
    /// Requests that the exchange would have kept to itself: 0 to 1.
    pub throttled_share: f64,
    /// The longest latency on each connection, and on those that were made in its place.
    pub worst_ms_per_connection: Vec<f64>,
}

impl Counts {
    /// Requests that were answered, rightly or not.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.answered + self.wrong
    }

    /// Adds those of another thread.
    pub(crate) fn add(&mut self, other: &Counts) {
        self.due += other.due;
        self.sent += other.sent;
        self.answered += other.answered;
        self.empty += other.empty;
        self.wrong += other.wrong;
        self.refused += other.refused;
        self.broken += other.broken;
        self.timeouts += other.timeouts;
        self.reconnects += other.reconnects;
        self.queued += other.queued;
    }

    /// Whether something was asked, and every request of it was answered rightly.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.due > 0 && self.answered == self.due
    }
}

impl Round {
    /// How many windows are valid.
    #[must_use]
    pub fn windows_valid(&self) -> usize {
        self.windows.iter().filter(|window| window.valid).count()
    }

    /// Whether enough windows are valid for their latencies to be compared with others.
    #[must_use]
    pub fn is_measurable(&self) -> bool {
        let (valid, all) = (self.windows_valid() as u64, self.windows.len() as u64);
        all > 0 && valid * 100 >= all * VALID_PERCENT_MIN
    }
}

/// Why the text of a histogram cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// It is no base64.
    #[error("the histogram is no base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// It is no histogram.
    #[error("the bytes are no HdrHistogram V2: {0}")]
    Format(#[from] hdrhistogram::serialization::DeserializeError),
}

impl Distribution {
    /// That of a histogram of nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Distribution {
        Distribution { quantiles: Quantiles::of(histogram), histogram: encode(histogram) }
    }

    /// The histogram.
    ///
    /// # Errors
    /// [`HistogramError`] when the text is none.
    pub fn decode(&self) -> Result<Histogram<u64>, HistogramError> {
        decode(&self.histogram)
    }
}

/// A histogram as text.
///
/// # Panics
/// If a histogram has buckets that V2 cannot say, which 1 ns to 60 s at three digits has not.
#[must_use]
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a histogram of ours has few enough buckets, and a vector takes every byte");
    STANDARD.encode(bytes)
}

/// A histogram from its text.
///
/// # Errors
/// [`HistogramError`] when the text is none.
pub fn decode(text: &str) -> Result<Histogram<u64>, HistogramError> {
    let bytes = STANDARD.decode(text)?;
    Ok(Deserializer::new().deserialize(&mut bytes.as_slice())?)
}

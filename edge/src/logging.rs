//! Logs: lines for people or JSON for machines, to standard error, with a limit.
//!
//! A fault that happens ten thousand times a second is one line and a number, not a full disk: from
//! each place in the code come ten lines a second at most, and what was left out is counted in
//! `brink_log_lines_left_out`. Neither ids nor queries of requests are ever logged.

use crate::config::LogSettings;
use std::{
    collections::HashMap,
    io::IsTerminal,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tracing::{Event, Subscriber, callsite::Identifier};
use tracing_subscriber::{
    EnvFilter, Layer, fmt,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// Lines of one place in one second.
const LINES_MAX: u32 = 10;

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lines that were left out since the start.
#[must_use]
pub fn left_out() -> u64 {
    // ORDER: Relaxed, a number that stands for itself.
    LEFT_OUT.load(Ordering::Relaxed)
}

/// Begins logging.
///
/// # Errors
/// What is wrong with the level.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.level).map_err(|e| e.to_string())?;
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(filter).with(Limit::default());
    // A second start in one process keeps the first one's settings.
    let _ = match settings.json {
        true => registry.with(lines.json()).try_init(),
        false => registry.with(lines).try_init(),
    };
    Ok(())
}

/// Lets ten lines a second of each place through.
#[derive(Default)]
struct Limit {
    places: Mutex<HashMap<Identifier, Place>>,
}

struct Place {
    since: Instant,
    lines: u32,
}

impl Limit {
    fn takes(&self, place: Identifier, now: Instant) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // BOUND: as many places as there are in the code.
        let place = places.entry(place).or_insert(Place { since: now, lines: 0 });
        if now.duration_since(place.since) >= Duration::from_secs(1) {
            *place = Place { since: now, lines: 0 };
        }
        place.lines += 1;
        place.lines <= LINES_MAX
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let takes = self.takes(event.metadata().callsite(), Instant::now());
        if !takes {
            // ORDER: Relaxed, a number that stands for itself.
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        takes
    }
}

//! What `/ready` says of each listener, and why: looked at ten times a second, told to the shards.
//!
//! An exchange that is sent to a box which cannot answer counts that against us; one that is told
//! to go elsewhere does not. So a listener is ready only when it can do what it is there for.

use super::Board;
use crate::{clock, config::ListenerConfig};
use brink_proto::ids::Micros;
use brink_shipper::alarms::Alarm;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Why a listener is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Unready {
    /// The appliance starts or stops.
    Stage,
    /// The spool takes no events.
    Spool,
    /// There is no segment table.
    NoTable,
    /// The segment table is too old.
    OldTable,
    /// Too many answers are late.
    Late,
}

impl Unready {
    /// All reasons.
    pub const ALL: [Unready; 5] =
        [Unready::Stage, Unready::Spool, Unready::NoTable, Unready::OldTable, Unready::Late];

    /// Its label on /status.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Unready::Stage => "starting_or_stopping",
            Unready::Spool => "spool_takes_nothing",
            Unready::NoTable => "no_table",
            Unready::OldTable => "old_table",
            Unready::Late => "late",
        }
    }
}

/// Answers of one listener, as far back as the late share looks.
#[derive(Debug, Default)]
struct Window {
    /// BOUND: one a look, for as long as [`LATE_WINDOW`].
    looks: VecDeque<(Instant, u64, u64)>,
}

/// How far back the late share looks.
const LATE_WINDOW: Duration = Duration::from_secs(10);

/// Fewer answers say nothing about a share: an exchange's own throttle looks at a hundred.
const ANSWERS_MIN: u64 = 100;

impl Window {
    /// The share of late answers, in percent, of those that were counted within the window.
    fn late_percent(&mut self, now: Instant, answered: u64, late: u64) -> f64 {
        self.looks.push_back((now, answered, late));
        let old = |at: Instant| now.duration_since(at) > LATE_WINDOW;
        while self.looks.get(1).is_some_and(|(at, ..)| old(*at)) {
            self.looks.pop_front();
        }
        let (_, first_answered, first_late) = self.looks[0];
        let answers = answered - first_answered;
        if answers < ANSWERS_MIN {
            return 0.0;
        }
        (late - first_late) as f64 * 100.0 / answers as f64
    }
}

/// Looks at everything that readiness depends on.
pub(super) struct Readiness {
    windows: Vec<Window>,
}

impl Readiness {
    pub(super) fn new(listeners: usize) -> Readiness {
        Readiness { windows: (0..listeners).map(|_| Window::default()).collect() }
    }

    /// Looks, and tells the shards.
    pub(super) fn look(&mut self, board: &Board) {
        let now = Instant::now();
        let wall = clock::wall_now();
        let old =
            board.config.tables.as_ref().is_some_and(|tables| {
                board.tables.age(wall).is_none_or(|age| age > tables.age_max)
            });
        if !old {
            board.alarms.clear(Alarm::TableOld);
        } else if !board.alarms.state(Alarm::TableOld).0 {
            board.alarms.raise(Alarm::TableOld);
        }
        for (index, window) in self.windows.iter_mut().enumerate() {
            let (answered, late) = counted(board, index);
            let late_percent = window.late_percent(now, answered, late);
            let reasons = reasons(board, &board.config.listeners[index], wall, late_percent);
            board.control.set_unready(index, reasons);
        }
    }
}

fn counted(board: &Board, listener: usize) -> (u64, u64) {
    let counters = || board.shards.iter().map(|shard| &shard.listeners[listener]);
    let late = board.outcomes[listener].late;
    let late = late.map_or(0, |place| counters().map(|c| c.outcomes[place].read()).sum());
    // Late ones are read first, so that no more are late than answered.
    (counters().flat_map(|c| &c.answered).map(|c| c.read()).sum(), late)
}

/// The reasons, as a set of bits.
fn reasons(board: &Board, listener: &ListenerConfig, wall: Micros, late_percent: f64) -> u8 {
    let alarmed = |alarm| board.alarms.state(alarm).0;
    let mut reasons = 0;
    let mut unless = |ready: bool, reason: Unready| {
        if !ready {
            reasons |= 1 << reason as u8;
        }
    };
    // A browser has nowhere else to go, so a pixel is ready whatever the disk does. Exchanges have.
    if let (Some(provider), Some(tables)) = (&listener.provider, &board.config.tables) {
        unless(!alarmed(Alarm::SpoolFull) && !alarmed(Alarm::SpoolDisk), Unready::Spool);
        match board.tables.age(wall) {
            None => unless(false, Unready::NoTable),
            Some(age) => unless(age <= tables.age_max, Unready::OldTable),
        }
        unless(late_percent <= provider.late_percent_max as f64, Unready::Late);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_late_share_is_that_of_the_last_ten_seconds() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut window = Window::default();
        let rows = [
            (0, 0, 0, 0.0),
            (1, 99, 50, 0.0), // too few to say
            (2, 200, 50, 25.0),
            (10, 1000, 50, 5.0),
            (11, 1000, 50, 5.0),
            (12, 1100, 50, 0.0), // the first two seconds are over
            (13, 1200, 150, 10.0),
        ];
        for (second, answered, late, want) in rows {
            let got = window.late_percent(at(second), answered, late);
            assert!((got - want).abs() < 0.2, "{second} s: {got} for {want}");
        }
    }
}

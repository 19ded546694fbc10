//! The moments at which the appliance was killed, and how often.

use crate::mode::Mode;
use brink_shipper::steps::Step;
use brink_tests::sim::random::Random;
use std::{collections::BTreeMap, fmt};

/// When it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// At this step, by itself.
    Step(Step),
    /// From outside: the store has an object, and its answer is kept back.
    ObjectUnderWay,
    /// From outside, in a stop.
    Stop,
    /// From outside, whatever it is doing.
    Any,
}

impl Moment {
    fn label(self) -> &'static str {
        match self {
            Moment::Step(step) => step.label(),
            Moment::ObjectUnderWay => "object_under_way",
            Moment::Stop => "stop, at any moment",
            Moment::Any => "at any moment",
        }
    }

    /// All of them.
    fn all() -> impl Iterator<Item = Moment> {
        let steps = Step::ALL.iter().map(|step| Moment::Step(*step));
        steps.chain([Moment::ObjectUnderWay, Moment::Stop, Moment::Any])
    }

    /// Whether there is such a moment in a mode.
    fn is_of(self, mode: Mode) -> bool {
        match self {
            Moment::Step(step) => mode.passes(step),
            Moment::ObjectUnderWay | Moment::Stop | Moment::Any => true,
        }
    }

    /// Whether it leaves an object in the store of which no cursor knows.
    fn leaves_object(self) -> bool {
        matches!(self, Moment::ObjectUnderWay | Moment::Step(Step::ObjectAnswered))
    }
}

/// The count of one mode.
pub(crate) struct Tally {
    pub(crate) mode: Mode,
    /// Kills that are wanted, in all modes.
    wanted: u64,
    counts: BTreeMap<Moment, u64>,
    /// Kills that were meant for a moment and came at another, where they count.
    missed: BTreeMap<Moment, u64>,
    lives: u64,
    last: Option<Moment>,
}

impl Tally {
    /// So many kills are wanted in all modes together, and a fiftieth of them at each moment, or
    /// more: twenty of a thousand. What both modes have, each has half of.
    pub(crate) fn new(mode: Mode, wanted: u64) -> Tally {
        let moments = Moment::all().filter(|moment| moment.is_of(mode));
        let counts = moments.map(|moment| (moment, 0)).collect();
        Tally { mode, wanted, counts, missed: BTreeMap::new(), lives: 0, last: None }
    }

    fn share(&self, moment: Moment) -> u64 {
        let modes = Mode::ALL.iter().filter(|mode| moment.is_of(**mode)).count() as u64;
        self.wanted.div_ceil(50 * modes)
    }

    /// How often it was killed.
    pub(crate) fn kills(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How often it was started.
    pub(crate) fn lives(&self) -> u64 {
        self.lives
    }

    /// Whether there were enough.
    pub(crate) fn is_complete(&self) -> bool {
        self.left() == 0
    }

    /// Kills that a moment lacks.
    fn lack(&self, moment: Moment) -> u64 {
        self.share(moment).saturating_sub(self.counts[&moment])
    }

    fn left(&self) -> u64 {
        let lack = self.counts.keys().map(|moment| self.lack(*moment)).sum();
        let half = self.wanted.div_ceil(Mode::ALL.len() as u64);
        half.saturating_sub(self.kills()).max(lack)
    }

    /// What the next kill is for; nothing once there were enough.
    pub(crate) fn aim(&self, random: &Random) -> Option<Moment> {
        let left = self.left();
        if left == 0 {
            return None;
        }
        let lacking: Vec<Moment> =
            self.counts.keys().copied().filter(|moment| self.lack(*moment) > 0).collect();
        // Only the start behind one that leaves an object finds one.
        let found = Moment::Step(Step::ObjectFound);
        let leaves = self.last.is_some_and(Moment::leaves_object);
        if leaves && lacking.contains(&found) {
            return Some(found);
        }
        if random.within(0..left) >= lacking.iter().map(|moment| self.lack(*moment)).sum() {
            return Some(Moment::Any);
        }
        let aim = lacking[random.within(0..lacking.len() as u64) as usize];
        Some(if aim == found { Moment::ObjectUnderWay } else { aim })
    }

    /// It lived, and died at a moment, if it did not end in order before.
    pub(crate) fn count(&mut self, aim: Moment, died: Option<Moment>) {
        self.lives += 1;
        let most = 2 * self.wanted + 60;
        assert!(
            self.lives < most,
            "moments are not met: {:?}, missed {:?}",
            self.counts,
            self.missed
        );
        let Some(moment) = died else { return };
        *self.counts.entry(moment).or_default() += 1;
        if moment != aim {
            *self.missed.entry(aim).or_default() += 1;
        }
        self.last = Some(moment);
    }
}

/// The counts of all modes, side by side.
pub(crate) struct Histogram<'t>(pub(crate) &'t [Tally]);

impl fmt::Display for Histogram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |f: &mut fmt::Formatter<'_>, text: &dyn Fn(&Tally) -> String| {
            self.0.iter().try_for_each(|tally| write!(f, "{:>8}", text(tally)))
        };
        write!(f, "{:<22}", "killed at")?;
        each(f, &|tally| tally.mode.label().to_owned())?;
        writeln!(f, "{:>8}{:>8}", "kills", "missed")?;
        for moment in Moment::all() {
            let of = |counts: &BTreeMap<Moment, u64>| counts.get(&moment).copied();
            write!(f, "{:<22}", moment.label())?;
            each(f, &|tally| of(&tally.counts).map_or("-".to_owned(), |kills| kills.to_string()))?;
            let kills: u64 = self.0.iter().filter_map(|tally| of(&tally.counts)).sum();
            let missed: u64 = self.0.iter().filter_map(|tally| of(&tally.missed)).sum();
            writeln!(f, "{kills:>8}{missed:>8}")?;
        }
        write!(f, "{:<22}", "")?;
        each(f, &|tally| tally.kills().to_string())?;
        write!(f, "{:>8}", self.0.iter().map(Tally::kills).sum::<u64>())
    }
}

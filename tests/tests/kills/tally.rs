//! The moments at which the appliance was killed, and how often.

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

    /// All moments but any.
    fn named() -> impl Iterator<Item = Moment> {
        // Nothing here delivers in transactions; `kafka` has kills that do.
        let is_passed = |step: &&Step| !Step::OF_TRANSACTIONS.contains(step);
        let steps = Step::ALL.iter().filter(is_passed).map(|step| Moment::Step(*step));
        steps.chain([Moment::ObjectUnderWay, Moment::Stop])
    }

    /// Whether it leaves an object in the store of which no cursor knows.
    fn leaves_object(self) -> bool {
        matches!(self, Moment::ObjectUnderWay | Moment::Step(Step::ObjectAnswered))
    }
}

/// The count.
pub(crate) struct Tally {
    wanted: u64,
    counts: BTreeMap<Moment, u64>,
    /// Kills that were meant for a moment and came at another.
    missed: BTreeMap<Moment, u64>,
    last: Option<Moment>,
}

impl Tally {
    /// So many kills are wanted, and a fiftieth of them at each named moment: twenty of a thousand.
    pub(crate) fn new(wanted: u64) -> Tally {
        let counts = Moment::named().chain([Moment::Any]).map(|moment| (moment, 0));
        Tally { wanted, counts: counts.collect(), missed: BTreeMap::new(), last: None }
    }

    pub(crate) fn wanted(&self) -> u64 {
        self.wanted
    }

    fn share(&self) -> u64 {
        self.wanted.div_ceil(50)
    }

    /// How often it was killed.
    pub(crate) fn kills(&self) -> u64 {
        self.counts.values().sum()
    }

    /// What the next kill is for; nothing once there were enough.
    pub(crate) fn aim(&self, random: &Random) -> Option<Moment> {
        let lacks = |moment: &Moment| self.share().saturating_sub(self.counts[moment]);
        let lacking: Vec<Moment> = Moment::named().filter(|moment| lacks(moment) > 0).collect();
        let lack: u64 = lacking.iter().map(lacks).sum();
        let left = self.wanted.saturating_sub(self.kills()).max(lack);
        if left == 0 {
            return None;
        }
        // Only the start behind one that leaves an object finds one.
        let found = Moment::Step(Step::ObjectFound);
        let leaves = self.last.is_some_and(Moment::leaves_object);
        if leaves && lacking.contains(&found) {
            return Some(found);
        }
        if random.within(0..left) >= lack {
            return Some(Moment::Any);
        }
        let aim = lacking[random.within(0..lacking.len() as u64) as usize];
        Some(if aim == found { Moment::ObjectUnderWay } else { aim })
    }

    pub(crate) fn count(&mut self, aim: Moment, moment: Moment) {
        *self.counts.entry(moment).or_default() += 1;
        if moment != aim {
            *self.missed.entry(aim).or_default() += 1;
        }
        self.last = Some(moment);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<22}{:>6}{:>8}", "killed at", "kills", "missed")?;
        for moment in Moment::named().chain([Moment::Any]) {
            let missed = self.missed.get(&moment).copied().unwrap_or_default();
            writeln!(f, "{:<22}{:>6}{missed:>8}", moment.label(), self.counts[&moment])?;
        }
        write!(f, "{:<22}{:>6}", "", self.kills())
    }
}

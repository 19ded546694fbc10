//! The two ways in which events go to Kafka: the loop goes both, a spell at a time.

use brink_shipper::steps::Step;

/// A way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Batches as they are.
    Plain,
    /// In transactions.
    Strict,
}

impl Mode {
    pub(crate) const ALL: [Mode; 2] = [Mode::Plain, Mode::Strict];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::Strict => "strict",
        }
    }

    /// What asks for it in `[kafka]`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Mode::Plain => "transactions = false",
            Mode::Strict => "transactions = true",
        }
    }

    /// Whether an appliance comes by a step on this way.
    pub(crate) fn passes(self, step: Step) -> bool {
        match self {
            Mode::Plain => !Step::OF_TRANSACTIONS.contains(&step),
            Mode::Strict => !Step::OF_PLAIN_BATCHES.contains(&step),
        }
    }

    /// In calm too, a connection to Kafka breaks behind so many answers, the last one unsaid. To
    /// begin anew takes some fifteen in strict mode: there have to be more for anything to go.
    pub(crate) fn answers(self) -> u64 {
        match self {
            Mode::Plain => 11,
            Mode::Strict => 71,
        }
    }
}

//! The steps of delivery between which a process may die, by name.
//!
//! Every one of them is a moment at which something is done and not yet known to be done: what a
//! kill there must not lose or do twice is what this crate promises. A kill from outside hardly
//! ever meets the short ones, so a test says by [`VARIABLE`] at which step, and at which passage of
//! it, the process is to kill itself. Where nobody says so, a passage is one load that is never
//! waited for, and no shard passes any.

use rustix::process::{Signal, getpid, kill_process};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// The environment variable that says where to die: `STEP:PASSAGE`, as `group_synced:3`.
pub const VARIABLE: &str = "BRINK_DIE_AT";

macro_rules! steps {
    ($($(#[doc = $what:literal])+ $step:ident = $label:literal,)+) => {
        /// A step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Step {
            $($(#[doc = $what])+ $step,)+
        }

        impl Step {
            /// All of them, in the order in which an event meets them.
            pub const ALL: &[Step] = &[$(Step::$step,)+];

            /// Its name.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Step::$step => $label,)+
                }
            }
        }
    };
}

steps! {
    /// This start is counted, and the log not read.
    StartCounted = "start_counted",
    /// The log is recovered, and nothing served.
    LogRecovered = "log_recovered",
    /// Batches were handed over; nothing of them is written.
    GroupTaken = "group_taken",
    /// Their frames are written and not synced.
    GroupWritten = "group_written",
    /// They are durable, and nobody was told.
    GroupSynced = "group_synced",
    /// A segment is full and not sealed.
    SegmentFull = "segment_full",
    /// It is sealed, and the next one not there.
    SegmentSealed = "segment_sealed",
    /// The next one has its name, and no head.
    SegmentNamed = "segment_named",
    /// It has its head, and takes nothing yet.
    SegmentHeaded = "segment_headed",
    /// A cursor is written and not synced.
    CursorWritten = "cursor_written",
    /// It is durable, and the sink was not told.
    CursorSynced = "cursor_synced",
    /// A segment that nobody needs is let go, and the log in memory does not know.
    SegmentReleased = "segment_released",
    /// An object is decided on, durably, and not encoded.
    ObjectSealed = "object_sealed",
    /// A part of its rows is encoded.
    ObjectEncoding = "object_encoding",
    /// It is encoded and not sent.
    ObjectEncoded = "object_encoded",
    /// The store has it and has said so; the cursor does not.
    ObjectAnswered = "object_answered",
    /// One that an earlier start had sealed was found in the store; the cursor does not say so.
    ObjectFound = "object_found",
    /// What a manifest says is durable, and it is not sent.
    ManifestSealed = "manifest_sealed",
    /// The store has a manifest and has said so; the cursor does not.
    ManifestAnswered = "manifest_answered",
    /// A stream is numbered for the broker, durably, and nothing of it is sent.
    LineageDurable = "lineage_durable",
    /// A batch is with the kernel, and not acknowledged.
    BatchSent = "batch_sent",
    /// A batch is acknowledged, and the cursor does not say so.
    BatchAcknowledged = "batch_acknowledged",
    /// A transaction is begun, and nothing of it is sent.
    TransactionBegun = "transaction_begun",
    /// The batches of a transaction are with the brokers, and its position is not.
    TransactionFilled = "transaction_filled",
    /// The position is with its broker as well, and the transaction is not ended.
    PositionWritten = "position_written",
    /// The commit of a transaction is with the kernel, and nobody has answered.
    CommitSent = "commit_sent",
    /// A transaction is committed, and the cursor does not say so.
    TransactionCommitted = "transaction_committed",
    /// A stop: everything is durable, and not all of it delivered.
    LogDrained = "log_drained",
}

impl Step {
    /// Those that only a Kafka sink without transactions meets.
    pub const OF_PLAIN_BATCHES: [Step; 2] = [Step::BatchSent, Step::BatchAcknowledged];

    /// Those that only one with transactions meets.
    pub const OF_TRANSACTIONS: [Step; 5] = [
        Step::TransactionBegun,
        Step::TransactionFilled,
        Step::PositionWritten,
        Step::CommitSent,
        Step::TransactionCommitted,
    ];

    /// The step that has this name.
    #[must_use]
    pub fn named(label: &str) -> Option<Step> {
        Step::ALL.iter().copied().find(|step| step.label() == label)
    }

    /// The process is at this step. If it is to die here, it does.
    #[inline]
    pub fn pass(self) {
        // ORDER: Relaxed, set before any thread that passes was started.
        if AIM.load(Ordering::Relaxed) == self as u8 {
            self.count_down();
        }
    }

    #[cold]
    fn count_down(self) {
        // ORDER: Relaxed, a number that stands for itself.
        if LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nothing behind this is done: the signal comes before this call is back.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

/// The step at which the process dies.
static AIM: AtomicU8 = AtomicU8::new(NOWHERE);
const NOWHERE: u8 = u8::MAX;

/// Passages of it that are left, the last one included.
static LEFT: AtomicU32 = AtomicU32::new(0);

/// Lets the process die where a text says. To be called before any thread is started.
///
/// # Errors
/// What is wrong with the text.
pub fn die_at(text: &str) -> Result<Step, String> {
    let read = || {
        let (label, passage) = text.split_once(':')?;
        let passage: u32 = passage.parse().ok().filter(|passage| *passage > 0)?;
        Some((Step::named(label)?, passage))
    };
    let Some((step, passage)) = read() else {
        let labels: Vec<&str> = Step::ALL.iter().map(|step| step.label()).collect();
        let labels = labels.join(", ");
        return Err(format!("is {text:?}; allowed: STEP:PASSAGE, where STEP is one of {labels}"));
    };
    // ORDER: Relaxed, threads that are started after this see it.
    LEFT.store(passage, Ordering::Relaxed);
    // ORDER: Relaxed, as above.
    AIM.store(step as u8, Ordering::Relaxed);
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own_and_what_is_none_is_refused() {
        for step in Step::ALL {
            assert_eq!(Step::named(step.label()), Some(*step));
        }
        for wrong in ["", "group_synced", "group_synced:", "group_synced:0", "somewhere:1"] {
            let refused = die_at(wrong).unwrap_err();
            assert!(refused.contains("group_synced") && refused.contains(wrong), "{refused}");
        }
    }
}

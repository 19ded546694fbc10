//! What an operator must look at: raised when it begins, cleared when it is over, counted for ever.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The spool is at its quota, or its disk is full: events are shed by class.
    SpoolFull,
    /// The disk failed a write, a sync or a read of the spool; a segment that it did not take was
    /// fenced.
    SpoolDisk,
    /// One topic of one sink holds half of the spool's quota: `held` in `/status` names them.
    LogHeld,
    /// A frame that had been committed was found corrupt and was quarantined.
    CorruptFrame,
    /// The object store answers with errors that may pass.
    StoreFailing,
    /// The object store refuses us: credentials, permission or bucket.
    StoreRefusing,
    /// An object with our key and other contents exists.
    ObjectConflict,
    /// The store has objects of an earlier start that this spool has neither delivered nor decided
    /// on.
    StoreAhead,
    /// The Kafka cluster is not reached, or answers with errors that may pass.
    KafkaFailing,
    /// The Kafka cluster refuses us: credentials, permission, topic or clock.
    KafkaRefusing,
    /// A broker does not know any more how a stream was numbered, or the topic was made anew.
    KafkaForgot,
    /// A broker has other batches of a stream than were sent, or gave one an offset that its
    /// partition had passed.
    KafkaWentBack,
    /// Another start of this edge has taken over its transactions: this one sends nothing more.
    KafkaFenced,
    /// A broker will never take a batch; a copy is kept.
    KafkaRejected,
    /// The object store creates an object that exists: a second appliance of our name would not be
    /// noticed.
    StoreUnconditional,
    /// Frames of a stream are missing from the log.
    SequenceGap,
    /// Neither slot of the cursor file could be read: the whole backlog is delivered again.
    CursorsLost,
    /// More streams are undelivered than the cursor file holds.
    CursorsFull,
    /// The store of segment tables does not answer, or announces what cannot be read.
    TablesUnreachable,
    /// An announced segment table was refused; the one before is served on.
    TableRefused,
    /// The segment table is older than its limit, or there is none.
    TableOld,
    /// A thread of the appliance ended by itself.
    ThreadLost,
}

impl Alarm {
    /// All alarms, in the order of their numbers.
    pub const ALL: [Alarm; 22] = [
        Alarm::SpoolFull,
        Alarm::SpoolDisk,
        Alarm::LogHeld,
        Alarm::CorruptFrame,
        Alarm::StoreFailing,
        Alarm::StoreRefusing,
        Alarm::ObjectConflict,
        Alarm::StoreAhead,
        Alarm::KafkaFailing,
        Alarm::KafkaRefusing,
        Alarm::KafkaForgot,
        Alarm::KafkaWentBack,
        Alarm::KafkaFenced,
        Alarm::KafkaRejected,
        Alarm::StoreUnconditional,
        Alarm::SequenceGap,
        Alarm::CursorsLost,
        Alarm::CursorsFull,
        Alarm::TablesUnreachable,
        Alarm::TableRefused,
        Alarm::TableOld,
        Alarm::ThreadLost,
    ];

    /// Metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Alarm::SpoolFull => "spool_full",
            Alarm::SpoolDisk => "spool_disk",
            Alarm::LogHeld => "log_held",
            Alarm::CorruptFrame => "corrupt_frame",
            Alarm::StoreFailing => "store_failing",
            Alarm::StoreRefusing => "store_refusing",
            Alarm::ObjectConflict => "object_conflict",
            Alarm::StoreAhead => "store_ahead",
            Alarm::KafkaFailing => "kafka_failing",
            Alarm::KafkaRefusing => "kafka_refusing",
            Alarm::KafkaForgot => "kafka_forgot",
            Alarm::KafkaWentBack => "kafka_went_back",
            Alarm::KafkaFenced => "kafka_fenced",
            Alarm::KafkaRejected => "kafka_rejected",
            Alarm::StoreUnconditional => "store_unconditional",
            Alarm::SequenceGap => "sequence_gap",
            Alarm::CursorsLost => "cursors_lost",
            Alarm::CursorsFull => "cursors_full",
            Alarm::TablesUnreachable => "tables_unreachable",
            Alarm::TableRefused => "table_refused",
            Alarm::TableOld => "table_old",
            Alarm::ThreadLost => "thread_lost",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Alarm::SpoolFull => {
                "free the disk, raise [spool] quota_bytes, or see why delivery lags"
            }
            Alarm::SpoolDisk => {
                "see the kernel log for the disk; all that failed is tried again, writing in a new segment"
            }
            Alarm::LogHeld => {
                "let the sink deliver that topic, or events of all are shed in the end"
            }
            Alarm::CorruptFrame => {
                "keep the quarantine folder; the disk returns other bytes than it took"
            }
            Alarm::StoreFailing => {
                "nothing: delivery is retried for ever; see the log for the store's answer"
            }
            Alarm::StoreRefusing => {
                "check credentials, bucket and permissions; delivery goes on by itself"
            }
            Alarm::ObjectConflict => "two appliances have the same identity; see `edge identity`",
            Alarm::StoreAhead => {
                "the spool is an old copy, its cursors were lost, or two appliances have the same \
                 identity; `shipper audit` says whether rows stand twice"
            }
            Alarm::KafkaFailing => {
                "nothing: delivery is retried for ever; see the log for the broker's answer"
            }
            Alarm::KafkaRefusing => {
                "see the log for what is refused: topic, user, permission, certificate or clock"
            }
            Alarm::KafkaForgot => {
                "drop duplicates by edge, incarnation, shard and sequence from then on"
            }
            Alarm::KafkaWentBack => {
                "the partition lost its end, the spool is an old copy, or two appliances have the \
                 same identity; drop duplicates from then on"
            }
            Alarm::KafkaFenced => {
                "two appliances have the same identity: stop one; what this one has is kept, and \
                 goes with its next start"
            }
            Alarm::KafkaRejected => "see the log for the error; the copy is in quarantine",
            Alarm::StoreUnconditional => {
                "use a store that honours If-None-Match on PUT; delivery goes on, and looks first"
            }
            Alarm::SequenceGap => {
                "frames were lost on disk; the gap is between the objects' sequences"
            }
            Alarm::CursorsLost => {
                "objects made since the last start may hold rows twice; compare sequences"
            }
            Alarm::CursorsFull => "deliver or move the backlog; the sink waits",
            Alarm::TablesUnreachable => {
                "check [tables] url, credentials and network; the last good table is served"
            }
            Alarm::TableRefused => {
                "see the log for what is wrong with it, and publish another version"
            }
            Alarm::TableOld => "publish a segment table; until then /ready says no",
            Alarm::ThreadLost => "the appliance is stopping; see the log for the panic",
        }
    }
}

/// The state of every alarm. Raising and clearing is rare, so this is the one place with plain
/// atomics and several writers.
#[derive(Debug, Default)]
pub struct Alarms {
    active: [AtomicBool; Alarm::ALL.len()],
    raised: [AtomicU64; Alarm::ALL.len()],
}

impl Alarms {
    /// Raises an alarm; returns whether it was clear before.
    pub fn raise(&self, alarm: Alarm) -> bool {
        // ORDER: Relaxed, each flag stands for itself and orders nothing.
        self.raised[alarm as usize].fetch_add(1, Ordering::Relaxed);
        !self.active[alarm as usize].swap(true, Ordering::Relaxed)
    }

    /// Clears an alarm; returns whether it was active before.
    pub fn clear(&self, alarm: Alarm) -> bool {
        // ORDER: Relaxed, as in `raise`.
        self.active[alarm as usize].swap(false, Ordering::Relaxed)
    }

    /// Clears an alarm, and tells it if it was active before.
    pub(crate) fn over(&self, alarm: Alarm) {
        if self.clear(alarm) {
            tracing::info!(alarm = alarm.label(), "over");
        }
    }

    /// Whether it is active, and how often it was raised.
    #[must_use]
    pub fn state(&self, alarm: Alarm) -> (bool, u64) {
        // ORDER: Relaxed, as in `raise`.
        let active = self.active[alarm as usize].load(Ordering::Relaxed);
        (active, self.raised[alarm as usize].load(Ordering::Relaxed))
    }
}

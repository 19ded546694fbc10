//! The object sink: takes frames from the spool, decides on objects, makes each one exactly once.
//!
//! ```text
//!  notices ─▶ planner ─▶ seal (durable) ─▶ encode ─▶ PUT if absent ─▶ advance (durable) ─▶ next
//!                           │ resumed: look first whether it exists
//! ```
//!
//! Before the first object, and once a day, the store is asked whether it honours the condition; to
//! one that does not, an object is written only after a look.
//!
//! Nothing is ever dropped here. What the store does not take is tried again for ever, with an
//! alarm; a crash at any arrow is taken up again from the seal.

use super::{
    encode::{EncodeError, Encoder},
    plan::{Admission, Plan, Planner, RollPolicy, Step},
    store::{Condition, Put, PutError, Store},
};
use crate::{
    alarms::{Alarm, Alarms},
    backoff::Backoff,
    counter::Counter,
    sink::{Deliveries, Ended, Phase, unless_ended},
    spool::{
        SpoolCounters,
        cursors::SinkCursor,
        port::{Command, Notice, SinkEnd},
    },
};
use brink_proto::{frame::LogPosition, ids::Name};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The sink's name in cursors and metrics.
pub const NAME: &str = "objects";

/// What the sink counts. Its task is the one writer.
#[derive(Debug, Default)]
pub struct ObjectCounters {
    /// Its part of the ledger.
    pub deliveries: Deliveries,
    /// Objects that exist because of us.
    pub objects: Counter,
    /// Their bytes.
    pub object_bytes: Counter,
    /// PUTs that did not end well.
    pub put_errors: Counter,
    /// Keys under which something else existed.
    pub conflicts: Counter,
}

/// What a sink is made of.
pub struct ObjectSink {
    /// The spool.
    pub spool: SinkEnd,
    /// The encoder.
    pub encoder: Encoder,
    /// Who delivers.
    pub edge: Name,
    /// The store.
    pub store: Store,
    /// When groups become objects.
    pub policy: RollPolicy,
    /// Where the sink stood, and how many events it had before it.
    pub start: (SinkCursor, u64),
    /// What it counts.
    pub counters: Arc<ObjectCounters>,
    /// What the spool counts: a drain is over when all that it accepted is delivered.
    pub spool_counters: Arc<SpoolCounters>,
    /// What it raises.
    pub alarms: Arc<Alarms>,
    /// What it is asked to do.
    pub phase: watch::Receiver<Phase>,
}

/// How often the spool's rings are looked at: objects gather for seconds, and on one core each look
/// is time that a request may have to wait for.
const POLL: Duration = Duration::from_millis(50);

/// The same while somebody waits for the end of a drain.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// Between questions what the store makes of conditions: it may be another one tomorrow.
const PROBE_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// BOUND: notices taken in one go, so that other tasks of the thread get their turn.
const NOTICES_AT_ONCE: usize = 512;

impl ObjectSink {
    /// Runs until told to end, or until a drain is complete.
    pub async fn run(mut self) {
        self.counters.deliveries.backlog.set(self.start.1);
        let mut planner = Planner::new(self.policy, &self.start.0);
        let started = Instant::now();
        let (mut is_known, mut probe_at, mut retry) = (false, Duration::ZERO, Backoff::default());
        loop {
            let phase = *self.phase.borrow();
            if phase == Phase::End || self.spool.is_abandoned() {
                break;
            }
            self.take_notices(&mut planner, started.elapsed());
            if started.elapsed() >= probe_at {
                let Ok(answered) = self.probe().await else { break };
                // What was known of the store stands while it does not answer.
                is_known |= answered;
                let pause = if answered { PROBE_INTERVAL } else { retry.pause() };
                retry = if answered { Backoff::default() } else { retry };
                probe_at = started.elapsed() + pause;
            }
            let draining = phase == Phase::Drain;
            let step = is_known.then(|| planner.poll_step(started.elapsed(), draining)).flatten();
            match step {
                Some(step) => {
                    if self.take_step(step, &mut planner).await.is_err() {
                        break;
                    }
                }
                None if draining && self.is_drained(&planner) => break,
                None => self.pause(if draining { DRAIN_POLL } else { POLL }).await,
            }
        }
        self.encoder.join();
    }

    /// Waits, or until the phase changes.
    async fn pause(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.phase.changed()).await;
    }

    fn take_notices(&mut self, planner: &mut Planner, now: Duration) {
        for _ in 0..NOTICES_AT_ONCE {
            if !planner.has_room() {
                return;
            }
            let missing = match self.spool.notices.pop() {
                Err(_) => return,
                Ok(Notice::Frame(frame)) => match planner.handle_frame(frame, now) {
                    Admission::Known => 0,
                    Admission::Taken { missing } => {
                        self.counters.deliveries.taken.add(u64::from(frame.batch.count));
                        missing
                    }
                },
                Ok(Notice::Lost { stream, end }) => planner.handle_lost(stream, end),
                // This sink lets nothing go by.
                Ok(Notice::Again { .. }) => 0,
            };
            if missing > 0 {
                self.alarms.raise(Alarm::SequenceGap);
                tracing::error!(events = missing, "events are missing in the log");
                self.counters.deliveries.quarantined_missing.add(missing);
            }
        }
    }

    fn is_drained(&self, planner: &Planner) -> bool {
        planner.pending_events() == 0 && self.counters.deliveries.is_complete(&self.spool_counters)
    }

    async fn take_step(&mut self, step: Step, planner: &mut Planner) -> Result<(), Ended> {
        match step {
            Step::Unseal(key) => self.decide(Command::Unseal { key }).await,
            Step::Skip(stream, end) => {
                self.decide(Command::Advance { ends: vec![(stream, end)], key: None }).await
            }
            Step::Object(plan) => self.deliver(plan, planner).await,
        }
    }

    /// Makes one object exist, and the cursor say so.
    async fn deliver(&mut self, plan: Plan, planner: &mut Planner) -> Result<(), Ended> {
        let rows = plan.rows();
        let seal = plan.seal.clone();
        if plan.resumed {
            if self.exists(&seal.key, &seal.digest).await? {
                return self.advance(&plan, rows).await;
            }
        } else {
            self.decide(Command::Seal(seal.clone())).await?;
        }
        let Some((plan, bytes)) = self.encode(plan, planner).await? else { return Ok(()) };
        let size = bytes.len() as u64;
        self.put(&seal.key, &seal.digest, bytes).await?;
        self.counters.objects.add(1);
        self.counters.object_bytes.add(size);
        tracing::info!(key = seal.key, rows, bytes = size, "object delivered");
        self.advance(&plan, rows).await
    }

    /// Asks the store what it makes of conditions; whether it said.
    async fn probe(&mut self) -> Result<bool, Ended> {
        let key = format!("_probe/{}", self.edge);
        match unless_ended(self.phase.clone(), self.store.probe(&key)).await? {
            Ok(Condition::Honoured) => {
                self.alarms.clear(Alarm::StoreUnconditional);
            }
            Ok(Condition::Ignored) => {
                self.alarms.raise(Alarm::StoreUnconditional);
                tracing::error!(key, "the store ignores If-None-Match; objects are looked for");
            }
            Err(error) => {
                self.note(&error);
                return Ok(false);
            }
        }
        self.note_success();
        Ok(true)
    }

    async fn advance(&mut self, plan: &Plan, rows: u64) -> Result<(), Ended> {
        let Plan { seal, .. } = plan;
        let end = brink_proto::ids::Sequence(seal.end);
        let key = Some(seal.key.clone());
        self.decide(Command::Advance { ends: vec![(seal.stream, end)], key }).await?;
        self.counters.deliveries.delivered.add(rows);
        Ok(())
    }

    /// Makes a decision durable, however long that takes.
    async fn decide(&mut self, command: Command) -> Result<(), Ended> {
        let mut retry = Backoff::default();
        loop {
            while !self.spool.try_send(&command) {
                self.wait_or_end(POLL).await?;
            }
            loop {
                match self.spool.try_reply() {
                    Some(true) => return Ok(()),
                    Some(false) => break,
                    None => self.wait_or_end(REPLY_POLL).await?,
                }
            }
            self.wait_or_end(retry.pause()).await?;
        }
    }

    /// Waits; an end that is asked for, or a spool that is gone, is passed on.
    async fn wait_or_end(&mut self, time: Duration) -> Result<(), Ended> {
        self.pause(time).await;
        let ended = *self.phase.borrow() == Phase::End || self.spool.is_abandoned();
        if ended { Err(Ended) } else { Ok(()) }
    }

    /// Encodes an object. Nothing when a frame of it is corrupt: the planner knows what comes then.
    async fn encode(
        &mut self,
        mut plan: Plan,
        planner: &mut Planner,
    ) -> Result<Option<(Plan, Bytes)>, Ended> {
        let mut retry = Backoff::default();
        loop {
            let (same, result) = self.encoder.encode(plan).await.map_err(|error| {
                self.alarms.raise(Alarm::ThreadLost);
                tracing::error!(%error, "nothing is delivered any more");
                Ended
            })?;
            plan = same;
            let error = match result {
                Ok(encoded) => return Ok(Some((plan, Bytes::from(encoded.bytes)))),
                Err(error) => error,
            };
            tracing::error!(%error, key = plan.seal.key, "the object cannot be encoded");
            match error {
                EncodeError::Corrupt(at) => {
                    self.give_up_frame(plan, at, planner);
                    return Ok(None);
                }
                EncodeError::Undecodable { at, .. } => {
                    let frame = plan.frames.iter().find(|f| f.position == at).copied();
                    if let Some(frame) = frame {
                        self.decide(Command::Keep { frame }).await?;
                    }
                    self.give_up_frame(plan, at, planner);
                    return Ok(None);
                }
                EncodeError::Gone => return Err(Ended),
                EncodeError::Disk(_) | EncodeError::UnknownTopic(_) | EncodeError::Writer(_) => {}
            }
            self.wait_or_end(retry.pause()).await?;
        }
    }

    fn give_up_frame(&mut self, plan: Plan, at: LogPosition, planner: &mut Planner) {
        self.alarms.raise(Alarm::CorruptFrame);
        let frame = plan.frames.iter().find(|f| f.position == at);
        self.counters
            .deliveries
            .quarantined_corrupt
            .add(frame.map_or(0, |f| u64::from(f.batch.count)));
        planner.handle_corrupt(plan, at);
    }

    /// Whether an object of an earlier start exists already.
    async fn exists(&mut self, key: &str, digest: &str) -> Result<bool, Ended> {
        let mut retry = Backoff::default();
        loop {
            let found = unless_ended(self.phase.clone(), self.store.digest_of(key));
            match found.await? {
                Ok(found) => {
                    self.note_success();
                    return Ok(found.as_deref() == Some(digest));
                }
                Err(error) => self.note(&error),
            }
            self.wait_or_end(retry.pause()).await?;
        }
    }

    /// Makes the object exist, however long that takes.
    async fn put(&mut self, key: &str, digest: &str, bytes: Bytes) -> Result<(), Ended> {
        let mut retry = Backoff::default();
        let mut key = key.to_owned();
        loop {
            let created = self.store.create(&key, bytes.clone(), digest);
            match unless_ended(self.phase.clone(), created).await? {
                Ok(Put::Created | Put::WasOurs) => {
                    self.note_success();
                    return Ok(());
                }
                Ok(Put::Conflict) => {
                    self.counters.conflicts.add(1);
                    self.alarms.raise(Alarm::ObjectConflict);
                    let aside = format!("_conflict/{digest}/{key}");
                    tracing::error!(key, aside, "another object has this key, ours goes aside");
                    key = aside;
                    continue;
                }
                Err(error) => self.note(&error),
            }
            self.wait_or_end(retry.pause()).await?;
        }
    }

    fn note_success(&self) {
        self.alarms.clear(Alarm::StoreFailing);
        self.alarms.clear(Alarm::StoreRefusing);
    }

    fn note(&self, error: &PutError) {
        self.counters.put_errors.add(1);
        let alarm = match error {
            PutError::Refused(_) => Alarm::StoreRefusing,
            PutError::Failing(_) => Alarm::StoreFailing,
        };
        if self.alarms.raise(alarm) {
            tracing::error!(%error, "objects wait in the spool");
        } else {
            tracing::debug!(%error, "objects still wait in the spool");
        }
    }
}

/// How often an answer of the spool is looked for.
const REPLY_POLL: Duration = Duration::from_millis(2);

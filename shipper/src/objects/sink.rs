//! The object sink: takes frames from the spool, decides on objects, makes each one exactly once.
//!
//! ```text
//!  notices ─▶ planner ─▶ seal (durable) ─▶ encode ─▶ PUT if absent ─▶ deliver (durable) ─▶ next
//!                           │ resumed: look first whether it exists    │ and list, in one write
//!                                                                      ▼
//!               list is due ─▶ seal it (durable) ─▶ PUT its manifest if absent ─▶ link (durable)
//! ```
//!
//! Before the first object, and once a day, the store is asked whether it honours the condition; to
//! one that does not, an object is written only after a look.
//!
//! Nothing is ever dropped here. What the store does not take is tried again for ever, with an
//! alarm; a crash at any arrow is taken up again from the seal. Which of the sealed objects exist
//! is asked before the first frame is taken: those need no frames, which may be gone. What exists
//! that no seal speaks of is looked for by `ahead`. `manifests` is the lower half.

mod ahead;
mod manifests;

use super::{
    encode::{EncodeError, Encoder},
    footer::ObjectFooter,
    key::{ObjectName, aside_key},
    lists::{Author, Delivery, Lists},
    plan::{Admission, Found, Place, Plan, Planner, RollPolicy, Shed, Step},
    store::{Condition, Put, PutError, Same, Store},
    watch::{Moment, Watch},
};
use crate::{
    alarms::{Alarm, Alarms},
    backoff::Backoff,
    counter::Counter,
    sink::{Deliveries, Ended, Gone, Phase, unless_ended},
    spool::{
        SpoolCounters,
        chain::Listed,
        cursors::{Seal, SinkCursor},
        port::{Command, Notice, SinkEnd},
    },
    steps::Step as Passed,
};
use ahead::Ahead;
use brink_proto::{
    frame::LogPosition,
    ids::{Incarnation, Name, Sequence},
};
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
    /// Manifests that exist because of us.
    pub manifests: Counter,
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
    /// Its start; none, where only what earlier ones have left is delivered.
    pub incarnation: Option<Incarnation>,
    /// The topics that it serves.
    pub topics: Vec<Name>,
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
const POLL: Duration = Duration::from_millis(200);

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
        let (edge, incarnation) = (self.edge, self.incarnation);
        let author = Author { edge, incarnation, topics: std::mem::take(&mut self.topics) };
        let mut work = Work {
            planner: Planner::new(self.policy, &self.start.0),
            lists: Lists::new(author, &self.start.0, self.start.1),
            ahead: Ahead::new(&self.start.0.seals),
            watch: Watch::start(Moment::now()),
        };
        // Why it ended is known to whoever asked for it, or told by an alarm.
        let _ = self.deliver_all(&mut work).await;
        self.encoder.join();
    }

    async fn deliver_all(&mut self, work: &mut Work) -> Result<(), Ended> {
        self.look_for_sealed(work).await?;
        let started = Instant::now();
        let (mut is_known, mut probe_at, mut retry) = (false, Duration::ZERO, Backoff::default());
        loop {
            let phase = *self.phase.borrow();
            if phase == Phase::End || self.spool.is_abandoned() {
                return Err(Ended);
            }
            let is_all = self.take_notices(work, started.elapsed());
            if !work.lists.has_backlog() {
                work.planner.handle_end_of_backlog();
            }
            if started.elapsed() >= probe_at {
                let answered = self.probe().await?;
                // What was known of the store stands while it does not answer.
                is_known |= answered;
                let pause = if answered { PROBE_INTERVAL } else { retry.pause() };
                retry = if answered { Backoff::default() } else { retry };
                probe_at = started.elapsed() + pause;
            }
            let draining = phase == Phase::Drain;
            if is_known {
                self.tell_what_is_due(work).await?;
            }
            let now = started.elapsed();
            let step = is_known.then(|| work.planner.poll_step(now, draining)).flatten();
            match step {
                Some(step) => self.take_step(step, work).await?,
                None if draining && self.is_drained(&work.planner) => {
                    return self.tell_all(work).await;
                }
                None if !is_all => tokio::task::yield_now().await,
                None => self.pause(if draining { DRAIN_POLL } else { POLL }).await,
            }
        }
    }

    /// Asks which of the objects exist that earlier starts have sealed.
    async fn look_for_sealed(&mut self, work: &mut Work) -> Result<(), Ended> {
        for seal in std::mem::take(&mut self.start.0.seals) {
            if let Some((bytes, place)) = self.find_sealed(&seal).await? {
                let shed = Shed::default();
                work.planner.handle_found(Found { seal, bytes, place, rows: 0, shed });
            }
        }
        Ok(())
    }

    /// The object of a seal, if an earlier start has made it: its size, and where it lies.
    async fn find_sealed(&mut self, seal: &Seal) -> Result<Option<(u64, Place)>, Ended> {
        let aside = aside_key(&seal.digest, &seal.key);
        for (key, place) in [(&seal.key, Place::AtItsKey), (&aside, Place::Aside)] {
            match self.find(key).await? {
                Some(found) if found.digest == seal.digest => {
                    Passed::ObjectFound.pass();
                    return Ok(Some((found.bytes, place)));
                }
                // Somebody else's: ours may have gone aside.
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// Waits, or until the phase changes.
    async fn pause(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.phase.changed()).await;
    }

    /// Takes what the spool has told. Whether that is all for now.
    fn take_notices(&mut self, work: &mut Work, now: Duration) -> bool {
        let Work { planner, lists, watch, .. } = work;
        for _ in 0..NOTICES_AT_ONCE {
            if !planner.has_room() {
                return true;
            }
            let Gone { missing, found } = match self.spool.notices.pop() {
                Err(_) => return true,
                Ok(Notice::Frame(frame)) => {
                    let stream = &frame.batch.stream;
                    let written = frame.batch.max_timestamp_ms;
                    lists.see(stream, watch.capped(written, Moment::now()));
                    match planner.handle_frame(frame, now) {
                        Admission::Known => Gone::default(),
                        Admission::Taken(gone) => {
                            let events = u64::from(frame.batch.count);
                            self.counters.deliveries.taken.add(events);
                            lists.take(stream, events + gone.missing + gone.found);
                            gone
                        }
                    }
                }
                Ok(Notice::Lost { stream, end, .. }) => {
                    let gone = planner.handle_lost(stream, end);
                    lists.take(&stream, gone.missing + gone.found);
                    gone
                }
                // This sink lets nothing go by.
                Ok(Notice::Again { .. }) => Gone::default(),
            };
            if found > 0 {
                tracing::warn!(events = found, "events are not in the log, but in an object");
                self.counters.deliveries.taken.add(found);
            }
            self.counters.deliveries.note_missing(missing, &self.alarms);
        }
        false
    }

    fn is_drained(&self, planner: &Planner) -> bool {
        planner.pending_events() == 0 && self.counters.deliveries.is_complete(&self.spool_counters)
    }

    async fn take_step(&mut self, step: Step, work: &mut Work) -> Result<(), Ended> {
        match step {
            Step::Unseal(key) => self.decide(Command::Unseal { key }).await,
            Step::Skip(stream, end, hour) => {
                let delivery = Delivery { stream, hour, end, object: None };
                self.list(delivery, None, work).await
            }
            Step::Found(found) => self.account(found, work).await,
            Step::Object(plan) => self.deliver(plan, work).await,
        }
    }

    /// Makes one object exist, and the cursor say so.
    async fn deliver(&mut self, plan: Plan, work: &mut Work) -> Result<(), Ended> {
        let Some(plan) = self.unless_ahead(plan, work).await? else { return Ok(()) };
        let (rows, shed) = (plan.rows(), plan.shed());
        let seal = plan.seal.clone();
        if plan.resumed {
            // A request of the earlier start may have arrived since it was looked for.
            if let Some((bytes, place)) = self.find_sealed(&seal).await? {
                return self.account(Found { seal, bytes, place, rows, shed }, work).await;
            }
        } else {
            self.decide(Command::Seal(seal.clone())).await?;
            Passed::ObjectSealed.pass();
        }
        let Some(encoded) = self.encode(plan, work).await? else { return Ok(()) };
        Passed::ObjectEncoded.pass();
        let bytes = encoded.len() as u64;
        let same = Same::LogDigest(&seal.digest);
        let place = self.put(&seal.key, &seal.digest, encoded, same).await?;
        Passed::ObjectAnswered.pass();
        self.counters.objects.add(1);
        self.counters.object_bytes.add(bytes);
        tracing::info!(key = seal.key, rows, bytes, "object delivered");
        self.account(Found { seal, bytes, place, rows, shed }, work).await
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

    /// The object exists: its stream goes on behind it, and its chain lists it.
    async fn account(&mut self, found: Found, work: &mut Work) -> Result<(), Ended> {
        let Found { seal, bytes, place, rows, shed } = found;
        if seal.end <= work.lists.end_of(&seal.stream) {
            // Frames of another group had it listed.
            self.counters.deliveries.delivered.add(rows);
            return Ok(());
        }
        let hour = ObjectName::read(&seal.key).map(|name| name.hour);
        let object = Listed {
            shard: seal.stream.shard.0,
            first: seal.first,
            end: seal.end,
            schema: seal.schema,
            digest: seal.digest,
            bytes,
            shed: shed.by_reason(),
            aside: place == Place::Aside,
        };
        let end = Sequence(seal.end);
        let delivery = Delivery { stream: seal.stream, hour, end, object: Some(object) };
        self.list(delivery, Some(seal.key), work).await?;
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
    async fn encode(&mut self, mut plan: Plan, work: &mut Work) -> Result<Option<Bytes>, Ended> {
        let mut retry = Backoff::default();
        loop {
            let encoded = unless_ended(self.phase.clone(), self.encoder.encode(plan)).await?;
            let (same, result) = encoded.map_err(|error| {
                self.alarms.raise(Alarm::ThreadLost);
                tracing::error!(%error, "nothing is delivered any more");
                Ended
            })?;
            plan = same;
            let error = match result {
                Ok(encoded) => return Ok(Some(Bytes::from(encoded.bytes))),
                Err(error) => error,
            };
            tracing::error!(%error, key = plan.seal.key, "the object cannot be encoded");
            match error {
                EncodeError::Corrupt(at) => {
                    self.give_up_frame(plan, at, work);
                    return Ok(None);
                }
                EncodeError::Undecodable { at, .. } => {
                    let frame = plan.frames.iter().find(|f| f.position == at).copied();
                    if let Some(frame) = frame {
                        self.decide(Command::Keep { frame }).await?;
                    }
                    self.give_up_frame(plan, at, work);
                    return Ok(None);
                }
                EncodeError::Gone => return Err(Ended),
                EncodeError::Disk(_) | EncodeError::UnknownTopic(_) | EncodeError::Writer(_) => {}
            }
            self.wait_or_end(retry.pause()).await?;
        }
    }

    fn give_up_frame(&mut self, plan: Plan, at: LogPosition, work: &mut Work) {
        self.alarms.raise(Alarm::CorruptFrame);
        if let Some(frame) = plan.frames.iter().find(|f| f.position == at) {
            let batch = &frame.batch;
            self.counters.deliveries.quarantined_corrupt.add(u64::from(batch.count));
            work.lists.give_up(batch.stream, batch.first_sequence, batch.end_sequence());
        }
        work.planner.handle_corrupt(plan, at);
    }

    /// What an object says of itself that an earlier start may have made; nothing if there is none.
    async fn find(&mut self, key: &str) -> Result<Option<ObjectFooter>, Ended> {
        let mut retry = Backoff::default();
        loop {
            let found = unless_ended(self.phase.clone(), self.store.footer_of(key));
            match found.await? {
                Ok(found) => {
                    self.note_success();
                    return Ok(found);
                }
                Err(error) => self.note(&error),
            }
            self.wait_or_end(retry.pause()).await?;
        }
    }

    /// Makes something exist, however long that takes. Its digest names the place where it goes if
    /// something else has its key.
    async fn put(
        &mut self,
        key: &str,
        digest: &str,
        bytes: Bytes,
        same: Same<'_>,
    ) -> Result<Place, Ended> {
        let mut retry = Backoff::default();
        let mut place = Place::AtItsKey;
        let mut to = key.to_owned();
        loop {
            let created = self.store.create(&to, bytes.clone(), same);
            match unless_ended(self.phase.clone(), created).await? {
                Ok(Put::Created | Put::WasOurs) => {
                    self.note_success();
                    return Ok(place);
                }
                Ok(Put::Conflict) => {
                    self.counters.conflicts.add(1);
                    self.alarms.raise(Alarm::ObjectConflict);
                    let aside = aside_key(digest, &to);
                    tracing::error!(
                        key = to,
                        aside,
                        "something else has this key, ours goes aside"
                    );
                    (to, place) = (aside, Place::Aside);
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

/// What the sink works on.
struct Work {
    planner: Planner,
    lists: Lists,
    ahead: Ahead,
    watch: Watch,
}

//! The sink's loop in strict mode: one transaction after the other, and one way back.
//!
//! A turn takes what has gathered, has the lineages durable that it needs, carries out a
//! transaction, and moves the cursor. It waits for brokers and for the disk; meanwhile the next
//! notices stay with the spool.

use super::{
    fault::Fault,
    session::{Load, Session},
    streams::{Most, Streams, Taken},
};
use crate::{
    alarms::Alarm,
    kafka::{
        cluster::Producer,
        config::KafkaConfig,
        contact::{LACKING_MAX, Retry},
        room::Room,
        sink::KafkaSink,
        tls::Tls,
    },
    sink::{Ended, Gone, Phase},
    spool::port::{Command, Notice, Pace, READ_BYTES_MAX},
};
use brink_proto::{
    frame::{FrameHeader, LogPosition},
    ids::{Name, Sequence, StreamId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::{Duration, Instant},
};

mod epoch;
mod payloads;

/// A transaction takes what came in this time, at least.
const GATHER: Duration = Duration::from_millis(200);

/// BOUND: what goes with a transaction. A broker takes the frames of a partition one by one.
const MOST: Most = Most { frames: 512, bytes: READ_BYTES_MAX / 2 };

/// Frames that wait in a sink that is behind: it gathers no longer.
const BEHIND: usize = 512;

/// How often is looked at what nobody tells of.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_IDLE: Duration = Duration::from_secs(1);

/// Between tries to make a decision durable, and to read what the disk did not give.
const AGAIN: Duration = Duration::from_millis(200);

/// How often a broker has to say that it will never take a batch before a copy is set aside.
const REFUSALS_MAX: u32 = 3;

/// Whether this start delivers in transactions. What an earlier start has left goes the way that it
/// had begun to go, so another mode begins with the first start that finds nothing left of that.
/// The lineages of a start are those of streams that have something left.
pub(in crate::kafka) fn applies(sink: &KafkaSink) -> bool {
    let (cursor, backlog) = &sink.start;
    let newest = cursor.lineages.iter().max_by_key(|lineage| lineage.stream.incarnation);
    let wanted = sink.config.transactions;
    let begun = newest.map(|lineage| lineage.transactional);
    if begun.is_some_and(|begun| begun != wanted) {
        tracing::warn!(
            transactions = !wanted,
            backlog,
            "what an earlier start has left goes its way first; [kafka] transactions is heeded by \
             the first start that finds nothing left of it"
        );
    }
    begun.unwrap_or(wanted)
}

/// Runs until told to end, or until a drain is complete.
pub(in crate::kafka) async fn run(sink: KafkaSink) {
    let mut phase = sink.phase.clone();
    let mut strict = Strict::new(sink);
    tokio::select! {
        _ = strict.run() => {}
        // What is under way is found out by the next start.
        _ = phase.wait_for(|phase| *phase == Phase::End) => {}
    }
}

/// Why a turn is over.
enum Stop {
    Ended,
    Fault(Fault),
}

impl From<Ended> for Stop {
    fn from(_: Ended) -> Stop {
        Stop::Ended
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

/// Something that does not work, and when it is tried again.
struct Trouble {
    since: Instant,
    retry: Retry,
    alarm: Alarm,
    /// It is none yet, if it is over in a moment.
    passes: bool,
}

impl Trouble {
    fn new() -> Trouble {
        let retry = Retry::default();
        Trouble { since: Instant::now(), retry, alarm: Alarm::KafkaFailing, passes: true }
    }

    fn goes_on(&mut self, fault: &Fault) {
        (self.alarm, self.passes) = (fault.alarm(), fault.passes());
        self.retry.later();
    }

    fn is(&self, alarm: Alarm) -> bool {
        self.alarm == alarm && !(self.passes && self.since.elapsed() < LACKING_MAX)
    }
}

struct Strict {
    sink: KafkaSink,
    config: Rc<KafkaConfig>,
    tls: Option<Rc<Tls>>,
    streams: Streams,
    room: Room,
    session: Option<Session>,
    /// The producers of the epochs before, by edge: they tell a timeout from a fence.
    /// BOUND: one for each name that the spool had.
    before: BTreeMap<Name, Producer>,
    /// Whose turn it is among the brokers that are asked first.
    turn: usize,
    /// Of all topics.
    trouble: Option<Trouble>,
    /// BOUND: one for each topic: the others go on without it.
    topics: BTreeMap<Name, Trouble>,
    told: String,
    /// How often batches were refused that a broker will never take.
    /// BOUND: at most one in each stream.
    refusals: BTreeMap<LogPosition, (u32, i16)>,
    /// Frames of the next transaction at most: fewer after each that fails, for one that is too
    /// long for a bad connection would fail for ever.
    frames_max: usize,
    /// When the next transaction has gathered enough.
    gathered_at: Instant,
}

impl Strict {
    fn new(mut sink: KafkaSink) -> Strict {
        let config = KafkaConfig { transactions: true, ..sink.config.clone() };
        sink.counters.deliveries.backlog.set(sink.start.1);
        sink.counters.transactional.set(1);
        Strict {
            config: Rc::new(config),
            tls: sink.tls.take().map(Rc::new),
            streams: Streams::new(sink.start.0.clone()),
            room: Room::default(),
            session: None,
            before: BTreeMap::new(),
            turn: 0,
            trouble: None,
            topics: BTreeMap::new(),
            told: String::new(),
            refusals: BTreeMap::new(),
            frames_max: MOST.frames,
            gathered_at: Instant::now(),
            sink,
        }
    }

    async fn run(&mut self) -> Result<(), Ended> {
        loop {
            self.take_notices();
            self.settle_alarms();
            self.sink.spool.set_pace(self.pace());
            self.ask_again().await?;
            // One that is fenced will not be done, whoever waits for it.
            if self.is_draining() && (self.is_fenced() || self.is_drained()) {
                return Ok(());
            }
            if let Some(pause) = self.rest() {
                self.pause(pause).await?;
                continue;
            }
            match self.turn().await {
                Ok(()) => {}
                Err(Stop::Ended) => return Err(Ended),
                Err(Stop::Fault(fault)) => self.fail(&fault),
            }
        }
    }

    fn is_draining(&self) -> bool {
        *self.sink.phase.borrow() == Phase::Drain
    }

    fn is_behind(&self) -> bool {
        self.is_draining() || self.streams.len() > BEHIND
    }

    fn pace(&self) -> Pace {
        let hurries = self.is_behind() && self.trouble.is_none() && !self.is_fenced();
        if hurries { Pace::Behind } else { Pace::Asks }
    }

    fn is_fenced(&self) -> bool {
        self.sink.counters.fenced.read() > 0
    }

    fn is_drained(&self) -> bool {
        self.streams.len() == 0
            && self.streams.ends().is_empty()
            && !self.room.owes()
            && self.sink.counters.deliveries.is_complete(&self.sink.spool_counters)
    }

    /// How long there is nothing to be done, if there is not.
    fn rest(&self) -> Option<Duration> {
        let moves = !self.streams.ends().is_empty() || self.streams.doubtful().next().is_some();
        if self.is_fenced() || (self.streams.len() == 0 && !moves) {
            return Some(if self.is_draining() { LOOK } else { LOOK_IDLE });
        }
        let is_due = |trouble: &Trouble| trouble.retry.is_due();
        let goes = self.streams.waiting().any(|(stream, _)| self.may_go(&stream.topic));
        if !(goes || moves) || !self.trouble.as_ref().is_none_or(is_due) {
            return Some(LOOK);
        }
        let left = self.gathered_at.saturating_duration_since(Instant::now());
        (!left.is_zero() && !self.is_behind()).then_some(left)
    }

    /// Whether a topic can be tried.
    fn may_go(&self, topic: &Name) -> bool {
        self.topics.get(topic).is_none_or(|trouble| trouble.retry.is_due())
    }

    /// Waits for news of the spool, at most so long.
    async fn pause(&mut self, most: Duration) -> Result<(), Ended> {
        if self.sink.spool.is_abandoned() {
            return Err(Ended);
        }
        // Seen here, a phase that has changed cuts one pause short and not all that follow.
        tokio::select! {
            () = self.sink.spool.news() => {}
            () = tokio::time::sleep(most) => {}
            _ = self.sink.phase.changed() => {}
        }
        Ok(())
    }

    /// Takes what finds room.
    fn take_notices(&mut self) {
        if self.sink.spool.notices.is_empty() {
            return;
        }
        let mut held = self.streams.held();
        let stuck: BTreeSet<Name> = self.topics.keys().copied().collect();
        while let Some(notice) = self.room.next(&mut self.sink.spool.notices, &held, &stuck) {
            *held.entry(notice.topic()).or_default() += self.take_notice(&notice);
        }
    }

    /// Takes a notice; how many frames wait more.
    fn take_notice(&mut self, notice: &Notice) -> usize {
        let counters = &self.sink.counters.deliveries;
        match *notice {
            Notice::Frame(frame) => {
                let events = u64::from(frame.batch.count);
                match self.streams.push(frame) {
                    Taken::Known => {}
                    Taken::Passed(gone) => {
                        counters.taken.add(events);
                        counters.delivered.add(events);
                        self.note_gone(gone);
                    }
                    Taken::Waits(gone) => {
                        counters.taken.add(events);
                        self.note_gone(gone);
                        return 1;
                    }
                }
            }
            Notice::Lost { stream, end, .. } => {
                let gone = self.streams.lost(stream, end);
                self.note_gone(gone);
            }
            Notice::Again { .. } => {}
        }
        0
    }

    fn note_gone(&self, Gone { missing, found }: Gone) {
        let counters = &self.sink.counters.deliveries;
        counters.taken.add(found);
        counters.delivered.add(found);
        counters.note_missing(missing, &self.sink.alarms);
    }

    /// One transaction, with what has to be there before it.
    async fn turn(&mut self) -> Result<(), Stop> {
        self.gathered_at = Instant::now() + GATHER;
        self.advance().await?;
        if let Some(edge) = self.next_edge() {
            self.open(edge).await?;
            self.begin().await?;
            self.transact().await?;
            self.advance().await?;
        }
        if self.streams.len() == 0 {
            // What was in doubt is found to be committed, and nothing is left to be tried.
            (self.trouble, self.topics) = (None, BTreeMap::new());
            self.told.clear();
        }
        Ok(())
    }

    /// Whose streams go next: those of a session that is open, as long as some of them wait. A
    /// spool has those of another name if the appliance was renamed.
    fn next_edge(&self) -> Option<Name> {
        let open = self.session.as_ref().map(|session| session.place.edge);
        let waiting = self.streams.waiting().filter(|(stream, _)| self.may_go(&stream.topic));
        let waiting = waiting.map(|(stream, _)| stream.edge);
        let edges: BTreeSet<Name> = waiting.chain(self.streams.doubtful()).collect();
        open.filter(|open| edges.contains(open)).or_else(|| edges.first().copied())
    }

    async fn transact(&mut self) -> Result<(), Stop> {
        let Some(session) = &self.session else { return Ok(()) };
        let most = Most { frames: self.frames_max, ..MOST };
        let group = self.streams.gather(most, |stream, lineage| {
            stream.edge == session.place.edge
                && self.may_go(&stream.topic)
                && session.cluster.leader(&stream.topic, lineage.partition).is_some()
        });
        if group.is_empty() {
            return Ok(self.pause(LOOK).await?);
        }
        let mut loads = Vec::with_capacity(group.len());
        for (frame, bytes) in self.payloads(&group).await? {
            let Some(lineage) = self.streams.lineage(&frame.batch.stream) else { continue };
            loads.push(Load { frame, partition: lineage.partition, bytes: bytes.into_vec() });
        }
        let Some(session) = self.session.as_mut().filter(|_| !loads.is_empty()) else {
            return Ok(());
        };
        let group: Vec<FrameHeader> = loads.iter().map(|load| load.frame).collect();
        let edge = session.place.edge;
        let positions = self.streams.positions(&edge, &group);
        let counters = &self.sink.counters;
        counters.resent.add(self.streams.tried(&group));
        if let Err(fault) = session.transact(loads, positions).await {
            counters.aborted.add(1);
            self.frames_max = (group.len() / 2).max(1);
            return Err(fault.into());
        }
        counters.committed.add(1);
        self.frames_max = (self.frames_max * 2).min(MOST.frames);
        counters.deliveries.delivered.add(self.streams.commit(&edge, &group));
        counters.batches.add(group.len() as u64);
        counters.bytes.add(group.iter().map(|f| u64::from(f.batch.payload_bytes)).sum());
        self.trouble = None;
        for frame in &group {
            self.topics.remove(&frame.batch.stream.topic);
        }
        if self.topics.is_empty() {
            self.told.clear();
        }
        Ok(())
    }

    /// Makes durable how far the streams are.
    async fn advance(&mut self) -> Result<(), Ended> {
        for (stream, at) in self.streams.ended() {
            self.end_lineage(stream, at).await?;
        }
        let ends = self.streams.ends();
        if !ends.is_empty() {
            self.decide(Command::Advance { ends: ends.clone() }).await?;
            self.streams.advanced(&ends);
        }
        Ok(())
    }

    /// Nothing of a stream goes in its lineage any more, from `at` on.
    async fn end_lineage(&mut self, stream: StreamId, at: Sequence) -> Result<(), Ended> {
        self.decide(Command::Break { stream, at }).await?;
        self.streams.broken(stream, at);
        Ok(())
    }

    /// Asks the spool for frames that went by, of a topic that is taken again and has room.
    async fn ask_again(&mut self) -> Result<(), Ended> {
        if !self.room.owes() {
            return Ok(());
        }
        let (held, topics) = (self.streams.held(), &self.topics);
        let takes = |topic: &Name| {
            (!topics.contains_key(topic)).then(|| held.get(topic).copied().unwrap_or_default())
        };
        match self.room.ask(takes) {
            Some(command) => self.decide(command).await,
            None => Ok(()),
        }
    }

    /// Has the spool make something durable, however often that takes.
    async fn decide(&mut self, command: Command) -> Result<(), Ended> {
        loop {
            while !self.sink.spool.try_send(&command) {
                self.pause(LOOK).await?;
            }
            let durable = loop {
                match self.sink.spool.try_reply() {
                    Some(durable) => break durable,
                    None => self.pause(LOOK).await?,
                }
            };
            if durable {
                return Ok(());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whatever it was, the next turn opens a new epoch.
    fn fail(&mut self, fault: &Fault) {
        self.session = None;
        self.turn += 1;
        self.sink.counters.errors.add(1);
        tell(&mut self.told, fault);
        if let Some((at, code)) = fault.unacceptable() {
            let (count, said) = self.refusals.entry(at).or_default();
            (*count, *said) = (*count + 1, code);
        }
        if let Fault::Fenced = fault {
            self.sink.counters.fenced.set(1);
            self.sink.alarms.raise(Alarm::KafkaFenced);
            // It is tried no more: that is all that is wrong.
            (self.trouble, self.topics) = (None, BTreeMap::new());
            return;
        }
        let trouble = match fault.topic() {
            Some(topic) => self.topics.entry(topic).or_insert_with(Trouble::new),
            None => self.trouble.get_or_insert_with(Trouble::new),
        };
        trouble.goes_on(fault);
    }

    /// Raises what is in trouble, and clears what no longer is.
    fn settle_alarms(&self) {
        for alarm in [Alarm::KafkaFailing, Alarm::KafkaRefusing] {
            let mut all = self.topics.values().chain(&self.trouble);
            self.sink.settle(alarm, all.any(|trouble| trouble.is(alarm)));
        }
    }
}

/// Tells what is wrong, when it is something else than before.
fn tell(told: &mut String, fault: &Fault) {
    let text = fault.to_string();
    if *told != text {
        tracing::warn!(%fault, "a transaction is not committed, as far as is known; it goes again");
    }
    *told = text;
}

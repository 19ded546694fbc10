//! The Kafka sink: takes frames from the spool, sends them, and remembers what was acknowledged.
//!
//! Each turn takes what has come, decides what is to be durable, and sends what may go; nothing in
//! it waits for one broker, topic or disk. Trouble is told as an alarm while it lasts, and what is
//! in trouble is tried again for ever.

use super::{
    config::KafkaConfig,
    contact::{Contact, Retry, alarm_of},
    faults::told,
    lane::{Decision, Finding, Lane},
    lineage::WINDOW,
    pipes::{Event, Pipes},
    produce::Answer,
    room::Room,
    tls::Tls,
    transaction,
};
use crate::{
    alarms::{Alarm, Alarms},
    counter::Counter,
    sink::{Deliveries, Phase},
    spool::{
        SpoolCounters,
        cursors::SinkCursor,
        port::{Command, Pace, ReadEnd, ReadFault, SinkEnd},
    },
    steps::Step,
};
use brink_proto::ids::{Name, Sequence, StreamId};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

mod decide;
mod send;
mod take;

/// The sink's name in cursors and metrics.
pub const NAME: &str = "kafka";

/// What the sink counts. Its task is the one writer.
#[derive(Debug, Default)]
pub struct KafkaCounters {
    /// Its part of the ledger.
    pub deliveries: Deliveries,
    /// Batches acknowledged.
    pub batches: Counter,
    /// Bytes of their records.
    pub bytes: Counter,
    /// Batches that were answered with an error, and streams that lost their connection.
    pub errors: Counter,
    /// Batches sent more than once.
    pub resent: Counter,
    /// Events that may stand twice in their topic.
    pub doubtful: Counter,
    /// Connections made to ask the cluster where everything is.
    pub connects: Counter,
    /// 1, if this start delivers in transactions.
    pub transactional: Counter,
    /// Transactions committed.
    pub committed: Counter,
    /// Transactions that were begun and are not known to be committed.
    pub aborted: Counter,
    /// 1, if another start of the edge has taken over its transactions.
    pub fenced: Counter,
}

/// What a sink is made of.
pub struct KafkaSink {
    /// The spool.
    pub spool: SinkEnd,
    /// Where payloads are read.
    pub reads: ReadEnd,
    /// The cluster.
    pub config: KafkaConfig,
    /// How connections to it are made secret, if they are.
    pub tls: Option<Tls>,
    /// What tells the spool from every other one.
    pub spool_id: String,
    /// Where the sink stood, and how many events it had before it.
    pub start: (SinkCursor, u64),
    /// What it counts.
    pub counters: Arc<KafkaCounters>,
    /// What the spool counts: a drain is over when all that it accepted is delivered.
    pub spool_counters: Arc<SpoolCounters>,
    /// What it raises.
    pub alarms: Arc<Alarms>,
    /// What it is asked to do.
    pub phase: watch::Receiver<Phase>,
}

impl KafkaSink {
    /// Runs until told to end, or until a drain is complete.
    pub async fn run(self) {
        match transaction::applies(&self) {
            true => transaction::run(self).await,
            false => Work::new(self).run().await,
        }
    }

    /// A payload is not to be had, and so many events with it.
    pub(super) fn note_unreadable(&self, events: u64, fault: ReadFault) {
        let deliveries = &self.counters.deliveries;
        let (alarm, counter) = match fault {
            ReadFault::Gone => (Alarm::SequenceGap, &deliveries.quarantined_missing),
            ReadFault::Corrupt | ReadFault::Disk => {
                (Alarm::CorruptFrame, &deliveries.quarantined_corrupt)
            }
        };
        self.alarms.raise(alarm);
        tracing::error!(events, ?fault, "a frame cannot be read any more");
        counter.add(events);
    }

    /// A broker will never take a batch with so many events; a copy is kept.
    pub(super) fn note_set_aside(&self, stream: &StreamId, events: u64, code: i16) {
        self.alarms.raise(Alarm::KafkaRejected);
        self.counters.deliveries.quarantined_refused.add(events);
        let code = told(code);
        tracing::error!(%stream, code, events, "the broker will never take this batch; a copy is kept");
    }

    /// What a stream has delivered is in a cluster, or a topic, that is not there any more.
    pub(super) fn note_made_anew(&self, stream: &StreamId) {
        self.alarms.raise(Alarm::KafkaForgot);
        tracing::error!(
            %stream,
            "the cluster or the topic was made anew; what was delivered is not in it, the stream \
             begins anew"
        );
    }

    /// Raises what is in trouble, and clears what no longer is: nobody else does.
    pub(super) fn settle(&self, alarm: Alarm, is_trouble: bool) {
        match (is_trouble, self.alarms.state(alarm).0) {
            (true, false) => drop(self.alarms.raise(alarm)),
            (true, true) => {}
            (false, _) => self.alarms.over(alarm),
        }
    }
}

/// How often is looked at what has its time: tries that come again, connections that are made.
const LOOK_TROUBLED: Duration = Duration::from_millis(20);

/// The same while all is well, and only answers can be late. On one core each look is time that a
/// request may have to wait for.
const LOOK_CALM: Duration = Duration::from_secs(1);

/// A lane, and when it is tried again.
struct Route {
    lane: Lane,
    retry: Retry,
    trouble: Option<Alarm>,
    /// The broker that has the batches under way, or had the last ones.
    sent_to: Option<i32>,
}

/// A command that the spool is making durable, and what it decides for which stream.
struct Deciding {
    command: Command,
    sent: bool,
    decisions: Vec<(StreamId, Decision)>,
}

struct Work {
    sink: KafkaSink,
    routes: BTreeMap<StreamId, Route>,
    topics: BTreeSet<Name>,
    room: Room,
    contact: Contact,
    pipes: Pipes,
    deciding: Option<Deciding>,
    decide_at: Instant,
    /// When what is delivered is durably behind the sink at the latest.
    advance_at: Option<Instant>,
    /// The stream that has its turn first.
    turn: usize,
}

impl Work {
    fn new(mut sink: KafkaSink) -> Work {
        let config = Rc::new(sink.config.clone());
        let tls = sink.tls.take().map(Rc::new);
        sink.counters.deliveries.backlog.set(sink.start.1);
        Work {
            routes: BTreeMap::new(),
            topics: BTreeSet::new(),
            room: Room::default(),
            contact: Contact::new(Rc::clone(&config), tls.clone()),
            pipes: Pipes::new(config, tls),
            deciding: None,
            decide_at: Instant::now(),
            advance_at: None,
            turn: 0,
            sink,
        }
    }

    async fn run(&mut self) {
        loop {
            let phase = *self.sink.phase.borrow_and_update();
            if phase == Phase::End || self.sink.spool.is_abandoned() {
                return;
            }
            self.take_notices();
            self.take_reads();
            let events = self.pipes.take().await;
            self.handle(events);
            self.take_decision();
            self.take_asked();
            self.ask();
            self.decide();
            self.ask_again();
            self.send();
            self.settle_alarms();
            if phase == Phase::Drain && self.is_drained() {
                return;
            }
            self.wait().await;
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        let look = self.look();
        self.sink.spool.set_pace(self.pace());
        let mut phase = self.sink.phase.clone();
        let events = tokio::select! {
            events = self.pipes.wait() => events,
            () = self.contact.wait() => Vec::new(),
            () = self.sink.spool.news() => Vec::new(),
            () = tokio::time::sleep(look) => Vec::new(),
            _ = phase.changed() => Vec::new(),
        };
        self.handle(events);
    }

    /// When is looked again, whatever happens.
    fn look(&self) -> Duration {
        let look = if self.is_calm() { LOOK_CALM } else { LOOK_TROUBLED };
        let decides = self.decides_at().map(|at| at.saturating_duration_since(Instant::now()));
        decides.map_or(look, |decides| decides.min(look))
    }

    /// Whether nothing waits for its time: all that can happen is an answer, or news of the spool.
    fn is_calm(&self) -> bool {
        let running = *self.sink.phase.borrow() == Phase::Run;
        let undecided = self.deciding.as_ref().is_some_and(|deciding| !deciding.sent);
        let waits = |route: &Route| {
            route.lane.is_halted() || matches!(route.lane.decision(), Some(Decision::Begin(_)))
        };
        let asks = self.pipes.is_dialling() || self.contact.is_in_trouble();
        let waits = self.routes.values().any(waits) || self.decide_at > Instant::now();
        let waits = waits || self.room.owes();
        running && (self.routes.is_empty() || !(undecided || asks || waits))
    }

    /// How the streams go on.
    fn pace(&self) -> Pace {
        let frames = |(stream, route): (&StreamId, &Route)| {
            let goes = route.lane.is_open() && self.is_reached(stream);
            (route.lane.len(), goes)
        };
        // One without frames says nothing: it may be of an earlier start, and never go again.
        let mut lanes = self.routes.iter().map(frames).filter(|(frames, _)| *frames > 0);
        let is_behind = |(frames, goes)| goes && frames > WINDOW;
        if *self.sink.phase.borrow() == Phase::Drain || lanes.clone().any(is_behind) {
            return Pace::Behind;
        }
        let is_abreast = !self.routes.is_empty() && lanes.all(|(_, goes)| goes);
        if is_abreast { Pace::Abreast } else { Pace::Asks }
    }

    fn is_drained(&self) -> bool {
        self.deciding.is_none()
            && !self.room.owes()
            && self.routes.values().all(|r| r.lane.len() == 0 && r.lane.decision().is_none())
            && self.sink.counters.deliveries.is_complete(&self.sink.spool_counters)
    }

    /// The lane of a stream. One that was not in the log at the start begins with its first event.
    fn lane(&mut self, stream: StreamId) -> &mut Lane {
        let start = &self.sink.start.0;
        let topics = &mut self.topics;
        let route = self.routes.entry(stream).or_insert_with(|| {
            topics.insert(stream.topic);
            let delivered = start.delivered.get(&stream).copied().unwrap_or(Sequence(0));
            let lineage = start.lineages.iter().find(|l| l.stream == stream).cloned();
            let lane = Lane::new(delivered, lineage);
            Route { lane, retry: Retry::default(), trouble: None, sent_to: None }
        });
        &mut route.lane
    }

    fn take_reads(&mut self) {
        while let Some(reply) = self.sink.reads.try_read() {
            let at = reply.frame.position;
            let Some(route) = self.routes.get_mut(&reply.frame.batch.stream) else { continue };
            match reply.result {
                Ok(()) => route.lane.read(at, reply.bytes),
                Err(ReadFault::Disk) => route.lane.unread(at),
                Err(fault) => {
                    // What comes unasked may be of no frame that waits, or of one that was counted.
                    if route.lane.corrupt(at) {
                        self.sink.note_unreadable(u64::from(reply.frame.batch.count), fault);
                    }
                }
            }
        }
    }

    fn handle(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Answered(answer) => self.answered(&answer),
                Event::Closed(streams, fault) => {
                    // One that nobody used is closed by the broker after a while.
                    tracing::info!(%fault, streams = streams.len(), "a connection is gone");
                    self.contact.look_soon();
                    for stream in streams {
                        let Some(route) = self.routes.get_mut(&stream) else { continue };
                        self.sink.counters.errors.add(1);
                        let halted = route.lane.is_halted();
                        route.lane.disconnected();
                        route.trouble = Some(alarm_of(&fault));
                        if !halted {
                            route.retry.later();
                        }
                    }
                }
            }
        }
    }

    fn answered(&mut self, answer: &Answer) {
        let Answer { stream, at, code, verdict, offset } = *answer;
        let Some(route) = self.routes.get_mut(&stream) else { return };
        let counters = &self.sink.counters;
        let halted = route.lane.is_halted();
        let finding = route.lane.answered(at, verdict, offset);
        match finding {
            Finding::Delivered(events) | Finding::WentBack(events) => {
                Step::BatchAcknowledged.pass();
                counters.deliveries.delivered.add(events);
                counters.batches.add(1);
                route.retry = Retry::default();
                route.trouble = None;
            }
            _ => {
                counters.errors.add(1);
                // What comes behind the first failure of a round follows from it.
                if !halted {
                    route.retry.later();
                }
            }
        }
        match finding {
            Finding::Delivered(_) => {}
            Finding::WentBack(_) => {
                // The topic may be another one.
                self.contact.look_soon();
                self.sink.alarms.raise(Alarm::KafkaWentBack);
                tracing::error!(%stream, offset, "the partition took a batch at an offset it had passed");
            }
            Finding::Disputed(events) => {
                route.trouble = None;
                self.sink.alarms.raise(Alarm::KafkaWentBack);
                counters.doubtful.add(events);
                let code = told(code);
                tracing::error!(%stream, code, events, "the broker has other batches of the stream than were sent from here; it begins anew, and what is left may stand twice");
            }
            Finding::Forgotten(events) => {
                route.trouble = None;
                self.sink.alarms.raise(Alarm::KafkaForgot);
                counters.doubtful.add(events);
                let code = told(code);
                tracing::error!(%stream, code, events, "the broker forgot the stream; it begins anew, and these may stand twice");
            }
            Finding::SetAside(events) => {
                route.trouble = None;
                self.sink.note_set_aside(&stream, events, code);
            }
            Finding::Again => {
                let trouble = Some(verdict.alarm());
                if route.trouble != trouble {
                    let code = told(code);
                    tracing::warn!(%stream, code, "a batch is not taken; it is sent again");
                }
                route.trouble = trouble;
                self.contact.look_soon();
            }
        }
    }

    /// Takes in what the cluster has answered.
    fn take_asked(&mut self) {
        if let Some(brokers) = self.contact.take(&self.sink.counters.connects) {
            let events = self.pipes.place(brokers);
            self.handle(events);
            self.disown();
        }
    }

    /// Asks the cluster what has to be known before more can be sent.
    fn ask(&mut self) {
        let lacks = self.lacks_something();
        self.contact.lacks(lacks);
        let producers = self.begin();
        self.contact.ask(&self.topics, producers);
    }

    /// Whether a broker cannot be reached for this reason that somebody waits for: one that leads
    /// nothing any more is not dialled again.
    fn is_unreached(&self, alarm: Alarm) -> bool {
        let is_wanted = |broker| {
            let mut waiting = self.routes.iter().filter(|(_, route)| route.lane.len() > 0);
            waiting.any(|(stream, _)| self.leader_of(stream) == Some(broker))
        };
        self.pipes.unreached(alarm).any(is_wanted)
    }

    /// Raises what is in trouble, and clears what no longer is.
    fn settle_alarms(&mut self) {
        for alarm in [Alarm::KafkaFailing, Alarm::KafkaRefusing] {
            let lanes = self.routes.values().any(|r| r.trouble == Some(alarm));
            let trouble = lanes || self.contact.trouble_is(alarm) || self.is_unreached(alarm);
            self.sink.settle(alarm, trouble);
        }
    }
}

#[cfg(test)]
mod tests;

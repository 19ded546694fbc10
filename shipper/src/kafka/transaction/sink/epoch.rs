//! What has to be there before a transaction: an epoch whose positions are read, topics with
//! leaders, and lineages that are durable.

use super::{Stop, Strict, Trouble, tell};
use crate::{
    alarms::Alarm,
    kafka::transaction::{fault::Fault, place::Place, session::Session, streams::Streams},
    spool::{cursors::Lineage, port::Command},
    steps::Step,
};
use brink_proto::ids::Name;
use std::{collections::BTreeMap, rc::Rc};

impl Strict {
    /// The one way back: a new epoch, and what the topic says of positions.
    pub(super) async fn open(&mut self, edge: Name) -> Result<(), Stop> {
        if self.session.as_ref().is_some_and(|session| session.place.edge == edge) {
            return Ok(());
        }
        self.session = None;
        let spool_id = &self.sink.spool_id;
        let place = Place::new(Rc::clone(&self.config), self.tls.clone(), edge, spool_id);
        let broker = &self.config.brokers[self.turn % self.config.brokers.len()];
        let before = self.before.get(&edge).copied();
        let topics = self.streams.held().into_keys().collect();
        let session = Session::open(Rc::new(place), broker, &topics, before).await?;
        self.before.insert(edge, session.producer());
        self.sink.counters.connects.add(1);
        let positions = session.positions().await?;
        let found = self.streams.take_positions(&edge, &session.cluster.id, positions);
        self.sink.counters.deliveries.delivered.add(found.passed);
        self.note_gone(found.gone);
        let (producer, epoch) = session.producer();
        let passed = found.passed;
        tracing::info!(%edge, producer, epoch, passed, "an epoch of transactions begins");
        if found.is_lost {
            self.sink.alarms.raise(Alarm::KafkaForgot);
            tracing::error!(
                "the topic of positions has lost those of this edge: what was committed and is not \
                 in the cursor stands twice"
            );
        }
        self.session = Some(session);
        Ok(())
    }

    /// Gives lineages to the streams that have none and whose topic is there.
    pub(super) async fn begin(&mut self) -> Result<(), Stop> {
        self.look().await?;
        let Some(session) = &self.session else { return Ok(()) };
        let (mut lineages, mut void) = (Vec::new(), Vec::new());
        for (stream, of) in self.streams.waiting().filter(|(s, _)| s.edge == session.place.edge) {
            let is_void = of.lineage.as_ref().is_some_and(|l| session.cluster.disowns(l));
            if is_void {
                void.push((*stream, of.end()));
            }
            if let Some(first) = of.first().filter(|_| is_void || of.lineage.is_none()) {
                let producer = session.producer();
                lineages.extend(session.cluster.lineage(*stream, first, producer, true));
            }
        }
        for (stream, at) in void {
            self.sink.note_made_anew(&stream);
            self.end_lineage(stream, at).await?;
        }
        if !lineages.is_empty() {
            self.decide(Command::Begin { lineages: lineages.clone() }).await?;
            Step::LineageDurable.pass();
        }
        for lineage in lineages {
            let Lineage { stream, first, partition, .. } = &lineage;
            tracing::info!(%stream, first, partition, "stream begins in transactions");
            self.streams.begun(lineage);
        }
        Ok(())
    }

    /// Looks again for topics and leaders that are waited for. A topic that lacks them is tried
    /// again later; the others go on.
    async fn look(&mut self) -> Result<(), Fault> {
        let Some(session) = &mut self.session else { return Ok(()) };
        // A stream without a lineage may get any partition.
        let lacking = |session: &Session, streams: &Streams| {
            let partition = |id| streams.lineage(id).map_or(0, |lineage| lineage.partition);
            let waiting = streams.waiting().map(|(id, _)| (id.topic, partition(id)));
            let lacks = |(topic, at): &(Name, i32)| session.cluster.leader(topic, *at).is_none();
            waiting.filter(lacks).collect::<BTreeMap<Name, i32>>()
        };
        let tried = |(topic, _): &(&Name, &i32)| {
            self.topics.get(*topic).is_none_or(|trouble| trouble.retry.is_due())
        };
        if !lacking(session, &self.streams).iter().any(|of| tried(&of)) {
            return Ok(());
        }
        session.look(&self.streams.held().into_keys().collect()).await?;
        for (topic, partition) in lacking(session, &self.streams) {
            let fault = Fault::lacking(&session.cluster, &topic, partition);
            let trouble = self.topics.entry(topic).or_insert_with(Trouble::new);
            if trouble.retry.is_due() {
                trouble.goes_on(&fault);
            }
            tell(&mut self.told, &fault);
        }
        Ok(())
    }
}

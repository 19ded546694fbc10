//! What is made durable, and when: one command at a time, while everything else goes on.

use super::{Deciding, Work};
use crate::{
    kafka::lane::{Decision, Lane},
    sink::Phase,
    spool::{cursors::Lineage, port::Command},
    steps::Step,
};
use brink_proto::ids::{Sequence, StreamId};
use std::time::{Duration, Instant};

/// How long a batch that is delivered waits for others, before the cursor says so. Until then a
/// restart sends it again, and the broker recognises it.
const GATHER: Duration = Duration::from_millis(200);

/// Between tries to make a decision durable.
const DECIDE_AGAIN: Duration = Duration::from_millis(200);

impl Work {
    /// Hears whether the command under way is durable. What is not is decided again, for the lanes
    /// want it still.
    pub(super) fn take_decision(&mut self) {
        let Some(deciding) = &mut self.deciding else { return };
        if !deciding.sent {
            deciding.sent = self.sink.spool.try_send(&deciding.command);
            return;
        }
        let Some(durable) = self.sink.spool.try_reply() else { return };
        let Some(Deciding { command, decisions, .. }) = self.deciding.take() else { return };
        if !durable {
            self.decide_at = Instant::now() + DECIDE_AGAIN;
            return;
        }
        if let Command::Begin { lineages } = command {
            Step::LineageDurable.pass();
            for lineage in lineages {
                if let Some(route) = self.routes.get_mut(&lineage.stream) {
                    route.lane.lineage = Some(lineage);
                }
            }
        }
        for (stream, decision) in decisions {
            if let Some(route) = self.routes.get_mut(&stream) {
                route.lane.decided(&decision);
            }
        }
    }

    /// Decides what the lanes want: one break, which are few, or else the acknowledged batches of
    /// all of them at once.
    pub(super) fn decide(&mut self) {
        if self.deciding.is_some() || Instant::now() < self.decide_at {
            return;
        }
        let wanted = self.routes.iter().filter_map(|(s, r)| Some((*s, r.lane.decision()?)));
        let wanted: Vec<(StreamId, Decision)> = wanted.collect();
        let one = wanted.iter().find_map(|(stream, decision)| {
            let stream = *stream;
            let command = match decision {
                Decision::Break(at) => Command::Break { stream, at: *at },
                Decision::Keep(frame) => Command::Keep { frame: *frame },
                Decision::Advance(_) | Decision::Begin(_) => return None,
            };
            Some((command, (stream, decision.clone())))
        });
        if let Some((command, decision)) = one {
            return self.command(command, vec![decision]);
        }
        let ends = wanted.iter().filter_map(|(stream, decision)| match decision {
            Decision::Advance(end) => Some((*stream, *end)),
            _ => None,
        });
        let ends: Vec<(StreamId, Sequence)> = ends.collect();
        if ends.is_empty() {
            self.advance_at = None;
        } else if self.advances_now() {
            let advances = |(_, d): &(StreamId, Decision)| matches!(d, Decision::Advance(_));
            let decisions = wanted.into_iter().filter(advances).collect();
            self.command(Command::Advance { ends }, decisions);
            self.advance_at = None;
        }
    }

    /// Whether what is delivered is to be durably behind the sink now: a cursor is a write and a
    /// sync of the disk, and two wake-ups of this thread.
    fn advances_now(&mut self) -> bool {
        let at = *self.advance_at.get_or_insert_with(|| Instant::now() + GATHER);
        *self.sink.phase.borrow() != Phase::Run
            || self.routes.values().any(|route| route.lane.is_pressed())
            || Instant::now() >= at
    }

    /// When what is delivered can be decided at the latest: not while a command is under way, whose
    /// answer is news of the spool, nor before one that failed is tried again.
    pub(super) fn decides_at(&self) -> Option<Instant> {
        let at = self.advance_at.filter(|_| self.deciding.is_none());
        at.map(|at| at.max(self.decide_at))
    }

    pub(super) fn command(&mut self, command: Command, decisions: Vec<(StreamId, Decision)>) {
        let sent = self.sink.spool.try_send(&command);
        self.deciding = Some(Deciding { command, sent, decisions });
    }

    /// Gives lineages to the lanes that have none and whose topic is there. How many producer ids
    /// are missing for it.
    pub(super) fn begin(&mut self) -> usize {
        if self.deciding.is_some() || Instant::now() < self.decide_at {
            return 0;
        }
        let mut lineages = Vec::new();
        let mut missing = 0;
        for (stream, route) in &self.routes {
            let Some(Decision::Begin(first)) = route.lane.decision() else { continue };
            if !self.contact.cluster().is_some_and(|cluster| cluster.has(&stream.topic)) {
                continue;
            }
            let Some(producer) = self.contact.producer() else {
                missing += 1;
                continue;
            };
            let cluster = self.contact.cluster();
            lineages.extend(cluster.and_then(|c| c.lineage(*stream, first, producer, false)));
        }
        for Lineage { stream, first, partition, producer, .. } in &lineages {
            tracing::info!(%stream, first, partition, producer, "stream begins in Kafka");
        }
        if !lineages.is_empty() {
            self.command(Command::Begin { lineages }, Vec::new());
        }
        missing
    }

    /// Whether something is wanted that was not there when the cluster was looked at: a topic, or a
    /// leader that is known.
    pub(super) fn lacks_something(&self) -> bool {
        let Some(cluster) = self.contact.cluster() else { return !self.topics.is_empty() };
        let led = |stream: &StreamId| {
            self.leader_of(stream).is_some_and(|leader| cluster.brokers.contains_key(&leader))
        };
        let waits = |lane: &Lane| lane.len() > 0 && lane.lineage.is_some();
        !self.topics.iter().all(|topic| cluster.has(topic))
            || self.routes.iter().any(|(stream, route)| waits(&route.lane) && !led(stream))
    }

    /// Lineages of another cluster, or of a topic that was made anew, are void.
    pub(super) fn disown(&mut self) {
        let Some(cluster) = self.contact.cluster() else { return };
        for (stream, route) in &mut self.routes {
            let is_void = route.lane.lineage.as_ref().is_some_and(|l| cluster.disowns(l));
            if is_void && route.lane.disown() {
                self.sink.note_made_anew(stream);
            }
        }
    }
}

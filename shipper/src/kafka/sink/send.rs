//! What is read from the spool, and sent.

use super::Work;
use crate::{
    alarms::Alarm,
    kafka::{
        cluster::{Topic, topic_name},
        pipes::Batch,
    },
};
use brink_proto::ids::StreamId;
use std::time::{SystemTime, UNIX_EPOCH};

impl Work {
    /// Takes up what was halted, asks for payloads, and sends what may go. Streams take turns, for
    /// there are fewer buffers than all of them could use.
    pub(super) fn send(&mut self) {
        let streams: Vec<StreamId> = self.routes.keys().copied().collect();
        if streams.is_empty() {
            return;
        }
        self.turn = (self.turn + 1) % streams.len();
        let (behind, first) = streams.split_at(self.turn);
        for stream in first.iter().chain(behind) {
            self.send_of(*stream);
        }
    }

    fn send_of(&mut self, stream: StreamId) {
        let Some(leader) = self.leader_of(&stream) else { return };
        let Some(route) = self.routes.get_mut(&stream) else { return };
        if route.lane.is_halted() && route.retry.is_due() {
            route.lane.resume();
        }
        // All batches that are under way go over one connection, so that they stay in order.
        if self.pipes.is_elsewhere(&stream, leader) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Clocks differ, and an answer takes its time: half of what is remembered is relied on.
        let recalled = now.saturating_sub(self.config.producer_expiration / 2);
        let recalled_ms = recalled.as_millis() as i64;
        if !self.pipes.is_open(leader) {
            // There are fewer buffers than streams could use: one that cannot send keeps none.
            return route.lane.put_back(|bytes| self.sink.reads.give_back(bytes));
        }
        while self.pipes.is_open(leader) {
            let Some(sending) = route.lane.sending(recalled_ms) else { break };
            let frame = sending.frame;
            let first = frame.batch.first_sequence;
            let Some(producer) = sending.lineage.number(first) else { break };
            let batch = Batch {
                topic: topic_name(&self.config, &stream.topic),
                partition: sending.lineage.partition,
                frame,
                producer,
                bytes: sending.bytes,
            };
            let doubtful = sending.doubtful;
            if !self.pipes.send(leader, &batch) {
                break;
            }
            let counters = &self.sink.counters;
            if doubtful > 0 {
                counters.doubtful.add(doubtful);
                self.sink.alarms.raise(Alarm::KafkaForgot);
                let (first, events) = (first.0, doubtful);
                tracing::warn!(%stream, first, events, "sent long ago, perhaps; may stand twice");
            }
            counters.bytes.add(u64::from(frame.batch.payload_bytes));
            let free = |bytes| self.sink.reads.give_back(bytes);
            let again = route.lane.sent(frame.position, doubtful, free);
            counters.resent.add(u64::from(again));
        }
        while let Some(frame) = route.lane.wanted() {
            if !self.sink.reads.try_request(frame) {
                route.lane.unread(frame.position);
                break;
            }
            self.reading += 1;
        }
    }

    /// Who leads the partition of a stream, if it has one and somebody does.
    pub(super) fn leader_of(&self, stream: &StreamId) -> Option<i32> {
        let lineage = self.routes.get(stream)?.lane.lineage.as_ref()?;
        let topic = self.contact.cluster()?.topics.get(&stream.topic)?;
        let Topic::There { leaders, .. } = topic else { return None };
        let partition = usize::try_from(lineage.partition).ok()?;
        leaders.get(partition).copied().filter(|leader| *leader >= 0)
    }
}

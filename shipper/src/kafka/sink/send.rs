//! What is read from the spool, and sent.

use super::Work;
use crate::{alarms::Alarm, kafka::produce::Batch};
use brink_proto::ids::StreamId;
use std::time::{SystemTime, UNIX_EPOCH};

impl Work {
    /// Takes up what was halted, sends what may go, and asks for payloads. Streams take turns, for
    /// there is less memory than all of them could use.
    pub(super) fn send(&mut self) {
        let streams: Vec<StreamId> = self.routes.keys().copied().collect();
        if streams.is_empty() {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Clocks differ, and an answer takes its time: half of what is remembered is relied on.
        let recalled = now.saturating_sub(self.sink.config.producer_expiration / 2);
        let recalled_ms = recalled.as_millis() as i64;
        self.turn = (self.turn + 1) % streams.len();
        let (behind, first) = streams.split_at(self.turn);
        for stream in first.iter().chain(behind) {
            self.send_of(*stream, recalled_ms);
        }
        self.pipes.send();
    }

    fn send_of(&mut self, stream: StreamId, recalled_ms: i64) {
        let leader = self.leader_of(&stream);
        let Some(route) = self.routes.get_mut(&stream) else { return };
        // One that cannot send leaves the memory to others.
        let Some(leader) = leader else { return route.lane.put_back() };
        if route.lane.is_halted() && route.retry.is_due() {
            route.lane.resume();
        }
        // All batches that are under way go over one connection, so that they stay in order.
        if route.lane.is_under_way() && route.sent_to != Some(leader) {
            return;
        }
        self.pipes.dial(leader);
        if !self.pipes.is_open(leader) || !route.lane.is_open() {
            return route.lane.put_back();
        }
        while let Some(sending) = route.lane.sending(recalled_ms) {
            let (frame, partition) = (sending.frame, sending.lineage.partition);
            let first = frame.batch.first_sequence;
            let Some(producer) = sending.lineage.number(first) else { break };
            if !self.pipes.takes(leader, stream.topic, partition, frame.frame_bytes()) {
                break;
            }
            let doubtful = sending.doubtful;
            let Some((bytes, again)) = route.lane.sent(frame.position, doubtful) else { break };
            route.sent_to = Some(leader);
            let bytes = bytes.into_vec();
            self.pipes.add(leader, Batch { partition, frame, producer, bytes });
            let counters = &self.sink.counters;
            if doubtful > 0 {
                counters.doubtful.add(doubtful);
                self.sink.alarms.raise(Alarm::KafkaForgot);
                let (first, events) = (first.0, doubtful);
                tracing::warn!(%stream, first, events, "sent long ago, perhaps; may stand twice");
            }
            counters.bytes.add(u64::from(frame.batch.payload_bytes));
            counters.resent.add(u64::from(again));
        }
        while let Some(frame) = route.lane.wanted() {
            if !self.sink.reads.try_request(frame) && !route.lane.make_room(frame.position) {
                break;
            }
        }
    }

    /// Whether what a stream has can go: somebody leads its partition, and is connected.
    pub(super) fn is_reached(&self, stream: &StreamId) -> bool {
        self.leader_of(stream).is_some_and(|leader| self.pipes.is_open(leader))
    }

    /// Who leads the partition of a stream, if it has one and somebody does.
    pub(super) fn leader_of(&self, stream: &StreamId) -> Option<i32> {
        let lineage = self.routes.get(stream)?.lane.lineage.as_ref()?;
        self.contact.cluster()?.leader(&stream.topic, lineage.partition)
    }
}

//! What is read from the spool for a transaction, and what is passed over because it is not to be
//! had, or never to be taken.

use super::{AGAIN, LOOK, REFUSALS_MAX, Stop, Strict};
use crate::{
    sink::Ended,
    spool::port::{Command, FrameBytes, ReadFault},
};
use brink_proto::{
    frame::{FrameHeader, LogPosition},
    ids::StreamId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Payloads of a group, by their place in the log.
type Payloads = BTreeMap<LogPosition, Result<FrameBytes, ReadFault>>;

impl Strict {
    /// Reads payloads. What is not to be had, or will never be taken, ends what goes of its stream;
    /// once it is the first of it, it is passed over.
    pub(super) async fn payloads(
        &mut self,
        group: &[FrameHeader],
    ) -> Result<Vec<(FrameHeader, FrameBytes)>, Stop> {
        // BOUND: the group, as all of these.
        let mut cut: BTreeSet<StreamId> = BTreeSet::new();
        let mut loads: Vec<(FrameHeader, FrameBytes)> = Vec::with_capacity(group.len());
        let mut all = self.read(group).await?;
        for frame in group {
            let stream = frame.batch.stream;
            if cut.contains(&stream) {
                continue;
            }
            let refused = self.refusals.get(&frame.position).filter(|(n, _)| *n >= REFUSALS_MAX);
            let bytes = match (all.remove(&frame.position), refused.copied()) {
                (Some(Ok(bytes)), None) => Ok(bytes),
                (Some(Err(fault)), _) => Err(Hitch::Unreadable(fault)),
                (Some(Ok(_)), Some((_, code))) => Err(Hitch::Refused(code)),
                (None, _) => continue,
            };
            match bytes {
                Ok(bytes) => loads.push((*frame, bytes)),
                Err(hitch) => {
                    cut.insert(stream);
                    let is_first = !loads.iter().any(|(f, _)| f.batch.stream == stream);
                    if is_first {
                        self.pass_over(*frame, hitch).await?;
                    }
                }
            }
        }
        Ok(loads)
    }

    /// Asks for all payloads of a group, and waits for them.
    async fn read(&mut self, group: &[FrameHeader]) -> Result<Payloads, Ended> {
        // BOUND: the group.
        let mut unasked: VecDeque<FrameHeader> = group.iter().copied().collect();
        let mut wanted: BTreeSet<LogPosition> = group.iter().map(|frame| frame.position).collect();
        let mut read = BTreeMap::new();
        while !wanted.is_empty() {
            while let Some(frame) = unasked.front() {
                if !self.sink.reads.try_request(*frame) {
                    break;
                }
                unasked.pop_front();
            }
            match self.sink.reads.try_read() {
                // Of one that nobody waits for any more.
                Some(reply) if !wanted.contains(&reply.frame.position) => {}
                Some(reply) if reply.result == Err(ReadFault::Disk) => {
                    tokio::time::sleep(AGAIN).await;
                    unasked.push_back(reply.frame);
                }
                Some(reply) => {
                    wanted.remove(&reply.frame.position);
                    read.insert(reply.frame.position, reply.result.map(|()| reply.bytes));
                }
                None => self.pause(LOOK).await?,
            }
        }
        Ok(read)
    }

    async fn pass_over(&mut self, frame: FrameHeader, hitch: Hitch) -> Result<(), Ended> {
        let events = u64::from(frame.batch.count);
        match hitch {
            Hitch::Unreadable(fault) => self.sink.note_unreadable(events, fault),
            Hitch::Refused(code) => {
                self.decide(Command::Keep { frame }).await?;
                self.refusals.remove(&frame.position);
                self.sink.note_set_aside(&frame.batch.stream, events, code);
            }
        }
        self.streams.let_go(&frame);
        Ok(())
    }
}

/// Why a frame does not go.
enum Hitch {
    Unreadable(ReadFault),
    /// With this code, as often as it takes.
    Refused(i16),
}

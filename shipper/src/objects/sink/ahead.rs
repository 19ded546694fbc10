//! A store that is ahead of the log: objects of an earlier start of which neither a cursor nor a
//! seal says anything.
//!
//! Somebody else has made them who went on from the same log: this spool is an old copy, or there
//! are two of it. A stream has one row for each sequence, so what they hold is what this log has,
//! grouped in another way, under keys of which none is ours: no PUT meets them. So they are looked
//! for by name: before the first object that is made of an earlier start, once for each topic and
//! hour; and again when the last manifest of that start is due, in its last hour and the next. The
//! first look keeps rows from standing twice. The second one keeps nothing: it is for what came
//! since the first, or has nothing in this log. Of this start nobody else can have an object.

use super::{Ended, Found, ObjectName, ObjectSink, Place, Plan, Seal, Shed, Work, unless_ended};
use crate::{
    alarms::Alarm,
    backoff::Backoff,
    objects::{
        key::{folder, log_digest, name_begin},
        plan::WRITER_VERSION,
    },
    spool::chain::ChainId,
};
use brink_proto::ids::{Hour, Sequence};
use std::collections::BTreeSet;

/// What is known of such objects.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Keys of objects that earlier starts had decided on. BOUND: what a cursor has.
    sealed: BTreeSet<String>,
    /// Hours that were looked at. BOUND: those of which the log had something at the start.
    seen: BTreeSet<(ChainId, Hour)>,
    /// Objects beyond where their streams stood. BOUND: what a store has of these hours.
    objects: BTreeSet<ObjectName>,
}

impl Ahead {
    /// Nothing; these seals explain what they speak of.
    pub(super) fn new(seals: &[Seal]) -> Ahead {
        let sealed = seals.iter().map(|seal| seal.key.clone()).collect();
        Ahead { sealed, ..Ahead::default() }
    }
}

impl ObjectSink {
    /// A plan that is to be made an object; nothing, if a part of it is in objects that exist: then
    /// the planner knows what comes next.
    pub(super) async fn unless_ahead(
        &mut self,
        plan: Plan,
        work: &mut Work,
    ) -> Result<Option<Plan>, Ended> {
        let stream = plan.seal.stream;
        let id = ChainId::of(&stream);
        let hour = plan.frames.first().map(|frame| frame.batch.hour);
        let Some(hour) = hour.filter(|_| !work.lists.is_own(&id)) else { return Ok(Some(plan)) };
        if !work.ahead.seen.contains(&(id, hour)) {
            let found = self.beyond(&id, hour, work).await?;
            // One that begins before its stream stands here has rows that are delivered already.
            let behind = |name: &ObjectName| work.lists.end_of(&name.stream) <= name.first.0;
            work.ahead.objects.extend(found.into_iter().filter(behind));
            work.ahead.seen.insert((id, hour));
        }
        let existing = self.in_the_way_of(&plan, work).await?;
        if !plan.frames.iter().any(|frame| existing.iter().any(|found| found.holds(frame))) {
            return Ok(Some(plan));
        }
        work.planner.handle_ahead(plan, &existing);
        Ok(None)
    }

    /// Before the last manifest of an earlier start: whether the store has more of it.
    pub(super) async fn look_behind(
        &mut self,
        id: ChainId,
        hour: Hour,
        work: &mut Work,
    ) -> Result<(), Ended> {
        for hour in [hour, Hour(hour.0.saturating_add(1))] {
            self.beyond(&id, hour, work).await?;
        }
        Ok(())
    }

    /// Objects of a start in an hour that lie beyond where their streams stand, and that nothing
    /// explains.
    async fn beyond(
        &mut self,
        id: &ChainId,
        hour: Hour,
        work: &Work,
    ) -> Result<Vec<ObjectName>, Ended> {
        let keys = self.keys_of(id, hour).await?;
        let unknown = keys.iter().filter(|key| !work.ahead.sealed.contains(*key));
        let names = unknown.filter_map(|key| ObjectName::read(key));
        let names: Vec<_> =
            names.filter(|name| work.lists.end_of(&name.stream) < name.end.0).collect();
        if let Some(first) = names.first() {
            self.alarms.raise(Alarm::StoreAhead);
            let (key, objects) = (first.key(), names.len());
            tracing::error!(key, objects, "the store has what this spool has not delivered");
        }
        Ok(names)
    }

    /// Keys of a start's objects of a topic in an hour. A store that does not let us list is not
    /// asked for more: whoever may only put and get delivers as ever.
    async fn keys_of(&mut self, id: &ChainId, hour: Hour) -> Result<Vec<String>, Ended> {
        let (folder, begin) = (folder(&id.topic, hour), name_begin(&id.edge, id.incarnation));
        let mut retry = Backoff::default();
        loop {
            let keys = self.store.keys_named(&folder, &begin);
            match unless_ended(self.phase.clone(), keys).await? {
                Ok(keys) => {
                    self.note_success();
                    return Ok(keys);
                }
                Err(error) if error.may_pass() => self.note(&error),
                Err(error) => {
                    tracing::warn!(%error, folder, "an old copy of this spool would not be noticed");
                    return Ok(Vec::new());
                }
            }
            self.wait_or_end(retry.pause()).await?;
        }
    }

    /// The objects that have something of a plan.
    async fn in_the_way_of(&mut self, plan: &Plan, work: &mut Work) -> Result<Vec<Found>, Ended> {
        let (stream, first, end) = (plan.seal.stream, plan.seal.first, plan.seal.end);
        let overlaps =
            |name: &&ObjectName| name.stream == stream && name.first.0 < end && first < name.end.0;
        let overlapping: Vec<_> = work.ahead.objects.iter().filter(overlaps).copied().collect();
        let mut existing = Vec::new();
        for name in overlapping {
            let at = Sequence(work.lists.end_of(&stream));
            let can_be_listed = at <= name.first || name.end <= at;
            match self.found(&name, plan).await?.filter(|_| can_be_listed) {
                Some(found) => existing.push(found),
                None => drop(work.ahead.objects.remove(&name)),
            }
        }
        Ok(existing)
    }

    /// An object, if it is what its name says, and what the plan has of it is what it holds.
    async fn found(&mut self, name: &ObjectName, plan: &Plan) -> Result<Option<Found>, Ended> {
        let key = name.key();
        let footer = self.find(&key).await?.filter(|footer| !footer.digest.is_empty());
        let Some(footer) = footer.filter(|footer| footer.rows == name.rows()) else {
            return Ok(None);
        };
        let seal = Seal {
            key,
            stream: name.stream,
            first: name.first.0,
            end: name.end.0,
            frames: 0,
            schema: name.schema,
            writer: WRITER_VERSION,
            digest: footer.digest,
        };
        let shed = Shed::default();
        let found = Found { seal, bytes: footer.bytes, place: Place::AtItsKey, rows: 0, shed };
        let held = plan.frames.iter().filter(|frame| found.holds(frame)).copied();
        let held: Vec<_> = held.collect();
        let rows: u64 = held.iter().map(|frame| u64::from(frame.batch.count)).sum();
        let is_all = rows == name.rows();
        Ok(Some(found).filter(|found| !is_all || log_digest(&held) == found.seal.digest))
    }
}

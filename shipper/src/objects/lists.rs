//! Which lists become manifests, and when. Pure: what was delivered and the time in, chains out.
//!
//! A list is sealed when
//!
//! - an hour is over, some grace has passed, and nothing of that hour is on its way any more;
//! - an object of another hour wants in, or there is no more room;
//! - its start is over and all that it accepted is delivered: then it is the last one.
//!
//! Whether anything of this start is on its way is told by a *watermark*: a time before which
//! everything that it wrote has been taken by the sink. It moves with its frames, which come in the
//! order of the log, and to the present whenever the sink has caught up. What earlier starts have
//! left comes beside them, at a pace of its own, and is counted.

use super::manifest::Manifest;
use crate::spool::{
    chain::{ALL_LISTED_MAX, Chain, ChainId, Gap, GapReason, LISTED_MAX, ListSeal, Listed},
    cursors::SinkCursor,
};
use brink_proto::ids::{Hour, Incarnation, Name, Sequence, StreamId};
use std::{collections::BTreeMap, time::Duration};

/// Who makes manifests.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) edge: Name,
    /// This start; none, where only what earlier ones have left is delivered.
    pub(super) incarnation: Option<Incarnation>,
    /// What this start serves: each gets a manifest for each hour, and be it an empty one.
    pub(super) topics: Vec<Name>,
}

/// Something of a stream that is done with.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) stream: StreamId,
    /// Its hour; where nobody knows, that of the chain.
    pub(super) hour: Option<Hour>,
    /// The sequence behind it.
    pub(super) end: Sequence,
    /// The object, unless all of it is lost.
    pub(super) object: Option<Listed>,
}

/// A list that is to become a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: ChainId,
    pub(super) hour: Hour,
    seal: ListSeal,
}

impl Due {
    /// Whether nothing of its chain comes after it.
    pub(super) fn is_last(&self) -> bool {
        self.seal.last
    }
}

/// Time after an hour in which what was written in it becomes durable and is taken: batches close
/// within 50 ms, a commit takes no longer than ten seconds, and the rest is for clocks.
const GRACE: Duration = Duration::from_secs(60);

/// The grace is up to so much longer: a fleet does not write its manifests in one instant.
const GRACE_MORE: Duration = Duration::from_secs(60);

/// BOUND: gaps in front of one object; what is between further ones is told as one with the last.
const GAPS_MAX: usize = 16;

const HOUR_MS: u64 = 3_600_000;

/// The chains of a sink.
pub(super) struct Lists {
    author: Author,
    chains: BTreeMap<ChainId, Chain>,
    /// Where streams begin that no chain has seen.
    begins: BTreeMap<StreamId, Sequence>,
    /// Frames that were given up, and that no object has come behind yet.
    given_up: BTreeMap<(StreamId, u64), u64>,
    /// Milliseconds since 1970: what this start wrote before is taken.
    watermark_ms: u64,
    /// Events of earlier starts that are not taken yet.
    backlog: u64,
    grace_ms: u64,
    /// By chain, the last hour that was said to be over.
    closed: BTreeMap<ChainId, Hour>,
}

impl Lists {
    /// Lists as the cursor has them; so many events of earlier starts are to come.
    pub(super) fn new(author: Author, cursor: &SinkCursor, backlog: u64) -> Lists {
        let known = cursor.chains.iter().map(|chain| (chain.id, chain.clone()));
        let mut lists = Lists {
            chains: known.collect(),
            begins: cursor.delivered.clone(),
            given_up: BTreeMap::new(),
            watermark_ms: 0,
            backlog,
            grace_ms: grace(&author.edge).as_millis() as u64,
            closed: BTreeMap::new(),
            author,
        };
        let Author { edge, incarnation, topics } = lists.author.clone();
        let Some(incarnation) = incarnation else { return lists };
        for topic in topics {
            let id = ChainId { edge, incarnation, topic };
            lists.chains.entry(id).or_insert_with(|| Chain::new(id));
            // What was before this start is none of its business.
            let before = (incarnation.0 / HOUR_MS).saturating_sub(1);
            lists.closed.insert(id, Hour(u32::try_from(before).unwrap_or(u32::MAX)));
        }
        lists
    }

    /// Something of a stream was written then and is here.
    pub(super) fn see(&mut self, stream: &StreamId, unix_ms: u64) {
        if self.is_own(&ChainId::of(stream)) {
            self.catch_up(unix_ms);
        }
    }

    /// So many events of a stream are taken, or known to be gone.
    pub(super) fn take(&mut self, stream: &StreamId, events: u64) {
        if !self.is_own(&ChainId::of(stream)) {
            self.backlog = self.backlog.saturating_sub(events);
        }
    }

    /// Whether something that earlier starts have left is still to come.
    pub(super) fn has_backlog(&self) -> bool {
        self.backlog > 0
    }

    /// Everything that this start wrote before this time is taken.
    pub(super) fn catch_up(&mut self, unix_ms: u64) {
        self.watermark_ms = self.watermark_ms.max(unix_ms);
    }

    /// A frame of a stream will be in no object.
    pub(super) fn give_up(&mut self, stream: StreamId, first: Sequence, end: Sequence) {
        self.given_up.insert((stream, first.0), end.0);
    }

    /// The lists that an earlier start has sealed, and whose manifests may exist.
    pub(super) fn unfinished(&self) -> Vec<ChainId> {
        let is_sealed = |chain: &&Chain| chain.list.as_ref().is_some_and(|l| l.seal.is_some());
        self.chains.values().filter(is_sealed).map(|chain| chain.id).collect()
    }

    /// A list that has to become a manifest before this is listed: its own, if that is of another
    /// hour or full, or the longest, if there is no more room at all.
    pub(super) fn in_the_way(
        &self,
        delivery: &Delivery,
        pends: impl Fn(&ChainId, Hour) -> bool,
    ) -> Option<Due> {
        let id = ChainId::of(&delivery.stream);
        let more = self.gaps(delivery).len() + usize::from(delivery.object.is_some());
        let own = self.chains.get(&id).and_then(|chain| chain.list.as_ref());
        let is_in_the_way = own.is_some_and(|list| {
            let other = delivery.hour.is_some_and(|hour| hour.0 != list.hour);
            other || (!list.is_empty() && list.len() + more > LISTED_MAX)
        });
        let length = |chain: &Chain| chain.list.as_ref().map_or(0, |list| list.len());
        let all: usize = self.chains.values().map(length).sum();
        let longest = || self.chains.values().max_by_key(|c| length(c)).filter(|c| length(c) > 0);
        let chain = match is_in_the_way {
            true => self.chains.get(&id),
            false if all + more > ALL_LISTED_MAX => longest(),
            false => None,
        }?;
        // What is in hand is in no list yet, and no list may say that its hour is told.
        let in_hand = |of: &ChainId, hour: Hour| {
            *of == id && delivery.hour.is_none_or(|delivered| delivered <= hour)
        };
        let pends = |of: &ChainId, hour: Hour| pends(of, hour) || in_hand(of, hour);
        let closed = self.closes(&chain.id, &pends).or(self.closed.get(&chain.id).copied());
        Some(self.due(chain, closed, false))
    }

    /// A chain with this in its list.
    pub(super) fn with(&self, delivery: Delivery) -> Chain {
        let id = ChainId::of(&delivery.stream);
        let gaps = self.gaps(&delivery);
        let begin = Sequence(self.end_of(&delivery.stream));
        let mut chain = self.chains.get(&id).cloned().unwrap_or_else(|| Chain::new(id));
        let hour = delivery.hour.unwrap_or_else(|| self.hour_of(&chain));
        match delivery.object {
            Some(object) => chain.add(hour, begin, gaps, object),
            None => chain.pass_over(hour, begin, gaps),
        }
        chain
    }

    /// Takes a chain as it stands in the cursor now.
    pub(super) fn keep(&mut self, chain: Chain) {
        debug_assert!(chain.tiles(), "{chain:?}");
        self.given_up.retain(|(stream, first), _| {
            let end = chain.end_of(stream.shard.0);
            ChainId::of(stream) != chain.id || end.is_none_or(|end| *first >= end)
        });
        self.chains.insert(chain.id, chain);
    }

    /// A list that is due by time, or because its start is over.
    pub(super) fn poll(&self, pends: impl Fn(&ChainId, Hour) -> bool) -> Option<Due> {
        self.chains.values().find_map(|chain| {
            let id = &chain.id;
            if !self.is_own(id) && self.backlog == 0 && !pends(id, Hour(u32::MAX)) {
                return Some(self.due(chain, self.closed.get(id).copied(), true));
            }
            let closes = self.closes(id, &pends)?;
            Some(self.due(chain, Some(closes), false))
        })
    }

    /// The last manifest of a chain: nothing comes any more. None of a chain that never began.
    pub(super) fn poll_last(&self) -> Option<Due> {
        let begun = |chain: &&Chain| chain.next > 0 || chain.list.is_some();
        let chain = self.chains.values().find(begun)?;
        Some(self.due(chain, self.closed.get(&chain.id).copied(), true))
    }

    /// The chain with a list that is due sealed, or the one that was sealed before.
    pub(super) fn sealed(&mut self, due: Due) -> Option<Chain> {
        let mut chain = self.chains.get(&due.id)?.clone();
        if let Some(hour) = due.seal.closed {
            self.closed.insert(due.id, Hour(hour));
        }
        chain.seal(due.hour, due.seal);
        Some(chain)
    }

    /// The manifest of a sealed list, and whether it is the chain's last.
    pub(super) fn manifest(&self, id: &ChainId) -> Option<Manifest> {
        self.chains.get(id).and_then(Manifest::of)
    }

    /// The chain once its manifest exists.
    pub(super) fn linked(&self, id: &ChainId, digest: String) -> Option<Chain> {
        let mut chain = self.chains.get(id)?.clone();
        chain.link(digest);
        Some(chain)
    }

    /// Forgets a chain that has its last manifest.
    pub(super) fn end(&mut self, id: &ChainId) {
        self.chains.remove(id);
    }

    /// Whether a chain is one of this start.
    pub(super) fn is_own(&self, id: &ChainId) -> bool {
        id.edge == self.author.edge && Some(id.incarnation) == self.author.incarnation
    }

    /// The hour that is over for a chain of this start, if that was not said already. Of an earlier
    /// one the watermark says nothing.
    fn closes(&self, id: &ChainId, pends: &impl Fn(&ChainId, Hour) -> bool) -> Option<Hour> {
        if !self.is_own(id) {
            return None;
        }
        let over = (self.watermark_ms.saturating_sub(self.grace_ms) / HOUR_MS).checked_sub(1)?;
        let over = Hour(u32::try_from(over).ok()?);
        let is_new = self.closed.get(id).is_none_or(|closed| *closed < over);
        (is_new && !pends(id, over)).then_some(over)
    }

    fn due(&self, chain: &Chain, closed: Option<Hour>, last: bool) -> Due {
        let seal = ListSeal { closed: closed.map(|hour| hour.0), last };
        // An empty one lies in the hour that it closes.
        let hour = match closed.filter(|_| !last) {
            Some(closed) => closed,
            None => self.hour_of(chain),
        };
        Due { id: chain.id, hour, seal }
    }

    /// The hour of a chain: of its list, of its last manifest, or of its start.
    fn hour_of(&self, chain: &Chain) -> Hour {
        let list = chain.list.as_ref().map(|list| list.hour);
        let hour = list.or(chain.previous.as_ref().map(|link| link.hour));
        let start = || u32::try_from(chain.id.incarnation.0 / HOUR_MS).unwrap_or(u32::MAX);
        Hour(hour.unwrap_or_else(start))
    }

    /// The sequence behind all of a stream that is delivered.
    pub(super) fn end_of(&self, stream: &StreamId) -> u64 {
        let chain = self.chains.get(&ChainId::of(stream));
        let end = chain.and_then(|chain| chain.end_of(stream.shard.0));
        end.unwrap_or_else(|| self.begins.get(stream).map_or(0, |begin| begin.0))
    }

    /// What lies between the end of a stream and this, by reason.
    fn gaps(&self, delivery: &Delivery) -> Vec<Gap> {
        let Delivery { stream, end, object, .. } = delivery;
        let shard = stream.shard.0;
        let mut at = self.end_of(stream);
        let to = object.as_ref().map_or(end.0, |object| object.first);
        let mut gaps: Vec<Gap> = Vec::new();
        // They are handed in without a hole between them.
        let mut add = |first: u64, end: u64, reason| {
            let is_full = gaps.len() == GAPS_MAX;
            match gaps.last_mut() {
                _ if first >= end => {}
                Some(last) if last.reason == reason || is_full => last.end = end,
                _ => gaps.push(Gap { shard, first, end, reason }),
            }
        };
        for ((_, first), end) in self.given_up.range((*stream, at)..(*stream, to.max(at))) {
            add(at, *first, GapReason::Missing);
            add(*first, *end, GapReason::Corrupt);
            at = *end;
        }
        add(at, to, GapReason::Missing);
        gaps
    }
}

/// The grace of an edge, which is always the same.
fn grace(edge: &Name) -> Duration {
    let share = crc32c::crc32c(edge.as_str().as_bytes());
    GRACE + GRACE_MORE.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;

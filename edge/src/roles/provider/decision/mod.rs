//! What is answered: the decision itself, which knows no dialect.
//!
//! ```text
//!  late? ─▶ consent ─▶ table? ─▶ room? ─▶ user id, our id, extended ids ─▶ segments
//! ```
//!
//! What ends the way early costs the least: a request whose time is over gets no lookup.
//! [`asked`] is what a call says, [`extended`] the ids of others in it, [`limit`] how many are
//! answered.

pub(in crate::roles::provider) mod asked;
pub(in crate::roles::provider) mod extended;
pub(in crate::roles::provider) mod limit;

use super::view::ProviderView;
use crate::{
    consent::{Decision, Verdict},
    roles::{Moment, allowed::Allowed},
    table::handover::{LoadedTable, SegmentTable},
};
use asked::Asked;
use brink_proto::table::{Namespace, Record};
use limit::{Room, TokenBucket};

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::roles::provider) enum Outcome {
    /// Segments were answered.
    Segments,
    /// The user is not in the table, or has no segments there.
    Unknown,
    /// The user does not allow it.
    Denied,
    /// The budget was used up before it could be looked at.
    Late,
    /// There was no room for it.
    Shed,
    /// There is no table.
    NoTable,
    /// It is no call that we know.
    BadRequest,
}

impl Outcome {
    /// All of them, as metric labels and in rows.
    pub(in crate::roles::provider) const LABELS: [&'static str; 7] =
        ["segments", "unknown", "denied", "late", "shed", "no_table", "bad_request"];

    /// Its label.
    #[inline]
    #[must_use]
    pub(in crate::roles::provider) fn label(self) -> &'static str {
        Outcome::LABELS.get(self as usize).copied().unwrap_or_default()
    }
}

/// A user in the table.
#[derive(Clone, Copy)]
pub(in crate::roles::provider) struct Found<'a> {
    /// Under which kind of id.
    pub(in crate::roles::provider) namespace: &'a str,
    /// What the table says.
    pub(in crate::roles::provider) record: Record<'a>,
}

/// BOUND: longest id, or list of ids, that is looked up once decoded.
pub(in crate::roles::provider) const IDS_BYTES_MAX: usize = 2048;

/// Memory to decode ids in.
pub(in crate::roles::provider) type IdRoom = Box<[u8; IDS_BYTES_MAX]>;

/// BOUND: extended ids of one call that are looked up.
pub(in crate::roles::provider) const EXTENDED_IDS_MAX: usize = 8;

/// What was decided.
#[derive(Clone, Copy)]
pub(in crate::roles::provider) struct Decided<'a> {
    pub(in crate::roles::provider) outcome: Outcome,
    pub(in crate::roles::provider) consent: Decision,
    pub(in crate::roles::provider) found: Option<Found<'a>>,
    pub(in crate::roles::provider) table: Option<&'a LoadedTable>,
}

/// What deciding remembers and works in.
pub(in crate::roles::provider) struct Memory<'a> {
    pub(in crate::roles::provider) allowed: &'a mut Allowed,
    pub(in crate::roles::provider) bucket: Option<&'a mut TokenBucket>,
    pub(in crate::roles::provider) room: &'a mut IdRoom,
}

/// Decides.
#[inline]
pub(in crate::roles::provider) fn decide<'a>(
    asked: &Asked<'a>,
    view: &'a ProviderView,
    memory: Memory<'a>,
    moment: Moment,
) -> Decided<'a> {
    let Memory { allowed, bucket, room } = memory;
    let consent = allowed.decide(&asked.signals);
    let mut decided = Decided { outcome: Outcome::Late, consent, found: None, table: None };
    if moment.waited > view.budget {
        return decided;
    }
    if consent.verdict == Verdict::Denied {
        return Decided { outcome: Outcome::Denied, ..decided };
    }
    let Some(table) = view.table() else {
        return Decided { outcome: Outcome::NoTable, ..decided };
    };
    // Whoever has waited for half of the budget stands in a queue that grows.
    let strained = moment.waited * 2 > view.budget;
    let left = bucket.as_ref().map_or(Room::Ample, |bucket| bucket.room());
    if left == Room::Empty {
        return Decided { outcome: Outcome::Shed, ..decided };
    }
    decided.table = Some(table);
    let scarce = strained || left == Room::Scarce;
    decided.found = find(asked, view, &table.table, room, scarce);
    decided.outcome = match decided.found {
        Some(_) => Outcome::Segments,
        None if scarce => return Decided { outcome: Outcome::Shed, ..decided },
        None => Outcome::Unknown,
    };
    if let Some(bucket) = bucket {
        bucket.take();
    }
    decided
}

/// Looks for the user under the exchange's id, then under ours, then under those of others. Where
/// there is little room, the first look has to do.
#[inline]
fn find<'a>(
    asked: &Asked<'a>,
    view: &'a ProviderView,
    table: &'a SegmentTable,
    room: &'a mut IdRoom,
    scarce: bool,
) -> Option<Found<'a>> {
    for (id, kind) in [(asked.user_id, &view.user), (asked.external_id, &view.external)] {
        let Some(id) = id.and_then(|id| asked.spelling.read(id, room)) else { continue };
        if let Some(record) = worth(table.find(kind.namespace.key(id))) {
            return Some(Found { namespace: &kind.name, record });
        }
        if scarce {
            return None;
        }
    }
    asked.extended_ids.find(room, |source, id| {
        let record = worth(table.find(Namespace::new(source).key(id)))?;
        Some(Found { namespace: source, record })
    })
}

/// A user without segments is worth as much as one that is not there.
#[inline]
fn worth(record: Option<Record<'_>>) -> Option<Record<'_>> {
    record.filter(|record| record.segments().next().is_some())
}

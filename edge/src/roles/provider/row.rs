//! The `lookups` row of a call.

use super::decision::{Decided, asked::Asked};
use crate::consent::Verdict;
use brink_proto::{LookupRow, ids::Micros};

/// What a row says beside what was asked and decided.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// When the call came.
    pub(super) time: Micros,
    /// The device's address, as much of it as may be kept.
    pub(super) client: Option<&'a [u8]>,
    /// The segments that were answered, and how many.
    pub(super) segments: Option<(&'a [u8], usize)>,
    /// The query as it was sent.
    pub(super) query: Option<&'a [u8]>,
}

/// The row. Of whoever did not consent it says neither an id nor the query, nor anything of the
/// device but its network, country and region.
#[inline]
pub(super) fn lookup<'a>(
    asked: &Asked<'a>,
    decided: &Decided<'a>,
    told: Told<'a>,
) -> LookupRow<'a> {
    let denied = decided.consent.verdict == Verdict::Denied;
    let allowed = |value: Option<&'a [u8]>| value.filter(|_| !denied);
    let reason = decided.consent.verdict.label().map(|_| decided.consent.reason.label());
    let age_ms = |published: Micros| (told.time.0 - published.0).max(0) / 1000;
    LookupRow {
        outcome: decided.outcome.label().into(),
        user_id: allowed(asked.user_id).map(Into::into),
        external_id: allowed(asked.external_id).map(Into::into),
        extended_ids: allowed(asked.extended_ids.text()).map(Into::into),
        matched_namespace: decided.found.as_ref().map(|found| found.namespace.into()),
        client_address: told.client.map(Into::into),
        user_agent: allowed(asked.user_agent).map(Into::into),
        referer: allowed(asked.referer).map(Into::into),
        tag_id: asked.tag_id.map(Into::into),
        country: asked.country.map(Into::into),
        region: asked.region.map(Into::into),
        city: allowed(asked.city).map(Into::into),
        dma: allowed(asked.dma).map(Into::into),
        postal: allowed(asked.postal).map(Into::into),
        auction_id: asked.auction_id.map(Into::into),
        consent_decision: decided.consent.verdict.label().map(Into::into),
        consent_reason: reason.map(Into::into),
        answered_segments: told.segments.map(|(lines, _)| lines.into()),
        segment_count: told.segments.map_or(0, |(_, count)| count as i32),
        table_version: decided.table.map(|table| table.version as i64),
        table_age_ms: decided.table.map(|table| age_ms(table.published)),
        raw_query: allowed(told.query).map(Into::into),
    }
}

//! The `impressions` row of a request.

use super::PixelView;
use crate::{
    consent::Decision,
    http::head::cookie,
    roles::{
        Request,
        macros::expanded,
        parameters::{Meaning, Values},
    },
};
use brink_proto::ImpressionRow;

/// The row. Of whoever did not consent it has neither an id nor anything that may hold one, and of
/// the address the network alone.
#[inline]
pub(super) fn impression<'a>(
    request: &Request<'a>,
    view: &PixelView,
    values: &Values<'a>,
    consent: Decision,
    client: &'a [u8],
) -> ImpressionRow<'a> {
    let head = request.head;
    let fields = &head.fields;
    let allowed = |value: Option<&'a [u8]>| value.filter(|_| consent.verdict.permits());
    let cookie_id = fields.cookie.and_then(|header| cookie(header, &view.cookie));
    ImpressionRow {
        client_address: client.into(),
        method: head.method.into(),
        path: head.path.into(),
        raw_query: allowed(head.query).map(Into::into),
        referer: allowed(fields.referer).map(Into::into),
        user_agent: allowed(fields.user_agent).map(Into::into),
        accept_language: allowed(fields.accept_language).map(Into::into),
        cookie_id: allowed(cookie_id).filter(|id| !id.is_empty()).map(Into::into),
        auction_id: values.of(Meaning::AuctionId).and_then(expanded).map(Into::into),
        consent_decision: consent.verdict.label().map(Into::into),
    }
}

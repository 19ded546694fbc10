//! The `impressions` row of a request.

use super::PixelView;
use crate::{
    http::head::{cookie, parameter},
    roles::Request,
};
use brink_proto::ImpressionRow;

#[inline]
pub(super) fn impression<'a>(request: &Request<'a>, view: &PixelView) -> ImpressionRow<'a> {
    let head = request.head;
    let fields = &head.fields;
    let cookie_id = fields.cookie.and_then(|header| cookie(header, &view.cookie));
    let auction_id = head.query.and_then(|query| parameter(query, &view.auction_parameter));
    ImpressionRow {
        client_address: request.client.as_bytes().into(),
        method: head.method.into(),
        path: head.path.into(),
        raw_query: head.query.map(Into::into),
        referer: fields.referer.map(Into::into),
        user_agent: fields.user_agent.map(Into::into),
        accept_language: fields.accept_language.map(Into::into),
        cookie_id: cookie_id.filter(|id| !id.is_empty()).map(Into::into),
        auction_id: auction_id.filter(|id| is_expanded(id)).map(Into::into),
        consent_decision: None,
    }
}

/// Whether an exchange put a value where its macro stood: `${AUCTION_ID}`, plain or
/// percent-encoded, means that it did not.
fn is_expanded(value: &[u8]) -> bool {
    let unexpanded = value.starts_with(b"${")
        || value.get(..6).is_some_and(|v| v.eq_ignore_ascii_case(b"%24%7B"));
    !value.is_empty() && !unexpanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_macro_that_was_not_expanded_is_no_value() {
        for (value, want) in [
            ("9f6c", true),
            ("0", true),
            ("", false),
            ("${AUCTION_ID}", false),
            ("%24%7bAUCTION_ID%7d", false),
            ("%24", true),
        ] {
            assert_eq!(is_expanded(value.as_bytes()), want, "{value}");
        }
    }
}

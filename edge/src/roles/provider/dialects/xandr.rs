//! Xandr, real-time data provider: a query, answered by a line for each segment.

use super::Heard;
use crate::{
    http::answer::{Answer, Fixed},
    roles::{
        Request,
        macros::known,
        parameters::{Meaning, Values},
        provider::{
            ProviderView,
            answers::Lines,
            decision::{
                asked::{Asked, Spelling},
                extended::ExtendedIds,
            },
        },
    },
};

/// Nothing to say. SPEC: Xandr, real-time data provider: one line feed, never an empty body.
pub(super) static NOTHING: Fixed = Fixed {
    status: 200,
    head: b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n",
    body: b"\n",
};

/// Status line and fields of an answer with segments.
static SEGMENTS_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

/// What a request asks. A call is a GET, or a HEAD to look whether we are there.
#[inline]
pub(super) fn read<'a>(request: &Request<'a>, view: &ProviderView) -> Heard<'a> {
    let head = request.head;
    let values = view.parameters.read(head.query.unwrap_or_default());
    Heard { asked: asked(&values), is_call: matches!(head.method, "GET" | "HEAD") }
}

/// Says these segments.
#[inline]
pub(super) fn write(lines: &Lines, answer: &mut Answer<'_>) {
    if lines.count() == 0 {
        answer.fixed(&NOTHING);
    } else {
        answer.with_body(200, SEGMENTS_HEAD, lines.as_bytes());
    }
}

#[inline]
fn asked<'q>(values: &Values<'q>) -> Asked<'q> {
    let known = |meaning| values.of(meaning).and_then(known);
    Asked {
        user_id: known(Meaning::UserId),
        external_id: known(Meaning::ExternalId),
        extended_ids: known(Meaning::ExtendedIds).map_or(ExtendedIds::Nothing, ExtendedIds::Listed),
        spelling: Spelling::Percent,
        ip: known(Meaning::Ip),
        user_agent: known(Meaning::UserAgent),
        referer: known(Meaning::Referer),
        tag_id: known(Meaning::TagId),
        country: known(Meaning::Country),
        region: known(Meaning::Region),
        city: known(Meaning::City),
        dma: known(Meaning::Dma),
        postal: known(Meaning::Postal),
        auction_id: known(Meaning::AuctionId),
        signals: values.signals(false),
    }
}

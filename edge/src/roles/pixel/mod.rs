//! The pixel: a browser asks for a 43-byte GIF, and that it asked is the event.
//!
//! ```text
//!  GET, HEAD /i.gif        200, the GIF, not cacheable; an `impressions` row
//!  GET, HEAD /robots.txt   200, disallow all
//!  GET, HEAD /favicon.ico  204
//!  anything else           404, or 405 for another method
//! ```
//!
//! A pixel is never refused for what its query says: a page must not break.

mod answers;
mod row;
mod view;

pub use view::{PixelView, parameters};

use super::{Moment, Outcome, Request, Role, Shown, Supplies, allowed::Allowed};
use crate::{config::ListenerConfig, http::answer::Answer};
use brink_proto::{
    ImpressionRow,
    event::AddressText,
    schema::{IMPRESSIONS, Schema},
};

/// The role.
pub struct Pixel;

/// What a pixel remembers and works in.
pub struct PixelState {
    allowed: Allowed,
    /// The network of the client of this request.
    network: Option<AddressText>,
}

impl Role for Pixel {
    type View = PixelView;
    type State = PixelState;
    type Row<'a> = ImpressionRow<'a>;

    const NAME: &'static str = "pixel";
    const TOPICS: &'static [&'static Schema] = &[&IMPRESSIONS];
    const ROUTES: &'static [&'static str] = &["/i.gif"];
    const OUTCOMES: &'static [&'static str] = &["counted", "denied"];

    fn view(config: &ListenerConfig, _supplies: Supplies) -> PixelView {
        PixelView::new(config)
    }

    fn state(view: &PixelView) -> PixelState {
        PixelState { allowed: Allowed::new(view.policy), network: None }
    }

    #[inline]
    fn handle<'a>(
        request: &Request<'a>,
        view: &'a PixelView,
        state: &'a mut PixelState,
        _moment: Moment,
        answer: &mut Answer<'_>,
    ) -> Outcome<ImpressionRow<'a>> {
        let known = match request.head.path {
            b"/i.gif" => &answers::GIF,
            b"/robots.txt" => &answers::ROBOTS,
            b"/favicon.ico" => &answers::NO_ICON,
            _ => return Outcome::NotFound,
        };
        if !matches!(request.head.method, "GET" | "HEAD") {
            answer.fixed(&answers::NOT_ALLOWED);
            return Outcome::Answered;
        }
        answer.fixed(known);
        if request.head.path != b"/i.gif" {
            return Outcome::Answered;
        }
        let values = view.parameters.read(request.head.query.unwrap_or_default());
        let consent = state.allowed.decide_query(&values, request.head.fields.gpc);
        let (outcome, peer, client) = if consent.verdict.permits() {
            (0, Shown::Whole, request.client)
        } else {
            (1, Shown::Network, &*state.network.insert(request.client.network()))
        };
        let row = row::impression(request, view, &values, consent, client.as_bytes());
        Outcome::Event { topic: 0, outcome, ack: view.ack, peer, row }
    }
}

#[cfg(test)]
mod tests;

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

pub use view::PixelView;

use super::{Outcome, Request, Role};
use crate::{config::ListenerConfig, http::answer::Answer};
use brink_proto::{
    ImpressionRow,
    ids::Micros,
    schema::{IMPRESSIONS, Schema},
};

/// The role.
pub struct Pixel;

impl Role for Pixel {
    type View = PixelView;
    type Row<'a> = ImpressionRow<'a>;

    const NAME: &'static str = "pixel";
    const TOPICS: &'static [&'static Schema] = &[&IMPRESSIONS];
    const ROUTES: &'static [&'static str] = &["/i.gif"];

    fn view(config: &ListenerConfig) -> PixelView {
        PixelView::new(config)
    }

    #[inline]
    fn handle<'a>(
        request: &Request<'a>,
        view: &'a PixelView,
        _now: Micros,
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
        Outcome::Event { topic: 0, ack: view.ack, row: row::impression(request, view) }
    }
}

#[cfg(test)]
mod tests;

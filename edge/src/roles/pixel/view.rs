//! What a pixel listener is configured to look for.

use crate::{config::ListenerConfig, roles::Ack};

/// What a pixel sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelView {
    /// When the answer to `/i.gif` may leave.
    pub ack: Ack,
    /// Name of the id cookie.
    pub cookie: Vec<u8>,
    /// Name of the query parameter that carries the auction id.
    pub auction_parameter: Vec<u8>,
}

impl PixelView {
    pub(super) fn new(config: &ListenerConfig) -> PixelView {
        PixelView {
            ack: config.ack("/i.gif"),
            cookie: config.cookie.clone().into_bytes(),
            auction_parameter: config.auction_parameter.clone().into_bytes(),
        }
    }
}

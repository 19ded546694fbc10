//! What a pixel listener is configured to look for.

use crate::{
    config::ListenerConfig,
    consent::Policy,
    roles::{
        Ack,
        parameters::{Meaning, ParameterMap},
    },
};

/// What a pixel sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelView {
    /// When the answer to `/i.gif` may leave.
    pub ack: Ack,
    /// Name of the id cookie.
    pub cookie: Vec<u8>,
    /// Query parameters: the auction id, and what is said of consent.
    pub parameters: ParameterMap,
    /// What users have to allow.
    pub policy: Policy,
}

impl PixelView {
    pub(super) fn new(config: &ListenerConfig) -> PixelView {
        PixelView {
            ack: config.ack("/i.gif"),
            cookie: config.cookie.clone().into_bytes(),
            parameters: parameters(&config.auction_parameter),
            policy: config.consent,
        }
    }
}

/// What a pixel reads of a query. Consent has the names of the IAB's URL macros, as every exchange
/// and partner writes them.
#[must_use]
pub fn parameters(auction_id: &str) -> ParameterMap {
    let consent = Meaning::ALL.into_iter().filter(|(meaning, ..)| meaning.is_of_consent());
    let names = consent.map(|(meaning, _, name)| (meaning, name));
    ParameterMap::new(names.chain([(Meaning::AuctionId, auction_id)]))
}

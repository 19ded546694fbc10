//! What an exchange asks, whatever dialect it asks in.

use crate::{
    consent::Signals,
    roles::{
        macros::known,
        parameters::{Meaning, Values},
    },
};

/// A call, with what means nothing left out.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::roles::provider) struct Asked<'q> {
    /// The exchange's id of the user.
    pub(in crate::roles::provider) user_id: Option<&'q [u8]>,
    /// Our id of the user.
    pub(in crate::roles::provider) external_id: Option<&'q [u8]>,
    /// Ids of other id systems: `source,id|source,id`.
    pub(in crate::roles::provider) extended_ids: Option<&'q [u8]>,
    /// Address of the device.
    pub(in crate::roles::provider) ip: Option<&'q [u8]>,
    /// Its user agent.
    pub(in crate::roles::provider) user_agent: Option<&'q [u8]>,
    /// Page of the impression.
    pub(in crate::roles::provider) referer: Option<&'q [u8]>,
    /// Placement.
    pub(in crate::roles::provider) tag_id: Option<&'q [u8]>,
    /// Country.
    pub(in crate::roles::provider) country: Option<&'q [u8]>,
    /// Region or state.
    pub(in crate::roles::provider) region: Option<&'q [u8]>,
    /// City.
    pub(in crate::roles::provider) city: Option<&'q [u8]>,
    /// Designated market area.
    pub(in crate::roles::provider) dma: Option<&'q [u8]>,
    /// Postal code.
    pub(in crate::roles::provider) postal: Option<&'q [u8]>,
    /// Auction.
    pub(in crate::roles::provider) auction_id: Option<&'q [u8]>,
    /// What the user allows, as sent.
    pub(in crate::roles::provider) signals: Signals<'q>,
}

impl<'q> Asked<'q> {
    /// What a query asks.
    #[inline]
    pub(in crate::roles::provider) fn of_query(values: &Values<'q>) -> Asked<'q> {
        let known = |meaning| values.of(meaning).and_then(known);
        Asked {
            user_id: known(Meaning::UserId),
            external_id: known(Meaning::ExternalId),
            extended_ids: known(Meaning::ExtendedIds),
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
}

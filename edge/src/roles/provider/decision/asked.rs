//! What an exchange asks, whatever dialect it asks in.

use super::{IdRoom, extended::ExtendedIds};
use crate::{consent::Signals, roles::macros::decoded};

/// A call, with what means nothing left out.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::roles::provider) struct Asked<'q> {
    /// The exchange's id of the user.
    pub(in crate::roles::provider) user_id: Option<&'q [u8]>,
    /// Our id of the user.
    pub(in crate::roles::provider) external_id: Option<&'q [u8]>,
    /// Ids of other id systems.
    pub(in crate::roles::provider) extended_ids: ExtendedIds<'q>,
    /// How all of these ids are spelt.
    pub(in crate::roles::provider) spelling: Spelling,
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

/// How ids are spelt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::roles::provider) enum Spelling {
    /// As they are.
    #[default]
    Plain,
    /// Percent-encoded, as far as that is needed.
    Percent,
}

impl Spelling {
    /// An id as it is, or nothing where the room is too small for it.
    #[inline]
    pub(super) fn read<'a>(self, id: &'a [u8], room: &'a mut IdRoom) -> Option<&'a [u8]> {
        match self {
            Spelling::Plain => Some(id),
            Spelling::Percent => decoded(id, &mut **room),
        }
    }
}

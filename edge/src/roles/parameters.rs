//! Which query parameter means what: the exchange's names are ours to choose, so they are data.

use super::macros::expanded;
use crate::consent::Signals;

/// What a parameter can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Meaning {
    /// The exchange's id of the user.
    UserId,
    /// Our id of the user, as the exchange has it from a user sync.
    ExternalId,
    /// Ids of other id systems: `source,id|source,id`.
    ExtendedIds,
    /// Address of the device.
    Ip,
    /// Its user agent.
    UserAgent,
    /// Page of the impression.
    Referer,
    /// Placement.
    TagId,
    /// Country.
    Country,
    /// Region or state.
    Region,
    /// City.
    City,
    /// Designated market area.
    Dma,
    /// Postal code.
    Postal,
    /// Whether GDPR applies: 0 or 1.
    Gdpr,
    /// TC string.
    GdprConsent,
    /// GPP string.
    Gpp,
    /// Sections of the GPP string that apply.
    GppSid,
    /// Auction.
    AuctionId,
    /// US Privacy string.
    UsPrivacy,
    /// Whether the user is a child: 1.
    Coppa,
}

impl Meaning {
    /// Those that say something of consent, as bits.
    const CONSENT_BITS: u32 = 1 << Meaning::Gdpr as u32
        | 1 << Meaning::GdprConsent as u32
        | 1 << Meaning::Gpp as u32
        | 1 << Meaning::GppSid as u32
        | 1 << Meaning::UsPrivacy as u32
        | 1 << Meaning::Coppa as u32;

    /// Whether it says something of consent.
    #[must_use]
    pub const fn is_of_consent(self) -> bool {
        Meaning::CONSENT_BITS & (1 << self as u32) != 0
    }

    /// All of them, with their names in a configuration and the query's names by default.
    pub const ALL: [(Meaning, &'static str, &'static str); 19] = [
        (Meaning::UserId, "user_id", "uid"),
        (Meaning::ExternalId, "external_id", "ext_uid"),
        (Meaning::ExtendedIds, "extended_ids", "extended_ids"),
        (Meaning::Ip, "ip", "ip"),
        (Meaning::UserAgent, "user_agent", "ua"),
        (Meaning::Referer, "referer", "ref"),
        (Meaning::TagId, "tag_id", "tag"),
        (Meaning::Country, "country", "country"),
        (Meaning::Region, "region", "region"),
        (Meaning::City, "city", "city"),
        (Meaning::Dma, "dma", "dma"),
        (Meaning::Postal, "postal", "postal"),
        (Meaning::Gdpr, "gdpr", "gdpr"),
        (Meaning::GdprConsent, "gdpr_consent", "gdpr_consent"),
        (Meaning::Gpp, "gpp", "gpp"),
        (Meaning::GppSid, "gpp_sid", "gpp_sid"),
        (Meaning::AuctionId, "auction_id", "auction_id"),
        (Meaning::UsPrivacy, "us_privacy", "us_privacy"),
        (Meaning::Coppa, "coppa", "coppa"),
    ];
}

/// Names of query parameters, found in one look for nearly every parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterMap {
    /// By a hash of a name's length and ends: the first name with it, and [`NONE`] for no name.
    first: [u8; SLOTS],
    names: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    text: Box<[u8]>,
    meaning: Meaning,
    /// Another name with the same hash.
    next: u8,
}

const SLOTS: usize = 64;
const NONE: u8 = u8::MAX;

/// The values of one query, as sent.
#[derive(Debug, Clone, Copy)]
pub struct Values<'q> {
    values: [Option<&'q [u8]>; Meaning::ALL.len()],
    /// Which of them were sent, as bits.
    sent: u32,
}

impl<'q> Values<'q> {
    /// What was sent for a meaning.
    #[inline]
    #[must_use]
    pub fn of(&self, meaning: Meaning) -> Option<&'q [u8]> {
        self.values.get(meaning as usize).copied().flatten()
    }

    /// Whether it says anything of consent.
    #[inline]
    #[must_use]
    pub fn say_of_consent(&self) -> bool {
        self.sent & Meaning::CONSENT_BITS != 0
    }

    /// What it says of consent; the header Sec-GPC stands beside the query.
    #[inline]
    #[must_use]
    pub fn signals(&self, gpc: bool) -> Signals<'q> {
        let sent = |meaning| self.of(meaning).and_then(expanded);
        Signals {
            gdpr: sent(Meaning::Gdpr),
            tc_string: sent(Meaning::GdprConsent),
            gpp: sent(Meaning::Gpp),
            gpp_sid: sent(Meaning::GppSid),
            us_privacy: sent(Meaning::UsPrivacy),
            gpc,
            coppa: sent(Meaning::Coppa) == Some(b"1"),
        }
    }
}

impl ParameterMap {
    /// A map of these names.
    #[must_use]
    pub fn new<'n>(names: impl IntoIterator<Item = (Meaning, &'n str)>) -> ParameterMap {
        let mut map = ParameterMap { first: [NONE; SLOTS], names: Vec::new() };
        // BOUND: there are few meanings, and each has one name.
        for (meaning, name) in names.into_iter().take(usize::from(NONE)) {
            let at = map.names.len() as u8;
            let first = map.first.get_mut(slot(name.as_bytes()));
            let next = first.map_or(NONE, |first| std::mem::replace(first, at));
            map.names.push(Name { text: name.as_bytes().into(), meaning, next });
        }
        map
    }

    /// Reads a query. Of a name that is sent twice the first value counts.
    #[inline]
    #[must_use]
    pub fn read<'q>(&self, query: &'q [u8]) -> Values<'q> {
        let mut values = Values { values: [None; Meaning::ALL.len()], sent: 0 };
        let mut start = 0;
        let (words, rest) = query.as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            let mut ampersands = ampersands(u64::from_le_bytes(*word));
            while ampersands != 0 {
                let end = at * 8 + ampersands.trailing_zeros() as usize / 8;
                ampersands &= ampersands - 1;
                self.take(query.get(start..end), &mut values);
                start = end + 1;
            }
        }
        let from = query.len() - rest.len();
        for (at, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == b'&') {
            self.take(query.get(start..from + at), &mut values);
            start = from + at + 1;
        }
        self.take(query.get(start..), &mut values);
        values
    }

    /// Takes `name=value`, if somebody wants it.
    #[inline]
    fn take<'q>(&self, pair: Option<&'q [u8]>, values: &mut Values<'q>) {
        if let Some(pair) = pair
            && let Some(equals) = pair.iter().position(|byte| *byte == b'=')
            && let Some((name, value)) = pair.split_at_checked(equals)
            && let Some(meaning) = self.meaning(name)
            && let Some(slot) = values.values.get_mut(meaning as usize)
        {
            *slot = slot.or(value.get(1..));
            values.sent |= 1 << meaning as u32;
        }
    }

    #[inline]
    fn meaning(&self, name: &[u8]) -> Option<Meaning> {
        let mut at = *self.first.get(slot(name))?;
        loop {
            let known = self.names.get(usize::from(at))?;
            if *known.text == *name {
                return Some(known.meaning);
            }
            at = known.next;
        }
    }
}

/// The high bit of each byte that is an ampersand.
#[inline]
fn ampersands(word: u64) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let other = word ^ u64::from_ne_bytes([b'&'; 8]);
    !(((other & LOW) + LOW) | other | LOW)
}

#[inline]
fn slot(name: &[u8]) -> usize {
    let [first, last] = [name.first(), name.last()].map(|b| usize::from(*b.unwrap_or(&0)));
    (name.len() * 7 + first * 3 + last * 11) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard() -> ParameterMap {
        ParameterMap::new(Meaning::ALL.map(|(meaning, _, name)| (meaning, name)))
    }

    #[test]
    fn every_name_is_found_among_others() {
        for (at, (meaning, _, name)) in Meaning::ALL.into_iter().enumerate() {
            assert_eq!(meaning as usize, at, "{name} stands in its place");
            let query = format!("x=1&{name}=a=b&&y&=z&{name}=second&{name}x=3");
            assert_eq!(standard().read(query.as_bytes()).of(meaning), Some(&b"a=b"[..]), "{name}");
        }
    }

    #[test]
    fn what_is_no_parameter_is_passed_over() {
        for query in ["", "uid", "&", "=", "&&==&", "UID=1", "uid%3D1", "xuid=1&uidx=2"] {
            let values = standard().read(query.as_bytes());
            assert_eq!(values.of(Meaning::UserId), None, "{query}");
        }
        assert_eq!(standard().read(b"uid=").of(Meaning::UserId), Some(&b""[..]));
    }

    #[test]
    fn names_that_share_a_hash_are_told_apart() {
        let map = ParameterMap::new([(Meaning::City, "axb"), (Meaning::Dma, "ayb")]);
        let values = map.read(b"ayb=2&axb=1&azb=3");
        assert_eq!(values.of(Meaning::City), Some(&b"1"[..]));
        assert_eq!(values.of(Meaning::Dma), Some(&b"2"[..]));
    }
}

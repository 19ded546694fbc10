//! Which query parameter means what: the exchange's names are ours to choose, so they are data.

use super::macros::expanded;
use crate::consent::Signals;
use memchr::memchr2_iter;

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
    /// Those that say something of consent.
    pub const CONSENT: [Meaning; 6] = [
        Meaning::Gdpr,
        Meaning::GdprConsent,
        Meaning::Gpp,
        Meaning::GppSid,
        Meaning::UsPrivacy,
        Meaning::Coppa,
    ];

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
pub struct Values<'q>([Option<&'q [u8]>; Meaning::ALL.len()]);

impl<'q> Values<'q> {
    /// What was sent for a meaning.
    #[inline]
    #[must_use]
    pub fn of(&self, meaning: Meaning) -> Option<&'q [u8]> {
        self.0.get(meaning as usize).copied().flatten()
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

    /// A map of the names by default, as far as they are wanted.
    #[must_use]
    pub fn of_defaults(wanted: &[Meaning]) -> ParameterMap {
        let wanted = |(meaning, ..): &(Meaning, _, _)| wanted.contains(meaning);
        let names = Meaning::ALL.into_iter().filter(wanted);
        ParameterMap::new(names.map(|(meaning, _, name)| (meaning, name)))
    }

    /// Another name for a meaning.
    #[must_use]
    pub fn and(self, meaning: Meaning, name: &str) -> ParameterMap {
        let names = self.names.iter().map(|n| (n.meaning, String::from_utf8_lossy(&n.text)));
        let all: Vec<_> = names.chain([(meaning, name.into())]).collect();
        ParameterMap::new(all.iter().map(|(meaning, name)| (*meaning, name.as_ref())))
    }

    /// Reads a query. Of a name that is sent twice the first value counts.
    #[inline]
    #[must_use]
    pub fn read<'q>(&self, query: &'q [u8]) -> Values<'q> {
        let mut values = Values([None; Meaning::ALL.len()]);
        let mut start = 0;
        let mut equals = None;
        let ends = memchr2_iter(b'&', b'=', query).chain([query.len()]);
        for at in ends {
            if query.get(at) == Some(&b'=') {
                equals = equals.or(Some(at));
                continue;
            }
            if let Some(equals) = equals.take()
                && let (Some(name), Some(value)) =
                    (query.get(start..equals), query.get(equals + 1..at))
                && let Some(meaning) = self.meaning(name)
                && let Some(slot) = values.0.get_mut(meaning as usize)
            {
                *slot = slot.or(Some(value));
            }
            start = at + 1;
        }
        values
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

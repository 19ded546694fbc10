//! A segment request: what of it is read, and what that means.
//!
//! | asked | stands in |
//! |---|---|
//! | auction | `segment_request_id` |
//! | exchange's id, our id | `user.id`, `user.buyeruid` |
//! | extended ids | `user.eids[].source` with each of its `uids[].id` |
//! | address, user agent | `device.ip`, or `device.ipv6`; `device.ua` |
//! | country to postal code | `device.geo`: `country`, `region`, `city`, `metro`, `zip` |
//! | referer | `site.page`, or `app.bundle` where there is no page |
//! | placement | `tagid` of the first `imp` |
//! | gdpr | `regs.gdpr`, `regs.ext.gdpr` |
//! | TC string | `user.consent`, `user.ext.consent` |
//! | GPP, its sections, US Privacy | `regs` and `regs.ext`: `gpp`, `gpp_sid`, `us_privacy` |
//! | coppa | `regs.coppa`, unless it is 0 |
//!
//! SPEC: Google Authorized Buyers, real-time curation, SegmentRequest; OpenRTB 2.6. Where two
//! places are named, the first one that says something counts. `pub.id` has no column, so it is
//! passed over with everything else. Ids may be numbers.

use super::json::{Broken, Scan};
use crate::{
    consent::Signals,
    roles::{
        macros::{expanded, known},
        provider::decision::{
            EXTENDED_IDS_MAX, IDS_BYTES_MAX,
            asked::{Asked, Spelling},
            extended::{ExtendedIds, Place},
        },
    },
};

/// Room for pairs of a source and an id.
pub(super) struct ExtendedRoom {
    text: [u8; IDS_BYTES_MAX],
    filled: usize,
    places: [Place; EXTENDED_IDS_MAX],
    count: usize,
}

impl Default for ExtendedRoom {
    fn default() -> Self {
        let places = [Place::default(); EXTENDED_IDS_MAX];
        ExtendedRoom { text: [0; IDS_BYTES_MAX], filled: 0, places, count: 0 }
    }
}

/// A value, and where else it may stand.
#[derive(Default)]
struct Either<'t> {
    first: Option<&'t [u8]>,
    second: Option<&'t [u8]>,
}

impl<'t> Either<'t> {
    fn said(self) -> Option<&'t [u8]> {
        self.first.and_then(expanded).or(self.second.and_then(expanded))
    }
}

/// What consent there is, wherever it stands.
#[derive(Default)]
struct Consent<'t> {
    gdpr: Either<'t>,
    tc_string: Either<'t>,
    gpp: Either<'t>,
    gpp_sid: Either<'t>,
    us_privacy: Either<'t>,
    coppa: Option<&'t [u8]>,
}

/// A request that is being read.
struct Reading<'t> {
    asked: Asked<'t>,
    referer: Either<'t>,
    ip: Either<'t>,
    consent: Consent<'t>,
    extended: &'t mut ExtendedRoom,
}

/// What a text asks, or nothing if it is no segment request. `room` is as long as the text.
pub(super) fn read<'t>(
    text: &'t [u8],
    room: &'t mut [u8],
    extended: &'t mut ExtendedRoom,
) -> Option<Asked<'t>> {
    (extended.filled, extended.count) = (0, 0);
    let mut reading = Reading {
        asked: Asked { spelling: Spelling::Plain, ..Asked::default() },
        referer: Either::default(),
        ip: Either::default(),
        consent: Consent::default(),
        extended,
    };
    let mut scan = Scan::new(text, room);
    if !scan.is_at_object() {
        return None;
    }
    reading.request(&mut scan).ok()?;
    scan.end().ok()?;
    Some(reading.finish())
}

impl<'t> Reading<'t> {
    fn request(&mut self, scan: &mut Scan<'t>) -> Result<(), Broken> {
        let names = ["segment_request_id", "imp", "site", "app", "user", "device", "regs"];
        scan.members(&names, |scan, name| match name {
            "segment_request_id" => put(&mut self.asked.auction_id, scan.text()),
            "imp" => scan.elements(|scan, place| match place {
                0 => scan.members(&["tagid"], |scan, _| put(&mut self.asked.tag_id, scan.text())),
                _ => scan.skip(),
            }),
            "site" => scan.members(&["page"], |scan, _| put(&mut self.referer.first, scan.text())),
            "app" => {
                scan.members(&["bundle"], |scan, _| put(&mut self.referer.second, scan.text()))
            }
            "user" => self.user(scan),
            "device" => self.device(scan),
            _ => self.regs(scan),
        })
    }

    fn user(&mut self, scan: &mut Scan<'t>) -> Result<(), Broken> {
        let tc_string = &mut self.consent.tc_string;
        scan.members(&["id", "buyeruid", "consent", "eids", "ext"], |scan, name| match name {
            "id" => put(&mut self.asked.user_id, scan.text()),
            "buyeruid" => put(&mut self.asked.external_id, scan.text()),
            "consent" => put(&mut tc_string.first, scan.signal()),
            "ext" => {
                scan.members(&["consent"], |scan, _| put(&mut tc_string.second, scan.signal()))
            }
            _ => scan.elements(|scan, _| self.extended.read(scan)),
        })
    }

    fn device(&mut self, scan: &mut Scan<'t>) -> Result<(), Broken> {
        scan.members(&["ip", "ipv6", "ua", "geo"], |scan, name| match name {
            "ip" => put(&mut self.ip.first, scan.text()),
            "ipv6" => put(&mut self.ip.second, scan.text()),
            "ua" => put(&mut self.asked.user_agent, scan.text()),
            _ => {
                let names = ["country", "region", "city", "metro", "zip"];
                scan.members(&names, |scan, name| match name {
                    "country" => put(&mut self.asked.country, scan.text()),
                    "region" => put(&mut self.asked.region, scan.text()),
                    "city" => put(&mut self.asked.city, scan.text()),
                    "metro" => put(&mut self.asked.dma, scan.text()),
                    _ => put(&mut self.asked.postal, scan.text()),
                })
            }
        })
    }

    fn regs(&mut self, scan: &mut Scan<'t>) -> Result<(), Broken> {
        let consent = &mut self.consent;
        let names = ["gdpr", "gpp", "gpp_sid", "us_privacy", "coppa", "ext"];
        scan.members(&names, |scan, name| match name {
            "gdpr" => put(&mut consent.gdpr.first, scan.signal()),
            "gpp" => put(&mut consent.gpp.first, scan.signal()),
            "gpp_sid" => put(&mut consent.gpp_sid.first, scan.list()),
            "us_privacy" => put(&mut consent.us_privacy.first, scan.signal()),
            "coppa" => put(&mut consent.coppa, scan.signal()),
            _ => {
                let names = ["gdpr", "gpp", "gpp_sid", "us_privacy"];
                scan.members(&names, |scan, name| match name {
                    "gdpr" => put(&mut consent.gdpr.second, scan.signal()),
                    "gpp" => put(&mut consent.gpp.second, scan.signal()),
                    "gpp_sid" => put(&mut consent.gpp_sid.second, scan.list()),
                    _ => put(&mut consent.us_privacy.second, scan.signal()),
                })
            }
        })
    }

    /// What was read, without what means nothing.
    fn finish(self) -> Asked<'t> {
        let Reading { asked, referer, ip, consent, extended } = self;
        let known = |value: Option<&'t [u8]>| value.and_then(known);
        Asked {
            user_id: known(asked.user_id),
            external_id: known(asked.external_id),
            extended_ids: extended.ids(),
            spelling: asked.spelling,
            ip: known(ip.said()),
            user_agent: known(asked.user_agent),
            referer: known(referer.said()),
            tag_id: known(asked.tag_id),
            country: known(asked.country),
            region: known(asked.region),
            city: known(asked.city),
            dma: known(asked.dma),
            postal: known(asked.postal),
            auction_id: known(asked.auction_id),
            signals: Signals {
                gdpr: consent.gdpr.said(),
                tc_string: consent.tc_string.said(),
                gpp: consent.gpp.said(),
                gpp_sid: consent.gpp_sid.said(),
                us_privacy: consent.us_privacy.said(),
                gpc: false,
                coppa: known(consent.coppa).is_some(),
            },
        }
    }
}

/// Puts what was read in its place.
fn put<'t>(
    place: &mut Option<&'t [u8]>,
    read: Result<Option<&'t [u8]>, Broken>,
) -> Result<(), Broken> {
    *place = read?;
    Ok(())
}

impl ExtendedRoom {
    /// Reads one element of `eids`. The ids may stand before their source, so they are passed over
    /// first and read then.
    fn read(&mut self, scan: &mut Scan<'_>) -> Result<(), Broken> {
        let (mut source, mut uids) = (None, None);
        scan.members(&["source", "uids"], |scan, name| match name {
            "source" => put(&mut source, scan.text()),
            _ => {
                uids = Some(scan.place());
                scan.skip()
            }
        })?;
        let (Some(source), Some(uids)) = (source.and_then(known), uids) else { return Ok(()) };
        scan.again(uids, |scan| {
            scan.elements(|scan, _| {
                scan.members(&["id"], |scan, _| {
                    if let Some(id) = scan.text()?.and_then(known) {
                        self.push(source, id);
                    }
                    Ok(())
                })
            })
        })
    }

    /// Adds a pair. BOUND: as many as there are places for, and as long as the room; one that does
    /// not fit is left out.
    fn push(&mut self, source: &[u8], id: &[u8]) {
        let bar: &[u8] = if self.count == 0 { b"" } else { b"|" };
        let start = self.filled + bar.len();
        let comma = start + source.len();
        let pair = Place { start, comma, end: comma + 1 + id.len() };
        let Some(place) = self.places.get_mut(self.count) else { return };
        let Some(mut room) = self.text.get_mut(self.filled..pair.end) else { return };
        for part in [bar, source, b",", id] {
            let Some((here, rest)) = room.split_at_mut_checked(part.len()) else { return };
            here.copy_from_slice(part);
            room = rest;
        }
        *place = pair;
        self.count += 1;
        self.filled = pair.end;
    }

    /// All pairs.
    fn ids(&self) -> ExtendedIds<'_> {
        match (self.text.get(..self.filled), self.places.get(..self.count)) {
            (Some(text), Some(places)) if !places.is_empty() => {
                ExtendedIds::Placed { text, places }
            }
            _ => ExtendedIds::Nothing,
        }
    }
}

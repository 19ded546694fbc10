//! Consent strings, read here and by decoders that other people wrote: made at random from a fixed
//! seed, written by an encoder of the tests' own, and compared field by field.
//!
//! The decoders are `lib_tcstring` 0.5.0 for TC strings and `iab_gpp` 0.1.2 for both kinds. What is
//! not compared with one of them, and why:
//!
//! - `iab_gpp`, TC strings with publisher restrictions: it reads the vendors of a restriction as a
//!   whole vendor section, with the highest id and the encoding first, where TCF has the entries
//!   alone. `lib_tcstring` is compared there.
//! - `lib_tcstring`, whether there is a segment of disclosed vendors: it gives an empty list where
//!   there is none. `iab_gpp` is compared there, or else the model: what was written.
//! - `lib_tcstring`, vendor 65,535: a range that ends there overflows in it. None is made.
//! - `iab_gpp`, the headers of GPP strings with a single section after another single one and more
//!   behind it: it then counts on from the distance instead of from the id. The sections of such
//!   strings are compared one by one, and the places of them with the model.
//! - `iab_gpp`, sections 24 to 27, which it does not know. They are compared with the model alone.
//! - `iab_gpp`, values of 3 and transactions that are neither covered nor not: it takes the one for
//!   a 0 and refuses the other. Neither is made.

mod strings;

use self::strings::{Dice, Gpp, SECTIONS, Tc, UsSection, unwritten};
use edge::consent::{
    Decider, Policy, Purposes, Signals, decide,
    gpp::{
        layouts::LAYOUTS,
        sections::Sections,
        us::{Choice, OptOuts},
    },
    tcf::{DISCLOSURE_SINCE_TENTHS, Restrictions, TcString},
    us_privacy::{Answer, UsPrivacy},
};
use iab_gpp::{
    sections::{
        tcfeuv2::TcfEuV2, us_common::OptOut, usca::UsCa, usco::UsCo, usct::UsCt, usde::UsDe,
        usfl::UsFl, usia::UsIa, usmn::UsMn, usmt::UsMt, usnat, usnat::UsNat, usne::UsNe,
        usnh::UsNh, usnj::UsNj, usor::UsOr, uspv1, uspv1::UspV1, ustn::UsTn, ustx::UsTx,
        usut::UsUt, usva::UsVa,
    },
    v1::GPPString,
};
use lib_tcstring::{PublisherRestrictionType, TcModelV2};
use std::{collections::BTreeSet, str::FromStr};

const TC_STRINGS: usize = 6000;
const GPP_STRINGS: usize = 4000;

/// What is asked for in each string, besides an id that is in it.
const VENDORS: [u16; 5] = [1, 2, 42, 700, 65_535];

#[test]
fn tc_strings_read_as_other_decoders_read_them() {
    let mut dice = Dice(0x7c5a);
    let (mut without_restrictions, mut permitted) = (0, 0);
    for _ in 0..TC_STRINGS {
        let tc = Tc::random(&mut dice);
        let text = tc.text(&mut dice);
        let theirs = TcModelV2::try_from(text.as_str()).unwrap();
        let other = tc.restrictions.is_empty().then(|| TcfEuV2::from_str(&text).unwrap());
        without_restrictions += usize::from(other.is_some());
        let mut vendors = VENDORS.to_vec();
        vendors.extend(tc.consent.iter().next_back());
        vendors.extend(tc.disclosed.iter().flat_map(|set| set.iter().next()));
        for vendor in vendors {
            let ours = TcString::read(text.as_bytes(), vendor).unwrap();
            compare_with_lib_tcstring(&ours, &theirs, vendor, &text);
            if let Some(other) = &other {
                compare_with_iab_gpp(&ours, other, vendor, &text);
            }
            let disclosed = tc.disclosed.as_ref().map(|set| set.contains(&vendor));
            assert_eq!(ours.disclosed, disclosed, "{vendor} {text}");
            let policy = Policy { vendor, ..Policy::default() };
            let signals = Signals { tc_string: Some(text.as_bytes()), ..Signals::default() };
            let permits = decide(&signals, &policy).verdict.permits();
            assert_eq!(permits, permits_by(&theirs, disclosed, vendor), "{vendor} {text}");
            permitted += usize::from(permits);
        }
    }
    assert!(without_restrictions > TC_STRINGS / 4, "{without_restrictions}");
    assert!(permitted > TC_STRINGS / 10, "{permitted}");
}

fn compare_with_lib_tcstring(ours: &TcString, theirs: &TcModelV2, vendor: u16, text: &str) {
    assert_eq!(ours.created_tenths * 100, theirs.created_at, "{text}");
    assert_eq!(ours.updated_tenths * 100, theirs.updated_at, "{text}");
    assert_eq!(ours.cmp_id, theirs.cmp_id, "{text}");
    assert_eq!(ours.cmp_version, theirs.cmp_version, "{text}");
    assert_eq!(ours.vendor_list_version, theirs.vendor_list_version, "{text}");
    assert_eq!(ours.policy_version, theirs.tcf_policy_version, "{text}");
    assert_eq!(ours.is_service_specific, theirs.is_service_specific, "{text}");
    assert_eq!(ours.purpose_one_treatment, theirs.purpose_one_treatment, "{text}");
    assert_eq!(ours.publisher_country, *theirs.publisher_country_code.as_bytes(), "{text}");
    assert_eq!(ours.purpose_consent, Purposes::of(&theirs.purposes_consent), "{text}");
    assert_eq!(ours.purpose_interest, Purposes::of(&theirs.purposes_li_transparency), "{text}");
    assert_eq!(ours.vendor_consent, theirs.vendors_consent.contains(&vendor), "{vendor} {text}");
    let interest = theirs.vendors_li_consent.contains(&vendor);
    assert_eq!(ours.vendor_interest, interest, "{vendor} {text}");
    let disclosed = theirs.disclosed_vendors.contains(&vendor);
    assert_eq!(ours.disclosed == Some(true), disclosed, "{vendor} {text}");
    let of = |kind: PublisherRestrictionType| {
        let all = theirs.publisher_restrictions.iter();
        let ours = all.filter(|r| r.restriction_type == kind && r.vendor_list.contains(&vendor));
        Purposes::of(&ours.map(|r| r.purpose_id).collect::<Vec<_>>())
    };
    let restrictions = Restrictions {
        not_allowed: of(PublisherRestrictionType::NotAllowed),
        require_consent: of(PublisherRestrictionType::RequireConsent),
        require_interest: of(PublisherRestrictionType::RequireLegitimateInterest),
        undefined: of(PublisherRestrictionType::Undefined),
    };
    assert_eq!(ours.restrictions, restrictions, "{vendor} {text}");
}

fn compare_with_iab_gpp(ours: &TcString, theirs: &TcfEuV2, vendor: u16, text: &str) {
    let core = &theirs.core;
    let purposes = |ids: &BTreeSet<u16>| {
        let ids: Vec<u8> = ids.iter().map(|id| u8::try_from(*id).unwrap()).collect();
        Purposes::of(&ids)
    };
    assert_eq!(ours.created_tenths / 10, core.created, "{text}");
    assert_eq!(ours.updated_tenths / 10, core.last_updated, "{text}");
    assert_eq!((ours.cmp_id, ours.cmp_version), (core.cmp_id, core.cmp_version), "{text}");
    assert_eq!(ours.vendor_list_version, core.vendor_list_version, "{text}");
    assert_eq!(ours.policy_version, u16::from(core.policy_version), "{text}");
    assert_eq!(ours.is_service_specific, core.is_service_specific, "{text}");
    assert_eq!(ours.purpose_one_treatment, core.purpose_one_treatment, "{text}");
    assert_eq!(ours.publisher_country, *core.publisher_country_code.as_bytes(), "{text}");
    assert_eq!(ours.purpose_consent, purposes(&core.purpose_consents), "{text}");
    assert_eq!(ours.purpose_interest, purposes(&core.purpose_legitimate_interests), "{text}");
    assert_eq!(ours.vendor_consent, core.vendor_consents.contains(&vendor), "{vendor} {text}");
    let interest = core.vendor_legitimate_interests.contains(&vendor);
    assert_eq!(ours.vendor_interest, interest, "{vendor} {text}");
    let disclosed = theirs.disclosed_vendors.as_ref().map(|set| set.contains(&vendor));
    assert_eq!(ours.disclosed, disclosed, "{vendor} {text}");
    assert_eq!(ours.restrictions, Restrictions::default(), "{text}");
}

/// What `lib_tcstring` read, decided under the default policy: purposes 1, 3 and 4 by consent.
fn permits_by(theirs: &TcModelV2, disclosed: Option<bool>, vendor: u16) -> bool {
    let is_old = theirs.created_at < DISCLOSURE_SINCE_TENTHS * 100;
    let restricts = |purpose: u8| {
        theirs.publisher_restrictions.iter().any(|restriction| {
            restriction.purpose_id == purpose
                && restriction.restriction_type != PublisherRestrictionType::RequireConsent
                && restriction.vendor_list.contains(&vendor)
        })
    };
    theirs.tcf_policy_version >= 4
        && disclosed.unwrap_or(is_old)
        && theirs.vendors_consent.contains(&vendor)
        && [1, 3, 4].iter().all(|p| theirs.purposes_consent.contains(p) && !restricts(*p))
}

#[test]
fn gpp_strings_read_as_another_decoder_reads_them() {
    let mut dice = Dice(0x69b1);
    let policy = Policy { vendor: 42, ..Policy::default() };
    let decider = Decider::new(policy, 64);
    let (mut headers, mut sections) = (0, [0; 28]);
    for _ in 0..GPP_STRINGS {
        let gpp = Gpp::random(&mut dice);
        let text = gpp.text();
        let ours = Sections::read(text.as_bytes()).unwrap();
        let found: Vec<(u16, &[u8])> = ours.iter().collect();
        let want: Vec<(u16, &[u8])> = gpp.0.iter().map(|(id, s)| (*id, s.as_bytes())).collect();
        assert_eq!(found, want, "{text}");
        if gpp.is_read_by_iab_gpp() {
            headers += 1;
            let theirs = GPPString::from_str(&text).unwrap();
            let ids: Vec<u16> = theirs.section_ids().map(|id| *id as u16).collect();
            assert_eq!(ids, gpp.0.iter().map(|section| section.0).collect::<Vec<_>>(), "{text}");
            let texts: Vec<&[u8]> = theirs.sections().map(str::as_bytes).collect();
            assert_eq!(texts, found.iter().map(|section| section.1).collect::<Vec<_>>());
        }
        let mut opted_out = BTreeSet::new();
        for (id, section) in &gpp.0 {
            sections[usize::from(*id)] += 1;
            if compare_section(*id, section) {
                opted_out.insert(*id);
            }
        }
        for (id, _) in &gpp.0 {
            let sid = id.to_string();
            let (gpp, gpp_sid) = (Some(text.as_bytes()), Some(sid.as_bytes()));
            let signals = Signals { gpp, gpp_sid, ..Signals::default() };
            let decision = decide(&signals, &policy);
            assert_eq!(decision, decider.decide(&signals), "{id} {text}");
            assert_eq!(decision, decider.decide(&signals), "{id} {text}");
            assert_eq!(decision.verdict.permits(), !opted_out.contains(id), "{id} {text}");
        }
        let all = Signals { gpp: Some(text.as_bytes()), ..Signals::default() };
        assert_eq!(decide(&all, &policy).verdict.permits(), opted_out.is_empty(), "{text}");
    }
    assert!(decider.hits() > 0 && headers > GPP_STRINGS / 8, "{headers}");
    let ids = SECTIONS.iter().map(|section| section.0);
    assert!(ids.clone().all(|id| sections[usize::from(id)] > 100), "{sections:?}");
}

#[test]
fn the_layouts_are_as_long_as_what_other_decoders_read() {
    assert_eq!(LAYOUTS.len(), SECTIONS.len());
    for (layout, (id, version, letters, _)) in LAYOUTS.iter().zip(&SECTIONS) {
        assert_eq!((layout.section, layout.version), (*id, *version));
        let values: usize = layout.fields.iter().map(|(_, count)| count).sum();
        assert_eq!(values, letters.len(), "{}", layout.prefix);
    }
}

/// Compares a section, and says whether it denies according to the other decoder.
fn compare_section(id: u16, text: &str) -> bool {
    match id {
        2 => {
            let theirs = TcModelV2::try_from(text).unwrap();
            let ours = TcString::read(text.as_bytes(), 42).unwrap();
            compare_with_lib_tcstring(&ours, &theirs, 42, text);
            !permits_by(&theirs, ours.disclosed, 42)
        }
        6 => {
            let theirs = UspV1::from_str(text).unwrap();
            let answer = |flag: &uspv1::Flag| match flag {
                uspv1::Flag::Yes => Answer::Yes,
                uspv1::Flag::No => Answer::No,
                uspv1::Flag::NotApplicable => Answer::NotApplicable,
            };
            let ours = UsPrivacy::read(text.as_bytes()).unwrap();
            assert_eq!(ours.notice, answer(&theirs.opt_out_notice), "{text}");
            assert_eq!(ours.opt_out_sale, answer(&theirs.opt_out_sale), "{text}");
            assert_eq!(ours.lspa_covered, answer(&theirs.lspa_covered_transaction), "{text}");
            ours.opt_out_sale == Answer::Yes
        }
        id => {
            let ours = OptOuts::read(id, text.as_bytes()).unwrap();
            assert_eq!(ours, their_opt_outs(id, text).unwrap_or(ours), "{id} {text}");
            assert_eq!(ours, model_opt_outs(id, text), "{id} {text}");
            let choices = [ours.sale, ours.sharing, ours.targeted_advertising];
            choices.contains(&Some(Choice::OptedOut)) || ours.gpc == Some(true)
        }
    }
}

fn choice(opt_out: &OptOut) -> Option<Choice> {
    Some(match opt_out {
        OptOut::NotApplicable => Choice::NotApplicable,
        OptOut::OptedOut => Choice::OptedOut,
        OptOut::DidNotOptOut => Choice::DidNotOptOut,
    })
}

/// What `iab_gpp` reads, of the sections that it knows.
fn their_opt_outs(id: u16, text: &str) -> Option<OptOuts> {
    /// A state whose section has the sale and targeted advertising, and maybe a sub-section.
    macro_rules! state {
        ($section:ty $(, $gpc:ident)?) => {{
            let theirs = <$section>::from_str(text).unwrap();
            OptOuts {
                sale: choice(&theirs.core.sale_opt_out),
                targeted_advertising: choice(&theirs.core.targeted_advertising_opt_out),
                $($gpc: theirs.$gpc,)?
                ..OptOuts::default()
            }
        }};
    }
    macro_rules! national {
        ($core:expr, $gpc:expr) => {
            OptOuts {
                sale: choice(&$core.sale_opt_out),
                sharing: choice(&$core.sharing_opt_out),
                targeted_advertising: choice(&$core.targeted_advertising_opt_out),
                gpc: $gpc,
            }
        };
    }
    Some(match id {
        7 => {
            let theirs = UsNat::from_str(text).unwrap();
            match &theirs.core {
                usnat::Core::V1(core) => national!(core, theirs.gpc),
                usnat::Core::V2(core) => national!(core, theirs.gpc),
                _ => panic!("{text}"),
            }
        }
        8 => {
            let theirs = UsCa::from_str(text).unwrap();
            let sale = choice(&theirs.core.sale_opt_out);
            let sharing = choice(&theirs.core.sharing_opt_out);
            OptOuts { sale, sharing, targeted_advertising: None, gpc: theirs.gpc }
        }
        9 => state!(UsVa),
        10 => state!(UsCo, gpc),
        11 => state!(UsUt),
        12 => state!(UsCt, gpc),
        13 => state!(UsFl),
        14 => state!(UsMt, gpc),
        15 => state!(UsOr, gpc),
        16 => state!(UsTx, gpc),
        17 => state!(UsDe, gpc),
        18 => state!(UsIa, gpc),
        19 => state!(UsNe, gpc),
        20 => state!(UsNh, gpc),
        21 => state!(UsNj, gpc),
        22 => state!(UsTn, gpc),
        23 => state!(UsMn, gpc),
        _ => return None,
    })
}

/// What a section says by the letters of its layout, bit by bit.
fn model_opt_outs(id: u16, text: &str) -> OptOuts {
    let (core, more) = text.split_once('.').map_or((text, None), |(core, more)| (core, Some(more)));
    let bits = unwritten(core);
    let number =
        |from: usize, width: usize| bits[from..from + width].iter().fold(0, |n, b| n * 2 + b);
    let is_it = |section: &&UsSection| section.0 == id && section.1 == number(0, 6);
    let (_, _, fields, follows) = SECTIONS.iter().find(is_it).unwrap();
    let value = |letter: char| match number(6 + 2 * fields.find(letter)?, 2) {
        0 => Some(Choice::NotApplicable),
        1 => Some(Choice::OptedOut),
        _ => Some(Choice::DidNotOptOut),
    };
    OptOuts {
        sale: value('S'),
        sharing: value('H'),
        targeted_advertising: value('T'),
        gpc: more.filter(|_| *follows == 'g').map(|more| unwritten(more)[2] == 1),
    }
}

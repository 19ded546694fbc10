//! Consent strings: any bytes are decided, remembered and explained alike, and what a string grants
//! does not grow when it is cut or when less is asked of it.

use super::feature::reached;
use edge::consent::{
    Decider, Policy, Purposes, Signals, Verdict, decide, explain,
    tcf::{DISCLOSURE_SINCE_TENTHS, TcString},
};

/// The body: see [`super::TARGETS`]. An input is lines: TC string, GPP string, the list of its
/// sections, US Privacy string, and whether GDPR applies.
///
/// # Panics
/// When it does not hold.
pub fn consent_strings(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let signals = Signals {
        tc_string: lines.next(),
        gpp: lines.next(),
        gpp_sid: lines.next(),
        us_privacy: lines.next(),
        gdpr: lines.next(),
        gpc: false,
        coppa: false,
    };
    let policy = Policy { vendor: VENDOR, ..Policy::default() };
    let decision = decide(&signals, &policy);
    reached(decision.reason.label());
    assert_eq!(decision.verdict, decision.reason.verdict());
    let decider = Decider::new(policy, 8);
    for _ in 0..2 {
        assert_eq!(decider.decide(&signals), decision, "it is remembered as it was decided");
    }
    let explained = explain(&signals, &policy);
    assert_eq!(explained.reason, decision.reason.label(), "it is explained as it was decided");
    refusals_stand(&signals, &policy);
    less_is_granted_sooner(&signals, &policy, decision.verdict);
    if let Some(text) = signals.tc_string {
        cuts_grant_nothing(text, &policy);
        vendors_agree(text);
    }
}

/// Nothing outvotes a refusal that always applies.
fn refusals_stand(signals: &Signals<'_>, policy: &Policy) {
    let refusals = [
        Signals { gpc: true, ..*signals },
        Signals { coppa: true, ..*signals },
        Signals { gpp: None, gpp_sid: None, us_privacy: Some(b"1YYN"), ..*signals },
        Signals { gpp_sid: Some(b"5"), ..*signals },
        Signals { gpp: None, gpp_sid: None, gdpr: Some(b"1"), tc_string: None, ..*signals },
    ];
    for refusal in refusals {
        assert_eq!(decide(&refusal, policy).verdict, Verdict::Denied, "{refusal:?}");
    }
}

/// Who may have purposes 1, 3 and 4 may have purpose 1.
fn less_is_granted_sooner(signals: &Signals<'_>, policy: &Policy, verdict: Verdict) {
    let less = decide(signals, &Policy { consent: Purposes::of(&[1]), ..*policy });
    assert!(less.verdict.permits() || !verdict.permits(), "{:?}", less.reason);
}

/// A string that is cut says the same, is not read any more, or has lost whole segments, which
/// nobody can see. Since 2026-02-28 the segment that can refuse cannot be lost unseen.
fn cuts_grant_nothing(text: &[u8], policy: &Policy) {
    let Ok(whole) = TcString::read(text, VENDOR) else { return };
    reached((whole.vendor_consent, whole.vendor_interest, whole.disclosed));
    for length in (0..text.len()).rev().take(CUTS_MAX) {
        let Ok(cut) = TcString::read(&text[..length], VENDOR) else { continue };
        assert_eq!(TcString { disclosed: whole.disclosed, ..cut }, whole, "cut at {length}");
        assert!(cut.disclosed.is_none() || cut.disclosed == whole.disclosed);
        let is_old = whole.created_tenths < DISCLOSURE_SINCE_TENTHS;
        let may_grow = is_old && whole.disclosed == Some(false);
        assert!(may_grow || cut.meets(policy).is_err() || whole.meets(policy).is_ok());
    }
}

/// Whether a string can be read, and what it says about purposes, is the same for every vendor; and
/// a second, simpler reader sees the same numbers at the same places.
fn vendors_agree(text: &[u8]) {
    let first = TcString::read(text, VENDOR);
    for vendor in [0, 1, VENDOR + 1, u16::MAX] {
        let other = TcString::read(text, vendor);
        assert_eq!(first.map(|s| s.purpose_consent), other.map(|s| s.purpose_consent));
        assert_eq!(first.err(), other.err(), "{vendor}");
        let is_nobody = other.is_ok_and(|s| vendor == 0 && (s.vendor_consent || s.vendor_interest));
        assert!(!is_nobody, "nobody has the id 0");
    }
    let Ok(string) = first else { return };
    assert_eq!(number(text, 0, 6), 2);
    assert_eq!(number(text, 6, 36), string.created_tenths);
    assert_eq!(number(text, 132, 6), u64::from(string.policy_version));
    for purpose in 1..=24 {
        let at = 151 + usize::from(purpose);
        assert_eq!(number(text, at, 1) == 1, string.purpose_consent.contains(purpose));
        assert_eq!(number(text, at + 24, 1) == 1, string.purpose_interest.contains(purpose));
    }
}

/// The number at a place, bit by bit.
fn number(text: &[u8], at: usize, width: usize) -> u64 {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (at..at + width).fold(0, |number, bit| {
        let value = ALPHABET.iter().position(|c| *c == text[bit / 6]).expect("it was read");
        number << 1 | (value as u64 >> (5 - bit % 6) & 1)
    })
}

const VENDOR: u16 = 42;

/// Cuts are tried from the end, and no more than these: a long string has many.
const CUTS_MAX: usize = 64;

const SEED_BITS: &str = "CQgVeAAQgVeAAAAAAAAAAAFAALAAAAAAAAAAAZAAAAAAAQEAAIAAAA.IAWQAYAUABY";

const SEED_RANGES: &str = "CQgVeAAQgVeAAAAAAAAAAAFAALAAAEIAAAAAAWQAgADwAoACwAKoAIAKgAg0AGAAIA\
                           ZEgAIAKg.IAWQAYAUABY";

pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        // Vendor 42 in a bit for each, disclosed in a range; purposes 1, 3 and 4.
        SEED_BITS.into(),
        // The same in ranges, with restrictions.
        SEED_RANGES.into(),
        // Two sections, and the list that says that both apply.
        format!("\nDBACNY~{SEED_BITS}~1YNN\n2,6").into_bytes(),
        b"\nDBABL~CVVVkkkkkpFY.YA\n7".to_vec(),
        b"\nDBABUY~BVVV.kkk".to_vec(),
        b"\nDBABEY~BVVU.YA\n-1\n1YNN\n0".to_vec(),
        b"\n\n\n1YNN\n1".to_vec(),
    ]
}

pub(super) const WORDS: &[&[u8]] = &[
    b"\n",
    b".",
    b"~",
    b",",
    b"-1",
    b"0",
    b"2",
    b"6",
    b"7",
    b"1YYN",
    b"1---",
    b"${GPP_SID}",
    b"DBABM~",
    b"DBACNY~",
    b"DBABjw~",
    b".IA",
    b".YA",
    b".QA",
    b"AAAA",
    b"____",
];

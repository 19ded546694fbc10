//! Whole decisions: rows of signals and what comes of them, every truncation, and any bytes.

use super::{
    Absent, Decider, Policy, Purposes, Reason, Signals,
    bits::{TEXT_BYTES_MAX, Unreadable},
    cache::key::Key,
    decide, explain,
    gpp::{
        layouts::LAYOUTS,
        sections::Sections,
        us::{Choice, OptOuts},
    },
    tcf::{DISCLOSURE_SINCE_TENTHS, TcString},
};
use proptest::prelude::*;

/// Bits as text.
#[derive(Debug, Clone, Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn put(mut self, value: u64, width: usize) -> Writer {
        self.0.extend((0..width).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn text(mut self) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.0.resize(self.0.len().div_ceil(6) * 6, false);
        let value = |bits: &[bool]| bits.iter().fold(0, |all, bit| all << 1 | usize::from(*bit));
        self.0.chunks(6).map(|bits| char::from(ALPHABET[value(bits)])).collect()
    }
}

type Ranges = Vec<(u16, u16)>;

/// Vendors, as ranges or as a bit for each.
#[derive(Debug, Clone)]
enum Set {
    Bits(Vec<u16>),
    Ranges(Ranges),
    /// The last of all, and ranges, whether or not they keep to it.
    Until(u16, Ranges),
}

impl Set {
    fn put(&self, writer: Writer) -> Writer {
        match self {
            Set::Bits(ids) => {
                let last = ids.iter().max().copied().unwrap_or(0);
                let writer = writer.put(last.into(), 16).put(0, 1);
                (1..=last).fold(writer, |w, id| w.put(ids.contains(&id).into(), 1))
            }
            Set::Ranges(ranges) => {
                let last = ranges.iter().map(|range| range.1).max().unwrap_or(0);
                put_ranges(writer.put(last.into(), 16).put(1, 1), ranges)
            }
            Set::Until(last, ranges) => {
                put_ranges(writer.put((*last).into(), 16).put(1, 1), ranges)
            }
        }
    }
}

fn put_ranges(writer: Writer, ranges: &[(u16, u16)]) -> Writer {
    let writer = writer.put(ranges.len() as u64, 12);
    ranges.iter().fold(writer, |w, (from, to)| match from == to {
        true => w.put(0, 1).put(u64::from(*from), 16),
        false => w.put(1, 1).put(u64::from(*from), 16).put(u64::from(*to), 16),
    })
}

/// A TC string; by default one that gives vendor 42 purposes 1, 3 and 4.
#[derive(Debug, Clone)]
struct Tc {
    version: u64,
    created: u64,
    policy: u64,
    purposes: [&'static [u8]; 2],
    consent: Set,
    interest: Set,
    /// Purpose, type, vendors.
    restrictions: Vec<(u64, u64, Ranges)>,
    disclosed: Option<Set>,
}

impl Default for Tc {
    fn default() -> Tc {
        Tc {
            version: 2,
            created: DISCLOSURE_SINCE_TENTHS,
            policy: 5,
            purposes: [&[1, 3, 4], &[]],
            consent: Set::Bits(vec![42, 50]),
            interest: Set::Ranges(Vec::new()),
            restrictions: Vec::new(),
            disclosed: Some(Set::Ranges(vec![(40, 44)])),
        }
    }
}

impl Tc {
    fn text(&self) -> String {
        let mut w = Writer::default().put(self.version, 6).put(self.created, 36);
        w = w.put(self.created, 36).put(0, 54).put(self.policy, 6).put(0, 14);
        for purposes in self.purposes {
            w = (1..=24).fold(w, |w, id| w.put(purposes.contains(&id).into(), 1));
        }
        w = self.interest.put(self.consent.put(w.put(0, 13)));
        w = w.put(self.restrictions.len() as u64, 12);
        for (purpose, kind, vendors) in &self.restrictions {
            w = put_ranges(w.put(*purpose, 6).put(*kind, 2), vendors);
        }
        let disclosed = self.disclosed.as_ref();
        let disclosed = disclosed.map(|set| set.put(Writer::default().put(1, 3)).text());
        [Some(w.text()), disclosed].into_iter().flatten().collect::<Vec<_>>().join(".")
    }
}

fn policy() -> Policy {
    Policy { vendor: 42, ..Policy::default() }
}

fn decide_tc(text: &str, policy: &Policy) -> Reason {
    decide(&Signals { tc_string: Some(text.as_bytes()), ..Signals::default() }, policy).reason
}

#[test]
fn tc_strings_are_decided_by_all_that_they_say() {
    let tc = Tc::default;
    let old = DISCLOSURE_SINCE_TENTHS - 1;
    let many = |kind, purpose| vec![(purpose, kind, vec![(1, 1), (30, 60), (7, 7)])];
    let rows = [
        (tc(), Reason::Consented),
        (Tc { version: 3, ..tc() }, Reason::TcStringUnreadable),
        (Tc { policy: 3, ..tc() }, Reason::TcPolicyOutdated),
        (Tc { disclosed: None, ..tc() }, Reason::DisclosureMissing),
        (Tc { disclosed: None, created: old, ..tc() }, Reason::Consented),
        (Tc { disclosed: Some(Set::Bits(vec![41, 43])), ..tc() }, Reason::VendorNotDisclosed),
        (
            Tc { disclosed: Some(Set::Bits(vec![9])), created: old, ..tc() },
            Reason::VendorNotDisclosed,
        ),
        (Tc { disclosed: Some(Set::Bits(vec![42])), ..tc() }, Reason::Consented),
        (Tc { consent: Set::Bits(vec![41, 43]), ..tc() }, Reason::VendorConsent),
        (Tc { consent: Set::Bits(vec![41]), ..tc() }, Reason::VendorConsent),
        (Tc { consent: Set::Ranges(vec![(50, 90), (42, 42)]), ..tc() }, Reason::Consented),
        (Tc { consent: Set::Ranges(vec![(43, 90), (1, 41)]), ..tc() }, Reason::VendorConsent),
        (Tc { consent: Set::Ranges(vec![(44, 42)]), ..tc() }, Reason::TcStringUnreadable),
        (Tc { consent: Set::Until(42, vec![(42, 42)]), ..tc() }, Reason::Consented),
        (Tc { consent: Set::Until(42, vec![(42, 43)]), ..tc() }, Reason::TcStringUnreadable),
        (Tc { consent: Set::Until(42, vec![(0, 42)]), ..tc() }, Reason::TcStringUnreadable),
        (Tc { purposes: [&[1, 3], &[4]], ..tc() }, Reason::PurposeConsent),
        (Tc { restrictions: many(0, 3), ..tc() }, Reason::PurposeRestricted),
        (Tc { restrictions: many(0, 2), ..tc() }, Reason::Consented),
        (Tc { restrictions: vec![(3, 0, vec![(43, 43)])], ..tc() }, Reason::Consented),
        (Tc { restrictions: many(1, 3), ..tc() }, Reason::Consented),
        (Tc { restrictions: many(2, 3), ..tc() }, Reason::PurposeRestricted),
        (Tc { restrictions: many(3, 3), ..tc() }, Reason::PurposeRestricted),
    ];
    for (tc, want) in rows {
        assert_eq!(decide_tc(&tc.text(), &policy()), want, "{tc:?}");
    }
}

#[test]
fn legitimate_interest_suffices_where_the_policy_says_so() {
    let (seven, one) = (Purposes::of(&[7]), Purposes::of(&[1]));
    let rigid = Policy { consent: one, interest: seven, ..policy() };
    let flexible = Policy { flexible: seven, ..rigid };
    let by_consent = Policy { consent: one.or(seven), interest: Purposes::NONE, ..flexible };
    let given = || Tc { interest: Set::Bits(vec![42]), purposes: [&[1], &[7]], ..Tc::default() };
    let both = || Tc { purposes: [&[1, 7], &[7]], ..given() };
    let all = |kind| vec![(7, kind, vec![(1, 99)])];
    let contradicting = [all(1), all(2)].concat();
    let rows = [
        (rigid, given(), Reason::Consented),
        (rigid, Tc { interest: Set::Bits(vec![43]), ..given() }, Reason::VendorInterest),
        (rigid, Tc { purposes: [&[1, 7], &[]], ..given() }, Reason::PurposeInterest),
        (rigid, Tc { restrictions: all(1), ..both() }, Reason::PurposeRestricted),
        (rigid, Tc { restrictions: all(2), ..both() }, Reason::Consented),
        (flexible, Tc { restrictions: all(1), ..both() }, Reason::Consented),
        (flexible, Tc { restrictions: all(1), ..given() }, Reason::PurposeConsent),
        (flexible, Tc { restrictions: contradicting, ..both() }, Reason::PurposeRestricted),
        (by_consent, given(), Reason::PurposeConsent),
        (by_consent, Tc { restrictions: all(2), ..given() }, Reason::Consented),
        // Purpose 3 knows no legitimate interest, whatever a policy says.
        (
            Policy { interest: Purposes::of(&[3]), ..rigid },
            Tc { purposes: [&[1], &[3]], ..given() },
            Reason::PurposeInterest,
        ),
        // A policy without purposes still asks the user about the vendor.
        (
            Policy { consent: Purposes::NONE, ..policy() },
            Tc { consent: Set::Bits(vec![41]), ..given() },
            Reason::VendorConsent,
        ),
    ];
    for (policy, tc, want) in rows {
        assert_eq!(decide_tc(&tc.text(), &policy), want, "{policy:?} {tc:?}");
    }
}

#[test]
fn segments_come_in_any_order_and_once() {
    let text = Tc::default().text();
    let (core, disclosed) = text.split_once('.').unwrap();
    let publisher = Writer::default().put(3, 3).put(0, 54).text();
    let allowed = Set::Bits(vec![7]).put(Writer::default().put(2, 3)).text();
    let rows = [
        (format!("{core}.{disclosed}.{publisher}"), Reason::Consented),
        (format!("{core}.{publisher}.{allowed}.{disclosed}"), Reason::Consented),
        (format!("{core}.{publisher}"), Reason::DisclosureMissing),
        (format!("{core}.{disclosed}.{disclosed}"), Reason::TcStringUnreadable),
        (format!("{core}.{core}.{disclosed}"), Reason::TcStringUnreadable),
        (format!("{core}.{disclosed}.gAAA"), Reason::TcStringUnreadable),
        (format!("{core}.{disclosed}."), Reason::TcStringUnreadable),
        (format!("{disclosed}.{core}"), Reason::TcStringUnreadable),
        (format!("{text}="), Reason::TcStringUnreadable),
        (format!("{core}AAAA.{disclosed}"), Reason::Consented),
        ("A".repeat(TEXT_BYTES_MAX + 1), Reason::TcStringUnreadable),
    ];
    for (text, want) in rows {
        assert_eq!(decide_tc(&text, &policy()), want, "{text}");
    }
}

/// A string that Tech Lab's specification of GPP gives as an example, of policy version 2.
const PUBLISHED_TC: &str = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA";

#[test]
fn published_strings_are_read() {
    let read = TcString::read(PUBLISHED_TC.as_bytes(), 42).unwrap();
    assert_eq!((read.cmp_id, read.policy_version, read.vendor_list_version), (31, 2, 126));
    assert_eq!(read.purpose_consent, Purposes::NONE);
    assert_eq!(read.disclosed, None);
    // SPEC: GPP, header examples 1 to 3.
    let rows: [(&str, &[(u16, &str)]); 3] = [
        ("DBABM~a", &[(2, "a")]),
        ("DBACNY~a~b", &[(2, "a"), (6, "b")]),
        ("DBABjw~a~b", &[(5, "a"), (6, "b")]),
    ];
    for (text, want) in rows {
        let sections = Sections::read(text.as_bytes()).unwrap();
        let want: Vec<(u16, &[u8])> = want.iter().map(|(id, s)| (*id, s.as_bytes())).collect();
        assert_eq!(sections.iter().collect::<Vec<_>>(), want, "{text}");
    }
    // As Tech Lab's own encoder writes them.
    let (out, none) = (Some(Choice::OptedOut), Some(Choice::NotApplicable));
    let all = OptOuts { sale: out, sharing: out, targeted_advertising: out, gpc: Some(true) };
    let rows = [
        (7, "CVVVkkkkkpFY.YA", all),
        (
            7,
            "CAAAAAAAAABA.QA",
            OptOuts { sale: none, sharing: none, targeted_advertising: none, gpc: Some(false) },
        ),
        (
            7,
            "BAAAVVVVUQA",
            OptOuts { sale: none, sharing: none, targeted_advertising: none, gpc: None },
        ),
        (24, "BVVU.YA", OptOuts { sharing: None, ..all }),
        (25, "BVVV.kkk", OptOuts { sharing: None, gpc: None, ..all }),
        (27, "BQAA", OptOuts { sale: none, sharing: None, targeted_advertising: none, gpc: None }),
    ];
    for (section, text, want) in rows {
        assert_eq!(OptOuts::read(section, text.as_bytes()), Ok(want), "{section} {text}");
    }
}

#[test]
fn headers_that_do_not_fit_their_sections_are_refused() {
    let rows = [
        ("", Unreadable::Truncated),
        ("D", Unreadable::Truncated),
        ("DBABM", Unreadable::Malformed),
        ("DBABM~a~b", Unreadable::Malformed),
        ("CBABM~a", Unreadable::Malformed),
        ("DCABM~a", Unreadable::Version),
        ("DBAB=~a", Unreadable::Character),
        ("DBABA~a", Unreadable::Truncated),
    ];
    for (text, want) in rows {
        assert_eq!(Sections::read(text.as_bytes()).err(), Some(want), "{text}");
    }
    // A range of 34 sections: 1 and 33 more.
    let w = Writer::default().put(3, 6).put(1, 6).put(1, 12).put(1, 1).put(0b11, 2);
    let header = w.put(0b1010_1011, 8).text();
    let text = format!("{header}{}", "~a".repeat(34));
    assert_eq!(Sections::read(text.as_bytes()).err(), Some(Unreadable::TooLong), "{text}");
}

/// A section of the United States whose values are 2 but for one field.
fn us_section(section: u16, opted_out: Option<&str>, gpc: Option<bool>) -> String {
    let layout = LAYOUTS.iter().rfind(|layout| layout.section == section).unwrap();
    let mut w = Writer::default().put(layout.version, 6);
    for (field, count) in layout.fields {
        let value = if opted_out == Some(&format!("{field:?}")) { 1 } else { 2 };
        w = (0..*count).fold(w, |w, _| w.put(value, 2));
    }
    match gpc {
        Some(gpc) => {
            format!("{}.{}", w.text(), Writer::default().put(1, 2).put(gpc.into(), 1).text())
        }
        None => w.text(),
    }
}

fn us_header(section: u16) -> String {
    let mut numbers = vec![1_u64, 2];
    while numbers.last().unwrap() <= &u64::from(section) {
        numbers.push(numbers.iter().rev().take(2).sum());
    }
    let mut rest = u64::from(section);
    let mut digits = Vec::new();
    for number in numbers.iter().rev() {
        let fits = *number <= rest;
        rest -= if fits { *number } else { 0 };
        digits.push(fits);
    }
    let digits = digits.into_iter().skip_while(|digit| !digit).collect::<Vec<_>>();
    let w = Writer::default().put(3, 6).put(1, 6).put(1, 12).put(0, 1);
    digits.iter().rev().fold(w, |w, digit| w.put((*digit).into(), 1)).put(1, 1).text()
}

#[test]
fn any_opt_out_of_any_section_denies() {
    let check = |section: u16, text: &str, want: Reason| {
        let gpp = format!("{}~{text}", us_header(section));
        let sid = section.to_string();
        let sids = [None, Some(sid.as_bytes())];
        for gpp_sid in sids {
            let signals = Signals { gpp: Some(gpp.as_bytes()), gpp_sid, ..Signals::default() };
            assert_eq!(decide(&signals, &policy()).reason, want, "{section} {gpp}");
        }
    };
    for section in 7..=27 {
        let fields = LAYOUTS.iter().rfind(|layout| layout.section == section).unwrap().fields;
        let has = |name: &str| fields.iter().any(|(field, _)| format!("{field:?}") == name);
        let opt_outs = [
            ("SaleOptOut", Reason::SaleOptOut),
            ("SharingOptOut", Reason::SharingOptOut),
            ("TargetedAdvertisingOptOut", Reason::TargetedAdvertisingOptOut),
        ];
        assert!(has("SaleOptOut"), "{section}");
        check(section, &us_section(section, None, None), Reason::NotOptedOut);
        check(section, &us_section(section, Some("SaleOptOutNotice"), None), Reason::NotOptedOut);
        for (name, want) in opt_outs.into_iter().filter(|(name, _)| has(name)) {
            check(section, &us_section(section, Some(name), None), want);
        }
        if section < 25 {
            check(section, &us_section(section, None, Some(true)), Reason::GppGpc);
            check(section, &us_section(section, None, Some(false)), Reason::NotOptedOut);
        }
        let whole = us_section(section, None, None);
        check(section, &whole[..whole.len() - 1], Reason::GppSectionUnreadable);
        check(section, "", Reason::GppSectionUnreadable);
        check(section, &format!("{whole}.gA"), Reason::GppSectionUnreadable);
        check(section, &format!("{whole}.QAA.QAA"), Reason::GppSectionUnreadable);
        check(section, &"_".repeat(whole.len()).replacen('_', &whole[..1], 1), {
            Reason::GppSectionUnreadable
        });
        check(section, &format!("D{}", &whole[1..]), Reason::GppSectionUnknown);
    }
    for section in [1, 5, 28, 63] {
        check(section, "BAAA", Reason::GppSectionUnknown);
    }
}

#[test]
fn what_applies_decides_and_any_denial_stands() {
    let (yes, no) = (Tc::default().text(), Tc { purposes: [&[1], &[]], ..Tc::default() }.text());
    let gpp = |tc: &str| format!("DBACNY~{tc}~1YNN");
    let (gpp_yes, gpp_no) = (gpp(&yes), gpp(&no));
    let none = Signals::default();
    let some = |text: &'static str| Some(text.as_bytes());
    let (yes, no) = (Some(yes.as_bytes()), Some(no.as_bytes()));
    let (gpp_yes, gpp_no) = (Some(gpp_yes.as_bytes()), Some(gpp_no.as_bytes()));
    let rows = [
        (none, Reason::NoSignal),
        (
            Signals { gdpr: some(""), tc_string: some("${GDPR_CONSENT_42}"), ..none },
            Reason::NoSignal,
        ),
        (Signals { gdpr: some("0"), ..none }, Reason::OutOfScope),
        (Signals { gdpr: some("0"), tc_string: no, ..none }, Reason::OutOfScope),
        (Signals { gdpr: some("1"), ..none }, Reason::TcStringMissing),
        (Signals { gdpr: some("true"), ..none }, Reason::TcStringMissing),
        (Signals { gdpr: some("1"), tc_string: yes, ..none }, Reason::Consented),
        (Signals { gdpr: some("1"), tc_string: some("C"), ..none }, Reason::TcStringUnreadable),
        (Signals { tc_string: no, ..none }, Reason::PurposeConsent),
        (Signals { us_privacy: some("1YYN"), ..none }, Reason::UsPrivacyOptOut),
        (Signals { us_privacy: some("1---"), ..none }, Reason::NotOptedOut),
        (Signals { us_privacy: some("1Y"), ..none }, Reason::UsPrivacyUnreadable),
        (Signals { us_privacy: some("1YYN"), tc_string: yes, ..none }, Reason::UsPrivacyOptOut),
        (Signals { gpc: true, tc_string: yes, ..none }, Reason::Gpc),
        (Signals { coppa: true, gpc: true, ..none }, Reason::Coppa),
        // GPP is heard where both speak.
        (Signals { gpp: gpp_yes, gdpr: some("1"), tc_string: no, ..none }, Reason::Consented),
        (Signals { gpp: gpp_no, gdpr: some("1"), tc_string: yes, ..none }, Reason::PurposeConsent),
        (Signals { gpp: gpp_yes, us_privacy: some("1YYN"), ..none }, Reason::Consented),
        (Signals { gpp: gpp_no, gdpr: some("0"), ..none }, Reason::NotOptedOut),
        (
            Signals { gpp: gpp_no, gpp_sid: some("2"), gdpr: some("0"), ..none },
            Reason::PurposeConsent,
        ),
        // What it does not name, the older parameters decide.
        (Signals { gpp: gpp_no, gpp_sid: some("6"), ..none }, Reason::NotOptedOut),
        (Signals { gpp: gpp_no, gpp_sid: some("6"), tc_string: yes, ..none }, Reason::Consented),
        (
            Signals { gpp: gpp_no, gpp_sid: some("6"), gdpr: some("1"), ..none },
            Reason::TcStringMissing,
        ),
        (
            Signals { gpp: gpp_yes, gpp_sid: some("2"), us_privacy: some("1YYN"), ..none },
            Reason::UsPrivacyOptOut,
        ),
        (Signals { gpp: gpp_no, gpp_sid: some("-1"), ..none }, Reason::OutOfScope),
        (Signals { gpp: gpp_no, gpp_sid: some("0"), ..none }, Reason::PurposeConsent),
        (Signals { gpp: gpp_yes, gpp_sid: some("2,7"), ..none }, Reason::GppSectionMissing),
        (Signals { gpp_sid: some("2"), tc_string: yes, ..none }, Reason::GppSectionMissing),
        (Signals { gpp: gpp_yes, gpp_sid: some("2,99"), ..none }, Reason::GppSectionUnknown),
        (Signals { gpp: gpp_yes, gpp_sid: some("two"), ..none }, Reason::GppSidUnreadable),
        (Signals { gpp: some("DBACNY~a"), gpp_sid: some("6"), ..none }, Reason::GppUnreadable),
        (Signals { gpp: some("DBABTA~1YYN"), ..none }, Reason::UsPrivacyOptOut),
        (Signals { gpp: some("DBABTA~1YY"), ..none }, Reason::UsPrivacyUnreadable),
    ];
    for (signals, want) in rows {
        assert_eq!(decide(&signals, &policy()).reason, want, "{signals:?}");
    }
    let strict = Policy { absent: Absent::Deny, ..policy() };
    assert_eq!(decide(&none, &strict).reason, Reason::SignalRequired);
    assert_eq!(decide(&Signals { gdpr: some("0"), ..none }, &strict).reason, Reason::OutOfScope);
}

#[test]
fn a_string_cut_anywhere_is_never_leave() {
    let tc = Tc {
        restrictions: vec![(9, 0, vec![(1, 99)])],
        consent: Set::Ranges(vec![(40, 44)]),
        ..Tc::default()
    };
    let tc = tc.text();
    let gpp = format!("DBACNY~{tc}~1YNN");
    let us = format!("{}~{}", us_header(7), us_section(7, None, None));
    for whole in [tc, gpp, us, "1YNN".into()] {
        let permits = |text: &str| {
            let signals = Signals::of_text(text.as_bytes());
            _ = explain(&signals, &policy());
            decide(&Signals { gdpr: Some(b"1"), ..signals }, &policy()).verdict.permits()
        };
        for length in 1..whole.len() {
            assert!(!permits(&whole[..length]), "{}", &whole[..length]);
        }
    }
}

#[test]
fn an_explanation_says_what_was_read_and_why() {
    let tc = Tc { purposes: [&[1], &[2]], ..Tc::default() }.text();
    let gpp = format!("DBACNY~{}~1YNN", Tc::default().text());
    let signals = Signals {
        gpp: Some(gpp.as_bytes()),
        gpp_sid: Some(b"2"),
        gdpr: Some(b"0"),
        tc_string: Some(tc.as_bytes()),
        ..Signals::default()
    };
    let explained = explain(&signals, &policy());
    assert_eq!((explained.verdict, explained.reason), ("allowed", "consented"));
    assert_eq!(explained.conflicts.len(), 2, "{:?}", explained.conflicts);
    let text = explained.to_string();
    for line in [
        "gpp.tcfeuv2.created: 2026-02-28\n",
        "gpp.tcfeuv2.purposes_by_consent: 1,3,4\n",
        "gpp.tcfeuv2.vendor_disclosed: yes\n",
        "gpp.uspv1.applies: no\n",
        "tc_string.applies: no\n",
        "tc_string.purposes_by_legitimate_interest: 2\n",
        "verdict: allowed\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["facts"][0]["of"], "gdpr");
    assert_eq!(json["reason"], "consented");
    let national = format!("{}~CVVVkkkkkpFY.YA", us_header(7));
    let text = explain(&Signals::of_text(national.as_bytes()), &policy()).to_string();
    for line in ["gpp.usnat.SaleOptOut: 1\n", "gpp.usnat.Gpc: yes\n", "reason: sale_opt_out\n"] {
        assert!(text.contains(line), "{line}{text}");
    }
    let text = explain(&Signals::of_text(b"DBABRg~BAAA"), &policy()).to_string();
    assert!(text.contains("unreadable"), "{text}");
}

/// Bytes that are likely to be read for a while.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let tc = (any::<bool>(), 0..64_u64, 0..4_u64, 0..64_u64).prop_map(|(bits, policy, kind, p)| {
        let consent = if bits { Set::Bits(vec![42]) } else { Set::Ranges(vec![(40, 60)]) };
        let restrictions = vec![(p, kind, vec![(1, 50)])];
        Tc { consent, policy, restrictions, ..Tc::default() }.text()
    });
    let us = (7..28_u16).prop_map(|id| format!("{}~{}", us_header(id), us_section(id, None, None)));
    let both = tc.clone().prop_map(|tc| format!("DBACNY~{tc}~1YNN"));
    let texts = prop_oneof![tc, us, both, "1[YN-]{3}", "[A-Za-z0-9_.~-]{0,80}"];
    let hits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (texts, hits).prop_map(|(text, hits)| {
        let mut bytes = text.into_bytes();
        for (at, byte) in hits {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_signals_are_decided_and_remembered_alike(
        texts in prop::array::uniform3(prop_oneof![likely(), any::<Vec<u8>>()]),
        list in prop::option::of("(-1|[0-9]{1,2})(,[0-9]{1,2}){0,2}"),
        gdpr in prop::option::of("[01]"),
        flags in any::<[bool; 2]>(),
    ) {
        let signals = Signals {
            gdpr: gdpr.as_ref().map(|text| text.as_bytes()),
            tc_string: Some(&texts[0]),
            gpp: Some(&texts[1]),
            gpp_sid: list.as_ref().map(|text| text.as_bytes()),
            us_privacy: Some(&texts[2]),
            gpc: flags[0],
            coppa: flags[0] && flags[1],
        };
        let decision = decide(&signals, &policy());
        let decider = Decider::with_key(policy(), 8, Key::new(5, 6));
        prop_assert_eq!(decider.decide(&signals), decision);
        prop_assert_eq!(decider.decide(&signals), decision);
        prop_assert_eq!(explain(&signals, &policy()).reason, decision.reason.label());
        // A flag more never turns a refusal into leave.
        let gpc = decide(&Signals { gpc: true, ..signals }, &policy());
        prop_assert!(!gpc.verdict.permits());
    }

    #[test]
    fn the_first_and_the_last_vendor_are_in_a_set_of_all(
        last in 1..3000_u16,
        bits in any::<bool>(),
    ) {
        let set = if bits { Set::Bits((1..=last).collect()) } else { Set::Ranges(vec![(1, last)]) };
        let text = Tc { consent: set, ..Tc::default() }.text();
        for (vendor, want) in [(0, false), (1, true), (last, true), (last + 1, false)] {
            let read = TcString::read(text.as_bytes(), vendor).unwrap();
            prop_assert_eq!(read.vendor_consent, want);
        }
    }
}

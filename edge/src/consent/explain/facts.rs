//! The fields of each kind of string, in words.

use super::{
    super::{
        bits::{Bits, Unreadable},
        gpp::{
            self,
            layouts::{Field, VALUE_BITS, layout},
            us::{OptOuts, VERSION_BITS},
        },
        purposes::Purposes,
        tcf::TcString,
        us_privacy::UsPrivacy,
    },
    Fact,
};
use std::fmt::Display;

/// Facts, as they are found.
pub(super) struct Facts {
    vendor: u16,
    list: Vec<Fact>,
}

impl Facts {
    pub(super) fn new(vendor: u16) -> Facts {
        Facts { vendor, list: Vec::new() }
    }

    pub(super) fn into_list(self) -> Vec<Fact> {
        self.list
    }

    pub(super) fn add(&mut self, of: &str, name: &str, value: impl Display) {
        self.list.push(Fact { of: of.into(), name: name.into(), value: value.to_string() });
    }

    fn add_state(&mut self, of: &str, applies: bool, unreadable: Option<Unreadable>) {
        self.add(of, "applies", yes(applies));
        if let Some(unreadable) = unreadable {
            self.add(of, "unreadable", unreadable.about());
        }
    }

    pub(super) fn add_section(&mut self, id: u16, text: &[u8], applies: bool) {
        match id {
            gpp::TCF_EU => self.add_tc_string("gpp.tcfeuv2", text, applies),
            gpp::US_PRIVACY => self.add_us_privacy("gpp.uspv1", text, applies),
            id => self.add_us(id, text, applies),
        }
    }

    pub(super) fn add_tc_string(&mut self, of: &str, text: &[u8], applies: bool) {
        let string = match TcString::read(text, self.vendor) {
            Ok(string) => string,
            Err(unreadable) => return self.add_state(of, applies, Some(unreadable)),
        };
        self.add_state(of, applies, None);
        let country = String::from_utf8_lossy(&string.publisher_country);
        self.add(of, "created", day(string.created_tenths));
        self.add(of, "updated", day(string.updated_tenths));
        self.add(of, "cmp", format_args!("{} version {}", string.cmp_id, string.cmp_version));
        self.add(of, "vendor_list_version", string.vendor_list_version);
        self.add(of, "policy_version", string.policy_version);
        self.add(of, "service_specific", yes(string.is_service_specific));
        self.add(of, "publisher_country", country);
        self.add(of, "purpose_one_undisclosed", yes(string.purpose_one_treatment));
        self.add(of, "purposes_by_consent", list(string.purpose_consent));
        self.add(of, "purposes_by_legitimate_interest", list(string.purpose_interest));
        self.add(of, "vendor", self.vendor);
        self.add(of, "vendor_consent", yes(string.vendor_consent));
        self.add(of, "vendor_legitimate_interest", yes(string.vendor_interest));
        let disclosed = string.disclosed.map_or("the string does not say", yes);
        self.add(of, "vendor_disclosed", disclosed);
        let restrictions = string.restrictions;
        let rows = [
            ("restricted_not_allowed", restrictions.not_allowed),
            ("restricted_to_consent", restrictions.require_consent),
            ("restricted_to_legitimate_interest", restrictions.require_interest),
            ("restricted_undefined", restrictions.undefined),
        ];
        for (name, purposes) in rows {
            self.add(of, name, list(purposes));
        }
    }

    pub(super) fn add_us_privacy(&mut self, of: &str, text: &[u8], applies: bool) {
        let read = UsPrivacy::read(text);
        self.add_state(of, applies, read.err());
        if let Ok(UsPrivacy { notice, opt_out_sale, lspa_covered }) = read {
            self.add(of, "notice", notice.label());
            self.add(of, "opt_out_sale", opt_out_sale.label());
            self.add(of, "lspa_covered", lspa_covered.label());
        }
    }

    /// A section of the United States, or one that is not read here.
    fn add_us(&mut self, id: u16, text: &[u8], applies: bool) {
        let (prefix, fields) = match read_fields(id, text) {
            Ok((prefix, fields)) => (format!("gpp.{prefix}"), fields),
            Err(_) => (format!("gpp.{id}"), Vec::new()),
        };
        let read = OptOuts::read(id, text);
        self.add_state(&prefix, applies, read.err());
        for (field, values) in fields {
            self.add(&prefix, &format!("{field:?}"), values.join(","));
        }
        if let Ok(OptOuts { gpc: Some(gpc), .. }) = read {
            self.add(&prefix, "Gpc", yes(gpc));
        }
    }
}

type Values = Vec<(Field, Vec<String>)>;

/// The core of a section of the United States, every field of it.
fn read_fields(id: u16, text: &[u8]) -> Result<(&'static str, Values), Unreadable> {
    let mut bits = Bits::new(text.split(|c| *c == b'.').next().unwrap_or_default())?;
    let layout = layout(id, bits.take(VERSION_BITS)?).ok_or(Unreadable::Version)?;
    let mut fields = Vec::new();
    for (field, count) in layout.fields {
        let mut values = Vec::new();
        for _ in 0..*count {
            values.push(bits.take(VALUE_BITS)?.to_string());
        }
        fields.push((*field, values));
    }
    Ok((layout.prefix, fields))
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn list(purposes: Purposes) -> String {
    let ids: Vec<String> = purposes.ids().map(|id| id.to_string()).collect();
    if ids.is_empty() { "none".into() } else { ids.join(",") }
}

/// The day of a time in tenths of a second, as year, month and day. 36 bits reach the year 2187, so
/// that the years can be counted.
fn day(tenths: u64) -> String {
    let mut days = tenths / 864_000;
    let mut year = 1970;
    loop {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            if days < length {
                return format!("{year}-{month:02}-{:02}", days + 1);
            }
            days -= length;
        }
        year += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_days() {
        let rows = [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_772_236_799, "2026-02-27"),
            (1_772_236_800, "2026-02-28"),
            (((1 << 36) - 1) / 10, "2187-10-06"),
        ];
        for (seconds, want) in rows {
            assert_eq!(day(seconds * 10), want);
        }
    }
}

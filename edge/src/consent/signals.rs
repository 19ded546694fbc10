//! What a request says about consent, as it was sent.

/// The signals of a request: raw, but percent-decoded. Empty ones and macros that nobody expanded
/// count as absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals<'a> {
    /// `0` or `1`: whether GDPR applies.
    pub gdpr: Option<&'a [u8]>,
    /// The TC string.
    pub tc_string: Option<&'a [u8]>,
    /// The GPP string.
    pub gpp: Option<&'a [u8]>,
    /// The ids of the GPP sections that apply, as a list with commas or as a JSON array.
    pub gpp_sid: Option<&'a [u8]>,
    /// The US Privacy string.
    pub us_privacy: Option<&'a [u8]>,
    /// Whether the header Sec-GPC is `1`.
    pub gpc: bool,
    /// Whether COPPA applies.
    pub coppa: bool,
}

impl<'a> Signals<'a> {
    /// A text alone, as the signal that it looks like.
    #[must_use]
    pub fn of_text(text: &'a [u8]) -> Signals<'a> {
        let (none, text) = (Signals::default(), Some(text));
        match Family::of(text.unwrap_or_default()) {
            Family::TcString => Signals { tc_string: text, ..none },
            Family::Gpp => Signals { gpp: text, ..none },
            Family::UsPrivacy => Signals { us_privacy: text, ..none },
        }
    }

    /// The same, without the strings that say nothing.
    pub(super) fn present(self) -> Signals<'a> {
        Signals {
            gdpr: self.gdpr.and_then(present),
            tc_string: self.tc_string.and_then(present),
            gpp: self.gpp.and_then(present),
            gpp_sid: self.gpp_sid.and_then(present),
            us_privacy: self.us_privacy.and_then(present),
            ..self
        }
    }

    /// The strings, each in its place.
    pub(super) fn strings(&self) -> [Option<&'a [u8]>; 5] {
        [self.gdpr, self.tc_string, self.gpp, self.gpp_sid, self.us_privacy]
    }
}

/// A value, unless it is empty or a macro that nobody expanded.
#[must_use]
pub fn present(value: &[u8]) -> Option<&[u8]> {
    let is_macro = value.starts_with(b"${") && value.ends_with(b"}");
    (!value.is_empty() && !is_macro).then_some(value)
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A TC string.
    TcString,
    /// A GPP string.
    Gpp,
    /// A US Privacy string.
    UsPrivacy,
}

impl Family {
    /// SPEC: GPP, "Section IDs", note: the first six bits are 3, written `D`, in a GPP string, and
    /// the version of a TC string. A US Privacy string begins with `1`, which would be version 53.
    #[must_use]
    pub fn of(text: &[u8]) -> Family {
        match text.first() {
            Some(b'D') => Family::Gpp,
            Some(b'1') => Family::UsPrivacy,
            _ => Family::TcString,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Family::TcString => "tc_string",
            Family::Gpp => "gpp",
            Family::UsPrivacy => "us_privacy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_absent() {
        for value in ["", "${GDPR}", "${GDPR_CONSENT_42}"] {
            assert_eq!(present(value.as_bytes()), None, "{value}");
        }
        for value in ["0", "${GDPR", "GDPR}", "$"] {
            assert!(present(value.as_bytes()).is_some(), "{value}");
        }
    }

    #[test]
    fn the_first_character_tells_the_family() {
        assert_eq!(Signals::of_text(b"CP").tc_string, Some(&b"CP"[..]));
        assert_eq!(Signals::of_text(b"DB").gpp, Some(&b"DB"[..]));
        assert_eq!(Signals::of_text(b"1YNN").us_privacy, Some(&b"1YNN"[..]));
    }
}

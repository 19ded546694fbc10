//! What is decided, and why: one reason for each way that a decision can go, and each reason is a
//! metric label and a sentence.

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What may be done.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// The decision that a reason makes.
    #[must_use]
    pub const fn of(reason: Reason) -> Decision {
        Decision { verdict: reason.verdict(), reason }
    }
}

/// Whether data of the user may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The signals allow it.
    Allowed,
    /// The signals, or what is missing of them, forbid it.
    Denied,
    /// There is no signal, and the policy takes that for leave.
    NoSignal,
}

impl Verdict {
    /// For metrics and events; nothing when there is nothing to tell.
    #[must_use]
    pub const fn label(self) -> Option<&'static str> {
        match self {
            Verdict::Allowed => Some("allowed"),
            Verdict::Denied => Some("denied"),
            Verdict::NoSignal => None,
        }
    }

    /// Whether data may be used.
    #[must_use]
    pub const fn permits(self) -> bool {
        !matches!(self, Verdict::Denied)
    }
}

/// Declares [`Reason`] with its labels and texts, so that none can be forgotten in one of them.
macro_rules! reasons {
    ($($reason:ident => $verdict:ident, $label:literal, $about:literal;)*) => {
        /// Why it was decided as it was.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason {
            $(#[doc = $about] $reason,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Reason] = &[$(Reason::$reason,)*];

            /// For metrics and events.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Reason::$reason => $label,)* }
            }

            /// In a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Reason::$reason => $about,)* }
            }

            /// What it leads to.
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self { $(Reason::$reason => Verdict::$verdict,)* }
            }
        }
    };
}

reasons! {
    NoSignal => NoSignal, "no_signal",
        "There is no consent signal, which the policy takes for leave.";
    Consented => Allowed, "consented",
        "The TC string gives the vendor every legal basis that the policy asks for.";
    NotOptedOut => Allowed, "not_opted_out",
        "The signals of the United States that apply hold no opt-out.";
    OutOfScope => Allowed, "out_of_scope",
        "The signals say that no regulation applies.";
    SignalRequired => Denied, "signal_required",
        "There is no consent signal, and the policy asks for one.";
    Coppa => Denied, "coppa",
        "The request is subject to COPPA: the user is a child.";
    Gpc => Denied, "gpc",
        "The browser sent Global Privacy Control.";
    TcStringMissing => Denied, "tc_string_missing",
        "GDPR applies and there is no TC string.";
    TcStringUnreadable => Denied, "tc_string_unreadable",
        "The TC string cannot be read.";
    TcPolicyOutdated => Denied, "tc_policy_outdated",
        "The TC string was made under a TCF policy below version 4.";
    DisclosureMissing => Denied, "disclosure_missing",
        "The TC string was created since 2026-02-28 and has no disclosed vendors.";
    VendorNotDisclosed => Denied, "vendor_not_disclosed",
        "The vendor was not disclosed to the user.";
    PurposeRestricted => Denied, "purpose_restricted",
        "The publisher restricts the vendor in a purpose that the policy asks for.";
    VendorConsent => Denied, "vendor_consent",
        "The user did not consent to the vendor.";
    PurposeConsent => Denied, "purpose_consent",
        "The user did not consent to a purpose that the policy asks for.";
    VendorInterest => Denied, "vendor_interest",
        "The vendor has no established legitimate interest.";
    PurposeInterest => Denied, "purpose_interest",
        "A purpose that the policy asks for has no established legitimate interest.";
    GppUnreadable => Denied, "gpp_unreadable",
        "The header of the GPP string cannot be read.";
    GppSidUnreadable => Denied, "gpp_sid_unreadable",
        "The list of GPP sections that apply cannot be read.";
    GppSectionMissing => Denied, "gpp_section_missing",
        "A GPP section that applies is not in the string.";
    GppSectionUnreadable => Denied, "gpp_section_unreadable",
        "A GPP section that applies cannot be read.";
    GppSectionUnknown => Denied, "gpp_section_unknown",
        "A GPP section that applies is of a kind or a version that is not known here.";
    SaleOptOut => Denied, "sale_opt_out",
        "The user opted out of the sale of data.";
    SharingOptOut => Denied, "sharing_opt_out",
        "The user opted out of the sharing of data.";
    TargetedAdvertisingOptOut => Denied, "targeted_advertising_opt_out",
        "The user opted out of targeted advertising.";
    GppGpc => Denied, "gpp_gpc",
        "A GPP section that applies holds Global Privacy Control.";
    UsPrivacyUnreadable => Denied, "us_privacy_unreadable",
        "The US Privacy string cannot be read.";
    UsPrivacyOptOut => Denied, "us_privacy_opt_out",
        "The US Privacy string holds an opt-out.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn labels_differ() {
        let labels: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
    }

    #[test]
    fn only_a_denial_does_not_permit() {
        assert!(Verdict::Allowed.permits() && Verdict::NoSignal.permits());
        assert!(!Verdict::Denied.permits());
        assert_eq!(Verdict::NoSignal.label(), None);
        assert_eq!(Decision::of(Reason::Gpc).verdict, Verdict::Denied);
    }
}

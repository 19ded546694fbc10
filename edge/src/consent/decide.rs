//! The decision: any signal that applies can deny, and none can outvote a denial.
//!
//! Which signals apply:
//!
//! - COPPA and Sec-GPC, always.
//! - Of GPP, the sections that `gpp_sid` lists, and each of them must be there and be readable. A
//!   string without the list means all of its sections, but for the TC string where `gdpr` is 0.
//! - The TC string, unless `gdpr` is 0 or GPP has spoken about TCF. Without a TC string, `gdpr`
//!   denies unless it is 0.
//! - The US Privacy string, unless GPP has spoken about that.
//!
//! GPP has spoken about what its list names or, without a list, what its string holds. Its silence
//! is no leave: what it does not name, the older parameters decide. That is stricter than dropping
//! them whenever there is a list, and never turns a refusal into leave.

use super::{
    bits::Unreadable,
    decision::{Decision, Reason},
    gpp::{self, applicable::Applicable, sections::Sections, us::OptOuts},
    policy::{Absent, Policy},
    signals::Signals,
    tcf::TcString,
    us_privacy::{Answer, UsPrivacy},
};

/// Decides under a policy.
#[must_use]
pub fn decide(signals: &Signals<'_>, policy: &Policy) -> Decision {
    Decision::of(match judge(&signals.present(), policy) {
        Ok(heard) => heard.reason(policy),
        Err(denial) => denial,
    })
}

/// Which signals have spoken, none of which denies.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    tcf: bool,
    us: bool,
    out_of_scope: bool,
}

impl Heard {
    fn reason(self, policy: &Policy) -> Reason {
        match (self, policy.absent) {
            (Heard { tcf: true, .. }, _) => Reason::Consented,
            (Heard { us: true, .. }, _) => Reason::NotOptedOut,
            (Heard { out_of_scope: true, .. }, _) => Reason::OutOfScope,
            (_, Absent::Allow) => Reason::NoSignal,
            (_, Absent::Deny) => Reason::SignalRequired,
        }
    }
}

fn judge(signals: &Signals<'_>, policy: &Policy) -> Result<Heard, Reason> {
    if signals.coppa {
        return Err(Reason::Coppa);
    }
    if signals.gpc {
        return Err(Reason::Gpc);
    }
    let mut heard = Heard::default();
    let spoken = judge_gpp(signals, policy, &mut heard)?;
    if !spoken.tcf {
        judge_tcf(signals, policy, &mut heard)?;
    }
    if let Some(text) = signals.us_privacy.filter(|_| !spoken.us_privacy) {
        judge_us_privacy(text)?;
        heard.us = true;
    }
    Ok(heard)
}

/// What GPP has spoken about, so that the older parameter is not asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spoken {
    pub(super) tcf: bool,
    pub(super) us_privacy: bool,
}

fn judge_gpp(signals: &Signals<'_>, policy: &Policy, heard: &mut Heard) -> Result<Spoken, Reason> {
    let sections = match signals.gpp.map(Sections::read) {
        Some(Ok(sections)) => Some(sections),
        Some(Err(_)) => return Err(Reason::GppUnreadable),
        None => None,
    };
    let mut spoken = Spoken::default();
    match (applicable(signals)?, sections) {
        (Some(list), sections) => {
            if list.reaches_beyond() {
                return Err(Reason::GppSectionUnknown);
            }
            heard.out_of_scope |= list.is_empty();
            for id in list.ids().filter(|id| !gpp::WITHOUT_CHOICES.contains(id)) {
                let text = sections.as_ref().and_then(|sections| sections.find(id));
                judge_section(id, text.ok_or(Reason::GppSectionMissing)?, policy, heard)?;
                spoken.add(id);
            }
        }
        (None, Some(sections)) => {
            for (id, text) in sections.iter().filter(|(id, _)| !gpp::WITHOUT_CHOICES.contains(id)) {
                if id != gpp::TCF_EU || signals.gdpr != Some(b"0") {
                    judge_section(id, text, policy, heard)?;
                    spoken.add(id);
                }
            }
        }
        (None, None) => {}
    }
    Ok(spoken)
}

impl Spoken {
    /// What GPP has spoken about, whatever it says.
    pub(super) fn of(signals: &Signals<'_>) -> Spoken {
        let mut spoken = Spoken::default();
        match (applicable(signals), signals.gpp.map(Sections::read)) {
            (Ok(Some(list)), _) => list.ids().for_each(|id| spoken.add(id)),
            (Ok(None), Some(Ok(sections))) => {
                sections.iter().for_each(|(id, _)| spoken.add(id));
                spoken.tcf &= signals.gdpr != Some(b"0");
            }
            _ => {}
        }
        spoken
    }

    fn add(&mut self, id: u16) {
        self.tcf |= id == gpp::TCF_EU;
        self.us_privacy |= id == gpp::US_PRIVACY;
    }
}

fn applicable(signals: &Signals<'_>) -> Result<Option<Applicable>, Reason> {
    match signals.gpp_sid.map(Applicable::read) {
        Some(Ok(list)) => Ok(list),
        Some(Err(_)) => Err(Reason::GppSidUnreadable),
        None => Ok(None),
    }
}

/// Judges a section. Those that are not read here, Canada's among them, deny where they apply.
fn judge_section(id: u16, text: &[u8], policy: &Policy, heard: &mut Heard) -> Result<(), Reason> {
    match id {
        gpp::TCF_EU => {
            judge_tc_string(text, policy)?;
            heard.tcf = true;
        }
        gpp::US_PRIVACY => {
            judge_us_privacy(text)?;
            heard.us = true;
        }
        _ if gpp::us::is_known(id) => {
            let opt_outs = OptOuts::read(id, text).map_err(|unreadable| match unreadable {
                Unreadable::Version => Reason::GppSectionUnknown,
                _ => Reason::GppSectionUnreadable,
            })?;
            opt_outs.allow()?;
            heard.us = true;
        }
        _ => return Err(Reason::GppSectionUnknown),
    }
    Ok(())
}

fn judge_tcf(signals: &Signals<'_>, policy: &Policy, heard: &mut Heard) -> Result<(), Reason> {
    match (signals.gdpr, signals.tc_string) {
        // Anything but a clear 0 is not taken for one.
        (Some(b"0"), _) => heard.out_of_scope = true,
        (_, Some(text)) => {
            judge_tc_string(text, policy)?;
            heard.tcf = true;
        }
        (Some(_), None) => return Err(Reason::TcStringMissing),
        (None, None) => {}
    }
    Ok(())
}

fn judge_tc_string(text: &[u8], policy: &Policy) -> Result<(), Reason> {
    match TcString::read(text, policy.vendor) {
        Ok(string) => string.meets(policy),
        Err(_) => Err(Reason::TcStringUnreadable),
    }
}

fn judge_us_privacy(text: &[u8]) -> Result<(), Reason> {
    match UsPrivacy::read(text) {
        Ok(UsPrivacy { opt_out_sale: Answer::Yes, .. }) => Err(Reason::UsPrivacyOptOut),
        Ok(_) => Ok(()),
        Err(_) => Err(Reason::UsPrivacyUnreadable),
    }
}

//! A decision for a person: every field that matters, which signals apply, where two of them
//! disagree, and what comes of it. This is the cold side; it allocates as it likes.

mod facts;

use self::facts::Facts;
use super::{
    decide::{Spoken, decide},
    decision::Decision,
    gpp::{self, applicable::Applicable, sections::Sections},
    policy::Policy,
    signals::Signals,
};
use serde::Serialize;
use std::fmt;

/// What was read, what was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What the strings say.
    pub facts: Vec<Fact>,
    /// Where two signals disagree, and which one is heard.
    pub conflicts: Vec<String>,
    /// `allowed`, `denied` or `no_signal`.
    pub verdict: &'static str,
    /// The label of the reason.
    pub reason: &'static str,
    /// The reason in a sentence.
    pub why: &'static str,
}

/// A field of a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Which string: `tc_string`, `gpp`, `gpp.usca`, `us_privacy`.
    pub of: String,
    /// Which field.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// Explains what [`decide`] makes of signals under a policy.
#[must_use]
pub fn explain(signals: &Signals<'_>, policy: &Policy) -> Explanation {
    let signals = signals.present();
    let Decision { verdict, reason } = decide(&signals, policy);
    let spoken = Spoken::of(&signals);
    let mut facts = Facts::new(policy.vendor);
    if signals.coppa {
        facts.add("coppa", "applies", "yes");
    }
    if signals.gpc {
        facts.add("sec_gpc", "applies", "yes");
    }
    if let Some(gdpr) = signals.gdpr {
        facts.add("gdpr", "value", String::from_utf8_lossy(gdpr));
    }
    explain_gpp(&signals, &mut facts);
    if let Some(text) = signals.tc_string {
        let applies = signals.gdpr != Some(b"0") && !spoken.tcf;
        facts.add_tc_string("tc_string", text, applies);
    }
    if let Some(text) = signals.us_privacy {
        facts.add_us_privacy("us_privacy", text, !spoken.us_privacy);
    }
    Explanation {
        facts: facts.into_list(),
        conflicts: conflicts(&signals, spoken),
        verdict: verdict.label().unwrap_or("no_signal"),
        reason: reason.label(),
        why: reason.about(),
    }
}

fn explain_gpp(signals: &Signals<'_>, facts: &mut Facts) {
    let list = match signals.gpp_sid.map(Applicable::read) {
        Some(Ok(list)) => list,
        Some(Err(unreadable)) => {
            facts.add("gpp_sid", "unreadable", unreadable.about());
            None
        }
        None => None,
    };
    if let Some(list) = list {
        let ids: Vec<String> = list.ids().map(|id| id.to_string()).collect();
        facts.add(
            "gpp_sid",
            "sections",
            if ids.is_empty() { "none".into() } else { ids.join(",") },
        );
    }
    let sections = match signals.gpp.map(Sections::read) {
        Some(Ok(sections)) => sections,
        Some(Err(unreadable)) => return facts.add("gpp", "unreadable", unreadable.about()),
        None => return,
    };
    for (id, text) in sections.iter() {
        let dropped = id == gpp::TCF_EU && signals.gdpr == Some(b"0");
        facts.add_section(id, text, list.map_or(!dropped, |list| list.contains(id)));
    }
}

/// Where an older parameter says something else than GPP.
fn conflicts(signals: &Signals<'_>, spoken: Spoken) -> Vec<String> {
    let mut conflicts = Vec::new();
    let has_list = matches!(signals.gpp_sid.map(Applicable::read), Some(Ok(Some(_))));
    let says_tcf = signals.gdpr.map(|gdpr| gdpr != b"0");
    match (spoken.tcf, says_tcf) {
        (true, Some(false)) if has_list => {
            conflicts
                .push("gdpr says that TCF does not apply, gpp_sid that it does: it does".into());
        }
        (false, Some(true)) if has_list => conflicts
            .push("gpp_sid does not name TCF, gdpr says that it applies: gdpr decides it".into()),
        _ => {}
    }
    let sections = signals.gpp.and_then(|text| Sections::read(text).ok());
    let section = |id| sections.as_ref().and_then(|sections| sections.find(id));
    let pairs = [
        ("tc_string", spoken.tcf, signals.tc_string, section(gpp::TCF_EU)),
        ("us_privacy", spoken.us_privacy, signals.us_privacy, section(gpp::US_PRIVACY)),
    ];
    for (name, is_spoken, legacy, section) in pairs {
        if is_spoken && legacy.is_some() && legacy != section {
            conflicts.push(format!("{name} and the section of GPP differ: GPP is heard"));
        }
    }
    conflicts
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Fact { of, name, value } in &self.facts {
            writeln!(out, "{of}.{name}: {value}")?;
        }
        for conflict in &self.conflicts {
            writeln!(out, "conflict: {conflict}")?;
        }
        writeln!(out, "verdict: {}", self.verdict)?;
        writeln!(out, "reason: {}", self.reason)?;
        writeln!(out, "why: {}", self.why)
    }
}

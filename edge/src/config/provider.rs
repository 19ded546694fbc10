//! `[listener.provider]`: how an exchange asks, and how it wants to hear.

use super::{
    ConfigError,
    file::{DialectWord, FormWord, ListenerSection, ProviderSection},
    resolve::label,
};
use crate::roles::{parameters::Meaning, provider::Form};
use brink_shipper::config::Checker;
use std::time::Duration;

/// What a provider is told.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderConfig {
    /// The language of the exchange.
    pub dialect: DialectWord,
    /// How a segment is written, where that is to be chosen.
    pub form: Form,
    /// The exchange's ids in the segment table.
    pub namespace: String,
    /// Our ids there.
    pub external_namespace: String,
    /// Whether rows keep the whole query.
    pub keep_query: bool,
    /// Query parameters by what they mean, where there is a query.
    pub parameters: Vec<(Meaning, String)>,
    /// How long a request may have waited to be looked up.
    pub budget: Duration,
    /// Requests a second that one shard looks up, if there is a limit.
    pub rate_per_shard: Option<f64>,
    /// `/ready` says no while a larger share of the answers is late.
    pub late_percent_max: u64,
    /// Longest body that is read once it is unpacked.
    pub text_bytes_max: usize,
}

impl ProviderConfig {
    /// What a section says that says nothing, for an exchange of this name.
    #[must_use]
    pub fn of_defaults(dialect: DialectWord, exchange: &str) -> ProviderConfig {
        let section = ProviderSection::default();
        ProviderConfig {
            dialect,
            form: form(section.form),
            namespace: exchange.to_owned(),
            external_namespace: section.external_namespace,
            keep_query: section.keep_query,
            parameters: Meaning::ALL.map(|(meaning, _, name)| (meaning, name.to_owned())).to_vec(),
            budget: Duration::from_millis(default_budget_ms(dialect)),
            rate_per_shard: None,
            late_percent_max: section.late_percent_max,
            text_bytes_max: TEXT_BYTES_MAX,
        }
    }
}

/// BOUND: a body is not unpacked to more than this, nor to more than the listener takes packed. A
/// segment request has a few KiB.
pub const TEXT_BYTES_MAX: usize = 256 << 10;

/// Longest name of a parameter.
const PARAMETER_BYTES_MAX: usize = 64;

/// Resolves what a listener says of it; only providers have it, and they need a path to answer.
pub(super) fn resolve(
    check: &Checker<'_>,
    section: &ListenerSection,
    shards: usize,
) -> Result<Option<ProviderConfig>, ConfigError> {
    let key = |field: &str| format!("listener {:?}: {field}", section.name);
    let provider = section.provider.clone().unwrap_or_default();
    if section.role != ROLE {
        return match section.provider {
            None => Ok(None),
            Some(_) => {
                Err(check.wrong(&key("role"), &section.role, "\"provider\" with this table"))
            }
        };
    }
    let Some(exchange) = &section.exchange else {
        return Err(check.wrong(&key("exchange"), "nothing", "a label: it is part of the path"));
    };
    let budget = provider.budget_ms.unwrap_or(default_budget_ms(provider.dialect));
    let budget = check.within(&key("provider.budget_ms"), budget, 1, 10_000)?;
    if provider.dialect == DialectWord::Google
        && let Some(name) = provider.parameters.keys().next()
    {
        let allowed = "nothing with the dialect \"google\", which sends no query";
        return Err(check.wrong(&key("provider.parameters"), name, allowed));
    }
    let rate = check.within(&key("provider.rate_limit"), provider.rate_limit, 0, 10_000_000)?;
    let late =
        check.within(&key("provider.late_percent_max"), provider.late_percent_max, 0, 100)?;
    let namespace = provider.namespace.as_ref().unwrap_or(exchange);
    for (field, name) in
        [("namespace", namespace), ("external_namespace", &provider.external_namespace)]
    {
        label(check, &key(&format!("provider.{field}")), name)?;
    }
    Ok(Some(ProviderConfig {
        dialect: provider.dialect,
        form: form(provider.form),
        namespace: namespace.clone(),
        external_namespace: provider.external_namespace.clone(),
        keep_query: provider.keep_query,
        parameters: parameters(check, &key("provider.parameters"), &provider.parameters)?,
        budget: Duration::from_millis(budget),
        rate_per_shard: (rate > 0).then(|| rate as f64 / shards.max(1) as f64),
        late_percent_max: late,
        text_bytes_max: TEXT_BYTES_MAX.min(section.body_bytes_max as usize),
    }))
}

fn form(word: FormWord) -> Form {
    match word {
        FormWord::Price => Form::Price,
        FormWord::Code => Form::Code,
    }
}

/// Xandr waits for ten milliseconds. SPEC: Google, real-time curation: after 50 ms an answer is
/// passed over.
fn default_budget_ms(dialect: DialectWord) -> u64 {
    match dialect {
        DialectWord::Xandr => 7,
        DialectWord::Google => 40,
    }
}

/// The role that this is for.
const ROLE: &str = "provider";

fn parameters(
    check: &Checker<'_>,
    key: &str,
    said: &std::collections::BTreeMap<String, String>,
) -> Result<Vec<(Meaning, String)>, ConfigError> {
    let unknown = |name: &&String| !Meaning::ALL.iter().any(|(_, known, _)| known == *name);
    if let Some(name) = said.keys().find(unknown) {
        let known: Vec<_> = Meaning::ALL.iter().map(|(_, known, _)| *known).collect();
        return Err(check.wrong(key, name, &format!("{known:?}")));
    }
    let mut names: Vec<(Meaning, String)> = Vec::new();
    for (meaning, known, default) in Meaning::ALL {
        let name = said.get(known).map_or(default, String::as_str);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        if name.is_empty() || name.len() > PARAMETER_BYTES_MAX || !name.bytes().all(plain) {
            let key = format!("{key}.{known}");
            return Err(check.wrong(&key, name, "1 to 64 of letters, digits, _ - ."));
        }
        if names.iter().any(|(_, taken)| taken == name) {
            return Err(check.wrong(&format!("{key}.{known}"), name, "a name for each meaning"));
        }
        names.push((meaning, name.to_owned()));
    }
    Ok(names)
}

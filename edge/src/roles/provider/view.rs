//! What a provider listener is configured to do, and the table that it looks into.

use super::answers::Form;
use crate::{
    config::{ListenerConfig, file::DialectWord, provider::ProviderConfig},
    consent::Policy,
    roles::{Ack, Supplies, parameters::ParameterMap},
    table::handover::{LoadedTable, TableTaker},
};
use brink_proto::table::Namespace;
use std::time::Duration;

/// Where segments are answered; the exchange's name follows.
pub(super) const PATH: &str = "/v1/segments/";

/// What a provider sees.
pub struct ProviderView {
    /// When answers may leave.
    pub(super) ack: Ack,
    /// The path that it answers.
    pub(super) path: Vec<u8>,
    /// The language of the exchange.
    pub(super) dialect: DialectWord,
    /// Longest body that is read once it is unpacked.
    pub(super) text_bytes_max: usize,
    /// How long a request may have waited to be looked up.
    pub(super) budget: Duration,
    /// Requests a second that this shard looks up.
    pub(super) rate: Option<f64>,
    /// How a segment is written.
    pub(super) form: Form,
    /// The exchange's names of what it sends.
    pub(super) parameters: ParameterMap,
    /// Whether rows keep the whole query.
    pub(super) keep_query: bool,
    /// The exchange's ids.
    pub(super) user: IdKind,
    /// Ours.
    pub(super) external: IdKind,
    /// What consent has to allow.
    pub(super) policy: Policy,
    table: Option<TableTaker>,
}

/// A kind of id.
pub(super) struct IdKind {
    /// Its name, as it stands in rows.
    pub(super) name: String,
    /// Its name, as it makes keys.
    pub(super) namespace: Namespace,
}

impl IdKind {
    fn new(name: &str) -> IdKind {
        IdKind { name: name.to_owned(), namespace: Namespace::new(name) }
    }
}

impl ProviderView {
    pub(super) fn new(config: &ListenerConfig, supplies: Supplies) -> ProviderView {
        let Some(provider) = &config.provider else {
            // The configuration was resolved with this role's name.
            unreachable!("listener {:?} is no provider", config.name);
        };
        let exchange = config.exchange.as_deref().unwrap_or_default();
        ProviderView::of(provider, exchange, config.ack(PATH), config.consent, supplies)
    }

    /// As [`ProviderView`] is made from a listener's configuration, from what it says of the role.
    #[must_use]
    pub fn of(
        provider: &ProviderConfig,
        exchange: &str,
        ack: Ack,
        policy: Policy,
        supplies: Supplies,
    ) -> ProviderView {
        let names = provider.parameters.iter().map(|(meaning, name)| (*meaning, name.as_str()));
        ProviderView {
            ack,
            path: format!("{PATH}{exchange}").into_bytes(),
            dialect: provider.dialect,
            text_bytes_max: provider.text_bytes_max,
            budget: provider.budget,
            rate: provider.rate_per_shard,
            keep_query: provider.keep_query,
            form: match provider.dialect {
                DialectWord::Xandr => provider.form,
                // It has no place for a price.
                DialectWord::Google => Form::Code,
            },
            parameters: ParameterMap::new(names),
            user: IdKind::new(&provider.namespace),
            external: IdKind::new(&provider.external_namespace),
            policy,
            table: supplies.table,
        }
    }

    pub(super) fn refresh(&mut self) {
        if let Some(table) = &mut self.table {
            table.refresh();
        }
    }

    /// The table, if there is one.
    #[inline]
    pub(super) fn table(&self) -> Option<&LoadedTable> {
        self.table.as_ref()?.current()
    }
}

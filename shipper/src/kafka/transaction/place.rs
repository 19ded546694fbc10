//! Whose transactions they are, and in which cluster.

use crate::kafka::{
    config::KafkaConfig,
    link::{Link, LinkFault},
    produce::Sender,
    tls::Tls,
};
use brink_proto::ids::Name;
use kafka_protocol::{messages::TransactionalId, protocol::StrBytes};
use std::rc::Rc;

/// Where the sessions of an edge are opened.
pub(super) struct Place {
    pub(super) config: Rc<KafkaConfig>,
    pub(super) tls: Option<Rc<Tls>>,
    pub(super) edge: Name,
    transactional_id: String,
}

impl Place {
    pub(super) fn new(config: Rc<KafkaConfig>, tls: Option<Rc<Tls>>, edge: Name) -> Place {
        // One for an edge: there is one sink, and who comes later is to fence who was there.
        let transactional_id = format!("{}brink-{edge}", config.topic_prefix);
        Place { config, tls, edge, transactional_id }
    }

    pub(super) async fn dial(&self, broker: &str) -> Result<Link, LinkFault> {
        Link::dial(broker, &self.config, self.tls.as_deref()).await
    }

    pub(super) fn transactional_id(&self) -> TransactionalId {
        TransactionalId::from(StrBytes::from_string(self.transactional_id.clone()))
    }

    /// How batches are sent.
    pub(super) fn sender(&self) -> Sender<'_> {
        let prefix = &self.config.topic_prefix;
        Sender { prefix, transactional_id: Some(&self.transactional_id) }
    }

    /// What an operator is told where the transactional id is not ours to use.
    pub(super) fn grant_command(&self) -> String {
        let user = self.config.sasl.as_ref().map_or("ANONYMOUS", |sasl| &sasl.username);
        format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:{user} --operation \
             Describe --operation Write --transactional-id {}",
            self.config.brokers.join(","),
            self.transactional_id
        )
    }
}

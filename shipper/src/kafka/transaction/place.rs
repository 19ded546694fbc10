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

/// Where an edge and its spool have their transactions. Who comes later with the same two fences
/// who was there. Another box of the same name has another spool, and a volume that is drained
/// beside it disturbs nobody.
pub(super) struct Place {
    pub(super) config: Rc<KafkaConfig>,
    pub(super) tls: Option<Rc<Tls>>,
    pub(super) edge: Name,
    /// Whose the positions are.
    pub(super) owner: String,
    transactional_id: String,
}

impl Place {
    pub(super) fn new(
        config: Rc<KafkaConfig>,
        tls: Option<Rc<Tls>>,
        edge: Name,
        spool_id: &str,
    ) -> Place {
        let owner = format!("{edge}-{spool_id}");
        let transactional_id = format!("{}brink-{owner}", config.topic_prefix);
        Place { config, tls, edge, owner, transactional_id }
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

    /// What an operator is told where the transactional id is not ours to use: a grant for all
    /// spools of the edge, for a box that is replaced has another one.
    pub(super) fn grant_command(&self) -> String {
        let user = self.config.sasl.as_ref().map_or("ANONYMOUS", |sasl| &sasl.username);
        format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:{user} --operation \
             Describe --operation Write --resource-pattern-type prefixed --transactional-id \
             {}brink-{}-",
            self.config.brokers.join(","),
            self.config.topic_prefix,
            self.edge
        )
    }
}

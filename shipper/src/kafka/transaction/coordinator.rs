//! The broker that keeps an edge's transactions: it begins epochs, and ends transactions.

use super::{fault::Fault, place::Place};
use crate::{
    kafka::{
        cluster::{Producer, address, topic_name},
        link::{ADD_PARTITIONS, END_TRANSACTION, FIND_COORDINATOR, INIT_PRODUCER_ID, Link},
    },
    steps::Step,
};
use brink_proto::ids::Name;
use kafka_protocol::{
    error::ResponseError as E,
    messages::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse,
        FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest,
        InitProducerIdResponse, add_partitions_to_txn_request::AddPartitionsToTxnTopic,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

/// How long a transaction may stay open before its coordinator gives it up.
pub(super) const TRANSACTION_MAX_MS: i32 = 30_000;

/// The coordinator is asked for transactions, and not for a group of consumers.
const OF_TRANSACTIONS: i8 = 1;

/// BOUND: how often is asked while the transaction before is being ended, and the time between.
const BUSY_MAX: u32 = 100;
const BUSY: Duration = Duration::from_millis(10);

/// Of no producer before.
const NOBODY: Producer = (-1, -1);

/// A connection to the coordinator, and the epoch that it has begun.
pub(super) struct Coordinator {
    place: Rc<Place>,
    link: Link,
    address: String,
    pub(super) producer: Producer,
}

impl Coordinator {
    /// Finds it and begins an epoch. When this is back, what an earlier one has left open is
    /// aborted, and whoever has that is fenced. `before` is the producer that this process had,
    /// which tells a coordinator's timeout from a fence.
    pub(super) async fn begin(
        place: Rc<Place>,
        contact: &mut Link,
        before: Option<Producer>,
    ) -> Result<Coordinator, Fault> {
        let address = find(&place, contact).await?;
        let link = place.dial(&address).await?;
        let producer = before.unwrap_or(NOBODY);
        let mut coordinator = Coordinator { place, link, address, producer };
        coordinator.begin_epoch().await?;
        Ok(coordinator)
    }

    async fn begin_epoch(&mut self) -> Result<(), Fault> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.place.transactional_id()))
            .with_transaction_timeout_ms(TRANSACTION_MAX_MS)
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1);
        let mut tries = 0;
        loop {
            let answer: InitProducerIdResponse =
                self.link.call(&INIT_PRODUCER_ID, &request).await?;
            match E::try_from_code(answer.error_code) {
                None => {
                    self.producer = (answer.producer_id.0, answer.producer_epoch);
                    return Ok(());
                }
                Some(E::ConcurrentTransactions) if tries < BUSY_MAX => {
                    tries += 1;
                    tokio::time::sleep(BUSY).await;
                }
                Some(E::ProducerFenced | E::InvalidProducerEpoch) => {
                    return Err(Fault::Fenced);
                }
                Some(error) => return Err(refusal(&self.place, "begin an epoch", error.code())),
            }
        }
    }

    /// Takes another connection to it.
    pub(super) async fn dial(&mut self) -> Result<(), Fault> {
        self.link = self.place.dial(&self.address).await?;
        Ok(())
    }

    /// Begins a transaction that goes to these partitions.
    pub(super) async fn add(
        &mut self,
        partitions: BTreeMap<Name, BTreeSet<i32>>,
    ) -> Result<(), Fault> {
        let config = &self.place.config;
        let names: BTreeMap<_, _> =
            partitions.keys().map(|topic| (topic_name(config, topic), *topic)).collect();
        let topics = partitions.into_iter().map(|(topic, partitions)| {
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(config, &topic))
                .with_partitions(partitions.into_iter().collect())
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.place.transactional_id())
            .with_v3_and_below_producer_id(self.producer.0.into())
            .with_v3_and_below_producer_epoch(self.producer.1)
            .with_v3_and_below_topics(topics.collect());
        let mut tries = 0;
        loop {
            let answer: AddPartitionsToTxnResponse =
                self.link.call(&ADD_PARTITIONS, &request).await?;
            let names = &names;
            let mut of_topic = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| {
                let codes = topic.results_by_partition.iter().map(|p| p.partition_error_code);
                codes.map(move |code| (names.get(&topic.name).copied(), code))
            });
            // One that is refused has all others answered as not attempted.
            let is_reason = |code| code != 0 && code != E::OperationNotAttempted.code();
            let Some((topic, code)) = of_topic.find(|(_, code)| is_reason(*code)) else {
                return Ok(());
            };
            match (topic, E::try_from_code(code)) {
                (_, Some(E::ConcurrentTransactions)) if tries < BUSY_MAX => {
                    tries += 1;
                    tokio::time::sleep(BUSY).await;
                }
                (Some(topic), Some(E::TopicAuthorizationFailed | E::UnknownTopicOrPartition)) => {
                    return Err(Fault::Topic { topic, code });
                }
                _ => return Err(refusal(&self.place, "begin a transaction", code)),
            }
        }
    }

    /// Commits the transaction.
    pub(super) async fn commit(&mut self) -> Result<(), Fault> {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.place.transactional_id())
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1)
            .with_committed(true);
        let sent = || Step::CommitSent.pass();
        let answer: EndTxnResponse =
            self.link.call_passing(&END_TRANSACTION, &request, sent).await?;
        match answer.error_code {
            0 => Ok(()),
            code => Err(refusal(&self.place, "commit", code)),
        }
    }
}

/// Where it is.
async fn find(place: &Place, contact: &mut Link) -> Result<String, Fault> {
    let request = FindCoordinatorRequest::default()
        .with_key(place.transactional_id().0)
        .with_key_type(OF_TRANSACTIONS);
    let answer: FindCoordinatorResponse = contact.call(&FIND_COORDINATOR, &request).await?;
    match answer.error_code {
        0 => Ok(address(&answer.host, answer.port)),
        code => Err(refusal(place, "find the coordinator of transactions", code)),
    }
}

/// What an error of the coordinator's comes to.
fn refusal(place: &Place, doing: &'static str, code: i16) -> Fault {
    let fault = Fault::Answer { doing, code };
    match E::try_from_code(code) {
        Some(E::TransactionalIdAuthorizationFailed) => {
            Fault::Refused(format!("{fault}; grant it: {}", place.grant_command()))
        }
        Some(E::InvalidTransactionTimeout) => Fault::Refused(format!(
            "{fault}: brokers must allow {TRANSACTION_MAX_MS} ms in transaction.max.timeout.ms"
        )),
        _ => fault,
    }
}

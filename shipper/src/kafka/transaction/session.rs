//! One epoch of the edge's producer. It is opened, which ends whatever an earlier one has left, and
//! carries out one transaction after the other until something is in doubt.

use super::{
    coordinator::{Coordinator, TRANSACTION_MAX_MS},
    fault::Fault,
    numbers::Numbers,
    place::Place,
    position::{Position, Positions, PositionsError},
};
use crate::{
    kafka::{
        cluster::{self, Cluster, Producer, topic_name},
        faults::Verdict,
        link::{Link, LinkFault, PRODUCE, REQUESTS_MAX},
        produce::{Batch, Draft},
        reader::read_all,
    },
    steps::Step,
};
use brink_proto::{
    frame::FrameHeader,
    ids::Name,
    kafka::batch::{BatchHead, ProducerSequence},
};
use kafka_protocol::{
    error::ResponseError,
    messages::{
        ProduceRequest, ProduceResponse,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    rc::Rc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// All positions are in the first partition: that of an edge must never be in another one.
const POSITIONS_PARTITION: i32 = 0;

/// How long is waited for a transaction that somebody has left open in front of our positions: as
/// long as it may be, and as its coordinator takes to notice.
const PATIENCE_MS: i32 = TRANSACTION_MAX_MS + 15_000;

/// How long a broker may wait for its replicas.
const REPLICAS_MAX_MS: i32 = 10_000;

const ACKS_ALL: i16 = -1;
const ZSTD_LEVEL: i32 = 1;

/// What a topic of positions has to be set to.
const COMPACT: &str = "compact";

/// A frame that goes with a transaction.
pub(super) struct Load {
    pub(super) frame: FrameHeader,
    pub(super) partition: i32,
    /// The whole frame, header in front.
    pub(super) bytes: Vec<u8>,
}

/// One epoch.
pub(super) struct Session {
    pub(super) place: Rc<Place>,
    pub(super) cluster: Cluster,
    contact: Link,
    coordinator: Coordinator,
    /// BOUND: one for each broker.
    leaders: BTreeMap<i32, Link>,
    numbers: Numbers,
    /// When a transaction was carried out last.
    used: Instant,
}

/// Behind a time without a transaction connections are made anew: brokers close those that nobody
/// uses, after ten minutes at the latest unless they are told otherwise.
const UNUSED_MAX: Duration = Duration::from_secs(30);

impl Session {
    /// Opens one at a broker, and looks where these topics are.
    pub(super) async fn open(
        place: Rc<Place>,
        broker: &str,
        topics: &BTreeSet<Name>,
        before: Option<Producer>,
    ) -> Result<Session, Fault> {
        let mut contact = place.dial(broker).await?;
        let cluster = look(&place, &mut contact, topics).await?;
        let positions = cluster::positions();
        if cluster.leader(&positions, POSITIONS_PARTITION).is_none() {
            return Err(Fault::lacking(&cluster, &positions, POSITIONS_PARTITION));
        }
        refuse_what_forgets(&place, &mut contact).await?;
        let coordinator = Coordinator::begin(Rc::clone(&place), &mut contact, before).await?;
        let (leaders, numbers, used) = (BTreeMap::new(), Numbers::default(), Instant::now());
        Ok(Session { place, cluster, contact, coordinator, leaders, numbers, used })
    }

    /// The producer, with the epoch that this is.
    pub(super) fn producer(&self) -> Producer {
        self.coordinator.producer
    }

    /// Looks again where topics are.
    pub(super) async fn look(&mut self, topics: &BTreeSet<Name>) -> Result<(), Fault> {
        self.cluster = look(&self.place, &mut self.contact, topics).await?;
        Ok(())
    }

    /// How far its streams are, as the last committed transaction says.
    pub(super) async fn positions(&self) -> Result<Vec<Position>, Fault> {
        let positions = cluster::positions();
        let leader = self.leader(&positions, POSITIONS_PARTITION)?;
        let address = self.address(leader)?;
        let dial = async || self.place.dial(address).await;
        let topic = topic_name(&self.place.config, &positions);
        let mut last: Result<Option<Positions>, PositionsError> = Ok(None);
        let mut take = |value: &[u8]| match Positions::read(value, &self.place.owner) {
            Ok(None) => {}
            found => last = found,
        };
        read_all(dial, topic, POSITIONS_PARTITION, PATIENCE_MS, &mut take).await?;
        match last {
            Ok(found) => Ok(found.map(|positions| positions.streams).unwrap_or_default()),
            Err(error) => Err(Fault::Refused(format!(
                "the record of {} in topic {positions} cannot be read: {error}; start the build \
                 that wrote it",
                self.place.owner
            ))),
        }
    }

    /// Carries out a transaction; when this is back, it is committed.
    pub(super) async fn transact(
        &mut self,
        loads: Vec<Load>,
        positions: Vec<Position>,
    ) -> Result<(), Fault> {
        let mut partitions: BTreeMap<Name, BTreeSet<i32>> = BTreeMap::new();
        for load in &loads {
            let topic = load.frame.batch.stream.topic;
            partitions.entry(topic).or_default().insert(load.partition);
        }
        partitions.entry(cluster::positions()).or_default().insert(POSITIONS_PARTITION);
        if self.used.elapsed() > UNUSED_MAX {
            self.leaders.clear();
            self.coordinator.dial().await?;
        }
        self.coordinator.add(partitions).await?;
        Step::TransactionBegun.pass();
        for (leader, drafts) in self.drafts(loads)? {
            self.produce(leader, drafts).await?;
        }
        Step::TransactionFilled.pass();
        self.produce_positions(positions).await?;
        Step::PositionWritten.pass();
        self.coordinator.commit().await?;
        Step::TransactionCommitted.pass();
        self.used = Instant::now();
        Ok(())
    }

    /// The requests that go to each leader, in order. A request has one batch for a partition.
    fn drafts(&mut self, loads: Vec<Load>) -> Result<BTreeMap<i32, VecDeque<Draft>>, Fault> {
        // BOUND: the group of the transaction, as are the drafts of each.
        let mut all: BTreeMap<i32, VecDeque<Draft>> = BTreeMap::new();
        for Load { frame, partition, bytes } in loads {
            let topic = frame.batch.stream.topic;
            let drafts = all.entry(self.leader(&topic, partition)?).or_default();
            // A batch goes behind those that its partition has already.
            let last = drafts.iter().rposition(|draft| draft.has(topic, partition));
            let mut open = drafts.iter_mut().skip(last.map_or(0, |at| at + 1));
            let producer = self.number(topic, partition, frame.batch.count);
            let room = frame.frame_bytes();
            let batch = Batch { partition, frame, producer, bytes };
            match open.find(|draft| draft.has_room(room)) {
                Some(draft) => draft.add(batch),
                None => {
                    let mut draft = Draft::default();
                    draft.add(batch);
                    drafts.push_back(draft);
                }
            }
        }
        Ok(all)
    }

    async fn produce(&mut self, leader: i32, mut drafts: VecDeque<Draft>) -> Result<(), Fault> {
        let place = Rc::clone(&self.place);
        let link = self.link(leader).await?;
        while !drafts.is_empty() {
            let some = drafts.drain(..drafts.len().min(REQUESTS_MAX));
            let answers = link.post(some, place.sender()).await?;
            // What comes behind the first failure follows from it.
            if let Some(failed) = answers.iter().find(|a| a.verdict != Verdict::Delivered) {
                let topic = failed.stream.topic;
                return Err(Fault::Batch { topic, at: failed.at, code: failed.code });
            }
        }
        Ok(())
    }

    async fn produce_positions(&mut self, positions: Vec<Position>) -> Result<(), Fault> {
        let positions = Positions::new(&self.place.owner, positions);
        let topic = cluster::positions();
        let leader = self.leader(&topic, POSITIONS_PARTITION)?;
        let doing = "write the positions";
        let payload = zstd::bulk::compress(&positions.record(), ZSTD_LEVEL)
            .map_err(|error| Fault::Lacks(format!("cannot {doing}: {error}")))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = now.as_millis() as i64;
        let head = BatchHead {
            base_timestamp_ms: now_ms,
            max_timestamp_ms: now_ms,
            count: 1,
            producer: self.number(topic, POSITIONS_PARTITION, 1),
            transactional: true,
        };
        let records = [&head.encode(&payload)[..], &payload[..]].concat();
        let data = PartitionProduceData::default()
            .with_index(POSITIONS_PARTITION)
            .with_records(Some(records.into()));
        let data = TopicProduceData::default()
            .with_name(topic_name(&self.place.config, &topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(self.place.transactional_id()))
            .with_acks(ACKS_ALL)
            .with_timeout_ms(REPLICAS_MAX_MS)
            .with_topic_data(vec![data]);
        let answer: ProduceResponse = self.link(leader).await?.call(&PRODUCE, &request).await?;
        let said = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        match said.map_or(ResponseError::UnknownServerError.code(), |said| said.error_code) {
            0 => Ok(()),
            code => Err(Fault::Answer { doing, code }),
        }
    }

    fn number(&mut self, topic: Name, partition: i32, count: u32) -> ProducerSequence {
        let (id, epoch) = self.producer();
        ProducerSequence { id, epoch, base: self.numbers.take(topic, partition, count) }
    }

    /// Who leads a partition.
    fn leader(&self, topic: &Name, partition: i32) -> Result<i32, Fault> {
        let leader = self.cluster.leader(topic, partition);
        leader.ok_or_else(|| Fault::lacking(&self.cluster, topic, partition))
    }

    fn address(&self, broker: i32) -> Result<&str, Fault> {
        let address = self.cluster.brokers.get(&broker);
        address.map(String::as_str).ok_or_else(|| Fault::Lacks(format!("broker {broker} is away")))
    }

    /// The connection to a leader.
    async fn link(&mut self, leader: i32) -> Result<&mut Link, Fault> {
        let address = self.address(leader)?.to_owned();
        match self.leaders.entry(leader) {
            Entry::Occupied(link) => Ok(link.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(self.place.dial(&address).await?)),
        }
    }
}

async fn look(
    place: &Place,
    contact: &mut Link,
    topics: &BTreeSet<Name>,
) -> Result<Cluster, LinkFault> {
    let all: Vec<Name> = topics.iter().copied().chain([cluster::positions()]).collect();
    cluster::look(contact, &place.config, &all).await
}

/// A topic that lets go of records by age would let go of an edge's position with them.
async fn refuse_what_forgets(place: &Place, contact: &mut Link) -> Result<(), Fault> {
    let topic = topic_name(&place.config, &cluster::positions());
    let topic = topic.as_str();
    match cluster::setting(contact, topic, cluster::CLEANUP_POLICY).await? {
        Ok(policy) if policy == COMPACT => Ok(()),
        Ok(policy) => Err(Fault::Refused(format!(
            "topic {topic} has cleanup.policy={policy} and forgets positions; set it: \
             kafka-configs.sh --bootstrap-server {} --entity-type topics --entity-name {topic} \
             --alter --add-config cleanup.policy={COMPACT}",
            place.config.brokers.join(",")
        ))),
        // Whoever may not look has to know.
        Err(error) => {
            tracing::info!(topic, %error, "nobody says whether the topic is compacted");
            Ok(())
        }
    }
}

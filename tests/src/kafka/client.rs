//! As much of a Kafka client as sends a batch untouched and fetches it back, and moves and removes
//! what a test wants moved and removed: one connection, one broker.
//!
//! Requests and answers are those of the `kafka-protocol` crate. A batch goes out as the bytes that
//! it is, which no ready-made producer offers.

use crate::appliance::eventually;
use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, CreateAclsRequest, CreateAclsResponse, CreateTopicsRequest, CreateTopicsResponse,
        DeleteAclsRequest, DeleteAclsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        DescribeConfigsRequest, DescribeConfigsResponse, DescribeProducersRequest,
        DescribeProducersResponse, ElectLeadersRequest, ElectLeadersResponse, FetchRequest,
        FetchResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest,
        MetadataResponse, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader,
        TopicName,
        create_acls_request::AclCreation,
        create_topics_request::CreatableTopic,
        delete_acls_request::DeleteAclsFilter,
        describe_configs_request::DescribeConfigsResource,
        describe_producers_request::TopicRequest,
        elect_leaders_request::TopicPartitions,
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::PartitionData,
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Decodable, Encodable, StrBytes, encode_request_header_into_buffer},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than a broker on a busy machine takes for any answer.
const PATIENCE: Duration = Duration::from_secs(30);

const PATIENCE_MS: i32 = PATIENCE.as_millis() as i32;

/// Versions that know a topic by its name and that brokers since 2.8 understand.
const CREATE_ACLS: i16 = 2;
const CREATE_TOPICS: i16 = 5;
const DELETE_ACLS: i16 = 2;
const DELETE_TOPICS: i16 = 5;
const DESCRIBE_CONFIGS: i16 = 4;
const DESCRIBE_PRODUCERS: i16 = 0;
const ELECT_LEADERS: i16 = 2;
const METADATA: i16 = 10;
const INIT_PRODUCER_ID: i16 = 4;
const PRODUCE: i16 = 9;
const FETCH: i16 = 12;

/// The replica that is named first shall lead.
const PREFERRED: i8 = 0;

/// Acknowledged by all replicas in sync.
const ACKS_ALL: i16 = -1;

/// What the broker says to a batch whose checksum does not match.
pub const CORRUPT_MESSAGE: i16 = 2;

/// What the broker says while it gets ready: of producer ids, of a partition that was just made.
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const UNKNOWN_PARTITION: i16 = 3;
const NOT_LEADER: i16 = 6;

/// What the broker says of a batch that follows on none of those that it knows of the producer.
pub const OUT_OF_ORDER: i16 = 45;

/// Something that may be somebody's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic.
    Topic(&'a str),
    /// Whose transactions they are.
    TransactionalId(&'a str),
}

impl Resource<'_> {
    fn kind_and_name(&self) -> (i8, StrBytes) {
        let (kind, name) = match self {
            Resource::Topic(name) => (2, name),
            Resource::TransactionalId(name) => (5, name),
        };
        (kind, StrBytes::from_string((*name).to_owned()))
    }
}

/// A name as it is.
const LITERAL: i8 = 3;

const ANY: i8 = 1;
const ALL: i8 = 2;
const ALLOW: i8 = 3;

/// The answer to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// Zero, if it was taken.
    pub error: i16,
    /// Offset of its first record.
    pub base_offset: i64,
}

/// A partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The topic.
    pub topic: &'static str,
    /// Its number there.
    pub index: i32,
}

/// A connection to a broker.
pub struct Kafka {
    stream: TcpStream,
    sent: i32,
}

impl Kafka {
    /// Connects to a broker.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Kafka {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP option");
        stream.set_nodelay(true).expect("a TCP option");
        Kafka { stream, sent: 0 }
    }

    /// Sends a request and reads its answer.
    fn call<A: Decodable>(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> A {
        self.sent += 1;
        let header = RequestHeader::default()
            .with_request_api_key(key as i16)
            .with_request_api_version(version)
            .with_correlation_id(self.sent)
            .with_client_id(Some(StrBytes::from_static_str("brink-tests")));
        let mut bytes = BytesMut::from(&[0; 4][..]);
        encode_request_header_into_buffer(&mut bytes, &header).expect("a known request");
        request.encode(&mut bytes, version).expect("the version has these fields");
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&bytes).expect("the broker reads");

        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("the broker answers");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).expect("the broker answers whole");
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, key.response_header_version(version));
        assert_eq!(header.expect("a header").correlation_id, self.sent);
        A::decode(&mut answer, version).expect("the broker answers in this version")
    }

    /// Makes a topic, and waits until the broker takes batches for each of its partitions.
    ///
    /// # Panics
    /// When the broker does not, in half a minute.
    pub fn create_topic(&mut self, topic: &'static str, partitions: i32) {
        let created = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request =
            CreateTopicsRequest::default().with_topics(vec![created]).with_timeout_ms(PATIENCE_MS);
        let answer: CreateTopicsResponse = self.call(ApiKey::CreateTopics, CREATE_TOPICS, &request);
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
        let kafka = RefCell::new(self);
        for partition in (0..partitions).map(|index| Partition { topic, index }) {
            eventually("the broker leads the partition", || {
                let error = kafka.borrow_mut().try_fetch(&partition, 0, 0).error_code;
                assert!([0, UNKNOWN_PARTITION, NOT_LEADER].contains(&error), "error {error}");
                error == 0
            });
        }
    }

    /// A producer id and its epoch. A broker that has just started first gets some ids to give
    /// away.
    ///
    /// # Panics
    /// When the broker does not, in half a minute.
    pub fn producer(&mut self) -> (i64, i16) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(PATIENCE_MS);
        let (kafka, given) = (RefCell::new(self), Cell::new(None));
        eventually("the broker has producer ids to give", || {
            let answer: InitProducerIdResponse =
                kafka.borrow_mut().call(ApiKey::InitProducerId, INIT_PRODUCER_ID, &request);
            assert!([0, COORDINATOR_LOAD_IN_PROGRESS].contains(&answer.error_code), "{answer:?}");
            given.set(Some((answer.producer_id.0, answer.producer_epoch)));
            answer.error_code == 0
        });
        given.get().expect("it was given one")
    }

    /// Sends a batch as it is.
    ///
    /// # Panics
    /// When the broker does not, in half a minute.
    pub fn produce(&mut self, to: &Partition, batch: &[u8]) -> Produced {
        let batch = Bytes::copy_from_slice(batch);
        let partition =
            PartitionProduceData::default().with_index(to.index).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(name(to.topic))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(ACKS_ALL)
            .with_timeout_ms(PATIENCE_MS)
            .with_topic_data(vec![topic]);
        let answer: ProduceResponse = self.call(ApiKey::Produce, PRODUCE, &request);
        let partition = &answer.responses[0].partition_responses[0];
        Produced { error: partition.error_code, base_offset: partition.base_offset }
    }

    /// Removes a topic; it is gone some time after.
    ///
    /// # Panics
    /// When the broker does not.
    pub fn delete_topic(&mut self, topic: &'static str) {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![name(topic)])
            .with_timeout_ms(PATIENCE_MS);
        let answer: DeleteTopicsResponse = self.call(ApiKey::DeleteTopics, DELETE_TOPICS, &request);
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }

    /// What a topic is set to.
    ///
    /// # Panics
    /// When the broker does not say.
    pub fn setting(&mut self, topic: &str, key: &'static str) -> String {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_string(topic.to_owned()))
            .with_configuration_keys(Some(vec![StrBytes::from_static_str(key)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let answer: DescribeConfigsResponse =
            self.call(ApiKey::DescribeConfigs, DESCRIBE_CONFIGS, &request);
        let said = answer.results.first().and_then(|result| result.configs.first());
        said.and_then(|config| config.value.as_ref()).expect("a value").to_string()
    }

    /// From now on something is nobody's whom we know.
    ///
    /// # Panics
    /// When the broker does not obey.
    pub fn deny(&mut self, what: Resource<'_>) {
        let (kind, name) = what.kind_and_name();
        let acl = AclCreation::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_resource_pattern_type(LITERAL)
            .with_principal(StrBytes::from_static_str("User:nobody"))
            .with_host(StrBytes::from_static_str("*"))
            .with_operation(ALL)
            .with_permission_type(ALLOW);
        let request = CreateAclsRequest::default().with_creations(vec![acl]);
        let answer: CreateAclsResponse = self.call(ApiKey::CreateAcls, CREATE_ACLS, &request);
        assert_eq!(answer.results[0].error_code, 0, "{answer:?}");
    }

    /// From now on it is everybody's.
    ///
    /// # Panics
    /// When the broker does not obey.
    pub fn allow(&mut self, what: Resource<'_>) {
        let (kind, name) = what.kind_and_name();
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(kind)
            .with_resource_name_filter(Some(name))
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY);
        let request = DeleteAclsRequest::default().with_filters(vec![filter]);
        let answer: DeleteAclsResponse = self.call(ApiKey::DeleteAcls, DELETE_ACLS, &request);
        assert_eq!(answer.filter_results[0].error_code, 0, "{answer:?}");
        assert_eq!(answer.filter_results[0].matching_acls.len(), 1, "{answer:?}");
    }

    /// Who leads each partition of a topic: -1 is nobody. Nothing, while there is no such topic.
    ///
    /// # Panics
    /// When the broker does not say.
    pub fn leaders(&mut self, topic: &'static str) -> BTreeMap<i32, i32> {
        let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![asked]))
            .with_allow_auto_topic_creation(false);
        let answer: MetadataResponse = self.call(ApiKey::Metadata, METADATA, &request);
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| (partition.partition_index, partition.leader_id.0)).collect()
    }

    /// Asks for the replica to lead that should lead a partition first, as an operator does after
    /// work on a broker. It does not while that replica is behind.
    ///
    /// # Panics
    /// When the broker does not answer.
    pub fn elect(&mut self, of: &Partition) {
        let partitions =
            TopicPartitions::default().with_topic(name(of.topic)).with_partitions(vec![of.index]);
        let request = ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_topic_partitions(Some(vec![partitions]))
            .with_timeout_ms(PATIENCE_MS);
        let _: ElectLeadersResponse = self.call(ApiKey::ElectLeaders, ELECT_LEADERS, &request);
    }

    /// How many producers the broker remembers of a partition.
    ///
    /// # Panics
    /// When it does not say.
    pub fn producers(&mut self, of: &Partition) -> usize {
        let asked = TopicRequest::default()
            .with_name(name(of.topic))
            .with_partition_indexes(vec![of.index]);
        let request = DescribeProducersRequest::default().with_topics(vec![asked]);
        let answer: DescribeProducersResponse =
            self.call(ApiKey::DescribeProducers, DESCRIBE_PRODUCERS, &request);
        let partition = &answer.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0, "{answer:?}");
        partition.active_producers.len()
    }

    /// The offset behind the last record of a partition that all replicas in sync have.
    ///
    /// # Panics
    /// When the broker does not say.
    pub fn end(&mut self, of: &Partition) -> i64 {
        let fetched = self.try_fetch(of, 0, 0);
        assert_eq!(fetched.error_code, 0, "{of:?}");
        fetched.high_watermark
    }

    /// The batches of a partition as the broker keeps them, from an offset on; not all at once.
    ///
    /// # Panics
    /// When the broker does not, in half a minute.
    pub fn fetch(&mut self, of: &Partition, offset: i64) -> Bytes {
        let fetched = self.try_fetch(of, offset, PATIENCE_MS / 2);
        assert_eq!(fetched.error_code, 0, "{of:?}");
        fetched.records.expect("there are records")
    }

    /// What there is of a partition from an offset on, once there is something or time is over.
    fn try_fetch(&mut self, of: &Partition, offset: i64, wait_ms: i32) -> PartitionData {
        let partition = FetchPartition::default()
            .with_partition(of.index)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(16 << 20);
        let topic =
            FetchTopic::default().with_topic(name(of.topic)).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_topics(vec![topic]);
        let mut answer: FetchResponse = self.call(ApiKey::Fetch, FETCH, &request);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        answer.responses.swap_remove(0).partitions.swap_remove(0)
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

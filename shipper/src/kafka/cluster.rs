//! What a cluster says of itself: its brokers, topics and leaders; and what is asked of it before
//! the first batch: topics and producer ids.

use super::{
    config::KafkaConfig,
    faults::told,
    lineage::partition_of,
    link::{CREATE_TOPICS, DESCRIBE_CONFIGS, INIT_PRODUCER_ID, Link, LinkFault, METADATA},
};
use crate::spool::cursors::Lineage;
use brink_proto::ids::{Name, Sequence, StreamId, hex};
use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
        InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, MetadataResponse,
        TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        describe_configs_request::DescribeConfigsResource,
        metadata_request::MetadataRequestTopic,
        metadata_response::MetadataResponseTopic,
    },
    protocol::StrBytes,
};
use std::collections::BTreeMap;

/// How long a broker may take to make a topic.
const CREATE_MAX_MS: i32 = 10_000;

/// A producer id without transactions has no time limit; the field is there all the same.
const NO_TRANSACTION_MS: i32 = 60_000;

/// What becomes of old records.
pub(crate) const CLEANUP_POLICY: &str = "cleanup.policy";

/// A topic, among the things that have settings.
const OF_TOPIC: i8 = 2;

/// Settings of the topics that we make. Batches are kept as they come.
const TOPIC_SETTINGS: [(&str, &str); 2] =
    [("compression.type", "producer"), ("message.timestamp.type", "CreateTime")];

/// Those of the topic of positions beside them. It is read whole at each start, so it is small.
const POSITIONS_SETTINGS: [(&str, &str); 3] = [
    (CLEANUP_POLICY, "compact"),
    ("segment.bytes", "16777216"),
    ("min.cleanable.dirty.ratio", "0.1"),
];

/// The topic of positions: no topic of events, behind the same prefix.
pub(crate) fn positions() -> Name {
    Name::new("positions").expect("it is a name")
}

/// A cluster, as one of its brokers told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cluster {
    /// Its id.
    pub(crate) id: String,
    /// Where each broker is, as `host:port`.
    pub(crate) brokers: BTreeMap<i32, String>,
    /// By our topics' names.
    pub(crate) topics: BTreeMap<Name, Topic>,
}

/// A topic, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topic {
    /// It is there.
    There {
        /// Its id.
        id: String,
        /// Who leads each partition; nobody at the moment is -1.
        leaders: Vec<i32>,
    },
    /// It is not, yet; that may pass.
    Coming(String),
    /// A person must do something.
    Refused(String),
}

/// A producer id, and its epoch.
pub(crate) type Producer = (i64, i16);

impl Cluster {
    /// Whether a topic is there.
    pub(crate) fn has(&self, topic: &Name) -> bool {
        matches!(self.topics.get(topic), Some(Topic::There { .. }))
    }

    /// Who leads a partition; nothing, while nobody does.
    pub(crate) fn leader(&self, topic: &Name, partition: i32) -> Option<i32> {
        let Topic::There { leaders, .. } = self.topics.get(topic)? else { return None };
        let partition = usize::try_from(partition).ok()?;
        leaders.get(partition).copied().filter(|leader| *leader >= 0)
    }

    /// The numbering of a stream from an event on, if its topic is there.
    pub(crate) fn lineage(
        &self,
        stream: StreamId,
        first: Sequence,
        (producer, epoch): Producer,
        transactional: bool,
    ) -> Option<Lineage> {
        let Topic::There { id, leaders } = self.topics.get(&stream.topic)? else { return None };
        Some(Lineage {
            stream,
            cluster: self.id.clone(),
            topic: id.clone(),
            partition: partition_of(&stream, i32::try_from(leaders.len()).unwrap_or(i32::MAX)),
            producer,
            epoch,
            first: first.0,
            transactional,
        })
    }

    /// Whether a lineage is of another cluster, or of a topic that was made anew since.
    pub(crate) fn disowns(&self, lineage: &Lineage) -> bool {
        let Some(Topic::There { id, .. }) = self.topics.get(&lineage.stream.topic) else {
            return false;
        };
        lineage.cluster != self.id || lineage.topic != *id
    }
}

/// Where a broker is, as `host:port`.
pub(crate) fn address(host: &str, port: i32) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// The name that a topic has in the cluster.
pub(crate) fn topic_name(config: &KafkaConfig, topic: &Name) -> TopicName {
    TopicName::from(StrBytes::from_string(format!("{}{topic}", config.topic_prefix)))
}

/// Asks for the topics, and makes those that are not there, if that is wanted.
pub(crate) async fn look(
    link: &mut Link,
    config: &KafkaConfig,
    topics: &[Name],
) -> Result<Cluster, LinkFault> {
    let asked =
        |topic: &Name| MetadataRequestTopic::default().with_name(Some(topic_name(config, topic)));
    let request = MetadataRequest::default()
        .with_topics(Some(topics.iter().map(asked).collect()))
        .with_allow_auto_topic_creation(false);
    let answer: MetadataResponse = link.call(&METADATA, &request).await?;
    let mut cluster = Cluster {
        id: answer.cluster_id.map(|id| id.to_string()).unwrap_or_default(),
        brokers: answer.brokers.iter().map(|b| (b.node_id.0, address(&b.host, b.port))).collect(),
        topics: BTreeMap::new(),
    };
    for topic in topics {
        let name = topic_name(config, topic);
        let found = answer.topics.iter().find(|t| t.name.as_ref() == Some(&name));
        let missing =
            found.is_none_or(|t| t.error_code == ResponseError::UnknownTopicOrPartition.code());
        let topic_is = match found {
            Some(found) if !missing => read(found),
            _ if config.topics.create => create(link, config, &name).await?,
            _ => Topic::Refused(format!(
                "there is no topic {}; make it: {}",
                name.as_str(),
                create_command(config, &name)
            )),
        };
        cluster.topics.insert(*topic, topic_is);
    }
    Ok(cluster)
}

fn read(topic: &MetadataResponseTopic) -> Topic {
    let name = topic.name.as_ref().map(|n| n.to_string()).unwrap_or_default();
    match ResponseError::try_from_code(topic.error_code) {
        None => {}
        Some(error) if error.is_retriable() => {
            return Topic::Coming(format!("topic {name}: {}", told(topic.error_code)));
        }
        Some(_) => return Topic::Refused(format!("topic {name}: {}", told(topic.error_code))),
    }
    let mut leaders = vec![-1; topic.partitions.len()];
    for partition in &topic.partitions {
        let index = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
        if let Some(leader) = leaders.get_mut(index) {
            *leader = partition.leader_id.0;
        }
    }
    match leaders.is_empty() {
        true => Topic::Coming(format!("topic {name} has no partition yet")),
        false => Topic::There { id: hex(topic.topic_id.as_bytes()), leaders },
    }
}

/// Makes a topic; it is there at one of the next looks.
async fn create(
    link: &mut Link,
    config: &KafkaConfig,
    name: &TopicName,
) -> Result<Topic, LinkFault> {
    let setting = |(key, value): &(&'static str, String)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str(key))
            .with_value(Some(StrBytes::from_string(value.clone())))
    };
    let topic = CreatableTopic::default()
        .with_name(name.clone())
        .with_num_partitions(partitions(config, name))
        .with_replication_factor(config.topics.replication)
        .with_configs(settings(config, name).iter().map(setting).collect());
    let request =
        CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(CREATE_MAX_MS);
    let answer: CreateTopicsResponse = link.call(&CREATE_TOPICS, &request).await?;
    let result = answer.topics.first();
    let code = result.map_or(ResponseError::UnknownServerError.code(), |t| t.error_code);
    let name = name.as_str();
    match ResponseError::try_from_code(code) {
        None => {
            let policy = config.topics;
            tracing::info!(topic = name, replication = policy.replication, "topic made");
            Ok(Topic::Coming(format!("topic {name} was made and has no leader yet")))
        }
        Some(ResponseError::TopicAlreadyExists) => {
            Ok(Topic::Coming(format!("topic {name} is being made")))
        }
        Some(error) if error.is_retriable() => {
            Ok(Topic::Coming(format!("topic {name} cannot be made yet: {}", told(code))))
        }
        Some(_) => {
            let why = result.and_then(|t| t.error_message.as_ref()).map(|m| m.to_string());
            Ok(Topic::Refused(format!(
                "topic {name} cannot be made: {}{}",
                told(code),
                why.map(|why| format!(", {why}")).unwrap_or_default()
            )))
        }
    }
}

/// What a topic is made with. An acknowledgement means that all but one of three copies have it.
fn settings(config: &KafkaConfig, name: &TopicName) -> Vec<(&'static str, String)> {
    let in_sync = (config.topics.replication - 1).clamp(1, 2);
    let more: &[_] = if is_of_positions(config, name) { &POSITIONS_SETTINGS } else { &[] };
    let fixed = TOPIC_SETTINGS.iter().chain(more);
    let fixed = fixed.map(|(key, value)| (*key, (*value).to_owned()));
    fixed.chain([("min.insync.replicas", in_sync.to_string())]).collect()
}

/// Whether this is the topic of positions.
fn is_of_positions(config: &KafkaConfig, name: &TopicName) -> bool {
    config.transactions && topic_name(config, &positions()) == *name
}

/// How many partitions a topic is made with. All positions are in the first one.
fn partitions(config: &KafkaConfig, name: &TopicName) -> i32 {
    if is_of_positions(config, name) { 1 } else { config.topics.partitions }
}

/// The command that makes a topic as we would.
fn create_command(config: &KafkaConfig, name: &TopicName) -> String {
    let replication = config.topics.replication;
    let partitions = partitions(config, name);
    let settings = settings(config, name);
    let settings: Vec<_> = settings.iter().map(|(k, v)| format!("--config {k}={v}")).collect();
    format!(
        "kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {partitions} \
         --replication-factor {replication} {}; or set [kafka] create_topics = true",
        config.brokers.join(","),
        name.as_str(),
        settings.join(" ")
    )
}

/// What a topic is set to.
///
/// `Ok(Err(_))` is why that is not told.
pub(crate) async fn setting(
    link: &mut Link,
    topic: &str,
    key: &'static str,
) -> Result<Result<String, ResponseError>, LinkFault> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(OF_TOPIC)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configuration_keys(Some(vec![StrBytes::from_static_str(key)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer: DescribeConfigsResponse = link.call(&DESCRIBE_CONFIGS, &request).await?;
    let Some(said) = answer.results.first() else {
        return Ok(Err(ResponseError::UnknownServerError));
    };
    Ok(match ResponseError::try_from_code(said.error_code) {
        None => {
            let value = said.configs.iter().find(|config| config.name.as_str() == key);
            let value = value.and_then(|config| config.value.as_ref());
            Ok(value.map(|value| value.to_string()).unwrap_or_default())
        }
        Some(error) => Err(error),
    })
}

/// A producer id that nobody had before.
///
/// `Ok(Err(_))` is why there is none yet.
pub(crate) async fn producer_id(
    link: &mut Link,
) -> Result<Result<Producer, ResponseError>, LinkFault> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(NO_TRANSACTION_MS);
    let answer: InitProducerIdResponse = link.call(&INIT_PRODUCER_ID, &request).await?;
    Ok(match ResponseError::try_from_code(answer.error_code) {
        None => Ok((answer.producer_id.0, answer.producer_epoch)),
        Some(error) => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::config::TopicPolicy;
    use brink_proto::schema::TOPICS;

    #[test]
    fn whoever_may_not_make_topics_is_told_the_command_that_does() {
        let config = KafkaConfig {
            brokers: vec!["k1:9092".into(), "k2:9092".into()],
            topic_prefix: "brink.".into(),
            topics: TopicPolicy { create: false, partitions: 12, replication: 3 },
            producer_expiration: std::time::Duration::from_hours(24),
            transactions: true,
            tls: None,
            sasl: None,
        };
        let name = topic_name(&config, &Name::new("impressions").unwrap());
        assert_eq!(
            create_command(&config, &name),
            "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --create --topic \
             brink.impressions --partitions 12 --replication-factor 3 --config \
             compression.type=producer --config message.timestamp.type=CreateTime --config \
             min.insync.replicas=2; or set [kafka] create_topics = true"
        );
        let command = create_command(&config, &topic_name(&config, &positions()));
        assert!(
            command.contains("--topic brink.positions --partitions 1 ")
                && command.contains("--config cleanup.policy=compact"),
            "{command}"
        );
        let in_sync = |replication| {
            let topics = TopicPolicy { create: true, partitions: 1, replication };
            let all = settings(&KafkaConfig { topics, ..config.clone() }, &name);
            all.last().map(|(_, value)| value.clone())
        };
        assert_eq!([1, 2, 3, 5].map(in_sync), ["1", "1", "2", "2"].map(|n| Some(n.to_owned())));
    }

    #[test]
    fn no_topic_of_events_is_called_like_that_of_positions() {
        assert!(TOPICS.iter().all(|schema| schema.topic != positions().as_str()));
    }
}

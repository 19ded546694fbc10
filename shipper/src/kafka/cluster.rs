//! What a cluster says of itself: its brokers, topics and leaders; and what is asked of it before
//! the first batch: topics and producer ids.

use super::{
    config::{KafkaConfig, TopicPolicy},
    faults::told,
    link::{CREATE_TOPICS, INIT_PRODUCER_ID, Link, LinkFault, METADATA},
};
use brink_proto::ids::{Name, hex};
use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse, InitProducerIdRequest, InitProducerIdResponse,
        MetadataRequest, MetadataResponse, TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
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

/// Settings of the topics that we make. Batches are kept as they come.
const TOPIC_SETTINGS: [(&str, &str); 2] =
    [("compression.type", "producer"), ("message.timestamp.type", "CreateTime")];

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
    let address = |host: &StrBytes, port: i32| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
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
        .with_num_partitions(config.topics.partitions)
        .with_replication_factor(config.topics.replication)
        .with_configs(settings(config.topics).iter().map(setting).collect());
    let request =
        CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(CREATE_MAX_MS);
    let answer: CreateTopicsResponse = link.call(&CREATE_TOPICS, &request).await?;
    let result = answer.topics.first();
    let code = result.map_or(ResponseError::UnknownServerError.code(), |t| t.error_code);
    let name = name.as_str();
    match ResponseError::try_from_code(code) {
        None => {
            let TopicPolicy { partitions, replication, .. } = config.topics;
            tracing::info!(topic = name, partitions, replication, "topic made");
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
fn settings(policy: TopicPolicy) -> Vec<(&'static str, String)> {
    let in_sync = (policy.replication - 1).clamp(1, 2);
    let fixed = TOPIC_SETTINGS.iter().map(|(key, value)| (*key, (*value).to_owned()));
    fixed.chain([("min.insync.replicas", in_sync.to_string())]).collect()
}

/// The command that makes a topic as we would.
fn create_command(config: &KafkaConfig, name: &TopicName) -> String {
    let TopicPolicy { partitions, replication, .. } = config.topics;
    let settings = settings(config.topics);
    let settings: Vec<_> = settings.iter().map(|(k, v)| format!("--config {k}={v}")).collect();
    format!(
        "kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {partitions} \
         --replication-factor {replication} {}; or set [kafka] create_topics = true",
        config.brokers.join(","),
        name.as_str(),
        settings.join(" ")
    )
}

/// A producer id that nobody had before.
///
/// `Ok(Err(_))` is why there is none yet.
pub(crate) async fn producer_id(
    link: &mut Link,
) -> Result<Result<(i64, i16), ResponseError>, LinkFault> {
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

    #[test]
    fn whoever_may_not_make_topics_is_told_the_command_that_does() {
        let config = KafkaConfig {
            brokers: vec!["k1:9092".into(), "k2:9092".into()],
            topic_prefix: "brink.".into(),
            topics: TopicPolicy { create: false, partitions: 12, replication: 3 },
            producer_expiration: std::time::Duration::from_hours(24),
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
        let in_sync = |replication| {
            let all = settings(TopicPolicy { create: true, partitions: 1, replication });
            all.last().map(|(_, value)| value.clone())
        };
        assert_eq!([1, 2, 3, 5].map(in_sync), ["1", "1", "2", "2"].map(|n| Some(n.to_owned())));
    }
}

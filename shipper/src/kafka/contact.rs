//! Contact with a cluster: one connection to any of its brokers, over which it is asked where
//! everything is. What is asked again, and when, is decided here.
//!
//! A question is a task of its own, one at a time: a broker that does not answer holds up the next
//! question, and no batch. Its answer is taken in when it is there.

use super::{
    cluster::{self, Cluster, Producer, Topic},
    config::KafkaConfig,
    faults::told,
    link::{Link, LinkFault},
    tls::Tls,
};
use crate::{alarms::Alarm, backoff::Backoff, counter::Counter};
use brink_proto::ids::Name;
use kafka_protocol::error::ResponseError;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::task::{JoinError, JoinHandle};

/// BOUND: producer ids of one question, each a request.
const PRODUCERS_MAX: usize = 16;

/// How long a topic that was just made, or a partition whose leader moves, may take before that is
/// trouble.
pub(crate) const LACKING_MAX: Duration = Duration::from_secs(5);

/// When something is tried again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retry {
    at: Option<Instant>,
    backoff: Backoff,
}

impl Retry {
    /// It failed: later, and later still if it fails again.
    pub(crate) fn later(&mut self) {
        self.at = Some(Instant::now() + self.backoff.pause());
    }

    /// Whether it is time.
    pub(crate) fn is_due(&self) -> bool {
        self.at.is_none_or(|at| Instant::now() >= at)
    }
}

/// Contact with a cluster.
pub(crate) struct Contact {
    config: Rc<KafkaConfig>,
    tls: Option<Rc<Tls>>,
    link: Option<Link>,
    /// The question that is under way.
    asking: Option<JoinHandle<Asked>>,
    asked: Option<Result<Asked, JoinError>>,
    cluster: Option<Cluster>,
    /// BOUND: producer ids that nobody has yet, at most those of one question.
    producers: Vec<Producer>,
    /// Whose turn it is among the brokers that are asked first.
    turn: usize,
    wants_look: bool,
    retry: Retry,
    /// A topic is not there, or nobody leads a partition, since then: asked for less and less
    /// often.
    lacks: Option<Instant>,
    lacking: Retry,
    producers_retry: Retry,
    /// What is wrong with the contact itself.
    trouble: Option<Alarm>,
    /// What is refused of topics or producer ids.
    refused: bool,
    told: String,
}

/// What a question has come to.
struct Asked {
    /// The connection, if it is good for another question.
    link: Option<Link>,
    /// Connections made.
    connects: u64,
    answer: Answer,
}

enum Answer {
    Cluster(Result<Cluster, LinkFault>),
    /// Those that came before something went wrong, if it did.
    Producers(Vec<Producer>, Option<NoProducer>),
}

/// Why there is no producer id.
enum NoProducer {
    Refused(ResponseError),
    Broken(LinkFault),
}

impl Contact {
    pub(crate) fn new(config: Rc<KafkaConfig>, tls: Option<Rc<Tls>>) -> Contact {
        Contact {
            config,
            tls,
            link: None,
            asking: None,
            asked: None,
            cluster: None,
            producers: Vec::new(),
            turn: 0,
            wants_look: true,
            retry: Retry::default(),
            lacks: None,
            lacking: Retry::default(),
            producers_retry: Retry::default(),
            trouble: None,
            refused: false,
            told: String::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn know(&mut self, cluster: Cluster) {
        self.cluster = Some(cluster);
    }

    /// The cluster, as it was told of last.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Something was not as it was told.
    pub(crate) fn look_soon(&mut self) {
        self.wants_look = true;
    }

    /// Something that is wanted was not there when the cluster was looked at, or now it is.
    pub(crate) fn lacks(&mut self, something: bool) {
        if !something {
            self.lacking = Retry::default();
        }
        self.lacks = self.lacks.or_else(|| Some(Instant::now())).filter(|_| something);
    }

    /// Whether something is wrong, or is to be looked at.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some() || self.refused || self.wants_look || self.lacks.is_some()
    }

    /// Whether this is what is wrong.
    pub(crate) fn trouble_is(&self, alarm: Alarm) -> bool {
        let lacks = self.lacks.is_some_and(|since| since.elapsed() > LACKING_MAX);
        match alarm {
            Alarm::KafkaRefusing if self.refused => true,
            Alarm::KafkaFailing if lacks && !self.refused => true,
            alarm => self.trouble == Some(alarm),
        }
    }

    /// Takes note of what is wrong.
    fn trouble(&mut self, fault: &LinkFault) {
        self.trouble = Some(alarm_of(fault));
        self.tell(fault.to_string());
    }

    /// Tells what is wrong, when it is something else than before.
    fn tell(&mut self, text: String) {
        if self.told != text {
            tracing::warn!(fault = text, "Kafka is not delivered to; it is tried again");
        }
        self.told = text;
    }

    /// Waits until the question that is under way has come to something.
    pub(crate) async fn wait(&mut self) {
        match &mut self.asking {
            Some(asking) => {
                self.asked = Some(asking.await);
                self.asking = None;
            }
            None => pending().await,
        }
    }

    /// Takes what a question has come to. Where the brokers are, if the cluster was looked at.
    pub(crate) fn take(&mut self, connects: &Counter) -> Option<&BTreeMap<i32, String>> {
        let asked = match self.asked.take()? {
            Ok(asked) => asked,
            Err(error) => {
                // A panic was told where it was; what was asked is asked again.
                tracing::error!(%error, "a question to Kafka came to nothing");
                self.wants_look = true;
                return None;
            }
        };
        connects.add(asked.connects);
        self.link = asked.link;
        match asked.answer {
            Answer::Cluster(Ok(cluster)) => {
                self.trouble = None;
                self.retry = Retry::default();
                self.retry.later();
                self.lacking.later();
                self.judge(&cluster);
                if self.cluster.as_ref().is_some_and(|before| before.id != cluster.id) {
                    self.producers.clear();
                }
                return Some(&self.cluster.insert(cluster).brokers);
            }
            Answer::Cluster(Err(fault)) => {
                self.trouble(&fault);
                self.wants_look = true;
                self.turn += 1;
                self.retry.later();
            }
            Answer::Producers(producers, fault) => {
                self.producers.extend(producers);
                self.judge_producers(fault);
            }
        }
        None
    }

    fn judge_producers(&mut self, fault: Option<NoProducer>) {
        match fault {
            None => return self.producers_retry = Retry::default(),
            Some(NoProducer::Refused(error)) => {
                self.refused |= !error.is_retriable();
                self.tell(format!("no producer id: {}", told(error.code())));
            }
            Some(NoProducer::Broken(fault)) => {
                self.trouble(&fault);
                self.wants_look = true;
            }
        }
        self.producers_retry.later();
    }

    /// Asks for what is wanted, if it is time and nothing is asked: where everything is, or as many
    /// producer ids as are not there yet.
    pub(crate) fn ask(&mut self, topics: &BTreeSet<Name>, producers: usize) {
        if self.asking.is_some() || self.asked.is_some() {
            return;
        }
        let wanted = self.wants_look || (self.lacks.is_some() && self.lacking.is_due());
        if !topics.is_empty() && wanted && self.retry.is_due() {
            // What is not as it was told from here on is looked at again.
            self.wants_look = false;
            let question = Question {
                broker: self.config.brokers[self.turn % self.config.brokers.len()].clone(),
                topics: topics.iter().copied().collect(),
                config: Rc::clone(&self.config),
                tls: self.tls.clone(),
            };
            self.asking = Some(tokio::task::spawn_local(question.look(self.link.take())));
            return;
        }
        let missing = producers.min(PRODUCERS_MAX).saturating_sub(self.producers.len());
        if missing > 0 && self.producers_retry.is_due() {
            match self.link.take() {
                Some(link) => {
                    self.asking = Some(tokio::task::spawn_local(producers_of(link, missing)));
                }
                None => self.wants_look = true,
            }
        }
    }

    /// A producer id of our own, if one is there.
    pub(crate) fn producer(&mut self) -> Option<Producer> {
        self.producers.pop()
    }

    /// Whether a topic is refused to us.
    fn judge(&mut self, cluster: &Cluster) {
        let refused = cluster.topics.values().find_map(|topic| match topic {
            Topic::Refused(why) => Some(why.clone()),
            _ => None,
        });
        self.refused = refused.is_some();
        match refused {
            Some(why) => self.tell(why),
            None => self.told.clear(),
        }
    }
}

impl Drop for Contact {
    fn drop(&mut self) {
        // A broker that does not answer must not hold a stop up.
        self.asking.as_ref().inspect(|asking| asking.abort());
    }
}

/// Where everything is, asked of a broker.
struct Question {
    broker: String,
    topics: Vec<Name>,
    config: Rc<KafkaConfig>,
    tls: Option<Rc<Tls>>,
}

impl Question {
    async fn look(self, link: Option<Link>) -> Asked {
        // A link that was not used for long is closed by its broker: that says nothing.
        if let Some(mut link) = link
            && let Ok(cluster) = cluster::look(&mut link, &self.config, &self.topics).await
        {
            return Asked { link: Some(link), connects: 0, answer: Answer::Cluster(Ok(cluster)) };
        }
        let mut link = match Link::dial(&self.broker, &self.config, self.tls.as_deref()).await {
            Ok(link) => link,
            Err(fault) => {
                return Asked { link: None, connects: 0, answer: Answer::Cluster(Err(fault)) };
            }
        };
        tracing::info!(broker = self.broker, "connected to Kafka");
        let looked = cluster::look(&mut link, &self.config, &self.topics).await;
        let link = looked.is_ok().then_some(link);
        Asked { link, connects: 1, answer: Answer::Cluster(looked) }
    }
}

async fn producers_of(mut link: Link, count: usize) -> Asked {
    let mut producers = Vec::with_capacity(count);
    let fault = loop {
        if producers.len() == count {
            break None;
        }
        match cluster::producer_id(&mut link).await {
            Ok(Ok(producer)) => producers.push(producer),
            Ok(Err(error)) => break Some(NoProducer::Refused(error)),
            Err(fault) => break Some(NoProducer::Broken(fault)),
        }
    };
    let is_good = !matches!(fault, Some(NoProducer::Broken(_)));
    let link = is_good.then_some(link);
    Asked { link, connects: 0, answer: Answer::Producers(producers, fault) }
}

/// What an operator is told of a fault.
pub(crate) fn alarm_of(fault: &LinkFault) -> Alarm {
    match fault {
        LinkFault::Failing { .. } => Alarm::KafkaFailing,
        LinkFault::Refusing { .. } => Alarm::KafkaRefusing,
    }
}

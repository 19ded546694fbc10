//! Contact with a cluster: one connection to any of its brokers, over which it is asked where
//! everything is. What is asked again, and when, is decided here.

use super::{
    cluster::{self, Cluster, Topic},
    config::KafkaConfig,
    faults::told,
    link::{Link, LinkFault},
    tls::Tls,
};
use crate::{alarms::Alarm, backoff::Backoff, counter::Counter};
use brink_proto::ids::Name;
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::{Duration, Instant},
};

/// How long a topic that was just made, or a partition whose leader moves, may take before that is
/// trouble.
const LACKING_MAX: Duration = Duration::from_secs(5);

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
    cluster: Option<Cluster>,
    /// Whose turn it is among the brokers that are asked first.
    turn: usize,
    wants_look: bool,
    retry: Retry,
    /// A topic is not there, or nobody leads a partition, since then: asked for less and less
    /// often.
    lacks: Option<Instant>,
    lacking: Retry,
    producers: Retry,
    /// What is wrong with the contact itself.
    trouble: Option<Alarm>,
    /// What is refused of topics or producer ids.
    refused: bool,
    told: String,
}

impl Contact {
    pub(crate) fn new(config: Rc<KafkaConfig>, tls: Option<Rc<Tls>>) -> Contact {
        Contact {
            config,
            tls,
            link: None,
            cluster: None,
            turn: 0,
            wants_look: true,
            retry: Retry::default(),
            lacks: None,
            lacking: Retry::default(),
            producers: Retry::default(),
            trouble: None,
            refused: false,
            told: String::new(),
        }
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

    /// Looks at the cluster, if it is time and somebody wants it. Where its brokers are, if it was
    /// looked at.
    pub(crate) async fn look(
        &mut self,
        topics: &BTreeSet<Name>,
        connects: &Counter,
    ) -> Option<BTreeMap<i32, String>> {
        let wanted = self.wants_look || (self.lacks.is_some() && self.lacking.is_due());
        if topics.is_empty() || !wanted || !self.retry.is_due() {
            return None;
        }
        match self.look_now(topics, connects).await {
            Ok(cluster) => {
                (self.wants_look, self.trouble) = (false, None);
                self.retry = Retry::default();
                self.retry.later();
                self.lacking.later();
                self.judge(&cluster);
                Some(self.cluster.insert(cluster).brokers.clone())
            }
            Err(fault) => {
                self.trouble(&fault);
                self.link = None;
                self.turn += 1;
                self.retry.later();
                None
            }
        }
    }

    async fn look_now(
        &mut self,
        topics: &BTreeSet<Name>,
        connects: &Counter,
    ) -> Result<Cluster, LinkFault> {
        let topics: Vec<Name> = topics.iter().copied().collect();
        // A link that was not used for long is closed by its broker: that says nothing.
        if let Some(mut link) = self.link.take()
            && let Ok(cluster) = cluster::look(&mut link, &self.config, &topics).await
        {
            self.link = Some(link);
            return Ok(cluster);
        }
        let broker = &self.config.brokers[self.turn % self.config.brokers.len()];
        let mut link = Link::dial(broker, &self.config, self.tls.as_deref()).await?;
        connects.add(1);
        tracing::info!(broker, "connected to Kafka");
        let cluster = cluster::look(&mut link, &self.config, &topics).await?;
        self.link = Some(link);
        Ok(cluster)
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

    /// A producer id and epoch of our own, or nothing for now.
    pub(crate) async fn producer(&mut self) -> Option<(i64, i16)> {
        if !self.producers.is_due() {
            return None;
        }
        let Some(link) = self.link.as_mut() else {
            self.wants_look = true;
            return None;
        };
        match cluster::producer_id(link).await {
            Ok(Ok(producer)) => {
                self.producers = Retry::default();
                return Some(producer);
            }
            Ok(Err(error)) => {
                self.refused |= !error.is_retriable();
                self.tell(format!("no producer id: {}", told(error.code())));
            }
            Err(fault) => {
                self.trouble(&fault);
                self.link = None;
                self.wants_look = true;
            }
        }
        self.producers.later();
        None
    }
}

/// What an operator is told of a fault.
pub(crate) fn alarm_of(fault: &LinkFault) -> Alarm {
    match fault {
        LinkFault::Failing { .. } => Alarm::KafkaFailing,
        LinkFault::Refusing { .. } => Alarm::KafkaRefusing,
    }
}

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

/// Between tries.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// When something is tried again.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    at: Option<Instant>,
    backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { at: None, backoff: Backoff::new(RETRY_FIRST, RETRY_LONGEST) }
    }
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
    trouble: Option<Alarm>,
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
            trouble: None,
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

    /// Batches are taken: whatever was wrong is not any more.
    pub(crate) fn is_fine(&mut self) {
        self.trouble = None;
    }

    /// Whether something is wrong, or is to be looked at.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some() || self.wants_look
    }

    /// Whether this is what is wrong.
    pub(crate) fn trouble_is(&self, alarm: Alarm) -> bool {
        self.trouble == Some(alarm)
    }

    /// Takes note of what is wrong; told in the log when it is something else than before.
    pub(crate) fn trouble(&mut self, fault: &LinkFault) {
        let alarm = match fault {
            LinkFault::Failing { .. } => Alarm::KafkaFailing,
            LinkFault::Refusing { .. } => Alarm::KafkaRefusing,
        };
        self.tell(alarm, fault.to_string());
    }

    fn tell(&mut self, alarm: Alarm, text: String) {
        if self.trouble != Some(alarm) || self.told != text {
            tracing::warn!(fault = text, "Kafka is not delivered to; it is tried again");
        }
        self.trouble = Some(alarm);
        self.told = text;
    }

    /// Looks at the cluster, if it is time and somebody wants it. Where its brokers are, if it was
    /// looked at.
    pub(crate) async fn look(
        &mut self,
        topics: &BTreeSet<Name>,
        lacks_topic: bool,
        connects: &Counter,
    ) -> Option<BTreeMap<i32, String>> {
        let wanted = self.wants_look || lacks_topic;
        if topics.is_empty() || !wanted || !self.retry.is_due() {
            return None;
        }
        match self.look_now(topics, connects).await {
            Ok(cluster) => {
                self.wants_look = false;
                // Topics that are being made are looked for again, and a broker that is down is
                // not asked for all the time.
                self.retry.later();
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
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                let broker = &self.config.brokers[self.turn % self.config.brokers.len()];
                let link = Link::dial(broker, &self.config, self.tls.as_deref()).await?;
                connects.add(1);
                tracing::info!(broker, "connected to Kafka");
                link
            }
        };
        let topics: Vec<Name> = topics.iter().copied().collect();
        let cluster = cluster::look(&mut link, &self.config, &topics).await?;
        self.link = Some(link);
        Ok(cluster)
    }

    /// Whether all topics are there; if so, the next look need not wait long.
    fn judge(&mut self, cluster: &Cluster) {
        let refused = cluster.topics.values().find_map(|topic| match topic {
            Topic::Refused(why) => Some(why.clone()),
            _ => None,
        });
        match refused {
            Some(why) => self.tell(Alarm::KafkaRefusing, why),
            None => {
                if self.trouble == Some(Alarm::KafkaRefusing) {
                    self.trouble = None;
                }
                let there = |t: &Topic| matches!(t, Topic::There { .. });
                if cluster.topics.values().all(there) {
                    self.retry = Retry::default();
                    self.retry.later();
                }
            }
        }
    }

    /// A producer id and epoch of our own, or nothing for now.
    pub(crate) async fn producer(&mut self) -> Option<(i64, i16)> {
        if !self.retry.is_due() && self.link.is_none() {
            return None;
        }
        let link = self.link.as_mut()?;
        match cluster::producer_id(link).await {
            Ok(Ok(producer)) => return Some(producer),
            Ok(Err(error)) => {
                let alarm = match error.is_retriable() {
                    true => Alarm::KafkaFailing,
                    false => Alarm::KafkaRefusing,
                };
                self.tell(alarm, format!("no producer id: {}", told(error.code())));
            }
            Err(fault) => {
                self.trouble(&fault);
                self.link = None;
                self.wants_look = true;
            }
        }
        self.retry.later();
        None
    }
}

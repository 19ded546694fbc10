//! Why an epoch is over, and what is told of it.

use crate::{
    alarms::Alarm,
    kafka::{
        cluster::{self, Cluster, Topic},
        contact::alarm_of,
        faults::{Verdict, told, verdict},
        link::LinkFault,
        reader::ReadFault,
    },
};
use brink_proto::{frame::LogPosition, ids::Name};
use kafka_protocol::error::ResponseError;

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// A broker does not answer well, or refuses.
    #[error(transparent)]
    Link(#[from] LinkFault),
    /// The positions cannot be read.
    #[error("cannot read the positions: {0}")]
    Read(#[from] ReadFault),
    /// What was asked is answered with an error.
    #[error("cannot {doing}: {}", told(*.code))]
    Answer { doing: &'static str, code: i16 },
    /// The same, of one topic.
    #[error("topic {topic}: {}", told(*.code))]
    Topic { topic: Name, code: i16 },
    /// A batch is not taken.
    #[error("a batch of topic {topic} is not taken: {}", told(*.code))]
    Batch { topic: Name, at: LogPosition, code: i16 },
    /// A topic or its leader is not there now.
    #[error("{0}")]
    Lacks(String),
    /// Something is to be done by a person.
    #[error("{0}")]
    Refused(String),
    /// Another start has taken over.
    #[error("another start of this edge has taken over its transactions")]
    Fenced,
}

impl Fault {
    /// Why nobody leads a partition.
    pub(super) fn lacking(cluster: &Cluster, topic: &Name, partition: i32) -> Fault {
        match cluster.topics.get(topic) {
            Some(Topic::Refused(why)) => Fault::Refused(why.clone()),
            Some(Topic::Coming(why)) => Fault::Lacks(why.clone()),
            Some(Topic::There { .. }) | None => {
                Fault::Lacks(format!("nobody leads partition {partition} of {topic} now"))
            }
        }
    }

    fn code(&self) -> Option<i16> {
        match self {
            Fault::Answer { code, .. } | Fault::Topic { code, .. } | Fault::Batch { code, .. } => {
                Some(*code)
            }
            _ => None,
        }
    }

    /// The topic that it is about, if the others can go on without it.
    pub(super) fn topic(&self) -> Option<Name> {
        let (Fault::Topic { topic, code } | Fault::Batch { topic, code, .. }) = self else {
            return None;
        };
        let is_of_epoch = verdict(*code) == Verdict::Forgotten;
        Some(*topic).filter(|topic| *topic != cluster::positions() && !is_of_epoch)
    }

    /// The batch that a broker will never take.
    pub(super) fn unacceptable(&self) -> Option<(LogPosition, i16)> {
        match self {
            Fault::Batch { at, code, .. } if verdict(*code) == Verdict::Unacceptable => {
                Some((*at, *code))
            }
            _ => None,
        }
    }

    /// Whether it is over in a moment, or something else comes to light. Until then it is no
    /// trouble.
    pub(super) fn passes(&self) -> bool {
        use ResponseError as E;
        let code = self.code().and_then(ResponseError::try_from_code);
        let is_moment = |error| {
            matches!(
                error,
                E::CoordinatorLoadInProgress
                    | E::CoordinatorNotAvailable
                    | E::NotCoordinator
                    | E::ConcurrentTransactions
                    | E::InvalidProducerEpoch
                    | E::ProducerFenced
                    | E::InvalidTxnState
                    | E::InvalidProducerIdMapping
            )
        };
        matches!(self, Fault::Lacks(_)) || code.is_some_and(is_moment)
    }

    /// What an operator is told, as long as it lasts.
    pub(super) fn alarm(&self) -> Alarm {
        match self {
            Fault::Fenced => Alarm::KafkaFenced,
            Fault::Refused(_) | Fault::Read(ReadFault::Topic(_)) => Alarm::KafkaRefusing,
            Fault::Link(fault) => alarm_of(fault),
            Fault::Read(_) | Fault::Lacks(_) => Alarm::KafkaFailing,
            Fault::Answer { code, .. } | Fault::Topic { code, .. } | Fault::Batch { code, .. } => {
                verdict(*code).alarm()
            }
        }
    }
}

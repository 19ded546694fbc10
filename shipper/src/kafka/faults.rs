//! What a broker's error code means for a batch.
//!
//! Nothing is dropped because of one: whatever is not delivered is sent again, here or elsewhere,
//! or waits for a person. Only a batch that can never be taken is set aside, and a copy is kept.

use crate::alarms::Alarm;
use kafka_protocol::error::ResponseError;

/// What is to be done about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the log.
    Delivered,
    /// The same again, after a while.
    Again,
    /// The same again, after asking who leads the partition.
    Elsewhere,
    /// A person must look: permission, topic, clock. It is tried again all the same.
    Refused,
    /// The broker does not know how the stream was numbered: it begins anew.
    Forgotten,
    /// The broker knows other numbers of it than ours, which are void: the stream begins anew.
    Disputed,
    /// The broker will never take these bytes.
    Unacceptable,
}

impl Verdict {
    /// What an operator is told of it, as long as it lasts.
    pub(crate) fn alarm(self) -> Alarm {
        match self {
            Verdict::Refused => Alarm::KafkaRefusing,
            _ => Alarm::KafkaFailing,
        }
    }
}

/// What a broker's code says of a batch, or of the transaction that it is in.
pub(crate) fn verdict(code: i16) -> Verdict {
    use ResponseError as E;
    let Some(error) = E::try_from_code(code) else { return Verdict::Delivered };
    match error {
        // It was taken before, further back than the broker remembers.
        E::DuplicateSequenceNumber => Verdict::Delivered,
        E::UnknownTopicOrPartition
        | E::UnknownTopicId
        | E::LeaderNotAvailable
        | E::NotLeaderOrFollower
        | E::FencedLeaderEpoch
        | E::UnknownLeaderEpoch => Verdict::Elsewhere,
        E::UnknownProducerId | E::InvalidProducerEpoch | E::ProducerFenced => Verdict::Forgotten,
        E::OutOfOrderSequenceNumber => Verdict::Disputed,
        E::MessageTooLarge
        | E::RecordListTooLarge
        | E::CorruptMessage
        | E::UnsupportedCompressionType => Verdict::Unacceptable,
        // A clock that is wrong, or a topic that wants keys, is put right; the batch is not thrown
        // away for it.
        E::InvalidTimestamp
        | E::InvalidRecord
        | E::UnsupportedForMessageFormat
        | E::TopicAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::TransactionalIdAuthorizationFailed
        | E::InvalidTransactionTimeout
        | E::InvalidTopicException
        | E::InvalidRequiredAcks
        | E::PolicyViolation
        | E::UnsupportedVersion
        | E::InvalidRequest => Verdict::Refused,
        _ => Verdict::Again,
    }
}

/// A code as people know it, with its number.
pub(crate) fn told(code: i16) -> String {
    match ResponseError::try_from_code(code) {
        None => "no error".to_owned(),
        Some(ResponseError::Unknown(code)) => format!("error {code}"),
        Some(error) => format!("{error} ({code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_but_those_of_bytes_that_can_never_be_taken_lets_go_of_a_batch() {
        let rows = [
            (0, Verdict::Delivered),
            (46, Verdict::Delivered),
            (3, Verdict::Elsewhere),
            (6, Verdict::Elsewhere),
            (7, Verdict::Again),
            (13, Verdict::Again),
            (14, Verdict::Again),
            (19, Verdict::Again),
            (29, Verdict::Refused),
            (53, Verdict::Refused),
            (32, Verdict::Refused),
            (87, Verdict::Refused),
            (45, Verdict::Disputed),
            (47, Verdict::Forgotten),
            (59, Verdict::Forgotten),
            (10, Verdict::Unacceptable),
            (2, Verdict::Unacceptable),
        ];
        for (code, want) in rows {
            assert_eq!(verdict(code), want, "{}", told(code));
        }
        // What a later broker may say is not known here, and is no reason to let go.
        for code in [-1, 1000, i16::MAX] {
            assert_eq!(verdict(code), Verdict::Again, "{code}");
        }
        assert_eq!(told(45), "OutOfOrderSequenceNumber (45)");
        assert_eq!(told(1000), "error 1000");
    }
}

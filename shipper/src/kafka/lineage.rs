//! How the events of a stream are numbered for a broker.
//!
//! A broker recognises a batch that is sent twice by producer id, epoch and the numbers of its
//! first and last record, and remembers the last five batches of a producer in a partition. So a
//! stream has a producer id of its own, and its numbers are a function of the log: what a restart
//! sends again has the numbers that it had. The lineage is durable before the first batch.

use crate::spool::cursors::Lineage;
use brink_proto::{
    ids::{Sequence, StreamId},
    kafka::batch::ProducerSequence,
};

/// BOUND: batches of a stream that may be with the broker and are not durably behind the sink. A
/// broker remembers so many, and what a restart sends again must be among them.
pub const WINDOW: usize = 5;

/// Numbers of records go from 0 to this and begin anew.
const NUMBERS: u64 = 1 << 31;

impl Lineage {
    /// What the batch that begins with `first` is numbered; nothing, if it is not in this lineage.
    #[must_use]
    pub fn number(&self, first: Sequence) -> Option<ProducerSequence> {
        let behind = first.0.checked_sub(self.first)?;
        let base = (behind % NUMBERS) as i32;
        Some(ProducerSequence { id: self.producer, epoch: self.epoch, base })
    }
}

/// The partition of a stream among so many. A batch goes to one partition as a whole, so only who
/// wrote it can choose: streams of many edges spread, and each stays in order.
#[must_use]
pub fn partition_of(stream: &StreamId, partitions: i32) -> i32 {
    let text = format!("{}/{}/{}", stream.edge, stream.shard.0, stream.topic);
    let partitions = u32::try_from(partitions).unwrap_or(1).max(1);
    (crc32c::crc32c(text.as_bytes()) % partitions) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn lineage(first: u64) -> Lineage {
        Lineage {
            stream: "e/7/0/impressions".parse().unwrap(),
            cluster: "c".into(),
            topic: "0a".into(),
            partition: 0,
            producer: 9,
            epoch: 2,
            first,
            transactional: false,
        }
    }

    #[test]
    fn numbers_are_a_function_of_the_log_and_begin_anew_behind_the_largest() {
        let rows = [
            (0, 0, Some(0)),
            (0, 41, Some(41)),
            (40, 41, Some(1)),
            (40, 39, None),
            (0, (1 << 31) - 1, Some(i32::MAX)),
            (0, 1 << 31, Some(0)),
            (5, (3 << 31) + 7, Some(2)),
        ];
        for (first, sequence, want) in rows {
            let number = lineage(first).number(Sequence(sequence));
            assert_eq!(number.map(|n| n.base), want, "{sequence} from {first}");
        }
        let number = lineage(0).number(Sequence(3)).unwrap();
        assert_eq!((number.id, number.epoch), (9, 2));
    }

    #[test]
    fn streams_of_many_edges_spread_and_each_start_of_one_stays() {
        let of = |edge: usize, incarnation: u64| -> i32 {
            let stream = format!("edge{edge}/{incarnation}/0/impressions");
            partition_of(&stream.parse().unwrap(), 12)
        };
        let all: BTreeSet<i32> = (0..100).map(|edge| of(edge, 1)).collect();
        assert_eq!(all, (0..12).collect());
        assert!((0..100).all(|edge| of(edge, 1) == of(edge, 2)));
        let stream = "e/7/0/impressions".parse().unwrap();
        assert_eq!((partition_of(&stream, 1), partition_of(&stream, 0)), (0, 0));
    }
}

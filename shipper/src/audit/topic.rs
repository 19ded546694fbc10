//! The records of a Kafka topic, held against the objects of an hour. Pure.

use super::tiling::Fault;
use crate::objects::key::ObjectName;
use brink_proto::{
    ids::{Incarnation, Name, Sequence, ShardId, StreamId},
    wire::{Value, fields},
};
use std::collections::BTreeMap;

/// What is awaited of each stream: the sequences of its objects, each once and in order.
pub(super) struct Awaited {
    topic: Name,
    streams: BTreeMap<StreamId, Stream>,
    /// Records of these streams and sequences.
    pub(super) records: u64,
}

struct Stream {
    /// The objects' ranges in order, without a hole between those that touch.
    ranges: Vec<(u64, u64)>,
    /// The first sequence that was not seen.
    next: u64,
    gaps: Vec<(u64, u64)>,
    /// Records below `next`: how many, and the first of them.
    again: (u64, u64),
}

impl Awaited {
    pub(super) fn new(topic: Name, objects: &[ObjectName]) -> Awaited {
        let mut streams: BTreeMap<StreamId, Stream> = BTreeMap::new();
        let mut objects: Vec<_> = objects.iter().filter(|o| o.stream.topic == topic).collect();
        objects.sort_by_key(|object| object.first);
        for object in objects {
            let Sequence(first) = object.first;
            let stream = streams.entry(object.stream).or_insert_with(|| Stream {
                ranges: Vec::new(),
                next: first,
                gaps: Vec::new(),
                again: (0, 0),
            });
            match stream.ranges.last_mut() {
                Some((_, end)) if first <= *end => *end = (*end).max(object.end.0),
                _ => stream.ranges.push((first, object.end.0)),
            }
        }
        Awaited { topic, streams, records: 0 }
    }

    /// Takes the next record of a partition; one that is no event of ours is passed over.
    pub(super) fn take(&mut self, value: &[u8]) {
        let Some((stream, sequence)) = identity(self.topic, value) else { return };
        if let Some(stream) = self.streams.get_mut(&stream) {
            self.records += u64::from(stream.take(sequence));
        }
    }

    /// What is wrong, once all records were taken.
    pub(super) fn faults(mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (stream, seen) in &mut self.streams {
            seen.pass(u64::MAX);
            let stream = stream.to_string();
            for (from, to) in &seen.gaps {
                let (stream, from, to) = (stream.clone(), *from, *to);
                faults.push(Fault::NotInKafka { stream, from, to });
            }
            if let (count @ 1.., first) = seen.again {
                faults.push(Fault::AgainInKafka { stream, first, count });
            }
        }
        faults
    }
}

impl Stream {
    /// Takes a sequence; whether it is one that is awaited.
    fn take(&mut self, sequence: u64) -> bool {
        let is_ours = self.ranges.iter().any(|(first, end)| (*first..*end).contains(&sequence));
        if !is_ours {
            return false;
        }
        if sequence < self.next {
            let (count, first) = self.again;
            self.again = (count + 1, if count == 0 { sequence } else { first });
            return true;
        }
        self.pass(sequence);
        self.next = sequence + 1;
        true
    }

    /// What is awaited from the next one up to this one is missing.
    fn pass(&mut self, to: u64) {
        for (first, end) in &self.ranges {
            let (from, to) = ((*first).max(self.next), (*end).min(to));
            if from < to {
                self.gaps.push((from, to));
            }
        }
        self.next = self.next.max(to);
    }
}

/// Which event a record is: every message of ours begins with the same four fields.
fn identity(topic: Name, value: &[u8]) -> Option<(StreamId, u64)> {
    let (mut edge, mut incarnation, mut shard, mut sequence) = (None, 0, 0, 0);
    for field in fields(value) {
        match field.ok()? {
            (1, Value::Bytes(text)) => edge = std::str::from_utf8(text).ok(),
            (2, Value::Varint(number)) => incarnation = number,
            (3, Value::Varint(number)) => shard = number,
            (4, Value::Varint(number)) => sequence = number,
            (5.., _) => break,
            _ => return None,
        }
    }
    let edge = Name::new(edge?).ok()?;
    let shard = ShardId(u16::try_from(shard).ok()?);
    let incarnation = Incarnation(incarnation);
    Some((StreamId { edge, incarnation, shard, topic }, sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brink_proto::ids::Hour;

    fn object(first: u64, end: u64) -> ObjectName {
        let stream = "e/7/0/t".parse().unwrap();
        let (first, end) = (Sequence(first), Sequence(end));
        ObjectName { stream, first, end, hour: Hour(5), schema: 1 }
    }

    /// A message with the four fields; proto3 leaves zeros out.
    fn value(sequence: u64) -> Vec<u8> {
        let mut value = vec![0x0A, 1, b'e', 0x10, 7];
        if sequence > 0 {
            value.extend([0x20, u8::try_from(sequence).unwrap()]);
        }
        value.extend([0x2A, 1, b'x']);
        value
    }

    fn told(records: &[u64]) -> Vec<String> {
        let topic = Name::new("t").unwrap();
        let mut awaited = Awaited::new(topic, &[object(4, 6), object(0, 4), object(8, 10)]);
        records.iter().for_each(|sequence| awaited.take(&value(*sequence)));
        awaited.take(b"\x0A\x05");
        let text = |fault: Fault| match fault {
            Fault::NotInKafka { from, to, .. } => format!("{from}..{to} is not there"),
            Fault::AgainInKafka { first, count, .. } => format!("{count} again from {first}"),
            other => other.to_string(),
        };
        awaited.faults().into_iter().map(text).collect()
    }

    #[test]
    fn each_sequence_of_the_objects_has_to_come_once_and_in_order() {
        // What lies between the objects, or behind them, is of another hour, or was lost.
        let rows: [(&[u64], &[&str]); 6] = [
            (&[0, 1, 2, 3, 4, 5, 8, 9], &[]),
            (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], &[]),
            (&[0, 1, 4, 5, 8], &["2..4 is not there", "9..10 is not there"]),
            (&[0, 1, 2, 3, 4, 5], &["8..10 is not there"]),
            (&[0, 1, 2, 1, 2, 3, 4, 5, 8, 9], &["2 again from 1"]),
            (&[], &["0..6 is not there", "8..10 is not there"]),
        ];
        for (records, want) in rows {
            assert_eq!(told(records), want, "{records:?}");
        }
    }
}

//! A topic read back, as a consumer sees it that reads what is committed: for audits.
//!
//! Each partition is read from the first record of a time up to the end that it has when it is
//! asked. Records of transactions that were given up are passed over.

use super::{
    cluster::{self, Topic, topic_name},
    config::KafkaConfig,
    faults::{Verdict, told, verdict},
    link::{FETCH, LIST_OFFSETS, Link, LinkFault},
    tls::Tls,
};
use brink_proto::{
    ids::Name,
    kafka::{batch::TRANSACTIONAL, record::records},
};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, TopicName,
    fetch_request::{FetchPartition, FetchTopic},
    fetch_response::PartitionData,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
};
use std::{collections::BTreeSet, io};

/// Only what is committed.
const READ_COMMITTED: i8 = 1;

/// All that is there.
const READ_UNCOMMITTED: i8 = 0;

/// A client, and no broker that copies.
const NO_REPLICA: i32 = -1;

/// The end of a partition, as a time.
const LATEST: i64 = -1;

/// The first record that is kept, as a time.
const EARLIEST: i64 = -2;

/// BOUND: bytes of an answer, if no batch alone has more.
const FETCH_BYTES_MAX: i32 = 1 << 20;

/// How long a broker may wait for a byte.
const WAIT_MAX_MS: i32 = 1000;

/// How long nothing may come, of a partition that has more.
const PATIENCE_MS: i32 = 20_000;

/// BOUND: bytes of a batch's records; ours have at most 256 KiB.
const RECORDS_BYTES_MAX: usize = 16 << 20;

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// A broker does not answer well, or refuses.
    #[error("{0}")]
    Broker(String),
    /// The topic is not there, or not for us.
    #[error("{0}")]
    Topic(String),
    /// What came is nothing that can be read.
    #[error("partition {partition} of {topic} at offset {offset}: {text}")]
    Batch {
        /// The topic's name in the cluster.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where.
        offset: i64,
        /// What is wrong.
        text: String,
    },
}

impl From<LinkFault> for ReadFault {
    fn from(fault: LinkFault) -> ReadFault {
        ReadFault::Broker(fault.to_string())
    }
}

/// A cluster to read from.
pub struct Reader {
    /// The cluster.
    pub config: KafkaConfig,
    /// How connections are made secret, if they are.
    pub tls: Option<Tls>,
}

impl Reader {
    /// Hands out the value of each record of a topic from a time on, in milliseconds since 1970,
    /// partition by partition and in order; how many there were.
    ///
    /// # Errors
    /// [`ReadFault`] says what cannot be read.
    pub async fn read(
        &self,
        topic: &Name,
        from_ms: i64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, ReadFault> {
        let name = topic_name(&self.config, topic);
        let mut link = self.dial_any().await?;
        let cluster = cluster::look(&mut link, &self.config, &[*topic]).await?;
        let leaders = match cluster.topics.get(topic) {
            Some(Topic::There { leaders, .. }) => leaders.clone(),
            Some(Topic::Coming(text) | Topic::Refused(text)) => {
                return Err(ReadFault::Topic(text.clone()));
            }
            None => return Err(ReadFault::Topic(format!("there is no topic {}", name.as_str()))),
        };
        let mut count = 0;
        for (partition, leader) in (0..).zip(leaders) {
            let broker = cluster.brokers.get(&leader).ok_or_else(|| {
                let name = name.as_str();
                ReadFault::Topic(format!("partition {partition} of {name} has no leader now"))
            })?;
            let dial = async || Link::dial(broker, &self.config, self.tls.as_ref()).await;
            let mut reading = Reading::new(dial, name.clone(), partition, PATIENCE_MS).await?;
            count += reading.read(from_ms, take).await?;
        }
        Ok(count)
    }

    async fn dial_any(&self) -> Result<Link, ReadFault> {
        let mut fault = ReadFault::Broker("no broker is named".to_owned());
        for broker in &self.config.brokers {
            match Link::dial(broker, &self.config, self.tls.as_ref()).await {
                Ok(link) => return Ok(link),
                Err(error) => fault = error.into(),
            }
        }
        Err(fault)
    }
}

/// Hands out the value of each committed record of a partition, up to the end that it has now. A
/// transaction of somebody else that is open is waited for, so long: what is committed may lie
/// behind its first record.
pub(super) async fn read_all(
    dial: impl AsyncFn() -> Result<Link, LinkFault>,
    topic: TopicName,
    partition: i32,
    patience_ms: i32,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), ReadFault> {
    let mut reading = Reading::new(dial, topic, partition, patience_ms).await?;
    let end = reading.offset(LATEST, READ_UNCOMMITTED).await?;
    let at = reading.offset(EARLIEST, READ_UNCOMMITTED).await?;
    reading.read_between(at, end, take).await?;
    Ok(())
}

/// One partition.
struct Reading<D> {
    dial: D,
    link: Link,
    topic: TopicName,
    partition: i32,
    patience_ms: i32,
}

impl<D: AsyncFn() -> Result<Link, LinkFault>> Reading<D> {
    async fn new(
        dial: D,
        topic: TopicName,
        partition: i32,
        patience_ms: i32,
    ) -> Result<Reading<D>, ReadFault> {
        let link = dial().await?;
        Ok(Reading { dial, link, topic, partition, patience_ms })
    }

    async fn read(&mut self, from_ms: i64, take: &mut dyn FnMut(&[u8])) -> Result<u64, ReadFault> {
        let end = self.offset(LATEST, READ_COMMITTED).await?;
        // There is no offset of a time behind the last record.
        let at = self.offset(from_ms, READ_COMMITTED).await?;
        self.read_between(at, end, take).await
    }

    async fn read_between(
        &mut self,
        mut at: i64,
        end: i64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, ReadFault> {
        let (mut count, mut empty) = (0, 0);
        let mut given_up = BTreeSet::new();
        let mut dialled_at = at;
        while (0..end).contains(&at) {
            let data = match self.fetch(at).await {
                // A connection that breaks has carried us some way, and the next one will as well:
                // who begins at the front over a bad network may never come to the end.
                Err(ReadFault::Broker(_)) if at > dialled_at => {
                    self.link = (self.dial)().await?;
                    dialled_at = at;
                    continue;
                }
                data => data?,
            };
            let next = self.take_batches(at, &data, &mut given_up, &mut |value| {
                count += 1;
                take(value);
            })?;
            empty = if next > at { 0 } else { empty + WAIT_MAX_MS };
            if empty > self.patience_ms {
                return Err(self.fault(at, "the broker has more, and sends none of it"));
            }
            at = next;
        }
        Ok(count)
    }

    fn fault(&self, offset: i64, text: &str) -> ReadFault {
        let (topic, partition) = (self.topic.as_str().to_owned(), self.partition);
        ReadFault::Batch { topic, partition, offset, text: text.to_owned() }
    }

    /// What a broker's code says of the partition.
    fn refusal(&self, offset: i64, code: i16) -> ReadFault {
        match verdict(code) {
            Verdict::Refused => {
                ReadFault::Topic(format!("topic {}: {}", self.topic.as_str(), told(code)))
            }
            _ => self.fault(offset, &told(code)),
        }
    }

    /// The offset of the first record of a time; -1 if there is none.
    async fn offset(&mut self, timestamp: i64, isolation: i8) -> Result<i64, ReadFault> {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(self.partition)
            .with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(self.topic.clone())
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(NO_REPLICA.into())
            .with_isolation_level(isolation)
            .with_topics(vec![topic]);
        let answer: ListOffsetsResponse = self.link.call(&LIST_OFFSETS, &request).await?;
        let found = answer.topics.first().and_then(|topic| topic.partitions.first());
        let found = found.ok_or_else(|| self.fault(0, "the broker does not say where it is"))?;
        match found.error_code {
            0 => Ok(found.offset),
            code => Err(self.refusal(0, code)),
        }
    }

    async fn fetch(&mut self, at: i64) -> Result<PartitionData, ReadFault> {
        let partition = FetchPartition::default()
            .with_partition(self.partition)
            .with_fetch_offset(at)
            .with_partition_max_bytes(FETCH_BYTES_MAX);
        let topic =
            FetchTopic::default().with_topic(self.topic.clone()).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_replica_id(NO_REPLICA.into())
            .with_max_wait_ms(WAIT_MAX_MS)
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES_MAX)
            .with_isolation_level(READ_COMMITTED)
            // No session: each request says all of what it wants.
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer: FetchResponse = self.link.call(&FETCH, &request).await?;
        let data =
            answer.responses.into_iter().next().and_then(|t| t.partitions.into_iter().next());
        match data {
            Some(data) if data.error_code == 0 => Ok(data),
            Some(data) => Err(self.refusal(at, data.error_code)),
            None => Err(self.refusal(at, answer.error_code)),
        }
    }

    /// Takes the records of an answer that lie at an offset or behind it; the offset behind all.
    fn take_batches(
        &self,
        from: i64,
        data: &PartitionData,
        given_up: &mut BTreeSet<i64>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<i64, ReadFault> {
        let mut aborted: Vec<_> = data.aborted_transactions.iter().flatten().collect();
        aborted.sort_by_key(|transaction| transaction.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let mut section = data.records.clone().unwrap_or_default();
        let mut next = from;
        while let Some(batch) = Batch::split(&mut section) {
            while let Some(begun) = aborted.next_if(|t| t.first_offset <= batch.last_offset()) {
                given_up.insert(begun.producer_id.0);
            }
            next = batch.last_offset() + 1;
            // The end of a transaction, in whatever way.
            if batch.is(CONTROL) {
                given_up.remove(&batch.producer);
                continue;
            }
            if batch.is(TRANSACTIONAL) && given_up.contains(&batch.producer) {
                continue;
            }
            let raw = batch.unpack();
            let raw = raw.map_err(|error| self.fault(batch.base_offset, &error.to_string()))?;
            for record in records(&raw) {
                let record = record.map_err(|e| self.fault(batch.base_offset, &e.to_string()))?;
                if batch.base_offset + record.offset_delta >= from {
                    take(record.value);
                }
            }
        }
        Ok(next)
    }
}

const CONTROL: i16 = 0x20;
const CODEC: i16 = 0x07;
const CODEC_NONE: i16 = 0;
const CODEC_ZSTD: i16 = 4;

/// Bytes up to and with the length.
const LENGTH_END: usize = 12;

/// Bytes behind the length that stand in front of the records.
const HEAD_REST: usize = 49;

/// SPEC: Kafka's message format, a record batch of version 2.
struct Batch {
    base_offset: i64,
    attributes: i16,
    last_offset_delta: i32,
    producer: i64,
    records: Bytes,
}

impl Batch {
    /// Takes the next batch; none if it is cut off, as the last one of an answer may be.
    fn split(section: &mut Bytes) -> Option<Batch> {
        let mut head = section.get(..LENGTH_END)?;
        let base_offset = head.get_i64();
        let length = usize::try_from(head.get_i32()).ok().filter(|length| *length >= HEAD_REST)?;
        if section.len() - LENGTH_END < length {
            return None;
        }
        section.advance(LENGTH_END);
        let mut batch = section.split_to(length);
        // Leader epoch, magic, checksum.
        batch.advance(9);
        let attributes = batch.get_i16();
        let last_offset_delta = batch.get_i32();
        // Both timestamps.
        batch.advance(16);
        let producer = batch.get_i64();
        // Its epoch, the base sequence, the count.
        batch.advance(10);
        Some(Batch { base_offset, attributes, last_offset_delta, producer, records: batch })
    }

    fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    fn is(&self, attribute: i16) -> bool {
        self.attributes & attribute != 0
    }

    fn unpack(&self) -> io::Result<Bytes> {
        match self.attributes & CODEC {
            CODEC_NONE => Ok(self.records.clone()),
            CODEC_ZSTD => {
                let mut raw = Vec::new();
                let decoder = zstd::stream::read::Decoder::new(self.records.as_ref())?;
                let mut bounded = io::Read::take(decoder, RECORDS_BYTES_MAX as u64);
                io::Read::read_to_end(&mut bounded, &mut raw)?;
                Ok(Bytes::from(raw))
            }
            other => Err(io::Error::other(format!(
                "compression {other} is none of ours: set the topic's compression.type to producer"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brink_proto::kafka::batch::{BatchHead, ProducerSequence};

    #[test]
    fn a_batch_is_read_as_it_was_written_and_none_that_is_cut_off() {
        let producer = ProducerSequence { id: 77, epoch: 0, base: 5 };
        let transactional = false;
        let head = BatchHead {
            base_timestamp_ms: 1,
            max_timestamp_ms: 2,
            count: 3,
            producer,
            transactional,
        };
        let payload = zstd::bulk::compress(b"records", 1).unwrap();
        let bytes = Bytes::from([&head.encode(&payload)[..], &payload[..]].concat());
        let mut section = Bytes::from([&bytes[..], &bytes[..]].concat());
        for _ in 0..2 {
            let batch = Batch::split(&mut section).unwrap();
            assert_eq!((batch.last_offset(), batch.producer), (2, 77));
            assert!(!batch.is(CONTROL) && !batch.is(TRANSACTIONAL));
            assert_eq!(batch.unpack().unwrap(), &b"records"[..]);
        }
        assert!(section.is_empty());
        for end in 0..bytes.len() {
            assert!(Batch::split(&mut bytes.slice(..end)).is_none(), "{end}");
        }
    }
}

//! A produce request: at most one batch for each partition, in pieces that are written as they lie
//! in memory. No payload is copied between the read of the log and the socket.
//!
//! ```text
//!  length, header, topic, partition, 61 bytes │ payload │ partition, 61 bytes │ payload │ ends
//! ```
//!
//! SPEC: Kafka protocol, Produce version 9. Numbers are big-endian; a length is a varint, one more
//! than what it counts, and each structure ends with a count of tagged fields.

use super::{
    faults::{Verdict, verdict},
    link::{PRODUCE, decoded, start_request},
};
use brink_proto::{
    frame::{FrameHeader, HEADER_BYTES, LogPosition},
    ids::{Name, StreamId},
    kafka::batch::{BatchHead, HEADER_BYTES as BATCH_HEADER_BYTES, ProducerSequence},
};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ProduceResponse;
use std::io::{self, IoSlice};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Acknowledged by all replicas in sync.
const ACKS_ALL: i16 = -1;

/// How long a broker may wait for its replicas.
const REPLICAS_MAX_MS: i32 = 20_000;

/// BOUND: bytes of the frames of one request, unless it is one alone.
const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// No structure has a field with a tag.
const NO_TAGS: u8 = 0;

/// A batch to be sent.
pub(crate) struct Batch {
    pub(crate) partition: i32,
    pub(crate) frame: FrameHeader,
    pub(crate) producer: ProducerSequence,
    /// The whole frame, header in front.
    pub(crate) bytes: Vec<u8>,
}

impl Batch {
    fn topic(&self) -> Name {
        self.frame.batch.stream.topic
    }

    fn payload(&self) -> &[u8] {
        let bytes = self.frame.batch.payload_bytes as usize;
        self.bytes.get(HEADER_BYTES..HEADER_BYTES + bytes).unwrap_or_default()
    }

    fn head(&self, transactional: bool) -> [u8; BATCH_HEADER_BYTES] {
        let info = &self.frame.batch;
        let head = BatchHead {
            base_timestamp_ms: info.base_timestamp_ms,
            max_timestamp_ms: info.max_timestamp_ms,
            count: info.count,
            producer: self.producer,
            transactional,
        };
        head.encode(self.payload())
    }
}

/// Whose batches they are, as it stands in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// In front of the topics' names.
    pub(crate) prefix: &'a str,
    /// Whose transaction it is, if it is one.
    pub(crate) transactional_id: Option<&'a str>,
}

impl<'a> Sender<'a> {
    /// Whoever sends without transactions.
    pub(crate) fn plain(prefix: &'a str) -> Sender<'a> {
        Sender { prefix, transactional_id: None }
    }
}

/// Batches that go together.
#[derive(Default)]
pub(crate) struct Draft {
    batches: Vec<Batch>,
    bytes: usize,
}

impl Draft {
    /// Whether it has a batch for a partition already: a broker takes no second one.
    pub(crate) fn has(&self, topic: Name, partition: i32) -> bool {
        self.batches.iter().any(|b| b.partition == partition && b.topic() == topic)
    }

    /// Whether a frame of so many bytes may be added.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.batches.is_empty() || self.bytes + bytes <= REQUEST_BYTES_MAX
    }

    /// Adds a batch.
    pub(crate) fn add(&mut self, batch: Batch) {
        self.bytes += batch.bytes.len();
        self.batches.push(batch);
    }

    /// Makes a request of it, and what has to be known for its answer.
    pub(crate) fn finish(mut self, correlation: i32, sender: Sender<'_>) -> (Request, Posted) {
        // Batches of a topic stand together.
        self.batches.sort_by_key(|batch| (batch.topic(), batch.partition));
        let place = |b: &Batch| (b.frame.batch.stream, b.partition, b.frame.position);
        let batches = self.batches.iter().map(place).collect();
        let posted = Posted { correlation, bytes: self.bytes, batches };
        (Request::of(self.batches, correlation, sender), posted)
    }
}

/// A request as it is written: fields, and payloads between them.
pub(crate) struct Request {
    fields: BytesMut,
    /// Each behind so many bytes of the fields.
    batches: Vec<(usize, Batch)>,
}

impl Request {
    fn of(batches: Vec<Batch>, correlation: i32, sender: Sender<'_>) -> Request {
        let Sender { prefix, transactional_id } = sender;
        let mut fields = BytesMut::with_capacity(128 + batches.len() * 128);
        start_request(&mut fields, &PRODUCE, correlation);
        match transactional_id {
            None => fields.put_u8(0),
            Some(id) => {
                put_length(&mut fields, id.len());
                fields.put_slice(id.as_bytes());
            }
        }
        fields.put_i16(ACKS_ALL);
        fields.put_i32(REPLICAS_MAX_MS);
        let of_topic =
            |batches: &[Batch], topic| batches.iter().filter(move |b| b.topic() == topic).count();
        let mut topics: Vec<Name> = batches.iter().map(Batch::topic).collect();
        topics.dedup();
        put_length(&mut fields, topics.len());
        let counts = topics.into_iter().map(|topic| (topic, of_topic(&batches, topic)));
        let counts: Vec<(Name, usize)> = counts.collect();
        let mut batches = batches.into_iter();
        let mut placed = Vec::with_capacity(batches.len());
        for (topic, count) in counts {
            put_length(&mut fields, prefix.len() + topic.as_str().len());
            fields.put_slice(prefix.as_bytes());
            fields.put_slice(topic.as_str().as_bytes());
            put_length(&mut fields, count);
            for batch in batches.by_ref().take(count) {
                fields.put_i32(batch.partition);
                put_length(&mut fields, BATCH_HEADER_BYTES + batch.payload().len());
                fields.put_slice(&batch.head(transactional_id.is_some()));
                placed.push((fields.len(), batch));
                fields.put_u8(NO_TAGS);
            }
            fields.put_u8(NO_TAGS);
        }
        fields.put_u8(NO_TAGS);
        let payloads: usize = placed.iter().map(|(_, batch)| batch.payload().len()).sum();
        let length = (fields.len() - 4 + payloads) as u32;
        fields[..4].copy_from_slice(&length.to_be_bytes());
        Request { fields, batches: placed }
    }

    fn pieces(&self) -> Vec<IoSlice<'_>> {
        let mut pieces = Vec::with_capacity(2 * self.batches.len() + 1);
        let mut from = 0;
        for (at, batch) in &self.batches {
            pieces.push(IoSlice::new(&self.fields[from..*at]));
            pieces.push(IoSlice::new(batch.payload()));
            from = *at;
        }
        pieces.push(IoSlice::new(&self.fields[from..]));
        pieces
    }

    /// Writes all of it.
    pub(crate) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut pieces = self.pieces();
        let mut left = pieces.as_mut_slice();
        while !left.is_empty() {
            match to.write_vectored(left).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut left, written),
            }
        }
        to.flush().await
    }
}

fn put_length(fields: &mut BytesMut, length: usize) {
    let mut rest = length + 1;
    while rest >= 0x80 {
        fields.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    fields.put_u8(rest as u8);
}

/// A request that was sent.
pub(crate) struct Posted {
    correlation: i32,
    /// Bytes of its frames.
    pub(crate) bytes: usize,
    /// Stream, partition and frame of each batch.
    batches: Vec<(StreamId, i32, LogPosition)>,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) stream: StreamId,
    pub(crate) at: LogPosition,
    pub(crate) code: i16,
    pub(crate) verdict: Verdict,
    pub(crate) offset: i64,
}

impl Posted {
    /// The streams that have a batch in it.
    pub(crate) fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.batches.iter().map(|(stream, ..)| *stream)
    }

    /// What an answer says of each batch; nothing, if it is to something else.
    pub(crate) fn answers(&self, answer: Bytes, prefix: &str) -> Option<Vec<Answer>> {
        let answer: ProduceResponse = decoded(&PRODUCE, self.correlation, answer).ok()?;
        let of_batch = |(stream, partition, at): &(StreamId, i32, LogPosition)| {
            let is_named = |name: &str| name.strip_prefix(prefix) == Some(stream.topic.as_str());
            let topic = answer.responses.iter().find(|topic| is_named(&topic.name))?;
            let said = topic.partition_responses.iter().find(|p| p.index == *partition)?;
            Some(Answer {
                stream: *stream,
                at: *at,
                code: said.error_code,
                verdict: verdict(said.error_code),
                offset: said.base_offset,
            })
        };
        self.batches.iter().map(of_batch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use brink_proto::frame::BatchInfo;
    use kafka_protocol::{
        messages::{
            ApiKey, ProduceRequest, RequestHeader, TopicName, TransactionalId,
            produce_request::{PartitionProduceData, TopicProduceData},
        },
        protocol::{Encodable, StrBytes, encode_request_header_into_buffer},
    };

    const PREFIX: &str = "brink.";

    fn batch(topic: &str, partition: i32, payload: &[u8]) -> Batch {
        let info = BatchInfo {
            base_timestamp_ms: 1000,
            max_timestamp_ms: 1002,
            payload_bytes: payload.len() as u32,
            ..sample::batch(&format!("e/7/0/{topic}"), 40, 3)
        };
        let frame = sample::frame(info, LogPosition(4096 * (partition as u64 + 1)));
        let producer = ProducerSequence { id: 9, epoch: 2, base: 40 };
        let bytes = [&[0xEE; HEADER_BYTES], payload, &[0; 99]].concat();
        Batch { partition, frame, producer, bytes }
    }

    fn draft() -> Draft {
        let mut draft = Draft::default();
        for (topic, partition, bytes) in
            [("lookups", 0, 7), ("impressions", 5, 300), ("lookups", 2, 0)]
        {
            draft.add(batch(topic, partition, &vec![partition as u8; bytes]));
        }
        draft
    }

    /// The same as others encode it.
    fn encoded(correlation: i32, transactional_id: Option<&'static str>) -> Vec<u8> {
        let data = |topic: &str, partitions: &[(i32, usize)]| {
            let of = |(partition, bytes): &(i32, usize)| {
                let batch = batch(topic, *partition, &vec![*partition as u8; *bytes]);
                let records = [&batch.head(transactional_id.is_some()), batch.payload()].concat();
                PartitionProduceData::default()
                    .with_index(*partition)
                    .with_records(Some(records.into()))
            };
            let name = TopicName::from(StrBytes::from_string(format!("{PREFIX}{topic}")));
            TopicProduceData::default()
                .with_name(name)
                .with_partition_data(partitions.iter().map(of).collect())
        };
        let transaction =
            transactional_id.map(StrBytes::from_static_str).map(TransactionalId::from);
        let request = ProduceRequest::default()
            .with_transactional_id(transaction)
            .with_acks(ACKS_ALL)
            .with_timeout_ms(REPLICAS_MAX_MS)
            .with_topic_data(vec![
                data("impressions", &[(5, 300)]),
                data("lookups", &[(0, 7), (2, 0)]),
            ]);
        let header = RequestHeader::default()
            .with_request_api_key(ApiKey::Produce as i16)
            .with_request_api_version(PRODUCE.version)
            .with_correlation_id(correlation)
            .with_client_id(Some(StrBytes::from_static_str("brink")));
        let mut bytes = BytesMut::zeroed(4);
        encode_request_header_into_buffer(&mut bytes, &header).unwrap();
        request.encode(&mut bytes, PRODUCE.version).unwrap();
        let length = bytes.len() as u32 - 4;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes.to_vec()
    }

    #[test]
    fn a_request_is_what_others_make_of_it() {
        let (request, posted) = draft().finish(77, Sender::plain(PREFIX));
        let pieces: Vec<u8> = request.pieces().iter().flat_map(|piece| piece.to_vec()).collect();
        assert_eq!(pieces, encoded(77, None));
        let mut written = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(request.write(&mut written)).unwrap();
        assert_eq!(written, pieces);
        assert_eq!(posted.batches.len(), 3);
        let sender = Sender { prefix: PREFIX, transactional_id: Some("brink.brink-e") };
        let (request, _) = draft().finish(78, sender);
        let pieces: Vec<u8> = request.pieces().iter().flat_map(|piece| piece.to_vec()).collect();
        assert_eq!(pieces, encoded(78, Some("brink.brink-e")));
    }

    #[test]
    fn an_answer_says_something_of_each_batch_or_is_none() {
        let (_, posted) = draft().finish(77, Sender::plain(PREFIX));
        let answer = |correlation: i32, topics: &[(&str, &[(i32, i16)])]| {
            let mut bytes = BytesMut::new();
            bytes.put_i32(correlation);
            bytes.put_u8(NO_TAGS);
            put_length(&mut bytes, topics.len());
            for (name, partitions) in topics {
                put_length(&mut bytes, name.len());
                bytes.put_slice(name.as_bytes());
                put_length(&mut bytes, partitions.len());
                for (partition, code) in *partitions {
                    bytes.put_i32(*partition);
                    bytes.put_i16(*code);
                    bytes.put_i64(i64::from(*partition) * 10);
                    bytes.put_i64(-1); // the time of the append
                    bytes.put_i64(0); // the first offset that is kept
                    put_length(&mut bytes, 0); // errors of single records
                    bytes.put_slice(&[0, NO_TAGS]); // no text
                }
                bytes.put_u8(NO_TAGS);
            }
            bytes.put_i32(0); // no throttling
            bytes.put_u8(NO_TAGS);
            bytes.freeze()
        };
        let all: [(&str, &[(i32, i16)]); 2] =
            [("brink.lookups", &[(2, 6), (0, 0)]), ("brink.impressions", &[(5, 0)])];
        let answers = posted.answers(answer(77, &all), PREFIX).unwrap();
        let told: Vec<_> =
            answers.iter().map(|a| (a.at.0 / 4096 - 1, a.verdict, a.offset)).collect();
        let (there, elsewhere) = (Verdict::Delivered, Verdict::Elsewhere);
        assert_eq!(told, [(5, there, 50), (0, there, 0), (2, elsewhere, 20)]);
        assert!(posted.answers(answer(78, &all), PREFIX).is_none());
        assert!(posted.answers(answer(77, &all[..1]), PREFIX).is_none());
        assert!(posted.answers(answer(77, &all), "other.").is_none());
    }

    #[test]
    fn no_request_has_two_batches_of_a_partition_or_more_than_its_bytes() {
        let draft = draft();
        let topics = ["lookups", "impressions"].map(|topic| Name::new(topic).unwrap());
        let rows = [(0, 0, true), (0, 5, false), (1, 5, true), (1, 0, false)];
        for (topic, partition, want) in rows {
            assert_eq!(draft.has(topics[topic], partition), want, "{topic} {partition}");
        }
        assert!(draft.has_room(REQUEST_BYTES_MAX / 2) && !draft.has_room(REQUEST_BYTES_MAX));
        assert!(Draft::default().has_room(2 * REQUEST_BYTES_MAX));
    }
}

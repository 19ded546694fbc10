//! Connections to the brokers that lead partitions, and which batches are under way on each.

use super::{
    config::KafkaConfig,
    contact::{Retry, alarm_of},
    faults::{Verdict, verdict},
    link::{Link, LinkFault, PRODUCE, Pipe, Teller, Told, decoded, told_channel},
    tls::Tls,
};
use crate::alarms::Alarm;
use brink_proto::{
    frame::{FrameHeader, HEADER_BYTES, LogPosition},
    ids::StreamId,
    kafka::batch::{BatchHead, HEADER_BYTES as BATCH_HEADER_BYTES, ProducerSequence},
};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ProduceRequest, ProduceResponse, TopicName,
    produce_request::{PartitionProduceData, TopicProduceData},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::Receiver, task::JoinHandle};

/// Acknowledged by all replicas in sync.
const ACKS_ALL: i16 = -1;

/// How long a broker may wait for its replicas.
const REPLICAS_MAX_MS: i32 = 20_000;

/// How long an answer may take; then the connection is given up, and the batch goes again.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A batch that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    correlation: i32,
    stream: StreamId,
    at: LogPosition,
    since: Instant,
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

/// What has happened on the pipes.
#[derive(Debug)]
pub(crate) enum Event {
    /// A broker answered.
    Answered(Answer),
    /// A connection is gone, and with it the answers to batches of these streams.
    Closed(BTreeSet<StreamId>, LinkFault),
}

enum State {
    Dialling(JoinHandle<Result<Link, LinkFault>>),
    Open(Pipe, VecDeque<Sent>),
    Away,
}

struct Broker {
    address: String,
    state: State,
    /// When it is dialled again.
    retry: Retry,
    /// Why it could not be reached when it was dialled last.
    unreached: Option<Alarm>,
}

/// Connections by broker.
pub(crate) struct Pipes {
    config: Rc<KafkaConfig>,
    tls: Option<Rc<Tls>>,
    brokers: BTreeMap<i32, Broker>,
    number: u64,
    told: Receiver<(u64, Told)>,
    teller: Teller,
}

/// A batch to be sent.
pub(crate) struct Batch<'a> {
    pub(crate) topic: TopicName,
    pub(crate) partition: i32,
    pub(crate) frame: FrameHeader,
    pub(crate) producer: ProducerSequence,
    /// The whole frame, header in front.
    pub(crate) bytes: &'a [u8],
}

impl Pipes {
    pub(crate) fn new(config: Rc<KafkaConfig>, tls: Option<Rc<Tls>>) -> Pipes {
        let (teller, told) = told_channel();
        Pipes { config, tls, brokers: BTreeMap::new(), number: 0, told, teller }
    }

    /// Where the brokers are now. A connection to where one is no longer is closed.
    pub(crate) fn place(&mut self, brokers: &BTreeMap<i32, String>) -> Vec<Event> {
        let mut events = Vec::new();
        let moved = |(id, broker): &(&i32, &Broker)| brokers.get(id) != Some(&broker.address);
        let ids: Vec<i32> = self.brokers.iter().filter(moved).map(|(id, _)| *id).collect();
        for id in ids {
            events.extend(self.close(id, "the broker has moved"));
            self.brokers.remove(&id);
        }
        for (id, address) in brokers {
            self.brokers.entry(*id).or_insert_with(|| Broker {
                address: address.clone(),
                state: State::Away,
                retry: Retry::default(),
                unreached: None,
            });
        }
        events
    }

    /// Whether a batch for a broker can be queued; a connection that is not there is begun.
    pub(crate) fn is_open(&mut self, broker: i32) -> bool {
        let Some(broker) = self.brokers.get_mut(&broker) else { return false };
        match &broker.state {
            State::Open(pipe, _) => return pipe.has_room(),
            State::Away if broker.retry.is_due() => {
                let (address, config) = (broker.address.clone(), Rc::clone(&self.config));
                let tls = self.tls.clone();
                let dial = async move { Link::dial(&address, &config, tls.as_deref()).await };
                broker.state = State::Dialling(tokio::task::spawn_local(dial));
            }
            State::Away | State::Dialling(_) => {}
        }
        false
    }

    /// The brokers that could not be reached for this reason when they were dialled last.
    pub(crate) fn unreached(&self, alarm: Alarm) -> impl Iterator<Item = i32> {
        let unreached = move |(_, b): &(&i32, &Broker)| b.unreached == Some(alarm);
        self.brokers.iter().filter(unreached).map(|(id, _)| *id)
    }

    /// Whether a connection is being made, or waits to be.
    pub(crate) fn is_dialling(&self) -> bool {
        self.brokers.values().any(|broker| match broker.state {
            State::Dialling(_) => true,
            State::Away => !broker.retry.is_due(),
            State::Open(..) => false,
        })
    }

    /// Whether batches of a stream are under way to another broker than this one.
    pub(crate) fn is_elsewhere(&self, stream: &StreamId, broker: i32) -> bool {
        self.brokers.iter().any(|(id, other)| match &other.state {
            State::Open(_, sent) if *id != broker => sent.iter().any(|s| s.stream == *stream),
            _ => false,
        })
    }

    /// Queues a batch. Whether there was room.
    pub(crate) fn send(&mut self, broker: i32, batch: &Batch<'_>) -> bool {
        let state = self.brokers.get_mut(&broker).map(|broker| &mut broker.state);
        let Some(State::Open(pipe, sent)) = state else { return false };
        let records = records(batch);
        let bytes = records.len();
        let data =
            PartitionProduceData::default().with_index(batch.partition).with_records(Some(records));
        let topic = TopicProduceData::default()
            .with_name(batch.topic.clone())
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(ACKS_ALL)
            .with_timeout_ms(REPLICAS_MAX_MS)
            .with_topic_data(vec![topic]);
        let Some(correlation) = pipe.send(&PRODUCE, &request, bytes) else { return false };
        let (stream, at) = (batch.frame.batch.stream, batch.frame.position);
        sent.push_back(Sent { correlation, stream, at, since: Instant::now() });
        true
    }

    /// Takes what has come, and gives up what takes too long.
    pub(crate) async fn take(&mut self) -> Vec<Event> {
        let mut events = self.take_dialled().await;
        while let Ok(told) = self.told.try_recv() {
            events.extend(self.handle(told));
        }
        let is_late = |(_, broker): &(&i32, &Broker)| match &broker.state {
            State::Open(_, sent) => sent.front().is_some_and(|s| s.since.elapsed() > ANSWER_MAX),
            _ => false,
        };
        let late: Vec<i32> = self.brokers.iter().filter(is_late).map(|(id, _)| *id).collect();
        for id in late {
            events.extend(self.close(id, "no answer came in time"));
        }
        events
    }

    /// Waits until something comes.
    pub(crate) async fn wait(&mut self) -> Vec<Event> {
        match self.told.recv().await {
            Some(told) => self.handle(told),
            None => Vec::new(),
        }
    }

    async fn take_dialled(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for broker in self.brokers.values_mut() {
            let State::Dialling(task) = &mut broker.state else { continue };
            if !task.is_finished() {
                continue;
            }
            let dialled = task.await.unwrap_or_else(|error| {
                let (broker, text) = (broker.address.clone(), error.to_string());
                Err(LinkFault::Failing { broker, doing: "connect", text })
            });
            match dialled {
                Ok(link) => {
                    self.number += 1;
                    let pipe = link.into_pipe(self.number, self.teller.clone());
                    // BOUND: the pipe's queue, and five batches of each stream.
                    broker.state = State::Open(pipe, VecDeque::new());
                    broker.unreached = None;
                }
                Err(fault) => {
                    broker.state = State::Away;
                    broker.retry.later();
                    broker.unreached = Some(alarm_of(&fault));
                    events.push(Event::Closed(BTreeSet::new(), fault));
                }
            }
        }
        events
    }

    fn handle(&mut self, (number, what): (u64, Told)) -> Vec<Event> {
        let is_it = |(_, broker): &(&i32, &Broker)| match &broker.state {
            State::Open(pipe, _) => pipe.number == number,
            _ => false,
        };
        let Some(id) = self.brokers.iter().find(is_it).map(|(id, _)| *id) else {
            return Vec::new(); // of a connection that was given up
        };
        let answer = match what {
            Told::Closed(why) => return self.close(id, &why),
            Told::Answer(answer) => answer,
        };
        let Some(broker) = self.brokers.get_mut(&id) else { return Vec::new() };
        let State::Open(_, sent) = &mut broker.state else { return Vec::new() };
        match answered(sent.front(), answer) {
            Some(answer) => {
                sent.pop_front();
                broker.retry = Retry::default();
                vec![Event::Answered(answer)]
            }
            None => self.close(id, "its answer is to something else"),
        }
    }

    fn close(&mut self, id: i32, why: &str) -> Vec<Event> {
        let Some(broker) = self.brokers.get_mut(&id) else { return Vec::new() };
        broker.retry.later();
        let was = std::mem::replace(&mut broker.state, State::Away);
        let State::Open(_, sent) = was else { return Vec::new() };
        let streams = sent.iter().map(|s| s.stream).collect();
        let (broker, text) = (broker.address.clone(), why.to_owned());
        vec![Event::Closed(streams, LinkFault::Failing { broker, doing: "deliver", text })]
    }
}

/// What an answer says of the batch that was sent first.
fn answered(sent: Option<&Sent>, answer: Bytes) -> Option<Answer> {
    let sent = sent?;
    let answer: ProduceResponse = decoded(&PRODUCE, sent.correlation, answer).ok()?;
    let partition = answer.responses.first()?.partition_responses.first()?;
    Some(Answer {
        stream: sent.stream,
        at: sent.at,
        code: partition.error_code,
        verdict: verdict(partition.error_code),
        offset: partition.base_offset,
    })
}

/// The frame's payload as a Kafka batch.
fn records(batch: &Batch<'_>) -> Bytes {
    let info = &batch.frame.batch;
    let payload_bytes = info.payload_bytes as usize;
    let payload = batch.bytes.get(HEADER_BYTES..HEADER_BYTES + payload_bytes).unwrap_or_default();
    let head = BatchHead {
        base_timestamp_ms: info.base_timestamp_ms,
        max_timestamp_ms: info.max_timestamp_ms,
        count: info.count,
        producer: batch.producer,
    };
    let mut records = BytesMut::with_capacity(BATCH_HEADER_BYTES + payload.len());
    records.extend_from_slice(&head.encode(payload));
    records.extend_from_slice(payload);
    records.freeze()
}

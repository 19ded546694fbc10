//! Connections to the brokers that lead partitions, and which batches are under way on each.

use super::{
    config::KafkaConfig,
    contact::{Retry, alarm_of},
    link::{Link, LinkFault, Pipe, REQUESTS_MAX, Teller, Told, told_channel},
    produce::{Answer, Batch, Draft, Posted, Sender},
    tls::Tls,
};
use crate::alarms::Alarm;
use brink_proto::ids::{Name, StreamId};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::Receiver, task::JoinHandle};

/// How long an answer may take; then the connection is given up, and the batches go again.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// BOUND: bytes of the frames that a broker has not answered, unless it is one alone. They are held
/// until they are written, so a broker that reads nothing holds so much.
const PIPE_BYTES_MAX: usize = 1 << 20;

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
    Open(Open),
    Away,
}

/// A connection, and what is under way on it.
struct Open {
    pipe: Pipe,
    /// BOUND: [`REQUESTS_MAX`], together with the drafts.
    sent: VecDeque<(Posted, Instant)>,
    drafts: Vec<Draft>,
    /// Bytes of the frames in both.
    bytes: usize,
}

impl Open {
    /// The draft that takes a batch: none before one that has a batch of its partition.
    fn place_of(&self, topic: Name, partition: i32, bytes: usize) -> Option<usize> {
        if self.bytes > 0 && self.bytes + bytes > PIPE_BYTES_MAX {
            return None;
        }
        let behind = self.drafts.iter().rposition(|d| d.has(topic, partition));
        let mut may = behind.map_or(0, |at| at + 1)..self.drafts.len();
        let draft = may.find(|at| self.drafts.get(*at).is_some_and(|d| d.has_room(bytes)));
        let is_free = self.sent.len() + self.drafts.len() < REQUESTS_MAX;
        draft.or(is_free.then_some(self.drafts.len()))
    }
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

    /// Whether there is a connection to a broker.
    pub(crate) fn is_open(&self, broker: i32) -> bool {
        let state = self.brokers.get(&broker).map(|broker| &broker.state);
        matches!(state, Some(State::Open(_)))
    }

    /// Begins a connection to a broker that has none, once it is time.
    pub(crate) fn dial(&mut self, broker: i32) {
        let Some(broker) = self.brokers.get_mut(&broker) else { return };
        if matches!(broker.state, State::Away) && broker.retry.is_due() {
            let (address, config) = (broker.address.clone(), Rc::clone(&self.config));
            let tls = self.tls.clone();
            let dial = async move { Link::dial(&address, &config, tls.as_deref()).await };
            broker.state = State::Dialling(tokio::task::spawn_local(dial));
        }
    }

    /// Whether a broker takes a batch of so many bytes for a partition now.
    pub(crate) fn takes(&self, broker: i32, topic: Name, partition: i32, bytes: usize) -> bool {
        let state = self.brokers.get(&broker).map(|broker| &broker.state);
        let Some(State::Open(open)) = state else { return false };
        open.place_of(topic, partition, bytes).is_some()
    }

    /// Adds a batch to what goes to a broker with [`Pipes::send`], which takes it.
    pub(crate) fn add(&mut self, broker: i32, batch: Batch) {
        let state = self.brokers.get_mut(&broker).map(|broker| &mut broker.state);
        let Some(State::Open(open)) = state else { return };
        let bytes = batch.bytes.len();
        let topic = batch.frame.batch.stream.topic;
        let Some(at) = open.place_of(topic, batch.partition, bytes) else { return };
        if at == open.drafts.len() {
            open.drafts.push(Draft::default());
        }
        open.bytes += bytes;
        open.drafts[at].add(batch);
    }

    /// Sends what was added.
    pub(crate) fn send(&mut self) {
        for broker in self.brokers.values_mut() {
            let State::Open(open) = &mut broker.state else { continue };
            for draft in open.drafts.drain(..) {
                let correlation = open.pipe.next();
                let sender = Sender::plain(&self.config.topic_prefix);
                let (request, posted) = draft.finish(correlation, sender);
                open.pipe.send(request);
                open.sent.push_back((posted, Instant::now()));
            }
        }
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
            State::Open(_) => false,
        })
    }

    /// Takes what has come, and gives up what takes too long.
    pub(crate) async fn take(&mut self) -> Vec<Event> {
        let mut events = self.take_dialled().await;
        while let Ok(told) = self.told.try_recv() {
            events.extend(self.handle(told));
        }
        let is_late = |(_, broker): &(&i32, &Broker)| match &broker.state {
            State::Open(open) => {
                open.sent.front().is_some_and(|(_, since)| since.elapsed() > ANSWER_MAX)
            }
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
                    let (sent, drafts) = (VecDeque::new(), Vec::new());
                    broker.state = State::Open(Open { pipe, sent, drafts, bytes: 0 });
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
            State::Open(open) => open.pipe.number == number,
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
        let State::Open(open) = &mut broker.state else { return Vec::new() };
        let posted = open.sent.pop_front();
        let answers = posted.as_ref().and_then(|(posted, _)| {
            open.bytes -= posted.bytes;
            posted.answers(answer, &self.config.topic_prefix)
        });
        if let Some(answers) = answers {
            broker.retry = Retry::default();
            return answers.into_iter().map(Event::Answered).collect();
        }
        // Its batches are among those whose answers never come.
        open.sent.extend(posted);
        self.close(id, "its answer is to something else")
    }

    fn close(&mut self, id: i32, why: &str) -> Vec<Event> {
        let Some(broker) = self.brokers.get_mut(&id) else { return Vec::new() };
        broker.retry.later();
        let was = std::mem::replace(&mut broker.state, State::Away);
        let State::Open(open) = was else { return Vec::new() };
        let streams = open.sent.iter().flat_map(|(posted, _)| posted.streams()).collect();
        let (broker, text) = (broker.address.clone(), why.to_owned());
        vec![Event::Closed(streams, LinkFault::Failing { broker, doing: "deliver", text })]
    }
}

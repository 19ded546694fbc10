//! What stands between a Kafka client and a real broker, and fails as it is told to.
//!
//! ```text
//!  client ── request ──▶ proxy ── the same, byte for byte ──▶ broker
//!         ◀─ answer, none, or our own ── proxy ◀─ answer
//! ```
//!
//! It knows where requests and answers begin and end, and meddles with batches alone. Answers keep
//! the order of their requests, as a broker's do. A broker has to send its clients here
//! (`BRINK_KAFKA_ADVERTISED`).

use crate::asking::let_live;
use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader,
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{Decodable, Encodable},
};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What happens to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This code is answered, and the broker hears nothing of it.
    Answer(i16),
    /// The broker takes it, and this code is answered.
    AnswerAfter(i16),
    /// The broker takes it, and the answer is lost. With the last one that was to be lost the
    /// connection is closed.
    LoseAnswer,
    /// The broker takes it, and its answer comes this much later.
    Delay(Duration),
    /// It trickles to the broker, and the answer comes in single bytes.
    Drip,
}

/// BOUND: requests of one connection that wait for their answers.
const UNDER_WAY_MAX: usize = 1024;

/// BOUND: the largest request or answer.
const BYTES_MAX: usize = 64 << 20;

/// BOUND: pieces of a request that trickles, and the time between them.
const TRICKLES: usize = 20;
const TRICKLE: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Plan {
    /// Where connections go; nobody gets through without it.
    broker: Option<SocketAddr>,
    /// The fault, and how often it still strikes.
    fault: Option<(Fault, u32)>,
    struck: u32,
    /// Answers that are still to be lost before the connection is.
    to_lose: u32,
    /// To close them.
    connections: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<Plan>,
    ends: AtomicBool,
}

/// The proxy, which ends with this value.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one that refuses everybody until it has a broker.
    ///
    /// # Panics
    /// When there is no port for it.
    #[must_use]
    pub fn start() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // ORDER: Relaxed, the connection that wakes us comes after the store.
                if ours.ends.load(Ordering::Relaxed) {
                    return;
                }
                // A connection that breaks is a fault like the others: the sink has to cope.
                let _ = ours.join(client);
            }
        });
        Proxy { address, shared, accepting: Some(accepting) }
    }

    /// Where connections go from now on, those that are open included: they are closed.
    pub fn send_to(&self, broker: Option<SocketAddr>) {
        let mut plan = self.shared.plan();
        plan.broker = broker;
        plan.connections.drain(..).for_each(|open| close(&open));
    }

    /// From now on, so many batches fare like this.
    pub fn inject(&self, fault: Fault, times: u32) {
        let mut plan = self.shared.plan();
        plan.fault = Some((fault, times));
        plan.to_lose = times;
    }

    /// From now on, all batches fare like this.
    pub fn inject_always(&self, fault: Fault) {
        self.inject(fault, u32::MAX);
    }

    /// From now on, everything is passed on.
    pub fn clear(&self) {
        self.shared.plan().fault = None;
    }

    /// How many batches something was done to.
    #[must_use]
    pub fn struck(&self) -> u32 {
        self.shared.plan().struck
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.send_to(None);
        // ORDER: Relaxed, as in the accepting thread.
        self.shared.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

/// What is to be said to a client next.
enum Due {
    /// What the broker answers, unless something happens to it.
    Answer { version: i16, fault: Option<Fault> },
    /// What the proxy has made.
    Made(Vec<u8>),
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
        let broker = self.plan().broker.ok_or(io::ErrorKind::ConnectionRefused)?;
        let broker = TcpStream::connect(broker)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        self.plan().connections.push(client.try_clone()?);
        let (told, due) = sync_channel(UNDER_WAY_MAX);
        let (to_client, from_broker) = (client.try_clone()?, broker.try_clone()?);
        let (asking, answering) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || {
            let _ = asking.pass_requests(&client, &broker, &told);
            close(&broker);
            close(&client);
        });
        thread::spawn(move || {
            let _ = answering.pass_answers(&from_broker, &to_client, &due);
            close(&from_broker);
            close(&to_client);
        });
        Ok(())
    }

    /// What happens to the next batch.
    fn fault(&self) -> Option<Fault> {
        let mut plan = self.plan();
        let (fault, left) = plan.fault.as_mut().filter(|(_, left)| *left > 0)?;
        *left -= 1;
        let fault = *fault;
        plan.struck += 1;
        Some(fault)
    }

    fn pass_requests(
        &self,
        mut client: &TcpStream,
        mut broker: &TcpStream,
        told: &SyncSender<Due>,
    ) -> io::Result<()> {
        loop {
            let request = read(&mut client)?;
            let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
            let (key, version) = (number(4), number(6));
            let fault = if key == ApiKey::Produce as i16 { self.fault() } else { None };
            let due = match fault {
                Some(Fault::Answer(code)) => Due::Made(refusal(&request, version, code)?),
                _ => Due::Answer { version, fault },
            };
            let made = matches!(due, Due::Made(_));
            told.send(due).map_err(io::Error::other)?;
            match fault {
                _ if made => {}
                Some(Fault::Drip) => {
                    for piece in request.chunks(request.len().div_ceil(TRICKLES)) {
                        broker.write_all(piece)?;
                        let_live(TRICKLE);
                    }
                }
                _ => broker.write_all(&request)?,
            }
        }
    }

    fn pass_answers(
        &self,
        mut broker: &TcpStream,
        mut client: &TcpStream,
        due: &Receiver<Due>,
    ) -> io::Result<()> {
        for due in due {
            let (version, fault) = match due {
                Due::Made(answer) => {
                    client.write_all(&answer)?;
                    continue;
                }
                Due::Answer { version, fault } => (version, fault),
            };
            let answer = read(&mut broker)?;
            match fault {
                Some(Fault::LoseAnswer) => {
                    let mut plan = self.plan();
                    plan.to_lose = plan.to_lose.saturating_sub(1);
                    if plan.to_lose == 0 {
                        return Ok(());
                    }
                }
                Some(Fault::AnswerAfter(code)) => {
                    client.write_all(&changed(&answer, version, code)?)?;
                }
                Some(Fault::Delay(time)) => {
                    let_live(time);
                    client.write_all(&answer)?;
                }
                Some(Fault::Drip) => {
                    for byte in answer.chunks(1) {
                        client.write_all(byte)?;
                    }
                }
                Some(Fault::Answer(_)) | None => client.write_all(&answer)?,
            }
        }
        Ok(())
    }
}

/// A request or an answer, with its length in front.
fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let bytes = u32::from_be_bytes(length) as usize;
    assert!((8..BYTES_MAX).contains(&bytes), "{bytes} bytes of a request or answer");
    let mut whole = length.to_vec();
    whole.resize(4 + bytes, 0);
    from.read_exact(&mut whole[4..])?;
    Ok(whole)
}

/// The answer of a broker that does not take any of the batches of a request.
fn refusal(request: &[u8], version: i16, code: i16) -> io::Result<Vec<u8>> {
    let mut rest = Bytes::copy_from_slice(&request[4..]);
    let header = ApiKey::Produce.request_header_version(version);
    let header = RequestHeader::decode(&mut rest, header).map_err(io::Error::other)?;
    let request = ProduceRequest::decode(&mut rest, version).map_err(io::Error::other)?;
    let refused = |index: i32| {
        PartitionProduceResponse::default()
            .with_index(index)
            .with_error_code(code)
            .with_base_offset(-1)
    };
    let topics = request.topic_data.into_iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|p| refused(p.index)).collect();
        TopicProduceResponse::default().with_name(topic.name).with_partition_responses(partitions)
    });
    let answer = ProduceResponse::default().with_responses(topics.collect());
    written(header.correlation_id, version, &answer)
}

/// A broker's answer with another code for all batches.
fn changed(answer: &[u8], version: i16, code: i16) -> io::Result<Vec<u8>> {
    let mut rest = Bytes::copy_from_slice(&answer[4..]);
    let header = ApiKey::Produce.response_header_version(version);
    let header = ResponseHeader::decode(&mut rest, header).map_err(io::Error::other)?;
    let mut answer = ProduceResponse::decode(&mut rest, version).map_err(io::Error::other)?;
    for partition in answer.responses.iter_mut().flat_map(|t| &mut t.partition_responses) {
        (partition.error_code, partition.base_offset) = (code, -1);
    }
    written(header.correlation_id, version, &answer)
}

fn written(correlation: i32, version: i16, answer: &ProduceResponse) -> io::Result<Vec<u8>> {
    let mut bytes = BytesMut::from(&[0; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    let header_version = ApiKey::Produce.response_header_version(version);
    header.encode(&mut bytes, header_version).map_err(io::Error::other)?;
    answer.encode(&mut bytes, version).map_err(io::Error::other)?;
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes.to_vec())
}

fn close(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

//! One connection to one broker: dialled, made secret, introduced, and then either asked and
//! answered in turn ([`Link::call`], and [`Link::post`] for batches), or fed with batches whose
//! answers come when they come ([`Link::into_pipe`]).
//!
//! ```text
//!  sink ─▶ requests ─▶ writer task ─▶ broker ─▶ reader task ─▶ answers ─▶ sink
//! ```
//!
//! The two tasks are why a broker that reads slowly, or not at all, holds up no other connection.
//! What its topics have waits for it until it is given up, which is decided in `pipes`.

use super::{
    config::{KafkaConfig, SaslConfig},
    faults::told,
    produce::{Answer, Draft, Request, Sender as BatchSender},
    sasl::Exchange,
    tls::Tls,
};
use crate::steps::Step;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    error::ResponseError,
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, ResponseHeader, SaslAuthenticateRequest,
        SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
    },
    protocol::{Decodable, Encodable, StrBytes},
};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
    time::timeout,
};

/// How long a connection may take to be made and to be introduced.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// How long one answer may take.
const CALL_MAX: Duration = Duration::from_secs(15);

/// BOUND: bytes of one answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// BOUND: requests with a broker that are not answered. It looks at one at a time: what is ready
/// meanwhile goes together in the next one. It remembers five batches of a producer in order.
pub(crate) const REQUESTS_MAX: usize = 5;

/// BOUND: answers of all brokers that wait for the sink; a reader with more to say waits.
const ANSWERS_MAX: usize = 32;

/// The answers to a few requests.
const READ_BYTES: usize = 4096;

/// Why a broker cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkFault {
    /// It does not answer, or not well; that may pass.
    #[error("broker {broker}: cannot {doing}: {text}")]
    Failing { broker: String, doing: &'static str, text: String },
    /// It does not want us, or is too old: a person must look.
    #[error("broker {broker} refuses: {text}")]
    Refusing { broker: String, text: String },
}

/// A byte stream, in the clear or not.
trait ByteStream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream for S {}

/// A version of a request that every broker since Kafka 2.8 understands.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
}

const API_VERSIONS: Api = Api { key: ApiKey::ApiVersions, version: 3 };
const OLDEST_API_VERSIONS: Api = Api { key: ApiKey::ApiVersions, version: 0 };
const SASL_HANDSHAKE: Api = Api { key: ApiKey::SaslHandshake, version: 1 };
const SASL_AUTHENTICATE: Api = Api { key: ApiKey::SaslAuthenticate, version: 2 };
pub(crate) const METADATA: Api = Api { key: ApiKey::Metadata, version: 10 };
pub(crate) const CREATE_TOPICS: Api = Api { key: ApiKey::CreateTopics, version: 5 };
pub(crate) const DESCRIBE_CONFIGS: Api = Api { key: ApiKey::DescribeConfigs, version: 4 };
pub(crate) const INIT_PRODUCER_ID: Api = Api { key: ApiKey::InitProducerId, version: 4 };
pub(crate) const LIST_OFFSETS: Api = Api { key: ApiKey::ListOffsets, version: 5 };
pub(crate) const FETCH: Api = Api { key: ApiKey::Fetch, version: 11 };
pub(crate) const FIND_COORDINATOR: Api = Api { key: ApiKey::FindCoordinator, version: 3 };
pub(crate) const ADD_PARTITIONS: Api = Api { key: ApiKey::AddPartitionsToTxn, version: 3 };
pub(crate) const END_TRANSACTION: Api = Api { key: ApiKey::EndTxn, version: 3 };
pub(crate) const PRODUCE: Api = Api { key: ApiKey::Produce, version: 9 };

/// What is asked of a broker before it is trusted with anything.
const NEEDED: [&Api; 4] = [&METADATA, &CREATE_TOPICS, &INIT_PRODUCER_ID, &PRODUCE];

/// What transactions need beside that.
const NEEDED_BY_TRANSACTIONS: [&Api; 6] = [
    &FIND_COORDINATOR,
    &ADD_PARTITIONS,
    &END_TRANSACTION,
    &DESCRIBE_CONFIGS,
    &LIST_OFFSETS,
    &FETCH,
];

/// A connection that is asked and answered in turn.
pub(crate) struct Link {
    broker: String,
    stream: Box<dyn ByteStream>,
    correlation: i32,
}

impl Link {
    /// Dials a broker, `host:port`, and introduces itself.
    pub(crate) async fn dial(
        broker: &str,
        config: &KafkaConfig,
        tls: Option<&Tls>,
    ) -> Result<Link, LinkFault> {
        let dialling = async {
            let stream = TcpStream::connect(broker).await.map_err(failing(broker, "connect"))?;
            stream.set_nodelay(true).map_err(failing(broker, "set up"))?;
            let stream: Box<dyn ByteStream> = match tls {
                None => Box::new(stream),
                Some(tls) => Box::new(tls.wrap(broker, stream).await?),
            };
            let mut link = Link { broker: broker.to_owned(), stream, correlation: 0 };
            link.agree(config).await?;
            if let Some(sasl) = &config.sasl {
                link.prove(sasl).await?;
            }
            Ok(link)
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "it took too long");
        timeout(DIAL_MAX, dialling)
            .await
            .unwrap_or_else(|_| Err(failing(broker, "connect")(late())))
    }

    /// Whether it understands what is going to be asked.
    async fn agree(&mut self, config: &KafkaConfig) -> Result<(), LinkFault> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(CLIENT))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = self.ask(&API_VERSIONS, &request, || ()).await?;
        let understood =
            understood(self.correlation, answer).map_err(failing(&self.broker, "ask"))?;
        let lack = lack(&understood, config.transactions);
        lack.map_or(Ok(()), |lack| Err(self.refusing(format!("{lack}; Kafka 2.8 or newer has it"))))
    }

    async fn prove(&mut self, sasl: &SaslConfig) -> Result<(), LinkFault> {
        let mechanism = StrBytes::from_static_str(sasl.mechanism.name());
        let request = SaslHandshakeRequest::default().with_mechanism(mechanism);
        let answer: SaslHandshakeResponse = self.call(&SASL_HANDSHAKE, &request).await?;
        if answer.error_code != 0 {
            let theirs: Vec<&str> = answer.mechanisms.iter().map(|m| m.as_str()).collect();
            let ours = sasl.mechanism.name();
            return Err(self.refusing(format!("it takes {theirs:?} and not {ours}")));
        }
        let fault = |link: &Link, fault: super::sasl::SaslFault| link.refusing(fault.to_string());
        let (mut said, mut exchange) = Exchange::begin(sasl).map_err(|f| fault(self, f))?;
        loop {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(said));
            let answer: SaslAuthenticateResponse = self.call(&SASL_AUTHENTICATE, &request).await?;
            if answer.error_code != 0 {
                let told = told(answer.error_code);
                let user = &sasl.username;
                return Err(self.refusing(format!("{told}; check user {user:?} and its password")));
            }
            match exchange.answer(&answer.auth_bytes).map_err(|f| fault(self, f))? {
                Some(next) => (said, exchange) = next,
                None => return Ok(()),
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<A: Decodable>(
        &mut self,
        api: &Api,
        request: &impl Encodable,
    ) -> Result<A, LinkFault> {
        self.call_passing(api, request, || ()).await
    }

    /// The same; `sent` is called once the request is with the kernel.
    pub(crate) async fn call_passing<A: Decodable>(
        &mut self,
        api: &Api,
        request: &impl Encodable,
        sent: impl FnOnce(),
    ) -> Result<A, LinkFault> {
        let answer = self.ask(api, request, sent).await?;
        decoded(api, self.correlation, answer).map_err(failing(&self.broker, "ask"))
    }

    /// The same; the answer as it came.
    async fn ask(
        &mut self,
        api: &Api,
        request: &impl Encodable,
        sent: impl FnOnce(),
    ) -> Result<Bytes, LinkFault> {
        self.correlation = self.correlation.wrapping_add(1);
        let bytes = encoded(api, self.correlation, request)
            .map_err(failing(&self.broker, "encode a request"))?;
        let exchange = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await?;
            sent();
            read_answer(&mut self.stream).await
        };
        in_time(exchange).await.map_err(failing(&self.broker, "ask"))
    }

    /// Sends batches, at most [`REQUESTS_MAX`] requests of them, and waits for the answers to all.
    pub(crate) async fn post(
        &mut self,
        drafts: impl IntoIterator<Item = Draft>,
        sender: BatchSender<'_>,
    ) -> Result<Vec<Answer>, LinkFault> {
        let mut requests = Vec::with_capacity(REQUESTS_MAX);
        for draft in drafts.into_iter().take(REQUESTS_MAX) {
            self.correlation = self.correlation.wrapping_add(1);
            requests.push(draft.finish(self.correlation, sender));
        }
        let exchange = async {
            for (request, _) in &requests {
                request.write(&mut self.stream).await?;
            }
            let mut answers = Vec::new();
            for (_, posted) in &requests {
                let answer = posted.answers(read_answer(&mut self.stream).await?, sender.prefix);
                answers.extend(answer.ok_or_else(of_something_else)?);
            }
            Ok(answers)
        };
        in_time(exchange).await.map_err(failing(&self.broker, "send batches"))
    }

    fn refusing(&self, text: String) -> LinkFault {
        LinkFault::Refusing { broker: self.broker.clone(), text }
    }

    /// Makes a pipe of the connection, whose answers go to `told` with the number of the pipe.
    pub(crate) fn into_pipe(self, number: u64, told: Teller) -> Pipe {
        let (reader, writer) = tokio::io::split(self.stream);
        let (queue, queued) = mpsc::channel(REQUESTS_MAX);
        let reading = tokio::task::spawn_local(read_answers(reader, number, told.clone()));
        let writing = tokio::task::spawn_local(write_requests(writer, queued, number, told));
        Pipe { number, queue, correlation: self.correlation, tasks: [reading, writing] }
    }
}

/// Where pipes say something, each with its number.
pub(crate) type Teller = Sender<(u64, Told)>;

/// What a pipe says.
#[derive(Debug)]
pub(crate) enum Told {
    /// An answer, behind its length.
    Answer(Bytes),
    /// It is over.
    Closed(String),
}

/// A connection that is fed with requests. Dropped, it closes.
pub(crate) struct Pipe {
    pub(crate) number: u64,
    queue: Sender<Request>,
    correlation: i32,
    tasks: [JoinHandle<()>; 2],
}

impl Pipe {
    /// The number of the next request.
    pub(crate) fn next(&mut self) -> i32 {
        self.correlation = self.correlation.wrapping_add(1);
        self.correlation
    }

    /// Queues a request. Whoever has fewer than [`REQUESTS_MAX`] unanswered finds room, unless the
    /// connection is gone; then that is told.
    pub(crate) fn send(&self, request: Request) {
        let _ = self.queue.try_send(request);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Where all pipes of a sink tell it something.
pub(crate) fn told_channel() -> (Teller, Receiver<(u64, Told)>) {
    mpsc::channel(ANSWERS_MAX)
}

async fn read_answers(stream: ReadHalf<Box<dyn ByteStream>>, number: u64, told: Teller) {
    let mut stream = BufReader::with_capacity(READ_BYTES, stream);
    loop {
        let what = match read_answer(&mut stream).await {
            Ok(answer) => Told::Answer(answer),
            Err(error) => Told::Closed(error.to_string()),
        };
        let over = matches!(what, Told::Closed(_));
        if told.send((number, what)).await.is_err() || over {
            return;
        }
    }
}

async fn write_requests(
    mut stream: WriteHalf<Box<dyn ByteStream>>,
    mut queued: Receiver<Request>,
    number: u64,
    told: Teller,
) {
    while let Some(request) = queued.recv().await {
        if let Err(error) = request.write(&mut stream).await {
            let _ = told.send((number, Told::Closed(error.to_string()))).await;
            return;
        }
        Step::BatchSent.pass();
    }
}

/// What a broker says that it understands. One that does not even understand how it was asked says
/// so in the oldest version.
fn understood(correlation: i32, answer: Bytes) -> io::Result<ApiVersionsResponse> {
    let refused = ResponseError::UnsupportedVersion.code().to_be_bytes();
    let is_oldest = answer.get(4..6) == Some(&refused[..]);
    let api = if is_oldest { OLDEST_API_VERSIONS } else { API_VERSIONS };
    decoded(&api, correlation, answer)
}

/// What a broker does not understand of what is going to be asked.
fn lack(understood: &ApiVersionsResponse, transactions: bool) -> Option<String> {
    let more: &[_] = if transactions { &NEEDED_BY_TRANSACTIONS } else { &[] };
    let mut needed = NEEDED.iter().chain(more).map(|api| (api.key, api.version));
    needed.find_map(|(key, version)| {
        let known = understood.api_keys.iter().find(|known| known.api_key == key as i16);
        let theirs = known.map(|known| known.min_version..=known.max_version);
        match theirs {
            Some(theirs) if theirs.contains(&version) => None,
            Some(theirs) => Some(format!(
                "it understands {key:?} in versions {} to {} and version {version} is needed",
                theirs.start(),
                theirs.end()
            )),
            None => Some(format!("it does not understand {key:?}, which is needed")),
        }
    })
}

/// A request, with its length in front.
fn encoded(api: &Api, correlation: i32, request: &impl Encodable) -> io::Result<BytesMut> {
    let mut out = BytesMut::with_capacity(256);
    start_request(&mut out, api, correlation);
    request.encode(&mut out, api.version).map_err(io::Error::other)?;
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out)
}

/// Room for a request's length, and its header.
pub(crate) fn start_request(out: &mut BytesMut, api: &Api, correlation: i32) {
    out.put_u32(0);
    out.put_i16(api.key as i16);
    out.put_i16(api.version);
    out.put_i32(correlation);
    out.put_i16(CLIENT.len() as i16);
    out.put_slice(CLIENT.as_bytes());
    // From the second version of the header on it has a count of tagged fields.
    if api.key.request_header_version(api.version) >= 2 {
        out.put_u8(0);
    }
}

/// What a broker knows us by in its logs.
const CLIENT: &str = "brink";

/// The answer to a request. What is to another one, or no answer at all, is not looked into: the
/// decoder believes what it is told of the length of lists.
pub(crate) fn decoded<A: Decodable>(
    api: &Api,
    correlation: i32,
    mut answer: Bytes,
) -> io::Result<A> {
    let version = api.key.response_header_version(api.version);
    let header = ResponseHeader::decode(&mut answer, version).map_err(io::Error::other)?;
    if header.correlation_id != correlation {
        return Err(of_something_else());
    }
    A::decode(&mut answer, api.version).map_err(io::Error::other)
}

fn of_something_else() -> io::Error {
    io::Error::other("its answer is to something else")
}

/// What an exchange comes to, unless it takes too long.
async fn in_time<T>(exchange: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer came in time");
    timeout(CALL_MAX, exchange).await.unwrap_or_else(|_| Err(late()))
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let length = stream.read_u32().await? as usize;
    if length > ANSWER_BYTES_MAX {
        let text = format!("an answer of {length} bytes, and {ANSWER_BYTES_MAX} is the most");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(Bytes::from(answer))
}

/// An error of a broker, while something was done.
pub(crate) fn failing(broker: &str, doing: &'static str) -> impl Fn(io::Error) -> LinkFault {
    move |error| LinkFault::Failing { broker: broker.to_owned(), doing, text: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    #[test]
    fn what_a_broker_does_not_understand_is_told_with_what_it_does() {
        let all: Vec<_> = NEEDED.iter().chain(&NEEDED_BY_TRANSACTIONS).collect();
        let check = |changed: ApiKey, versions: Option<(i16, i16)>, transactions: bool| {
            let known = all.iter().filter_map(|api| {
                let is_changed = api.key == changed;
                let (min, max) = if is_changed { versions? } else { (0, api.version) };
                let known = ApiVersion::default().with_api_key(api.key as i16);
                Some(known.with_min_version(min).with_max_version(max))
            });
            lack(&ApiVersionsResponse::default().with_api_keys(known.collect()), transactions)
        };
        assert_eq!(check(ApiKey::Heartbeat, None, true), None);
        assert_eq!(check(ApiKey::EndTxn, None, false), None);
        let rows = [
            (ApiKey::Produce, Some((3, 8)), "Produce in versions 3 to 8 and version 9 is needed"),
            (ApiKey::Metadata, Some((11, 13)), "Metadata in versions 11 to 13 and version 10"),
            (ApiKey::EndTxn, None, "it does not understand EndTxn, which is needed"),
        ];
        for (key, versions, want) in rows {
            let told = check(key, versions, true).expect("it lacks something");
            assert!(told.contains(want), "{told}");
        }
    }

    #[test]
    fn a_broker_that_does_not_understand_how_it_is_asked_understands_nothing() {
        // The number of the request, the code, and an empty list.
        let answer = Bytes::from_static(&[0, 0, 0, 7, 0, 35, 0, 0, 0, 0]);
        let told = lack(&understood(7, answer.clone()).expect("an answer"), false);
        assert_eq!(told.as_deref(), Some("it does not understand Metadata, which is needed"));
        assert!(understood(8, answer).is_err(), "it is to something else");
    }
}

//! One connection: one request in flight, and an answer that is whole or none.

use crate::scenario::Answer;
use mio::{Interest, Registry, Token, net::TcpStream};
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt::set_tcp_congestion};
use std::{cmp, io, net::SocketAddr};

/// A connection to the server, and those that are made in its place.
pub(super) struct Client {
    /// Whose requests it sends.
    pub(super) lane: usize,
    pub(super) state: State,
    /// The request in flight.
    pub(super) flight: Option<Flight>,
    /// Requests that this connection has had.
    pub(super) requests: u32,
    /// Whether it stands in the queue of free connections.
    pub(super) queued: bool,
    stream: Option<TcpStream>,
    /// The beginning of an answer. BOUND: [`ANSWER_BYTES_MAX`].
    received: Vec<u8>,
    /// The end of a request that the socket had no room for. BOUND: one request.
    unsent: Vec<u8>,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is none, and none is tried before then. Moments are nanoseconds since the start.
    Closed {
        /// When to try again.
        until: u64,
    },
    /// It is being made.
    Connecting {
        /// Since when.
        since: u64,
    },
    /// It is made.
    Ready,
}

/// A request in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flight {
    /// Its number.
    pub(super) number: u64,
    /// When it was due, in nanoseconds since the start.
    pub(super) due: u64,
    /// When it was sent.
    pub(super) sent: u64,
    /// What its answer looks like.
    pub(super) shape: Shape,
}

/// What an answer looks like, as far as the request decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As its head says.
    Whole,
    /// There is no body, whatever the head says: the request was HEAD.
    NoBody,
}

/// What a connection has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress<'a> {
    /// Nothing yet.
    Waiting,
    /// An answer.
    Answer(Answer<'a>),
    /// The server has closed it.
    Closed,
    /// The bytes are no HTTP, or more than was asked for.
    Garbage,
}

/// How much of a request the socket had room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it.
    All,
    /// The rest waits: see [`Client::send_rest`].
    InPart,
}

/// Read at once.
const READ_BYTES: usize = 64 * 1024;

/// BOUND: an answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// BOUND: headers of an answer.
const HEADERS_MAX: usize = 64;

impl Client {
    pub(super) fn new(lane: usize) -> Client {
        Client {
            lane,
            state: State::Closed { until: 0 },
            flight: None,
            requests: 0,
            queued: false,
            stream: None,
            received: Vec::new(),
            unsent: Vec::new(),
        }
    }

    /// Begins to connect, and is told when that is done.
    pub(super) fn connect(
        &mut self,
        address: SocketAddr,
        now: u64,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        self.close(now);
        let mut stream = TcpStream::connect(address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.state = State::Connecting { since: now };
        self.stream = Some(stream);
        Ok(())
    }

    /// Is told from now on of what it waits for. Room is there nearly always: who asks for it is
    /// told of that with each answer that was taken before the kernel was asked.
    pub(super) fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let interest = match self.unsent.is_empty() {
            true => Interest::READABLE,
            false => Interest::READABLE | Interest::WRITABLE,
        };
        registry.reregister(stream, token, interest)
    }

    /// Closes the connection, if there is one; none is tried before `until`.
    pub(super) fn close(&mut self, until: u64) {
        // What is closed leaves the poll by itself.
        self.stream = None;
        self.state = State::Closed { until };
        self.flight = None;
        self.requests = 0;
        self.received.clear();
        self.unsent.clear();
    }

    /// Whether the connection that was begun is made now.
    pub(super) fn finish_connecting(&mut self) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Ok(false) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => {
                stream.set_nodelay(true)?;
                // A request is a segment or two: nothing to control, and reno does nothing the
                // quickest. What the server does with its answers is its own affair. A system that
                // does not let us has another one.
                let _ = set_tcp_congestion(stream, "reno");
                self.state = State::Ready;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a request. What the socket has no room for has to be watched for.
    pub(super) fn send(&mut self, request: &[u8], flight: Flight) -> io::Result<Sent> {
        self.received.clear();
        self.flight = Some(flight);
        self.requests += 1;
        let sent = self.write(request)?;
        if sent == request.len() {
            return Ok(Sent::All);
        }
        self.unsent.extend_from_slice(&request[sent..]);
        Ok(Sent::InPart)
    }

    /// Sends what the socket had no room for.
    pub(super) fn send_rest(&mut self) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let rest = std::mem::take(&mut self.unsent);
            let sent = self.write(&rest)?;
            self.unsent.extend_from_slice(&rest[sent..]);
        }
        Ok(())
    }

    /// Writes as much as there is room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut sent = 0;
        while sent < bytes.len() {
            match send(stream, &bytes[sent..], SendFlags::NOSIGNAL).map_err(io::Error::from) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Whether nothing more comes behind an answer: that may say so, or an event may have; where
    /// neither has said anything it is looked for, which costs a read.
    pub(super) fn is_over(&self, answer: Option<bool>, event: Option<bool>) -> bool {
        let Some(stream) = &self.stream else { return true };
        match (answer, event) {
            (Some(true), _) | (_, Some(true)) => true,
            (Some(false), _) | (_, Some(false)) => false,
            (None, None) => matches!(recv(stream, &mut [0u8], RecvFlags::PEEK), Ok((_, 0))),
        }
    }

    /// Reads what has come: until there is an answer, or nothing more. Events are edge-triggered,
    /// and tell but once of bytes and an end that came together.
    pub(super) fn read<'a>(&'a mut self, reading: &'a mut Reading) -> Progress<'a> {
        let Reading { room, last } = reading;
        let shape = self.flight.map_or(Shape::Whole, |flight| flight.shape);
        loop {
            let Some(stream) = &self.stream else { return Progress::Closed };
            let received = recv(stream, room.as_mut_slice(), RecvFlags::empty());
            let count = match received.map(|(count, _)| count).map_err(io::Error::from) {
                Ok(0) => return Progress::Closed,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Progress::Waiting;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Progress::Closed,
            };
            // A read that fills its room may have left the rest of an answer, or too much.
            let fills = count == room.len();
            if self.received.is_empty() && !fills {
                // Nearly every answer comes in one piece, and is looked at where it was read to.
                let framed = last.frame(&room[..count], shape);
                if framed != Framed::Partial {
                    return framed.of(&room[..count]);
                }
            }
            self.received.extend_from_slice(&room[..count]);
            if self.received.len() > ANSWER_BYTES_MAX {
                return Progress::Garbage;
            }
            if !fills {
                let framed = last.frame(&self.received, shape);
                if framed != Framed::Partial {
                    return framed.of(&self.received);
                }
            }
        }
    }
}

/// What a thread reads with.
pub(super) struct Reading {
    room: Vec<u8>,
    last: LastHead,
}

impl Reading {
    pub(super) fn new() -> Reading {
        Reading { room: vec![0; READ_BYTES], last: LastHead::default() }
    }
}

/// What the bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framed {
    Partial,
    Garbage,
    Whole { head: Head },
}

/// The head of an answer, as far as it matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    head_bytes: usize,
    body_bytes: usize,
    closes: Option<bool>,
}

impl Framed {
    /// What the bytes are that were framed.
    fn of(self, bytes: &[u8]) -> Progress<'_> {
        match self {
            Framed::Partial => Progress::Waiting,
            Framed::Garbage => Progress::Garbage,
            Framed::Whole { head: Head { status, head_bytes, closes, .. } } => {
                Progress::Answer(Answer { status, body: &bytes[head_bytes..], closes })
            }
        }
    }
}

/// The head that was parsed last. Most servers send the same one until the second of its date is
/// over, and a comparison costs a tenth of a parse.
#[derive(Default)]
struct LastHead {
    bytes: Vec<u8>,
    head: Head,
}

impl LastHead {
    /// One whole answer with a Content-Length, or without a body, and nothing behind it. Bodies in
    /// chunks are not understood: no answer that is made for speed has one.
    fn frame(&mut self, bytes: &[u8], shape: Shape) -> Framed {
        if self.bytes.is_empty() || !bytes.starts_with(&self.bytes) {
            let head = match parse(bytes) {
                Ok(Some(head)) => head,
                Ok(None) => return Framed::Partial,
                Err(NoHttp) => return Framed::Garbage,
            };
            self.bytes.clear();
            self.bytes.extend_from_slice(&bytes[..head.head_bytes]);
            self.head = head;
        }
        let mut head = self.head;
        if shape == Shape::NoBody || head.status == 204 || head.status == 304 {
            head.body_bytes = 0;
        }
        match bytes.len().cmp(&(head.head_bytes + head.body_bytes)) {
            cmp::Ordering::Less => Framed::Partial,
            cmp::Ordering::Equal => Framed::Whole { head },
            cmp::Ordering::Greater => Framed::Garbage,
        }
    }
}

struct NoHttp;

/// The head that bytes begin with, if it is there as a whole.
fn parse(bytes: &[u8]) -> Result<Option<Head>, NoHttp> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(NoHttp),
    };
    let status = response.code.ok_or(NoHttp)?;
    let mut head = Head { status, head_bytes, body_bytes: 0, closes: None };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
            head.body_bytes = length.filter(|length| *length <= ANSWER_BYTES_MAX).ok_or(NoHttp)?;
        } else if header.name.eq_ignore_ascii_case("connection") {
            let says = |what: &[u8]| header.value.eq_ignore_ascii_case(what);
            head.closes = says(b"close").then_some(true).or(says(b"keep-alive").then_some(false));
        }
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(bytes: &[u8], shape: Shape) -> Framed {
        LastHead::default().frame(bytes, shape)
    }

    #[test]
    fn an_answer_is_whole_or_it_is_none() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npong";
        for end in 0..whole.len() {
            assert_eq!(frame(&whole[..end], Shape::Whole), Framed::Partial, "{end}");
        }
        let answer = Answer { status: 200, body: b"pong", closes: Some(true) };
        assert_eq!(frame(whole, Shape::Whole).of(whole), Progress::Answer(answer));
        let more = [whole.as_slice(), b"x"].concat();
        assert_eq!(frame(&more, Shape::Whole), Framed::Garbage);
        assert_eq!(frame(b"SSH-2.0\r\n\r\n", Shape::Whole), Framed::Garbage);
    }

    #[test]
    fn some_answers_have_no_body_whatever_their_head_says() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n";
        assert_eq!(frame(head, Shape::Whole), Framed::Partial);
        assert!(matches!(frame(head, Shape::NoBody), Framed::Whole { .. }));
        for status in [204, 304] {
            for length in ["", "Content-Length: 43\r\n"] {
                let head = format!("HTTP/1.1 {status} No\r\n{length}\r\n");
                let framed = frame(head.as_bytes(), Shape::Whole).of(head.as_bytes());
                let answer = Answer { status, body: b"", closes: None };
                assert_eq!(framed, Progress::Answer(answer), "{head}");
            }
        }
    }

    #[test]
    fn an_answer_says_whether_it_is_the_last_or_it_does_not() {
        for (says, want) in [
            ("close", Some(true)),
            ("Keep-Alive", Some(false)),
            ("upgrade", None),
            ("keep-alive, x", None),
        ] {
            let bytes = format!("HTTP/1.1 204 No\r\nConnection: {says}\r\n\r\n");
            let Framed::Whole { head } = frame(bytes.as_bytes(), Shape::Whole) else {
                panic!("{says}: it is whole")
            };
            assert_eq!(head.closes, want, "{says}");
        }
    }

    #[test]
    fn a_length_that_nobody_would_wait_for_is_garbage() {
        for length in ["4194305", "99999999999999999999", "-1", "4x", ""] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(frame(head.as_bytes(), Shape::Whole), Framed::Garbage, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_reason_to_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0usize..60,
        ) {
            let _ = frame(&bytes, Shape::Whole).of(&bytes);
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
            let mixed = [&head[..cut.min(head.len())], &bytes].concat();
            let _ = frame(&mixed, Shape::Whole).of(&mixed);
        }

        #[test]
        fn what_was_parsed_before_changes_nothing(
            answers in prop::collection::vec(
                (prop::sample::select(vec![200, 204, 404]), 0usize..3, "[ab]{0,2}", "[x]{0,3}"),
                1..20,
            ),
        ) {
            let mut last = LastHead::default();
            for (status, length, name, body) in answers {
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nX: {name}\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                for end in [answer.len() / 2, answer.len()] {
                    let bytes = &answer.as_bytes()[..end];
                    for shape in [Shape::Whole, Shape::NoBody] {
                        prop_assert_eq!(last.frame(bytes, shape), frame(bytes, shape));
                    }
                }
            }
        }
    }
}

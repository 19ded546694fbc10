//! What stands between an object sink and a real S3 server, and fails as it is told to.
//!
//! ```text
//!  sink ── request ──▶ proxy ── the same, byte for byte ──▶ server
//!       ◀─ answer, none, half of one, or our own ── proxy ◀─ answer
//! ```
//!
//! Requests stay signed for the address that the sink knows, which is the proxy's: the server
//! checks what was signed and does not mind whose address it is. One connection carries one
//! request, so that each can end as it likes. [`sign`] is for the one fault that changes a request.

mod sign;

use crate::asking::let_live;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status is answered, and the server hears nothing of it.
    Answer(u16),
    /// The server does it, and this status is answered.
    AnswerAfter(u16),
    /// The server does it, and the connection is closed without an answer.
    LoseAnswer,
    /// The server does it, and the connection stays open without an answer until this fault is
    /// cleared.
    HoldAnswer,
    /// The connection is closed when half of the body has come.
    CloseInBody,
    /// The server hears of it this much later.
    Delay(Duration),
    /// The body is taken in over so long; then the server does it, whoever still waits.
    SlowBody(Duration),
    /// The same, and the server never hears of it.
    LostBody(Duration),
    /// The answer comes in single bytes, over so long.
    Drip(Duration),
    /// The server does not hear of the condition that the object must not exist.
    IgnoreCondition,
}

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Their method; any, if it is empty.
    pub method: &'static str,
    /// What their path has in it.
    pub path: &'static str,
}

/// The PUTs of objects with rows.
pub const OBJECTS: Target = Target { method: "PUT", path: ".parquet" };

/// The PUTs of manifests.
pub const MANIFESTS: Target = Target { method: "PUT", path: "_manifests" };

/// Every request.
pub const ALL: Target = Target { method: "", path: "" };

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// What was done to it.
    pub fault: Option<Fault>,
}

#[derive(Default)]
struct Plan {
    /// The fault, whom it is for, and how often it still strikes.
    fault: Option<(Fault, Target, u32)>,
    seen: Vec<Seen>,
}

struct Shared {
    upstream: SocketAddr,
    secret: String,
    plan: Mutex<Plan>,
    ends: AtomicBool,
}

/// The proxy, which ends with this value.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// BOUND: for any one read or write on either side.
const PATIENCE: Duration = Duration::from_secs(60);

/// BOUND: requests that are remembered.
const SEEN_MAX: usize = 100_000;

/// BOUND: the largest body that is taken.
const BODY_BYTES_MAX: usize = 64 << 20;

impl Proxy {
    /// Stands in front of a server. The secret is for [`Fault::IgnoreCondition`].
    ///
    /// # Panics
    /// When there is no port for it.
    #[must_use]
    pub fn start(upstream: SocketAddr, secret: &str) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            upstream,
            secret: secret.to_owned(),
            plan: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        let ours = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for client in listener.incoming() {
                // ORDER: Relaxed, the connection that wakes us comes after the store.
                if ours.ends.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&ours);
                // A connection that breaks is a fault like the others: the sink has to cope.
                thread::spawn(move || client.and_then(|client| shared.serve(&client)));
            }
        });
        Proxy { address, shared, accepting: Some(accepting) }
    }

    /// Its url, for the sink.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, so many requests of this kind fare like this.
    pub fn inject(&self, fault: Fault, target: Target, times: u32) {
        self.shared.plan().fault = Some((fault, target, times));
    }

    /// From now on, all requests of this kind fare like this.
    pub fn inject_always(&self, fault: Fault, target: Target) {
        self.inject(fault, target, u32::MAX);
    }

    /// From now on, everything is passed on.
    pub fn clear(&self) {
        self.shared.plan().fault = None;
    }

    /// The requests that came, in their order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.plan().seen.clone()
    }

    /// How many requests something was done to.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.shared.plan().seen.iter().filter(|seen| seen.fault.is_some()).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // ORDER: Relaxed, as in the accepting thread.
        self.shared.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a request; what happens to it.
    fn fault_for(&self, method: &str, path: &str) -> Option<Fault> {
        // A client may write these as it likes.
        let path = path.replace("%3D", "=");
        let mut plan = self.plan();
        let mut fault = None;
        if let Some((kind, target, left)) = &mut plan.fault {
            let is_meant = target.method.is_empty() || target.method == method;
            if is_meant && path.contains(target.path) && *left > 0 {
                *left -= 1;
                fault = Some(*kind);
            }
        }
        assert!(plan.seen.len() < SEEN_MAX, "more requests than any test makes");
        plan.seen.push(Seen { method: method.to_owned(), path, fault });
        fault
    }

    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(client);
        let mut head = Head::read(&mut reader)?;
        let fault = self.fault_for(&head.method, &head.path);
        let length = head.value("content-length").map_or(0, |l| l.parse().unwrap_or(0));
        let wanted = if fault == Some(Fault::CloseInBody) { length / 2 } else { length };
        let mut body = vec![0; wanted.min(BODY_BYTES_MAX)];
        match fault {
            Some(Fault::SlowBody(time) | Fault::LostBody(time)) => {
                slowly(&mut body, time, |part| reader.read_exact(part))?;
            }
            _ => reader.read_exact(&mut body)?,
        }
        let mut answer = match fault {
            Some(Fault::CloseInBody | Fault::LostBody(_)) => {
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::Answer(status)) => error(status),
            Some(Fault::Delay(time)) => {
                let_live(time);
                self.ask(&head, &body)?
            }
            Some(Fault::IgnoreCondition) => {
                head.remove("if-none-match");
                sign::sign(&mut head, &self.secret);
                self.ask(&head, &body)?
            }
            Some(
                Fault::AnswerAfter(_)
                | Fault::LoseAnswer
                | Fault::HoldAnswer
                | Fault::SlowBody(_)
                | Fault::Drip(_),
            )
            | None => self.ask(&head, &body)?,
        };
        match fault {
            Some(Fault::HoldAnswer) => {
                self.hold();
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::LoseAnswer) => return client.shutdown(Shutdown::Both),
            Some(Fault::AnswerAfter(status)) => answer = error(status),
            _ => {}
        }
        let mut client = client;
        client.set_nodelay(true)?;
        match fault {
            Some(Fault::Drip(time)) => {
                let pause = time / u32::try_from(answer.len().max(1)).unwrap_or(u32::MAX);
                for byte in answer.chunks(1) {
                    let_live(pause);
                    client.write_all(byte)?;
                }
            }
            _ => client.write_all(&answer)?,
        }
        client.shutdown(Shutdown::Both)
    }

    /// Waits until nothing is held any more.
    fn hold(&self) {
        let until = Instant::now() + PATIENCE;
        let is_held = || matches!(self.plan().fault, Some((Fault::HoldAnswer, ..)));
        while is_held() && Instant::now() < until {
            let_live(Duration::from_millis(5));
        }
    }

    /// What the server answers, all of it.
    fn ask(&self, head: &Head, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(self.upstream)?;
        server.set_read_timeout(Some(PATIENCE))?;
        server.set_write_timeout(Some(PATIENCE))?;
        server.write_all(head.text().as_bytes())?;
        server.write_all(body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// How many parts a body is taken in when it is taken slowly.
const PARTS: usize = 20;

/// Takes something in parts, with pauses between them that are so long together.
fn slowly(
    bytes: &mut [u8],
    time: Duration,
    mut take: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let part = bytes.len().div_ceil(PARTS).max(1);
    for part in bytes.chunks_mut(part) {
        let_live(time / PARTS as u32);
        take(part)?;
    }
    Ok(())
}

/// An answer of ours, as S3 would write it.
fn error(status: u16) -> Vec<u8> {
    let code = match status {
        400 => "AuthorizationHeaderMalformed",
        401 => "Unauthorized",
        403 => "AccessDenied",
        404 => "NoSuchBucket",
        409 => "ConditionalRequestConflict",
        503 => "SlowDown",
        _ => "InternalError",
    };
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    let length = body.len();
    let head = format!("HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\n");
    format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

/// A request's head.
struct Head {
    method: String,
    path: String,
    /// As they came, but for those about the connection.
    fields: Vec<(String, String)>,
}

impl Head {
    fn read(from: &mut impl BufRead) -> io::Result<Head> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let mut words = line.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let (method, path) = (method.to_owned(), path.to_owned());
        let mut fields = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut head = Head { method, path, fields };
        head.remove("connection");
        Ok(head)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| n != name);
    }

    fn text(&self) -> String {
        let fields = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let fields: String = fields.collect();
        format!("{} {} HTTP/1.1\r\n{fields}connection: close\r\n\r\n", self.method, self.path)
    }
}

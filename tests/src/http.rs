//! A plain client: sends bytes as it is told to, reads answers whole, and never waits for ever.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than any answer may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Head, as text.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Client {
        Client::of(TcpStream::connect(address).expect("somebody listens"))
    }

    /// A client on a connection that was made elsewhere.
    ///
    /// # Panics
    /// When the system refuses an option.
    #[must_use]
    pub fn of(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP option");
        stream.set_write_timeout(Some(PATIENCE)).expect("a TCP option");
        Client { stream: BufReader::new(stream) }
    }

    /// The stream itself.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the server has gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends bytes to a server that may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
    }

    /// Sends a GET and reads the answer.
    pub fn get(&mut self, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.response()
    }

    /// Reads one answer with a body as long as its head says.
    ///
    /// # Panics
    /// When none comes.
    pub fn response(&mut self) -> Response {
        self.try_response(true).expect("an answer")
    }

    /// Reads one answer to a HEAD.
    ///
    /// # Panics
    /// When none comes.
    pub fn response_to_head(&mut self) -> Response {
        self.try_response(false).expect("an answer")
    }

    /// Reads one answer, if one comes.
    ///
    /// # Errors
    /// What the system said, or that the server closed in the middle.
    ///
    /// # Panics
    /// When what comes is no HTTP.
    pub fn try_response(&mut self, with_body: bool) -> io::Result<Response> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if head[before..] == *"\r\n" {
                break;
            }
        }
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let response = Response { status, head, body: Vec::new() };
        let length = response.header("content-length").map_or(0, |l| l.parse().expect("a length"));
        let mut body = vec![0; if with_body { length } else { 0 }];
        self.stream.read_exact(&mut body)?;
        Ok(Response { body, ..response })
    }

    /// What comes until the server closes.
    ///
    /// # Panics
    /// When it does not close, or breaks the connection off.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("the server closes in order");
        rest
    }

    /// Whether the server has closed without sending anything more.
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }
}

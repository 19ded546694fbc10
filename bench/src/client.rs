//! One connection: one request in flight, and an answer that is checked.

use mio::net::TcpStream;
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

/// A connection to the server.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    /// The request in flight.
    pub(crate) flight: Option<Flight>,
    /// Whether the connection is made.
    pub(crate) connected: bool,
}

/// A request in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flight {
    /// Its number.
    pub(crate) number: u64,
    /// When it was due, in nanoseconds since the run's start.
    pub(crate) due: u64,
    /// When it was sent.
    pub(crate) sent: u64,
}

/// What a connection has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing yet.
    Waiting,
    /// An answer.
    Answer(Answer),
    /// The server has closed it, or the bytes are no HTTP.
    Broken,
}

/// An answer, as far as it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Whether the server closes the connection.
    pub closes: bool,
}

/// Read at once.
const READ_BYTES: usize = 16 * 1024;

/// BOUND: an answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        Ok(Client {
            stream,
            received: Vec::with_capacity(READ_BYTES),
            flight: None,
            connected: false,
        })
    }

    pub(crate) fn source(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether the connection that was begun is made now.
    pub(crate) fn finish_connecting(&mut self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.stream.set_nodelay(true)?;
                self.connected = true;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a request; small ones always find room.
    pub(crate) fn send(&mut self, request: &[u8], flight: Flight) -> io::Result<()> {
        self.received.clear();
        self.flight = Some(flight);
        self.stream.write_all(request)
    }

    /// Reads what has come.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Progress {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Progress::Broken,
                Ok(bytes) => {
                    self.received.extend_from_slice(&scratch[..bytes]);
                    match parse(&self.received) {
                        Ok(Some(answer)) => return Progress::Answer(answer),
                        Ok(None) if self.received.len() > ANSWER_BYTES_MAX => {
                            return Progress::Broken;
                        }
                        Ok(None) => {}
                        Err(NoHttp) => return Progress::Broken,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Progress::Waiting;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Progress::Broken,
            }
        }
    }
}

/// Room to read into.
pub(crate) fn scratch() -> Vec<u8> {
    vec![0; READ_BYTES]
}

struct NoHttp;

/// One whole answer with a Content-Length, or without a body, and nothing behind it.
fn parse(bytes: &[u8]) -> Result<Option<Answer>, NoHttp> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(NoHttp),
    };
    let status = response.code.ok_or(NoHttp)?;
    let mut body_bytes = 0;
    let mut closes = false;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).map_err(|_| NoHttp)?;
            body_bytes = text.parse().map_err(|_| NoHttp)?;
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    match bytes.len().cmp(&(head_bytes + body_bytes)) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(Answer { status, body_bytes, closes })),
        std::cmp::Ordering::Greater => Err(NoHttp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_it_is_none() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npong";
        for end in 0..whole.len() {
            assert!(matches!(parse(&whole[..end]), Ok(None)), "{end}");
        }
        let answer = Answer { status: 200, body_bytes: 4, closes: true };
        assert!(matches!(parse(whole), Ok(Some(got)) if got == answer));
        let more = [whole.as_slice(), b"x"].concat();
        assert!(parse(&more).is_err());
        assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
        assert!(matches!(parse(b"HTTP/1.1 204 No\r\n\r\n"), Ok(Some(a)) if a.body_bytes == 0));
    }
}

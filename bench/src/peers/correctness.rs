//! Whether a server is one: what it has to get right before its speed is of interest.
//!
//! The fastest published servers answer before a request is whole, lose what was pipelined, or keep
//! connections that were to be closed. None of that can be seen in a load of whole requests over
//! kept connections, and all of it saves time. So each peer passes these checks first, or is not
//! measured at all.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Bytes of every peer's answer: the appliance's head and its pixel.
pub const ANSWER_BYTES: usize = 241;

/// Bytes of a transparent GIF89a of 1 by 1. nginx counts its two colours the other way round.
const GIF_BYTES: usize = 43;

/// What a peer gets wrong.
#[derive(Debug, thiserror::Error)]
#[error("{check}: {fault}")]
pub struct Failure {
    /// What was checked.
    pub check: &'static str,
    /// What was found.
    pub fault: Fault,
}

/// What was found instead of a right answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The connection broke, or nothing came in time.
    #[error("no answer: {0}")]
    Io(#[from] io::Error),
    /// It is no HTTP.
    #[error("the answer is no HTTP")]
    NoHttp,
    /// It is another one.
    #[error("the status is {0}")]
    Status(u16),
    /// It is another one.
    #[error("the body of {0} bytes is no GIF of one pixel")]
    Body(usize),
    /// It is longer or shorter than that of the others.
    #[error("the answer has {0} bytes, and that of the others {ANSWER_BYTES}")]
    Bytes(usize),
    /// Something came before the request was whole.
    #[error("it answered before the request was whole")]
    Early,
    /// Something came behind the last answer.
    #[error("something came that nobody asked for")]
    Excess,
    /// It was to be closed.
    #[error("the connection was not closed")]
    Open,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two parts of a request, a server has this long to answer too early.
const PAUSE: Duration = Duration::from_millis(5);

/// One check: its name, and what it does.
type Check = (&'static str, fn(&mut Client<'_>) -> Result<(), Fault>);

/// All checks, each on a connection of its own.
const CHECKS: [Check; 6] = [
    ("a whole request", whole),
    ("a request in two parts", in_two_parts),
    ("a request byte by byte", byte_by_byte),
    ("four requests at once", pipelined),
    ("a request and a half", one_and_a_half),
    ("a request to close", closing),
];

/// Checks a server with a request without a body, in the form that the load has.
///
/// # Errors
/// [`Failure`] with the first thing that it gets wrong.
pub fn pass(address: SocketAddr, request: &[u8]) -> Result<(), Failure> {
    for (check, run) in CHECKS {
        let result = Client::connect(address, request).and_then(|mut client| run(&mut client));
        result.map_err(|fault| Failure { check, fault })?;
    }
    Ok(())
}

struct Client<'a> {
    stream: TcpStream,
    request: &'a [u8],
    received: Vec<u8>,
}

fn whole(client: &mut Client<'_>) -> Result<(), Fault> {
    for _ in 0..2 {
        client.send(client.request)?;
        client.answer()?;
    }
    client.quiet()
}

fn in_two_parts(client: &mut Client<'_>) -> Result<(), Fault> {
    let (request, bytes) = (client.request, client.request.len());
    for cut in [1, 10, bytes / 2, bytes - 3, bytes - 2, bytes - 1] {
        let (first, second) = request.split_at(cut.min(bytes));
        client.send(first)?;
        client.quiet().map_err(|_| Fault::Early)?;
        client.send(second)?;
        client.answer()?;
    }
    Ok(())
}

fn byte_by_byte(client: &mut Client<'_>) -> Result<(), Fault> {
    for byte in client.request.chunks(1) {
        client.send(byte)?;
    }
    client.answer()?;
    client.quiet()
}

fn pipelined(client: &mut Client<'_>) -> Result<(), Fault> {
    client.send(&client.request.repeat(4))?;
    for _ in 0..4 {
        client.answer()?;
    }
    client.quiet()
}

fn one_and_a_half(client: &mut Client<'_>) -> Result<(), Fault> {
    let (first, second) = client.request.split_at(client.request.len() / 2);
    client.send(&[client.request, first].concat())?;
    client.answer()?;
    client.quiet().map_err(|_| Fault::Early)?;
    client.send(second)?;
    client.answer()
}

fn closing(client: &mut Client<'_>) -> Result<(), Fault> {
    let head = client.request.strip_suffix(b"\r\n").unwrap_or(client.request);
    let last = [head, b"Connection: close\r\n\r\n"].concat();
    client.send(&[client.request, &last].concat())?;
    client.answer()?;
    // Its head says `close`, which is five bytes shorter than `keep-alive`.
    client.answer_of(ANSWER_BYTES - 5)?;
    match client.stream.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Fault::Excess),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Fault::Open),
        Err(error) => Err(error.into()),
    }
}

impl<'a> Client<'a> {
    fn connect(address: SocketAddr, request: &'a [u8]) -> Result<Client<'a>, Fault> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, request, received: Vec::new() })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        Ok(self.stream.write_all(bytes)?)
    }

    fn answer(&mut self) -> Result<(), Fault> {
        self.answer_of(ANSWER_BYTES)
    }

    /// Takes one right answer of so many bytes.
    fn answer_of(&mut self, bytes: usize) -> Result<(), Fault> {
        let (status, head_bytes, body_bytes) = loop {
            if let Some(whole) = parse(&self.received)? {
                break whole;
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer)? {
                0 => return Err(Fault::Io(io::ErrorKind::UnexpectedEof.into())),
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        };
        let answer: Vec<u8> = self.received.drain(..head_bytes + body_bytes).collect();
        if status != 200 {
            return Err(Fault::Status(status));
        }
        let body = &answer[head_bytes..];
        if body.len() != GIF_BYTES || !(body.starts_with(b"GIF89a") && body.ends_with(b";")) {
            return Err(Fault::Body(body_bytes));
        }
        if answer.len() != bytes {
            return Err(Fault::Bytes(answer.len()));
        }
        Ok(())
    }

    /// Nothing comes for a while.
    fn quiet(&mut self) -> Result<(), Fault> {
        if !self.received.is_empty() {
            return Err(Fault::Excess);
        }
        self.stream.set_read_timeout(Some(PAUSE))?;
        let read = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match read {
            Ok(0) => Err(Fault::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Err(Fault::Excess),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Status, bytes of the head and of the body, if the answer is whole.
fn parse(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Fault::NoHttp),
    };
    let status = response.code.ok_or(Fault::NoHttp)?;
    let length = |h: &&httparse::Header<'_>| h.name.eq_ignore_ascii_case("content-length");
    let length = response.headers.iter().find(length).map_or(b"0".as_slice(), |h| h.value);
    let length = std::str::from_utf8(length).ok().and_then(|text| text.parse::<usize>().ok());
    let body_bytes = length.filter(|bytes| *bytes <= 1 << 20).ok_or(Fault::NoHttp)?;
    Ok((bytes.len() >= head_bytes + body_bytes).then_some((status, head_bytes, body_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    const REQUEST: &[u8] = b"GET /i.gif?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";

    /// What a server of these tests gets wrong.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Flaw {
        None,
        AnswersPieces,
        LosesPipelined,
        KeepsClosed,
        OtherBody,
        OtherBytes,
        OtherStatus,
    }

    fn answer(flaw: Flaw, closes: bool) -> Vec<u8> {
        let status = if flaw == Flaw::OtherStatus { "404 Not Found" } else { "200 OK" };
        let connection = if closes { "close" } else { "keep-alive" };
        let pad = if flaw == Flaw::OtherBytes { "X" } else { "" };
        let head =
            format!("HTTP/1.1 {status}\r\nConnection: {connection}\r\nContent-Length: 43\r\n");
        let bytes = ANSWER_BYTES - 43 - if closes { 5 } else { 0 };
        let fill = "x".repeat(bytes - head.len() - "P: \r\n\r\n".len());
        let mut gif = [b"GIF89a".as_slice(), &[0; 36], b";"].concat();
        gif[42] += u8::from(flaw == Flaw::OtherBody);
        [format!("{head}P: {fill}{pad}\r\n\r\n").as_bytes(), &gif].concat()
    }

    fn serve(mut stream: TcpStream, flaw: Flaw) {
        let mut received: Vec<u8> = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            received.extend_from_slice(&buffer[..count]);
            if flaw == Flaw::AnswersPieces && stream.write_all(&answer(flaw, false)).is_err() {
                return;
            }
            while let Some(end) = received.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = received.drain(..end + 4).collect();
                let closes = head.ends_with(b"close\r\n\r\n");
                if stream.write_all(&answer(flaw, closes)).is_err() {
                    return;
                }
                if closes && flaw != Flaw::KeepsClosed {
                    return;
                }
                if flaw == Flaw::LosesPipelined {
                    received.clear();
                }
            }
        }
    }

    fn checked(flaw: Flaw) -> Result<(), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                thread::spawn(move || serve(stream, flaw));
            }
        });
        pass(address, REQUEST)
    }

    #[test]
    fn a_server_that_is_one_passes() {
        checked(Flaw::None).unwrap();
    }

    #[test]
    fn a_server_that_is_none_is_told_what_it_gets_wrong() {
        for (flaw, check) in [
            (Flaw::LosesPipelined, "four requests at once"),
            (Flaw::KeepsClosed, "a request to close"),
            (Flaw::OtherBody, "a whole request"),
            (Flaw::OtherBytes, "a whole request"),
            (Flaw::OtherStatus, "a whole request"),
        ] {
            assert_eq!(checked(flaw).unwrap_err().check, check);
        }
        // Which check finds this one depends on how soon it is too early.
        assert!(checked(Flaw::AnswersPieces).is_err());
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(pass(nobody, REQUEST).unwrap_err().fault, Fault::Io(_)));
    }
}

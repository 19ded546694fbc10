//! Answers, written straight into a connection's output.
//!
//! ```text
//!  status line, fields │ Date, Connection, blank line │ body (not for HEAD)
//!   rendered at compile    made once a second
//!   time ([`Fixed`])
//! ```
//!
//! An answer that is the same every time is three copies.

use super::{date::HeadEnd, error::HttpError, head::Head};
use crate::ring::{
    blocks::OutBlocks,
    output::{Mark, Output},
};

/// An answer that is the same every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    /// Status.
    pub status: u16,
    /// Status line and fields, each with its CRLF; Content-Length, but neither Date nor Connection.
    pub head: &'static [u8],
    /// Body.
    pub body: &'static [u8],
}

/// 404.
pub static NOT_FOUND: Fixed =
    Fixed { status: 404, head: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", body: b"" };

/// 503: what was asked could not be made durable, or finds no room.
pub static UNAVAILABLE: Fixed = Fixed {
    status: 503,
    head: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n",
    body: b"",
};

/// Where one answer is written.
pub struct Answer<'a> {
    output: &'a mut Output,
    blocks: &'a mut OutBlocks,
    head_end: &'a HeadEnd,
    start: Mark,
    keep_alive: bool,
    without_body: bool,
    status: u16,
    complete: bool,
}

impl<'a> Answer<'a> {
    /// A place for the answer to `head`. With `closing` the connection closes behind it, whatever
    /// the client wants.
    pub fn new(
        output: &'a mut Output,
        blocks: &'a mut OutBlocks,
        head_end: &'a HeadEnd,
        head: &Head<'_>,
        closing: bool,
    ) -> Answer<'a> {
        let start = output.mark(blocks);
        Answer {
            output,
            blocks,
            head_end,
            start,
            keep_alive: head.keep_alive && !closing,
            without_body: head.method == "HEAD",
            status: 0,
            complete: false,
        }
    }

    /// Writes an answer that is the same every time.
    #[inline]
    pub fn fixed(&mut self, answer: &Fixed) {
        self.begin(answer.status);
        self.put(answer.head);
        self.end(answer.body);
    }

    /// Writes an answer with a body of its own. `head` is the status line and the fields but
    /// Content-Length, each with its CRLF.
    pub fn with_body(&mut self, status: u16, head: &[u8], body: &[u8]) {
        self.begin(status);
        self.put(head);
        let mut digits = [0; 20];
        self.put(b"Content-Length: ");
        self.put(decimal(body.len(), &mut digits));
        self.put(b"\r\n");
        self.end(body);
    }

    #[inline]
    fn begin(&mut self, status: u16) {
        debug_assert!(!self.complete && self.status == 0, "one answer");
        self.status = status;
        self.complete = true;
    }

    #[inline]
    fn end(&mut self, body: &[u8]) {
        self.put(self.head_end.as_bytes(self.keep_alive));
        if !self.without_body {
            self.put(body);
        }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.complete && !self.output.put(self.blocks, bytes) {
            self.complete = false;
        }
    }

    /// Takes the answer back and writes another one.
    pub fn instead(&mut self, answer: &Fixed) {
        self.output.rewind(self.blocks, self.start);
        self.status = 0;
        self.complete = false;
        self.fixed(answer);
    }

    /// Status written; 0 for none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Bytes written.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.output.written() - self.start.written()
    }

    /// Whether a whole answer was written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Where the answer begins in the connection's output.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start.written()
    }

    /// Takes the answer back and leaves nothing: the output had no room for it.
    pub fn withdraw(&mut self) {
        self.output.rewind(self.blocks, self.start);
        self.complete = false;
    }

    /// Whether the connection stays open behind it.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.keep_alive
    }
}

/// Writes a refusal: `own`, if the listener has an answer for what it cannot understand, and the
/// error's status otherwise. Whether there was room for it.
pub fn refuse(
    output: &mut Output,
    blocks: &mut OutBlocks,
    head_end: &HeadEnd,
    error: HttpError,
    own: Option<&Fixed>,
) -> bool {
    let end = head_end.as_bytes(false);
    let parts: [&[u8]; 3] = match own {
        Some(answer) => [answer.head, end, answer.body],
        None => [error.status_line(), b"Content-Length: 0\r\n", end],
    };
    let start = output.mark(blocks);
    let written = parts.iter().all(|part| output.put(blocks, part));
    if !written {
        output.rewind(blocks, start);
    }
    written
}

/// SPEC: RFC 9110 section 15.2.1.
pub static CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A number in digits, in the room's end.
#[inline]
pub(crate) fn decimal(mut value: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut from = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        from = at;
        if value == 0 {
            break;
        }
    }
    digits.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::{header_space, parse};
    use brink_proto::ids::Micros;

    static PONG: Fixed =
        Fixed { status: 200, head: b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n", body: b"pong" };

    fn write(request: &str, closing: bool, with: impl Fn(&mut Answer<'_>)) -> String {
        let mut blocks = OutBlocks::map(4).unwrap();
        let mut output = Output::default();
        let head_end = HeadEnd::at(Micros(0));
        let mut space = header_space();
        let (head, _) = parse(request.as_bytes(), &mut space).unwrap().unwrap();
        let mut answer = Answer::new(&mut output, &mut blocks, &head_end, &head, closing);
        with(&mut answer);
        assert!(answer.is_complete());
        let bytes = answer.bytes() as usize;
        let span = output.start_send(&blocks).unwrap();
        let text = String::from_utf8(blocks.memory().copy(span)).unwrap();
        assert_eq!(text.len(), bytes);
        text.replace("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "")
    }

    #[test]
    fn answers_are_written_as_the_request_wants_them() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let fixed = |a: &mut Answer<'_>| a.fixed(&PONG);
        let open = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(write(get, false, fixed), format!("{open}pong"));
        assert_eq!(write(&get.replace("GET", "HEAD"), false, fixed), open);
        let closed = open.replace("keep-alive", "close");
        assert_eq!(write(get, true, fixed), format!("{closed}pong"));
        assert_eq!(write("GET / HTTP/1.0\r\n\r\n", false, fixed), format!("{closed}pong"));

        let body = |a: &mut Answer<'_>| {
            a.with_body(201, b"HTTP/1.1 201 Created\r\nX: y\r\n", &[b'b'; 120]);
        };
        let want = format!(
            "HTTP/1.1 201 Created\r\nX: y\r\nContent-Length: 120\r\nConnection: keep-alive\r\n\r\n{}",
            "b".repeat(120)
        );
        assert_eq!(write(get, false, body), want);
        let instead = |a: &mut Answer<'_>| {
            body(a);
            a.instead(&PONG);
        };
        assert_eq!(write(get, false, instead), format!("{open}pong"));
    }

    #[test]
    fn numbers_are_written_in_full() {
        for value in [0, 7, 10, 4096, usize::MAX] {
            assert_eq!(decimal(value, &mut [0; 20]), value.to_string().as_bytes());
        }
    }
}

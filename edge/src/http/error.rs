//! What a request is refused for: each a metric label and a status, and all close the connection.

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HttpError {
    /// The head is none.
    Malformed,
    /// Lengths that contradict each other, or that are no numbers.
    Length,
    /// HTTP/1.1 without exactly one Host.
    Host,
    /// A chunked body that is none.
    Chunk,
    /// The head did not come in time.
    HeadTimeout,
    /// The body did not come in time.
    BodyTimeout,
    /// The body is larger than the listener takes.
    BodyTooLarge,
    /// The request line is longer than 16 KiB.
    LineTooLong,
    /// An expectation that is not 100-continue.
    Expectation,
    /// More than 32 KiB of headers, or more than 100.
    HeadersTooLarge,
    /// A transfer coding that is not chunked.
    Coding,
    /// No memory for a request in parts.
    NoMemory,
    /// Not HTTP/1.
    Version,
}

impl HttpError {
    /// All of them, in the order of their numbers.
    pub const ALL: [HttpError; 13] = [
        HttpError::Malformed,
        HttpError::Length,
        HttpError::Host,
        HttpError::Chunk,
        HttpError::HeadTimeout,
        HttpError::BodyTimeout,
        HttpError::BodyTooLarge,
        HttpError::LineTooLong,
        HttpError::Expectation,
        HttpError::HeadersTooLarge,
        HttpError::Coding,
        HttpError::NoMemory,
        HttpError::Version,
    ];

    /// Metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            HttpError::Malformed => "malformed",
            HttpError::Length => "length",
            HttpError::Host => "host",
            HttpError::Chunk => "chunk",
            HttpError::HeadTimeout => "head_timeout",
            HttpError::BodyTimeout => "body_timeout",
            HttpError::BodyTooLarge => "body_too_large",
            HttpError::LineTooLong => "line_too_long",
            HttpError::Expectation => "expectation",
            HttpError::HeadersTooLarge => "headers_too_large",
            HttpError::Coding => "coding",
            HttpError::NoMemory => "no_memory",
            HttpError::Version => "version",
        }
    }

    /// Status line.
    #[must_use]
    pub fn status_line(self) -> &'static [u8] {
        match self {
            HttpError::Malformed | HttpError::Length | HttpError::Host | HttpError::Chunk => {
                b"HTTP/1.1 400 Bad Request\r\n"
            }
            HttpError::HeadTimeout | HttpError::BodyTimeout => b"HTTP/1.1 408 Request Timeout\r\n",
            HttpError::BodyTooLarge => b"HTTP/1.1 413 Content Too Large\r\n",
            HttpError::LineTooLong => b"HTTP/1.1 414 URI Too Long\r\n",
            HttpError::Expectation => b"HTTP/1.1 417 Expectation Failed\r\n",
            HttpError::HeadersTooLarge => b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
            HttpError::Coding => b"HTTP/1.1 501 Not Implemented\r\n",
            HttpError::NoMemory => b"HTTP/1.1 503 Service Unavailable\r\n",
            HttpError::Version => b"HTTP/1.1 505 HTTP Version Not Supported\r\n",
        }
    }
}

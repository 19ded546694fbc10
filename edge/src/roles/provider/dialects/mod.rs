//! The languages of exchanges: each turns a request into what is asked, and the segments that were
//! decided upon into an answer. What is decided between the two, `decision` knows.
//!
//! ```text
//!  request ─▶ Reader ─▶ Asked ─▶ decision ─▶ segments ─▶ Writer ─▶ answer
//! ```
//!
//! [`xandr`] reads a query and needs no memory; [`google`] reads JSON, and has its own.

mod google;
mod xandr;

use super::{ProviderView, answers::Lines, decision::asked::Asked};
use crate::{
    config::{file::DialectWord, provider::ProviderConfig},
    http::{
        answer::{Answer, Fixed},
        head::Head,
    },
    roles::Request,
};

/// A request, as a dialect understands it.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    /// What it asks.
    pub(super) asked: Asked<'a>,
    /// Whether it is a call that the dialect knows. One that is not is answered with nothing.
    pub(super) is_call: bool,
}

/// How an exchange hears that there is nothing to say.
pub(super) fn nothing(dialect: DialectWord) -> &'static Fixed {
    match dialect {
        DialectWord::Xandr => &xandr::NOTHING,
        DialectWord::Google => &google::NOTHING,
    }
}

/// What reading and writing take of memory, for one listener of one shard.
pub(super) fn memory_bytes(config: &ProviderConfig) -> usize {
    match config.dialect {
        DialectWord::Xandr => 0,
        DialectWord::Google => google::memory_bytes(config.text_bytes_max),
    }
}

/// Reads requests, in the memory that it takes for it.
pub(super) enum Reader {
    Xandr,
    Google(google::Reader),
}

impl Reader {
    /// For the dialect of a view.
    pub(super) fn new(view: &ProviderView) -> Reader {
        match view.dialect {
            DialectWord::Xandr => Reader::Xandr,
            DialectWord::Google => Reader::Google(google::Reader::new(view.text_bytes_max)),
        }
    }

    /// What a request asks.
    #[inline]
    pub(super) fn read<'a>(&'a mut self, request: &Request<'a>, view: &ProviderView) -> Heard<'a> {
        match self {
            Reader::Xandr => xandr::read(request, view),
            Reader::Google(reader) => reader.read(request),
        }
    }
}

/// Writes answers, in the memory that it takes for it.
pub(super) enum Writer {
    Xandr,
    Google(google::Writer),
}

impl Writer {
    /// For the dialect of a view.
    pub(super) fn new(view: &ProviderView) -> Writer {
        match view.dialect {
            DialectWord::Xandr => Writer::Xandr,
            DialectWord::Google => Writer::Google(google::Writer::new()),
        }
    }

    /// Says these segments, or that there are none.
    #[inline]
    pub(super) fn write(&mut self, lines: &Lines, head: &Head<'_>, answer: &mut Answer<'_>) {
        match self {
            Writer::Xandr => xandr::write(lines, answer),
            Writer::Google(writer) => writer.write(lines, head, answer),
        }
    }
}

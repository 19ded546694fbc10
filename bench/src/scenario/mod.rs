//! What is asked, and whether the answers are right.
//!
//! A scenario belongs to one thread. Its requests were rendered beforehand, into a corpus that all
//! threads share, and are copied into a buffer that is used again: nothing is allocated for one.
//!
//! - [`url`]: whom to ask. [`macros`]: what exchanges fill into a path. [`corpus`]: what was
//!   rendered.
//! - [`get`], [`pixel`], [`provider`], [`bidder`]: the roles. [`mixed`]: all of them.
//! - [`replay`]: what was once asked, at its own spacing.
//!
//! `churn` and `exchange` ask what the roles ask, over connections that are used differently: see
//! [`crate::policy`].

pub mod url;

pub mod corpus;
pub mod macros;

mod openrtb;
mod page;

pub mod bidder;
pub mod get;
pub mod pixel;
pub mod provider;

pub mod mixed;
pub mod replay;

use bidder::{BidError, Bidder, Source};
use clap::ValueEnum;
use corpus::{Corpus, Population};
use get::Get;
use page::{Client, render};
use pixel::Pixel;
use provider::Provider;
use std::{path::PathBuf, sync::Arc};
use url::Url;

pub use page::RenderError;

/// What one thread asks.
pub trait Scenario: Send {
    /// Writes request `number` to the end of `out`.
    fn request(&mut self, number: u64, out: &mut Vec<u8>);
    /// Looks at the answer to request `number`.
    fn check(&mut self, number: u64, answer: &Answer<'_>) -> Verdict;
}

impl<S: Scenario + ?Sized> Scenario for Box<S> {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        (**self).request(number, out);
    }

    fn check(&mut self, number: u64, answer: &Answer<'_>) -> Verdict {
        (**self).check(number, answer)
    }
}

/// A whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
    /// Whether the server closes the connection behind it, if it says so.
    pub closes: Option<bool>,
}

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What was asked for.
    Right,
    /// Rightly, that there is nothing: no bid, no segment.
    Nothing,
    /// Something else; why.
    Wrong(&'static str),
}

/// Asks what another scenario asks, and takes every answer for right: for responders that answer
/// all requests alike.
#[derive(Debug, Clone)]
pub struct Unchecked<S>(pub S);

impl<S: Scenario> Scenario for Unchecked<S> {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        self.0.request(number, out);
    }

    fn check(&mut self, _number: u64, _answer: &Answer<'_>) -> Verdict {
        Verdict::Right
    }
}

/// What can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// GET of the URL, whatever it is; the status is checked.
    Get,
    /// GET of a pixel by browsers.
    Pixel,
    /// GET with macros by an exchange; segments come back.
    Provider,
    /// POST of OpenRTB; a bid or 204 comes back.
    Bidder,
    /// Pixel, provider and bidder at once, as a fleet sees them.
    Mixed,
    /// Short-lived connections: ten requests on each.
    Churn,
    /// An exchange: a hard timeout that closes and reopens, 300 requests per connection.
    Exchange,
    /// A trace, at its own spacing or faster.
    Replay,
}

/// One thing that is asked of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Whatever the URL names.
    Get,
    /// A pixel.
    Pixel,
    /// A data provider.
    Provider,
    /// A bidder.
    Bidder,
}

/// What is to be rendered.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is asked.
    pub role: Role,
    /// Of whom. A path of `/` stands for the role's own.
    pub url: Url,
    /// What users and everything else are drawn from.
    pub population: Population,
    /// OpenRTB requests: a folder or an NDJSON file; none, and they are made up.
    pub requests: Option<PathBuf>,
    /// What a [`Role::Get`] takes for right.
    pub status: u16,
}

/// Rendered requests, from which every thread makes its scenario.
#[derive(Debug, Clone)]
pub enum Rendered {
    /// Pages.
    Get(Get),
    /// Pixels.
    Pixel(Pixel),
    /// Segments.
    Provider(Provider),
    /// Bids.
    Bidder(Bidder),
    /// A trace.
    Replay(replay::Replay),
}

/// Why there is nothing to ask.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The path cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The requests for a bidder cannot be used.
    #[error(transparent)]
    Bid(#[from] BidError),
    /// The trace cannot be used.
    #[error(transparent)]
    Trace(#[from] replay::TraceError),
}

impl Ask {
    /// Renders everything that can be rendered before a run.
    ///
    /// # Errors
    /// [`ScenarioError`] when it cannot be.
    pub fn render(&self) -> Result<Rendered, ScenarioError> {
        let page = |client, path: &str| {
            let mut url = self.url.clone();
            if url.path == "/" && self.role != Role::Get {
                path.clone_into(&mut url.path);
            }
            render(&url, client, self.population).map(Arc::<Corpus>::new)
        };
        Ok(match self.role {
            Role::Get => {
                let corpus = page(Client::Exchange, "/")?;
                Rendered::Get(Get { corpus, status: self.status })
            }
            Role::Pixel => Rendered::Pixel(Pixel { corpus: page(Client::Browser, pixel::PATH)? }),
            Role::Provider => {
                Rendered::Provider(Provider { corpus: page(Client::Exchange, provider::PATH)? })
            }
            Role::Bidder => {
                let source = self.requests.as_deref().map_or(Source::MadeUp, Source::Path);
                Rendered::Bidder(Bidder::render(&self.url, source, self.population)?)
            }
        })
    }
}

impl Rendered {
    /// The scenario of one thread.
    #[must_use]
    pub fn scenario(&self) -> Box<dyn Scenario> {
        match self {
            Rendered::Get(get) => Box::new(get.clone()),
            Rendered::Pixel(pixel) => Box::new(pixel.clone()),
            Rendered::Provider(provider) => Box::new(provider.clone()),
            Rendered::Bidder(bidder) => Box::new(bidder.clone()),
            Rendered::Replay(replay) => Box::new(replay.clone()),
        }
    }
}

/// A request as another parser understands it.
#[cfg(test)]
pub(crate) struct ParsedRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[cfg(test)]
impl ParsedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }
}

/// Exactly one request, and nothing behind it.
#[cfg(test)]
pub(crate) fn parsed(bytes: &[u8]) -> ParsedRequest {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(bytes).unwrap_or_else(|e| panic!("{e}: {:?}", bytes.escape_ascii()));
    let httparse::Status::Complete(head_bytes) = status else {
        panic!("no whole head: {}", bytes.escape_ascii());
    };
    let header = |header: &httparse::Header<'_>| {
        (header.name.to_owned(), String::from_utf8(header.value.to_vec()).unwrap())
    };
    let parsed = ParsedRequest {
        method: request.method.unwrap().to_owned(),
        target: request.path.unwrap().to_owned(),
        headers: request.headers.iter().map(header).collect(),
        body: bytes[head_bytes..].to_vec(),
    };
    let length = parsed.header("content-length").map_or(0, |text| text.parse().unwrap());
    assert_eq!(parsed.body.len(), length, "{}", bytes.escape_ascii());
    parsed
}

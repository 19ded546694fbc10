//! One request head, parsed where it lies: httparse splits it, and here it is held against the
//! rules that keep two readers of one connection from disagreeing where a request ends.

use super::error::HttpError;
use httparse::{Error as ParseError, Header, Request, Status};
use std::mem::MaybeUninit;

/// Longest request line.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Longest header section.
pub const HEADERS_BYTES_MAX: usize = 32 * 1024;

/// No head is longer.
pub const HEAD_BYTES_MAX: usize = LINE_BYTES_MAX + HEADERS_BYTES_MAX;

/// Most headers.
pub const HEADERS_MAX: usize = 100;

/// Room for parsed headers; lives on the caller's stack and is never initialised.
pub type HeaderSpace<'b> = [MaybeUninit<Header<'b>>; HEADERS_MAX];

/// A [`HeaderSpace`].
#[must_use]
pub const fn header_space<'b>() -> HeaderSpace<'b> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// Protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: closes unless asked not to.
    Http10,
    /// HTTP/1.1: stays open unless asked to close.
    Http11,
}

/// How the body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// So many bytes; 0 when there is none.
    Length(usize),
    /// In chunks.
    Chunked,
}

/// The headers that somebody here reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields<'b> {
    /// Accept-Language.
    pub accept_language: Option<&'b [u8]>,
    /// Cookie.
    pub cookie: Option<&'b [u8]>,
    /// Referer.
    pub referer: Option<&'b [u8]>,
    /// User-Agent.
    pub user_agent: Option<&'b [u8]>,
    /// The last X-Forwarded-For.
    pub forwarded_for: Option<&'b [u8]>,
    /// Whether Sec-GPC is 1. SPEC: Global Privacy Control, section 3.2.
    pub gpc: bool,
    /// Whether the body is packed with gzip, and with nothing else.
    pub body_is_gzip: bool,
    /// Accept-Encoding.
    pub accept_encoding: Option<&'b [u8]>,
}

impl Fields<'_> {
    /// Whether an answer may be packed with gzip.
    #[must_use]
    pub fn accept_gzip(&self) -> bool {
        self.accept_encoding.is_some_and(lists_gzip)
    }
}

/// A request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'b> {
    /// Method, as sent.
    pub method: &'b str,
    /// Path of the target.
    pub path: &'b [u8],
    /// Query of the target, behind the question mark.
    pub query: Option<&'b [u8]>,
    /// Version.
    pub version: Version,
    /// Headers.
    pub fields: Fields<'b>,
    /// Whether the connection stays open behind the answer.
    pub keep_alive: bool,
    /// Whether the client waits for 100 before it sends the body.
    pub expects_continue: bool,
    /// How the body is framed.
    pub framing: BodyFraming,
}

/// Parses a head off the front of `bytes`; nothing when it is not all there.
///
/// # Errors
/// [`HttpError`] when no further byte could make it a head that we serve.
#[inline]
pub fn parse<'b>(
    bytes: &'b [u8],
    space: &mut HeaderSpace<'b>,
) -> Result<Option<(Head<'b>, usize)>, HttpError> {
    let mut request = Request::new(&mut []);
    let parsed = match request.parse_with_uninit_headers(bytes, space) {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return check_partial(bytes).map(|()| None),
        Err(ParseError::TooManyHeaders) => return Err(HttpError::HeadersTooLarge),
        Err(ParseError::Version) => return Err(HttpError::Version),
        Err(_) => return Err(HttpError::Malformed),
    };
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(HttpError::Malformed);
    };
    if target.len() + method.len() + LINE_OVERHEAD > LINE_BYTES_MAX {
        return Err(HttpError::LineTooLong);
    }
    if parsed > HEAD_BYTES_MAX {
        return Err(HttpError::HeadersTooLarge);
    }
    let version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let target = target.as_bytes();
    let (path, query) = split_target(method, target)?;
    let head = Head {
        method,
        path,
        query,
        version,
        fields: Fields::default(),
        keep_alive: version == Version::Http11,
        expects_continue: false,
        framing: BodyFraming::Length(0),
    };
    read_fields(head, request.headers).map(|head| Some((head, parsed)))
}

/// " ", " HTTP/1.1" and CRLF around the target.
const LINE_OVERHEAD: usize = 12;

/// Refuses a head that is too long already, while its end is not in sight.
pub(crate) fn check_partial(bytes: &[u8]) -> Result<(), HttpError> {
    if bytes.len() <= LINE_BYTES_MAX {
        return Ok(());
    }
    let line = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
    if !line.contains(&b'\n') {
        return Err(HttpError::LineTooLong);
    }
    if bytes.len() > HEAD_BYTES_MAX { Err(HttpError::HeadersTooLarge) } else { Ok(()) }
}

/// Path and query of a target. SPEC: RFC 9112 section 3.2: origin form, absolute form, and the
/// asterisk of OPTIONS.
fn split_target<'b>(
    method: &str,
    target: &'b [u8],
) -> Result<(&'b [u8], Option<&'b [u8]>), HttpError> {
    let origin = match target {
        [b'/', ..] => target,
        b"*" if method == "OPTIONS" => return Ok((target, None)),
        _ => origin_of_absolute(target).ok_or(HttpError::Malformed)?,
    };
    let question = origin.iter().position(|b| *b == b'?');
    let Some((path, query)) = question.and_then(|at| origin.split_at_checked(at)) else {
        return Ok((origin, None));
    };
    let path: &[u8] = if path.is_empty() { b"/" } else { path };
    Ok((path, query.get(1..)))
}

/// What follows the authority of `http://authority/path`; the authority is not ours to judge.
fn origin_of_absolute(target: &[u8]) -> Option<&[u8]> {
    let colon = target.iter().position(|b| *b == b':')?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    let known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let rest = rest.strip_prefix(b"://").filter(|_| known)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?'));
    let origin = rest.get(end.unwrap_or(rest.len())..)?;
    Some(if origin.is_empty() { b"/" } else { origin })
}

fn read_fields<'b>(mut head: Head<'b>, headers: &[Header<'b>]) -> Result<Head<'b>, HttpError> {
    let mut length = None;
    let mut chunked = false;
    let mut hosts = 0;
    for header in headers {
        let name = header.name.as_bytes();
        let value = header.value;
        // Names of one length are few, so most headers are passed over after one comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => hosts += 1,
            6 if name.eq_ignore_ascii_case(b"cookie") => head.fields.cookie = Some(value),
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(HttpError::Expectation);
                }
                head.expects_continue = head.version == Version::Http11;
            }
            7 if name.eq_ignore_ascii_case(b"referer") => head.fields.referer = Some(value),
            7 if name.eq_ignore_ascii_case(b"sec-gpc") => head.fields.gpc = value == b"1",
            10 if name.eq_ignore_ascii_case(b"user-agent") => head.fields.user_agent = Some(value),
            10 if name.eq_ignore_ascii_case(b"connection") => read_connection(&mut head, value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                // Twice, even if they agree, is what a smuggled request looks like.
                if length.is_some() {
                    return Err(HttpError::Length);
                }
                length = Some(read_length(value)?);
            }
            15 if name.eq_ignore_ascii_case(b"accept-language") => {
                head.fields.accept_language = Some(value);
            }
            15 if name.eq_ignore_ascii_case(b"accept-encoding") => {
                head.fields.accept_encoding = Some(value);
            }
            15 if name.eq_ignore_ascii_case(b"x-forwarded-for") => {
                head.fields.forwarded_for = Some(value);
            }
            16 if name.eq_ignore_ascii_case(b"content-encoding") => {
                head.fields.body_is_gzip = is_gzip(value);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(HttpError::Coding);
                }
                chunked = true;
            }
            _ => {}
        }
    }
    // SPEC: RFC 9112 section 6.3: both lengths at once, or chunks in HTTP/1.0, is how requests are
    // smuggled.
    let old = head.version == Version::Http10;
    head.framing = match (chunked, length) {
        (true, Some(_)) => return Err(HttpError::Length),
        (true, None) if old => return Err(HttpError::Length),
        (true, None) => BodyFraming::Chunked,
        (false, length) => BodyFraming::Length(length.unwrap_or(0)),
    };
    // SPEC: RFC 9112 section 3.2.
    if hosts > 1 || (hosts == 0 && !old) {
        return Err(HttpError::Host);
    }
    Ok(head)
}

/// Digits alone: no sign, no list, no blank. A number that does not fit is a body too large.
fn read_length(value: &[u8]) -> Result<usize, HttpError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::Length);
    }
    let add = |sum: usize, digit: &u8| {
        sum.saturating_mul(10).saturating_add(usize::from(digit.wrapping_sub(b'0')))
    };
    Ok(value.iter().fold(0, add))
}

/// A list of options; the last word on the connection wins.
fn read_connection(head: &mut Head<'_>, value: &[u8]) {
    for option in value.split(|b| *b == b',') {
        let option = option.trim_ascii();
        if option.eq_ignore_ascii_case(b"close") {
            head.keep_alive = false;
            return;
        }
        if option.eq_ignore_ascii_case(b"keep-alive") {
            head.keep_alive = true;
        }
    }
}

/// SPEC: RFC 9110 section 8.4.1.3: its old name means the same.
fn is_gzip(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
}

/// Whether a list of codings has gzip, and does not weigh it with nothing. SPEC: RFC 9110 section
/// 12.5.3; an asterisk is not taken for it, as nobody is worse off without.
fn lists_gzip(value: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|coding| {
        let mut parts = coding.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        parts.next().is_some_and(is_gzip) && !parts.any(weighs_nothing)
    })
}

/// Whether a parameter is a weight of zero.
fn weighs_nothing(parameter: &[u8]) -> bool {
    let [b'q' | b'Q', b'=', weight @ ..] = parameter else { return false };
    weight.iter().all(|b| matches!(b, b'0' | b'.'))
}

/// The value of a cookie, if a Cookie header has it.
#[must_use]
pub fn cookie<'b>(header: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    header.split(|b| *b == b';').find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"=")?;
        Some(rest.strip_prefix(b"\"").and_then(|r| r.strip_suffix(b"\"")).unwrap_or(rest))
    })
}

#[cfg(test)]
mod tests;

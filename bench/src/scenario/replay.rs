//! A trace: what was once asked, at its own spacing or faster.
//!
//! ```text
//!  {"at_ms":0,    "method":"GET",  "target":"/i.gif?a=1"}
//!  {"at_ms":0.25, "method":"POST", "target":"/v1/bid/x", "headers":{"x-openrtb-version":"2.6"},
//!   "body":"{…}"}   (on one line)
//! ```
//!
//! One request to a line, in the order of their times. Only distances between times count. Host is
//! added where it is missing, and Content-Length wherever there is a body. An answer is right if
//! its status is below 400: nobody knows what it should say.

use super::{
    Answer, Scenario, Verdict,
    corpus::{Corpus, Full, Population},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Asks what a trace says.
#[derive(Debug, Clone)]
pub struct Replay {
    corpus: Arc<Corpus>,
    /// When requests are due, in nanoseconds from the first one.
    moments: Arc<[u64]>,
}

/// BOUND: a line.
const LINE_BYTES_MAX: u64 = 8 << 20;

/// BOUND: a trace; a day is long enough to be replayed faster.
const AT_MS_MAX: f64 = 86_400_000.0;

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The system does not let us read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no request.
    #[error("{path}: line {number}: {fault}")]
    Line {
        /// The trace.
        path: PathBuf,
        /// Which line, from 1.
        number: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// There is no line.
    #[error("{path} has no line; a trace needs at least one request")]
    Empty {
        /// The trace.
        path: PathBuf,
    },
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// It is no JSON, or has other fields.
    #[error("not a request as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is longer than any request.
    #[error("longer than {} MiB", LINE_BYTES_MAX >> 20)]
    Long,
    /// Its time is before that of the line above, or is none.
    #[error("at_ms is {at_ms}; it has to be from {from} to {AT_MS_MAX}, as lines stand in order")]
    Time {
        /// What it is.
        at_ms: f64,
        /// That of the line above.
        from: f64,
    },
    /// The method is none.
    #[error("the method {0:?} is none")]
    Method(String),
    /// The target is none.
    #[error("the target {0:?} has to begin with / and be printable ASCII without blanks")]
    Target(String),
    /// A header cannot be sent.
    #[error(
        "the header {0:?} cannot be sent: a name or a value that HTTP forbids, or a length that is not the body's"
    )]
    Header(String),
    /// There are too many.
    #[error(transparent)]
    Full(#[from] Full),
}

/// A line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_ms: f64,
    method: String,
    target: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

impl Replay {
    /// Reads a trace, to be replayed `speed` times as fast as it was.
    ///
    /// # Errors
    /// [`TraceError`] when it cannot be used; a bad line is named.
    pub fn read(path: &Path, host: &str, speed: f64) -> Result<Replay, TraceError> {
        let failed = |source| TraceError::Read { path: path.to_owned(), source };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let mut corpus = Corpus::new(Population { seed: 0, users: 1 });
        let mut moments = Vec::new();
        let (mut first, mut last) = (None, 0.0);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let count = (&mut file).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes);
            if count.map_err(failed)? == 0 {
                break;
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let faulty = |fault| TraceError::Line { path: path.to_owned(), number, fault };
            let (at_ms, request) = line(&bytes, host, last).map_err(faulty)?;
            last = at_ms;
            let since = at_ms - *first.get_or_insert(at_ms);
            moments.push((since * 1e6 / speed) as u64);
            corpus.push(&request, &[]).map_err(|full| faulty(full.into()))?;
        }
        if moments.is_empty() {
            return Err(TraceError::Empty { path: path.to_owned() });
        }
        Ok(Replay { corpus: corpus.into(), moments: moments.into() })
    }

    /// When requests are due.
    #[must_use]
    pub fn moments(&self) -> Arc<[u64]> {
        self.moments.clone()
    }

    /// How long it takes until all requests are due.
    #[must_use]
    pub fn length(&self) -> Duration {
        // The last one is due before the end.
        Duration::from_nanos(self.moments.last().map_or(0, |at| at + 1))
    }
}

impl Scenario for Replay {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        self.corpus.write(number, out);
    }

    fn check(&mut self, _number: u64, answer: &Answer<'_>) -> Verdict {
        if answer.status < 400 {
            Verdict::Right
        } else {
            Verdict::Wrong("the status is 400 or above")
        }
    }
}

/// The time of a line, and its request as bytes.
fn line(bytes: &[u8], host: &str, from: f64) -> Result<(f64, Vec<u8>), LineFault> {
    if bytes.len() as u64 > LINE_BYTES_MAX {
        return Err(LineFault::Long);
    }
    let Line { at_ms, method, target, headers, body } = serde_json::from_slice(bytes)?;
    if !(from..=AT_MS_MAX).contains(&at_ms) {
        return Err(LineFault::Time { at_ms, from });
    }
    if !is_token(&method) {
        return Err(LineFault::Method(method));
    }
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(LineFault::Target(target));
    }
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    let named = |name: &str| headers.keys().any(|known| known.eq_ignore_ascii_case(name));
    if !named("host") {
        head.push_str(&format!("Host: {host}\r\n"));
    }
    for (name, value) in &headers {
        let framing = match name.to_ascii_lowercase().as_str() {
            "transfer-encoding" => false,
            "content-length" => value.parse() == Ok(body.len()),
            _ => true,
        };
        let is_printable = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if !framing || !is_token(name) || !value.bytes().all(is_printable) {
            return Err(LineFault::Header(name.clone()));
        }
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() && !named("content-length") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    Ok((at_ms, [head.as_bytes(), body.as_bytes()].concat()))
}

/// SPEC: RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parsed;
    use proptest::prelude::*;
    use std::io::Write;

    fn read(text: &[u8], speed: f64) -> Result<Replay, TraceError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        Replay::read(file.path(), "127.0.0.1:1", speed)
    }

    const TRACE: &str = concat!(
        r#"{"at_ms":100,"method":"GET","target":"/i.gif?a=1"}"#,
        "\n\n",
        r#"{"at_ms":100.25,"method":"POST","target":"/v1/bid/x","headers":{"Host":"h","X-A":"b c"},"body":"{\"id\":1}"}"#,
        "\n",
        r#"{"at_ms":2100,"method":"HEAD","target":"/"}"#,
    );

    #[test]
    fn a_trace_is_valid_http_at_its_own_spacing_or_faster() {
        for (speed, moments) in
            [(1.0, [0, 250_000, 2_000_000_000]), (10.0, [0, 25_000, 200_000_000])]
        {
            let mut replay = read(TRACE.as_bytes(), speed).unwrap();
            assert_eq!(*replay.moments(), moments);
            assert_eq!(replay.length().as_nanos() as u64, moments[2] + 1);
            let mut requests = Vec::new();
            for number in 0..3 {
                let mut out = Vec::new();
                replay.request(number, &mut out);
                requests.push(parsed(&out));
            }
            assert_eq!(requests[0].header("host"), Some("127.0.0.1:1"));
            assert_eq!(requests[1].header("host"), Some("h"));
            assert_eq!(requests[1].header("x-a"), Some("b c"));
            assert_eq!(requests[1].body, b"{\"id\":1}");
            assert_eq!(requests[2].method, "HEAD");
        }
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        for (line, wanted) in [
            (r#"{"at_ms":1"#, "not a request as JSON"),
            (r#"{"at_ms":"1","method":"GET","target":"/"}"#, "not a request as JSON"),
            (r#"{"at_ms":200,"method":"GET","target":"/","code":1}"#, "unknown field `code`"),
            (r#"{"at_ms":99,"method":"GET","target":"/"}"#, "at_ms is 99"),
            (r#"{"at_ms":1e300,"method":"GET","target":"/"}"#, "at_ms is 1"),
            (r#"{"at_ms":200,"method":"G T","target":"/"}"#, "the method \"G T\""),
            (r#"{"at_ms":200,"method":"GET","target":"x"}"#, "the target \"x\""),
            (r#"{"at_ms":200,"method":"GET","target":"/ b"}"#, "the target \"/ b\""),
            (r#"{"at_ms":200,"method":"GET","target":"/","headers":{"a":"b\r\nc: d"}}"#, "\"a\""),
            (r#"{"at_ms":200,"method":"GET","target":"/","headers":{"a:":"b"}}"#, "\"a:\""),
            (
                r#"{"at_ms":200,"method":"GET","target":"/","headers":{"Content-Length":"7"}}"#,
                "\"Content-Length\"",
            ),
        ] {
            let first = r#"{"at_ms":100,"method":"GET","target":"/"}"#;
            let error = read(format!("{first}\n\n{line}\n{first}\n").as_bytes(), 1.0).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(": line 3: ") && error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_trace_that_has_no_line_or_no_end_to_one_is_refused() {
        assert!(matches!(read(b"\n \n", 1.0), Err(TraceError::Empty { .. })));
        let long = vec![b'{'; LINE_BYTES_MAX as usize + 1];
        let error = read(&long, 1.0).unwrap_err().to_string();
        assert!(error.contains("line 1: longer than 8 MiB"), "{error}");
        let missing = Replay::read(Path::new("/nowhere/trace"), "h", 1.0).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/trace"), "{missing}");
    }

    proptest! {
        #[test]
        fn no_line_is_a_reason_to_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = line(&bytes, "h", 0.0);
        }

        #[test]
        fn whatever_text_a_line_has_it_is_refused_or_valid_http(
            method in "[A-Z ]{0,5}",
            target in "/?[ -~\\r\\n]{0,20}",
            name in "[ -~]{0,10}",
            value in "[ -~\\r\\n]{0,10}",
            body in "\\PC{0,20}",
        ) {
            prop_assume!(!name.eq_ignore_ascii_case("content-length"));
            let text = serde_json::json!({
                "at_ms": 0, "method": method, "target": target,
                "headers": { name: value }, "body": body,
            });
            if let Ok((_, request)) = line(text.to_string().as_bytes(), "h", 0.0) {
                let request = parsed(&request);
                prop_assert_eq!(request.method, method);
                prop_assert_eq!(request.target, target);
                prop_assert_eq!(request.body, body.as_bytes());
            }
        }
    }
}

//! Request heads: what is taken, how far it goes, and that a second, simpler reader sees the same.

use super::feature::reached;
use edge::http::{
    error::HttpError,
    head::{BodyFraming, HEAD_BYTES_MAX, Head, Version, cookie, header_space, parse},
};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn http_head(data: &[u8]) {
    match outcome(data) {
        Ok(Some(len)) => whole(data, len),
        Ok(None) => {
            reached("partial");
            let half = &data[..data.len() / 2];
            assert_eq!(outcome(half), Ok(None), "what is partial is so from its first byte on");
        }
        Err(error) => {
            reached(error);
            for more in [b"x".as_slice(), b"\r\n\r\n", b": a\r\nHost: a\r\n\r\n"] {
                let longer = [data, more].concat();
                assert!(outcome(&longer).is_err(), "{error:?}, and then it is taken");
            }
        }
    }
}

/// How long the head is, if it is whole.
fn outcome(data: &[u8]) -> Result<Option<usize>, HttpError> {
    parse(data, &mut header_space()).map(|parsed| parsed.map(|(_, len)| len))
}

fn whole(data: &[u8], len: usize) {
    assert!(len <= data.len() && len <= HEAD_BYTES_MAX);
    for cut in [len - 1, len - 2, len / 2] {
        assert_eq!(outcome(&data[..cut]), Ok(None), "{cut} bytes of {len}");
    }
    let (mut space, mut again) = (header_space(), header_space());
    let parsed = parse(data, &mut space);
    assert_eq!(parsed, parse(&data[..len], &mut again), "what is behind it does not matter");
    let Ok(Some((head, _))) = parsed else { panic!("it was whole before") };
    let fields = head.fields;
    let identity = fields.cookie.and_then(|header| cookie(header, b"uid"));
    let parts = [
        Some(head.method.as_bytes()),
        head.query,
        fields.accept_language,
        fields.cookie,
        fields.referer,
        fields.user_agent,
        fields.forwarded_for,
        identity,
    ];
    let bytes = data[..len].as_ptr_range();
    for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
        let part = part.as_ptr_range();
        assert!(bytes.start <= part.start && part.end <= bytes.end, "a part lies in the head");
    }
    let is_chunked = head.framing == BodyFraming::Chunked;
    reached((is_chunked, head.keep_alive, head.expects_continue, identity.is_some()));
    agrees(&data[..len], &head);
}

/// Holds a head against one that is read line by line, as a careless proxy would. Where these two
/// disagree, requests can be smuggled.
fn agrees(data: &[u8], head: &Head<'_>) {
    let lines = data.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let values = |name: &str| -> Vec<&[u8]> {
        let of_line = |line: &'_ [u8]| -> Option<(usize, usize)> {
            let colon = line.iter().position(|b| *b == b':')?;
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then_some((colon + 1, line.len()))
        };
        let of_lines = lines.clone().skip_while(|l| l.is_empty()).skip(1);
        of_lines.filter_map(|l| of_line(l).map(|(a, b)| l[a..b].trim_ascii())).collect()
    };
    let hosts = values("host").len();
    assert!(hosts == 1 || (hosts == 0 && head.version == Version::Http10), "{hosts} hosts");
    match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
        ([], []) => assert_eq!(head.framing, BodyFraming::Length(0)),
        ([length], []) => {
            let text = std::str::from_utf8(length).expect("digits are text");
            assert!(text.bytes().all(|b| b.is_ascii_digit()), "{text:?} is a length");
            let length = text.parse().unwrap_or(usize::MAX);
            assert_eq!(head.framing, BodyFraming::Length(length));
        }
        ([], [coding]) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!(head.framing, BodyFraming::Chunked);
        }
        other => panic!("two lengths were taken: {other:?}"),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(16_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(98));
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(48_000));
    let texts = [
        "GET /i.gif?auction_id=1&n=2 HTTP/1.1\r\nHost: a\r\nCookie: a=1; uid=\"7\"\r\n\
         User-Agent: t\r\nReferer: http://a/b\r\nAccept-Language: de\r\n\
         X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n\r\n",
        "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        "POST /e HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        "\r\n\r\nGET http://a.example/x?y HTTP/1.0\nConnection: keep-alive, upgrade\n\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        &long,
        &many,
        &large,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b"\t",
    b": ",
    b" : ",
    b"\r\n ",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Cookie: uid=",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"GET / ",
    b"POST ",
    b"HEAD ",
    b"http://",
    b"?auction_id=",
    b"\xff",
];

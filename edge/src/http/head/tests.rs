//! Heads, row by row: what is taken, what is refused and why.

use super::*;

fn check(bytes: &[u8], want: Result<Option<usize>, HttpError>) {
    let mut space = header_space();
    let got = parse(bytes, &mut space).map(|p| p.map(|(_, len)| len));
    assert_eq!(got, want, "{}", String::from_utf8_lossy(bytes));
}

fn head<'b>(bytes: &'b [u8], space: &mut HeaderSpace<'b>) -> Head<'b> {
    parse(bytes, space).unwrap().unwrap().0
}

#[test]
fn targets_are_split_into_path_and_query() {
    let rows: [(&str, &str, Option<&str>); 8] = [
        ("/i.gif", "/i.gif", None),
        ("/i.gif?", "/i.gif", Some("")),
        ("/i.gif?a=1&b=?", "/i.gif", Some("a=1&b=?")),
        ("http://a.example/i.gif?x", "/i.gif", Some("x")),
        ("HTTPS://a.example:8083", "/", None),
        ("http://a.example?x=1", "/", Some("x=1")),
        ("/grün", "/grün", None),
        ("//double", "//double", None),
    ];
    for (target, path, query) in rows {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut space = header_space();
        let head = head(text.as_bytes(), &mut space);
        assert_eq!(head.path, path.as_bytes(), "{target}");
        assert_eq!(head.query, query.map(str::as_bytes), "{target}");
    }
    for bad in ["i.gif", "*", "ftp://a/b", "a.example:443"] {
        let text = format!("GET {bad} HTTP/1.1\r\nHost: a\r\n\r\n");
        check(text.as_bytes(), Err(HttpError::Malformed));
    }
}

#[test]
fn lengths_that_two_readers_could_take_differently_are_refused() {
    let rows: [(&str, Result<BodyFraming, HttpError>); 13] = [
        ("", Ok(BodyFraming::Length(0))),
        ("Content-Length: 5\r\n", Ok(BodyFraming::Length(5))),
        ("content-length:  007 \r\n", Ok(BodyFraming::Length(7))),
        ("Content-Length: 99999999999999999999999\r\n", Ok(BodyFraming::Length(usize::MAX))),
        ("Transfer-Encoding: Chunked\r\n", Ok(BodyFraming::Chunked)),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(HttpError::Length)),
        ("Content-Length: 5, 5\r\n", Err(HttpError::Length)),
        ("Content-Length: +5\r\n", Err(HttpError::Length)),
        ("Content-Length: \r\n", Err(HttpError::Length)),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(HttpError::Length)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(HttpError::Coding)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(HttpError::Coding)),
        ("Content-Length : 5\r\n", Err(HttpError::Malformed)),
    ];
    for (headers, want) in rows {
        let text = format!("POST /e HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut space = header_space();
        let got = parse(text.as_bytes(), &mut space).map(|h| h.unwrap().0.framing);
        assert_eq!(got, want, "{headers:?}");
    }
    check(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(HttpError::Length));
}

#[test]
fn the_connection_stays_open_as_the_version_and_the_client_say() {
    let rows = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive, Upgrade\r\n", true),
        ("1.1", "Connection: upgrade , CLOSE\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ];
    for (version, header, want) in rows {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{header}\r\n");
        let mut space = header_space();
        assert_eq!(head(text.as_bytes(), &mut space).keep_alive, want, "{version} {header}");
    }
}

#[test]
fn gzip_is_what_the_client_says_it_is() {
    let rows = [
        ("", false, false),
        ("Content-Encoding: gzip\r\n", true, false),
        ("content-encoding: X-GZIP\r\n", true, false),
        ("Content-Encoding: identity\r\n", false, false),
        ("Content-Encoding: gzip, gzip\r\n", false, false),
        ("Content-Encoding: br\r\n", false, false),
        ("Accept-Encoding: gzip\r\n", false, true),
        ("accept-encoding: br;q=1.0, GZIP ;q=0.5, *;q=0\r\n", false, true),
        ("Accept-Encoding: br\r\nAccept-Encoding: x-gzip\r\n", false, true),
        ("Accept-Encoding: gzip;q=0.001\r\n", false, true),
        ("Accept-Encoding: gzip;q=0.000, br\r\n", false, false),
        ("Accept-Encoding: gzip; Q=0\r\n", false, false),
        ("Accept-Encoding: gzipped, *\r\n", false, false),
        ("Accept-Encoding: ,;q=0;\r\n", false, false),
        ("Accept-Encoding: gzip\r\nContent-Encoding: gzip\r\n", true, true),
    ];
    for (headers, body, answer) in rows {
        let text = format!("POST /e HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut space = header_space();
        let fields = head(text.as_bytes(), &mut space).fields;
        assert_eq!((fields.body_is_gzip, fields.accept_gzip()), (body, answer), "{headers}");
    }
}

#[test]
fn what_is_no_request_is_refused_with_its_reason() {
    check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Some(27)));
    check(b"\r\nGET / HTTP/1.1\nHost: a\n\n", Ok(Some(26)));
    check(b"GET / HTTP/1.0\r\n\r\n", Ok(Some(18)));
    check(b"GET / HTTP/1.1\r\n\r\n", Err(HttpError::Host));
    check(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(HttpError::Host));
    check(b"GET / HTTP/2.0\r\n\r\n", Err(HttpError::Version));
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(HttpError::Version));
    check(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", Err(HttpError::Expectation));
    check(b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", Err(HttpError::Malformed));
    check(b"\x16\x03\x01\x02\x00", Err(HttpError::Malformed));
    check(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Err(HttpError::Malformed));
    check(b"GET / HTTP/1.1\r\nHost: a\r\n", Ok(None));
    check(b"", Ok(None));

    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(LINE_BYTES_MAX));
    check(long.as_bytes(), Err(HttpError::LineTooLong));
    check(&long.as_bytes()[..LINE_BYTES_MAX + 1], Err(HttpError::LineTooLong));
    let fits = "x".repeat(LINE_BYTES_MAX - 1 - 3 - LINE_OVERHEAD);
    let fits = format!("GET /{fits} HTTP/1.1\r\nHost: a\r\n\r\n");
    check(fits.as_bytes(), Ok(Some(fits.len())));
    let many = "A: b\r\n".repeat(HEADERS_MAX + 1);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    check(many.as_bytes(), Err(HttpError::HeadersTooLarge));
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    check(large.as_bytes(), Err(HttpError::HeadersTooLarge));
    check(&large.as_bytes()[..HEAD_BYTES_MAX + 1], Err(HttpError::HeadersTooLarge));
}

#[test]
fn cookies_and_parameters_are_found_by_their_whole_name() {
    let rows: [(&str, Option<&str>); 6] = [
        ("uid=7", Some("7")),
        ("a=1; uid=7; b=2", Some("7")),
        ("xuid=1; uid=\"7\"", Some("7")),
        ("uidx=1", None),
        ("uid", None),
        ("uid=", Some("")),
    ];
    for (header, want) in rows {
        assert_eq!(cookie(header.as_bytes(), b"uid"), want.map(str::as_bytes), "{header}");
    }
}

//! The same bytes make the same requests, wherever they are cut.

use super::*;
use crate::conn::assembly::AssemblyCounts;
use crate::http::head::header_space;

const BODY_MAX: usize = 1000;

/// What came out: requests as `METHOD path body`, `continue`, or a refusal, which ends it.
fn run(input: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut pool = AssemblyPool::new(AssemblyCounts { small: 1, medium: 1, large: 1 });
    let mut conn = Conn::default();
    let mut out = Vec::new();
    let mut from = 0;
    for end in cuts.iter().copied().chain([input.len()]) {
        let mut piece = &input[from..end];
        from = end;
        while !piece.is_empty() {
            let mut space = header_space();
            match conn.step(piece, &mut pool, &mut space, BODY_MAX) {
                Step::Request { head, body, consumed } => {
                    let path = String::from_utf8_lossy(head.path);
                    let body = String::from_utf8_lossy(body);
                    out.push(format!("{} {path} {body}", head.method));
                    piece = &piece[consumed..];
                    conn.finish(&mut pool);
                }
                Step::More { wants_continue } => {
                    out.extend(wants_continue.then(|| "continue".to_owned()));
                    break;
                }
                Step::Refuse(error) => {
                    out.push(format!("refuse {}", error.label()));
                    conn.finish(&mut pool);
                    assert_eq!(pool.in_use(), [0, 0, 0]);
                    return out;
                }
            }
        }
    }
    if conn.awaits() == Awaits::Request {
        assert_eq!(pool.in_use(), [0, 0, 0], "nothing is held between requests");
    }
    out
}

fn check(input: &str, want: &[&str]) {
    let input = input.as_bytes();
    assert_eq!(run(input, &[]), want, "as a whole");
    let without_continue = |mut out: Vec<String>| {
        out.retain(|line| line != "continue");
        out
    };
    let want: Vec<_> = want.iter().copied().filter(|w| *w != "continue").collect();
    for cut in 1..input.len() {
        assert_eq!(without_continue(run(input, &[cut])), want, "cut at {cut}");
    }
    let every: Vec<_> = (1..input.len()).collect();
    assert_eq!(without_continue(run(input, &every)), want, "cut everywhere");
}

#[test]
fn requests_are_the_same_wherever_they_are_cut() {
    check("GET /i.gif HTTP/1.1\r\nHost: a\r\n\r\n", &["GET /i.gif "]);
    check("\r\n\r\nGET /a HTTP/1.0\n\n", &["GET /a "]);
    check("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &["POST /e hello"]);
    check(
        "POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n",
        &["POST /e hello"],
    );
}

#[test]
fn pipelined_requests_come_out_one_after_the_other() {
    check(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
         POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
         \r\nHEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n",
        &["GET /1 ", "POST /2 hi", "POST /3 x", "HEAD /4 "],
    );
}

#[test]
fn a_client_that_waits_is_told_to_go_on_once() {
    let head = "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let whole = format!("{head}hello");
    assert_eq!(run(whole.as_bytes(), &[]), ["POST /e hello"]);
    assert_eq!(run(whole.as_bytes(), &[head.len()]), ["continue", "POST /e hello"]);
    let twice = run(whole.as_bytes(), &[30, head.len(), head.len() + 2]);
    assert_eq!(twice, ["continue", "POST /e hello"]);
    let nothing = head.replace("5", "0");
    assert_eq!(run(nothing.as_bytes(), &[]), ["POST /e "]);
}

#[test]
fn what_is_refused_is_refused_wherever_it_is_cut() {
    check("GET /\r\n\r\n", &["refuse malformed"]);
    check("GET / HTTP/1.1\r\n\r\n", &["refuse host"]);
    check(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
        &["GET /1 ", "refuse body_too_large"],
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        &["refuse length"],
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        &["refuse chunk"],
    );
}

#[test]
fn a_chunked_body_is_bounded_although_it_announces_nothing() {
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let fits = format!("{head}{}0\r\n\r\n", chunk.repeat(10));
    assert_eq!(run(fits.as_bytes(), &[60]), [format!("POST / {}", "x".repeat(1000))]);
    let over = format!("{head}{}", chunk.repeat(11));
    assert_eq!(run(over.as_bytes(), &[60, 700]), ["refuse body_too_large"]);
}

#[test]
fn a_head_that_never_ends_is_bounded() {
    let line = "x".repeat(head::LINE_BYTES_MAX + 10);
    let long = format!("GET /{line}");
    let cuts: Vec<_> = (1000..long.len()).step_by(1000).collect();
    assert_eq!(run(long.as_bytes(), &cuts), ["refuse line_too_long"]);
    let headers = "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(2000);
    let long = format!("GET / HTTP/1.1\r\n{headers}");
    let cuts: Vec<_> = (1000..long.len()).step_by(1000).collect();
    assert_eq!(run(long.as_bytes(), &cuts), ["refuse headers_too_large"]);
}

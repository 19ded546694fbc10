//! A connection: the same bytes make the same requests, wherever they are cut, and memory for
//! requests in parts is given back.
//!
//! ```text
//!  input = mode, step, 4 cuts of 2 bytes each │ what the client sends
//! ```
//!
//! One difference is allowed: in a head that never ends, a reader that sees all of it at once may
//! refuse what a reader of parts still waits for, for the latter looks at whole heads only.

use super::{feature::reached, http_head, input::Input};
use edge::{
    conn::{
        Awaits, Conn, Step,
        assembly::{AssemblyCounts, AssemblyPool, BODY_BYTES_MAX},
    },
    http::head::{BodyFraming, header_space},
};
use std::cell::Cell;

/// What a connection came to.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    requests: Vec<Request>,
    /// Why it ended, or what it waits for.
    end: Result<Awaits, &'static str>,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    framing: BodyFraming,
    keep_alive: bool,
    body: Vec<u8>,
}

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn http_conn(data: &[u8]) {
    let mut input = Input::new(data);
    let (mode, step) = (input.byte(), usize::from(input.byte()));
    let mut cuts: Vec<usize> = (0..4).map(|_| input.below(1 << 16)).collect();
    let bytes = input.rest();
    let body_max = [0, 10, 1000, BODY_BYTES_MAX][usize::from(mode & 3)];
    cuts.iter_mut().for_each(|cut| *cut %= bytes.len() + 1);
    if step > 0 {
        cuts.extend((0..bytes.len()).step_by(step));
    }
    cuts.sort_unstable();
    let mut plenty = PLENTY
        .take()
        .unwrap_or_else(|| AssemblyPool::new(AssemblyCounts { small: 1, medium: 1, large: 1 }));
    let whole = read(bytes, &[], &mut plenty, body_max);
    let parts = read(bytes, &cuts, &mut plenty, body_max);
    PLENTY.set(Some(plenty));
    assert_eq!(parts.requests, whole.requests, "cut at {cuts:?}");
    match (whole.end, parts.end) {
        (Err(_), Err(_) | Ok(Awaits::Head)) => {}
        (whole, parts) => assert_eq!(whole, parts, "cut at {cuts:?}"),
    }
    reached((whole.requests.len().min(4), ended(&whole), ended(&parts)));
    if mode & 4 != 0 {
        // Without memory requests are refused; nothing leaks all the same.
        let few = AssemblyCounts { small: u32::from(mode >> 3 & 1), medium: 0, large: 0 };
        let scarce = read(bytes, &cuts, &mut AssemblyPool::new(few), body_max);
        reached(("scarce", ended(&scarce)));
        assert!(parts.requests.starts_with(&scarce.requests), "less memory, other requests");
    }
}

thread_local! {
    /// Memory for one request of each size; it is whole again after each input and serves them all.
    static PLENTY: Cell<Option<AssemblyPool>> = const { Cell::new(None) };
}

/// How it ended, as a feature.
fn ended(read: &Read) -> Result<u8, &'static str> {
    read.end.map(|awaits| awaits as u8)
}

fn read(bytes: &[u8], cuts: &[usize], pool: &mut AssemblyPool, body_max: usize) -> Read {
    let mut conn = Conn::default();
    let mut requests = Vec::new();
    let mut from = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        let mut piece = &bytes[from..end];
        from = end;
        while !piece.is_empty() {
            let mut space = header_space();
            match conn.step(piece, pool, &mut space, body_max) {
                Step::Request { head, body, consumed } => {
                    assert!((1..=piece.len()).contains(&consumed) && body.len() <= body_max);
                    requests.push(Request {
                        method: head.method.to_owned(),
                        path: head.path.to_vec(),
                        query: head.query.map(<[u8]>::to_vec),
                        user_agent: head.fields.user_agent.map(<[u8]>::to_vec),
                        framing: head.framing,
                        keep_alive: head.keep_alive,
                        body: body.to_vec(),
                    });
                    piece = &piece[consumed..];
                    conn.finish(pool);
                    assert_eq!(pool.in_use(), [0; 3], "nothing is held between requests");
                }
                Step::More { .. } => break,
                Step::Refuse(error) => {
                    conn.finish(pool);
                    assert_eq!(pool.in_use(), [0; 3], "nothing is held of what is refused");
                    return Read { requests, end: Err(error.label()) };
                }
            }
        }
    }
    let end = Ok(conn.awaits());
    conn.finish(pool);
    assert_eq!(pool.in_use(), [0; 3], "nothing is held of what never ends");
    Read { requests, end }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let chunked = "POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let large = format!("{chunked}1000\r\n{}\r\n0\r\n\r\n", "x".repeat(4096)).into_bytes();
    let streams = [
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
          \r\nHEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n"
            .to_vec(),
        format!("{chunked}3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\nGET").into_bytes(),
        format!("{chunked}zz\r\n").into_bytes(),
        large,
    ];
    let mut seeds = Vec::new();
    for stream in streams.into_iter().chain(http_head::seeds()) {
        for front in [[2, 0, 0, 40, 0, 60, 0, 61, 0, 90], [6, 7, 0, 0, 0, 0, 0, 0, 0, 0]] {
            seeds.push([front.as_slice(), &stream].concat());
        }
    }
    seeds
}

pub(super) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b";x=y",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Content-Length: 3\r\n",
    b"Host: a\r\n",
    b"HTTP/1.0",
    b"\0",
];

//! `/health` and `/ready`, the same on every listener.
//!
//! SPEC: an exchange reads any byte `1` anywhere in the body as ready, so the other body has none.

use crate::http::{answer::Fixed, head::Head};

static HEALTHY: Fixed = Fixed {
    status: 200,
    head: b"HTTP/1.1 200 OK\r\n\
            Content-Type: text/plain\r\nContent-Length: 3\r\nCache-Control: no-store\r\n",
    body: b"ok\n",
};

static READY: Fixed = Fixed {
    status: 200,
    head: b"HTTP/1.1 200 OK\r\n\
            Content-Type: text/plain\r\nContent-Length: 2\r\nCache-Control: no-store\r\n",
    body: b"1\n",
};

static NOT_READY: Fixed = Fixed {
    status: 503,
    head: b"HTTP/1.1 503 Service Unavailable\r\n\
            Content-Type: text/plain\r\nContent-Length: 2\r\nCache-Control: no-store\r\n",
    body: b"0\n",
};

static NOT_ALLOWED: Fixed = Fixed {
    status: 405,
    head: b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n",
    body: b"",
};

/// The answer, if the request is a probe.
#[inline]
pub(super) fn answer(head: &Head<'_>, ready: bool) -> Option<&'static Fixed> {
    let fixed = match head.path {
        b"/ready" if ready => &READY,
        b"/ready" => &NOT_READY,
        b"/health" => &HEALTHY,
        _ => return None,
    };
    Some(if matches!(head.method, "GET" | "HEAD") { fixed } else { &NOT_ALLOWED })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ready_body_has_a_one_in_it() {
        assert!(READY.body.contains(&b'1'));
        assert!(!NOT_READY.body.contains(&b'1'));
        assert!(!NOT_ALLOWED.body.contains(&b'1'));
    }
}

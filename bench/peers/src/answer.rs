//! The pixel, as the appliance answers it.

use std::time::{Duration, Instant, SystemTime};

/// The path that is asked for.
pub const PATH: &str = "/i.gif";

/// One transparent pixel: GIF89a, 1 by 1.
pub const GIF: [u8; 43] = *b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\
    !\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Its headers, without those that every server library writes by itself: Content-Length, Date.
pub const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "image/gif"),
    ("Cache-Control", "private, no-cache, no-store, must-revalidate"),
    ("Expires", "0"),
];

/// The whole answer as bytes, for those without a library; written anew once a second.
#[derive(Debug)]
pub struct Written {
    kept: Vec<u8>,
    closing: Vec<u8>,
    until: Instant,
}

impl Written {
    /// The answer of this second.
    #[must_use]
    pub fn now() -> Written {
        Written {
            kept: written("keep-alive"),
            closing: written("close"),
            until: Instant::now() + Duration::from_secs(1),
        }
    }

    /// Looks at the clock, and writes the answer anew when its second is over.
    pub fn refresh(&mut self) {
        if Instant::now() >= self.until {
            *self = Written::now();
        }
    }

    /// The answer, behind which the connection is closed or is not.
    #[must_use]
    pub fn bytes(&self, closes: bool) -> &[u8] {
        if closes { &self.closing } else { &self.kept }
    }
}

fn written(connection: &str) -> Vec<u8> {
    let headers = HEADERS.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let date = httpdate::fmt_http_date(SystemTime::now());
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\nDate: {date}\r\n\
         Connection: {connection}\r\n\r\n",
        GIF.len()
    );
    [head.as_bytes(), &GIF].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_that_of_the_appliance() {
        let text = Written::now().bytes(false).to_vec();
        let (head, body) = text.split_at(text.len() - GIF.len());
        let head = String::from_utf8(head.to_vec()).unwrap();
        assert_eq!(head.len() + body.len(), 241);
        assert!(head.ends_with("Connection: keep-alive\r\n\r\n") && body.starts_with(b"GIF89a"));
        let closing = Written::now();
        assert!(closing.bytes(true).windows(17).any(|w| w == b"Connection: close"));
    }
}

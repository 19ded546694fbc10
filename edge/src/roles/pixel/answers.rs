//! What a pixel says.

use crate::http::answer::Fixed;

/// One transparent pixel: GIF89a, 1 by 1, a palette of two, index 0 transparent.
#[rustfmt::skip]
pub(super) const GIF_BODY: [u8; 43] = [
    b'G', b'I', b'F', b'8', b'9', b'a',
    1, 0, 1, 0, 0x80, 0, 0,                         // 1 by 1, a palette of two follows
    0, 0, 0, 0xFF, 0xFF, 0xFF,                      // black, white
    0x21, 0xF9, 4, 1, 0, 0, 0, 0,                   // index 0 is transparent
    0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0,                // one image, as large as the screen
    2, 2, 0x44, 1, 0,                               // LZW: clear, index 0, end
    0x3B,
];

/// The pixel. Not cacheable, by anybody: a cached one is an impression that nobody counts.
pub(super) static GIF: Fixed = Fixed {
    status: 200,
    head: b"HTTP/1.1 200 OK\r\n\
            Content-Type: image/gif\r\nContent-Length: 43\r\n\
            Cache-Control: private, no-cache, no-store, must-revalidate\r\nExpires: 0\r\n",
    body: &GIF_BODY,
};

pub(super) static ROBOTS: Fixed = Fixed {
    status: 200,
    head: b"HTTP/1.1 200 OK\r\n\
            Content-Type: text/plain\r\nContent-Length: 26\r\nCache-Control: max-age=86400\r\n",
    body: b"User-agent: *\nDisallow: /\n",
};

/// SPEC: RFC 9110 section 15.3.5: 204 has neither body nor Content-Length.
pub(super) static NO_ICON: Fixed = Fixed {
    status: 204,
    head: b"HTTP/1.1 204 No Content\r\nCache-Control: max-age=86400\r\n",
    body: b"",
};

pub(super) static NOT_ALLOWED: Fixed = Fixed {
    status: 405,
    head: b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n",
    body: b"",
};

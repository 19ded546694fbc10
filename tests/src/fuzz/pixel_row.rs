//! The pixel: any request is answered, and its row decodes to what was sent.

use super::{feature::reached, http_head};
use brink_proto::{
    ImpressionRow, decoded,
    event::{AddressText, EVENT_BYTES_MAX, Row},
    ids::Micros,
    wire::Writer,
};
use edge::{
    consent::Policy,
    http::{
        answer::Answer,
        date::HeadEnd,
        head::{Head, header_space, parse},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::{
        Ack, Moment, Outcome, Request, Role,
        pixel::{Pixel, PixelView, parameters},
    },
};
use prost::Message;

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn pixel_row(data: &[u8]) {
    let mut space = header_space();
    let Ok(Some((head, len))) = parse(data, &mut space) else { return };
    let mut blocks = OutBlocks::map(4).expect("memory");
    let mut output = Output::default();
    let head_end = HeadEnd::at(Micros(0));
    let mut answer = Answer::new(&mut output, &mut blocks, &head_end, &head, false);
    let address = AddressText::new([192, 0, 2, 1].into());
    let request = Request { head: &head, body: &data[len..], peer: &address, client: &address };
    let view = PixelView {
        ack: Ack::Received,
        cookie: b"uid".to_vec(),
        parameters: parameters("auction_id"),
        policy: Policy::default(),
    };
    let mut state = Pixel::state(&view);
    match Pixel::handle(&request, &view, &mut state, Moment::at(Micros(0)), &mut answer) {
        Outcome::NotFound => reached("not found"),
        Outcome::Answered => assert!(answer.is_complete()),
        Outcome::Event { row, .. } => {
            assert!(answer.is_complete() && answer.status() == 200);
            check(&row, &head);
        }
    }
    reached(answer.status());
}

fn check(row: &ImpressionRow<'_>, head: &Head<'_>) {
    let mut buffer = [0; EVENT_BYTES_MAX];
    let mut out = Writer::new(&mut buffer);
    row.encode(&mut out);
    let written = out.finish().expect("no row is longer than the longest event");
    assert_eq!(written, row.encoded_bytes());
    let decoded = decoded::Impression::decode(&buffer[..written]).expect("a message");
    assert_eq!(decoded.method, head.method);
    assert_eq!(decoded.path, "/i.gif");
    assert_eq!(decoded.client_address, "192.0.2.1");
    let pairs = [
        (&decoded.raw_query, head.query),
        (&decoded.user_agent, head.fields.user_agent),
        (&decoded.referer, head.fields.referer),
        (&decoded.accept_language, head.fields.accept_language),
    ];
    for (got, sent) in pairs {
        assert_eq!(got.is_some(), sent.is_some());
        let (Some(got), Some(sent)) = (got, sent) else { continue };
        match std::str::from_utf8(sent) {
            Ok(sent) => assert!(sent.starts_with(got.as_str())),
            Err(_) => assert!(got.chars().zip(sent).all(|(c, b)| c == char::from(*b))),
        }
    }
    reached((decoded.cookie_id.is_some(), decoded.auction_id.is_some()));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let own = [
        "GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /favicon.ico HTTP/1.0\r\n\r\n",
        "POST /i.gif HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /i.gif?auction_id=%24%7bA%7D HTTP/1.1\r\nHost: a\r\nUser-Agent: caf\u{e9}\r\n\r\n",
        "GET /i.gif?auction_id=${A} HTTP/1.1\r\nHost: a\r\nCookie: uid=\r\n\r\n",
    ];
    let own = own.iter().map(|text| text.as_bytes().to_vec());
    let short = http_head::seeds().into_iter().filter(|seed| seed.len() < 4096);
    own.chain(short).collect()
}

pub(super) const WORDS: &[&[u8]] = &[
    b"/i.gif?",
    b"auction_id=",
    b"${",
    b"%24%7B",
    b"&",
    b"Cookie: uid=7\r\n",
    b"User-Agent: \xff\xfe\r\n",
    b"Referer: ",
    b"Host: a\r\n",
    b"\r\n\r\n",
    b"GET ",
    b"\xc3\xbc",
];

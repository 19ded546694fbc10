//! The pixel's routes, row by row.

use super::*;
use crate::{
    consent::Policy,
    http::{
        date::HeadEnd,
        head::{header_space, parse},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::Ack,
};
use brink_proto::{
    event::{AddressText, Row},
    ids::Micros,
};

/// Status, body and number of the event's bytes, if there is one.
fn ask(request: &str) -> (u16, Vec<u8>, Option<usize>) {
    let mut blocks = OutBlocks::map(4).unwrap();
    let mut output = Output::default();
    let head_end = HeadEnd::at(Micros(0));
    let mut space = header_space();
    let (head, _) = parse(request.as_bytes(), &mut space).unwrap().unwrap();
    let mut answer = Answer::new(&mut output, &mut blocks, &head_end, &head, false);
    let address = AddressText::new("127.0.0.1".parse().unwrap());
    let view = PixelView {
        ack: Ack::Received,
        cookie: b"uid".to_vec(),
        parameters: parameters("auction_id"),
        policy: Policy::default(),
    };
    let mut state = Pixel::state(&view);
    let request = Request { head: &head, body: b"", peer: &address, client: &address };
    let event = match Pixel::handle(&request, &view, &mut state, Moment::at(Micros(0)), &mut answer)
    {
        Outcome::NotFound => return (404, Vec::new(), None),
        Outcome::Answered => None,
        Outcome::Event { row, .. } => Some(row.encoded_bytes()),
    };
    let status = answer.status();
    let span = output.start_send(&blocks).unwrap();
    let bytes = blocks.memory().copy(span);
    let body = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    (status, bytes[body..].to_vec(), event)
}

#[test]
fn routes_answer_as_the_page_says() {
    let rows: [(&str, &str, u16, &[u8], bool); 8] = [
        ("GET", "/i.gif?auction_id=1", 200, &answers::GIF_BODY, true),
        ("HEAD", "/i.gif", 200, b"", true),
        ("POST", "/i.gif", 405, b"", false),
        ("GET", "/robots.txt", 200, b"User-agent: *\nDisallow: /\n", false),
        ("GET", "/favicon.ico", 204, b"", false),
        ("DELETE", "/favicon.ico", 405, b"", false),
        ("GET", "/", 404, b"", false),
        ("GET", "/i.gif/", 404, b"", false),
    ];
    for (method, target, status, body, event) in rows {
        let got = ask(&format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((got.0, got.1.as_slice(), got.2.is_some()), (status, body, event), "{target}");
    }
}

#[test]
fn announced_lengths_are_those_of_the_bodies() {
    for fixed in [&answers::GIF, &answers::ROBOTS, &answers::NOT_ALLOWED] {
        let head_text = std::str::from_utf8(fixed.head).unwrap();
        let want = format!("Content-Length: {}\r\n", fixed.body.len());
        assert!(head_text.contains(&want), "{head_text}");
    }
}

//! Text: any bytes become valid, bounded UTF-8 that says whether it was cut.

use super::feature::reached;
use brink_proto::{
    text::Text,
    wire::{Value, Writer, bytes_field_bytes, fields},
};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn text(data: &[u8]) {
    bounded::<1>(data);
    bounded::<8>(data);
    bounded::<512>(data);
    bounded::<16_384>(data);
}

fn bounded<const MAX: usize>(data: &[u8]) {
    let text = Text::<MAX>::from(data);
    let size = bytes_field_bytes(16, text.encoded_bytes());
    let mut buffer = vec![0; size];
    let mut out = Writer::new(&mut buffer);
    text.encode(16, &mut out);
    assert_eq!(out.finish(), Some(size), "a text is as long as it says");
    let Some(Ok((16, Value::Bytes(value)))) = fields(&buffer).next() else {
        panic!("a text is a field");
    };
    let value = std::str::from_utf8(value).expect("valid UTF-8");
    assert!(value.len() <= MAX);
    match std::str::from_utf8(data) {
        Ok(sent) => {
            assert!(sent.starts_with(value), "UTF-8 is taken as it is");
            assert_eq!(text.is_cut(), value.len() < sent.len());
            let next = sent[value.len()..].chars().next();
            assert!(next.is_none_or(|c| value.len() + c.len_utf8() > MAX), "cut too early");
        }
        Err(_) => {
            let read: Vec<char> = data.iter().map(|b| char::from(*b)).collect();
            let kept = value.chars().count();
            assert!(value.chars().eq(read[..kept].iter().copied()), "read as ISO-8859-1");
            assert_eq!(text.is_cut(), kept < read.len());
            let next = read.get(kept);
            assert!(next.is_none_or(|c| value.len() + c.len_utf8() > MAX), "cut too early");
        }
    }
    reached((MAX, text.is_cut(), std::str::from_utf8(data).is_ok()));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let long = "日本語grün".repeat(60);
    let latin = b"gr\xfcn".repeat(200);
    vec![b"abc".to_vec(), "1234567ü".into(), long.into_bytes(), latin, vec![b'x'; 600]]
}

pub(super) const WORDS: &[&[u8]] =
    &[b"\xff", b"\xc3", b"\xc3\xbc", b"\xe6\x97\xa5", b"\xf0\x9f\x8e\xaf", b"\xed\xa0\x80", b"\0"];

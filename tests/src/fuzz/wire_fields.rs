//! Protobuf fields: reading ends, values lie in the message, and what is written reads the same.

use super::feature::reached;
use brink_proto::wire::{
    Value, WireError, Writer, bytes_field_bytes, fields, key_bytes, take_varint, unzigzag,
    varint_bytes, varint_field_bytes, zigzag,
};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn wire_fields(data: &[u8]) {
    varint(data);
    let mut read = Vec::new();
    let mut message = fields(data);
    while let Some(field) = message.next() {
        let Ok((number, value)) = field else {
            assert!(message.next().is_none(), "nothing is read behind what is no field");
            reached("wrong");
            break;
        };
        assert_ne!(number, 0);
        if let Value::Bytes(bytes) = value {
            let (inside, part) = (data.as_ptr_range(), bytes.as_ptr_range());
            assert!(inside.start <= part.start && part.end <= inside.end, "a value lies inside");
        }
        read.push((number, value));
        assert!(read.len() <= data.len(), "every field takes something");
    }
    // What has no column is skipped, and a zero is left out.
    read.retain(|(_, value)| !matches!(value, Value::Other | Value::Varint(0)));
    reached(read.len().min(5));
    write(&read);
}

fn varint(data: &[u8]) {
    let mut rest = data;
    let Some(value) = take_varint(&mut rest) else {
        assert_eq!(rest, data, "what is no varint is not taken");
        return;
    };
    assert!(varint_bytes(value) <= data.len() - rest.len(), "no varint is shorter than its value");
    assert_eq!(zigzag(unzigzag(value)), value);
}

fn write(read: &[(u32, Value<'_>)]) {
    let size = |(number, value): &(u32, Value<'_>)| match value {
        Value::Varint(v) => varint_field_bytes(*number, *v),
        Value::Bytes(b) => bytes_field_bytes(*number, b.len()),
        Value::Other => 0,
    };
    let bytes: usize = read.iter().map(size).sum();
    let mut buffer = vec![0; bytes];
    assert_eq!(put(read, &mut buffer), Some(bytes), "fields are as long as they are said to be");
    let again: Result<Vec<_>, WireError> = fields(&buffer).collect();
    assert_eq!(again.as_deref(), Ok(read));
    if bytes > 0 {
        assert!(read.iter().all(|(number, _)| key_bytes(*number) <= bytes));
        assert_eq!(put(read, &mut vec![0; bytes - 1]), None, "what does not fit is refused");
    }
}

fn put(read: &[(u32, Value<'_>)], buffer: &mut [u8]) -> Option<usize> {
    let mut out = Writer::new(buffer);
    for (number, value) in read {
        match value {
            Value::Varint(v) => out.varint_field(*number, *v),
            Value::Bytes(b) => out.bytes_field(*number, b),
            Value::Other => {}
        }
    }
    out.finish()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut buffer = [0; 256];
    let mut out = Writer::new(&mut buffer);
    for (number, value) in [(1, 1), (4, 4711), (15, u64::MAX), (16, 300), (u32::MAX >> 3, 7)] {
        out.varint_field(number, value);
        out.bytes_field(number, b"text");
    }
    let len = out.finish().expect("they fit");
    let fixed = b"\x09\x01\x02\x03\x04\x05\x06\x07\x08\x0d\x01\x02\x03\x04\x12\x00".to_vec();
    vec![buffer[..len].to_vec(), fixed]
}

pub(super) const WORDS: &[&[u8]] = &[
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
    b"\x80\x80\x00",
    b"\x0a\xff\xff\xff\xff\x0f",
    b"\xf8\xff\xff\xff\x7f\x01",
    b"\x0b",
    b"\x09",
    b"\x0d",
];

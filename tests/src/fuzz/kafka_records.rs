//! Kafka records: reading ends, values lie in the section, and ours are written as they are read.

use super::feature::reached;
use brink_proto::{
    kafka::record::{Record, RecordHead, records},
    wire::Writer,
};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn kafka_records(data: &[u8]) {
    let mut section = records(data);
    let mut rest = data.len();
    let mut count = 0;
    while let Some(record) = section.next() {
        let Ok(record) = record else {
            assert!(section.next().is_none(), "nothing is read behind what is no record");
            reached(("wrong", count.min(3)));
            return;
        };
        assert!(section.rest().len() < rest, "every record takes something");
        rest = section.rest().len();
        let inside = data.as_ptr_range();
        let value = record.value.as_ptr_range();
        assert!(inside.start <= value.start && value.end <= inside.end, "a value lies inside");
        write(&record);
        count += 1;
    }
    assert_eq!(rest, 0, "all was read");
    reached(("whole", count.min(3)));
}

/// A record as ours are is written and read again.
fn write(record: &Record<'_>) {
    let Ok(offset_delta) = u32::try_from(record.offset_delta) else { return };
    let head = RecordHead::new(record.timestamp_delta_ms, offset_delta, record.value.len());
    let mut buffer = vec![0; head.record_bytes()];
    let mut out = Writer::new(&mut buffer);
    head.write(&mut out, |out| out.put(record.value));
    assert_eq!(out.finish(), Some(head.record_bytes()), "a record is as long as it says");
    let read: Vec<_> = records(&buffer).collect();
    assert_eq!(read, [Ok(*record)]);
    if let Some(less) = buffer.len().checked_sub(1) {
        let mut out = Writer::new(&mut buffer[..less]);
        head.write(&mut out, |out| out.put(record.value));
        assert_eq!(out.finish(), None, "what does not fit is refused");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut section = vec![0; 4096];
    let mut out = Writer::new(&mut section);
    for (at, len) in [0, 1, 63, 64, 1000].into_iter().enumerate() {
        let head = RecordHead::new(at as i64 * 100 - 150, at as u32 * 70, len);
        head.write(&mut out, |out| (0..len).for_each(|n| out.put_byte(n as u8)));
    }
    let len = out.finish().expect("they fit");
    section.truncate(len);
    // One with a key and a header, as others write them.
    let foreign = b"\x1c\x00\x02\x04\x06key\x06val\x02\x02h\x02v".to_vec();
    vec![section, foreign, b"\x18\x00\x05\xd8\x04\x01\x0avalue\x00".to_vec()]
}

pub(super) const WORDS: &[&[u8]] = &[
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xfe\xff\xff\xff\x0f",
    b"\x80\x00",
    b"\x01",
    b"\x0c\x00\x00\x00\x01\x00\x00",
];

//! Values of the topic of positions: somebody else's, refused, or read and written again alike.

use super::feature::reached;
use brink_proto::kafka::record::records;
use brink_shipper::kafka::transaction::position::{Positions, PositionsError};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn kafka_positions(data: &[u8]) {
    let [ours, other] = ["e", "f"];
    let read = Positions::read(data, ours);
    if !matches!(read, Ok(None)) {
        assert!(matches!(Positions::read(data, other), Ok(None)), "a record is of one owner");
    }
    match read {
        Ok(None) => reached("somebody's"),
        Err(PositionsError::Newer(_)) => reached("newer"),
        Err(PositionsError::Malformed(_)) => reached("malformed"),
        Ok(Some(positions)) => {
            let record = positions.record();
            let mut read = records(&record);
            let value = read.next().expect("a record").expect("a sound one").value;
            assert!(read.next().is_none(), "it is one record");
            let again = Positions::read(value, ours).expect("ours can be read");
            reached(positions.streams.len().min(3));
            assert_eq!(again, Some(positions));
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let position = r#"{"stream":"e/7/0/t","producer":4,"epoch":2,"end":71}"#;
    let text = |version: u32, owner: &str, streams: &str| {
        format!(r#"{{"version":{version},"owner":"{owner}","streams":[{streams}]}}"#).into_bytes()
    };
    let two = format!("{position},{position}");
    vec![text(1, "e", ""), text(1, "e", &two), text(1, "f", position), text(2, "e", "")]
}

pub(super) const WORDS: &[&[u8]] = &[
    br#""e/7/0/t""#,
    br#""streams":[]"#,
    br#","new":{}"#,
    b"18446744073709551615",
    b"-32768",
    b"-1",
    b"1e999",
    b"[[[[[[[[",
    b"\\ud800",
    b",",
];

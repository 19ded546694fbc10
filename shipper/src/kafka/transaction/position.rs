//! How far the streams of an edge are: one record of a compacted topic, in the same transaction as
//! the events.
//!
//! ```text
//!  key    the owner: the edge, and what tells its spool from every other one
//!  value  {"version":1,"owner":"e-0a1b2c3d4e5f","streams":[
//!           {"stream":"e/7/0/impressions","producer":4,"epoch":2,"end":71}]}
//! ```
//!
//! A position belongs to a lineage, told by the producer and epoch that began it. What another copy
//! of the spool has written of a stream with the same name has another one.

use crate::spool::{cursors::Lineage, text};
use brink_proto::ids::{Sequence, StreamId};
use serde::{Deserialize, Serialize};

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;

/// How far a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The stream.
    #[serde(with = "text")]
    pub stream: StreamId,
    /// The producer that began its lineage.
    pub producer: i64,
    /// That producer's epoch.
    pub epoch: i16,
    /// Everything below is committed.
    pub end: u64,
}

impl Position {
    /// That of a lineage: everything below `end` is committed.
    #[must_use]
    pub fn new(lineage: &Lineage, end: Sequence) -> Position {
        let Lineage { stream, producer, epoch, .. } = *lineage;
        Position { stream, producer, epoch, end: end.0 }
    }

    /// Whether it is of this lineage.
    #[must_use]
    pub fn is_of(&self, lineage: &Lineage) -> bool {
        lineage.transactional && *self == Position::new(lineage, Sequence(self.end))
    }
}

/// All positions of an edge and its spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    version: u32,
    owner: String,
    /// BOUND: as many as the cursor has lineages, and some of others.
    pub streams: Vec<Position>,
}

/// What stands in a record of every version.
#[derive(Deserialize)]
struct Head {
    version: u32,
    owner: String,
}

/// Why a record of ours says nothing to us.
#[derive(Debug, thiserror::Error)]
pub enum PositionsError {
    /// Whoever wrote it knows more than we do.
    #[error("it has version {0}, and {VERSION} is the newest that is known here")]
    Newer(u32),
    /// It is not what its version has.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

impl Positions {
    /// Those of an owner.
    #[must_use]
    pub fn new(owner: &str, streams: Vec<Position>) -> Positions {
        Positions { version: VERSION, owner: owner.to_owned(), streams }
    }

    /// What a record's value says, if it is of this owner.
    ///
    /// # Errors
    /// [`PositionsError`] when it is, and cannot be read.
    pub fn read(value: &[u8], owner: &str) -> Result<Option<Positions>, PositionsError> {
        let head = serde_json::from_slice::<Head>(value).ok();
        match head.filter(|head| head.owner == owner) {
            None => Ok(None),
            Some(head) if head.version > VERSION => Err(PositionsError::Newer(head.version)),
            Some(_) => Ok(Some(serde_json::from_slice(value)?)),
        }
    }

    /// One record, as it stands in a batch before that is compressed.
    ///
    /// # Panics
    /// Never: texts and numbers are JSON.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let value = serde_json::to_vec(self).expect("texts and numbers are JSON");
        // Attributes, and the distances of time and place from the batch's own.
        let mut body = vec![0, 0, 0];
        for field in [self.owner.as_bytes(), &value] {
            put_varint(&mut body, field.len());
            body.extend_from_slice(field);
        }
        put_varint(&mut body, 0); // no headers
        let mut record = Vec::with_capacity(body.len() + 5);
        put_varint(&mut record, body.len());
        record.extend_from_slice(&body);
        record
    }
}

/// SPEC: Kafka's record format: a signed number, of which the last bit is the sign.
fn put_varint(out: &mut Vec<u8>, number: usize) {
    let mut rest = number << 1;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use brink_proto::kafka::record::records;

    fn lineage() -> Lineage {
        Lineage {
            stream: "e/7/0/impressions".parse().unwrap(),
            cluster: "c".into(),
            topic: "0a".into(),
            partition: 0,
            producer: 4,
            epoch: 2,
            first: 0,
            transactional: true,
        }
    }

    #[test]
    fn a_record_of_positions_is_these_bytes() {
        let position = Position::new(&lineage(), Sequence(71));
        let record = Positions::new("e", vec![position]).record();
        let value = concat!(
            r#"{"version":1,"owner":"e","streams":["#,
            r#"{"stream":"e/7/0/impressions","producer":4,"epoch":2,"end":71}]}"#
        );
        // Length, attributes, two deltas, the key's length and the key, the value's length.
        let head = [0xd8, 0x01, 0, 0, 0, 0x02, b'e', 0xc8, 0x01];
        assert_eq!(record, [&head[..], value.as_bytes(), &[0]].concat());
    }

    #[test]
    fn positions_are_read_as_they_were_written_and_by_their_owner_alone() {
        let position = Position::new(&lineage(), Sequence(71));
        let written = Positions::new("e", vec![position; 3]);
        let record = written.record();
        let mut read = records(&record);
        let value = read.next().unwrap().unwrap().value;
        assert!(read.next().is_none());
        assert_eq!(Positions::read(value, "e").unwrap(), Some(written));
        assert_eq!(Positions::read(value, "f").unwrap(), None);
        assert_eq!(Positions::read(b"somebody's", "e").unwrap(), None);
    }

    #[test]
    fn what_is_ours_and_cannot_be_read_is_no_reason_to_take_an_older_one() {
        let rows = [
            (r#"{"version":2,"owner":"e"}"#, "version 2"),
            (r#"{"version":1,"owner":"e"}"#, "missing field `streams`"),
            (r#"{"version":1,"owner":"e","streams":[7]}"#, "invalid type"),
        ];
        for (value, want) in rows {
            let error = Positions::read(value.as_bytes(), "e").unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            assert_eq!(Positions::read(value.as_bytes(), "f").unwrap(), None);
        }
    }

    #[test]
    fn a_position_is_of_the_lineage_that_it_was_written_for() {
        let position = Position::new(&lineage(), Sequence(71));
        assert!(position.is_of(&lineage()));
        for other in [
            Lineage { producer: 5, ..lineage() },
            Lineage { epoch: 3, ..lineage() },
            Lineage { stream: "e/8/0/impressions".parse().unwrap(), ..lineage() },
            Lineage { transactional: false, ..lineage() },
        ] {
            assert!(!position.is_of(&other));
        }
    }
}

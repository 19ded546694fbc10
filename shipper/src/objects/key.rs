//! What an object is called, and what makes two objects the same.
//!
//! The key is a function of the log, and numbers are padded so that the order of names is the order
//! of the log:
//!
//! ```text
//! ds=<topic>/dt=YYYY-MM-DD/hour=HH/<edge>-<incarnation>-<shard>-<first>-<last>.v<schema>.parquet
//! ```
//!
//! Two objects with one key are the same when their *log digests* are the same: SHA-256 over the
//! checksums, sequences and counts of the frames they were made from. The bytes may differ, for a
//! newer writer encodes the same rows in other bytes.

use brink_proto::{
    frame::FrameHeader,
    ids::{Hour, Incarnation, Name, Sequence, ShardId, StreamId, hex},
};
use sha2::{Digest, Sha256};

/// The key of the object that holds `first` up to, but not including, `end` of a stream.
#[must_use]
pub fn object_key(
    stream: &StreamId,
    hour: Hour,
    first: Sequence,
    end: Sequence,
    schema: u32,
) -> String {
    let StreamId { edge, incarnation, shard, topic } = stream;
    let (folder, begin) = (folder(topic, hour), name_begin(edge, *incarnation));
    let (shard, first, last) = (shard.0, first.0, end.0.saturating_sub(1));
    format!("{folder}/{begin}{shard:05}-{first:020}-{last:020}.v{schema}.parquet")
}

/// What the names of all objects of one start begin with.
#[must_use]
pub fn name_begin(edge: &Name, incarnation: Incarnation) -> String {
    format!("{edge}-{:020}-", incarnation.0)
}

/// The folder of an hour's objects of a topic.
#[must_use]
pub fn folder(topic: &Name, hour: Hour) -> String {
    let (date, of_day) = hour.partition();
    format!("ds={topic}/dt={date}/hour={of_day}")
}

/// Where what has found its key taken goes; its digest names the place.
#[must_use]
pub fn aside_key(digest: &str, key: &str) -> String {
    format!("{ASIDE}/{digest}/{key}")
}

/// In front of the keys of what went aside: Hive and Spark pass over it.
pub const ASIDE: &str = "_conflict";

/// What a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The stream.
    pub stream: StreamId,
    /// First sequence in it.
    pub first: Sequence,
    /// Sequence behind the last in it.
    pub end: Sequence,
    /// The hour.
    pub hour: Hour,
    /// Schema version of its rows.
    pub schema: u32,
}

impl ObjectName {
    /// Reads a key; nothing, if [`object_key`] spells none like it.
    #[must_use]
    pub fn read(key: &str) -> Option<ObjectName> {
        let mut folders = key.split('/');
        let topic = Name::new(folders.next()?.strip_prefix("ds=")?).ok()?;
        let (date, hour) = (folders.next()?.strip_prefix("dt=")?, folders.next()?);
        let hour = Hour::of_partition(date, hour.strip_prefix("hour=")?)?;
        let (name, schema) = folders.next()?.strip_suffix(".parquet")?.split_once(".v")?;
        let mut parts = name.split('-');
        let edge = Name::new(parts.next()?).ok()?;
        let incarnation = Incarnation(parts.next()?.parse().ok()?);
        let shard = ShardId(parts.next()?.parse().ok()?);
        let (first, last): (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let name = ObjectName {
            stream: StreamId { edge, incarnation, shard, topic },
            first: Sequence(first),
            end: Sequence(last.checked_add(1).filter(|end| *end > first)?),
            hour,
            schema: schema.parse().ok()?,
        };
        (name.key() == key).then_some(name)
    }

    /// Reads a key, also of an object that went aside.
    #[must_use]
    pub fn read_wherever(key: &str) -> Option<ObjectName> {
        let aside =
            key.strip_prefix(ASIDE).and_then(|rest| rest.strip_prefix('/')?.split_once('/'));
        ObjectName::read(aside.map_or(key, |(_, key)| key))
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> String {
        object_key(&self.stream, self.hour, self.first, self.end, self.schema)
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.end.0 - self.first.0
    }
}

/// The log digest of frames of one stream, in hex.
#[must_use]
pub fn log_digest(frames: &[FrameHeader]) -> String {
    let mut digest = Sha256::new();
    digest.update(b"brink log digest 1\n");
    if let Some(first) = frames.first() {
        digest.update(first.batch.stream.to_string().as_bytes());
        digest.update(first.batch.schema.to_le_bytes());
    }
    for frame in frames {
        digest.update(frame.payload_crc.to_le_bytes());
        digest.update(frame.batch.first_sequence.0.to_le_bytes());
        digest.update(frame.batch.count.to_le_bytes());
    }
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_the_log_does() {
        let key = |stream: &str, first: u64, end: u64| {
            let stream = stream.parse().unwrap();
            object_key(&stream, Hour(498_727), Sequence(first), Sequence(end), 1)
        };
        assert_eq!(
            key("nyc3_px_07/1795413912345/3/impressions", 4711, 5000),
            "ds=impressions/dt=2026-11-23/hour=07/\
             nyc3_px_07-00000001795413912345-00003-00000000000000004711-00000000000000004999\
             .v1.parquet"
        );
        let name = ObjectName::read(&key("a/9/2/t", 9, 12)).unwrap();
        assert_eq!((name.first, name.end, name.rows()), (Sequence(9), Sequence(12), 3));
        assert_eq!((name.stream, name.hour), ("a/9/2/t".parse().unwrap(), Hour(498_727)));
        assert!(key("a/9/0/t", 9, 10) < key("a/9/0/t", 10, 11));
        assert!(key("a/9/0/t", 9, 10) < key("a/10/0/t", 0, 1));
    }
}

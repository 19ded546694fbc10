//! Objects of one stream, laid side by side. Pure.

use crate::objects::key::ObjectName;
use brink_proto::ids::{Hour, Sequence, StreamId};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// Milliseconds of an hour: an incarnation is the time of its start.
const HOUR_MS: u64 = 3_600_000;

/// What is wrong with an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Events of a stream are in no object.
    Gap {
        /// The stream.
        stream: String,
        /// The first that is missing.
        from: u64,
        /// The first that is there again.
        to: u64,
    },
    /// Events are in two objects.
    Twice {
        /// The stream.
        stream: String,
        /// The first that stands twice.
        from: u64,
        /// The first that does not.
        to: u64,
        /// The objects.
        keys: [String; 2],
    },
    /// An object is not what its name says.
    Broken {
        /// Its key.
        key: String,
        /// What is wrong.
        text: String,
    },
    /// Something lies there that no appliance has made.
    Foreign {
        /// Its key.
        key: String,
    },
    /// An edge of the roster has delivered nothing.
    Absent {
        /// The edge.
        edge: String,
    },
    /// Events of a stream are in no object, and a manifest says why.
    Lost {
        /// The stream.
        stream: String,
        /// The first that is not there.
        from: u64,
        /// The first that is there again.
        to: u64,
        /// Why.
        reason: &'static str,
    },
    /// An object is in a manifest, and not in the store.
    Vanished {
        /// Its key.
        key: String,
    },
    /// An object is in the store, and in no manifest.
    Unlisted {
        /// Its key.
        key: String,
    },
    /// A manifest does not follow the one before it, or not from what it says itself.
    Chain {
        /// Its key.
        key: String,
        /// What is wrong.
        text: String,
    },
    /// Events that are in an object are not in their Kafka topic.
    NotInKafka {
        /// The stream.
        stream: String,
        /// The first that is not there.
        from: u64,
        /// The first that is there again.
        to: u64,
    },
    /// Events stand in their Kafka topic again, behind later ones.
    AgainInKafka {
        /// The stream.
        stream: String,
        /// The sequence of the first of them.
        first: u64,
        /// How many.
        count: u64,
    },
    /// No manifest says that all of the hour is told.
    Open {
        /// The edge.
        edge: String,
        /// `edge/incarnation/topic`.
        chain: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Gap { stream, from, to } => {
                write!(f, "gap      {stream}: {} events from {from} up to {to}", to - from)
            }
            Fault::Twice { stream, from, to, keys: [one, other] } => {
                write!(f, "twice    {stream}: from {from} up to {to}, in {one} and {other}")
            }
            Fault::Broken { key, text } => write!(f, "broken   {key}: {text}"),
            Fault::Foreign { key } => write!(f, "foreign  {key}: no appliance names objects so"),
            Fault::Absent { edge } => write!(f, "absent   {edge}: it has delivered nothing"),
            Fault::Lost { stream, from, to, reason } => {
                let events = to - from;
                write!(f, "lost     {stream}: {events} events from {from} up to {to}, {reason}")
            }
            Fault::Vanished { key } => write!(f, "vanished {key}: a manifest lists it"),
            Fault::Unlisted { key } => write!(f, "unlisted {key}: no manifest lists it"),
            Fault::Chain { key, text } => write!(f, "chain    {key}: {text}"),
            Fault::NotInKafka { stream, from, to } => {
                let events = to - from;
                write!(f, "kafka    {stream}: {events} events from {from} up to {to} are not there")
            }
            Fault::AgainInKafka { stream, first, count } => {
                write!(f, "kafka    {stream}: {count} events, from {first} on, come again")
            }
            Fault::Open { chain, .. } => {
                write!(f, "open     {chain}: no manifest says that all of the hour is told")
            }
        }
    }
}

/// What one stream has in an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamTiles {
    /// The stream.
    pub stream: String,
    /// First sequence in the hour.
    pub first: u64,
    /// Behind the last.
    pub end: u64,
    /// Objects.
    pub objects: u64,
    /// What is known of what comes before: everything down to 0, or nothing of what lies before the
    /// hours that were looked at.
    pub since_start: bool,
}

impl fmt::Display for StreamTiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamTiles { stream, first, end, objects, since_start } = self;
        let before = if *since_start { "whole since its start" } else { "before: not looked at" };
        write!(f, "{stream}: {first} up to {end} in {objects} objects, {before}")
    }
}

/// Lays objects of the hours `from..=hour` side by side; what is told is of the last hour.
pub(super) fn tile(names: &[ObjectName], from: Hour, hour: Hour) -> (Vec<StreamTiles>, Vec<Fault>) {
    let mut by_stream: BTreeMap<StreamId, Vec<&ObjectName>> = BTreeMap::new();
    for name in names {
        by_stream.entry(name.stream).or_default().push(name);
    }
    let (mut streams, mut faults) = (Vec::new(), Vec::new());
    for (stream, mut objects) in by_stream {
        objects.sort_by_key(|name| (name.first, name.end));
        let in_hour: Vec<_> = objects.iter().filter(|name| name.hour == hour).collect();
        let (Some(first), Some(last)) = (in_hour.first(), in_hour.last()) else { continue };
        // Whoever started within the hours that are looked at has its first events there.
        let started_in = stream.incarnation.0 / HOUR_MS >= u64::from(from.0);
        let earliest = objects.first().map_or(Sequence(0), |name| name.first);
        let since_start = started_in || earliest == Sequence(0);
        streams.push(StreamTiles {
            stream: stream.to_string(),
            first: first.first.0,
            end: last.end.0,
            objects: in_hour.len() as u64,
            since_start,
        });
        let begin = if since_start { Sequence(0) } else { earliest };
        faults.extend(seams(&stream, begin, &objects, hour));
    }
    (streams, faults)
}

/// What is wrong between the objects of one stream, where one of the hour is concerned.
fn seams(stream: &StreamId, begin: Sequence, objects: &[&ObjectName], hour: Hour) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut end = begin;
    let mut before: Option<&ObjectName> = None;
    for object in objects {
        let concerned = object.hour == hour || before.is_some_and(|b| b.hour == hour);
        let stream = stream.to_string();
        if concerned && object.first > end {
            faults.push(Fault::Gap { stream, from: end.0, to: object.first.0 });
        } else if let Some(before) = before.filter(|_| concerned && object.first < end) {
            let keys = [before.key(), object.key()];
            let to = end.min(object.end).0;
            faults.push(Fault::Twice { stream, from: object.first.0, to, keys });
        }
        if object.end > end || before.is_none() {
            end = end.max(object.end);
            before = Some(object);
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An incarnation that started in this hour.
    const STARTED: u32 = 1000;

    fn object(first: u64, end: u64, hour: u32) -> ObjectName {
        let stream = format!("e/{}/0/impressions", u64::from(STARTED) * HOUR_MS + 5);
        let (first, end) = (Sequence(first), Sequence(end));
        ObjectName { stream: stream.parse().unwrap(), first, end, hour: Hour(hour), schema: 1 }
    }

    fn told(objects: &[ObjectName], from: u32, hour: u32) -> Vec<String> {
        let (_, faults) = tile(objects, Hour(from), Hour(hour));
        let text = |fault: &Fault| match fault {
            Fault::Gap { from, to, .. } => format!("gap {from}..{to}"),
            Fault::Twice { from, to, .. } => format!("twice {from}..{to}"),
            other => format!("{other}"),
        };
        faults.iter().map(text).collect()
    }

    #[test]
    fn a_stream_is_whole_over_the_hours_that_are_looked_at() {
        let whole = [object(0, 10, 1000), object(10, 25, 1001), object(25, 30, 1001)];
        assert_eq!(told(&whole, 999, 1001), [""; 0]);
        let (streams, _) = tile(&whole, Hour(999), Hour(1001));
        let (first, end) = (streams[0].first, streams[0].end);
        assert_eq!((first, end, streams[0].objects, streams[0].since_start), (10, 30, 2, true));
        // Without the hour of its start nothing is said of what was before.
        let later = tile(&whole[1..], Hour(1001), Hour(1001));
        assert!(later.1.is_empty() && !later.0[0].since_start);
    }

    #[test]
    fn what_is_missing_or_twice_is_named_in_the_hour_that_it_concerns() {
        let rows: [(&[ObjectName], &[&str]); 5] = [
            (&[object(3, 10, 1001)], &["gap 0..3"]),
            (&[object(0, 10, 1000), object(12, 15, 1001)], &["gap 10..12"]),
            (&[object(0, 10, 1000), object(8, 15, 1001)], &["twice 8..10"]),
            (&[object(0, 10, 1001), object(0, 10, 1001)], &["twice 0..10"]),
            // What was wrong an hour before was told then.
            (&[object(0, 5, 1000), object(7, 10, 1000), object(10, 11, 1001)], &[]),
        ];
        for (objects, want) in rows {
            assert_eq!(told(objects, 1000, 1001), want, "{objects:?}");
        }
    }

    proptest! {
        #[test]
        fn a_tiling_is_whole_and_one_without_a_piece_or_with_one_more_is_not(
            sizes in prop::collection::vec(1u64..50, 1..20),
            which: prop::sample::Index,
        ) {
            let mut first = 0;
            let whole: Vec<ObjectName> = sizes.iter().map(|size| {
                first += size;
                object(first - size, first, 1001)
            }).collect();
            prop_assert_eq!(told(&whole, 1000, 1001).len(), 0);
            let at = which.index(whole.len());
            let piece = whole[at];
            let mut more = whole.clone();
            more.push(piece);
            prop_assert_eq!(told(&more, 1000, 1001).len(), 1);
            let mut less = whole.clone();
            less.remove(at);
            // Behind the last object nobody knows of a piece.
            let known = usize::from(at + 1 < whole.len());
            prop_assert_eq!(told(&less, 1000, 1001).len(), known);
        }
    }
}

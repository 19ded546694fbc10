//! The encoder, and a spool that is played here: what becomes of the answers to its reads.

use super::*;
use crate::{
    objects::plan::WRITER_VERSION,
    sample,
    spool::{
        cursors::Seal,
        port::{ReadReply, SpoolPort, port},
    },
};
use brink_proto::{
    ImpressionRow,
    event::{AddressText, Event, Stamp, identity, labels},
    frame::{BatchInfo, HEADER_BYTES, frame_bytes},
    ids::{Micros, Sequence, StreamId},
    kafka::record::RecordHead,
    schema::IMPRESSIONS,
    wire::Writer,
};
use std::collections::BTreeSet;

const ROWS: u64 = 60;

/// The record of an event, as the `offset`-th of its batch.
fn record(stream: &StreamId, number: u64, offset: u32) -> Vec<u8> {
    let query = format!("n={number}");
    let row = ImpressionRow {
        client_address: "127.0.0.1".into(),
        method: "GET".into(),
        path: "/i.gif".into(),
        raw_query: Some(query.as_str().into()),
        referer: None,
        user_agent: None,
        accept_language: None,
        cookie_id: None,
        auction_id: Some(query.as_str().into()),
        consent_decision: None,
    };
    let stamp = Stamp {
        time: Micros(number as i64 * 1000),
        labels: &labels("pixel", None, None),
        peer: &AddressText::new([127, 0, 0, 1].into()),
        status: 200,
        response_bytes: 283,
        service_time_ns: number,
    };
    let identity = identity(stream.edge, stream.incarnation, stream.shard);
    let event = Event { identity: &identity, sequence: Sequence(number), stamp, row: &row };
    let head = RecordHead::new(0, offset, event.encoded_bytes());
    let mut bytes = vec![0; head.record_bytes()];
    head.write(&mut Writer::new(&mut bytes), |out| event.encode(out));
    bytes
}

/// An object of all rows in frames of so many, and the frames as they lie in the log.
fn object(rows_of_frame: u64) -> (Plan, Vec<Vec<u8>>) {
    let stream: StreamId = "e/7/0/impressions".parse().unwrap();
    let mut frames: Vec<FrameHeader> = Vec::new();
    let mut in_log = Vec::new();
    let mut at = 4096;
    for first in (0..ROWS).step_by(rows_of_frame as usize) {
        let numbers = (first..ROWS).take(rows_of_frame as usize);
        let records = numbers.zip(0..).map(|(number, offset)| record(&stream, number, offset));
        let raw: Vec<u8> = records.flatten().collect();
        let payload = zstd::bulk::compress(&raw, 1).unwrap();
        let count = rows_of_frame.min(ROWS - first) as u32;
        let batch = BatchInfo {
            raw_bytes: raw.len() as u32,
            payload_bytes: payload.len() as u32,
            ..sample::batch("e/7/0/impressions", first, count)
        };
        let frame = FrameHeader {
            payload_crc: crc32c::crc32c(&payload),
            ..sample::frame(batch, LogPosition(at))
        };
        at += frame_bytes(payload.len()) as u64;
        let mut bytes = frame.encode().to_vec();
        assert_eq!(bytes.len(), HEADER_BYTES);
        bytes.extend(payload);
        frames.push(frame);
        in_log.push(bytes);
    }
    let seal = Seal {
        key: "ds=impressions/x.parquet".to_owned(),
        stream,
        first: 0,
        end: ROWS,
        frames: frames.len() as u32,
        schema: IMPRESSIONS.version,
        writer: WRITER_VERSION,
        digest: "00ff".to_owned(),
    };
    (Plan { seal, frames, resumed: false }, in_log)
}

/// Answers what is asked for until nobody asks any more; reads of these numbers fail.
fn serve(mut spool: SpoolPort, plan: &Plan, in_log: &[Vec<u8>], failing: &BTreeSet<usize>) {
    let mut count = 0;
    while !spool.reads.is_abandoned() {
        let Ok(mut request) = spool.reads.pop() else {
            thread::yield_now();
            continue;
        };
        let at = plan.frames.iter().position(|f| *f == request.frame).unwrap();
        let fails = failing.contains(&count);
        if !fails {
            request.bytes.as_mut_vec().extend_from_slice(&in_log[at]);
        }
        let result = if fails { Err(ReadFault::Disk) } else { Ok(()) };
        count += 1;
        let reply = ReadReply { frame: request.frame, bytes: request.bytes, result };
        assert!(spool.read_replies.push(reply).is_ok(), "as many places as requests");
    }
}

/// Encodes an object again and again, while reads of these numbers fail, until it is made: its
/// bytes, and where the disk had failed.
fn encode(rows_of_frame: u64, failing: &[usize]) -> (Vec<u8>, Vec<LogPosition>) {
    let (plan, in_log) = object(rows_of_frame);
    let (spool, _sink, reads) = port("objects");
    let failing = failing.iter().copied().collect();
    thread::scope(|scope| {
        let (plan, in_log, failing) = (&plan, &in_log, &failing);
        scope.spawn(move || serve(spool, plan, in_log, failing));
        let unpacker = Unpacker::new().unwrap();
        let mut worker = Worker { reads, schemas: vec![&IMPRESSIONS], unpacker };
        let mut failed = Vec::new();
        loop {
            let (reply, _asker) = oneshot::channel();
            match worker.encode(&Job { plan: plan.clone(), reply }) {
                Ok(encoded) => {
                    assert_eq!(encoded.rows, ROWS);
                    return (encoded.bytes, failed);
                }
                Err(EncodeError::Disk(at)) => failed.push(at),
                Err(error) => panic!("{error}"),
            }
        }
    })
}

#[test]
fn the_same_rows_become_the_same_bytes_in_whatever_frames_they_came() {
    let (bytes, _) = encode(10, &[]);
    for rows_of_frame in [10, 1, 7, ROWS] {
        let (again, failed) = encode(rows_of_frame, &[]);
        assert!(again == bytes, "frames of {rows_of_frame} rows");
        assert_eq!(failed, []);
    }
}

#[test]
fn what_the_disk_does_not_give_now_is_encoded_later_and_is_the_same() {
    let (bytes, _) = encode(10, &[]);
    let (plan, _) = object(10);
    for at in 0..plan.frames.len() {
        let (again, failed) = encode(10, &[at]);
        assert_eq!(failed, [plan.frames[at].position]);
        assert!(again == bytes, "read {at} fails");
    }
    let (again, failed) = encode(10, &[0, 3, 6, 7, 8]);
    assert_eq!(failed[0], plan.frames[0].position);
    assert!(failed.len() > 1 && again == bytes, "{failed:?}");
}

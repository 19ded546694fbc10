//! Spools that are made by hand, and what is seen of them.

use super::{fault::FaultKind, *};
use crate::spool::{
    cursors::{FILE_NAME, SLOT_BYTES, Seal, SinkCursor, fill_slot},
    identity::SpoolFolder,
    segment::{FRAMES_FROM, SEGMENT_BYTES_MIN, SUMMARY_BYTES, Summary, file_name, write_head},
};
use brink_proto::{
    frame::{
        BatchInfo, FRAME_ALIGN, FrameHeader, HEADER_BYTES, LogPosition, SHED_REASONS, frame_bytes,
    },
    ids::{Class, Hour, Name, Sequence},
    kafka::record::RecordHead,
    wire::Writer,
};
use std::fs;
use tempfile::TempDir;

mod files;

const A: &str = "e/7/0/t";
const B: &str = "e/7/1/t";
const BYTES: u32 = SEGMENT_BYTES_MIN;
const SUMMARY_AT: u32 = BYTES - SUMMARY_BYTES;
/// Each frame that is made here takes one block.
const BLOCK: u32 = FRAME_ALIGN as u32;

/// A batch of events of one stream, each of ten bytes.
#[derive(Debug, Clone, Copy)]
struct Batch {
    stream: &'static str,
    first: u64,
    count: u32,
}

fn batch(stream: &'static str, first: u64, count: u32) -> Batch {
    Batch { stream, first, count }
}

impl Batch {
    fn records(self) -> Vec<u8> {
        let mut raw = vec![0; 64 * self.count as usize];
        let mut at = 0;
        for number in 0..self.count {
            let head = RecordHead::new(i64::from(number), number, 10);
            let bytes = head.record_bytes();
            let mut out = Writer::new(&mut raw[at..at + bytes]);
            head.write(&mut out, |out| out.put(&[number as u8; 10]));
            at += bytes;
        }
        raw.truncate(at);
        raw
    }
}

/// A segment that is being made.
struct Made {
    generation: u32,
    bytes: Vec<u8>,
    frames: Vec<FrameHeader>,
    end: u32,
}

impl Made {
    fn new(generation: u32) -> Made {
        let mut bytes = vec![0; BYTES as usize];
        write_head(&mut bytes[..FRAME_ALIGN], generation, BYTES);
        Made { generation, bytes, frames: Vec::new(), end: FRAMES_FROM }
    }

    /// Appends one group, committed as one; `change` may make a header lie.
    fn group_of(mut self, batches: &[Batch], change: fn(&mut BatchInfo)) -> Made {
        let commit_position = LogPosition::new(self.generation, self.end);
        for made in batches {
            let raw = made.records();
            let payload = zstd::bulk::compress(&raw, 1).unwrap();
            let mut info = BatchInfo {
                stream: made.stream.parse().unwrap(),
                first_sequence: Sequence(made.first),
                count: made.count,
                base_timestamp_ms: 1000,
                max_timestamp_ms: 999 + i64::from(made.count),
                hour: Hour(498_727),
                schema: 1,
                class: Class::Normal,
                raw_bytes: raw.len() as u32,
                payload_bytes: payload.len() as u32,
                shed: [0; SHED_REASONS],
            };
            info.shed[1] = 3;
            change(&mut info);
            let frame = FrameHeader {
                batch: info,
                position: LogPosition::new(self.generation, self.end),
                commit_position,
                payload_crc: crc32c::crc32c(&payload),
            };
            let at = self.end as usize;
            self.bytes[at..at + HEADER_BYTES].copy_from_slice(&frame.encode());
            let at = at + HEADER_BYTES;
            self.bytes[at..at + payload.len()].copy_from_slice(&payload);
            self.end += frame_bytes(payload.len()) as u32;
            self.frames.push(frame);
        }
        self
    }

    fn group(self, batches: &[Batch]) -> Made {
        self.group_of(batches, |_| {})
    }

    fn sealed(mut self) -> Made {
        let summary = Summary::of(&self.frames);
        summary.encode(&mut self.bytes[SUMMARY_AT as usize..], self.generation);
        self
    }
}

/// A spool with an identity, and these segments.
fn spool(segments: &[Made]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    drop(SpoolFolder::open(dir.path(), Name::new("e").unwrap(), identity::Claim::Refuse).unwrap());
    for made in segments {
        fs::write(dir.path().join(file_name(made.generation)), &made.bytes).unwrap();
    }
    dir
}

/// Cursors of one sink, written so often.
fn write_cursors(dir: &TempDir, writes: u64, delivered: &[(&str, u64)], seals: Vec<Seal>) {
    let path = dir.path().join(FILE_NAME);
    let mut bytes = fs::read(&path).unwrap_or_else(|_| vec![0; 2 * SLOT_BYTES]);
    let delivered = delivered.iter().map(|(s, next)| (s.parse().unwrap(), Sequence(*next)));
    let delivered = delivered.collect();
    let sink = SinkCursor { delivered, seals, ..SinkCursor::default() };
    let cursors = Cursors { sinks: BTreeMap::from([("objects".to_owned(), sink)]) };
    let at = (writes % 2) as usize * SLOT_BYTES;
    let text = serde_json::to_vec(&cursors).unwrap();
    fill_slot(&mut bytes[at..at + SLOT_BYTES], writes, &text);
    fs::write(path, bytes).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn verify(dir: &TempDir) -> Survey {
    survey(dir.path(), Depth::Payloads, &mut |_| {}).unwrap()
}

fn kinds(seen: &Survey) -> Vec<FaultKind> {
    seen.faults.iter().map(|fault| fault.fault).collect()
}

/// Two sealed segments and an open one.
fn some() -> [Made; 3] {
    [
        Made::new(3).group(&[batch(A, 0, 5), batch(B, 0, 2)]).group(&[batch(A, 5, 5)]).sealed(),
        Made::new(5).group(&[batch(A, 10, 5)]).group(&[batch(B, 2, 4)]).sealed(),
        Made::new(6).group(&[batch(A, 15, 5)]).group(&[batch(A, 20, 5), batch(A, 25, 5)]),
    ]
}

#[test]
fn a_survey_says_what_a_spool_holds() {
    let dir = spool(&some());
    let seal = Seal {
        key: "ds=t/x.parquet".to_owned(),
        stream: A.parse().unwrap(),
        first: 5,
        end: 10,
        frames: 1,
        schema: 1,
        writer: 1,
        digest: "00".to_owned(),
    };
    write_cursors(&dir, 1, &[(A, 2)], Vec::new());
    write_cursors(&dir, 2, &[(A, 5), ("e/6/0/t", 9)], vec![seal.clone()]);
    fs::write(dir.path().join("segments/0000000002.free"), [0; 4096]).unwrap();
    fs::write(dir.path().join("quarantine/0000000001-0000004096.bytes"), [0; 8192]).unwrap();
    fs::create_dir(dir.path().join("set-aside-1")).unwrap();
    for depth in [Depth::Headers, Depth::Payloads] {
        let seen = survey(dir.path(), depth, &mut |_| {}).unwrap();
        assert_eq!((seen.is_sound(), &seen.faults), (true, &Vec::new()));
        let owner = (seen.identity.edge.as_deref(), seen.identity.this_machine);
        assert_eq!(owner, (Some("e"), Some(true)));
        assert_eq!(seen.identity.format, Some(1));
        assert_eq!(seen.lock.held_by, None);
        let segments: Vec<_> =
            seen.segments.iter().map(|s| (s.generation, s.sealed, s.frames, s.events)).collect();
        assert_eq!(segments, [(3, true, 3, 12), (5, true, 2, 9), (6, false, 3, 15)]);
        assert_eq!((seen.free.count, seen.free.bytes), (1, 4096));
        assert_eq!((seen.quarantine.count, seen.quarantine.bytes), (1, 8192));
        assert_eq!(seen.set_aside, ["set-aside-1"]);
        let streams: Vec<_> =
            seen.streams.iter().map(|s| (&*s.stream, s.first, s.end, s.frames, s.events)).collect();
        assert_eq!(streams, [(A, 0, 30, 6, 30), (B, 0, 6, 2, 6)]);
        assert_eq!(seen.streams[0].shed["spool_full"], 18);
        let raw: usize =
            [0, 5, 10, 15, 20, 25].map(|n| batch(A, n, 5).records().len()).iter().sum();
        assert_eq!(seen.streams[0].raw_bytes, raw as u64);
        assert_eq!(seen.streams[0].hours.from, "2026-11-23 07");
        let cursors = (seen.cursors.state, seen.cursors.writes, &*seen.cursors.broken_slots);
        assert_eq!(cursors, ("sound", 2, &[][..]));
        let sink = &seen.sinks["objects"];
        let told: Vec<_> =
            sink.streams.iter().map(|s| (&*s.stream, s.delivered, s.pending)).collect();
        assert_eq!(told, [(A, Some(5), 25), (B, None, 6), ("e/6/0/t", Some(9), 0)]);
        assert_eq!((sink.pending, &sink.seals), (31, &vec![seal.clone()]));
        assert_eq!(seen.payloads, if depth == Depth::Payloads { 8 } else { 0 });
        let text = seen.to_string();
        for part in ["this one", "sequences 0 up to 30", "31 events pending", "18 spool_full"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn a_tail_that_is_torn_anywhere_is_no_damage() {
    let whole = &some()[2];
    let from = FRAMES_FROM + BLOCK;
    for at in (from..whole.end).step_by(512) {
        for first_sector_only in [false, true] {
            let [sealed, between, mut last] = some();
            // What is behind a cut never came; or one sector did not, and those behind it did.
            let to = if first_sector_only { at + 512 } else { last.end };
            last.bytes[at as usize..to as usize].fill(0xEE);
            let dir = spool(&[sealed, between, last]);
            let seen = verify(&dir);
            // The second group was never called synced; the frame in front of it was.
            assert_eq!(kinds(&seen), [], "{at}");
            let cut = at / BLOCK * BLOCK;
            // The last frame's own zeros may be anything: they are under no checksum.
            let segment = &seen.segments[2];
            assert!(segment.end == cut || segment.end > at, "{at}: {segment:?}");
            assert_eq!(segment.events, u64::from((segment.end - FRAMES_FROM) / BLOCK) * 5);
            if segment.end < whole.end && first_sector_only {
                let behind = whole.end - segment.end > BLOCK;
                assert!(segment.torn_from == Some(segment.end) || !behind, "{at}: {segment:?}");
            }
        }
    }
}

/// A flipped byte of a segment file, and what is found.
fn check(generation: u32, at: u32, want: &[FaultKind]) {
    let dir = spool(&some());
    write_cursors(&dir, 1, &[], Vec::new());
    flip(&dir.path().join(file_name(generation)), at as usize);
    let seen = verify(&dir);
    assert_eq!(kinds(&seen), want, "segment {generation} at {at}: {:?}", seen.faults);
    let in_segment = seen.faults.iter().filter(|fault| fault.generation.is_some());
    assert!(in_segment.clone().all(|fault| fault.generation == Some(generation)));
    let of_segment = seen.segments.iter().find(|s| s.generation == generation).unwrap();
    assert_eq!(of_segment.faults, in_segment.count() as u64);
}

#[test]
fn a_flipped_byte_is_found_and_named() {
    let header = HEADER_BYTES as u32;
    for generation in [3, 5] {
        check(generation, 20, &[FaultKind::Head]);
        check(generation, FRAMES_FROM + header, &[FaultKind::Payload]);
        check(generation, SUMMARY_AT, &[FaultKind::Summary]);
        check(generation, SUMMARY_AT + 30, &[FaultKind::Summary]);
        check(generation, BYTES - 1, &[FaultKind::Summary]);
        for at in [0, 9, 60, 200] {
            let want = [FaultKind::Corrupt, FaultKind::Missing];
            check(generation, FRAMES_FROM + at, &want);
        }
    }
    // In a sealed segment the last frame counts as well as the first.
    check(3, FRAMES_FROM + 2 * BLOCK, &[FaultKind::Corrupt, FaultKind::Missing]);
    // In the open one, what a later frame calls synced; behind that, it is a torn tail.
    check(6, FRAMES_FROM, &[FaultKind::Corrupt, FaultKind::Missing]);
    check(6, FRAMES_FROM + header, &[FaultKind::Payload]);
    check(6, FRAMES_FROM + BLOCK, &[]);
    check(6, FRAMES_FROM + BLOCK + header, &[]);
}

#[test]
fn every_byte_that_a_checksum_covers_is_one_whose_change_is_found() {
    let [made, ..] = some();
    let dir = spool(&some());
    let path = dir.path().join(file_name(3));
    let mut covered = vec![0..FRAMES_FROM, SUMMARY_AT..BYTES];
    covered.extend(made.frames.iter().map(|frame| {
        let from = frame.position.offset();
        from..from + HEADER_BYTES as u32 + frame.batch.payload_bytes
    }));
    // A stride that meets every residue, and each block many times.
    for at in (0..BYTES).step_by(1021) {
        flip(&path, at as usize);
        let is_covered = covered.iter().any(|range| range.contains(&at));
        assert_eq!(verify(&dir).is_sound(), !is_covered, "byte {at}");
        flip(&path, at as usize);
    }
    let headers = made.frames.iter().map(|frame| frame.position.offset());
    for at in headers.flat_map(|from| (from..from + HEADER_BYTES as u32 + 40).step_by(7)) {
        flip(&path, at as usize);
        assert!(!verify(&dir).is_sound(), "byte {at}");
        flip(&path, at as usize);
    }
}

#[test]
fn cursors_are_read_from_the_slot_that_is_left() {
    let dir = spool(&some());
    write_cursors(&dir, 1, &[(A, 2)], Vec::new());
    write_cursors(&dir, 2, &[(A, 5)], Vec::new());
    let path = dir.path().join(FILE_NAME);
    flip(&path, 64);
    let seen = verify(&dir);
    assert!(seen.is_sound());
    assert_eq!((seen.cursors.writes, &*seen.cursors.broken_slots), (1, &[0][..]));
    assert_eq!(seen.sinks["objects"].streams[0].delivered, Some(2));
    flip(&path, SLOT_BYTES + 64);
    let seen = verify(&dir);
    assert_eq!((kinds(&seen), seen.cursors.state), (vec![FaultKind::Cursors], "lost"));
}

#[test]
fn payloads_are_held_against_their_headers() {
    let check = |change: fn(&mut BatchInfo), says: &str| {
        let dir = spool(&[Made::new(1).group_of(&[batch(A, 0, 5)], change).sealed()]);
        let seen = verify(&dir);
        assert_eq!(kinds(&seen), [FaultKind::Content], "{says}");
        assert!(seen.faults[0].text.contains(says), "{:?}", seen.faults);
        assert!(survey(dir.path(), Depth::Headers, &mut |_| {}).unwrap().is_sound());
    };
    check(|info| info.count = 4, "records: 5 found, the header says 4");
    check(|info| info.raw_bytes += 1, "raw bytes");
    check(|info| info.max_timestamp_ms += 1, "latest timestamp: 1004 found");
    check(|info| info.raw_bytes = 10, "");
}

#[test]
fn a_gap_is_damage_unless_it_was_delivered() {
    let check = |segments: &[Made], delivered: &[(&str, u64)], want: &[(u64, u64)]| {
        let dir = spool(segments);
        write_cursors(&dir, 1, delivered, Vec::new());
        let seen = verify(&dir);
        let found = seen.faults.iter().map(|fault| {
            assert_eq!((fault.fault, fault.stream.as_deref()), (FaultKind::Missing, Some(A)));
            (fault.first.unwrap(), fault.end.unwrap())
        });
        assert_eq!(found.collect::<Vec<_>>(), want, "{delivered:?}");
    };
    let segments = || {
        let [first, _, last] = some();
        [first, last]
    };
    check(&segments(), &[], &[(10, 15)]);
    check(&segments(), &[(A, 12)], &[(12, 15)]);
    check(&segments(), &[(A, 15)], &[]);
    check(&segments()[1..], &[], &[(0, 15)]);
    check(&segments()[1..], &[(A, 30)], &[]);
}

#[test]
fn what_was_written_again_is_counted_once_and_what_overlaps_is_damage() {
    let fenced = Made::new(1).group(&[batch(A, 0, 5)]).group(&[batch(A, 5, 5)]);
    let again = Made::new(2).group(&[batch(A, 5, 5)]).group(&[batch(A, 10, 5)]).sealed();
    let seen = verify(&spool(&[fenced, again]));
    assert_eq!(kinds(&seen), []);
    let stream = &seen.streams[0];
    assert_eq!((stream.end, stream.events, stream.frames, stream.again), (15, 15, 3, 1));

    let made = Made::new(1).group(&[batch(A, 0, 5), batch(A, 3, 5)]).sealed();
    assert_eq!(kinds(&verify(&spool(&[made]))), [FaultKind::Overlap]);
}

#[test]
fn a_summary_that_speaks_of_other_frames_and_a_file_that_was_cut_are_found() {
    let mut made = Made::new(1).group(&[batch(A, 0, 5)]).sealed();
    let mut other = Summary::of(&made.frames);
    other.streams[0].events += 1;
    other.encode(&mut made.bytes[SUMMARY_AT as usize..], 1);
    assert_eq!(kinds(&verify(&spool(&[made]))), [FaultKind::Disagreement]);

    let [first, ..] = some();
    let dir = spool(&[first]);
    let file = fs::File::options().write(true).open(dir.path().join(file_name(3))).unwrap();
    file.set_len(u64::from(FRAMES_FROM + 2 * BLOCK)).unwrap();
    let seen = verify(&dir);
    assert_eq!((kinds(&seen), seen.segments[0].frames), (vec![FaultKind::Length], 2));
}

#[test]
fn what_a_newer_build_wrote_is_refused() {
    let refused = |dir: &TempDir| {
        let refused = |depth| survey(dir.path(), depth, &mut |_| {}).unwrap_err().to_string();
        assert_eq!(refused(Depth::Headers), refused(Depth::Payloads));
        refused(Depth::Headers)
    };
    let dir = spool(&some());
    let path = dir.path().join("identity");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 3")).unwrap();
    assert!(refused(&dir).contains("format 3 and this build knows 2"), "{}", refused(&dir));

    // A version has its own checksum: the newer writer's is made good here.
    let newer = |at: usize, bytes: usize| {
        let [mut first, ..] = some();
        let block = &mut first.bytes[at..at + bytes];
        block[7] = 2;
        block[8..12].fill(0);
        let crc = crc32c::crc32c(block);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        refused(&spool(&[first]))
    };
    assert!(newer(0, FRAME_ALIGN).contains("segment 3 has version 2"));
    assert!(newer(FRAMES_FROM as usize, HEADER_BYTES).contains("frame version 2 at 3:4096"));
}

#[test]
fn a_folder_without_a_spool_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path| survey(path, Depth::Headers, &mut |_| {}).unwrap_err().to_string();
    assert!(refused(dir.path()).contains("there is no spool in"), "{}", refused(dir.path()));
    assert!(refused(&dir.path().join("gone")).contains("No such file"));
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(refused(&dir.path().join("file")).contains("Not a directory"));

    let new = spool(&[]);
    let seen = verify(&new);
    assert_eq!((seen.is_sound(), seen.events(), seen.cursors.state), (true, 0, "fresh"));
    fs::write(new.path().join("identity"), "{").unwrap();
    assert_eq!(kinds(&verify(&new)), [FaultKind::Identity]);
    fs::remove_file(new.path().join("identity")).unwrap();
    assert_eq!(kinds(&verify(&new)), [FaultKind::Identity]);
}

#[test]
fn a_segment_that_is_let_go_while_it_is_read_counts_for_nothing() {
    let dir = spool(&some());
    write_cursors(&dir, 1, &[(A, 10), (B, 2)], Vec::new());
    let name = dir.path().join(file_name(3));
    let mut payloads = 0;
    let seen = survey(dir.path(), Depth::Payloads, &mut |progress| {
        payloads = progress.payloads;
        // The process recycles it in the middle, and writes it again under another name.
        if payloads == 2 {
            let other = dir.path().join(file_name(9));
            fs::rename(&name, &other).unwrap();
            let bytes = Made::new(9).group(&[batch(A, 99, 1)]).bytes;
            fs::write(&other, bytes).unwrap();
        }
    });
    let seen = seen.unwrap();
    assert_eq!((kinds(&seen), seen.released, payloads), (vec![], 1, 8));
    assert_eq!(seen.segments.iter().map(|s| s.generation).collect::<Vec<_>>(), [5, 6]);
    assert_eq!((seen.streams[0].first, seen.sinks["objects"].pending), (10, 24));
}

#[test]
fn a_segment_that_cannot_be_read_is_told_and_the_others_are_seen() {
    let dir = spool(&some());
    write_cursors(&dir, 1, &[(A, 10), (B, 2)], Vec::new());
    let path = dir.path().join(file_name(3));
    fs::remove_file(&path).unwrap();
    // Its name is there, and no read of it succeeds.
    fs::create_dir(&path).unwrap();
    let seen = verify(&dir);
    assert_eq!((kinds(&seen), seen.is_sound()), (vec![FaultKind::Unreadable], false));
    assert_eq!(seen.faults[0].generation, Some(3));
    let frames: Vec<_> = seen.segments.iter().map(|s| (s.generation, s.frames)).collect();
    assert_eq!(frames, [(3, 0), (5, 2), (6, 3)]);
}

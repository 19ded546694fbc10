//! `.hlog`: one histogram per second as HdrHistogram logs them, for its log processor.
//!
//! Format 1.3 with the V2 encoding. Times count from the report's start, which both `StartTime` and
//! `BaseTime` name: with only one of them, readers guess. The intervals of a report with one round
//! have no tag, because readers take those by default; with several, each is tagged with its round.

use super::{HistogramError, Report, decode, hgrm::UNIT_RATIO, names::plain_names};
use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogWriterBuilder, Tag},
};
use std::time::{Duration, UNIX_EPOCH};

/// What stands above the intervals; the crate's writer leaves it to its caller.
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// The log of a report. Latencies count from when requests were due.
///
/// # Errors
/// [`HistogramError`] when a second's histogram cannot be read.
///
/// # Panics
/// If a histogram has buckets that V2 cannot say, which none that was read from V2 has.
pub fn log(report: &Report) -> Result<Vec<u8>, HistogramError> {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let start = UNIX_EPOCH + Duration::from_millis(report.started_unix_ms);
    let title = report.title.replace('\r', " ");
    IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("[{title}: nanoseconds from when requests were due]"))
        .with_start_time(start)
        .with_base_time(start)
        .begin_log_with(&mut out, &mut serializer)
        .expect("a vector takes every byte");
    out.extend_from_slice(LEGEND.as_bytes());
    let mut writer = IntervalLogWriterBuilder::new()
        .with_max_value_divisor(UNIT_RATIO)
        .begin_log_with(&mut out, &mut serializer)
        .expect("a vector takes every byte");
    let several = report.rounds.len() > 1;
    for (round, name) in report.rounds.iter().zip(plain_names(report)) {
        for second in &round.seconds {
            let histogram = decode(&second.histogram)?;
            let at = Duration::from_millis(round.started_ms + second.at_ms);
            let length = Duration::from_millis(second.length_ms);
            let tag = if several { Tag::new(&name) } else { None };
            writer
                .write_histogram(&histogram, at, length, tag)
                .expect("V2 says what it has said before, and a vector takes every byte");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    struct Interval {
        tag: Option<String>,
        at: Duration,
        length: Duration,
        histogram: String,
    }

    /// What the crate reads of a log: its start, its base, and its intervals.
    fn read(log: &[u8]) -> (Vec<Duration>, Vec<Interval>) {
        let mut times = Vec::new();
        let mut intervals = Vec::new();
        for entry in IntervalLogIterator::new(log) {
            match entry.unwrap() {
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => times.push(time),
                LogEntry::Interval(i) => intervals.push(Interval {
                    tag: i.tag().map(|tag| tag.as_str().to_owned()),
                    at: i.start_timestamp(),
                    length: i.duration(),
                    histogram: i.encoded_histogram().to_owned(),
                }),
            }
        }
        (times, intervals)
    }

    #[test]
    fn a_log_gives_back_what_each_second_held() {
        for report in [sample::plain(6), sample::ladder(2)] {
            let (times, intervals) = read(&log(&report).unwrap());
            assert_eq!(times, [Duration::from_millis(report.started_unix_ms); 2]);
            let mut intervals = intervals.into_iter();
            for (round, name) in report.rounds.iter().zip(plain_names(&report)) {
                let tag = (report.rounds.len() > 1).then_some(name);
                for second in &round.seconds {
                    let read = intervals.next().unwrap();
                    let at = Duration::from_millis(round.started_ms + second.at_ms);
                    assert_eq!((&read.tag, read.at), (&tag, at));
                    assert_eq!(read.length, Duration::from_millis(second.length_ms));
                    let (is, was) = (decode(&read.histogram), decode(&second.histogram));
                    assert_eq!(is.unwrap(), was.unwrap());
                }
            }
            assert!(intervals.next().is_none());
        }
    }

    #[test]
    fn a_log_begins_as_the_format_wants_it() {
        let mut report = sample::plain(6);
        report.title = "a\r\nb".to_owned();
        report.started_unix_ms = 1_700_000_000_123;
        let log = String::from_utf8(log(&report).unwrap()).unwrap();
        let want = format!(
            "#[Histogram log format version 1.3]\n#[a \n#b: nanoseconds from when requests were \
             due]\n#[StartTime: 1700000000.123 (seconds since epoch)]\n#[BaseTime: 1700000000.123 \
             (seconds since epoch)]\n{LEGEND}#[MaxValueDivisor: 1000.000]\n2.000,1.000,"
        );
        assert_eq!(log.get(..want.len()), Some(want.as_str()));
    }

    #[test]
    fn a_second_that_cannot_be_read_is_an_error() {
        let mut report = sample::plain(6);
        report.rounds[0].seconds[0].histogram = "AAAA".to_owned();
        assert!(matches!(log(&report), Err(HistogramError::Format(_))));
    }
}

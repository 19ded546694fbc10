//! Whether a payload holds what its frame's header says.

use brink_proto::{frame::FrameHeader, kafka::record::records};

/// Holds the records of a frame against its header; says what differs.
pub(super) fn check(frame: &FrameHeader, raw: &[u8]) -> Result<(), String> {
    let batch = &frame.batch;
    let differs = |what: &str, found: i64, said: i64| {
        let text = format!("{what}: {found} found, the header says {said}");
        if found == said { Ok(()) } else { Err(text) }
    };
    differs("raw bytes", raw.len() as i64, i64::from(batch.raw_bytes))?;
    let mut count = 0;
    let mut latest = i64::MIN;
    for record in records(raw) {
        let record = record.map_err(|error| format!("behind {count} records: {error}"))?;
        if record.offset_delta != count {
            return Err(format!("record {count} says that it is record {}", record.offset_delta));
        }
        count += 1;
        latest = latest.max(batch.base_timestamp_ms.saturating_add(record.timestamp_delta_ms));
    }
    differs("records", count, i64::from(batch.count))?;
    differs("latest timestamp", latest, batch.max_timestamp_ms)
}

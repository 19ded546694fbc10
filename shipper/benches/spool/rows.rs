//! Batches as a shard hands them over: impressions as browsers cause them, no two alike.

use brink_proto::{
    ImpressionRow,
    event::{AddressText, Event, Identity, Labels, Stamp, identity, labels},
    frame::{BatchInfo, RAW_BYTES_MAX},
    ids::{Class, Micros, Sequence, StreamId},
    kafka::record::RecordHead,
    schema::IMPRESSIONS,
    wire::Writer,
};
use std::time::{SystemTime, UNIX_EPOCH};
use zstd::bulk::Compressor;

/// As the tap compresses.
const LEVEL: i32 = 1;
const WINDOW: u32 = RAW_BYTES_MAX.ilog2();

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/139.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 \
     (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/139.0.0.0 Mobile Safari/537.36",
];

const LANGUAGES: [&str; 3] = ["de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "en-US,en;q=0.9", "fr"];

/// Users: a browser comes back a few times.
const USERS: u64 = 1 << 20;

/// Microseconds between events: a shard at two thirds of what it can.
const EVENT_US: i64 = 8;

/// One stream of batches.
pub(super) struct Batches {
    stream: StreamId,
    identity: Identity,
    labels: Labels,
    next: Sequence,
    now: Micros,
    raw: Vec<u8>,
    compressor: Compressor<'static>,
}

impl Batches {
    pub(super) fn new(stream: StreamId) -> std::io::Result<Batches> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.window_log(WINDOW)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Batches {
            identity: identity(stream.edge, stream.incarnation, stream.shard),
            labels: labels("pixel", Some("xandr"), Some("nym2")),
            stream,
            next: Sequence(0),
            now: Micros(now.as_micros() as i64),
            raw: vec![0; RAW_BYTES_MAX],
            compressor,
        })
    }

    /// The next batch, compressed into a buffer; full, but for its last record's room.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> std::io::Result<BatchInfo> {
        let (first, base) = (self.next, self.now);
        let (mut raw_bytes, mut count) = (0, 0);
        while let Some(bytes) = self.append(raw_bytes, count, base) {
            raw_bytes += bytes;
            count += 1;
            // A batch ends with its hour.
            if self.now.hour() != base.hour() {
                break;
            }
        }
        let payload_bytes =
            self.compressor.compress_to_buffer(&self.raw[..raw_bytes], buffer)? as u32;
        Ok(BatchInfo {
            stream: self.stream,
            first_sequence: first,
            count,
            base_timestamp_ms: base.millis(),
            max_timestamp_ms: base.millis() + (i64::from(count) * EVENT_US) / 1000,
            hour: base.hour(),
            schema: IMPRESSIONS.version,
            class: Class::Normal,
            raw_bytes: raw_bytes as u32,
            payload_bytes,
            shed: [0; 4],
        })
    }

    /// Appends the next event; nothing, if there is no room for it.
    fn append(&mut self, at: usize, offset: u32, base: Micros) -> Option<usize> {
        let number = self.next.0;
        let random = |stream: u64| mix((number + 1).wrapping_add(stream << 40));
        let (auction, user, page) = (random(1), mix(random(2) % USERS), random(3));
        let auction = format!("{auction:016x}-{:08x}", user as u32);
        let (creative, site) = (8000 + random(6) % 900, random(7) % 2000);
        let query = format!("auction_id={auction}&cr={creative}&pos={}", random(8) % 9);
        let referer = format!("https://site-{site}.example.com/2026/11/{page:x}.html");
        let client = format!("198.51.{}.0", user % 256);
        let cookie = format!("{user:016x}");
        let row = ImpressionRow {
            client_address: client.as_str().into(),
            method: "GET".into(),
            path: "/i.gif".into(),
            raw_query: Some(query.as_str().into()),
            referer: Some(referer.as_str().into()),
            user_agent: Some(AGENTS[(user % 4) as usize].into()),
            accept_language: Some(LANGUAGES[(user % 3) as usize].into()),
            cookie_id: Some(cookie.as_str().into()),
            auction_id: Some(auction.as_str().into()),
            consent_decision: None,
        };
        let peer = AddressText::new([198, 51, 100, (page % 250) as u8].into());
        let stamp = Stamp {
            time: self.now,
            labels: &self.labels,
            peer: &peer,
            status: 200,
            response_bytes: 283,
            service_time_ns: 9_000 + random(9) % 20_000,
        };
        let event = Event { identity: &self.identity, sequence: self.next, stamp, row: &row };
        let delta = self.now.millis() - base.millis();
        let head = RecordHead::new(delta, offset, event.encoded_bytes());
        if at + head.record_bytes() > self.raw.len() {
            return None;
        }
        let mut out = Writer::new(&mut self.raw[at..]);
        head.write(&mut out, |out| event.encode(out));
        let bytes = out.finish()?;
        self.next.0 += 1;
        self.now.0 += EVENT_US;
        Some(bytes)
    }
}

/// SplitMix64: ids are as random as those of exchanges, and do not compress.
pub(super) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

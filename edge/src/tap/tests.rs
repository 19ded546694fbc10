//! The tap against its promises: dense sequences, bounded turns, shedding by class.

use super::*;
use brink_proto::{
    ImpressionRow, decoded,
    event::{AddressText, Labels, labels},
    frame::BatchInfo,
    ids::{Class, Micros, Sequence},
    kafka::record::records,
    schema::IMPRESSIONS,
};
use brink_shipper::intake::{SpoolEnd, ring};
use prost::Message;

const HOUR_US: i64 = 3_600_000_000;

struct Bench {
    tap: Tap,
    spool: SpoolEnd,
    counters: Arc<TapCounters>,
    labels: Labels,
    peer: AddressText,
}

fn bench(buffers: usize, schema: &'static Schema) -> Bench {
    let (end, spool) = ring(buffers, Box::new(|| {}));
    let topic = Name::new(schema.topic).unwrap();
    let counters = Arc::new(TapCounters::new(&[topic]));
    let speaker =
        Speaker { edge: Name::new("e").unwrap(), incarnation: Incarnation(7), shard: ShardId(0) };
    let tap = Tap::new(speaker, &[schema], end, buffers, &counters);
    let peer = AddressText::new("127.0.0.1".parse().unwrap());
    Bench { tap, spool, counters, labels: labels("pixel", None, None), peer }
}

impl Bench {
    fn offer(&mut self, query: &[u8], time: Micros, now: Nanos, waited: bool) -> Offer {
        let row = ImpressionRow {
            client_address: "127.0.0.1".into(),
            method: "GET".into(),
            path: "/i.gif".into(),
            raw_query: Some(query.into()),
            referer: None,
            user_agent: None,
            accept_language: None,
            cookie_id: None,
            auction_id: None,
            consent_decision: None,
        };
        let stamp = Stamp {
            time,
            labels: &self.labels,
            peer: &self.peer,
            status: 200,
            response_bytes: 283,
            service_time_ns: 1,
        };
        self.tap.offer(TopicIndex(0), &stamp, &row, now, waited)
    }

    /// What the spool got, with the queries in it.
    fn batches(&mut self) -> Vec<(BatchInfo, Vec<String>)> {
        let mut batches = Vec::new();
        while let Some(batch) = self.spool.pop() {
            let raw_bytes = batch.info.raw_bytes as usize;
            let raw = zstd::bulk::decompress(batch.payload(), raw_bytes).unwrap();
            assert_eq!(raw.len(), raw_bytes);
            let queries = records(&raw).enumerate().map(|(at, record)| {
                let record = record.unwrap();
                assert_eq!(record.offset_delta, at as i64);
                let event = decoded::Impression::decode(record.value).unwrap();
                let sequence = batch.info.first_sequence.0 + at as u64;
                assert_eq!(event.sequence as u64, sequence);
                let millis = batch.info.base_timestamp_ms + record.timestamp_delta_ms;
                assert_eq!(event.event_time.div_euclid(1000), millis);
                event.raw_query.unwrap()
            });
            batches.push((batch.info, queries.collect()));
            self.spool.give_back(batch.buffer);
            self.spool.publish(1);
        }
        batches
    }
}

fn millis(ms: u64) -> Nanos {
    Nanos(ms * 1_000_000)
}

#[test]
fn sequences_are_dense_across_batches_that_close_by_size() {
    let mut bench = bench(64, &IMPRESSIONS);
    let query = "q".repeat(1000);
    let mut turns = 0;
    for _ in 0..2000 {
        assert_eq!(bench.offer(query.as_bytes(), Micros(1), Nanos(0), false), Offer::Taken);
        if bench.tap.is_full() {
            bench.tap.end_turn(Nanos(0));
            turns += 1;
        }
    }
    bench.tap.finish();
    assert!(turns > 100, "{turns}");
    let batches = bench.batches();
    assert!(batches.len() >= 8);
    let mut next = 0;
    for (info, queries) in batches {
        assert_eq!(info.first_sequence, Sequence(next));
        assert!(info.raw_bytes as usize <= brink_proto::frame::RAW_BYTES_MAX);
        assert!(queries.iter().all(|q| *q == query));
        next += u64::from(info.count);
    }
    assert_eq!(next, 2000);
}

#[test]
fn a_turn_compresses_one_slice_at_most() {
    let mut bench = bench(64, &IMPRESSIONS);
    let query = "q".repeat(16_000);
    // Three longest queries are three slices; each turn takes one away.
    for _ in 0..3 {
        bench.offer(query.as_bytes(), Micros(1), Nanos(0), false);
    }
    let mut pending = vec![bench.tap.streams[0].pending()];
    while bench.tap.has_work(Nanos(0)) {
        bench.tap.end_turn(Nanos(0));
        pending.push(bench.tap.streams[0].pending());
    }
    assert_eq!(pending.len(), 3, "{pending:?}");
    assert!(pending.windows(2).all(|w| w[0] - w[1] == SLICE_BYTES), "{pending:?}");
    assert!(!bench.tap.is_full());
}

#[test]
fn a_batch_is_closed_by_age_and_at_the_hour() {
    let mut bench = bench(8, &IMPRESSIONS);
    bench.offer(b"1", Micros(HOUR_US - 1), millis(0), false);
    assert_eq!(bench.tap.next_deadline(), Some(millis(50)));
    assert!(!bench.tap.has_work(millis(49)));
    assert!(bench.tap.has_work(millis(50)));
    bench.tap.end_turn(millis(50));
    bench.offer(b"2", Micros(HOUR_US - 1), millis(51), false);
    bench.offer(b"3", Micros(HOUR_US), millis(51), false);
    // The time of day goes back; the hour does not.
    bench.offer(b"4", Micros(HOUR_US - 1), millis(51), false);
    // Nor does it behind what the clock has shown, whether or not there was an event.
    bench.tap.reach(Hour(2));
    bench.offer(b"5", Micros(HOUR_US), millis(52), false);
    bench.tap.finish();
    let got: Vec<_> = bench.batches().into_iter().map(|(i, q)| (i.hour, q.join(","))).collect();
    let want = [(Hour(0), "1"), (Hour(0), "2"), (Hour(1), "3,4"), (Hour(2), "5")];
    assert_eq!(got, want.map(|(h, q)| (h, q.to_owned())));
}

#[test]
fn a_batch_that_is_waited_for_closes_when_the_spool_is_idle_or_after_two_milliseconds() {
    let mut bench = bench(8, &IMPRESSIONS);
    bench.offer(b"1", Micros(1), millis(0), true);
    assert!(bench.tap.has_work(millis(0)), "the spool is idle");
    bench.tap.end_turn(millis(0));
    assert_eq!(bench.tap.take_news().count(), 1);
    bench.offer(b"2", Micros(1), millis(1), true);
    assert!(!bench.tap.has_work(millis(2)), "the batch before is not durable");
    assert!(bench.tap.has_work(millis(3)), "two milliseconds have passed");
    assert_eq!(bench.batches().len(), 1);
    assert!(bench.tap.has_work(millis(2)), "the batch before is durable");
}

#[test]
fn a_spool_that_stands_still_is_not_handed_ever_more_small_batches() {
    let mut bench = bench(16, &IMPRESSIONS);
    for ms in 0..200 {
        assert_eq!(bench.offer(b"x", Micros(1), millis(ms), true), Offer::Taken, "{ms} ms");
        assert!(bench.tap.next_deadline().unwrap() > millis(ms.saturating_sub(1)), "{ms} ms");
        bench.tap.end_turn(millis(ms));
    }
    // Four because somebody waits, and then one every fifty milliseconds.
    let (_, counters) = bench.counters.topics().next().unwrap();
    assert_eq!(counters.batches.read(), WAITED_AHEAD_MAX + 3);
    assert_eq!(bench.batches().len() as u64, WAITED_AHEAD_MAX + 3);
    assert!(bench.tap.has_work(millis(200)), "the batches before are durable");
}

static SAMPLED: Schema = Schema {
    topic: "sampled",
    message: "Impression",
    version: 1,
    class: Class::Sampled,
    about: "",
    row: &[],
};

#[test]
fn what_does_not_fit_is_shed_by_class_before_it_gets_a_sequence() {
    for (schema, takes) in [(&SAMPLED, 6), (&IMPRESSIONS, 8)] {
        let mut bench = bench(10, schema);
        let mut taken = 0;
        for ms in 0..20 {
            let offer = bench.offer(b"x", Micros(1), millis(ms * 100), false);
            taken += u64::from(offer == Offer::Taken);
            bench.tap.end_turn(millis(ms * 100 + 60));
        }
        assert_eq!(taken, takes, "{}", schema.topic);
        // What was shed is known to whoever reads the next frame, and leaves no hole.
        assert_eq!(bench.batches().len() as u64, takes);
        bench.offer(b"y", Micros(1), millis(5000), false);
        bench.tap.finish();
        let (info, _) = bench.batches().pop().unwrap();
        assert_eq!(info.first_sequence, Sequence(takes));
        assert_eq!(info.shed, [20 - takes as u32, 0, 0, 0]);

        let (_, counters) = bench.counters.topics().next().unwrap();
        assert_eq!(counters.offered.read(), 21);
        assert_eq!(counters.emitted.read(), takes + 1);
        assert_eq!(counters.handed_over.read(), takes + 1);
        assert_eq!(counters.shed[0].read(), 20 - takes);
    }
}

#[test]
fn a_full_spool_sheds_the_cheap_classes_first() {
    for (percent, sampled, normal) in [(59, true, true), (60, false, true), (85, false, false)] {
        for (schema, takes) in [(&SAMPLED, sampled), (&IMPRESSIONS, normal)] {
            let mut bench = bench(10, schema);
            bench.spool.set_fullness(percent);
            let offer = bench.offer(b"x", Micros(1), Nanos(0), false);
            assert_eq!(offer == Offer::Taken, takes, "{} at {percent} %", schema.topic);
        }
    }
}

//! Shard, tap and spool under virtual time: clients that cut, disks that fail, power that goes, and
//! a time of day that somebody sets.
//!
//! Each seed is one history. What must hold in all of them:
//! - answers come in the order of their requests;
//! - an answer that was promised to be durable is a row after any crash;
//! - sequences are dense from 0 in every stream, and no row stands twice;
//! - the hours of a stream never go back, whatever its clock does;
//! - the shard never waits for the disk, whatever the disk does.

use brink_proto::{
    decoded,
    ids::{Hour, StreamId},
    kafka::record::records,
};
use brink_tests::sim::{
    clock::SimClock,
    disk::{Faults, SimDisk},
    network::{ClientId, Network},
    random::Random,
    world::{Appliance, Bounds, Planet, audit},
};
use prost::Message;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const MILLI: u64 = 1_000_000;

const HOUR_US: i64 = 3_600_000_000;

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    Kill,
    Crash,
}

/// One client: what it asked, and the answers that came.
struct Asker {
    id: ClientId,
    asked: Vec<String>,
    received: Vec<u8>,
}

impl Asker {
    fn new(network: &Network, number: u16) -> Asker {
        let id = network.connect(([127, 0, 0, 1], 1000 + number).into());
        Asker { id, asked: Vec::new(), received: Vec::new() }
    }

    fn ask(&mut self, network: &Network, nonce: &str) {
        self.asked.push(nonce.to_owned());
        let request = format!("GET /i.gif?n={nonce} HTTP/1.1\r\nHost: sim\r\n\r\n");
        network.send(self.id, request.as_bytes());
    }

    /// The nonces that were answered with 200 and with 503, in order.
    fn answers(&mut self, network: &Network) -> (Vec<String>, Vec<String>) {
        self.received.extend(network.take_received(self.id));
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        let mut rest = self.received.as_slice();
        for nonce in &self.asked {
            let Some(head) = rest.windows(4).position(|w| w == b"\r\n\r\n") else { break };
            let text = std::str::from_utf8(&rest[..head]).expect("heads are ASCII");
            let body: usize = text
                .lines()
                .find_map(|l| l.strip_prefix("Content-Length: "))
                .and_then(|l| l.parse().ok())
                .expect("every answer has a length");
            if rest.len() < head + 4 + body {
                break;
            }
            match &text[..12] {
                "HTTP/1.1 200" => good.push(nonce.clone()),
                "HTTP/1.1 503" => refused.push(nonce.clone()),
                other => panic!("unexpected answer {other}"),
            }
            rest = &rest[head + 4 + body..];
        }
        (good, refused)
    }
}

/// The nonces in the log, after checking that every stream is dense and nothing stands twice.
fn rows(planet: &Planet, seed: u64) -> BTreeSet<String> {
    planet.disk.set_faults(Faults::default());
    let (frames, lost) = audit(planet, u64::MAX >> 1, Bounds::default());
    // What a sync that failed has left to be seen, and nobody was told to be safe, may be lost when
    // a start has seen it. Only the end of a life's log can be that; a hole is found below.
    assert!(lost.is_empty() || planet.disk.forgot() > 0, "seed {seed}: {lost:?}");
    let mut next: BTreeMap<StreamId, u64> = BTreeMap::new();
    let mut hours: BTreeMap<StreamId, Hour> = BTreeMap::new();
    let mut nonces = BTreeSet::new();
    for audited in frames {
        let batch = audited.frame.batch;
        let expected = next.entry(batch.stream).or_insert(0);
        if batch.end_sequence().0 <= *expected {
            continue; // written again after a failure, as it was
        }
        assert_eq!(batch.first_sequence.0, *expected, "seed {seed}: a hole in {}", batch.stream);
        *expected = batch.end_sequence().0;
        let before = hours.insert(batch.stream, batch.hour);
        assert!(before <= Some(batch.hour), "seed {seed}: {} went back an hour", batch.stream);
        let mut count = 0;
        for record in records(&audited.records) {
            let row = decoded::Impression::decode(record.unwrap().value).unwrap();
            assert_eq!(row.sequence as u64, batch.first_sequence.0 + count);
            count += 1;
            let hour = row.event_time / HOUR_US;
            assert!(hour <= i64::from(batch.hour.0), "seed {seed}: a row of a later hour");
            let query = row.raw_query.expect("every request has a query");
            let nonce = query.strip_prefix("n=").expect("the query is a nonce").to_owned();
            assert!(nonces.insert(nonce), "seed {seed}: a row stands twice");
        }
        assert_eq!(count, u64::from(batch.count));
    }
    nonces
}

fn faults(random: &Random) -> Faults {
    let percent = |most| if random.chance(40) { random.within(0..most) } else { 0 };
    Faults {
        write_errors: percent(10),
        sync_errors: percent(10),
        capacity: random.chance(20).then(|| random.within(5..9) << 20),
        slowest: Duration::from_micros(random.within(100..20_000)),
    }
}

/// One history.
fn history(seed: u64) {
    let random = Random::new(seed);
    // Some histories begin just before an hour ends.
    let clock = SimClock::new(497_000 * HOUR_US - random.within(0..2) as i64 * 200_000);
    let disk = SimDisk::new(clock.clone(), random.clone());
    let planet = Planet { clock, random, disk };
    let durable = planet.random.chance(50);
    let ack = if durable { "durable" } else { "received" };
    let lives = planet.random.within(1..4);
    let mut promised = BTreeSet::new();
    let mut asked = BTreeSet::new();
    for life in 1..=lives {
        let end = match planet.random.within(0..3) {
            0 => End::Crash,
            1 => End::Kill,
            _ => End::Stop,
        };
        let answered = one_life(&planet, seed, life, ack, end, &mut asked);
        if durable || end == End::Stop {
            promised.extend(answered);
        }
    }
    let rows = rows(&planet, seed);
    let missing: Vec<_> = promised.difference(&rows).take(3).collect();
    assert!(missing.is_empty(), "seed {seed}, {ack}: answered and not a row: {missing:?}");
    let invented: Vec<_> = rows.difference(&asked).take(3).collect();
    assert!(invented.is_empty(), "seed {seed}: a row that nobody asked for: {invented:?}");
}

/// One life of the appliance; the nonces that its answers promise to be rows.
fn one_life(
    planet: &Planet,
    seed: u64,
    life: u64,
    ack: &str,
    end: End,
    asked: &mut BTreeSet<String>,
) -> BTreeSet<String> {
    let random = planet.random.clone();
    planet.disk.set_faults(Faults::default());
    let mut appliance = Appliance::start(planet, life, ack, Bounds::default());
    planet.disk.set_faults(faults(&random));
    let network = appliance.network.clone();
    let mut askers: Vec<_> = (0..6).map(|n| Asker::new(&network, n)).collect();
    let mut number = 0;
    for _ in 0..random.within(5..40) {
        for asker in &mut askers {
            for _ in 0..random.within(0..6) {
                number += 1;
                let padding = "p".repeat(random.within(0..200) as usize);
                let nonce = format!("{life}-{number}-{padding}");
                asked.insert(nonce.clone());
                asker.ask(&network, &nonce);
            }
        }
        // Somebody sets the clock; shards look at it once a second.
        let is_set = random.chance(5);
        if is_set {
            planet.clock.set_day(if random.chance(50) { HOUR_US } else { -HOUR_US });
        }
        let pause = if is_set { 1100 } else { random.within(1..30) };
        appliance.run_until(planet.clock.nanos() + pause * MILLI);
    }
    let counters = std::sync::Arc::clone(&appliance.counters);
    match end {
        End::Stop => {
            // An orderly stop needs a disk that takes what is handed to it.
            planet.disk.set_faults(Faults::default());
            appliance.run_until(planet.clock.nanos() + 2000 * MILLI);
            askers.iter().for_each(|asker| network.finish(asker.id));
            assert!(appliance.stop(Duration::from_secs(30)), "seed {seed}: the stop does not end");
        }
        End::Kill => {
            drop(appliance);
            planet.disk.kill();
        }
        End::Crash => {
            drop(appliance);
            planet.disk.crash();
        }
    }
    let (_, tap) = counters.tap.topics().next().expect("one topic");
    let shed: u64 = tap.shed.iter().map(|c| c.read()).sum();
    assert_eq!(tap.offered.read(), tap.emitted.read() + shed, "seed {seed}");
    let mut answered = BTreeSet::new();
    for asker in &mut askers {
        let (good, refused) = asker.answers(&network);
        if end == End::Stop {
            assert_eq!(good.len() + refused.len(), asker.asked.len(), "seed {seed}: unanswered");
        }
        answered.extend(good);
    }
    // What is shed is answered all the same, where nothing else was promised.
    if ack == "received" && shed > 0 {
        answered.clear();
    }
    answered
}

/// How many histories: enough to have them all in seconds; more by `BRINK_SEEDS`.
fn seeds() -> u64 {
    std::env::var("BRINK_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(150)
}

#[test]
fn what_was_promised_survives_any_history() {
    for seed in 0..seeds() {
        history(seed);
    }
}

#[test]
fn a_disk_that_takes_nothing_never_stops_a_shard() {
    let random = Random::new(7);
    let clock = SimClock::new(0);
    let disk = SimDisk::new(clock.clone(), random.clone());
    let planet = Planet { clock, random, disk };
    let mut appliance = Appliance::start(&planet, 1, "received", Bounds::default());
    planet.disk.set_faults(Faults { write_errors: 100, ..Faults::default() });
    let network = appliance.network.clone();
    let mut asker = Asker::new(&network, 0);
    for number in 0..2000 {
        asker.ask(&network, &number.to_string());
        appliance.run_until(planet.clock.nanos() + 2 * MILLI);
    }
    let (good, _) = asker.answers(&network);
    assert!(good.len() >= 1999, "{} answered while the disk took nothing", good.len());
    let counters = std::sync::Arc::clone(&appliance.counters);
    let (_, tap) = counters.tap.topics().next().unwrap();
    let shed: u64 = tap.shed.iter().map(|c| c.read()).sum();
    assert!(shed > 0);
    let (alarmed, _) = appliance.alarms.state(brink_shipper::alarms::Alarm::SpoolDisk);
    assert!(alarmed);

    // The disk comes back, and so does the log: what got a sequence is all there.
    planet.disk.set_faults(Faults::default());
    appliance.run_until(planet.clock.nanos() + 2000 * MILLI);
    let (alarmed, _) = appliance.alarms.state(brink_shipper::alarms::Alarm::SpoolDisk);
    assert!(!alarmed);
    let emitted = tap.emitted.read();
    network.finish(asker.id);
    assert!(appliance.stop(Duration::from_secs(30)));
    assert_eq!(rows(&planet, 7).len() as u64, emitted);
}

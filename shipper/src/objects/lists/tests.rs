//! Lists against their promises: they tile, become manifests once, and close hours when they may.

use super::*;
use crate::{
    objects::watch::{Moment, Watch},
    spool::chain::tests::object,
};
use std::time::Instant;

const START_MS: u64 = 498_727 * HOUR_MS + 1_800_000;
const HOUR: Hour = Hour(498_727);

fn author() -> Author {
    let topics = vec![Name::new("t").unwrap()];
    Author { edge: Name::new("e").unwrap(), incarnation: Some(Incarnation(START_MS)), topics }
}

fn own() -> ChainId {
    ChainId { edge: author().edge, incarnation: Incarnation(START_MS), topic: author().topics[0] }
}

fn delivery(id: ChainId, shard: u16, first: u64, end: u64, hour: Hour) -> Delivery {
    let object = Some(object(shard, first, end));
    Delivery { stream: id.stream(shard), hour: Some(hour), end: Sequence(end), object }
}

/// Everything is taken and delivered at once.
fn nothing(_: &ChainId, _: Hour) -> bool {
    false
}

fn deliver(lists: &mut Lists, delivery: Delivery) {
    assert_eq!(lists.in_the_way(&delivery, nothing), None);
    let chain = lists.with(delivery);
    lists.keep(chain);
}

/// Makes the manifest of what is due, as if the store took it.
fn tell(lists: &mut Lists, due: Due) -> Manifest {
    let chain = lists.sealed(due).unwrap();
    lists.keep(chain);
    assert_eq!(lists.unfinished(), [due.id]);
    let manifest = lists.manifest(&due.id).unwrap();
    match manifest.last {
        true => lists.end(&due.id),
        false => {
            let digest = super::super::manifest::digest(&manifest.bytes());
            let chain = lists.linked(&due.id, digest).unwrap();
            lists.keep(chain);
        }
    }
    manifest
}

fn text(hour: Hour) -> String {
    super::super::manifest::hour_text(hour)
}

#[test]
fn an_hour_is_closed_when_it_is_over_and_nothing_of_it_is_on_its_way() {
    let mut lists = Lists::new(author(), &SinkCursor::default(), 0);
    deliver(&mut lists, delivery(own(), 0, 0, 10, HOUR));
    let end_ms = u64::from(HOUR.0 + 1) * HOUR_MS;
    lists.catch_up(end_ms + 59_000);
    assert_eq!(lists.poll(nothing), None, "within the grace");
    lists.catch_up(end_ms + 121_000);
    assert_eq!(lists.poll(|_, hour| hour >= HOUR), None, "another shard has some of it");
    let due = lists.poll(nothing).unwrap();
    let manifest = tell(&mut lists, due);
    let hour = Some(text(HOUR));
    assert_eq!((manifest.number, Some(manifest.hour), manifest.closed), (0, hour.clone(), hour));
    assert_eq!(lists.poll(nothing), None, "it is told once");
    // Nothing comes in the next hour, and that is told as well.
    lists.catch_up(end_ms + HOUR_MS + 121_000);
    let due = lists.poll(nothing).unwrap();
    let manifest = tell(&mut lists, due);
    let hour = text(Hour(HOUR.0 + 1));
    assert_eq!((manifest.number, &manifest.hour, manifest.objects.len()), (1, &hour, 0));
    assert_eq!((manifest.closed, manifest.previous.unwrap().hour), (Some(hour), text(HOUR)));
}

#[test]
fn an_object_of_another_hour_waits_for_the_manifest_and_the_hour_is_closed_later() {
    let mut lists = Lists::new(author(), &SinkCursor::default(), 0);
    deliver(&mut lists, delivery(own(), 0, 0, 10, HOUR));
    let next = delivery(own(), 0, 10, 20, Hour(HOUR.0 + 1));
    let due = lists.in_the_way(&next, nothing).unwrap();
    let manifest = tell(&mut lists, due);
    // Nobody knows yet whether another shard still has some of it.
    let before = Some(text(Hour(HOUR.0 - 1)));
    assert_eq!((manifest.hour, manifest.closed), (text(HOUR), before));
    deliver(&mut lists, next);
    lists.catch_up(u64::from(HOUR.0 + 1) * HOUR_MS + 121_000);
    let due = lists.poll(nothing).unwrap();
    let manifest = tell(&mut lists, due);
    let next = text(Hour(HOUR.0 + 1));
    assert_eq!((manifest.hour, manifest.closed), (next, Some(text(HOUR))));
}

#[test]
fn a_list_that_is_full_becomes_a_manifest_and_so_does_the_longest_when_all_are() {
    let mut lists = Lists::new(author(), &SinkCursor::default(), 0);
    let count = LISTED_MAX as u64;
    for at in 0..count {
        deliver(&mut lists, delivery(own(), 0, at, at + 1, HOUR));
    }
    let due = lists.in_the_way(&delivery(own(), 0, count, count + 1, HOUR), nothing).unwrap();
    let manifest = tell(&mut lists, due);
    assert_eq!(manifest.objects.len(), LISTED_MAX);
    assert_eq!(manifest.streams, [super::super::manifest::Span { shard: 0, from: 0, end: count }]);
    let others =
        (0..ALL_LISTED_MAX / 64).map(|n| ChainId { incarnation: Incarnation(n as u64), ..own() });
    for id in others {
        for at in 0..64 {
            deliver(&mut lists, delivery(id, 0, at, at + 1, HOUR));
        }
    }
    let due = lists.in_the_way(&delivery(own(), 0, count, count + 1, HOUR), nothing).unwrap();
    assert_eq!(tell(&mut lists, due).objects.len(), 64);
    deliver(&mut lists, delivery(own(), 0, count, count + 1, HOUR));
}

#[test]
fn no_manifest_closes_an_hour_of_which_something_is_in_hand_or_still_to_come() {
    let now = u64::from(HOUR.0 + 1) * HOUR_MS + 121_000;
    // Another shard's object of the hour that is over comes when one of the next is listed.
    let mut lists = Lists::new(author(), &SinkCursor::default(), 0);
    deliver(&mut lists, delivery(own(), 0, 0, 10, Hour(HOUR.0 + 1)));
    lists.catch_up(now);
    let late = delivery(own(), 1, 0, 5, HOUR);
    let due = lists.in_the_way(&late, nothing).unwrap();
    assert_eq!(tell(&mut lists, due).closed, Some(text(Hour(HOUR.0 - 1))));
    deliver(&mut lists, late);
    let due = lists.poll(nothing).unwrap();
    assert_eq!(tell(&mut lists, due).closed, Some(text(HOUR)));
    // What an earlier start has left comes at its own pace, and what this one writes beside it.
    let earlier = ChainId { incarnation: Incarnation(START_MS - 5), ..own() };
    let mut lists = Lists::new(author(), &SinkCursor::default(), 30);
    lists.catch_up(now);
    deliver(&mut lists, delivery(earlier, 0, 0, 10, Hour(HOUR.0 - 9)));
    lists.take(&earlier.stream(0), 20);
    let due = lists.in_the_way(&delivery(earlier, 0, 10, 20, Hour(HOUR.0 - 8)), nothing).unwrap();
    assert_eq!(tell(&mut lists, due).closed, None);
}

#[test]
fn an_earlier_start_has_its_last_manifest_once_all_of_it_is_here() {
    let earlier = ChainId { incarnation: Incarnation(START_MS - 5), ..own() };
    let mut chain = Chain::new(earlier);
    chain.add(HOUR, Sequence(0), Vec::new(), object(0, 0, 10));
    let delivered = BTreeMap::from([(earlier.stream(0), Sequence(10))]);
    let cursor = SinkCursor { delivered, chains: vec![chain.clone()], ..SinkCursor::default() };
    let mut lists = Lists::new(author(), &cursor, 2);
    // What this start writes comes first, and says nothing of what an earlier one has left.
    deliver(&mut lists, delivery(own(), 0, 0, 50, HOUR));
    lists.take(&own().stream(0), 50);
    lists.catch_up(START_MS + 1000);
    assert_eq!(lists.poll(nothing), None, "not all of the log is here");
    deliver(&mut lists, delivery(earlier, 0, 10, 12, HOUR));
    lists.take(&earlier.stream(0), 2);
    assert_eq!(lists.poll(|id, _| *id == earlier), None, "something of it is on its way");
    let due = lists.poll(nothing).unwrap();
    let manifest = tell(&mut lists, due);
    assert_eq!((manifest.last, manifest.number, manifest.ledger.delivered), (true, 0, 12));
    assert_eq!(lists.poll(nothing), None);
    // A list that was sealed before the crash is the manifest that was meant, whatever comes.
    chain.seal(HOUR, ListSeal::default());
    let sealed = SinkCursor { chains: vec![chain.clone()], ..SinkCursor::default() };
    let mut lists = Lists::new(author(), &sealed, 0);
    assert_eq!(lists.unfinished(), [earlier]);
    let meant = Manifest::of(&chain).unwrap();
    assert_eq!(lists.manifest(&earlier).as_ref(), Some(&meant));
    let due = lists.poll_last().unwrap();
    assert_eq!(tell(&mut lists, due), meant, "a stop that comes first changes nothing");
    let due = lists.poll_last().unwrap();
    let last = tell(&mut lists, due);
    assert_eq!((last.last, last.number, lists.poll_last()), (true, 1, None));
}

#[test]
fn what_is_lost_is_named_with_its_reason() {
    let begins = BTreeMap::from([(own().stream(0), Sequence(5))]);
    let cursor = SinkCursor { delivered: begins, ..SinkCursor::default() };
    let mut lists = Lists::new(author(), &cursor, 0);
    lists.give_up(own().stream(0), Sequence(8), Sequence(10));
    lists.give_up(own().stream(0), Sequence(10), Sequence(12));
    lists.give_up(own().stream(0), Sequence(20), Sequence(21));
    deliver(&mut lists, delivery(own(), 0, 15, 20, HOUR));
    let lost = Delivery { stream: own().stream(0), hour: None, end: Sequence(30), object: None };
    deliver(&mut lists, lost);
    assert!(lists.given_up.is_empty());
    let due = lists.poll_last().unwrap();
    let manifest = tell(&mut lists, due);
    let gap = |first, end, reason| Gap { shard: 0, first, end, reason };
    let (missing, corrupt) = (GapReason::Missing, GapReason::Corrupt);
    let front = [gap(5, 8, missing), gap(8, 12, corrupt), gap(12, 15, missing)];
    assert_eq!(manifest.gaps[..3], front);
    assert_eq!(manifest.gaps[3..], [gap(20, 21, corrupt), gap(21, 30, missing)]);
    assert_eq!((manifest.ledger.accepted, manifest.ledger.delivered), (25, 5));
    assert_eq!(manifest.streams[0].from, 5);
}

/// A start whose clock somebody sets, and two shards that write a row of their own each minute,
/// which is delivered at once.
struct Day {
    lists: Lists,
    watch: Watch,
    started: Moment,
    /// By shard: the hour that its clock has reached, which does not go back, and its stream's end.
    streams: [(Hour, u64); 2],
    /// By shard, how far manifests tell.
    told: [u64; 2],
    closed: Option<String>,
}

impl Day {
    fn new() -> Day {
        let started = Moment { steady: Instant::now(), wall: Duration::from_millis(START_MS) };
        Day {
            lists: Lists::new(author(), &SinkCursor::default(), 0),
            watch: Watch::start(started),
            started,
            streams: [(HOUR, 0); 2],
            told: [0; 2],
            closed: Some(text(Hour(HOUR.0 - 1))),
        }
    }

    /// A minute passes, with a clock that is so many minutes wrong.
    fn pass(&mut self, minute: u64, off: i64) {
        let gone = Duration::from_secs(60 * minute);
        let wall = START_MS.saturating_add_signed(60_000 * (minute as i64 + off));
        let now = Moment { steady: self.started.steady + gone, wall: Duration::from_millis(wall) };
        for shard in 0..2 {
            let (hour, end) = &mut self.streams[usize::from(shard)];
            *hour = Hour((wall / HOUR_MS) as u32).max(*hour);
            let next = delivery(own(), shard, *end, *end + 10, *hour);
            *end += 10;
            assert!(Some(text(*hour)) > self.closed, "a row of an hour that was closed");
            self.lists.see(&next.stream, self.watch.capped(wall as i64, now));
            while let Some(due) = self.lists.in_the_way(&next, nothing) {
                self.tell(due);
            }
            deliver(&mut self.lists, next);
        }
        self.lists.catch_up(self.watch.unix_ms(now));
        while let Some(due) = self.lists.poll(nothing) {
            let before = self.closed.clone();
            self.tell(due);
            assert!(self.closed > before, "{before:?} is closed again");
        }
    }

    fn tell(&mut self, due: Due) {
        let manifest = tell(&mut self.lists, due);
        for span in &manifest.streams {
            let told = &mut self.told[usize::from(span.shard)];
            assert_eq!(span.from, *told, "{manifest:?}");
            *told = span.end;
        }
        assert!(manifest.closed >= self.closed, "{manifest:?}");
        self.closed = manifest.closed;
    }
}

#[test]
fn a_clock_that_is_set_by_an_hour_closes_no_hour_too_soon_and_none_twice() {
    const MINUTES: u64 = 270;
    // Hours change at 30 and 90, and are closed within two minutes of that.
    let from = [0, 1, 15, 29, 30, 31, 32, 33, 45, 89, 90, 91, 92];
    for (by, from) in [60, -60].into_iter().flat_map(|by| from.map(|from| (by, from))) {
        for minutes in [1, 2, 30, 61, MINUTES] {
            let mut day = Day::new();
            let is_set = |minute| (from..from + minutes).contains(&minute);
            for minute in 0..=MINUTES {
                day.pass(minute, if is_set(minute) { by } else { 0 });
            }
            // Five hours have begun; of the last one's first minutes nobody knows yet.
            let behind = u32::from(by < 0 && is_set(MINUTES));
            let want = Some(text(Hour(HOUR.0 + 3 - behind)));
            assert_eq!(day.closed, want, "{by} minutes, from {from} for {minutes}");
        }
    }
}

//! How far a drain is, and how long it will take.

use super::{kafka_sink, object_sink, raised};
use crate::{
    alarms::Alarms, kafka::sink::KafkaCounters, objects::sink::ObjectCounters, sink::Deliveries,
    spool::cursors::SinkCursor,
};
use serde::Serialize;
use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
    time::{Duration, Instant},
};

/// How far all sinks are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Each sink.
    pub sinks: Vec<SinkProgress>,
    /// What an operator should look at.
    pub alarms: Vec<&'static str>,
}

/// How far one sink is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkProgress {
    /// Its name.
    pub name: &'static str,
    /// Events that waited for it at the start.
    pub backlog: u64,
    /// Of them, those that are delivered.
    pub delivered: u64,
    /// Those that never will be: corrupt, missing, or refused for good.
    pub quarantined: u64,
    /// Events a second, lately.
    #[serde(skip)]
    pub rate: u64,
}

impl SinkProgress {
    /// Events that wait still.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.backlog.saturating_sub(self.delivered + self.quarantined)
    }

    /// How long they take, if anything moves.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.left().checked_div(self.rate).map(Duration::from_secs)
    }
}

impl Display for Progress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, sink) in self.sinks.iter().enumerate() {
            let (name, left, rate) = (sink.name, sink.left(), sink.rate);
            write!(f, "{}{name}: {left} events left, {rate}/s", if at > 0 { "; " } else { "" })?;
            if let Some(time) = sink.time_left().filter(|_| left > 0) {
                let seconds = time.as_secs();
                match (seconds / 3600, seconds / 60 % 60) {
                    (0, 0) => write!(f, ", about {seconds} s")?,
                    (0, minutes) => write!(f, ", about {minutes} min")?,
                    (hours, minutes) => write!(f, ", about {hours} h {minutes} min")?,
                }
            }
        }
        if self.alarms.is_empty() {
            Ok(())
        } else {
            write!(f, "; ALARM {}", self.alarms.join(", "))
        }
    }
}

/// Looks at what the sinks count.
pub(super) struct Watch {
    objects: Arc<ObjectCounters>,
    kafka: Option<Arc<KafkaCounters>>,
    backlogs: Vec<u64>,
    /// When was looked last, and what each sink had done then.
    before: (Instant, Vec<u64>),
    rates: Vec<f64>,
}

/// What the latest look weighs against all before it.
const WEIGHT: f64 = 0.3;

impl Watch {
    pub(super) fn new(start: &(SinkCursor, u64), objects: Arc<ObjectCounters>) -> Watch {
        Watch {
            objects,
            kafka: None,
            backlogs: vec![start.1],
            before: (Instant::now(), Vec::new()),
            rates: Vec::new(),
        }
    }

    pub(super) fn also_kafka(&mut self, start: &(SinkCursor, u64), kafka: Arc<KafkaCounters>) {
        self.backlogs.push(start.1);
        self.kafka = Some(kafka);
    }

    /// Whether the object sink has seen all that waited for it.
    pub(super) fn has_taken_all(&self) -> bool {
        let deliveries = &self.objects.deliveries;
        let seen = deliveries.taken.read() + deliveries.quarantined_missing.read();
        self.backlogs.first().is_some_and(|backlog| seen >= *backlog)
    }

    pub(super) fn progress(&mut self, alarms: &Alarms) -> Progress {
        let objects = (object_sink::NAME, &self.objects.deliveries);
        let kafka = self.kafka.as_ref().map(|kafka| (kafka_sink::NAME, &kafka.deliveries));
        let done = |deliveries: &Deliveries| {
            let quarantined: u64 = deliveries.quarantined().iter().map(|(_, events)| events).sum();
            (deliveries.delivered.read(), quarantined)
        };
        let sinks = [objects].into_iter().chain(kafka).zip(&self.backlogs);
        let mut sinks: Vec<SinkProgress> = sinks
            .map(|((name, deliveries), backlog)| {
                let (delivered, quarantined) = done(deliveries);
                SinkProgress { name, backlog: *backlog, delivered, quarantined, rate: 0 }
            })
            .collect();
        let now = Instant::now();
        let seconds = now.duration_since(self.before.0).as_secs_f64().max(1e-3);
        self.rates.resize(sinks.len(), f64::NAN);
        self.before.1.resize(sinks.len(), 0);
        for ((sink, rate), before) in sinks.iter_mut().zip(&mut self.rates).zip(&self.before.1) {
            let latest = (sink.delivered + sink.quarantined - before) as f64 / seconds;
            *rate = if rate.is_nan() { latest } else { *rate + WEIGHT * (latest - *rate) };
            sink.rate = *rate as u64;
        }
        self.before = (now, sinks.iter().map(|sink| sink.delivered + sink.quarantined).collect());
        Progress { sinks, alarms: raised(alarms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_one_line() {
        let (alarms, counters) = (Alarms::default(), Arc::new(ObjectCounters::default()));
        let mut watch = Watch::new(&(SinkCursor::default(), 100), Arc::clone(&counters));
        counters.deliveries.delivered.add(30);
        counters.deliveries.quarantined_missing.add(10);
        let progress = watch.progress(&alarms);
        assert_eq!((progress.sinks[0].left(), watch.has_taken_all()), (60, false));
        counters.deliveries.taken.add(90);
        assert!(watch.has_taken_all());
        let of_rate = |rate| SinkProgress { rate, backlog: 100_000, ..progress.sinks[0].clone() };
        for (rate, want) in [
            (0, "objects: 99960 events left, 0/s"),
            (9_000, "objects: 99960 events left, 9000/s, about 11 s"),
            (1_000, "objects: 99960 events left, 1000/s, about 1 min"),
            (10, "objects: 99960 events left, 10/s, about 2 h 46 min"),
        ] {
            let progress = Progress { sinks: vec![of_rate(rate)], alarms: Vec::new() };
            assert_eq!(progress.to_string(), want);
        }
        alarms.raise(crate::alarms::Alarm::StoreFailing);
        assert!(watch.progress(&alarms).to_string().ends_with("; ALARM store_failing"));
    }
}

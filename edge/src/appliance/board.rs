//! What everybody may look at: counters, alarms, settings. Nobody locks it.

use super::{Unready, runway::Runway, tables::TableCounters};
use crate::{
    config::EdgeConfig,
    ring::uring::rungs::Rungs,
    roles::Outcomes,
    shard::{
        control::Control,
        counters::ShardCounters,
        latency::{LatencyReader, Times, times},
    },
};
use brink_proto::ids::Incarnation;
use brink_shipper::{
    alarms::Alarms,
    kafka::{self, sink::KafkaCounters},
    objects::{self, sink::ObjectCounters},
    sink::Deliveries,
    spool::{RecoveryReport, SpoolCounters},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

/// What can be seen of a running appliance.
pub struct Board {
    /// What it is to be.
    pub config: EdgeConfig,
    /// Which start this is.
    pub incarnation: Incarnation,
    /// What tells its spool from every other one.
    pub spool_id: String,
    /// When it started.
    pub started: Instant,
    /// Where each listener listens, by name.
    pub listening: Vec<(String, SocketAddr)>,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// What can become of requests of each listener.
    pub outcomes: Vec<Outcomes>,
    /// What shards are told.
    pub control: Arc<Control>,
    /// What each shard counts.
    pub shards: Vec<Arc<ShardCounters>>,
    /// What the spool counts.
    pub spool: Arc<SpoolCounters>,
    /// How long the spool's room lasts.
    pub runway: Runway,
    /// What the object sink counts.
    pub objects: Arc<ObjectCounters>,
    /// What the Kafka sink counts, if there is one.
    pub kafka: Option<Arc<KafkaCounters>>,
    /// What an operator must look at.
    pub alarms: Arc<Alarms>,
    /// What the start found in the spool.
    pub recovery: RecoveryReport,
    /// Rungs that the shards stand on.
    pub rungs: OnceLock<Rungs>,
    /// What is known of segment tables.
    pub tables: TableCounters,
    /// Service times. Only the delivery thread uses it, so it is never contended.
    pub latency: Mutex<Latency>,
}

/// Service times since the start.
pub struct Latency {
    readers: Vec<LatencyReader>,
    /// By listener, over all shards.
    pub sums: Times,
}

impl Latency {
    /// Nothing yet, from these shards.
    #[must_use]
    pub fn new(readers: Vec<LatencyReader>, listeners: usize) -> Latency {
        Latency { readers, sums: times(listeners) }
    }
}

impl Board {
    /// Every sink's part of the ledger, by its name.
    pub fn deliveries(&self) -> impl Iterator<Item = (&'static str, &Deliveries)> {
        let kafka = self.kafka.as_ref().map(|kafka| (kafka::sink::NAME, &kafka.deliveries));
        [(objects::sink::NAME, &self.objects.deliveries)].into_iter().chain(kafka)
    }

    /// Takes the times that shards have handed over.
    pub fn gather_latency(&self) {
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let Latency { readers, sums } = &mut *latency;
        readers.iter_mut().for_each(|reader| reader.add_to(sums));
    }

    /// Why a listener wants no requests.
    #[must_use]
    pub fn unready(&self, listener: usize) -> Vec<Unready> {
        let bits = self.control.unready(listener);
        let stage = (!self.control.is_ready()).then_some(Unready::Stage);
        let set = Unready::ALL.into_iter().filter(|reason| bits & (1 << *reason as u8) != 0);
        stage.into_iter().chain(set).collect()
    }

    /// Whether `/ready` says yes on every listener.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        (0..self.config.listeners.len()).all(|index| self.control.is_listener_ready(index))
    }
}

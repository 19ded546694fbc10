//! A running spool, as an appliance starts it.

use super::Place;
use brink_proto::{
    ids::{Name, ShardId, StreamId},
    schema::IMPRESSIONS,
};
use brink_shipper::{
    alarms::Alarms,
    intake::{self, ShardEnd},
    spool::{
        self, Connections, SpoolConfig, SpoolCounters, SpoolHandle, SpoolThread,
        identity::SpoolFolder, port::SpoolPort,
    },
};
use std::{
    error::Error,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// As the appliance commits.
const COMMIT: Duration = Duration::from_millis(50);
const GROUP_BYTES: usize = 1 << 20;

/// As profiles give each shard.
const BUFFERS: usize = 32;

/// The spool, and the shards' ends of its rings.
pub(super) struct Spooling {
    pub(super) handle: SpoolHandle,
    pub(super) shards: Vec<ShardEnd>,
    pub(super) counters: Arc<SpoolCounters>,
    folder: SpoolFolder,
}

impl Spooling {
    pub(super) fn start(
        place: &Place,
        shards: usize,
        quota_bytes: u64,
        ports: Vec<SpoolPort>,
    ) -> Result<Spooling, Box<dyn Error>> {
        let folder = place.open()?;
        let counters = Arc::new(SpoolCounters::new(shards, vec![Name::new(IMPRESSIONS.topic)?]));
        let ring = |_| intake::ring(BUFFERS, Box::new(|| {}));
        let (shards, rings): (Vec<_>, Vec<_>) = (0..shards).map(ring).unzip();
        let handle = spool::spawn(
            &SpoolThread { path: folder.path.clone(), second: None, cpu: place.spool_cpu },
            SpoolConfig {
                incarnation: folder.incarnation,
                segment_bytes: place.segment_mib << 20,
                quota_bytes,
                commit_interval: COMMIT,
                group_bytes: GROUP_BYTES,
                replay_bytes_per_s: u64::MAX,
            },
            Connections {
                rings,
                ports,
                counters: Arc::clone(&counters),
                alarms: Arc::new(Alarms::default()),
                give_up: Arc::new(AtomicBool::new(false)),
            },
        )?;
        Ok(Spooling { handle, shards, counters, folder })
    }

    /// The stream of a shard.
    pub(super) fn stream(&self, shard: usize) -> Result<StreamId, Box<dyn Error>> {
        let SpoolFolder { edge, incarnation, .. } = self.folder;
        let topic = Name::new(IMPRESSIONS.topic)?;
        Ok(StreamId { edge, incarnation, shard: ShardId(shard as u16), topic })
    }
}

//! Shard threads: each is pinned first, then makes its ring, for a ring belongs to the thread that
//! made it.

use super::{StartError, events::Events};
use crate::{
    clock::QuantaClock,
    config::{EdgeConfig, ListenerConfig},
    conn::assembly::AssemblyCounts,
    ring::{
        ShardIndex,
        blocks::OutBlocks,
        receive::ReceiveBuffers,
        uring::{RingConfig, RingFiles, RingMemory, RingSetupError, rungs::Rungs},
    },
    roles::{MakeService, Roles, Supplies},
    shard::{
        Crowd, Idle, ListenerParts, Shard, ShardParts,
        control::{Control, Waker},
        counters::ShardCounters,
        latency::LatencyWriter,
    },
    table::handover::TableTaker,
    tap::{Speaker, Tap},
};
use brink_proto::schema::Schema;
use brink_shipper::{
    intake::ShardEnd,
    threads::{Weight, settle},
};
use brink_tuning::profile::Spin;
use rustix::io::Errno;
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What one shard is started with.
pub(super) struct ShardPlan {
    pub(super) speaker: Speaker,
    pub(super) core: usize,
    /// One socket per listener.
    pub(super) sockets: Vec<OwnedFd>,
    pub(super) topics: Vec<&'static Schema>,
    pub(super) spool: ShardEnd,
    /// What wakes each of the shards, this one among them.
    pub(super) wakers: Vec<Waker>,
    pub(super) control: Arc<Control>,
    pub(super) counters: Arc<ShardCounters>,
    pub(super) latency: LatencyWriter,
    pub(super) clock: QuantaClock,
    /// Where tables come in, one for each listener that looks into one.
    pub(super) tables: Vec<TableTaker>,
    /// The other shards, if there are any.
    pub(super) crowd: Option<Crowd>,
}

/// Starts a shard and waits until it serves; the rungs that its ring stands on.
pub(super) fn spawn(
    mut plan: ShardPlan,
    config: &EdgeConfig,
    roles: &Roles,
    events: Events,
) -> Result<(JoinHandle<()>, Rungs), StartError> {
    let name = format!("shard-{}", plan.speaker.shard.0);
    // BOUND: a shard says once how its start went.
    let (told, started) = sync_channel(1);
    let mut tables = std::mem::take(&mut plan.tables).into_iter();
    let hosted = |listener: &ListenerConfig| {
        let host = roles.by_name(&listener.role)?;
        let table = listener.provider.as_ref().and_then(|_| tables.next());
        let supplies = Supplies { table };
        Some((listener.clone(), host.host(listener, &plan.topics, supplies)))
    };
    let services: Vec<_> = config.listeners.iter().filter_map(hosted).collect();
    let config = config.clone();
    let this = name.clone();
    let thread = thread::Builder::new().name(name.clone()).spawn(move || {
        let _guard = events.guard(this);
        settle(&[plan.core], Weight::Prompt);
        if let Err(error) = serve(plan, &config, services, &told) {
            let _ = told.send(Err(error));
        }
    });
    let thread = thread.map_err(|source| StartError::Thread { name: name.clone(), source })?;
    match started.recv() {
        Ok(Ok(rungs)) => Ok((thread, rungs)),
        Ok(Err(error)) => Err(StartError::Ring(error)),
        Err(_) => Err(StartError::ThreadEnded { name }),
    }
}

/// Makes the ring and serves until told to end.
fn serve(
    plan: ShardPlan,
    config: &EdgeConfig,
    services: Vec<(ListenerConfig, MakeService)>,
    told: &SyncSender<Result<Rungs, RingSetupError>>,
) -> Result<(), RingSetupError> {
    let out_of_memory = |_: Errno| RingSetupError::Memory;
    let shard = &config.profile.shard;
    let connections: u32 = config.listeners.iter().map(|l| l.connections_max).sum();
    let ring_config =
        RingConfig { entries: shard.ring_entries, connections, allowed: config.rungs };
    let mut memory = RingMemory::new(ring_config)?;
    let buffers = ReceiveBuffers::map(shard.receive_buffers).map_err(out_of_memory)?;
    let blocks = OutBlocks::map(2 * connections + SPARE_BLOCKS).map_err(out_of_memory)?;
    let wakers: Vec<_> = plan.wakers.iter().map(Waker::descriptor).collect();
    let files = RingFiles {
        listeners: &plan.sockets,
        wakers: &wakers,
        me: ShardIndex(plan.speaker.shard.0),
    };
    let ring = memory.open(&files, &buffers, &blocks)?;
    let rungs = ring.rungs();
    let listeners = services.into_iter();
    let tap =
        Tap::new(plan.speaker, &plan.topics, plan.spool, shard.batch_buffers, &plan.counters.tap);
    let mut shard = Shard::new(ShardParts {
        ring,
        clock: plan.clock,
        buffers,
        blocks,
        slots: plan.sockets.len() + plan.wakers.len() + connections as usize,
        assembly: assembly(config),
        listeners: listeners
            .map(|(config, make)| ListenerParts { config, service: make() })
            .collect(),
        crowd: plan.crowd,
        topics: plan.topics.len(),
        tap,
        idle: idle(config),
        control: plan.control,
        counters: plan.counters,
        latency: plan.latency,
    });
    let _ = told.send(Ok(rungs));
    if let Err(broken) = shard.run() {
        tracing::error!(error = %broken.0, "the ring is broken, the shard ends");
    }
    Ok(())
}

/// Beside two for each connection: one whose client does not read, and one that is being written.
const SPARE_BLOCKS: u32 = 256;

fn assembly(config: &EdgeConfig) -> AssemblyCounts {
    let shard = &config.profile.shard;
    AssemblyCounts {
        small: shard.assembly_small,
        medium: shard.assembly_medium,
        large: shard.assembly_large,
    }
}

fn idle(config: &EdgeConfig) -> Idle {
    match config.cores.spin {
        Spin::Off => Idle::Park,
        Spin::Balanced => Idle::SpinFor(Duration::from_micros(config.cores.spin_us)),
        Spin::Dedicated => Idle::Spin,
    }
}

//! Segment tables into the shards: from local disk at the start, then from the store whenever a
//! newer one is announced.
//!
//! ```text
//!  announced? ─▶ newer? ─▶ fetched, digest ─▶ read into the spare arena, checksums ─▶ handed over
//!                  │ no                                                                  │
//!                  ▼                                                                     ▼
//!                 wait ◀──────────── the old one is back, its arena is spare ◀── shards take it
//! ```
//!
//! A task of the delivery thread; what reads a gigabyte runs on a thread of its own beside it, on
//! the same cores. Whatever goes wrong, the table that is served stays.

use super::Board;
use crate::{
    config::tables::TableSettings,
    shard::control::Waker,
    table::{
        arena::Arena,
        handover::{Returning, TableGiver},
        load::{self, LoadError},
    },
};
use brink_proto::ids::Micros;
use brink_shipper::{
    alarms::Alarm,
    counter::Counter,
    downlink::{Downlink, DownlinkError, folder::LocalTable, manifest::TableManifest},
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// What can be seen of the tables. The task is the one writer.
#[derive(Debug, Default)]
pub struct TableCounters {
    /// Version that is served; 0 for none.
    pub version: Counter,
    /// When it was published, in microseconds since 1970.
    pub published_us: Counter,
    /// Users in it.
    pub users: Counter,
    /// Its size.
    pub bytes: Counter,
    /// Tables that were handed to the shards.
    pub loaded: Counter,
    /// Tables that were refused.
    pub refused: Counter,
    /// Times the store was asked in vain.
    pub unreachable: Counter,
}

impl TableCounters {
    /// How old the table is, if there is one.
    #[must_use]
    pub fn age(&self, now: Micros) -> Option<Duration> {
        let published = self.published_us.read() as i64;
        let age = now.0.saturating_sub(published).max(0);
        (self.version.read() > 0).then(|| Duration::from_micros(age as u64))
    }
}

/// The task.
pub(super) struct TableSupply {
    pub(super) settings: TableSettings,
    pub(super) downlink: Downlink,
    pub(super) giver: TableGiver,
    pub(super) wakers: Vec<Waker>,
    pub(super) board: Arc<Board>,
    /// An arena that holds nothing that anybody looks into.
    pub(super) spare: Option<Arena>,
}

/// How often it is looked whether an old table has come back.
const RETURN_POLL: Duration = Duration::from_millis(2);

/// A version that was refused, and is not fetched again.
type Refused = Option<u64>;

/// Why a table is not served.
#[derive(Debug, thiserror::Error)]
enum SupplyError {
    #[error(transparent)]
    Downlink(#[from] DownlinkError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(
        "version {found} is announced, and {served} is served: an older table is not taken; pin it to go back"
    )]
    Older { found: u64, served: u64 },
}

impl SupplyError {
    fn is_refusal(&self) -> bool {
        match self {
            SupplyError::Downlink(error) => error.is_refusal(),
            SupplyError::Load(_) | SupplyError::Older { .. } => true,
        }
    }
}

impl TableSupply {
    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        self.serve_local().await;
        let mut refused: Refused = None;
        loop {
            match self.look(&mut refused).await {
                Ok(()) => {
                    self.board.alarms.clear(Alarm::TablesUnreachable);
                }
                Err(error) => self.tell(&error),
            }
            sleep(self.settings.poll).await;
        }
    }

    fn counters(&self) -> &TableCounters {
        &self.board.tables
    }

    /// Serves the newest good table of the local disk, or the pinned one if it is there.
    async fn serve_local(&mut self) {
        let folder = self.downlink.folder();
        let tables = match self.settings.pin {
            Some(version) => folder.find(version).into_iter().collect(),
            None => folder.tables(),
        };
        for table in tables {
            let served = match self.downlink.check_size(&table.manifest) {
                Ok(()) => self.serve(&table).await.map_err(SupplyError::from),
                Err(error) => Err(error.into()),
            };
            match served {
                Ok(()) => return,
                Err(error) => self.tell(&error),
            }
        }
    }

    /// Asks the store once, and serves what is newer.
    async fn look(&mut self, refused: &mut Refused) -> Result<(), SupplyError> {
        let Some(announced) = self.downlink.announced(self.settings.pin).await? else {
            return Ok(());
        };
        let served = self.counters().version.read();
        if announced.version == served || *refused == Some(announced.version) {
            return Ok(());
        }
        if announced.version < served && self.settings.pin.is_none() {
            *refused = Some(announced.version);
            return Err(SupplyError::Older { found: announced.version, served });
        }
        *refused = None;
        let taken = self.take(&announced).await;
        if taken.as_ref().is_err_and(SupplyError::is_refusal) {
            *refused = Some(announced.version);
        }
        taken
    }

    /// Fetches an announced table and serves it.
    async fn take(&mut self, announced: &TableManifest) -> Result<(), SupplyError> {
        self.downlink.check_size(announced)?;
        tracing::info!(version = announced.version, bytes = announced.bytes, "fetching a table");
        let fetched = self.downlink.fetch(announced).await?;
        if let Err(error) = self.serve(&fetched).await {
            self.downlink.folder().discard(&fetched);
            return Err(error.into());
        }
        if let Err(error) = self.downlink.folder().keep(&fetched) {
            tracing::warn!(%error, "the table is served, and not kept for the next start");
        }
        self.board.alarms.clear(Alarm::TableRefused);
        Ok(())
    }

    /// Reads a table into memory and hands it to the shards; comes back when the one before has
    /// come back from them.
    async fn serve(&mut self, local: &LocalTable) -> Result<(), LoadError> {
        let spare = self.spare.take();
        let bytes_max = self.settings.bytes_max;
        let (table, arena) = load::load(spare, local.clone(), bytes_max).await;
        self.spare = arena;
        let table = table?;
        let (users, bytes) = (table.table.header().users, table.table.header().file_bytes);
        let (version, published) = (table.version, table.published);
        let old = match self.giver.give(Arc::new(table)) {
            Ok(old) => old,
            // Cannot be: the one before the last has come back, or this would still wait for it.
            Err(table) => {
                self.spare = Arc::into_inner(table).map(|loaded| loaded.table.into_inner());
                return Err(LoadError::Busy { version });
            }
        };
        let counters = self.counters();
        counters.users.set(users);
        counters.bytes.set(bytes);
        counters.published_us.set(published.0.max(0) as u64);
        counters.version.set(version);
        counters.loaded.add(1);
        tracing::info!(version, users, bytes, "a table is served");
        self.wakers.iter().for_each(Waker::wake);
        if let Some(old) = old {
            self.spare = Some(self.await_return(old).await);
        }
        Ok(())
    }

    /// Shards give a table back in their next turn, and have one when they are woken.
    async fn await_return(&mut self, mut old: Returning) -> Arena {
        loop {
            match self.giver.take_back(old) {
                Ok(arena) => return arena,
                Err(still) => old = still,
            }
            sleep(RETURN_POLL).await;
        }
    }

    fn tell(&self, error: &SupplyError) {
        let (alarm, counter) = if error.is_refusal() {
            (Alarm::TableRefused, &self.counters().refused)
        } else {
            (Alarm::TablesUnreachable, &self.counters().unreachable)
        };
        if self.board.alarms.raise(alarm) {
            let alarm = alarm.label();
            tracing::error!(%error, alarm, "no new table; the last good one is served");
        }
        counter.add(1);
    }
}

//! `[tables]`: where segment tables come from.

use super::{ConfigError, file::TablesSection};
use brink_shipper::{
    config::{Checker, objects::store},
    objects::store::{StoreConfig, StorePlace},
};
use std::{path::PathBuf, time::Duration};

/// Where segment tables come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSettings {
    /// Where they are announced.
    pub store: StoreConfig,
    /// The folder of those that were good.
    pub path: PathBuf,
    /// How often the store is asked.
    pub poll: Duration,
    /// `/ready` says no while the table is older.
    pub age_max: Duration,
    /// BOUND: bytes of one table.
    pub bytes_max: u64,
    /// A version to stay with.
    pub pin: Option<u64>,
}

/// The largest table on a machine of so much memory: two of them have to fit in half of it.
#[must_use]
pub fn tables_bytes_max(memory_mib: u64) -> u64 {
    (memory_mib << 20) / 4
}

/// Resolves the section on a machine of so much memory.
pub(super) fn resolve(
    check: &Checker<'_>,
    section: &TablesSection,
    memory_mib: u64,
) -> Result<TableSettings, ConfigError> {
    let most = tables_bytes_max(memory_mib);
    let bytes_max = section.bytes_max.unwrap_or(most);
    let ms =
        |key: &str, value, min, max| check.within(key, value, min, max).map(Duration::from_millis);
    let place = StorePlace {
        url: &section.url,
        endpoint: section.endpoint.as_deref(),
        region: &section.region,
        credentials: section.credentials.as_deref(),
    };
    Ok(TableSettings {
        store: store(check, "tables.url", place)?,
        path: section.path.clone(),
        poll: ms("tables.poll_ms", section.poll_ms, 100, 3_600_000)?,
        age_max: ms("tables.age_max_ms", section.age_max_ms, 1_000, 31_536_000_000)?,
        bytes_max: check.within("tables.bytes_max", bytes_max, 1 << 20, most)?,
        pin: section.pin,
    })
}

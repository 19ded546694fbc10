//! `[objects]`: the store that objects go to, and when frames become one.

use super::{Checker, ConfigError, ObjectsSection};
use crate::objects::{
    plan::RollPolicy,
    store::{Limits, STORE_URLS, StoreConfig, StorePlace},
};

/// The section, resolved.
#[derive(Debug, Clone)]
pub struct ObjectsConfig {
    /// Where objects go.
    pub store: StoreConfig,
    /// What requests to it are held to.
    pub limits: Limits,
    /// When frames become objects.
    pub roll: RollPolicy,
}

/// Where a store is.
///
/// # Errors
/// [`ConfigError`] names the key when it is none.
pub fn store(
    check: &Checker<'_>,
    key: &str,
    place: StorePlace<'_>,
) -> Result<StoreConfig, ConfigError> {
    StoreConfig::read(place).ok_or_else(|| check.wrong(key, place.url, STORE_URLS))
}

/// Resolves the section; `bytes_max` is the largest object where it does not say.
///
/// # Errors
/// [`ConfigError`] names the key, what was found and what is allowed.
pub fn resolve(
    check: &Checker<'_>,
    section: &ObjectsSection,
    bytes_max: u64,
) -> Result<ObjectsConfig, ConfigError> {
    let place = StorePlace {
        url: &section.url,
        endpoint: section.endpoint.as_deref(),
        region: &section.region,
        credentials: section.credentials.as_deref(),
    };
    let bytes = section.bytes_max.unwrap_or(bytes_max);
    let roll = RollPolicy {
        bytes_max: check.within("objects.bytes_max", bytes, 64 << 10, 1 << 30)?,
        rows_max: check.within("objects.rows_max", section.rows_max, 1, 100_000_000)?,
        age_max: check.millis("objects.age_max_ms", section.age_max_ms, 100)?,
    };
    let requests = section.requests_per_second_max;
    let requests = check.within("objects.requests_per_second_max", requests, 1, 10_000)?;
    let timeout = check.millis("objects.request_timeout_ms", section.request_timeout_ms, 1000)?;
    let limits = Limits { per_second: requests as u32, timeout };
    Ok(ObjectsConfig { store: store(check, "objects.url", place)?, limits, roll })
}

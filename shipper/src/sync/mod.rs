//! Copies what is missing from one store to another, and proves that nothing is.
//!
//! ```text
//!  SOURCE: one folder after the other ─▶ listed on both sides
//!    missing in TARGET ─▶ read ─▶ created, unless it exists ─┐
//!    in both ────────────────────────────────────────────────┴▶ held against each other
//! ```
//!
//! Nothing is overwritten and nothing deleted, so a run that dies is taken up by the next one, and
//! two may run at once. What was copied is looked at in TARGET afterwards, as what was there before
//! is: the proof is the same for both.

mod pair;

use crate::{
    backoff::Backoff,
    objects::{
        key::ASIDE,
        manifest,
        store::{Folder, PutError, Store},
    },
};
use brink_proto::ids::{Hour, Name};
use pair::{Kind, Outcome, Pair};
use serde::Serialize;
use std::{collections::HashMap, fmt, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet};

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// This hour only.
    pub hour: Option<Hour>,
    /// This topic only.
    pub topic: Option<Name>,
    /// What is done about what is missing.
    pub missing: Missing,
    /// How closely two objects are held against each other.
    pub closely: Closely,
}

/// What is done about what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is copied.
    Copied,
    /// It is counted.
    Counted,
}

/// How closely two objects are held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closely {
    /// Their sizes, and the log digests in their footers.
    Footers,
    /// All of their bytes as well.
    Bytes,
}

/// The two sides.
pub struct Sides {
    /// Where objects are.
    pub source: Store,
    /// Where they are to be as well.
    pub target: Store,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sync {
    /// Objects of SOURCE.
    pub objects: u64,
    /// Rows in those that were proved.
    pub rows: u64,
    /// Manifests of SOURCE.
    pub manifests: u64,
    /// Objects and manifests that were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Objects and manifests that are in TARGET and were held against those of SOURCE.
    pub proved: u64,
    /// Objects and manifests that are missing in TARGET.
    pub missing: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// What is wrong with something that was to be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// TARGET has something else under this key, and keeps it.
    Differs {
        /// Its key.
        key: String,
        /// How.
        text: String,
    },
    /// SOURCE's object is not what its name says, and was not copied.
    Broken {
        /// Its key.
        key: String,
        /// What is wrong.
        text: String,
    },
    /// Something lies in SOURCE that no appliance has made; it was not copied.
    Foreign {
        /// Its key.
        key: String,
    },
}

/// A side that does not answer. What was copied is kept.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// SOURCE.
    #[error("SOURCE: {0}. What was copied is kept: say it again to go on")]
    Source(PutError),
    /// TARGET.
    #[error("TARGET: {0}. What was copied is kept: say it again to go on")]
    Target(PutError),
    /// There is nothing to copy.
    #[error("SOURCE has no object that was asked for; its url is that of the folder of ds=…")]
    Empty,
}

impl SyncError {
    /// Whether trying again may help.
    fn may_pass(&self) -> bool {
        matches!(self, SyncError::Source(e) | SyncError::Target(e) if e.may_pass())
    }
}

/// BOUND: bytes of objects in memory, in units of [`UNIT_BYTES`]: as they come, and put together.
/// A larger object is copied alone.
const UNITS: u32 = 256;
const UNIT_BYTES: u64 = 1 << 20;

/// BOUND: of the units, the fewest that one object takes: no more than eight are at work at once.
const UNITS_MIN: u32 = UNITS / 8;

/// Tries on what may pass, before it is told.
const TRIES: u32 = 5;

/// Copies and proves; `tell` hears how far it is.
///
/// # Errors
/// [`SyncError`] when a side does not answer.
pub async fn sync(
    sides: Sides,
    wish: &Wish,
    tell: &mut dyn FnMut(&Sync),
) -> Result<Sync, SyncError> {
    let sides = Arc::new(sides);
    let mut done = Sync::default();
    // Manifests come last: what they name is there before them, but for what has come into a folder
    // of SOURCE since it was listed.
    let mut folders = listed(&sides.source, "").await.map_err(SyncError::Source)?.folders;
    folders.retain(|folder| {
        let is_ours = folder.starts_with("ds=") || [ASIDE, manifest::FOLDER].contains(&&**folder);
        is_ours && wish.wants(folder)
    });
    folders.sort_by_key(|folder| folder == manifest::FOLDER);
    folders.reverse();
    // BOUND: the folders of one way down, and those beside them.
    while let Some(folder) = folders.pop() {
        let here = listed(&sides.source, &folder).await.map_err(SyncError::Source)?;
        let below = here.folders.iter().rev().filter(|folder| wish.wants(folder));
        folders.extend(below.cloned());
        if !here.objects.is_empty() && wish.covers(&folder) {
            take_folder(&sides, &folder, here, wish, &mut done, tell).await?;
        }
    }
    if done.objects + done.manifests == 0 && done.faults.is_empty() {
        return Err(SyncError::Empty);
    }
    done.faults.sort_by(|a, b| a.key().cmp(b.key()));
    Ok(done)
}

/// All that lies right in one folder.
async fn take_folder(
    sides: &Arc<Sides>,
    folder: &str,
    here: Folder,
    wish: &Wish,
    done: &mut Sync,
    tell: &mut dyn FnMut(&Sync),
) -> Result<(), SyncError> {
    let there = listed(&sides.target, folder).await.map_err(SyncError::Target)?;
    let there: HashMap<String, u64> = there.objects.into_iter().collect();
    let room = Arc::new(Semaphore::new(UNITS as usize));
    let mut tasks = JoinSet::new();
    for (key, bytes) in here.objects {
        let Some(kind) = Kind::of(&key) else { continue };
        // Chunks that come are put together: for a moment an object is there twice.
        let units = u32::try_from(2 * bytes / UNIT_BYTES).unwrap_or(UNITS);
        let room = Arc::clone(&room).acquire_many_owned(units.clamp(UNITS_MIN, UNITS)).await;
        let is_there = there.contains_key(&key);
        let pair = Pair { sides: Arc::clone(sides), key, kind, is_there, wish: *wish };
        tasks.spawn(async move {
            let outcome = persistently(|| pair.take(), SyncError::may_pass).await;
            drop(room);
            outcome
        });
        while let Some(outcome) = tasks.try_join_next() {
            done.count(outcome)?;
            tell(done);
        }
    }
    while let Some(outcome) = tasks.join_next().await {
        done.count(outcome)?;
        tell(done);
    }
    Ok(())
}

async fn listed(store: &Store, folder: &str) -> Result<Folder, PutError> {
    persistently(|| store.folder(folder), PutError::may_pass).await
}

/// Tries a few times.
async fn persistently<T, E, F: Future<Output = Result<T, E>>>(
    mut attempt: impl FnMut() -> F,
    may_pass: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut pauses = Backoff::default();
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(error) if may_pass(&error) && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(pauses.pause()).await;
            }
            answer => return answer,
        }
    }
}

impl Wish {
    /// Whether a folder may have something in it that is wanted.
    fn wants(&self, folder: &str) -> bool {
        let partition = self.hour.map(|hour| hour.partition());
        folder.split('/').all(|part| match (part.split_once('='), self.topic, &partition) {
            (Some(("ds", topic)), Some(wanted), _) => topic == wanted.to_string(),
            (Some(("dt", date)), _, Some((wanted, _))) => date == *wanted,
            (Some(("hour", hour)), _, Some((_, wanted))) => hour == *wanted,
            _ => true,
        })
    }

    /// Whether all that lies right in a folder is wanted.
    fn covers(&self, folder: &str) -> bool {
        self.hour.is_none() || folder.contains("/hour=")
    }
}

impl Sync {
    /// Whether all of SOURCE is in TARGET.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.missing == 0
    }

    fn count(
        &mut self,
        outcome: Result<Result<Outcome, SyncError>, tokio::task::JoinError>,
    ) -> Result<(), SyncError> {
        let outcome = match outcome {
            Ok(outcome) => outcome?,
            // None of our tasks is ever aborted.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        match outcome.kind {
            Kind::Object(_) => self.objects += 1,
            Kind::Manifest => self.manifests += 1,
            Kind::Foreign => {}
        }
        self.copied += u64::from(outcome.copied_bytes.is_some());
        self.copied_bytes += outcome.copied_bytes.unwrap_or_default();
        match outcome.found {
            Ok(Some(rows)) => {
                self.proved += 1;
                self.rows += rows;
            }
            Ok(None) => self.missing += 1,
            Err(fault) => self.faults.push(fault),
        }
        Ok(())
    }
}

impl Fault {
    fn key(&self) -> &str {
        match self {
            Fault::Differs { key, .. } | Fault::Broken { key, .. } | Fault::Foreign { key } => key,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Differs { key, text } => write!(f, "differs  {key}: {text}"),
            Fault::Broken { key, text } => write!(f, "broken   {key}: {text}"),
            Fault::Foreign { key } => write!(f, "foreign  {key}: no appliance names objects so"),
        }
    }
}

impl fmt::Display for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sync { objects, rows, manifests, copied, copied_bytes, proved, missing, faults } = self;
        let mib = copied_bytes >> 20;
        writeln!(f, "{objects} objects and {manifests} manifests in SOURCE")?;
        writeln!(f, "{copied} copied ({mib} MiB), {missing} missing in TARGET")?;
        match self.is_whole() {
            true => writeln!(f, "proved: all {proved} are in TARGET, with {rows} rows"),
            false => {
                writeln!(f, "NOT PROVED: {proved} are in TARGET, {} faults", faults.len())?;
                faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_and_a_topic_narrow_what_is_looked_at() {
        let wish = |hour: Option<&str>, topic: Option<&str>| Wish {
            hour: hour.map(|hour| Hour::of_partition("2026-11-23", hour).unwrap()),
            topic: topic.map(|topic| Name::new(topic).unwrap()),
            missing: Missing::Counted,
            closely: Closely::Footers,
        };
        let hour = "_manifests/ds=t/dt=2026-11-23/hour=07";
        for (wish, folder, wants, covers) in [
            (wish(None, None), "ds=t", true, true),
            (wish(None, Some("t")), "ds=t", true, true),
            (wish(None, Some("u")), "ds=t", false, true),
            (wish(Some("07"), None), "ds=t", true, false),
            (wish(Some("07"), Some("t")), hour, true, true),
            (wish(Some("08"), Some("t")), hour, false, true),
            (wish(Some("07"), None), "ds=t/dt=2026-11-24", false, false),
        ] {
            assert_eq!((wish.wants(folder), wish.covers(folder)), (wants, covers), "{folder}");
        }
    }
}

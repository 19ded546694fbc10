//! A spool looked at from outside: what it holds, and whether it is sound.
//!
//! In reading order: `folder` opens files to be read and for nothing else; `lock` tells who runs;
//! `segment` reads one segment and `content` its payloads; `stream` adds their frames up; [`fault`]
//! is what can be wrong, [`report`] what is told, and `text` how people are told it.
//!
//! No lock is taken and nothing is written, so it may be done beside a running process and on a
//! read-only mount. Beside a process three things hold:
//!
//! - A segment that lost its name while it was read is read no further: all of it was delivered.
//! - The cursors are read last. What was let go before is then explained by them.
//! - A log that grows is read up to where it ended when it was passed.
//!
//! Memory is that of one segment's headers, one line for each segment and some for each stream,
//! however much waits.

pub mod fault;
pub mod report;

mod content;
mod folder;
mod lock;
mod segment;
mod stream;
mod text;

use crate::spool::{
    SpoolError,
    cursors::{self, Cursors, Found, Slots},
    identity,
    segment::{FOLDER as SEGMENTS, generation_of},
};
use fault::{Fault, FaultKind, Faults};
use folder::Folder;
use futures_lite::future::block_on;
use report::{CursorsSeen, FilesSeen, Owner, SinkSeen, SinkStream, Survey};
use segment::{Looked, Place};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};
use stream::Streams;

/// How much of a spool is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Headers and summaries.
    Headers,
    /// Every payload as well.
    Payloads,
}

/// How far a survey has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Segments that are done.
    pub segments: u32,
    /// Segments that there are.
    pub of_segments: u32,
    /// Payloads that were read, and their bytes.
    pub payloads: u64,
    /// Bytes of the frames that were read.
    pub bytes: u64,
}

/// Why nothing can be said of a spool.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is none.
    #[error(
        "there is no spool in {}: neither an identity nor segments; name the folder that \
         [spool] path names",
        .0.display()
    )]
    NoSpool(PathBuf),
    /// What the spool's own code says of it.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Looks at the spool at `path`, and tells `progress` of every frame and segment.
///
/// # Errors
/// [`InspectError`] when there is nothing to look at, or a newer build wrote it. What is damaged is
/// no error: the survey says so.
pub fn survey(
    path: &Path,
    depth: Depth,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Survey, InspectError> {
    let mut folder = Folder::new(path);
    let unread = |source| SpoolError::Folder { path: path.to_owned(), doing: "read", source };
    // A folder that does not exist is told as the system tells it.
    std::fs::read_dir(path).map_err(unread)?;
    if !folder.has("identity") && !folder.has(SEGMENTS) {
        return Err(InspectError::NoSpool(path.to_owned()));
    }
    let mut faults = Faults::default();
    let identity = owner(path, &mut faults)?;
    if let Some(second) = identity.second.as_deref().filter(|second| !folder.also(second)) {
        let text = format!("the second folder {} cannot be read", second.display());
        faults.push(Fault::new(FaultKind::Identity, text));
    }
    let lock = lock::look(path);
    let mut done = Progress::default();
    let read = block_on(read_log(&folder, depth, &mut done, progress, &mut faults));
    let log = read.map_err(unread)?;
    let slots = block_on(read_cursors(&folder)).map_err(unread)?;
    let known = hold_against_cursors(&log.streams, &slots, &mut faults);
    let files = |of: &str| folder.list(of).map_err(unread);
    let is_aside = |name: &str| name.starts_with("set-aside-");
    Ok(Survey {
        spool: path.to_owned(),
        depth,
        identity,
        lock,
        segments: log.segments,
        free: FilesSeen::of(log.free.into_iter()),
        released: log.released,
        streams: log.streams.seen(),
        sinks: known,
        cursors: CursorsSeen {
            state: slots.found.label(),
            writes: slots.writes,
            broken_slots: slots.broken,
        },
        quarantine: FilesSeen::of(files("quarantine")?.into_iter()),
        set_aside: files("")?.into_iter().map(|(name, _)| name).filter(|n| is_aside(n)).collect(),
        payloads: done.payloads,
        faults: faults.kept,
        faults_count: faults.count,
    })
}

/// The sinks that the cursors of the spool at `path` know, whether or not they can be trusted.
///
/// # Errors
/// What the system said when they cannot be read.
pub fn known_sinks(path: &Path) -> io::Result<Vec<String>> {
    let slots = block_on(read_cursors(&Folder::new(path)))?;
    Ok(slots.cursors.sinks.into_keys().collect())
}

/// Whose it is. One that cannot be told is damage; one of a newer build is left alone.
fn owner(path: &Path, faults: &mut Faults) -> Result<Owner, SpoolError> {
    let found = match identity::read(path) {
        Err(error @ SpoolError::Identity { .. }) => {
            faults.push(Fault::new(FaultKind::Identity, error.to_string()));
            return Ok(Owner::default());
        }
        found => found?,
    };
    let Some(found) = found else {
        faults.push(Fault::new(FaultKind::Identity, "there is no identity beside the segments"));
        return Ok(Owner::default());
    };
    found.check_format(path)?;
    Ok(Owner {
        this_machine: Some(identity::is_this_machine(&found)),
        edge: Some(found.edge),
        incarnation: Some(found.incarnation),
        format: Some(found.format),
        second: found.second,
    })
}

/// The log as it was read.
#[derive(Default)]
struct LogSeen {
    segments: Vec<report::SegmentSeen>,
    free: Vec<(String, u64)>,
    released: u32,
    streams: Streams,
}

async fn read_log(
    folder: &Folder,
    depth: Depth,
    done: &mut Progress,
    progress: &mut dyn FnMut(&Progress),
    faults: &mut Faults,
) -> io::Result<LogSeen> {
    let mut log = LogSeen::default();
    let mut names = Vec::new();
    for (name, bytes) in folder.list(SEGMENTS)? {
        if generation_of(&name, ".free").is_some() {
            log.free.push((name, bytes));
        } else if let Some(generation) = generation_of(&name, ".seg") {
            names.push((generation, name, bytes));
        }
    }
    names.sort();
    done.of_segments = names.len() as u32;
    let last = names.last().map(|(generation, ..)| *generation);
    for (generation, name, bytes) in names {
        let place = Place { generation, is_last: Some(generation) == last };
        let mut read = |frame_bytes| {
            done.payloads += 1;
            done.bytes += frame_bytes;
            progress(done);
        };
        match read_segment(folder, &name, place, bytes, depth, &mut read).await? {
            Some(Looked { seen, frames, freed, faults: found }) => {
                log.segments.push(seen);
                faults.append(found);
                frames.iter().for_each(|frame| log.streams.add(frame, faults));
                freed.iter().for_each(|frame| log.streams.freed(frame));
            }
            None => log.released += 1,
        }
        done.segments += 1;
        progress(done);
    }
    Ok(log)
}

/// A segment; nothing when it was let go before it was read to its end.
async fn read_segment(
    folder: &Folder,
    name: &str,
    place: Place,
    bytes: u64,
    depth: Depth,
    read: &mut dyn FnMut(u64),
) -> io::Result<Option<Looked>> {
    let Some(file) = folder.open(&format!("{SEGMENTS}/{name}"))? else { return Ok(None) };
    let looked = match file.bytes() {
        Ok(length) => segment::look(&file, length, place, depth, read).await,
        Err(error) => Err(error),
    };
    // Asked last: what was read before is that segment's if it has its name now.
    if !file.has_its_name()? {
        return Ok(None);
    }
    match looked {
        Err(error) if segment::is_newer(&error) => Err(error),
        Err(error) => Ok(Some(segment::unreadable(place, bytes, &error))),
        Ok(looked) => Ok(Some(looked)),
    }
}

/// How often the cursor file is read until both slots are sound: one may be being written.
const CURSOR_READS_MAX: u32 = 3;

async fn read_cursors(folder: &Folder) -> io::Result<Slots> {
    let mut slots = Slots::fresh();
    for _ in 0..CURSOR_READS_MAX {
        let Some(file) = folder.open(cursors::FILE_NAME)? else { return Ok(Slots::fresh()) };
        slots = Slots::read(&file).await?;
        if slots.broken.is_empty() {
            break;
        }
    }
    Ok(slots)
}

/// What of the log each sink has not delivered; and what is missing, as far as cursors are known.
fn hold_against_cursors(
    streams: &Streams,
    slots: &Slots,
    faults: &mut Faults,
) -> BTreeMap<String, SinkSeen> {
    let Slots { cursors, found, .. } = slots;
    if *found == Found::Lost {
        let text = "neither slot can be read; a start delivers the whole log again, and whether \
                    events are missing cannot be told";
        faults.push(Fault::new(FaultKind::Cursors, text));
    } else {
        streams.missing(cursors, faults);
    }
    let Cursors { sinks } = cursors;
    let seen = |sink: &cursors::SinkCursor| {
        let (seals, lineages) = (sink.seals.clone(), sink.lineages.clone());
        let chains = sink.chains.clone();
        let mut seen = SinkSeen { seals, lineages, chains, ..SinkSeen::default() };
        for (stream, first, end) in streams.ranges() {
            let pending = sink.pending(stream, first, end);
            let delivered = sink.delivered.get(stream).map(|next| next.0);
            seen.pending += pending;
            seen.streams.push(SinkStream { stream: stream.to_string(), delivered, pending });
        }
        let held: Vec<_> = streams.ranges().map(|(stream, ..)| *stream).collect();
        for (stream, next) in &sink.delivered {
            if held.binary_search(stream).is_err() {
                let (stream, delivered) = (stream.to_string(), Some(next.0));
                seen.streams.push(SinkStream { stream, delivered, pending: 0 });
            }
        }
        seen
    };
    sinks.iter().map(|(name, sink)| (name.clone(), seen(sink))).collect()
}

#[cfg(test)]
mod tests;

//! The reader of the log: tells sinks of frames, makes their decisions durable, reads payloads for
//! them, and lets go of segments that nobody needs.
//!
//! It runs in a task queue with few shares: whatever a sink wants, appends come first.

use super::{
    Held, Shared,
    cursors::{CursorFile, Cursors, Lineage, SinkCursor},
    feeds::{Feeds, Found, Place},
    free::Freeing,
    port::{Command, NOTICES_AHEAD, Notice, Pace, SpoolPort},
    quarantine,
    reads::Reader,
    segment,
    trouble::Work,
    walk::{self, Hole},
};
use crate::{
    alarms::Alarm,
    disk::{Disk, Timer},
    steps::Step,
};
use brink_proto::{
    frame::FrameHeader,
    ids::{Class, StreamId},
};
use std::{io, rc::Rc, time::Duration};

/// How long news gather for a sink that keeps abreast of the log, before it is woken: on one core
/// each wake-up is time that a request may have to wait for.
const GATHER: Duration = Duration::from_millis(75);

/// BOUND: empty segments kept to be written again.
const FREE_SEGMENTS_MAX: usize = 4;

/// BOUND: segments whose headers are read for a port in one turn. Of small frames that is all of
/// the segment, and the headers stay in memory until the turn ends.
const WALKS_A_TURN: usize = 1;

/// Between two looks at who holds the log.
const HELD_INTERVAL: Duration = Duration::from_secs(1);

/// What part of the quota one topic of a sink holds when that is an alarm.
const HELD_SHARE: u64 = 2;

pub(crate) struct Server<D: Disk, T: Timer> {
    pub(super) shared: Rc<Shared<D, T>>,
    cursor_file: CursorFile<D>,
    pub(super) ports: Vec<SpoolPort>,
    pub(super) names: Vec<String>,
    /// When is looked next at who holds the log.
    held_at: Duration,
    /// When is looked next at what could be freed.
    pub(super) free_at: Duration,
    /// What is being freed.
    pub(super) freeing: Option<Freeing>,
    /// Segments whose headers may still be read in this turn.
    walks_left: usize,
    reader: Reader<D, T>,
}

impl<D: Disk, T: Timer> Server<D, T> {
    pub(crate) fn new(
        shared: Rc<Shared<D, T>>,
        cursor_file: CursorFile<D>,
        mut ports: Vec<SpoolPort>,
    ) -> Server<D, T> {
        let first_live = shared.log.borrow().first_of_start();
        for port in &mut ports {
            port.feeds = Feeds::new(first_live, shared.config.replay_bytes_per_s);
        }
        let names = ports.iter().map(|p| p.name.clone()).collect();
        let reader = Reader::new(Rc::clone(&shared));
        let mut server = Server {
            shared,
            cursor_file,
            ports,
            names,
            held_at: Duration::ZERO,
            free_at: Duration::ZERO,
            freeing: None,
            walks_left: 0,
            reader,
        };
        server.publish_held();
        server
    }

    /// Runs until the committer is done and every sink is gone.
    pub(crate) async fn run(mut self) {
        loop {
            self.shared.work.wait().await;
            let mut ports = std::mem::take(&mut self.ports);
            for port in &mut ports {
                let answers = self.serve_commands(port).await;
                let notices = self.feed(port).await;
                let payloads = self.reader.serve(port).await;
                let now = self.shared.timer.now();
                if answers + notices + payloads > 0 {
                    port.news_since.get_or_insert(now);
                }
                let gather = if port.pace() == Pace::Abreast { GATHER } else { Duration::ZERO };
                if port.news_since.is_some_and(|since| now >= since + gather) {
                    port.news_since = None;
                    port.news.notify_one();
                }
            }
            self.shared.is_sink_behind.set(ports.iter().any(|p| p.pace() == Pace::Behind));
            self.ports = ports;
            self.drop_indexes();
            self.release_segments().await;
            self.free_room().await;
            self.publish_figures();
            self.publish_held();
            let finished = self.ports.iter().all(SpoolPort::is_finished);
            if self.shared.is_committer_done() && finished {
                self.shared.server_is_done();
                return;
            }
        }
    }

    /// Each of these puts something into a ring of the sink's, and says how often.
    async fn serve_commands(&mut self, port: &mut SpoolPort) -> usize {
        let mut answers = 0;
        while !port.replies.is_full() {
            let Ok(command) = port.commands.pop() else { break };
            let durable = match command {
                // It is about what is told, and nothing of it is durable.
                Command::Again { topic, from } => {
                    port.feeds.tell_again(topic, from);
                    true
                }
                command => {
                    let decided = self.decide(&port.name, &command).await;
                    self.note_decision(&port.name, decided)
                }
            };
            // The ring was found not full, and this is its only producer.
            let _ = port.replies.push(durable);
            answers += 1;
        }
        answers
    }

    /// Whether a decision is durable; one that is not is an alarm.
    fn note_decision(&self, sink: &str, decided: io::Result<()>) -> bool {
        let Err(error) = decided else {
            self.shared.disk_works(Work::Decisions);
            return true;
        };
        match error.kind() {
            io::ErrorKind::QuotaExceeded => self.shared.alarms.raise(Alarm::CursorsFull),
            _ => self.shared.disk_fails(Work::Decisions),
        };
        tracing::error!(sink, %error, "a cursor could not be made durable");
        false
    }

    /// Makes one decision durable. In memory it holds only once it is on disk.
    async fn decide(&mut self, sink: &str, command: &Command) -> io::Result<()> {
        let mut next: Cursors = self.shared.cursors.borrow().clone();
        let cursor = next.sinks.entry(sink.to_owned()).or_default();
        match command {
            Command::Seal(seal) => cursor.seals.push(seal.clone()),
            Command::Keep { frame } => return self.copy(frame).await,
            Command::Again { .. } => return Ok(()),
            Command::Unseal { key } => cursor.seals.retain(|s| s.key != *key),
            Command::Advance { ends } => {
                ends.iter().for_each(|(stream, end)| cursor.advance(*stream, *end));
            }
            Command::Deliver { end: (stream, end), key, chain } => {
                cursor.advance(*stream, *end);
                cursor.seals.retain(|s| Some(&s.key) != key.as_ref());
                cursor.put_chain(chain);
            }
            Command::Chain(chain) => cursor.put_chain(chain),
            Command::EndChain(id) => cursor.chains.retain(|chain| chain.id != *id),
            Command::Begin { lineages } => {
                let begun = |l: &Lineage| lineages.iter().any(|new| new.stream == l.stream);
                cursor.lineages.retain(|l| !begun(l));
                cursor.lineages.extend_from_slice(lineages);
            }
            Command::Break { stream, at } => {
                cursor.lineages.retain(|l| l.stream != *stream);
                cursor.advance(*stream, *at);
            }
        }
        self.forget_streams_that_are_gone(cursor);
        self.cursor_file.write(&next).await?;
        self.shared.cursors.replace(next);
        Ok(())
    }

    /// Streams of earlier starts need no cursor once nothing of them is in the log.
    fn forget_streams_that_are_gone(&self, cursor: &mut SinkCursor) {
        let log = self.shared.log.borrow();
        let current = self.shared.config.incarnation;
        let lives = |s: &StreamId| s.incarnation == current || log.holds(s);
        cursor.delivered.retain(|stream, _| lives(stream));
        cursor.lineages.retain(|lineage| lives(&lineage.stream));
    }

    /// Lets go of the indexes in which no sink stands.
    fn drop_indexes(&self) {
        let mut log = self.shared.log.borrow_mut();
        let most = &self.shared.counters.indexed_max;
        most.set(most.read().max(log.indexed() as u64));
        log.drop_indexes(|generation| self.ports.iter().any(|p| p.feeds.stands_in(generation)));
    }

    /// Tells a sink as much as it has room for.
    async fn feed(&mut self, port: &mut SpoolPort) -> usize {
        self.walks_left = WALKS_A_TURN;
        let mut notices = 0;
        while !port.notices.is_full() {
            let notice = match self.next_notice(port).await {
                Ok(Some(notice)) => notice,
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read, trying again");
                    self.shared.disk_fails(Work::Headers);
                    break;
                }
            };
            // The ring was found not full, and this is its only producer.
            let _ = port.notices.push(notice);
            notices += 1;
            if let (Pace::Abreast, Notice::Frame(frame)) = (port.pace(), notice) {
                self.reader.read_unasked(port, frame);
            }
        }
        notices
    }

    /// What has just come is told first, then what is told again, then what has waited.
    async fn next_notice(&mut self, port: &mut SpoolPort) -> io::Result<Option<Notice>> {
        let feeds = &mut port.feeds;
        loop {
            match self.step(&mut feeds.live).await? {
                Found::Notice(notice) if feeds.is_told_again(&notice) => {}
                Found::Notice(notice) => return Ok(Some(notice)),
                Found::Later => return Ok(None),
                Found::Nothing => break,
            }
        }
        while let Some(again) = feeds.again.first_mut() {
            if !std::mem::replace(&mut again.announced, true) {
                let (topic, from) = (again.topic, again.from);
                return Ok(Some(Notice::Again { topic, from }));
            }
            match self.step(&mut again.place).await? {
                Found::Notice(notice) if again.tells(&notice) => return Ok(Some(notice)),
                Found::Notice(_) => {}
                Found::Later => return Ok(None),
                // It has come to where the live ones are.
                Found::Nothing => drop(feeds.again.remove(0)),
            }
        }
        let Some(mut old) = feeds.old else { return Ok(None) };
        if self.is_paced() {
            // What comes meanwhile has to find room, and the pace is kept.
            let room = port.notices.slots() > NOTICES_AHEAD / 2;
            if !room || !feeds.pace.allows(self.shared.timer.now()) {
                return Ok(None);
            }
        }
        let found = self.step(&mut old).await?;
        feeds.old = (found != Found::Nothing).then_some(old);
        let Found::Notice(notice) = found else { return Ok(None) };
        feeds.pace.took(&notice);
        Ok(Some(notice))
    }

    /// Whether what has waited goes slowly: as long as somebody is served, and as long as the log
    /// has room, for then nothing is lost by it.
    fn is_paced(&self) -> bool {
        let has_room = self.shared.fullness_percent() < Class::Sampled.share_percent();
        has_room && !self.shared.is_committer_done()
    }

    /// The notice at a place, which moves behind it.
    async fn step(&mut self, place: &mut Place) -> io::Result<Found> {
        loop {
            let (generation, at) = (place.generation, place.at);
            let found = self.shared.log.borrow().segment_from(generation);
            let Some(found) = found.filter(|found| *found < place.until) else {
                return Ok(Found::Nothing);
            };
            if found != generation {
                *place = Place { generation: found, at: 0, ..*place };
                continue;
            }
            let is_indexed =
                self.shared.log.borrow().segment(generation).is_some_and(|s| s.index.is_some());
            if !is_indexed {
                let Some(left) = self.walks_left.checked_sub(1) else {
                    self.shared.work.notify();
                    return Ok(Found::Later);
                };
                self.walks_left = left;
                self.ensure_index(generation).await?;
            }
            let log = self.shared.log.borrow();
            let index = log.segment(generation).and_then(|s| s.index.as_ref());
            if let Some(notice) = index.and_then(|i| i.get(at)) {
                place.at += 1;
                return Ok(Found::Notice(*notice));
            }
            if log.open_segment().is_some_and(|(g, ..)| g == generation) {
                return Ok(Found::Nothing);
            }
            *place = Place { generation: generation + 1, at: 0, ..*place };
        }
    }

    /// Reads a segment's headers again, if its index was dropped or never made.
    pub(super) async fn ensure_index(&self, generation: u32) -> io::Result<()> {
        let (file, end) = match self.shared.log.borrow().segment(generation) {
            Some(segment) if segment.index.is_none() => {
                (Rc::clone(&segment.file), segment.summary.end)
            }
            _ => return Ok(()),
        };
        let mut walked = walk::headers(&*file, generation, end).await?;
        self.shared.disk_works(Work::Headers);
        if walked.end < end {
            walked.holes.push(Hole { from: walked.end, to: end });
        }
        for hole in &walked.holes {
            self.shared.quarantine(&file, generation, *hole).await;
        }
        self.shared.log.borrow_mut().set_index(generation, &walked.frames);
        Ok(())
    }

    /// Keeps a copy of a frame that is sound, and that a sink cannot deliver.
    async fn copy(&self, frame: &FrameHeader) -> io::Result<()> {
        let file = self.shared.log.borrow().file(frame.position.generation());
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the segment is gone");
        let file = file.ok_or_else(gone)?;
        quarantine::keep_frame(&self.shared.disk, &file, frame).await
    }

    /// Whether every sink was told of all that lies in a segment.
    pub(super) fn has_told(&self, generation: u32) -> bool {
        self.ports.iter().all(|port| port.feeds.has_told(generation))
    }

    /// Recycles the segments that every sink is done with. Its cursors are durable by now.
    async fn release_segments(&self) {
        let released = {
            let cursors = self.shared.cursors.borrow();
            let is_told = |generation| self.has_told(generation);
            self.shared.log.borrow_mut().release(&cursors, &self.names, is_told)
        };
        for segment in released {
            let name = segment::file_name(segment.generation);
            let free = self.shared.log.borrow().free.len();
            // A write into a file with holes may find no room, in the middle of a group.
            let recycle = segment.sealed
                && segment.freed_bytes == 0
                && segment.bytes == self.shared.config.segment_bytes
                && free < FREE_SEGMENTS_MAX;
            let done = if recycle {
                let to = segment::free_name(segment.generation);
                let renamed = self.shared.disk.rename(&name, &to).await;
                if renamed.is_ok() {
                    self.shared.log.borrow_mut().free.push(segment.generation);
                }
                renamed
            } else {
                self.shared.disk.remove(&name).await
            };
            Step::SegmentReleased.pass();
            if let Err(error) = done {
                tracing::warn!(name, %error, "a segment that is done with remains until the next start");
            }
        }
    }

    /// Looks at who holds the log, once a second.
    fn publish_held(&mut self) {
        let now = self.shared.timer.now();
        if now < self.held_at {
            return;
        }
        self.held_at = now + HELD_INTERVAL;
        let held = self.shared.log.borrow().held(&self.shared.cursors.borrow(), &self.names);
        let most = held.iter().max_by_key(|held| held.bytes);
        match most.filter(|most| most.bytes >= self.shared.config.quota_bytes / HELD_SHARE) {
            Some(Held { sink, topic, bytes }) if self.shared.alarms.raise(Alarm::LogHeld) => {
                tracing::error!(sink, %topic, bytes, "holds the log; it is delivered, or all events are shed");
            }
            Some(_) => {}
            None => self.shared.alarms.over(Alarm::LogHeld),
        }
        self.shared.counters.set_held(&self.names, held);
    }

    fn publish_figures(&self) {
        let log = self.shared.log.borrow();
        self.shared.counters.live_bytes.set(log.live_bytes());
        self.shared.counters.segments.set(log.segment_count() as u64);
        self.shared.counters.file_bytes.set(log.file_bytes());
    }
}

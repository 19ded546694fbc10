//! The writer of the log: drains the rings, writes frames, syncs for the group, publishes tickets.
//!
//! ```text
//!  rings ─▶ held batches ─▶ frames in the open segment ─▶ sync ─▶ log ─▶ tickets, buffers back
//!                 ▲                    │ fails
//!                 └── kept, written again in a new segment
//! ```
//!
//! A batch is held until it is durable, so a disk that fails or fills loses nothing: the buffers do
//! not go back, and the shards shed by class before they give a sequence. A failed sync is never
//! tried again on the same file, for the kernel may have dropped what it could not write.

use super::{
    Shared, log,
    recovery::write_summary,
    segment::{self, SUMMARY_BYTES},
    trouble::Work,
};
use crate::{
    alarms::Alarm,
    disk::{AlignedBuffer, Disk, DiskFile, Timer},
    intake::{SealedBatch, SpoolEnd},
    steps::Step,
};
use brink_proto::{
    frame::{FRAME_ALIGN, FrameHeader, HEADER_BYTES, LogPosition, frame_bytes},
    ids::Class,
};
use std::{collections::VecDeque, io, rc::Rc, time::Duration};

/// While somebody waits for durability.
const TICK_WAITED: Duration = Duration::from_millis(1);

/// Otherwise. Every park of the executor interrupts the shards' cores once (a membarrier), so the
/// tick is as slow as the rings allow: their buffers must last for two of them.
const TICK_IDLE: Duration = Duration::from_millis(25);

/// While a sink catches up, and each of its steps waits for this thread. It is under a share there:
/// one step a tick, and appends come first.
const TICK_BEHIND: Duration = Duration::from_millis(2);

/// How long the fast tick is kept behind the last one who waited.
const WAITED_LINGER: Duration = Duration::from_millis(100);

/// Between tries on a disk that takes nothing.
const RETRY: Duration = Duration::from_millis(500);

/// BOUND: one write, and with it the memory of the group.
const WRITE_BYTES_MAX: usize = 512 * 1024;

pub(crate) struct Committer<D: Disk, T: Timer> {
    shared: Rc<Shared<D, T>>,
    rings: Vec<SpoolEnd>,
    /// Batches that are not durable yet, with their rings, in the order they came.
    held: VecDeque<(usize, SealedBatch)>,
    held_bytes: usize,
    held_since: Option<Duration>,
    waited_at: Option<Duration>,
}

impl<D: Disk, T: Timer> Committer<D, T> {
    pub(crate) fn new(shared: Rc<Shared<D, T>>, rings: Vec<SpoolEnd>) -> Committer<D, T> {
        let capacity = rings.len() * 64;
        Committer {
            shared,
            rings,
            held: VecDeque::with_capacity(capacity),
            held_bytes: 0,
            held_since: None,
            waited_at: None,
        }
    }

    /// Runs until every shard is gone and everything is durable, or until it is told to give up.
    pub(crate) async fn run(mut self) {
        loop {
            self.drain();
            let finished = self.rings.iter().all(SpoolEnd::is_finished);
            if self.is_due() || (finished && !self.held.is_empty()) {
                self.commit().await;
                self.drain();
            }
            if (finished && self.held.is_empty()) || self.shared.gives_up() {
                break;
            }
            self.publish_fullness();
            self.shared.work.notify();
            // A group that came while the last one was written goes at once: the shards have only
            // so many buffers, and while nothing of theirs is written none comes back.
            if self.held_bytes < self.shared.config.group_bytes {
                self.shared.timer.sleep(self.tick()).await;
            }
        }
        self.shared.counters.lost.add(self.held.iter().map(|(_, b)| u64::from(b.info.count)).sum());
        self.shared.committer_is_done();
    }

    fn drain(&mut self) {
        for (index, ring) in self.rings.iter_mut().enumerate() {
            // BOUND: a ring has as many batches as its shard has buffers.
            while let Some(batch) = ring.pop() {
                self.shared.counters.drained(index, &batch.info);
                self.held_bytes += frame_bytes(batch.info.payload_bytes as usize);
                self.held.push_back((index, batch));
            }
        }
        let now = self.shared.timer.now();
        if self.held.is_empty() {
            self.held_since = None;
        } else if self.held_since.is_none() {
            self.held_since = Some(now);
        }
        if self.rings.iter().any(SpoolEnd::has_waiters) {
            self.waited_at = Some(now);
        }
    }

    fn is_due(&self) -> bool {
        let Some(since) = self.held_since else { return false };
        self.rings.iter().any(SpoolEnd::has_waiters)
            || self.held_bytes >= self.shared.config.group_bytes
            || self.shared.timer.now() >= self.due_at(since)
    }

    /// When what is held since then is committed at the latest; it may have waited for a tick.
    fn due_at(&self, since: Duration) -> Duration {
        since + self.shared.config.commit_interval.saturating_sub(TICK_IDLE)
    }

    fn tick(&self) -> Duration {
        let now = self.shared.timer.now();
        match self.waited_at {
            Some(at) if now.saturating_sub(at) < WAITED_LINGER => return TICK_WAITED,
            _ => {}
        }
        let idle = if self.shared.is_sink_behind.get() { TICK_BEHIND } else { TICK_IDLE };
        let due = self.held_since.map(|since| self.due_at(since).saturating_sub(now));
        due.map_or(idle, |due| due.clamp(TICK_WAITED, idle))
    }

    fn publish_fullness(&self) {
        let percent = self.shared.fullness_percent();
        self.rings.iter().for_each(|ring| ring.set_fullness(percent));
        // Shards shed from here on, and so no commit ever finds that there is no room.
        if percent < Class::Normal.share_percent() {
            self.shared.alarms.over(Alarm::SpoolFull);
        } else if !self.shared.alarms.state(Alarm::SpoolFull).0 {
            self.shared.alarms.raise(Alarm::SpoolFull);
            tracing::error!(percent, "the spool is nearly full, shards shed by class");
        }
    }

    /// Makes everything that is held durable. Comes back only when it is, or when told to give up.
    async fn commit(&mut self) {
        while !self.held.is_empty() {
            let Err(error) = self.commit_some().await else {
                self.shared.disk_works(Work::Log);
                continue;
            };
            let full =
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let is_news = match full {
                true => self.shared.alarms.raise(Alarm::SpoolFull),
                false => self.shared.disk_fails(Work::Log),
            };
            if is_news {
                tracing::error!(%error, full, "the spool takes nothing, shards shed by class");
            }
            self.shared.counters.write_errors.add(1);
            self.shared.log.borrow_mut().fence();
            self.rings.iter().for_each(|ring| ring.set_fullness(100));
            if self.shared.gives_up() {
                return;
            }
            self.shared.work.notify();
            self.shared.timer.sleep(RETRY).await;
            self.drain();
        }
        self.held_since = None;
    }

    /// Makes as many of the held batches durable as one segment takes.
    async fn commit_some(&mut self) -> io::Result<()> {
        let open = self.shared.log.borrow().open_segment();
        let (generation, file, from) = match open {
            Some(open) => open,
            None => self.shared.open_next().await?,
        };
        let frames = self.place(generation, from);
        if frames.is_empty() {
            return self.shared.seal_open().await;
        }
        Step::GroupTaken.pass();
        self.write(&file, &frames).await?;
        Step::GroupWritten.pass();
        file.sync().await?;
        Step::GroupSynced.pass();
        self.shared.log.borrow_mut().commit(&frames);
        self.publish(frames.len());
        Ok(())
    }

    /// Headers for the held batches that the open segment takes.
    fn place(&self, generation: u32, from: u32) -> Vec<FrameHeader> {
        let log = self.shared.log.borrow();
        let commit_position = log.committed();
        let mut offset = from;
        let mut frames: Vec<FrameHeader> = Vec::with_capacity(self.held.len());
        for (_, batch) in &self.held {
            if !log.takes(&batch.info, offset, frames.iter()) {
                break;
            }
            let frame = FrameHeader {
                batch: batch.info,
                position: LogPosition::new(generation, offset),
                commit_position,
                payload_crc: crc32c::crc32c(batch.payload()),
            };
            offset += frame.frame_bytes() as u32;
            frames.push(frame);
        }
        frames
    }

    /// Writes frames that lie behind each other, in as few writes as the bound allows.
    async fn write(&self, file: &D::File, frames: &[FrameHeader]) -> io::Result<()> {
        let mut at = 0;
        while at < frames.len() {
            let mut bytes = 0;
            let fits = |frame: &&FrameHeader| {
                bytes += frame.frame_bytes();
                bytes <= WRITE_BYTES_MAX || bytes == frame.frame_bytes()
            };
            let count = frames[at..].iter().take_while(fits).count();
            let part = &frames[at..at + count];
            let total = part.iter().map(FrameHeader::frame_bytes).sum();
            let mut buffer = self.shared.disk.buffer(total);
            let mut rest = &mut buffer.bytes_mut()[..total];
            for (frame, (_, batch)) in part.iter().zip(self.held.range(at..)) {
                let (place, behind) = rest.split_at_mut(frame.frame_bytes());
                fill(place, frame, batch.payload());
                rest = behind;
            }
            file.write(u64::from(part[0].position.offset()), buffer).await?;
            at += count;
        }
        Ok(())
    }

    /// Says that the first `count` held batches are durable.
    fn publish(&mut self, count: usize) {
        let mut per_ring = vec![0; self.rings.len()];
        for (index, batch) in self.held.drain(..count) {
            self.shared.counters.accepted(index, &batch.info);
            self.held_bytes -= frame_bytes(batch.info.payload_bytes as usize);
            self.rings[index].give_back(batch.buffer);
            per_ring[index] += 1;
        }
        for (ring, batches) in self.rings.iter_mut().zip(per_ring) {
            if batches > 0 {
                ring.publish(batches);
            }
        }
        self.shared.counters.commits.add(1);
    }
}

/// One frame: header, payload, zeros.
fn fill(place: &mut [u8], frame: &FrameHeader, payload: &[u8]) {
    let (header, rest) = place.split_at_mut(HEADER_BYTES);
    header.copy_from_slice(&frame.encode());
    let (records, padding) = rest.split_at_mut(payload.len());
    records.copy_from_slice(payload);
    padding.fill(0);
}

impl<D: Disk, T: Timer> Shared<D, T> {
    /// Opens the next segment: a recycled file, or a new one while the quota allows.
    async fn open_next(&self) -> io::Result<(u32, Rc<D::File>, u32)> {
        let bytes = self.config.segment_bytes;
        let (taken, recycled) = {
            let log = self.log.borrow();
            (log.file_bytes(), log.free.last().copied())
        };
        if taken + u64::from(bytes) > self.config.quota_bytes {
            let quota = self.config.quota_bytes;
            let text = format!("the log takes {taken} bytes and the quota is {quota}");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        let generation = self.log.borrow_mut().next_generation();
        let name = segment::file_name(generation);
        let renamed = match recycled {
            // One that cannot be had is not tried again.
            Some(old) => {
                self.log.borrow_mut().free.pop();
                self.disk.rename(&segment::free_name(old), &name).await.is_ok()
            }
            None => false,
        };
        let opened = match renamed {
            true => self.disk.open(&name).await,
            false => self.disk.create(&name, u64::from(bytes)).await,
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) => return Err(self.abandon(&name, error).await),
        };
        Step::SegmentNamed.pass();
        if let Err(error) = self.prepare(&file, generation, bytes).await {
            return Err(self.abandon(&name, error).await);
        }
        Step::SegmentHeaded.pass();
        let mut log = self.log.borrow_mut();
        log.install(generation, file, bytes);
        log.open_segment().ok_or_else(|| io::Error::other("the new segment is not open"))
    }

    /// Makes the head of a new segment, and its name, durable.
    async fn prepare(&self, file: &D::File, generation: u32, bytes: u32) -> io::Result<()> {
        let mut head = self.disk.buffer(FRAME_ALIGN);
        segment::write_head(head.bytes_mut(), generation, bytes);
        file.write(0, head).await?;
        file.sync().await?;
        self.disk.sync_names(segment::FOLDER).await
    }

    /// A try that failed leaves no file behind: it is made twice a second.
    async fn abandon(&self, name: &str, error: io::Error) -> io::Error {
        if let Err(remains) = self.disk.remove(name).await {
            tracing::warn!(name, error = %remains, "a segment that could not be made remains");
        }
        error
    }

    /// Seals the open segment, which is full. Everything in it is durable already.
    async fn seal_open(&self) -> io::Result<()> {
        let Some((generation, file, _)) = self.log.borrow().open_segment() else { return Ok(()) };
        let (summary, at) = match self.log.borrow().segment(generation) {
            Some(segment) => (segment.summary.clone(), segment.bytes - SUMMARY_BYTES),
            None => return Ok(()),
        };
        // A segment that no frame fits into, though it is empty, would be sealed for ever.
        if summary.frames == 0 {
            return Err(io::Error::other("a batch is larger than a segment"));
        }
        Step::SegmentFull.pass();
        write_summary(&self.disk, &file, generation, at, &summary).await?;
        Step::SegmentSealed.pass();
        self.log.borrow_mut().seal();
        Ok(())
    }

    /// How much of the quota frames take.
    pub(super) fn fullness_percent(&self) -> u32 {
        let log: &log::Log<D::File> = &self.log.borrow();
        (log.live_bytes() * 100 / self.config.quota_bytes.max(1)).min(100) as u32
    }
}

//! One stream on its way to its partition. Pure: frames, payloads and answers in, decisions out.
//!
//! ```text
//!  frame ─▶ waits ─▶ read ─▶ sent ─▶ delivered ─▶ durably behind the sink, and forgotten here
//!             ▲               │ refused, lost
//!             └───────────────┘ with the same numbers
//! ```
//!
//! Batches go in order, each once all before it are sent. After a failure nothing goes until every
//! answer that is under way has come; then all that is not delivered goes again. A gap in the
//! sequences, or a numbering that the broker has forgotten or disputes, breaks the lineage: a new
//! one begins with the first frame that is left, when nothing is under way any more.

use super::{faults::Verdict, lineage::WINDOW};
use crate::spool::{cursors::Lineage, port::FrameBytes};
use brink_proto::{
    frame::{FrameHeader, LogPosition},
    ids::Sequence,
};
use std::collections::VecDeque;

/// How often a broker has to say that it will never take a batch before a copy is set aside.
const REFUSALS_MAX: u32 = 3;

/// What has to be made durable before a lane goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Everything below is delivered.
    Advance(Sequence),
    /// Everything below is delivered or quarantined, and the lineage ends.
    Break(Sequence),
    /// A copy of this frame is kept.
    Keep(FrameHeader),
    /// There is no lineage: it begins with this event.
    Begin(Sequence),
}

/// What an answer has shown beside its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing: delivered, so many events.
    Delivered(u64),
    /// Delivered, at an offset that the partition had passed before.
    WentBack(u64),
    /// Not delivered; it goes again.
    Again,
    /// The numbering is void: so many events may come to stand twice.
    Forgotten(u64),
    /// The same, because the broker has other numbers: it has lost batches of the stream, or
    /// somebody else has sent some.
    Disputed(u64),
    /// It will never be taken: so many events are set aside.
    SetAside(u64),
}

/// A batch to be sent.
pub(crate) struct Sending<'a> {
    pub(crate) frame: FrameHeader,
    pub(crate) lineage: &'a Lineage,
    /// Events that may come to stand twice because of this.
    pub(crate) doubtful: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waits,
    Reading,
    Read,
    Sent,
    Delivered,
    /// It is not delivered from here: corrupt, or never to be taken.
    SetAside,
}

struct Slot {
    frame: FrameHeader,
    place: Place,
    bytes: Option<FrameBytes>,
    refusals: u32,
    /// It may be in the broker's log already.
    maybe_sent: bool,
    /// A copy is to be kept before it is let go.
    keep: bool,
    /// It was told that it may come to stand twice.
    doubted: bool,
    /// Where it stands, once it is delivered and the broker has said so.
    offset: Option<i64>,
}

/// One stream's frames under way.
pub(crate) struct Lane {
    pub(crate) lineage: Option<Lineage>,
    slots: VecDeque<Slot>,
    /// Behind everything that was seen.
    next: Sequence,
    /// Behind everything that is durably behind the sink.
    durable: Sequence,
    /// Frames that an earlier start may have sent.
    resumed: usize,
    /// Something failed: nothing goes until it is taken up again.
    halted: bool,
    /// The lineage is void.
    void: bool,
    /// Somebody else has sent batches of the stream, nobody knows how many: whatever goes from now
    /// on may be there.
    disputed: bool,
    /// The broker has taken a batch of the lineage since it was begun or resumed. Until then it may
    /// know nothing of it, and would take a batch whose predecessor it had refused: so one goes at
    /// a time.
    known: bool,
    /// Where the last batch stands that is durably behind, if it is of the lineage and this start
    /// was told.
    last_offset: Option<i64>,
}

impl Lane {
    /// A lane of a stream of which everything below `delivered` is delivered. With a lineage an
    /// earlier start may have sent what comes next.
    pub(crate) fn new(delivered: Sequence, lineage: Option<Lineage>) -> Lane {
        Lane {
            resumed: if lineage.is_some() { WINDOW } else { 0 },
            lineage,
            // BOUND: the sink takes no more frames than it has room for.
            slots: VecDeque::new(),
            next: delivered,
            durable: delivered,
            halted: false,
            void: false,
            disputed: false,
            known: false,
            last_offset: None,
        }
    }

    /// Takes a frame. How many events before it are missing; nothing, if it is known.
    pub(crate) fn push(&mut self, frame: FrameHeader) -> Option<u64> {
        let (first, end) = (frame.batch.first_sequence, frame.batch.end_sequence());
        if first < self.next {
            return None;
        }
        let missing = first.0 - self.next.0;
        self.next = end;
        let maybe_sent = self.resumed > 0;
        self.resumed = self.resumed.saturating_sub(1);
        self.slots.push_back(Slot {
            frame,
            place: Place::Waits,
            bytes: None,
            refusals: 0,
            maybe_sent,
            keep: false,
            doubted: false,
            offset: None,
        });
        Some(missing)
    }

    /// Takes note that everything below `end` that was not told of is gone; how many events.
    pub(crate) fn lost(&mut self, end: Sequence) -> u64 {
        let missing = end.0.saturating_sub(self.next.0);
        self.next = self.next.max(end);
        missing
    }

    /// Frames in it.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether frames wait, or soon would, for what is delivered to be durably behind the sink.
    pub(crate) fn is_pressed(&self) -> bool {
        let delivered = self.slots.iter().take_while(|s| s.place == Place::Delivered).count();
        delivered > WINDOW / 2 || (delivered > 0 && self.slots.len() >= WINDOW)
    }

    /// Whether answers are to come.
    pub(crate) fn is_under_way(&self) -> bool {
        self.slots.iter().take(WINDOW).any(|s| s.place == Place::Sent)
    }

    /// Whether it waits for [`Lane::resume`].
    pub(crate) fn is_halted(&self) -> bool {
        self.halted
    }

    /// What has to be durable before it goes on, once what was decided before is.
    pub(crate) fn decision(&self) -> Option<Decision> {
        let delivered = self.slots.iter().take_while(|s| s.place == Place::Delivered);
        if let Some(last) = delivered.last() {
            return Some(Decision::Advance(last.frame.batch.end_sequence()));
        }
        let Some(front) = self.slots.front() else {
            return (self.next > self.durable).then_some(Decision::Break(self.next));
        };
        let first = front.frame.batch.first_sequence;
        let under_way = self.is_under_way();
        if front.place == Place::SetAside {
            if front.keep {
                return Some(Decision::Keep(front.frame));
            }
            return (!under_way).then(|| Decision::Break(front.frame.batch.end_sequence()));
        }
        if first > self.durable || (self.void && !under_way) {
            return Some(Decision::Break(first));
        }
        self.lineage.is_none().then_some(Decision::Begin(first))
    }

    /// A decision is durable.
    pub(crate) fn decided(&mut self, decision: &Decision) {
        let end = match decision {
            Decision::Advance(end) => *end,
            Decision::Break(end) => {
                self.lineage = None;
                self.void = false;
                self.known = false;
                self.last_offset = None;
                *end
            }
            Decision::Keep(frame) => {
                if let Some(slot) = self.slot(frame.position) {
                    slot.keep = false;
                }
                return;
            }
            Decision::Begin(_) => return,
        };
        while let Some(slot) = self.slots.front().filter(|s| s.frame.batch.end_sequence() <= end) {
            self.last_offset = slot.offset.filter(|_| self.lineage.is_some());
            self.slots.pop_front();
        }
        self.durable = self.durable.max(end);
    }

    /// Whether it can send, as far as it knows.
    pub(crate) fn is_open(&self) -> bool {
        self.lineage.is_some() && !self.halted && !self.void
    }

    /// The next frame whose payload is wanted; it counts as asked for. What waits for the cursor
    /// alone does not count: the window moves on soon, and the next payloads are there by then.
    pub(crate) fn wanted(&mut self) -> Option<FrameHeader> {
        if !self.is_open() {
            return None;
        }
        let undelivered = self.slots.iter_mut().filter(|s| s.place != Place::Delivered);
        let slot = undelivered.take(WINDOW).find(|s| s.place == Place::Waits)?;
        slot.place = Place::Reading;
        Some(slot.frame)
    }

    /// A payload was read. It is kept, if anybody wants it still.
    pub(crate) fn read(&mut self, at: LogPosition, bytes: FrameBytes) {
        let open = self.is_open();
        let is_wanted = |s: &&mut Slot| matches!(s.place, Place::Waits | Place::Reading);
        let Some(slot) = self.slot(at).filter(is_wanted) else { return };
        if open {
            slot.place = Place::Read;
            slot.bytes = Some(bytes);
        } else {
            slot.place = Place::Waits;
        }
    }

    /// A payload could not be read now, and is asked for again.
    pub(crate) fn unread(&mut self, at: LogPosition) {
        if let Some(slot) = self.slot(at).filter(|s| s.place == Place::Reading) {
            slot.place = Place::Waits;
        }
    }

    /// There is no memory for a payload that was wanted. What was read of frames behind it gives
    /// its own back, for it waits for this one. Whether there was any.
    pub(crate) fn make_room(&mut self, at: LogPosition) -> bool {
        self.unread(at);
        let behind = self.slots.iter_mut().skip_while(|s| s.frame.position != at);
        put_back(behind)
    }

    /// A frame's payload is not to be had: it is set aside, if anybody wants it still. Whether it
    /// was.
    pub(crate) fn corrupt(&mut self, at: LogPosition) -> bool {
        let is_wanted = |s: &&mut Slot| matches!(s.place, Place::Waits | Place::Reading);
        let slot = self.slot(at).filter(is_wanted);
        slot.map(|slot| slot.place = Place::SetAside).is_some()
    }

    /// The next batch to be sent; [`Lane::sent`] says that it was. What may have been sent before
    /// `recalled_ms` is not sure to be recognised by the broker.
    pub(crate) fn sending(&self, recalled_ms: i64) -> Option<Sending<'_>> {
        let lineage = self.lineage.as_ref().filter(|_| self.is_open())?;
        if !self.known && self.is_under_way() {
            return None;
        }
        let mut end = self.durable;
        for slot in self.slots.iter().take(WINDOW) {
            if slot.frame.batch.first_sequence != end {
                return None;
            }
            end = slot.frame.batch.end_sequence();
            match slot.place {
                Place::Sent | Place::Delivered => {}
                Place::Read => {
                    let frame = slot.frame;
                    let forgotten = frame.batch.max_timestamp_ms < recalled_ms;
                    let doubted = self.disputed || (slot.maybe_sent && forgotten);
                    let doubtful = u64::from(doubted && !slot.doubted);
                    let doubtful = doubtful * u64::from(frame.batch.count);
                    return Some(Sending { frame, lineage, doubtful });
                }
                _ => return None,
            }
        }
        None
    }

    /// A batch goes to the broker, with these bytes; `doubtful` are its events that may come to
    /// stand twice. Beside the bytes, whether it may have gone before.
    pub(crate) fn sent(&mut self, at: LogPosition, doubtful: u64) -> Option<(FrameBytes, bool)> {
        let slot = self.slot(at)?;
        let bytes = slot.bytes.take()?;
        slot.place = Place::Sent;
        slot.doubted |= doubtful > 0;
        Some((bytes, slot.maybe_sent))
    }

    /// Lets go of what was read and cannot be sent for now; it is read again.
    pub(crate) fn put_back(&mut self) {
        put_back(self.slots.iter_mut());
    }

    /// A broker's answer to a batch, and the offset that it gave it.
    pub(crate) fn answered(&mut self, at: LogPosition, verdict: Verdict, offset: i64) -> Finding {
        let ahead = self.slots.iter().take_while(|s| s.frame.position != at);
        let is_first = ahead.clone().all(|s| s.place == Place::Delivered) && !self.halted;
        let before = ahead.last().map_or(self.last_offset, |slot| slot.offset);
        let Some(slot) = self.slot(at).filter(|s| s.place == Place::Sent) else {
            return Finding::Again;
        };
        let events = u64::from(slot.frame.batch.count);
        if verdict == Verdict::Delivered {
            slot.place = Place::Delivered;
            // One that was taken long ago is answered without an offset.
            slot.offset = Some(offset).filter(|offset| *offset >= 0);
            // A batch stands behind the one before it, whenever it was taken.
            let went_back = slot.offset.is_some_and(|offset| before >= Some(offset));
            self.known = true;
            return if went_back { Finding::WentBack(events) } else { Finding::Delivered(events) };
        }
        slot.refusals += u32::from(is_first && verdict == Verdict::Unacceptable);
        let refused_for_good = slot.refusals >= REFUSALS_MAX;
        self.go_back(at);
        match verdict {
            // Behind one that failed this is what follows from it.
            _ if !is_first => Finding::Again,
            Verdict::Forgotten | Verdict::Disputed => {
                self.void = true;
                self.halted = false;
                let disputed = verdict == Verdict::Disputed;
                // A broker that knows nothing of a lineage takes any number of it. So what an
                // earlier start began was gone on with elsewhere.
                self.disputed |= disputed && !self.known;
                let doubted =
                    |s: &&mut Slot| s.maybe_sent && s.place != Place::Delivered && !s.doubted;
                let events = self.slots.iter_mut().filter(doubted).map(|slot| {
                    slot.doubted = true;
                    u64::from(slot.frame.batch.count)
                });
                let events = events.sum();
                if disputed { Finding::Disputed(events) } else { Finding::Forgotten(events) }
            }
            Verdict::Unacceptable if refused_for_good => {
                if let Some(slot) = self.slot(at) {
                    slot.place = Place::SetAside;
                    slot.keep = true;
                }
                self.void = true;
                Finding::SetAside(events)
            }
            _ => Finding::Again,
        }
    }

    /// The batch was not taken, and goes again once the lane is taken up again.
    fn go_back(&mut self, at: LogPosition) {
        self.halted = true;
        if let Some(slot) = self.slot(at) {
            slot.maybe_sent |= slot.place == Place::Sent;
            slot.place = Place::Waits;
        }
        self.put_back();
    }

    /// The connection is gone: no answer comes any more to what was sent.
    pub(crate) fn disconnected(&mut self) {
        let sent = self.slots.iter().take(WINDOW).filter(|s| s.place == Place::Sent);
        let sent: Vec<LogPosition> = sent.map(|s| s.frame.position).collect();
        sent.into_iter().for_each(|at| self.go_back(at));
    }

    /// Takes up sending again after a failure, once all answers have come.
    pub(crate) fn resume(&mut self) {
        self.halted &= self.is_under_way();
    }

    /// The lineage is of another cluster, or of a topic that was made anew. Whether that is news.
    pub(crate) fn disown(&mut self) -> bool {
        !std::mem::replace(&mut self.void, true)
    }

    fn slot(&mut self, at: LogPosition) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|s| s.frame.position == at)
    }
}

/// Lets go of what was read of these. Whether there was any.
fn put_back<'s>(slots: impl Iterator<Item = &'s mut Slot>) -> bool {
    let mut was_any = false;
    for slot in slots.filter(|s| s.place == Place::Read) {
        slot.place = Place::Waits;
        slot.bytes = None;
        was_any = true;
    }
    was_any
}

#[cfg(test)]
mod tests;

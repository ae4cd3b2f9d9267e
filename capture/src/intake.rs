//! Decides, for each record and each notice of a source, what becomes of it. Pure: no clock, no I/O, no threads.
//!
//! # What it guarantees
//! - Positions of a stream only go up. A position is written once, or counted as a hole, or lost in a gap, or filtered; the
//!   [`Books`] of each stream balance after every call.
//! - A position that is missing between two delivered records is a *hole* (transaction marker, aborted, compacted): a fetch
//!   at X returns every deliverable record from X on. Loss announces itself (out of range, another leader epoch) and becomes
//!   a *gap*.
//!
//! # Its limits
//! - A hole across a rising leader epoch counts as a hole: a log that is read from its beginning is full of them (every
//!   compacted topic that ever changed its leader). That the log was not cut back meanwhile is the client's to check
//!   (it validates the epoch with the broker and raises [`Notice::Truncated`]); an epoch that *falls* is proof that it was.
//!
//! [`Notice::Truncated`]: dejaq_shared::broker::source::Notice::Truncated

use dejaq_shared::record::{EPOCH_UNKNOWN, Gap, GapReason, RECORD_BYTES_MAX, Record, RecordFlags, Stream, StreamIx};

use crate::books::Books;
use crate::config::Replayed;

/// Where a stream stands in this capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is read.
    Reading,
    /// It has reached the position that `--until end` asked for.
    Finished,
    /// It carries replayed traffic, or cannot be read: nothing more of it is recorded by this capture.
    Stopped,
    /// The source could not read it; the next look at the metadata decides.
    Parked,
    /// It is over at the source: deleted, made anew, or cut back.
    Ended,
}

/// What to do with one record.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Write it, with these flags.
    Write(RecordFlags),
    /// Leave it out: it is on disk already, or not wanted any more.
    Skip,
    /// Leave it out, and write this gap.
    Lost(Box<Gap>),
    /// Write this gap, then ask again.
    LostBefore(Box<Gap>),
}

/// How to go on after reading of a stream has stopped by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovery {
    /// Nothing is to be done.
    Nothing,
    /// First write the gap, if there is one; then read on from [`Intake::read_from`], if that still asks for anything.
    Restart(Option<Box<Gap>>),
    /// The log was cut back: the stream has ended. Write the gap, and begin a new stream of the same identity at `at`,
    /// because positions of one stream never go down.
    Rewind {
        /// What is to be written about it.
        gap: Box<Gap>,
        /// Where the new stream begins.
        at: i64,
    },
}

/// A stream as a capture takes it up.
#[derive(Debug, Clone)]
pub struct NewLane {
    /// Who it is.
    pub stream: Stream,
    /// Its books so far.
    pub books: Books,
    /// The end of the log when reading began: records before it are read in catch-up.
    pub end: i64,
    /// Where to stop, if anywhere: the position after the last one wanted.
    pub until: Option<i64>,
    /// [`Phase::Reading`]; for one that the recording knows also [`Phase::Ended`] or [`Phase::Stopped`].
    pub phase: Phase,
}

#[derive(Debug)]
struct Lane {
    books: Books,
    phase: Phase,
    until: i64,
    catch_up_to: i64,
    dirty: bool,
    carries_mark: bool,
    /// `next` when the metadata last proved that this incarnation is the one at the source.
    proven: i64,
    /// The end of the log as far as it was seen.
    end_seen: i64,
    stream: Stream,
}

/// The state of all streams of a capture.
#[derive(Debug)]
pub struct Intake {
    lanes: Vec<Lane>,
    replayed: Replayed,
    records_left: Option<u64>,
    behind: bool,
    unfinished: usize,
    duplicates: u64,
    dirty: Vec<StreamIx>,
    to_stop: Vec<StreamIx>,
}

impl Intake {
    /// An empty one. `records_left`: how many records may still be written, if that is bounded.
    #[must_use]
    pub fn new(replayed: Replayed, records_left: Option<u64>) -> Self {
        Self {
            lanes: Vec::new(),
            replayed,
            records_left,
            behind: false,
            unfinished: 0,
            duplicates: 0,
            dirty: Vec::new(),
            to_stop: Vec::new(),
        }
    }

    /// Adds a stream; its number is the number of those before it.
    pub fn add(&mut self, new: NewLane) -> StreamIx {
        let ix = StreamIx::try_from(self.lanes.len()).unwrap_or(StreamIx::MAX);
        let until = new.until.unwrap_or(i64::MAX);
        let done = new.until.is_some() && new.books.next >= until;
        let phase = if new.phase == Phase::Reading && done { Phase::Finished } else { new.phase };
        if new.until.is_some() && phase == Phase::Reading {
            self.unfinished += 1;
        }
        self.lanes.push(Lane {
            books: new.books,
            phase,
            until,
            catch_up_to: new.end,
            dirty: false,
            carries_mark: false,
            proven: new.books.next,
            end_seen: new.end,
            stream: new.stream,
        });
        ix
    }

    /// Decides about one record. `marked`: it carries dejaq's mark.
    #[inline]
    pub fn admit(&mut self, record: &Record<'_>, marked: bool) -> Verdict {
        let Some(lane) = self.lanes.get_mut(record.stream as usize) else { return Verdict::Skip };
        if lane.phase != Phase::Reading || self.records_left == Some(0) {
            return Verdict::Skip;
        }
        if record.position < lane.books.next {
            self.duplicates += 1;
            return Verdict::Skip;
        }
        if !lane.dirty {
            lane.dirty = true;
            self.dirty.push(record.stream);
        }
        if record.position >= lane.until {
            lane.books.skip_holes_to(lane.until);
            self.finish(record.stream);
            return Verdict::Skip;
        }
        if record.leader_epoch != EPOCH_UNKNOWN && record.leader_epoch < lane.books.leader_epoch {
            return Verdict::LostBefore(Box::new(epoch_fell(lane, record)));
        }
        lane.books.skip_holes_to(record.position);
        lane.carries_mark |= marked;
        if marked && self.replayed == Replayed::Stop {
            return Verdict::Lost(Box::new(self.stop_marked(record)));
        }
        if bytes_at_most(record) > RECORD_BYTES_MAX && record.bytes_raw() > RECORD_BYTES_MAX {
            return Verdict::Lost(Box::new(oversize(lane, record)));
        }
        if record.leader_epoch != EPOCH_UNKNOWN {
            lane.books.leader_epoch = record.leader_epoch;
        }
        let mut flags = record.flags;
        if self.behind || record.position < lane.catch_up_to {
            flags = flags.with(RecordFlags::CATCH_UP);
        }
        if marked {
            flags = flags.with(RecordFlags::REPLAYED);
        }
        lane.books.write_one();
        if let Some(left) = &mut self.records_left {
            *left -= 1;
        }
        if lane.books.next >= lane.until {
            self.finish(record.stream);
        }
        Verdict::Write(flags)
    }

    /// Everything up to `position` has been read: what is missing before it are holes.
    pub fn end_reached(&mut self, ix: StreamIx, position: i64) {
        let records_left = self.records_left;
        let Some(lane) = self.reading(ix) else { return };
        lane.end_seen = lane.end_seen.max(position);
        if records_left == Some(0) {
            // The source has delivered on, but this capture wanted no more: what lies ahead is not known to be holes.
            return;
        }
        let to = position.min(lane.until);
        if to > lane.books.next {
            lane.books.skip_holes_to(to);
            self.touch(ix);
        }
        self.finish_if_reached(ix);
    }

    /// One message that the client cannot read.
    pub fn unparseable(&mut self, ix: StreamIx, position: i64, detail: &str, now_ns: i64) -> Option<Box<Gap>> {
        let records_left = self.records_left;
        let lane = self.reading(ix)?;
        if position < lane.books.next || position >= lane.until || records_left == Some(0) {
            return None;
        }
        lane.books.skip_holes_to(position);
        let lost = lane.books.lose_to(position + 1);
        let gap = closed_gap(lane, ix, position, lost, GapReason::Unparseable, detail, now_ns);
        self.touch(ix);
        self.finish_if_reached(ix);
        Some(Box::new(gap))
    }

    /// The wanted position is not in the log, which reaches from `low` to `high`.
    pub fn out_of_range(&mut self, ix: StreamIx, low: i64, high: i64, now_ns: i64) -> Recovery {
        let Some(lane) = self.reading(ix) else { return Recovery::Nothing };
        let next = lane.books.next;
        lane.end_seen = lane.end_seen.max(high);
        if next > high {
            return self.rewind(ix, high, true, "the log is shorter than what was read of it", now_ns);
        }
        if next >= low {
            return Recovery::Restart(None);
        }
        let lost = lane.books.lose_to(low);
        lane.catch_up_to = lane.catch_up_to.max(high);
        let gap =
            closed_gap(lane, ix, next, lost, GapReason::Retention, "the source had deleted these positions before they were read", now_ns);
        self.touch(ix);
        self.finish_if_reached(ix);
        Recovery::Restart(Some(Box::new(gap)))
    }

    /// The log was cut back at `position`; where that is not known, `high` (the log's end now) bounds it, inexactly.
    pub fn truncated(&mut self, ix: StreamIx, position: Option<i64>, high: i64, detail: &str, now_ns: i64) -> Recovery {
        let Some(lane) = self.reading(ix) else { return Recovery::Nothing };
        let next = lane.books.next;
        match position {
            // Nothing that was read is affected. The old epoch would be refused again.
            Some(at) if at >= next => {
                lane.books.leader_epoch = EPOCH_UNKNOWN;
                Recovery::Restart(None)
            }
            Some(at) => self.rewind(ix, at, true, detail, now_ns),
            None => self.rewind(ix, next.min(high), false, detail, now_ns),
        }
    }

    fn rewind(&mut self, ix: StreamIx, at: i64, exact: bool, detail: &str, now_ns: i64) -> Recovery {
        let lane = &self.lanes[ix as usize];
        let gap = Gap {
            stream: Some(ix),
            scope: lane.stream.name(),
            from: exact.then_some(at),
            to: Some(lane.books.next),
            from_time_ns: None,
            to_time_ns: Some(now_ns),
            count: None,
            exact: false,
            reason: GapReason::Truncation,
            detail: format!("{detail}; the log goes on from position {at}, as another stream"),
        };
        self.leave(ix, Phase::Ended);
        Recovery::Rewind { gap: Box::new(gap), at }
    }

    fn reading(&mut self, ix: StreamIx) -> Option<&mut Lane> {
        self.lanes.get_mut(ix as usize).filter(|l| l.phase == Phase::Reading)
    }

    fn stop_marked(&mut self, record: &Record<'_>) -> Gap {
        self.to_stop.push(record.stream);
        let lane = &self.lanes[record.stream as usize];
        let detail = "the stream carries replayed traffic: recorded only with --replayed include";
        let gap = open_gap(lane, record.stream, record.position, None, GapReason::Replay, detail, record.arrival_ns);
        self.leave(record.stream, Phase::Stopped);
        gap
    }

    fn finish(&mut self, ix: StreamIx) {
        self.leave(ix, Phase::Finished);
        self.to_stop.push(ix);
    }

    fn finish_if_reached(&mut self, ix: StreamIx) {
        let lane = &self.lanes[ix as usize];
        if lane.books.next >= lane.until {
            self.finish(ix);
        }
    }

    fn leave(&mut self, ix: StreamIx, phase: Phase) {
        let lane = &mut self.lanes[ix as usize];
        if matches!(lane.phase, Phase::Reading | Phase::Parked) && lane.until != i64::MAX {
            self.unfinished = self.unfinished.saturating_sub(1);
        }
        lane.phase = phase;
        self.touch(ix);
    }

    fn touch(&mut self, ix: StreamIx) {
        let lane = &mut self.lanes[ix as usize];
        if !lane.dirty {
            lane.dirty = true;
            self.dirty.push(ix);
        }
    }
}

mod gaps;
mod lifecycle;
mod state;

pub use state::LaneBooks;

pub(crate) use gaps::bytes_at_most;
use gaps::{closed_gap, epoch_fell, open_gap, oversize};

#[cfg(test)]
mod tests;

//! What happens to a stream as a whole: parked, given up, deselected, deleted, made anew, back again.

use dejaq_shared::record::{Gap, GapReason, StreamIx};

use super::gaps::open_gap;
use super::{Intake, Phase};

impl Intake {
    /// The source cannot read the stream now.
    pub fn park(&mut self, ix: StreamIx) {
        if let Some(lane) = self.reading(ix) {
            lane.phase = Phase::Parked;
        }
    }

    /// A parked stream is read again.
    pub fn unpark(&mut self, ix: StreamIx) {
        if let Some(lane) = self.lanes.get_mut(ix as usize).filter(|l| l.phase == Phase::Parked) {
            lane.phase = Phase::Reading;
        }
    }

    /// A stream that had ended is there again, the same incarnation: it goes on where it was.
    pub fn reopen(&mut self, ix: StreamIx, end: i64) {
        if let Some(lane) = self.lanes.get_mut(ix as usize).filter(|l| l.phase == Phase::Ended) {
            lane.phase = if lane.books.next >= lane.until { Phase::Finished } else { Phase::Reading };
            self.unfinished += usize::from(lane.until != i64::MAX && lane.phase == Phase::Reading);
            lane.catch_up_to = lane.catch_up_to.max(end);
            lane.end_seen = lane.end_seen.max(end);
            self.touch(ix);
        }
    }

    /// Gives up a stream that cannot be read, with everything that was still wanted of it.
    pub fn give_up(&mut self, ix: StreamIx, detail: &str, now_ns: i64) -> Option<Box<Gap>> {
        let lane = self.lanes.get_mut(ix as usize).filter(|l| l.phase == Phase::Parked)?;
        let until = (lane.until != i64::MAX).then_some(lane.until);
        let gap = open_gap(lane, ix, lane.books.next, until, GapReason::Disconnect, detail, now_ns);
        self.leave(ix, Phase::Stopped);
        Some(Box::new(gap))
    }

    /// The metadata shows this incarnation of the stream: what was read before `asked_at_next` was its own.
    pub fn prove(&mut self, ix: StreamIx, asked_at_next: i64) {
        if let Some(lane) = self.lanes.get_mut(ix as usize) {
            lane.proven = lane.proven.max(asked_at_next);
        }
    }

    /// The stream is no longer wanted: the topic selection changed since it was recorded last.
    pub fn deselect(&mut self, ix: StreamIx, now_ns: i64) -> Option<Box<Gap>> {
        let lane = self.reading(ix)?;
        let gap = open_gap(lane, ix, lane.books.next, None, GapReason::FilterChange, "the topic is no longer asked for", now_ns);
        self.leave(ix, Phase::Stopped);
        Some(Box::new(gap))
    }

    /// The stream's topic was deleted. A gap, if not all of it had been read: as far as is known, or when nobody can know
    /// because it happened while no capture ran (`away`).
    pub fn deleted(&mut self, ix: StreamIx, away: bool, now_ns: i64) -> Option<Box<Gap>> {
        let lane = self.lanes.get(ix as usize).filter(|l| l.phase != Phase::Ended)?;
        let wanted = lane.end_seen.min(lane.until);
        let behind = matches!(lane.phase, Phase::Reading | Phase::Parked) && (away || wanted > lane.books.next);
        let detail = if away { "the topic was deleted while no capture ran" } else { "the topic was deleted before all of it was read" };
        let gap = behind.then(|| {
            let mut gap = open_gap(lane, ix, lane.books.next, None, GapReason::Retention, detail, now_ns);
            (gap.from_time_ns, gap.to_time_ns) = (None, Some(now_ns));
            Box::new(gap)
        });
        self.leave(ix, Phase::Ended);
        gap
    }

    /// The topic was deleted and made anew. What was read since the old one was last seen may belong to the new one
    /// (clients go on by offset), so the gap begins there.
    pub fn recreated(&mut self, ix: StreamIx, now_ns: i64) -> Option<Box<Gap>> {
        let lane = self.lanes.get(ix as usize).filter(|l| l.phase != Phase::Ended)?;
        let gap = matches!(lane.phase, Phase::Reading | Phase::Parked).then(|| {
            let detail = "the topic was deleted and made anew: its last records may be missing, and what was read from here on may belong \
                          to the new topic, which is recorded from its beginning as a stream of its own";
            let mut gap = open_gap(lane, ix, lane.proven, None, GapReason::Truncation, detail, now_ns);
            (gap.from_time_ns, gap.to_time_ns) = (None, Some(now_ns));
            Box::new(gap)
        });
        self.leave(ix, Phase::Ended);
        gap
    }
}

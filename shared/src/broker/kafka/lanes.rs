//! The partitions that a source reads, and what to do when one of them cannot be read. No I/O: decisions only.
//!
//! **Unreadable messages.** The client tells of a batch that it cannot read (checksum, codec) by its *first* offset, and
//! then either goes on behind it or asks for it again for ever. Here the first telling is waited out (the next try may
//! work); the second, without a record between, steps over one position; and every position between the unreadable one
//! and the next record (or the end) is reported. So nothing is lost silently; the price is that a large damaged batch at
//! the end of a log is stepped over one position at a time.

use std::ops::Range;

use rustc_hash::FxHashMap;

use crate::record::StreamIx;

/// One partition.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) stream: StreamIx,
    pub(super) topic: String,
    pub(super) partition: i32,
    /// The next position that is wanted.
    pub(super) next: i64,
    /// The first position that could not be read and is not reported yet.
    unreadable: Option<i64>,
    /// Where the client told so last, if no record came since.
    told_at: Option<i64>,
}

/// All partitions.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    slots: Vec<Option<Lane>>,
    by_place: FxHashMap<(usize, i32), usize>,
    by_stream: FxHashMap<StreamIx, usize>,
    /// The place found last: messages come in runs of one partition.
    last: Option<(usize, i32, usize)>,
}

impl Lanes {
    /// Adds a partition under its topic's address; replaces one under the same stream number.
    pub(super) fn add(&mut self, address: usize, stream: StreamIx, topic: &str, partition: i32, next: i64) {
        self.remove(stream);
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let lane = Lane { stream, topic: topic.to_owned(), partition, next, unreadable: None, told_at: None };
        if slot == self.slots.len() {
            self.slots.push(Some(lane));
        } else {
            self.slots[slot] = Some(lane);
        }
        self.by_place.insert((address, partition), slot);
        self.by_stream.insert(stream, slot);
    }

    /// Removes a partition; messages of it that are still on their way find nothing.
    pub(super) fn remove(&mut self, stream: StreamIx) -> Option<Lane> {
        let slot = self.by_stream.remove(&stream)?;
        self.by_place.retain(|_, s| *s != slot);
        self.last = None;
        self.slots[slot].take()
    }

    /// The partition of a message.
    #[inline]
    pub(super) fn find(&mut self, address: usize, partition: i32) -> Option<&mut Lane> {
        let slot = match self.last {
            Some((a, p, slot)) if a == address && p == partition => slot,
            _ => {
                let slot = *self.by_place.get(&(address, partition))?;
                self.last = Some((address, partition, slot));
                slot
            }
        };
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) fn by_stream(&mut self, stream: StreamIx) -> Option<&mut Lane> {
        self.slots.get_mut(*self.by_stream.get(&stream)?)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.slots.iter().flatten()
    }

    /// Whether any partition of this topic is read.
    pub(super) fn has_topic(&self, topic: &str) -> bool {
        self.iter().any(|lane| lane.topic == topic)
    }
}

/// What to do about a message that the client cannot read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Wait: the client tries again, or goes on.
    Wait,
    /// Report these positions, and begin to read behind them.
    StepOver(Range<i64>),
}

impl Lane {
    /// Notes a record, or with `end` the end of the log, at `position`. Gives the positions before it that could not be
    /// read.
    #[inline]
    pub(super) fn arrived(&mut self, position: i64, end: bool) -> Range<i64> {
        self.next = if end { position } else { position + 1 };
        match self.unreadable {
            None => 0..0,
            Some(from) => {
                (self.unreadable, self.told_at) = (None, None);
                from..position
            }
        }
    }

    /// Notes that the client could not read at `position` (or at the position wanted, if that is later).
    pub(super) fn cannot_read(&mut self, position: i64) -> Unreadable {
        let at = position.max(self.next);
        let from = self.unreadable.map_or(at, |from| from.min(at));
        if self.told_at == Some(at) {
            self.next = at + 1;
            (self.unreadable, self.told_at) = (Some(self.next), Some(self.next));
            return Unreadable::StepOver(from..self.next);
        }
        (self.unreadable, self.told_at) = (Some(from), Some(at));
        Unreadable::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_finds_its_lane_until_it_is_removed() {
        let mut lanes = Lanes::default();
        lanes.add(100, 7, "a", 0, 5);
        lanes.add(100, 8, "a", 1, 6);
        lanes.add(200, 9, "b", 0, 0);
        assert_eq!(lanes.find(100, 1).map(|l| l.stream), Some(8));
        assert_eq!(lanes.find(100, 1).map(|l| l.stream), Some(8));
        assert_eq!(lanes.find(200, 0).map(|l| l.stream), Some(9));
        assert_eq!(lanes.remove(8).map(|l| l.next), Some(6));
        assert!(lanes.find(100, 1).is_none());
        lanes.add(100, 8, "a", 1, 42);
        assert_eq!(lanes.find(100, 1).map(|l| l.next), Some(42));
        assert!(lanes.has_topic("b"));
        lanes.remove(9);
        assert!(!lanes.has_topic("b"));
    }

    #[test]
    fn what_cannot_be_read_is_waited_out_once_then_stepped_over() {
        let mut lanes = Lanes::default();
        lanes.add(1, 0, "a", 0, 10);
        let lane = lanes.by_stream(0).expect("added");
        // The retry works: nothing lost.
        assert_eq!(lane.cannot_read(10), Unreadable::Wait);
        assert!(lane.arrived(10, false).is_empty());
        // The client goes on behind the batch 11..=14 by itself.
        assert_eq!(lane.cannot_read(11), Unreadable::Wait);
        assert_eq!(lane.arrived(15, false), 11..15);
        // It does not: step by step, told by the batch's first offset each time.
        assert_eq!(lane.cannot_read(16), Unreadable::Wait);
        assert_eq!(lane.cannot_read(16), Unreadable::StepOver(16..17));
        assert_eq!(lane.cannot_read(16), Unreadable::StepOver(17..18));
        assert!(lane.arrived(18, true).is_empty());
        assert_eq!(lane.next, 18);
        // One that it goes on behind, then one where it is stuck: both are reported.
        assert_eq!(lane.cannot_read(18), Unreadable::Wait);
        assert_eq!(lane.cannot_read(20), Unreadable::Wait);
        assert_eq!(lane.cannot_read(20), Unreadable::StepOver(18..21));
        assert!(lane.arrived(21, false).is_empty());
    }
}

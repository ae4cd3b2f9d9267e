//! A stream's books: every position between its start and the next one to read is accounted for exactly once.

use dejaq_shared::record::EPOCH_UNKNOWN;

/// What became of the positions of one stream, counted from its start in the recording (not from this capture's start).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// The first position that was asked for.
    pub start: i64,
    /// The next position to read.
    pub next: i64,
    /// The leader epoch of the last record, or [`EPOCH_UNKNOWN`].
    pub leader_epoch: i32,
    /// Records handed on to be written.
    pub written: u64,
    /// Positions that never held a deliverable record.
    pub holes: u64,
    /// Positions that were lost; each is inside a gap.
    pub lost: u64,
    /// Records left out by a rule.
    pub filtered: u64,
}

impl Books {
    /// The books of a stream that begins at `start`.
    #[must_use]
    pub fn new(start: i64) -> Self {
        Self { start, next: start, leader_epoch: EPOCH_UNKNOWN, written: 0, holes: 0, lost: 0, filtered: 0 }
    }

    /// Whether `next - start = written + holes + lost + filtered`.
    #[must_use]
    pub fn balanced(&self) -> bool {
        let counted = i128::from(self.written) + i128::from(self.holes) + i128::from(self.lost) + i128::from(self.filtered);
        i128::from(self.next) - i128::from(self.start) == counted
    }

    /// One record more, at `next`.
    #[inline]
    pub(crate) fn write_one(&mut self) {
        self.written += 1;
        self.next += 1;
    }

    /// The positions up to `to` hold nothing that could be delivered.
    #[inline]
    pub(crate) fn skip_holes_to(&mut self, to: i64) {
        if to > self.next {
            self.holes += to.abs_diff(self.next);
            self.next = to;
        }
    }

    /// The positions up to `to` are lost. Returns how many.
    pub(crate) fn lose_to(&mut self, to: i64) -> u64 {
        if to <= self.next {
            return 0;
        }
        let lost = to.abs_diff(self.next);
        self.lost += lost;
        self.next = to;
        lost
    }
}

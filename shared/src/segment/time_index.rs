//! When each block's records are, by the clocks that were chosen: what can be known of time order from the columns of
//! times alone.
//!
//! Memory: 16 bytes a block, and one bit a block and stream.

use std::ops::{Range, RangeInclusive};

use super::SegmentError;
use super::block_read::Block;
use super::recording::{BlockRef, Recording};
use super::timeline::{LaneTime, StreamClock, TimeStatistics};
use super::walk::each_block;
use crate::record::StreamIx;

/// The memory that blocks may take that are open at once.
pub const READ_BUDGET_BYTES: u64 = 64 << 20;
/// What a decoded record takes beside its raw bytes: its numbers, and where its strings are.
const RECORD_OVERHEAD_BYTES: u64 = 58;

/// When each block's records are, by the chosen clocks.
#[derive(Debug, Clone)]
pub struct TimeIndex {
    clocks: Vec<StreamClock>,
    statistics: Vec<TimeStatistics>,
    /// First and last time in each block; `None` where it could not be read.
    ranges: Vec<Option<(i64, i64)>>,
    /// For each stream a bit per block.
    presence: Vec<Vec<u64>>,
}

impl TimeIndex {
    /// Reads the times of a whole recording. `clocks` and `statistics` have an entry per stream.
    ///
    /// # Errors
    /// I/O.
    pub fn build(recording: &Recording, clocks: &[StreamClock], statistics: &[TimeStatistics]) -> Result<Self, SegmentError> {
        let words = recording.blocks.len().div_ceil(64);
        let mut index = Self {
            clocks: clocks.to_vec(),
            statistics: statistics.to_vec(),
            ranges: vec![None; recording.blocks.len()],
            presence: vec![vec![0; words]; recording.streams.len()],
        };
        let mut lanes: Vec<LaneTime> = index.lane_times().collect();
        let mut groups = Groups::default();
        let mut times = Vec::new();
        each_block(recording, |ix, block, numbers| {
            groups.group(block);
            let mut range: Option<(i64, i64)> = None;
            for (slot, number) in numbers.iter().enumerate() {
                lanes[*number as usize].times(block, groups.of(slot), &mut times);
                index.presence[*number as usize][ix / 64] |= 1 << (ix % 64);
                if let (Some(first), Some(last)) = (times.first(), times.last()) {
                    range = Some(range.map_or((*first, *last), |(low, high)| (low.min(*first), high.max(*last))));
                }
            }
            index.ranges[ix] = range;
        })?;
        Ok(index)
    }

    /// The first and the last time of all.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        let known = || self.ranges.iter().flatten();
        Some((known().map(|r| r.0).min()?, known().map(|r| r.1).max()?))
    }

    /// Whether the records in `window` can be read in order with no more blocks open than the read budget allows: 64 MiB,
    /// or twice the largest block.
    #[must_use]
    pub fn fits(&self, recording: &Recording, window: &RangeInclusive<i64>) -> bool {
        let largest = recording.blocks.iter().map(open_bytes).max().unwrap_or(0);
        self.open_bytes_max(recording, window) <= READ_BUDGET_BYTES.max(largest.saturating_mul(2))
    }

    /// First and last time in each block; `None` where they could not be read.
    pub(super) fn ranges(&self) -> &[Option<(i64, i64)>] {
        &self.ranges
    }

    /// Forgets a block that turned out to be unreadable: no stream has records in it.
    pub(super) fn forget(&mut self, block: usize) {
        for words in &mut self.presence {
            words[block / 64] &= !(1 << (block % 64));
        }
    }

    /// Each stream's clock, at its start.
    pub(super) fn lane_times(&self) -> impl Iterator<Item = LaneTime> {
        self.clocks.iter().zip(&self.statistics).map(|(clock, statistics)| LaneTime::new(*clock, statistics))
    }

    /// The most memory of blocks that are open at once when all records in `window` are read in order.
    #[must_use]
    pub fn open_bytes_max(&self, recording: &Recording, window: &RangeInclusive<i64>) -> u64 {
        let mut changes: Vec<(i64, bool, u64)> = Vec::new();
        for (range, block) in self.ranges.iter().zip(&recording.blocks) {
            // Of blocks before the window only the times are read; those after it are not opened.
            if let Some((first, last)) = range.filter(|(first, last)| last >= window.start() && first <= window.end()) {
                changes.push((first, false, open_bytes(block)));
                changes.push((last, true, open_bytes(block)));
            }
        }
        // At equal times blocks open before others close: the upper bound.
        changes.sort_unstable();
        let (mut open, mut most) = (0u64, 0u64);
        for (_, closes, bytes) in changes {
            open = if closes { open.saturating_sub(bytes) } else { open.saturating_add(bytes) };
            most = most.max(open);
        }
        most
    }

    pub(super) fn next_of(&self, stream: StreamIx, from: usize) -> Option<usize> {
        let words = &self.presence[stream as usize];
        let mut word = from / 64;
        let mut bits = words.get(word)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *words.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }
}

/// What a block takes while it is open.
fn open_bytes(block: &BlockRef) -> u64 {
    block.bytes_raw.saturating_add(u64::from(block.records) * RECORD_OVERHEAD_BYTES)
}

/// A block's records by stream.
#[derive(Debug, Default)]
pub(super) struct Groups {
    records: Vec<u32>,
    ends: Vec<u32>,
}

impl Groups {
    /// Groups a block's records anew.
    pub(super) fn group(&mut self, block: &Block) {
        self.ends.clear();
        let mut at = 0u32;
        let mut next: Vec<u32> = Vec::with_capacity(block.head.streams.len());
        for stream in &block.head.streams {
            next.push(at);
            at += stream.records;
            self.ends.push(at);
        }
        self.records.resize(at as usize, 0);
        for (record, slot) in (0u32..).zip(block.slots()) {
            let place = &mut next[*slot as usize];
            // Rows and runs were checked to agree in total; a row that lies about its share must not run over.
            if let Some(to) = self.records.get_mut(*place as usize) {
                *to = record;
            }
            *place += 1;
        }
    }

    /// Where the records of a block's stream stand.
    pub(super) fn range(&self, slot: usize) -> Range<usize> {
        let start = slot.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[slot] as usize
    }

    /// A stream's records, as indices into the block.
    pub(super) fn of(&self, slot: usize) -> &[u32] {
        self.in_range(self.range(slot))
    }

    /// The same for a range that [`Groups::range`] gave.
    pub(super) fn in_range(&self, range: Range<usize>) -> &[u32] {
        &self.records[range]
    }
}

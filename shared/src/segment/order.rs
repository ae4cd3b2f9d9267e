//! The records of a recording in time order.
//!
//! # What it guarantees
//! - Records come by the time of their stream's clock; equal times in the order of the streams' numbers; order within a
//!   stream always wins. The same recording gives the same order on any machine.
//! - Only blocks whose time range covers the cursor are open. Whether these fit the read budget is known before the first
//!   record ([`TimeIndex::fits`]); where they do not, [`super::sort`] is the way, and [`super::ordered`] chooses.
//! - A damaged block costs that block and is told by [`TimeOrder::damages`].
//!
//! Memory: the open blocks, and the index.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::SegmentError;
use super::block_read::{Block, Wanted};
use super::reader::BlockReader;
use super::recording::Recording;
use super::scan::Damage;
use super::time_index::{Groups, TimeIndex};
use super::timeline::LaneTime;
use crate::record::{Record, StreamIx};

/// Segment files held open.
const FILES_MAX: usize = 16;

struct OpenBlock {
    block: Block,
    groups: Groups,
    /// The recording's numbers of its streams.
    lanes: Vec<StreamIx>,
    remaining: usize,
}

struct Slice {
    /// The block, in storage order.
    block_ix: usize,
    /// Where it is open.
    slot: usize,
    /// Its records there.
    range: std::ops::Range<usize>,
}

struct Lane {
    time: LaneTime,
    waiting: VecDeque<Slice>,
    current: Option<Slice>,
    times: Vec<i64>,
    cursor: usize,
    /// The block that the next records of this stream are in, or a later one.
    next_block: usize,
}

/// What has no place in the order: damage found on opening, and blocks whose times could not be read.
pub(super) fn unread(recording: &Recording, index: &TimeIndex) -> Vec<(u32, Damage)> {
    let opening = (0u32..).zip(&recording.segments).flat_map(|(number, s)| s.damages.iter().map(move |d| (number, d.clone())));
    let timeless = recording.blocks.iter().zip(index.ranges()).filter(|(_, range)| range.is_none()).map(|(at, _)| {
        let what = format!("the times of a block of {} records cannot be read", at.records);
        (at.segment, Damage { from: at.offset, to: at.offset + u64::from(at.bytes_stored), what })
    });
    opening.chain(timeless).collect()
}

/// A lending iterator over all records, by time.
pub struct TimeOrder {
    recording: Arc<Recording>,
    index: Arc<TimeIndex>,
    window: RangeInclusive<i64>,
    /// Blocks by their first time.
    schedule: Vec<(i64, usize)>,
    scheduled: usize,
    open: Vec<Option<OpenBlock>>,
    free: Vec<OpenBlock>,
    lanes: Vec<Lane>,
    heap: BinaryHeap<Reverse<(i64, StreamIx)>>,
    reader: BlockReader,
    files: VecDeque<(u32, File)>,
    damages: Vec<(u32, Damage)>,
}

impl TimeOrder {
    /// Begins at the first record whose time lies in `window` (nanoseconds since 1970). The caller has asked
    /// [`TimeIndex::fits`]: it opens as many blocks as the order takes.
    ///
    /// # Errors
    /// When zstd cannot have its memory.
    pub fn new(recording: Arc<Recording>, index: Arc<TimeIndex>, window: RangeInclusive<i64>) -> Result<Self, SegmentError> {
        let mut schedule: Vec<(i64, usize)> =
            index.ranges().iter().enumerate().filter_map(|(ix, range)| range.map(|(first, _)| (first, ix))).collect();
        schedule.sort_unstable();
        let lanes = index.lane_times().map(|time| Lane {
            time,
            waiting: VecDeque::new(),
            current: None,
            times: Vec::new(),
            cursor: 0,
            next_block: 0,
        });
        Ok(Self {
            damages: unread(&recording, &index),
            lanes: lanes.collect(),
            recording,
            index,
            window,
            schedule,
            scheduled: 0,
            open: Vec::new(),
            free: Vec::new(),
            heap: BinaryHeap::new(),
            reader: BlockReader::new()?,
            files: VecDeque::new(),
        })
    }

    /// What could not be read, by segment: its records are missing from the order. What has no readable times is told
    /// from the start, whatever the window.
    #[must_use]
    pub fn damages(&self) -> &[(u32, Damage)] {
        &self.damages
    }

    /// Hands over at least one record, and about `records_max`, with their times. Returns how many; 0 is the end.
    ///
    /// # Errors
    /// I/O, or something that must be understood.
    pub fn next_batch(&mut self, records_max: usize, f: &mut dyn FnMut(i64, &Record<'_>)) -> Result<usize, SegmentError> {
        let mut handed = 0;
        while handed < records_max {
            self.open_due()?;
            let Some(Reverse((time, stream))) = self.heap.pop() else { break };
            if time > *self.window.end() {
                self.heap.clear();
                self.scheduled = self.schedule.len();
                break;
            }
            // This stream goes on while it is before all others and before the next block.
            let others = self.heap.peek().map_or((i64::MAX, StreamIx::MAX), |Reverse(next)| *next);
            let opens_at = self.schedule.get(self.scheduled).map_or(i64::MAX, |(first, _)| *first);
            handed += self.emit(stream, others, opens_at, records_max - handed, f);
        }
        Ok(handed)
    }

    fn emit(
        &mut self,
        stream: StreamIx,
        others: (i64, StreamIx),
        opens_at: i64,
        records_max: usize,
        f: &mut dyn FnMut(i64, &Record<'_>),
    ) -> usize {
        let lane = &mut self.lanes[stream as usize];
        let Some(slice) = &lane.current else { return 0 };
        let Some(open) = self.open[slice.slot].as_mut() else { return 0 };
        let records = open.groups.in_range(slice.range.clone());
        let start = lane.cursor;
        let mut handed = 0;
        while let Some(&time) = lane.times.get(lane.cursor) {
            // The first one is due: it was on top.
            let due = lane.cursor == start || ((time, stream) < others && time < opens_at);
            if !due || handed >= records_max || time > *self.window.end() {
                break;
            }
            if time >= *self.window.start() {
                let record = Record { stream, ..open.block.record(records[lane.cursor] as usize) };
                f(time, &record);
                handed += 1;
            }
            lane.cursor += 1;
        }
        open.remaining -= lane.cursor - start;
        if let Some(&time) = lane.times.get(lane.cursor) {
            self.heap.push(Reverse((time, stream)));
            return handed;
        }
        let (slot, block_ix) = (slice.slot, slice.block_ix);
        lane.current = None;
        lane.next_block = block_ix + 1;
        if open.remaining == 0 {
            self.free.extend(self.open[slot].take());
        }
        self.activate(stream);
        handed
    }

    /// Opens every block that begins at or before the earliest record in hand.
    fn open_due(&mut self) -> Result<(), SegmentError> {
        while let Some(&(first, ix)) = self.schedule.get(self.scheduled) {
            if self.heap.peek().is_some_and(|Reverse((time, _))| *time < first) || first > *self.window.end() {
                break;
            }
            self.scheduled += 1;
            self.open_block(ix)?;
        }
        Ok(())
    }

    fn open_block(&mut self, ix: usize) -> Result<(), SegmentError> {
        let at = self.recording.blocks[ix];
        let mut fresh = self.free.pop().unwrap_or_else(|| OpenBlock {
            block: Block::default(),
            groups: Groups::default(),
            lanes: Vec::new(),
            remaining: 0,
        });
        let ends_before = self.index.ranges()[ix].is_some_and(|(_, last)| last < *self.window.start());
        let wanted = if ends_before { Wanted::TIMES } else { Wanted::ALL };
        self.ensure_file(at.segment)?;
        let segment = &self.recording.segments[at.segment as usize];
        let file = &self.files[0].1;
        match self.reader.read(file, &segment.path, &segment.header.segment.sync, at, wanted, &mut fresh.block) {
            Ok(()) => {}
            Err(SegmentError::Damaged { offset, what, .. }) => {
                self.damages.push((at.segment, Damage { from: offset, to: offset + u64::from(at.bytes_stored), what }));
                self.skip_block(ix);
                return Ok(());
            }
            Err(other) => return Err(other),
        }
        fresh.lanes.clear();
        fresh.lanes.extend(fresh.block.head.streams.iter().filter_map(|s| segment.streams.get(&s.stream)));
        fresh.groups.group(&fresh.block);
        fresh.remaining = fresh.block.len();
        let slot = self.open.iter().position(Option::is_none).unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        let touched = fresh.lanes.clone();
        for (row, stream) in touched.iter().enumerate() {
            let lane = &mut self.lanes[*stream as usize];
            let place = lane.waiting.partition_point(|s| s.block_ix < ix);
            lane.waiting.insert(place, Slice { block_ix: ix, slot, range: fresh.groups.range(row) });
        }
        self.open[slot] = Some(fresh);
        for stream in touched {
            self.activate(stream);
        }
        Ok(())
    }

    /// Takes up a stream's next records, if the block that holds them is open.
    fn activate(&mut self, stream: StreamIx) {
        let lane = &mut self.lanes[stream as usize];
        if lane.current.is_some() {
            return;
        }
        let expected = self.index.next_of(stream, lane.next_block);
        let Some(slice) = lane.waiting.pop_front_if(|slice| Some(slice.block_ix) == expected) else { return };
        if let Some(open) = &self.open[slice.slot] {
            lane.time.times(&open.block, open.groups.in_range(slice.range.clone()), &mut lane.times);
            lane.cursor = 0;
            if let Some(first) = lane.times.first() {
                self.heap.push(Reverse((*first, stream)));
            }
        }
        lane.current = Some(slice);
    }

    /// Forgets a block that cannot be read, so that no stream waits for it.
    fn skip_block(&mut self, ix: usize) {
        Arc::make_mut(&mut self.index).forget(ix);
        for stream in 0..self.lanes.len() {
            self.activate(StreamIx::try_from(stream).unwrap_or(StreamIx::MAX));
        }
    }

    /// Brings the segment's file to the front of those that are open.
    fn ensure_file(&mut self, segment: u32) -> Result<(), SegmentError> {
        let there = self.files.iter().position(|(number, _)| *number == segment).and_then(|at| self.files.remove(at));
        let file = match there {
            Some(file) => file,
            None => {
                let path = &self.recording.segments[segment as usize].path;
                (segment, File::open(path).map_err(SegmentError::io("opening", path))?)
            }
        };
        self.files.push_front(file);
        self.files.truncate(FILES_MAX);
        Ok(())
    }
}

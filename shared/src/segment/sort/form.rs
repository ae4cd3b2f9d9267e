//! Forming the runs: records in storage order, sorted as many at a time as memory holds.

use std::ops::RangeInclusive;
use std::path::Path;

use super::merge::merge_down;
use super::run::{Run, RunWriter, Scratch};
use super::{SortLimits, entry};
use crate::record::StreamIx;
use crate::segment::SegmentError;
use crate::segment::block_read::{Block, Wanted};
use crate::segment::order::unread;
use crate::segment::recording::Recording;
use crate::segment::scan::Damage;
use crate::segment::time_index::{Groups, TimeIndex};
use crate::segment::timeline::LaneTime;
use crate::segment::walk::walk_blocks;

/// How far sorting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortProgress {
    /// Key, value and header bytes of the blocks read so far.
    pub done_bytes: u64,
    /// The same of all blocks that are to be read.
    pub all_bytes: u64,
    /// What the scratch takes of the disk now.
    pub scratch_bytes: u64,
}

/// Sorted records in scratch.
#[derive(Debug)]
pub struct Sorted {
    pub(super) scratch: Scratch,
    pub(super) runs: Vec<Run>,
    damages: Vec<(u32, Damage)>,
}

impl Sorted {
    /// Sorts the records of `recording` whose time lies in `window` (nanoseconds since 1970) into scratch in `dir`.
    ///
    /// # Errors
    /// I/O; [`SegmentError::ScratchTooSmall`] as soon as it shows that the disk will not hold it.
    pub fn form(
        recording: &Recording,
        index: &TimeIndex,
        window: &RangeInclusive<i64>,
        dir: &Path,
        limits: &SortLimits,
        progress: &mut dyn FnMut(SortProgress),
    ) -> Result<Self, SegmentError> {
        let wanted = |ix: usize| wanted(index.ranges()[ix], window);
        let bytes_of = |ix: usize| recording.blocks[ix].bytes_raw;
        let all_bytes = (0..recording.blocks.len()).filter(|ix| wanted(*ix) == Some(Wanted::ALL)).map(bytes_of).sum();
        let mut forming = Forming {
            lanes: index.lane_times().collect(),
            window: window.clone(),
            limits: *limits,
            groups: Groups::default(),
            times: Vec::new(),
            block_times: Vec::new(),
            arena: Vec::new(),
            keys: Vec::new(),
            writer: RunWriter::new(limits.chunk_bytes)?,
            scratch: Scratch::new(dir)?,
            runs: Vec::new(),
        };
        let mut damages = unread(recording, index);
        let mut done_bytes = 0;
        walk_blocks(recording, wanted, |ix, met| {
            match met {
                Ok((block, lanes)) => forming.take(block, lanes, |runs_before, scratch| {
                    // Each run tells more exactly what all of them will take.
                    if runs_before > 0 { check_room(recording, dir, scratch, done_bytes, all_bytes) } else { Ok(()) }
                })?,
                // What cannot be read at all is among the damages already.
                Err(damage) if index.ranges()[ix].is_some() => damages.push((recording.blocks[ix].segment, damage)),
                Err(_) => {}
            }
            if wanted(ix) == Some(Wanted::ALL) {
                done_bytes += bytes_of(ix);
                progress(SortProgress { done_bytes, all_bytes, scratch_bytes: forming.scratch.bytes() });
            }
            Ok(())
        })?;
        forming.close_run()?;
        let (scratch, runs) = forming.done();
        let formed_bytes = scratch.bytes();
        let mut merging = |bytes: u64| progress(SortProgress { done_bytes: all_bytes, all_bytes, scratch_bytes: formed_bytes + bytes });
        let (scratch, runs) = merge_down(scratch, runs, limits, dir, &mut merging)?;
        Ok(Self { scratch, runs, damages })
    }

    /// What it takes of the disk.
    #[must_use]
    pub fn scratch_bytes(&self) -> u64 {
        self.scratch.bytes()
    }

    /// What could not be read, by segment: its records are missing from the order.
    #[must_use]
    pub fn damages(&self) -> &[(u32, Damage)] {
        &self.damages
    }
}

/// What is read of a block with this range of times: outside of the window only times, for a stream's order goes on from
/// them: a record never comes before its predecessor, and that may lie in a block after the window.
fn wanted(range: Option<(i64, i64)>, window: &RangeInclusive<i64>) -> Option<Wanted> {
    match range {
        Some((first, last)) if first > *window.end() || last < *window.start() => Some(Wanted::TIMES),
        Some(_) => Some(Wanted::ALL),
        None => None,
    }
}

fn check_room(recording: &Recording, dir: &Path, scratch: &Scratch, done_bytes: u64, all_bytes: u64) -> Result<(), SegmentError> {
    let share = u128::from(scratch.bytes()) * u128::from(all_bytes) / u128::from(done_bytes.max(1));
    let needed_bytes = u64::try_from(share).unwrap_or(u64::MAX);
    let free_bytes = scratch.free_bytes()?;
    if needed_bytes.saturating_sub(scratch.bytes()) > free_bytes {
        let (recording, path) = (recording.dir.clone(), dir.to_owned());
        return Err(SegmentError::ScratchTooSmall { recording, path, needed_bytes, free_bytes: free_bytes + scratch.bytes() });
    }
    Ok(())
}

struct Forming {
    lanes: Vec<LaneTime>,
    window: RangeInclusive<i64>,
    limits: SortLimits,
    groups: Groups,
    times: Vec<i64>,
    block_times: Vec<i64>,
    arena: Vec<u8>,
    /// Time, stream and place in the arena: the place is the order within the stream.
    keys: Vec<(i64, StreamIx, u32)>,
    writer: RunWriter,
    scratch: Scratch,
    runs: Vec<Run>,
}

impl Forming {
    fn take(
        &mut self,
        block: &Block,
        lanes: &[StreamIx],
        mut before_run: impl FnMut(usize, &Scratch) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        self.groups.group(block);
        self.block_times.resize(block.len(), 0);
        for (slot, lane) in lanes.iter().enumerate() {
            self.lanes[*lane as usize].times(block, self.groups.of(slot), &mut self.times);
            for (record, time) in self.groups.of(slot).iter().zip(&self.times) {
                self.block_times[*record as usize] = *time;
            }
        }
        for (ix, slot) in block.slots().iter().enumerate() {
            let time = self.block_times[ix];
            if !self.window.contains(&time) {
                continue;
            }
            let record = block.record(ix);
            if !self.keys.is_empty() && self.bytes() + record.bytes_raw() > self.limits.run_bytes {
                before_run(self.runs.len(), &self.scratch)?;
                self.close_run()?;
            }
            let stream = lanes[*slot as usize];
            // Bounded by run_bytes and one record: both far below 4 GiB.
            self.keys.push((time, stream, u32::try_from(self.arena.len()).unwrap_or(u32::MAX)));
            entry::write(&mut self.arena, stream, &record);
        }
        Ok(())
    }

    /// What was formed; the memory for forming is given back.
    fn done(self) -> (Scratch, Vec<Run>) {
        (self.scratch, self.runs)
    }

    fn bytes(&self) -> usize {
        self.arena.len() + self.keys.len() * size_of::<(i64, StreamIx, u32)>()
    }

    fn close_run(&mut self) -> Result<(), SegmentError> {
        if self.keys.is_empty() {
            return Ok(());
        }
        self.keys.sort_unstable();
        for (time, _, start) in &self.keys {
            let from = &self.arena[*start as usize..];
            let length = entry::length(from).unwrap_or(from.len());
            self.writer.push(&mut self.scratch, *time, &from[..length])?;
        }
        self.runs.push(self.writer.finish(&mut self.scratch)?);
        self.keys.clear();
        self.arena.clear();
        Ok(())
    }
}

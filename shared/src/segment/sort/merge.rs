//! Merging runs: the smallest time first, then the smallest stream, then the earliest run, which is the order within a
//! stream.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::form::Sorted;
use super::run::{ChunkReader, Run, RunReader, Scratch};
use super::{SortLimits, entry};
use crate::record::{Record, StreamIx};
use crate::segment::SegmentError;

/// What a reader of one run takes beside its largest chunk.
const READER_BYTES: usize = 1 << 10;

/// Takes an entry: its time and its bytes.
type TakeEntry<'a> = dyn FnMut(i64, &[u8]) -> Result<(), SegmentError> + 'a;

/// Runs side by side, in memory with one chunk each.
struct Tournament {
    readers: Vec<RunReader>,
    heap: BinaryHeap<Reverse<(i64, StreamIx, usize)>>,
}

impl Tournament {
    fn new(runs: &[Run], scratch: &Scratch, chunks: &mut ChunkReader) -> Result<Self, SegmentError> {
        let mut this = Self { readers: runs.iter().map(|run| RunReader::new(*run)).collect(), heap: BinaryHeap::with_capacity(runs.len()) };
        for run in 0..this.readers.len() {
            if let Some(key) = this.next_of(run, scratch, chunks)? {
                this.heap.push(Reverse(key));
            }
        }
        Ok(this)
    }

    /// Goes on in a run: the key of its next entry.
    fn next_of(&mut self, run: usize, scratch: &Scratch, chunks: &mut ChunkReader) -> Result<Option<(i64, StreamIx, usize)>, SegmentError> {
        let reader = &mut self.readers[run];
        if !reader.advance(scratch, chunks)? {
            return Ok(None);
        }
        let stream = entry::stream(reader.entry()).ok_or_else(|| scratch.malformed(reader.offset()))?;
        Ok(Some((reader.time(), stream, run)))
    }

    /// Hands over the next entries, at most `max`, and returns how many; 0 is the end.
    fn each(&mut self, scratch: &Scratch, chunks: &mut ChunkReader, max: usize, f: &mut TakeEntry<'_>) -> Result<usize, SegmentError> {
        let mut handed = 0;
        while handed < max {
            let Some(Reverse((_, _, run))) = self.heap.pop() else { break };
            // This run goes on while it is before all others.
            let others = self.heap.peek().map(|Reverse(key)| *key);
            loop {
                f(self.readers[run].time(), self.readers[run].entry())?;
                handed += 1;
                let Some(key) = self.next_of(run, scratch, chunks)? else { break };
                if handed >= max || others.is_some_and(|others| others < key) {
                    self.heap.push(Reverse(key));
                    break;
                }
            }
        }
        Ok(handed)
    }
}

/// Merges neighbouring runs until what is left can be read side by side. Returns the scratch file that holds the rest:
/// the one before is given back to the disk.
pub(super) fn merge_down(
    mut scratch: Scratch,
    mut runs: Vec<Run>,
    limits: &SortLimits,
    dir: &std::path::Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(Scratch, Vec<Run>), SegmentError> {
    let mut chunks = ChunkReader::new()?;
    loop {
        let groups = groups(&runs, limits.merge_bytes);
        if groups.len() <= 1 {
            return Ok((scratch, runs));
        }
        let (mut next, mut longer) = (Scratch::new(dir)?, Vec::with_capacity(groups.len()));
        let mut writer = super::run::RunWriter::new(limits.chunk_bytes)?;
        for group in groups {
            let mut tournament = Tournament::new(&runs[group], &scratch, &mut chunks)?;
            tournament.each(&scratch, &mut chunks, usize::MAX, &mut |time, entry| writer.push(&mut next, time, entry))?;
            longer.push(writer.finish(&mut next)?);
            progress(next.bytes());
        }
        (scratch, runs) = (next, longer);
    }
}

/// Neighbours whose largest chunks fit into `bytes` together; two at least, or nothing would become less.
fn groups(runs: &[Run], bytes: usize) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (ix, run) in runs.iter().enumerate() {
        let needs = run.chunk_bytes_max + READER_BYTES;
        if sum + needs > bytes && ix - start >= 2 {
            groups.push(start..ix);
            (start, sum) = (ix, 0);
        }
        sum += needs;
    }
    if start < runs.len() {
        groups.push(start..runs.len());
    }
    groups
}

/// A lending iterator over sorted records, by time. Several may read the same [`Sorted`].
pub struct Merge {
    sorted: Arc<Sorted>,
    chunks: ChunkReader,
    tournament: Tournament,
}

impl Merge {
    /// Begins at the first record.
    ///
    /// # Errors
    /// [`SegmentError`] when the scratch file cannot be read back.
    pub fn new(sorted: Arc<Sorted>) -> Result<Self, SegmentError> {
        let mut chunks = ChunkReader::new()?;
        let tournament = Tournament::new(&sorted.runs, &sorted.scratch, &mut chunks)?;
        Ok(Self { sorted, chunks, tournament })
    }

    /// Hands over the next records, at most `records_max`, with their times. Returns how many; 0 is the end.
    ///
    /// # Errors
    /// [`SegmentError`] when the scratch file cannot be read back.
    pub fn next_batch(&mut self, records_max: usize, f: &mut dyn FnMut(i64, &Record<'_>)) -> Result<usize, SegmentError> {
        let scratch = &self.sorted.scratch;
        self.tournament.each(scratch, &mut self.chunks, records_max, &mut |time, entry| {
            f(time, &entry::read(entry).ok_or_else(|| scratch.malformed(0))?);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_what_fits_and_two_at_least() {
        let of = |chunks: &[usize], bytes| {
            let runs: Vec<Run> = chunks.iter().map(|c| Run::of_chunk(*c)).collect();
            groups(&runs, bytes).into_iter().map(|g| (g.start, g.end)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[1_000, 1_000, 1_000], 10_000), [(0, 3)]);
        assert_eq!(of(&[1_000, 1_000, 1_000], 5_000), [(0, 2), (2, 3)]);
        assert_eq!(of(&[9_000, 9_000, 9_000, 9_000, 9_000], 1), [(0, 2), (2, 4), (4, 5)]);
        assert_eq!(of(&[], 1), []);
    }
}

//! A recording's records in time order, by the cheaper way that fits into memory: from its blocks as they are
//! ([`super::order`]), or through scratch ([`super::sort`]). Both give the same.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::SegmentError;
use super::order::TimeOrder;
use super::recording::Recording;
use super::scan::Damage;
use super::sort::{Merge, SortLimits, SortProgress, Sorted};
use super::time_index::TimeIndex;
use crate::record::Record;

/// What sorting took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCost {
    /// Memory of the blocks that would have had to be open at once, in bytes.
    pub open_bytes: u64,
    /// Scratch on the disk, in bytes.
    pub scratch_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

enum Way {
    Blocks(TimeOrder),
    Scratch { sorted: Arc<Sorted>, merge: Merge, cost: SortCost },
}

/// A lending iterator over all records in a window, by time; it can begin again.
pub struct Ordered {
    recording: Arc<Recording>,
    index: Arc<TimeIndex>,
    window: RangeInclusive<i64>,
    way: Way,
}

impl Ordered {
    /// Begins at the first record whose time lies in `window` (nanoseconds since 1970). If the blocks that overlap in time
    /// exceed the read budget, the records are first sorted into scratch in the directory `scratch`, and `progress` is
    /// called meanwhile.
    ///
    /// # Errors
    /// I/O; [`SegmentError::ScratchTooSmall`].
    pub fn open(
        recording: Arc<Recording>,
        index: Arc<TimeIndex>,
        window: RangeInclusive<i64>,
        scratch: &Path,
        progress: &mut dyn FnMut(SortProgress),
    ) -> Result<Self, SegmentError> {
        let way = if index.fits(&recording, &window) {
            Way::Blocks(TimeOrder::new(Arc::clone(&recording), Arc::clone(&index), window.clone())?)
        } else {
            let began = Instant::now();
            let sorted = Arc::new(Sorted::form(&recording, &index, &window, scratch, &SortLimits::default(), progress)?);
            let open_bytes = index.open_bytes_max(&recording, &window);
            let cost = SortCost { open_bytes, scratch_bytes: sorted.scratch_bytes(), took: began.elapsed() };
            Way::Scratch { merge: Merge::new(Arc::clone(&sorted))?, sorted, cost }
        };
        Ok(Self { recording, index, window, way })
    }

    /// Hands over at least one record unless at the end, and about `records_max`, with their times. Returns how many; 0 is
    /// the end.
    ///
    /// # Errors
    /// I/O, or something that must be understood.
    pub fn next_batch(&mut self, records_max: usize, f: &mut dyn FnMut(i64, &Record<'_>)) -> Result<usize, SegmentError> {
        match &mut self.way {
            Way::Blocks(order) => order.next_batch(records_max, f),
            Way::Scratch { merge, .. } => merge.next_batch(records_max, f),
        }
    }

    /// Goes back to the first record.
    ///
    /// # Errors
    /// I/O.
    pub fn rewind(&mut self) -> Result<(), SegmentError> {
        match &mut self.way {
            Way::Blocks(order) => *order = TimeOrder::new(Arc::clone(&self.recording), Arc::clone(&self.index), self.window.clone())?,
            Way::Scratch { merge, sorted, .. } => *merge = Merge::new(Arc::clone(sorted))?,
        }
        Ok(())
    }

    /// What could not be read so far, by segment: its records are missing from the order.
    #[must_use]
    pub fn damages(&self) -> &[(u32, Damage)] {
        match &self.way {
            Way::Blocks(order) => order.damages(),
            Way::Scratch { sorted, .. } => sorted.damages(),
        }
    }

    /// What sorting took; `None` if the recording's blocks were read as they are.
    #[must_use]
    pub fn sort_cost(&self) -> Option<SortCost> {
        match &self.way {
            Way::Blocks(_) => None,
            Way::Scratch { cost, .. } => Some(*cost),
        }
    }

    /// The recording that is read.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// When its blocks are.
    #[must_use]
    pub fn index(&self) -> &TimeIndex {
        &self.index
    }
}

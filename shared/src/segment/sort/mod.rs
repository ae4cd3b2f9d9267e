//! Time order for any disorder in flat memory: an external merge sort.
//!
//! # What it guarantees
//! - The same records with the same times in the same order as [`TimeOrder`](super::order::TimeOrder) would give with
//!   enough memory: by time, then by the stream's number, order within a stream first.
//! - Memory does not grow with the recording: [`SortLimits`].
//! - The scratch file has no name (it is unlinked as soon as it is made), so that nothing of it is left however the
//!   process ends; nobody else can read it. Its bytes are checksummed: a disk that lies is an error, not another order.
//! - A damaged block costs that block, and is told.
//!
//! # How
//! Blocks are read in storage order; `form` collects their records until [`SortLimits::run_bytes`] are in hand, sorts
//! them, and writes them as a *run* of compressed chunks (`run`; `entry` is a record in it). `merge` reads all runs
//! side by side, one chunk of each in memory; when there are too many for [`SortLimits::merge_bytes`], neighbours are merged
//! into longer runs first. Each record is written once, or once more for each such level: the default limits need a second
//! level from about 12 GiB of records on.
//!
//! Runs keep each record's time. A copy in the segment format would have to derive it anew, and records that share a
//! millisecond would be spread differently inside it.

mod entry;
mod form;
mod merge;
mod run;

pub use form::{SortProgress, Sorted};
pub use merge::Merge;

/// How much memory sorting may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortLimits {
    /// Records, encoded, that are sorted at once; a larger record is sorted alone. Beside them 16 bytes a record.
    pub run_bytes: usize,
    /// Chunks, raw, that are open at once in a merge; two at least.
    pub merge_bytes: usize,
    /// A chunk is closed when it has this many raw bytes.
    pub chunk_bytes: usize,
}

impl Default for SortLimits {
    fn default() -> Self {
        Self { run_bytes: 48 << 20, merge_bytes: 64 << 20, chunk_bytes: 256 << 10 }
    }
}

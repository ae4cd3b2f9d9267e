//! What the writer thread needs of a recording. A trait so that tests can make each of its steps fail.

use dejaq_shared::record::{Gap, Stream, StreamIx};
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::block::EncodedBlock;

use crate::intake::LaneBooks;

/// Makes what was written before it was made durable. Runs on a thread of its own.
pub(crate) trait Syncer: Send + 'static {
    /// Syncs, and says how many frames of its segment are durable.
    fn sync(&mut self) -> Result<u64, SegmentError>;
}

/// A recording that is being written. Each call appends.
pub(crate) trait Recorder: Send + 'static {
    type Syncer: Syncer;
    /// Adds streams; when it returns they and their starts are synced.
    fn add_streams(&mut self, new: &[(Stream, i64)]) -> Result<Vec<StreamIx>, SegmentError>;
    fn block(&mut self, block: &EncodedBlock) -> Result<(), SegmentError>;
    fn gap(&mut self, gap: &Gap) -> Result<(), SegmentError>;
    fn attachment(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), SegmentError>;
    fn ancestor(&mut self, cluster: &str) -> Result<(), SegmentError>;
    fn checkpoint(&mut self, books: &[LaneBooks]) -> Result<(), SegmentError>;
    /// For one sync of what has been written so far.
    fn syncer(&mut self) -> Result<Self::Syncer, SegmentError>;
    /// So many frames of the segment are known to be durable.
    fn note_durable(&mut self, frames: u64);
    /// Whether the segment is full or old enough to be sealed and the next one begun.
    fn roll_due(&self, now_ns: u64) -> bool;
    /// Seals the segment and begins the next, which starts with a checkpoint.
    fn roll(&mut self, books: &[LaneBooks]) -> Result<(), SegmentError>;
    /// Seals and syncs the last segment.
    fn seal(self) -> Result<(), SegmentError>;
    /// After an error of another call: keeps what is whole and seals it where that can still be done.
    fn give_up(self);
}

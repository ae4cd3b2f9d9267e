//! Syncing beside the writing.

use std::fs::File;
use std::path::PathBuf;

use crate::segment::SegmentError;
use crate::segment::store::Append;

/// Syncs an open segment from another thread.
#[derive(Debug)]
pub struct SyncTicket<F = File> {
    pub(super) file: F,
    pub(super) path: PathBuf,
    pub(super) segment: u64,
    pub(super) frames: u64,
}

impl<F: Append> SyncTicket<F> {
    /// Returns when all frames that were written when the ticket was made are on stable storage.
    ///
    /// # Errors
    /// The operating system's: what was not synced must be taken as lost.
    pub fn sync(&self) -> Result<(), SegmentError> {
        self.file.sync().map_err(SegmentError::io("syncing", &self.path))
    }
}

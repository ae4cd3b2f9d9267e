//! What the writer thread needs of a recording. A trait so that tests can make each of its steps fail.

use dejaq_shared::record::{Gap, Stream, StreamIx};
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::block::EncodedBlock;
use dejaq_shared::segment::meta::StreamBooksV1;
use dejaq_shared::segment::recording_writer::{RecordingWriter, SyncTicket};

use crate::intake::LaneBooks;

/// What is to be synced, on a thread of its own.
pub(crate) trait Ticket: Send + 'static {
    /// Returns when everything that was written before the ticket was made is on stable storage.
    fn sync(&self) -> Result<(), SegmentError>;
}

/// A recording that is being written. Each call appends.
pub(crate) trait Recorder: Send + 'static {
    type Ticket: Ticket;
    /// Adds streams; when it returns they and their starts are synced.
    fn add_streams(&mut self, new: &[(Stream, i64)]) -> Result<Vec<StreamIx>, SegmentError>;
    fn block(&mut self, block: &EncodedBlock) -> Result<(), SegmentError>;
    fn gap(&mut self, gap: &Gap) -> Result<(), SegmentError>;
    fn attachment(&mut self, name: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), SegmentError>;
    fn ancestor(&mut self, cluster: &str) -> Result<(), SegmentError>;
    fn checkpoint(&mut self, books: &[LaneBooks]) -> Result<(), SegmentError>;
    /// For one sync of what has been written so far; `None` when there is nothing to sync.
    fn ticket(&mut self) -> Result<Option<Self::Ticket>, SegmentError>;
    /// A ticket was synced.
    fn note_synced(&mut self, ticket: &Self::Ticket);
    /// Whether the segment is full or old enough.
    fn roll_due(&self) -> bool;
    /// Seals the segment and begins the next, which starts with a checkpoint.
    fn roll(&mut self) -> Result<(), SegmentError>;
    /// Bytes of the whole recording.
    fn bytes_stored(&self) -> u64;
    /// Seals and syncs the last segment: also after an error of another call, which has left it at its last whole frame.
    fn seal(self) -> Result<(), SegmentError>;
}

impl Ticket for SyncTicket {
    fn sync(&self) -> Result<(), SegmentError> {
        Self::sync(self)
    }
}

impl Recorder for RecordingWriter {
    type Ticket = SyncTicket;

    fn add_streams(&mut self, new: &[(Stream, i64)]) -> Result<Vec<StreamIx>, SegmentError> {
        Self::add_streams(self, new)
    }

    fn block(&mut self, block: &EncodedBlock) -> Result<(), SegmentError> {
        Self::block(self, block)
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), SegmentError> {
        Self::gap(self, gap)
    }

    fn attachment(&mut self, name: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), SegmentError> {
        Self::attachment(self, name, media_type, bytes)
    }

    fn ancestor(&mut self, cluster: &str) -> Result<(), SegmentError> {
        Self::ancestor(self, cluster)
    }

    fn checkpoint(&mut self, books: &[LaneBooks]) -> Result<(), SegmentError> {
        let rows: Vec<StreamBooksV1> = books.iter().map(LaneBooks::as_row).collect();
        Self::checkpoint(self, &rows)
    }

    fn ticket(&mut self) -> Result<Option<SyncTicket>, SegmentError> {
        self.sync_ticket()
    }

    fn note_synced(&mut self, ticket: &SyncTicket) {
        Self::note_synced(self, ticket);
    }

    fn roll_due(&self) -> bool {
        Self::roll_due(self)
    }

    fn roll(&mut self) -> Result<(), SegmentError> {
        Self::roll(self)
    }

    fn bytes_stored(&self) -> u64 {
        Self::bytes_stored(self)
    }

    fn seal(self) -> Result<(), SegmentError> {
        Self::seal(self)
    }
}

//! What intake tells about its streams.

use dejaq_shared::broker::source::ReadFrom;
use dejaq_shared::record::{Record, Stream, StreamIx};
use dejaq_shared::segment::meta::StreamBooksV1;

use super::{Intake, Phase};
use crate::books::Books;

/// A stream's books, as a checkpoint takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneBooks {
    /// The stream.
    pub stream: StreamIx,
    /// Its books.
    pub books: Books,
    /// Whether it is over at the source.
    pub ended: bool,
}

impl LaneBooks {
    /// As a checkpoint's row.
    #[must_use]
    pub fn as_row(&self) -> StreamBooksV1 {
        let Books { start: _, next, leader_epoch, written, holes, lost, filtered } = self.books;
        StreamBooksV1 { id: self.stream, next, leader_epoch, written, holes, lost, filtered, ended: self.ended }
    }
}

impl Intake {
    /// Says whether the capture as a whole is behind: then all records count as read in catch-up.
    pub fn set_behind(&mut self, behind: bool) {
        self.behind = behind;
    }

    /// How many streams have not yet reached the position where they are to stop.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// How many records may still be written; `None`: any number.
    #[must_use]
    pub fn records_left(&self) -> Option<u64> {
        self.records_left
    }

    /// Records that came again and were left out.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// How many streams there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Streams in a phase.
    pub fn in_phase(&self, phase: Phase) -> impl Iterator<Item = StreamIx> + '_ {
        (0..).zip(&self.lanes).filter(move |(_, l)| l.phase == phase).map(|(ix, _)| ix)
    }

    /// All streams: number, identity, phase.
    pub fn streams(&self) -> impl Iterator<Item = (StreamIx, &Stream, Phase)> {
        (0..).zip(&self.lanes).map(|(ix, l)| (ix, &l.stream, l.phase))
    }

    /// A stream's phase.
    #[must_use]
    pub fn phase(&self, ix: StreamIx) -> Option<Phase> {
        self.lanes.get(ix as usize).map(|l| l.phase)
    }

    /// A stream's identity.
    #[must_use]
    pub fn stream(&self, ix: StreamIx) -> Option<&Stream> {
        self.lanes.get(ix as usize).map(|l| &l.stream)
    }

    /// Where a stream is to stop, if anywhere.
    #[must_use]
    pub fn until(&self, ix: StreamIx) -> Option<i64> {
        self.lanes.get(ix as usize).map(|l| l.until).filter(|until| *until != i64::MAX)
    }

    /// A stream's books.
    #[must_use]
    pub fn books(&self, ix: StreamIx) -> Option<Books> {
        self.lanes.get(ix as usize).map(|l| l.books)
    }

    /// How many streams carry dejaq's mark.
    #[must_use]
    pub fn marked_streams(&self) -> usize {
        self.lanes.iter().filter(|l| l.carries_mark).count()
    }

    /// Holes of all streams, in the whole recording.
    #[must_use]
    pub fn holes(&self) -> u64 {
        self.lanes.iter().map(|l| l.books.holes).sum()
    }

    /// Records of all streams that were handed on to be written, in the whole recording.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.lanes.iter().map(|l| l.books.written).sum()
    }

    /// The first stream whose books do not balance.
    #[must_use]
    pub fn unbalanced(&self) -> Option<StreamIx> {
        (0..).zip(&self.lanes).find(|(_, l)| !l.books.balanced()).map(|(ix, _)| ix)
    }

    /// Whether a stream is read from a log that had records when reading began, and has not caught up with that.
    #[must_use]
    pub fn any_catching_up(&self) -> bool {
        self.lanes.iter().any(|l| l.phase == Phase::Reading && l.books.next < l.catch_up_to)
    }

    /// From where to read a stream on; `None` when it is not (or no longer) to be read.
    #[must_use]
    pub fn read_from(&self, ix: StreamIx) -> Option<ReadFrom> {
        let lane = self.lanes.get(ix as usize).filter(|l| l.phase == Phase::Reading)?;
        Some(ReadFrom {
            stream: ix,
            topic: lane.stream.topic().to_owned(),
            partition: lane.stream.partition(),
            position: lane.books.next,
            leader_epoch: lane.books.leader_epoch,
        })
    }

    /// Whether a record is not on disk already.
    #[inline]
    #[must_use]
    pub fn is_next_or_later(&self, record: &Record<'_>) -> bool {
        self.lanes.get(record.stream as usize).is_some_and(|l| record.position >= l.books.next)
    }

    /// Streams that the source should read no longer, since the last call.
    pub fn take_to_stop(&mut self) -> Vec<StreamIx> {
        std::mem::take(&mut self.to_stop)
    }

    /// Appends the books of the streams that changed since the last call.
    pub fn drain_changed(&mut self, into: &mut Vec<LaneBooks>) {
        for ix in self.dirty.drain(..) {
            let lane = &mut self.lanes[ix as usize];
            lane.dirty = false;
            into.push(LaneBooks { stream: ix, books: lane.books, ended: lane.phase == Phase::Ended });
        }
    }

    /// Whether any stream changed since [`Intake::drain_changed`].
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.dirty.is_empty()
    }
}

//! Writing a recording: the lock, the segments one after the other, the numbering of streams.
//!
//! # What it guarantees
//! - One writer at a time: a lock on `writer.lock`, which ends with the process.
//! - A segment appears under its name only when its header, its streams and its first checkpoint are on stable storage.
//! - A stream's start position is on stable storage before [`RecordingWriter::add_streams`] returns.
//! - Files are 0600, directories 0700: recordings are production data.
//! - A full disk leaves enough room to seal: a reserve is kept and given up for it.

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::SegmentError;
use super::block::EncodedBlock;
use super::files::{RESERVE_FILE, check_empty, lock, remove_leftovers};
use super::meta::{AttachmentV1, FiltersV1, IntroducedStream, SourceV1, StreamBooksV1};
use super::reader::SegmentState;
use super::recording::{RECORDING_FILE, Recording, SEGMENT_SUFFIX, segment_paths};
use super::store::{Disk, Files};
use super::writer::SegmentWriter;
use crate::record::{Gap, Stream, StreamIx};

mod segments;
mod ticket;

use segments::seal_left_open;
pub use ticket::SyncTicket;

/// A segment whose index takes more memory is full, however few its bytes: many streams in small blocks, or gaps without
/// end. So the writer's memory stays flat and the footer far below what a reader accepts.
const INDEX_BYTES_MAX: u64 = 8 << 20;

/// When a segment is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollPolicy {
    /// By bytes stored.
    pub bytes_max: u64,
    /// By age.
    pub age_max: Duration,
}

impl Default for RollPolicy {
    fn default() -> Self {
        Self { bytes_max: 1 << 30, age_max: Duration::from_secs(15 * 60) }
    }
}

/// A recording to be made.
#[derive(Debug, Clone)]
pub struct NewRecording {
    /// From where.
    pub source: SourceV1,
    /// Of what.
    pub filters: FiltersV1,
    /// How records of transactions are read, by the broker's own name; `None`: that is not known.
    pub isolation: Option<String>,
    /// When segments are full.
    pub roll: RollPolicy,
}

/// A stream as a resumed recording left it.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamState {
    /// Its number.
    pub ix: StreamIx,
    /// Who it is.
    pub stream: Stream,
    /// Where its recording began.
    pub start: i64,
    /// Where it stands.
    pub books: StreamBooksV1,
}

/// A recording that is being written.
#[derive(Debug)]
pub struct RecordingWriter<F: Files = Disk> {
    files: F,
    dir: PathBuf,
    /// Held, not read: the lock goes when it is closed.
    _lock: File,
    new: NewRecording,
    recording_id: [u8; 16],
    writer_id: [u8; 16],
    next_segment: u64,
    segment: Option<SegmentWriter<F::File>>,
    began: Instant,
    origin: Instant,
    streams: Vec<IntroducedStream>,
    books: Vec<StreamBooksV1>,
    ancestors: Vec<String>,
    written_before: u64,
    bytes_before: u64,
}

impl RecordingWriter {
    /// Makes a new recording in `dir`, which must not exist or be empty.
    ///
    /// # Errors
    /// [`SegmentError::Conflict`] when something is there; [`SegmentError::Locked`]; I/O.
    pub fn create(dir: &Path, new: NewRecording) -> Result<Self, SegmentError> {
        Self::create_on(Disk, dir, new)
    }

    /// Goes on with the recording in `dir`: seals what its last writer left open, and begins a new segment.
    ///
    /// # Errors
    /// [`SegmentError`]; [`SegmentError::Conflict`] when it is of another cluster or has several writers.
    pub fn resume(dir: &Path, new: NewRecording) -> Result<(Self, Vec<StreamState>), SegmentError> {
        Self::resume_on(Disk, dir, new)
    }
}

impl<F: Files> RecordingWriter<F> {
    /// [`RecordingWriter::create`], on any disk.
    ///
    /// # Errors
    /// As there.
    pub fn create_on(files: F, dir: &Path, new: NewRecording) -> Result<Self, SegmentError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SegmentError::io("creating", dir))?;
        // Before the lock, which leaves a file: somebody else's directory stays as it is. And under it, for good.
        check_empty(dir)?;
        let lock = lock(dir)?;
        check_empty(dir)?;
        remove_leftovers(dir)?;
        let ancestors = new.source.ancestors.clone();
        let mut writer = Self {
            files,
            dir: dir.to_owned(),
            _lock: lock,
            new,
            recording_id: uuid::Uuid::new_v4().into_bytes(),
            writer_id: uuid::Uuid::new_v4().into_bytes(),
            next_segment: 0,
            segment: None,
            began: Instant::now(),
            origin: Instant::now(),
            streams: Vec::new(),
            books: Vec::new(),
            ancestors,
            written_before: 0,
            bytes_before: 0,
        };
        writer.keep_reserve()?;
        writer.begin_segment()?;
        writer.write_description()?;
        Ok(writer)
    }

    /// [`RecordingWriter::resume`], on any disk.
    ///
    /// # Errors
    /// As there.
    pub fn resume_on(files: F, dir: &Path, mut new: NewRecording) -> Result<(Self, Vec<StreamState>), SegmentError> {
        if segment_paths(dir)?.is_empty() {
            return Err(SegmentError::NotARecording { path: dir.to_owned(), why: format!("it holds no segment (*{SEGMENT_SUFFIX})") });
        }
        let lock = lock(dir)?;
        remove_leftovers(dir)?;
        let recording = Recording::open(dir)?;
        let conflict = |why: String| SegmentError::Conflict { path: dir.to_owned(), why };
        let first = &recording.segments[0].header;
        if first.source.broker != new.source.broker {
            return Err(conflict(format!("it records {}, this is {}: choose another --out", first.source.broker, new.source.broker)));
        }
        if first.source.cluster != new.source.cluster {
            return Err(conflict(format!(
                "it records cluster {:?}, this is cluster {:?}: choose another --out",
                first.source.cluster, new.source.cluster
            )));
        }
        // What is a record and what is a hole would change its meaning in the midst of a stream.
        if let Some((theirs, ours)) = recording.isolation().zip(new.isolation.as_ref()).filter(|(theirs, ours)| *theirs != *ours) {
            return Err(conflict(format!(
                "it was read with isolation level {theirs}, this is {ours}: take {theirs}, or choose another --out"
            )));
        }
        if recording.segments.iter().any(|s| s.header.segment.writer_id != first.segment.writer_id) {
            return Err(conflict("it has segments of several writers: it cannot be continued, choose another --out".into()));
        }
        if let Some((_, number)) = recording.missing.first() {
            return Err(conflict(format!("segment {number} is missing: bring it back, or choose another --out")));
        }
        for segment in recording.segments.iter().filter(|s| s.state != SegmentState::Sealed) {
            seal_left_open(&files, &segment.path)?;
        }
        let recording = Recording::open(dir)?;
        let last = recording.segments.last().map_or(0, |s| s.header.segment.number);
        new.source.ancestors.clone_from(&recording.ancestors);
        let mut writer = Self {
            files,
            dir: dir.to_owned(),
            _lock: lock,
            recording_id: recording.id,
            writer_id: recording.segments[0].header.segment.writer_id,
            next_segment: last + 1,
            segment: None,
            began: Instant::now(),
            origin: Instant::now(),
            streams: Vec::new(),
            books: Vec::new(),
            ancestors: recording.ancestors.clone(),
            written_before: recording.records(),
            bytes_before: recording.bytes_stored(),
            new,
        };
        let mut states = Vec::new();
        for (ix, recorded) in (0..).zip(&recording.streams) {
            writer.streams.push(IntroducedStream::of(ix, &recorded.stream, recorded.start));
            let books = StreamBooksV1 { id: ix, ..recorded.books };
            writer.books.push(books);
            states.push(StreamState { ix, stream: recorded.stream.clone(), start: recorded.start, books });
        }
        writer.keep_reserve()?;
        writer.begin_segment()?;
        if !dir.join(RECORDING_FILE).exists() {
            writer.write_description()?;
        }
        Ok((writer, states))
    }

    /// Introduces streams with the first position wanted of each; their numbers are given in the same order. On
    /// stable storage when this returns.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn add_streams(&mut self, streams: &[(Stream, i64)]) -> Result<Vec<StreamIx>, SegmentError> {
        let first = self.streams.len();
        if first + streams.len() > super::STREAMS_MAX as usize {
            return Err(SegmentError::Conflict {
                path: self.dir.clone(),
                why: format!("more than {} streams: record fewer topics", super::STREAMS_MAX),
            });
        }
        let rows: Vec<IntroducedStream> = (0u32..)
            .zip(streams)
            .map(|(i, (stream, start))| IntroducedStream::of(i + u32::try_from(first).unwrap_or(u32::MAX), stream, *start))
            .collect();
        let segment = self.current()?;
        segment.streams(&rows, &[])?;
        segment.sync()?;
        let numbers = rows.iter().map(|r| r.id).collect();
        self.books.extend(rows.iter().map(|r| StreamBooksV1::at_start(r.id, r.start)));
        self.streams.extend(rows);
        Ok(numbers)
    }

    /// Writes a block.
    ///
    /// # Errors
    /// [`SegmentError`], as for every method that writes.
    pub fn block(&mut self, block: &EncodedBlock) -> Result<(), SegmentError> {
        self.current()?.block(block)
    }

    /// Writes that something was lost.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn gap(&mut self, gap: &Gap) -> Result<(), SegmentError> {
        self.current()?.gap(gap)
    }

    /// Writes a file that travels in the recording.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn attachment(&mut self, name: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), SegmentError> {
        self.current()?.attachment(&AttachmentV1 { name: name.to_owned(), media_type: media_type.to_owned(), bytes })
    }

    /// Notes that replayed traffic of this cluster is in the recording.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn ancestor(&mut self, cluster: &str) -> Result<(), SegmentError> {
        if !self.ancestors.iter().any(|a| a == cluster) {
            self.current()?.streams(&[], &[cluster.to_owned()])?;
            self.ancestors.push(cluster.to_owned());
        }
        Ok(())
    }

    /// Writes where every stream stands, by the capture's own books.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn checkpoint(&mut self, books: &[StreamBooksV1]) -> Result<(), SegmentError> {
        self.current()?.checkpoint(books)?;
        self.books = books.to_vec();
        Ok(())
    }

    /// Where every stream stands by what has been written: blocks, gaps and checkpoints.
    #[must_use]
    pub fn books(&self) -> Vec<StreamBooksV1> {
        let mut books: HashMap<u32, StreamBooksV1> = self.books.iter().map(|b| (b.id, *b)).collect();
        if let Some(segment) = &self.segment {
            books.extend(segment.facts().books.iter().map(|(id, b)| (*id, *b)));
        }
        let mut books: Vec<_> = books.into_values().collect();
        books.sort_by_key(|b| b.id);
        books
    }

    /// What to sync now; `None` when nothing was written since the last [`RecordingWriter::note_synced`].
    ///
    /// # Errors
    /// When the file cannot be shared with another thread.
    pub fn sync_ticket(&mut self) -> Result<Option<SyncTicket<F::File>>, SegmentError> {
        let number = self.next_segment - 1;
        let dir = self.dir.clone();
        let Some(segment) = self.segment.as_ref().filter(|s| s.facts().next_number > s.frames_durable()) else { return Ok(None) };
        let file = self.files.share(segment.store()).map_err(SegmentError::io("sharing a segment of", &dir))?;
        Ok(Some(SyncTicket { file, path: dir, segment: number, frames: segment.facts().next_number }))
    }

    /// Notes that a ticket was synced.
    pub fn note_synced(&mut self, ticket: &SyncTicket<F::File>) {
        if let Some(segment) = self.segment.as_mut().filter(|_| ticket.segment == self.next_segment - 1) {
            segment.note_durable(ticket.frames);
        }
    }

    /// Whether the open segment is full.
    #[must_use]
    pub fn roll_due(&self) -> bool {
        self.segment.as_ref().is_some_and(|s| {
            s.index_bytes() >= INDEX_BYTES_MAX
                || (s.facts().records > 0 && (s.bytes() >= self.new.roll.bytes_max || self.began.elapsed() >= self.new.roll.age_max))
        })
    }

    /// Seals the open segment and begins the next.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn roll(&mut self) -> Result<(), SegmentError> {
        self.seal_current()?;
        self.begin_segment()
    }

    /// Records written, resumed ones included.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.written_before + self.segment.as_ref().map_or(0, |s| s.facts().records)
    }

    /// Bytes on disk, resumed ones included.
    #[must_use]
    pub fn bytes_stored(&self) -> u64 {
        self.bytes_before + self.segment.as_ref().map_or(0, SegmentWriter::bytes)
    }

    /// The recording's identity.
    #[must_use]
    pub fn recording_id(&self) -> [u8; 16] {
        self.recording_id
    }

    /// The recording's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Ends the recording: the open segment is sealed and on stable storage. Works on a full disk too.
    ///
    /// # Errors
    /// [`SegmentError`]; the last segment stays open then, and can be resumed.
    pub fn seal(mut self) -> Result<(), SegmentError> {
        self.release_reserve();
        self.seal_current()
    }

    /// Gives up the room kept for sealing: call it when the disk is full, before the last gaps and checkpoint.
    pub fn release_reserve(&mut self) {
        let _ = std::fs::remove_file(self.dir.join(RESERVE_FILE));
    }

    fn current(&mut self) -> Result<&mut SegmentWriter<F::File>, SegmentError> {
        let dir = &self.dir;
        self.segment.as_mut().ok_or_else(|| SegmentError::Conflict { path: dir.clone(), why: "its last segment could not be begun".into() })
    }
}

impl<F: Files> Drop for RecordingWriter<F> {
    /// The reserve is no part of the recording.
    fn drop(&mut self) {
        self.release_reserve();
    }
}

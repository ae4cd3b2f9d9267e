//! Writing one segment.
//!
//! What has been appended stays readable whatever happens next: a failed append is cut back to the last whole frame, so
//! that the segment can still be sealed. Sealing consumes the writer; dropping it leaves the segment open.

use std::path::{Path, PathBuf};

use super::block::EncodedBlock;
use super::block_head::BlockHead;
use super::facts::{Body, SegmentFacts};
use super::frame::{FrameHead, HEAD_BYTES, SegmentHeader, frame_type, seal_metadata};
use super::meta::{
    self, AncestorV1, AttachmentV1, CheckpointV1, ENTRY_HEAD_BYTES, FrameEntryV1, FrameV1, GapV1, IntroducedStream, StreamBooksV1, tag,
};
use super::store::Append;
use super::{MUST_UNDERSTAND, SegmentError, footer};
use crate::record::Gap;

/// An open segment that is being written.
#[derive(Debug)]
pub struct SegmentWriter<S> {
    store: S,
    path: PathBuf,
    sync: [u8; 16],
    bytes: u64,
    facts: SegmentFacts,
    frames_durable: u64,
    index_bytes: u64,
}

impl<S: Append> SegmentWriter<S> {
    /// Writes the header to an empty store.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn begin(mut store: S, path: &Path, header: &SegmentHeader) -> Result<Self, SegmentError> {
        let bytes = header.encode().map_err(|what| SegmentError::Damaged { path: path.to_owned(), offset: 0, what })?;
        store.append(&bytes).map_err(SegmentError::io("writing to", path))?;
        let facts = SegmentFacts { last_head_crc: crc32c::crc32c(&bytes[..bytes.len() - 4]), ..SegmentFacts::default() };
        Ok(Self {
            store,
            path: path.to_owned(),
            sync: header.segment.sync,
            bytes: bytes.len() as u64,
            facts,
            frames_durable: 0,
            index_bytes: 0,
        })
    }

    /// Goes on with a segment that was read to its last whole frame, which ends at byte `bytes`; what follows is cut.
    ///
    /// # Errors
    /// When the store cannot be cut.
    pub fn go_on(mut store: S, path: &Path, header: &SegmentHeader, facts: SegmentFacts, bytes: u64) -> Result<Self, SegmentError> {
        store.truncate(bytes).map_err(SegmentError::io("cutting the torn tail of", path))?;
        let frames_durable = facts.next_number;
        Ok(Self { store, path: path.to_owned(), sync: header.segment.sync, bytes, facts, frames_durable, index_bytes: 0 })
    }

    /// Writes a frame whose body has `length` bytes: what `start` makes of the head's checksum, then `rest`.
    fn frame(
        &mut self,
        frame_type: u16,
        length: usize,
        start: impl FnOnce(u32) -> Vec<u8>,
        rest: &[u8],
        body: &Body,
    ) -> Result<(), SegmentError> {
        let number = self.facts.next_number;
        let too_long = || SegmentError::Damaged {
            path: self.path.clone(),
            offset: self.bytes,
            what: format!("a frame of {length} bytes is longer than the format allows"),
        };
        let body_bytes = u32::try_from(length).ok().filter(|l| *l <= super::BODY_BYTES_MAX).ok_or_else(too_long)?;
        let (head, crc) = FrameHead::encode(&self.sync, frame_type, MUST_UNDERSTAND, number, self.facts.last_head_crc, body_bytes);
        // A block's columns are large: they are a write of their own, not copied.
        let start = [&head, start(crc).as_slice()].concat();
        debug_assert_eq!(start.len() + rest.len(), HEAD_BYTES + length, "the head says how long the body is");
        let written = self.store.append(&start).and_then(|()| if rest.is_empty() { Ok(()) } else { self.store.append(rest) });
        if let Err(source) = written {
            // Best effort: the cut frees what the failed frame took; if it fails too, the tail is torn and says so.
            let _ = self.store.truncate(self.bytes);
            return Err(SegmentError::Io { action: "writing to", path: self.path.clone(), source });
        }
        let head = FrameHead { frame_type, flags: MUST_UNDERSTAND, number, previous: self.facts.last_head_crc, body_bytes, crc };
        self.facts.absorb(self.bytes, &head, body);
        self.index_bytes += match body {
            Body::Records(block) => size_of::<FrameEntryV1>() + block.streams.len() * size_of::<(u32, i64, i64)>(),
            Body::Gap(gap) => size_of::<FrameEntryV1>() + size_of::<Gap>() + gap.scope.len() + gap.detail.len(),
            _ => size_of::<FrameEntryV1>(),
        } as u64;
        self.bytes += (HEAD_BYTES + length) as u64;
        Ok(())
    }

    fn metadata(&mut self, frame_type: u16, list: Result<Vec<u8>, String>, body: &Body) -> Result<(), SegmentError> {
        let list = list.map_err(|what| SegmentError::Damaged { path: self.path.clone(), offset: self.bytes, what })?;
        let length = list.len() + ENTRY_HEAD_BYTES + size_of::<FrameV1>() + 4;
        let bound = |crc: u32| {
            let mut list = list;
            // Not must-understand: a reader that does not know it reads the rest all the same.
            meta::write_bytes(&mut list, tag::FRAME, 0, &crc.to_le_bytes());
            seal_metadata(list)
        };
        self.frame(frame_type, length, bound, &[], body)
    }

    /// Introduces streams and ancestors.
    ///
    /// # Errors
    /// [`SegmentError`], as for every method that writes.
    pub fn streams(&mut self, streams: &[IntroducedStream], ancestors: &[String]) -> Result<(), SegmentError> {
        let mut list = Vec::new();
        let written = streams.iter().try_for_each(|s| s.write(&mut list)).and_then(|()| {
            ancestors.iter().try_for_each(|a| meta::write(&mut list, tag::ANCESTOR, MUST_UNDERSTAND, &AncestorV1 { cluster: a.clone() }))
        });
        self.metadata(frame_type::STREAMS, written.map(|()| list), &Body::Streams(streams.to_vec(), ancestors.to_vec()))
    }

    /// Writes where every stream stands.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn checkpoint(&mut self, books: &[StreamBooksV1]) -> Result<(), SegmentError> {
        let checkpoint = CheckpointV1 { streams: books.to_vec() };
        let mut list = Vec::new();
        let written = meta::write(&mut list, tag::CHECKPOINT, MUST_UNDERSTAND, &checkpoint);
        self.metadata(frame_type::CHECKPOINT, written.map(|()| list), &Body::Checkpoint(checkpoint))
    }

    /// Writes that something was lost.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn gap(&mut self, gap: &Gap) -> Result<(), SegmentError> {
        let mut list = Vec::new();
        let written = meta::write(&mut list, tag::GAP, MUST_UNDERSTAND, &GapV1::from(gap));
        self.metadata(frame_type::GAP, written.map(|()| list), &Body::Gap(gap.clone()))
    }

    /// Writes a file that travels in the recording.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn attachment(&mut self, attachment: &AttachmentV1) -> Result<(), SegmentError> {
        let mut list = Vec::new();
        let written = meta::write(&mut list, tag::ATTACHMENT, 0, attachment);
        self.metadata(frame_type::ATTACHMENT, written.map(|()| list), &Body::Attachment(attachment.clone()))
    }

    /// Writes a block of records.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn block(&mut self, block: &EncodedBlock) -> Result<(), SegmentError> {
        let frames_durable = self.frames_durable;
        let head = BlockHead {
            frames_durable,
            records: block.records(),
            bytes_raw: block.bytes_raw(),
            streams: block.streams().to_vec(),
            ..BlockHead::default()
        };
        let start = |crc| block.body_start(frames_durable, crc);
        self.frame(frame_type::RECORDS, block.body_bytes(), start, &block.stored, &Body::Records(head))
    }

    /// Notes that the first `frames` frames are on stable storage.
    pub fn note_durable(&mut self, frames: u64) {
        self.frames_durable = self.frames_durable.max(frames);
    }

    /// Syncs on this thread.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync(&mut self) -> Result<(), SegmentError> {
        self.store.sync().map_err(SegmentError::io("syncing", &self.path))?;
        self.note_durable(self.facts.next_number);
        Ok(())
    }

    /// What has been written so far.
    #[must_use]
    pub fn facts(&self) -> &SegmentFacts {
        &self.facts
    }

    /// Its bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// About the memory that the index of what was written here takes, in bytes. It grows with frames, with the streams in
    /// each block and with gaps, not with bytes stored: whoever writes for long ends the segment before it is large.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.index_bytes
    }

    /// How many of its frames are durable.
    #[must_use]
    pub fn frames_durable(&self) -> u64 {
        self.frames_durable
    }

    /// What it writes to.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Syncs, writes the footer and syncs again: the segment is sealed.
    ///
    /// # Errors
    /// [`SegmentError`]; the segment stays open then.
    pub fn seal(mut self, recovered: bool) -> Result<S, SegmentError> {
        // Else the power could go when the disk has the footer and not yet what it vouches for: whoever goes on would take
        // the books from it, and what is missing would be had from nowhere.
        self.sync()?;
        self.facts.recovered = recovered;
        let bytes = footer::encode(&self.facts, &self.sync).map_err(|what| SegmentError::Damaged {
            path: self.path.clone(),
            offset: self.bytes,
            what,
        })?;
        if let Err(source) = self.store.append(&bytes) {
            // As in `frame`: a footer that is cut is no footer.
            let _ = self.store.truncate(self.bytes);
            return Err(SegmentError::Io { action: "sealing", path: self.path, source });
        }
        self.store.sync().map_err(SegmentError::io("syncing", &self.path))?;
        Ok(self.store)
    }
}

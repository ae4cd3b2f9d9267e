//! Making a recording of records that are at hand, one after the other: import and sort. (A capture has its own threads
//! for this.)
//!
//! A recording that is made of something else appears under its name only when it is whole ([`make_beside`]).

use std::path::{Path, PathBuf};

use super::SegmentError;
use super::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use super::codec::Compression;
use super::meta::StreamBooksV1;
use super::recording_writer::{NewRecording, RecordingWriter};
use super::store::{Disk, Files as _};
use crate::record::Record;

/// A block is closed when it has this many raw bytes.
const BLOCK_BYTES: usize = 4 << 20;
const COMPRESSION: Compression = Compression::Zstd(3);

/// Appends records to a new recording.
pub struct RecordAppender {
    writer: RecordingWriter,
    encoder: BlockEncoder,
    builder: BlockBuilder,
    block: EncodedBlock,
}

impl RecordAppender {
    /// Begins a recording in `dir`, which is new or empty.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn create(dir: &Path, new: NewRecording) -> Result<Self, SegmentError> {
        Ok(Self {
            writer: RecordingWriter::create(dir, new)?,
            encoder: BlockEncoder::new().map_err(SegmentError::io("preparing to compress for", dir))?,
            builder: BlockBuilder::new(),
            block: EncodedBlock::default(),
        })
    }

    /// The recording, for what is not a record. What is pushed and not yet written comes after it.
    pub fn recording(&mut self) -> &mut RecordingWriter {
        &mut self.writer
    }

    /// Appends a record of a stream that the recording knows; positions of a stream must rise.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), SegmentError> {
        if !self.builder.accepts(record) {
            self.write_block()?;
        }
        self.builder.push(record);
        if self.builder.bytes_raw() >= BLOCK_BYTES { self.write_block() } else { Ok(()) }
    }

    /// Where every stream stands after all that was pushed.
    ///
    /// # Errors
    /// [`SegmentError`]: what was pushed is written first.
    pub fn books(&mut self) -> Result<Vec<StreamBooksV1>, SegmentError> {
        self.write_block()?;
        Ok(self.writer.books())
    }

    /// Writes the rest and these books, and seals the recording.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn seal(mut self, books: &[StreamBooksV1]) -> Result<(), SegmentError> {
        self.write_block()?;
        self.writer.checkpoint(books)?;
        self.writer.seal()
    }

    fn write_block(&mut self) -> Result<(), SegmentError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        self.encoder.encode(&self.builder, COMPRESSION, &mut self.block).map_err(SegmentError::io("compressing for", self.writer.dir()))?;
        self.builder.clear();
        self.writer.block(&self.block)?;
        if self.writer.roll_due() { self.writer.roll() } else { Ok(()) }
    }
}

/// Makes the recording `out` as `OUT.doing` beside its place and moves it there when `make` is done. What an earlier one
/// left there is removed; when `make` fails, nothing is left.
///
/// # Errors
/// `make`'s; when `out` exists; I/O.
pub fn make_beside<T, E: From<SegmentError>>(out: &Path, doing: &str, make: impl FnOnce(&Path) -> Result<T, E>) -> Result<T, E> {
    // Without a slash at its end, or "beside" would be inside.
    let out: PathBuf = out.components().collect();
    let out = out.as_path();
    if out.exists() {
        return Err(SegmentError::Conflict { path: out.to_owned(), why: "it exists already: choose another --out".into() }.into());
    }
    let mut beside = out.as_os_str().to_owned();
    beside.push(".");
    beside.push(doing);
    let beside = PathBuf::from(beside);
    if beside.exists() {
        std::fs::remove_dir_all(&beside).map_err(SegmentError::io("removing what was left half made in", &beside))?;
    }
    let made = make(&beside).and_then(|made| {
        std::fs::rename(&beside, out).map_err(SegmentError::io("renaming", &beside))?;
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Disk.sync_dir(parent).map_err(SegmentError::io("syncing", parent))?;
        Ok(made)
    });
    if made.is_err() {
        // The error that matters is the one in hand.
        let _ = std::fs::remove_dir_all(&beside);
    }
    made
}

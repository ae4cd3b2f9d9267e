//! Runs: sorted records in the scratch file, as chunks that are compressed and checksummed each.
//!
//! ```text
//! run   = chunk*
//! chunk = stored length u32 · raw length u32 · crc32c u32 of the stored bytes · one zstd frame of (time svarint · entry)*
//! ```
//! A time is the difference to the one before in the chunk; the first is the difference to 0.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::entry;
use crate::segment::store::ReadAt as _;
use crate::segment::{BLOCK_BYTES_MAX, SegmentError};
use crate::varint;

const CHUNK_HEAD_BYTES: usize = 12;
/// Scratch is written once and read once: speed counts more than size.
const ZSTD_LEVEL: i32 = 1;

/// The file that the runs are in. It has no name.
#[derive(Debug)]
pub(super) struct Scratch {
    file: File,
    /// The directory that it was made in, for messages.
    dir: PathBuf,
    bytes: u64,
}

impl Scratch {
    pub(super) fn new(dir: &Path) -> Result<Self, SegmentError> {
        let file = tempfile::tempfile_in(dir).map_err(SegmentError::io("making a scratch file in", dir))?;
        Ok(Self { file, dir: dir.to_owned(), bytes: 0 })
    }

    /// What it takes of the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is left on its file system.
    pub(super) fn free_bytes(&self) -> Result<u64, SegmentError> {
        let disk = rustix::fs::fstatvfs(&self.file).map_err(|e| SegmentError::io("asking for the free space of", &self.dir)(e.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// An entry before byte `offset` that cannot be read, though its chunk's checksum is right.
    pub(super) fn malformed(&self, offset: u64) -> SegmentError {
        self.damaged(offset, "a chunk holds something that is no entry: this is a defect in dejaq")
    }

    fn damaged(&self, offset: u64, what: impl Into<String>) -> SegmentError {
        SegmentError::Damaged { path: self.dir.join("(scratch)"), offset, what: what.into() }
    }
}

/// Where a run is in the scratch file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    start: u64,
    end: u64,
    /// Raw bytes of its largest chunk: what reading it takes.
    pub(super) chunk_bytes_max: usize,
}

#[cfg(test)]
impl Run {
    /// A run somewhere, with one chunk of this many raw bytes.
    pub(super) fn of_chunk(raw_bytes: usize) -> Self {
        Self { start: 0, end: 1, chunk_bytes_max: raw_bytes }
    }
}

/// Writes runs. Owns zstd's context: reuse it.
pub(super) struct RunWriter {
    zstd: zstd::bulk::Compressor<'static>,
    chunk_bytes: usize,
    raw: Vec<u8>,
    stored: Vec<u8>,
    last_time: i64,
    run: Run,
}

impl RunWriter {
    pub(super) fn new(chunk_bytes: usize) -> Result<Self, SegmentError> {
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(SegmentError::io("preparing to compress", ""))?;
        let run = Run { start: 0, end: 0, chunk_bytes_max: 0 };
        Ok(Self { zstd, chunk_bytes, raw: Vec::new(), stored: Vec::new(), last_time: 0, run })
    }

    /// Adds the next entry, whose bytes are `entry`.
    pub(super) fn push(&mut self, scratch: &mut Scratch, time: i64, entry: &[u8]) -> Result<(), SegmentError> {
        varint::write_i64(&mut self.raw, time.wrapping_sub(self.last_time));
        self.last_time = time;
        self.raw.extend_from_slice(entry);
        if self.raw.len() >= self.chunk_bytes { self.close_chunk(scratch) } else { Ok(()) }
    }

    /// Ends the run that was begun with the first entry after the last one.
    pub(super) fn finish(&mut self, scratch: &mut Scratch) -> Result<Run, SegmentError> {
        self.close_chunk(scratch)?;
        let next = Run { start: scratch.bytes, end: scratch.bytes, chunk_bytes_max: 0 };
        Ok(std::mem::replace(&mut self.run, next))
    }

    fn close_chunk(&mut self, scratch: &mut Scratch) -> Result<(), SegmentError> {
        if self.raw.is_empty() {
            return Ok(());
        }
        self.stored.clear();
        self.stored.reserve(CHUNK_HEAD_BYTES + zstd::zstd_safe::compress_bound(self.raw.len()));
        self.stored.extend_from_slice(&[0; CHUNK_HEAD_BYTES]);
        let mut after_head = std::io::Cursor::new(&mut self.stored);
        after_head.set_position(CHUNK_HEAD_BYTES as u64);
        self.zstd.compress_to_buffer(&self.raw, &mut after_head).map_err(SegmentError::io("compressing for", &scratch.dir))?;
        let body = &self.stored[CHUNK_HEAD_BYTES..];
        // A chunk is one entry at least, and an entry is little more than a record: both fit.
        let head = [u32_of(body.len()), u32_of(self.raw.len()), crc32c::crc32c(body)];
        for (at, number) in (0..).step_by(4).zip(head) {
            self.stored[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        scratch.file.write_all(&self.stored).map_err(SegmentError::io("writing scratch to", &scratch.dir))?;
        scratch.bytes += self.stored.len() as u64;
        self.run.end = scratch.bytes;
        self.run.chunk_bytes_max = self.run.chunk_bytes_max.max(self.raw.len());
        self.raw.clear();
        self.last_time = 0;
        Ok(())
    }
}

fn u32_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// What reading runs shares: zstd's context and a buffer.
pub(super) struct ChunkReader {
    zstd: zstd::bulk::Decompressor<'static>,
    stored: Vec<u8>,
}

impl ChunkReader {
    pub(super) fn new() -> Result<Self, SegmentError> {
        let zstd = zstd::bulk::Decompressor::new().map_err(SegmentError::io("preparing to decompress", ""))?;
        Ok(Self { zstd, stored: Vec::new() })
    }

    /// Reads the chunk at `offset` into `raw`; returns where the next one begins.
    fn read(&mut self, scratch: &Scratch, offset: u64, raw: &mut Vec<u8>) -> Result<u64, SegmentError> {
        let mut head = [0; CHUNK_HEAD_BYTES];
        let reading = || SegmentError::io("reading scratch in", &scratch.dir);
        scratch.file.read_exact_at(&mut head, offset).map_err(reading())?;
        let number = |at: usize| head[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let (stored_bytes, raw_bytes, crc) = (number(0), number(4), number(8));
        let body = offset + CHUNK_HEAD_BYTES as u64;
        if body + u64::from(stored_bytes) > scratch.bytes || u64::from(raw_bytes) > 2 * BLOCK_BYTES_MAX {
            return Err(scratch.damaged(offset, format!("a chunk of {stored_bytes} bytes ({raw_bytes} raw) cannot be")));
        }
        self.stored.resize(stored_bytes as usize, 0);
        scratch.file.read_exact_at(&mut self.stored, body).map_err(reading())?;
        if crc32c::crc32c(&self.stored) != crc {
            return Err(scratch.damaged(offset, "a chunk's checksum is wrong: the disk did not keep what was written"));
        }
        raw.clear();
        raw.reserve(raw_bytes as usize);
        self.zstd.decompress_to_buffer(&self.stored, raw).map_err(|e| scratch.damaged(offset, e.to_string()))?;
        Ok(body + u64::from(stored_bytes))
    }
}

/// Reads one run, an entry at a time.
pub(super) struct RunReader {
    /// The next chunk.
    next: u64,
    end: u64,
    raw: Vec<u8>,
    /// The current entry in `raw`.
    entry: std::ops::Range<usize>,
    time: i64,
}

impl RunReader {
    /// Before its first entry.
    pub(super) fn new(run: Run) -> Self {
        Self { next: run.start, end: run.end, raw: Vec::new(), entry: 0..0, time: 0 }
    }

    /// Goes to the next entry; false at the end.
    pub(super) fn advance(&mut self, scratch: &Scratch, chunks: &mut ChunkReader) -> Result<bool, SegmentError> {
        let mut from = self.entry.end;
        if from >= self.raw.len() {
            if self.next >= self.end {
                return Ok(false);
            }
            self.next = chunks.read(scratch, self.next, &mut self.raw)?;
            (from, self.time) = (0, 0);
        }
        let mut rest = &self.raw[from..];
        let difference = varint::read_i64(&mut rest);
        let start = self.raw.len() - rest.len();
        let length = entry::length(rest).filter(|length| *length <= rest.len());
        let (Some(difference), Some(length)) = (difference, length) else { return Err(scratch.malformed(self.next)) };
        self.time = self.time.wrapping_add(difference);
        self.entry = start..start + length;
        Ok(true)
    }

    /// The time of the current entry.
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    /// How far it has read.
    pub(super) fn offset(&self) -> u64 {
        self.next
    }

    /// The bytes of the current entry.
    pub(super) fn entry(&self) -> &[u8] {
        &self.raw[self.entry.clone()]
    }
}

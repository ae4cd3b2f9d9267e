//! Columns: how one column's bytes are stored in a block.
//!
//! A column is stored raw or as one zstd frame, whichever is smaller, with a checksum of the stored bytes. Numbers are
//! varints. Lists of byte strings (keys, header sets, values and their like) are three columns: *lengths* (varint: 0 = null, else
//! length + 1), *bytes* (all strings joined), and optionally an *index*: then lengths and bytes describe a dictionary,
//! and the index has one varint a record (0 = null, else entry + 1). An absent column reads as all zeros, so all nulls.

use super::checksum;
use crate::varint;

/// Column numbers. A number is never given twice.
pub mod column {
    /// The checksum of the head of the frame that the block is in: 4 bytes, as they are. Binds the body to its place.
    pub const FRAME: u16 = 0;
    /// Runs of stream-table indices: `(index varint, run length varint)*`.
    pub const STREAMS: u16 = 1;
    /// Arrival times: difference to the record before (the first: to the block's base), signed.
    pub const ARRIVAL: u16 = 2;
    /// Positions: difference to the stream's record before, less 1, signed (the first of a stream: to its first position).
    pub const POSITION: u16 = 3;
    /// Broker times, raw: difference to the stream's record before (the first: to 0), signed; 0 for a record without one.
    pub const BROKER_TIME: u16 = 4;
    /// Kinds of broker time, a byte each: 0 none, 1 create, 2 append. Absent when every stream has one kind.
    pub const BROKER_TIME_KIND: u16 = 5;
    /// Record flags, a byte each.
    pub const FLAGS: u16 = 6;
    /// Keys: lengths.
    pub const KEY: u16 = 10;
    /// Routing keys: lengths.
    pub const ROUTING_KEY: u16 = 20;
    /// Header sets: lengths.
    pub const HEADERS: u16 = 30;
    /// Values: lengths.
    pub const VALUE: u16 = 40;
    /// AMQP properties: lengths.
    pub const PROPERTIES: u16 = 50;
    /// The columns of byte strings.
    pub const STRINGS: [u16; 5] = [KEY, ROUTING_KEY, HEADERS, VALUE, PROPERTIES];
    /// Added to a byte-string column's number: its bytes.
    pub const BYTES: u16 = 1;
    /// Added to a byte-string column's number: its index.
    pub const INDEX: u16 = 2;
}

/// How a column's bytes are stored. 2 (dictionary) and 3 (encryption) are reserved.
pub mod stored_as {
    /// As they are.
    pub const RAW: u16 = 0;
    /// One zstd frame.
    pub const ZSTD: u16 = 1;
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// zstd at this level.
    Zstd(i32),
}

/// One row of a block's column table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnEntry {
    /// Which column.
    pub id: u16,
    /// Its flags.
    pub flags: u16,
    /// How it is stored.
    pub codec: u16,
    /// Its bytes, raw.
    pub raw_bytes: u64,
    /// Its bytes as stored.
    pub stored_bytes: u64,
    /// The checksum of the stored bytes.
    pub crc: u32,
}

/// Compresses columns. Owns zstd's context: reuse it.
pub struct ColumnEncoder {
    zstd: zstd::bulk::Compressor<'static>,
    level: i32,
    /// What zstd writes into: `Vec`'s spare room needs no zeroing, the middle of another vector would.
    compressed: Vec<u8>,
}

impl ColumnEncoder {
    /// A new encoder.
    ///
    /// # Errors
    /// When zstd cannot have its memory.
    pub fn new() -> std::io::Result<Self> {
        let level = 3;
        let mut zstd = zstd::bulk::Compressor::new(level)?;
        zstd.include_checksum(false)?;
        Ok(Self { zstd, level, compressed: Vec::new() })
    }

    /// Appends one column's stored bytes to `out`.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn encode(&mut self, id: u16, raw: &[u8], compression: Compression, out: &mut Vec<u8>) -> std::io::Result<ColumnEntry> {
        let (mut codec, mut stored) = (stored_as::RAW, raw);
        if let Compression::Zstd(level) = compression
            && raw.len() > 16
        {
            if level != self.level {
                self.zstd.set_compression_level(level)?;
                self.level = level;
            }
            self.compressed.clear();
            self.compressed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
            self.zstd.compress_to_buffer(raw, &mut self.compressed)?;
            if self.compressed.len() < raw.len() {
                (codec, stored) = (stored_as::ZSTD, self.compressed.as_slice());
            }
        }
        out.extend_from_slice(stored);
        Ok(ColumnEntry {
            id,
            flags: super::MUST_UNDERSTAND,
            codec,
            raw_bytes: raw.len() as u64,
            stored_bytes: stored.len() as u64,
            crc: crc32c::crc32c(stored),
        })
    }
}

/// Decompresses columns. Owns zstd's context: reuse it.
pub struct ColumnDecoder {
    zstd: zstd::bulk::Decompressor<'static>,
}

impl ColumnDecoder {
    /// A new decoder.
    ///
    /// # Errors
    /// When zstd cannot have its memory.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Decompressor::new()? })
    }

    /// Puts one column's raw bytes into `out`, replacing what is there. The lengths in `entry` have been checked
    /// against the limits by the block's reader.
    ///
    /// # Errors
    /// In words: a wrong checksum, an unknown codec, bytes that do not decompress to the length that was promised.
    pub fn decode(&mut self, entry: &ColumnEntry, stored: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let id = entry.id;
        let crc = crc32c::crc32c(stored);
        if !checksum::is_right(crc, entry.crc) {
            return Err(format!("the checksum of column {id} is {crc:#010x}, the table says {:#010x}", entry.crc));
        }
        let raw = usize::try_from(entry.raw_bytes).map_err(|_| format!("column {id} claims {} bytes", entry.raw_bytes))?;
        out.clear();
        match entry.codec {
            stored_as::RAW if stored.len() == raw => out.extend_from_slice(stored),
            stored_as::RAW => return Err(format!("column {id} is stored raw in {} bytes, its table entry says {raw}", stored.len())),
            stored_as::ZSTD => {
                out.reserve_exact(raw);
                self.zstd.decompress_to_buffer(stored, out).map_err(|e| format!("column {id} does not decompress: {e}"))?;
                if out.len() != raw {
                    return Err(format!("column {id} decompresses to {} bytes, its table entry says {raw}", out.len()));
                }
            }
            other => return Err(format!("column {id} has codec {other}, which this build does not know")),
        }
        Ok(())
    }
}

/// A list of byte strings, as read: where each record's string ends in the joined bytes.
#[derive(Debug, Default)]
pub struct ByteStrings {
    /// `starts[i]..ends[i]` in `bytes`; null is `ends < starts`.
    spans: Vec<Span>,
    index: Vec<u32>,
    indexed: bool,
    /// All strings, joined.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    /// `u32::MAX`: null.
    len: u32,
}

const NULL: u32 = u32::MAX;

impl ByteStrings {
    /// Forgets all; every string is null.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.index.clear();
        self.indexed = false;
        self.bytes.clear();
    }

    /// Reads lengths (and index) for `records` records; `self.bytes` has been filled before.
    ///
    /// # Errors
    /// In words, when counts or lengths do not fit together.
    pub fn read(&mut self, name: &str, mut lengths: &[u8], index: Option<&[u8]>, records: usize) -> Result<(), String> {
        self.spans.clear();
        let mut at = 0usize;
        // A length takes at least a byte: what is asked for is bounded by what is there.
        self.spans.reserve(lengths.len().min(records));
        while !lengths.is_empty() && self.spans.len() < records {
            let len = varint::read_u64(&mut lengths).ok_or_else(|| format!("the lengths of {name} end in the middle of a number"))?;
            let start = u32::try_from(at).map_err(|_| format!("the bytes of {name} exceed 4 GiB"))?;
            let Some(len) = len.checked_sub(1) else {
                self.spans.push(Span { start, len: NULL });
                continue;
            };
            at = usize::try_from(len)
                .ok()
                .and_then(|len| at.checked_add(len))
                .filter(|end| *end <= self.bytes.len())
                .ok_or_else(|| format!("a length of {name} runs past its {} bytes", self.bytes.len()))?;
            self.spans.push(Span { start, len: u32::try_from(len).unwrap_or(NULL) });
        }
        // A dictionary has no more entries than it has users: what it takes in memory is bounded as a list's is.
        if !lengths.is_empty() || at != self.bytes.len() || (index.is_none() && self.spans.len() != records) {
            return Err(format!(
                "{name} has {} lengths that cover {at} bytes, {records} records and {} bytes expected",
                self.spans.len(),
                self.bytes.len()
            ));
        }
        self.indexed = index.is_some();
        self.index.clear();
        let Some(mut index) = index else { return Ok(()) };
        self.index.reserve(records);
        for _ in 0..records {
            let entry = varint::read_u64(&mut index)
                .ok_or_else(|| format!("the index of {name} ends after {} of {records} records", self.index.len()))?;
            if entry > self.spans.len() as u64 {
                return Err(format!("the index of {name} names entry {entry} of {}", self.spans.len()));
            }
            self.index.push(u32::try_from(entry).unwrap_or(0));
        }
        if index.is_empty() { Ok(()) } else { Err(format!("the index of {name} has {} bytes too many", index.len())) }
    }

    /// The string of a record.
    #[inline]
    #[must_use]
    pub fn get(&self, record: usize) -> Option<&[u8]> {
        let span = if self.indexed {
            let entry = *self.index.get(record)?;
            *self.spans.get(entry.checked_sub(1)? as usize)?
        } else {
            *self.spans.get(record)?
        };
        if span.len == NULL {
            return None;
        }
        let start = span.start as usize;
        self.bytes.get(start..start + span.len as usize)
    }

    /// Every distinct stored string once (a dictionary's entries, or each record's own).
    pub fn stored(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().filter(|s| s.len != NULL).filter_map(|s| self.bytes.get(s.start as usize..s.start as usize + s.len as usize))
    }
}

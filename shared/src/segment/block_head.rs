//! Reading a block's head: what it holds of each stream, and where its columns are.
//!
//! Counts and lengths are held against the limits, and against each other, before anything is asked for by them.

use super::block::{BlockStream, DURABLE_BYTES, kind};
use super::codec::{ColumnEntry, column};
use super::{BLOCK_BYTES_MAX, BLOCK_RECORDS_MAX, COLUMN_BYTES_MAX, MUST_UNDERSTAND, STREAMS_MAX, checksum};
use crate::varint;

/// What is wrong with a body that names another frame's head.
pub(super) const ANOTHER_FRAME: &str = "the frame's body is that of another frame";

/// A block's head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockHead {
    /// How many of the segment's frames were durable when it was written.
    pub frames_durable: u64,
    /// Its records.
    pub records: u32,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// What arrival times count from.
    pub base_arrival_ns: i64,
    /// What it holds of each stream.
    pub streams: Vec<BlockStream>,
    /// Its columns.
    pub columns: Vec<ColumnEntry>,
    /// Where the first column begins in the body.
    pub columns_start: usize,
}

/// How many bytes of a body the head takes, once its first 16 bytes are known.
///
/// # Errors
/// When it claims more than the body has.
pub fn head_end(body_start: &[u8; DURABLE_BYTES + 4], body_bytes: u32) -> Result<usize, String> {
    let b = &body_start[DURABLE_BYTES..];
    let head = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let end = u64::from(head) + DURABLE_BYTES as u64 + 8;
    if end > u64::from(body_bytes) {
        return Err(format!("the block's head claims {head} bytes, its body has {body_bytes}"));
    }
    usize::try_from(end).map_err(|e| e.to_string())
}

impl BlockHead {
    /// Reads the head from the start of a body (which may be cut after the head).
    ///
    /// # Errors
    /// In words, when lengths, checksums or counts are wrong.
    pub fn decode(body: &[u8], body_bytes: u32) -> Result<Self, String> {
        let Some(start) = body.first_chunk::<{ DURABLE_BYTES + 4 }>() else {
            return Err(format!("the block's body has {} bytes, at least 16 expected", body.len()));
        };
        let columns_start = head_end(start, body_bytes)?;
        let durable = body.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        if !checksum::closes(&body[8..DURABLE_BYTES], &body[..8]) {
            return Err("the checksum of the block's first 8 bytes is wrong".into());
        }
        let framed = body.get(DURABLE_BYTES..columns_start).ok_or("the block's body is cut in its head")?;
        let (covered, stored) = framed.split_at(framed.len() - 4);
        if !checksum::closes(stored, covered) {
            let crc = crc32c::crc32c(covered);
            return Err(format!("the checksum of the block's head is {crc:#010x}, its bytes say {}", super::frame::hex(stored)));
        }
        let mut rest = &covered[4..];
        let mut head = Self::read(&mut rest).ok_or("the block's head ends too early or has a number out of range")?;
        if !rest.is_empty() {
            return Err(format!("the block's head has {} bytes too many", rest.len()));
        }
        head.frames_durable = durable;
        head.columns_start = columns_start;
        head.check(u64::from(body_bytes) - columns_start as u64)?;
        Ok(head)
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let mut head = Self {
            records: u32::try_from(varint::read_u64(rest).filter(|r| *r <= BLOCK_RECORDS_MAX)?).ok()?,
            bytes_raw: varint::read_u64(rest)?,
            base_arrival_ns: varint::read_i64(rest)?,
            ..Self::default()
        };
        let streams = varint::read_u64(rest).filter(|s| *s <= u64::from(head.records))?;
        // Each row takes at least 10 bytes: what is asked for is bounded by what is there.
        head.streams.reserve(usize::try_from(streams).ok()?.min(rest.len() / 10));
        for _ in 0..streams {
            head.streams.push(read_row(rest, head.base_arrival_ns)?);
        }
        let columns = varint::read_u64(rest)?;
        for _ in 0..columns {
            // Numbers rise, so no more rows are kept than there are numbers.
            if head.columns.len() > usize::from(u16::MAX) {
                return None;
            }
            let mut number = || varint::read_u64(rest).and_then(|n| u16::try_from(n).ok());
            let (id, flags, codec) = (number()?, number()?, number()?);
            let (raw_bytes, stored_bytes) = (varint::read_u64(rest)?, varint::read_u64(rest)?);
            let (crc, after) = rest.split_first_chunk::<4>()?;
            *rest = after;
            head.columns.push(ColumnEntry { id, flags, codec, raw_bytes, stored_bytes, crc: u32::from_le_bytes(*crc) });
        }
        Some(head)
    }

    fn check(&self, columns_bytes: u64) -> Result<(), String> {
        if self.records == 0 {
            return Err("the block has no records".into());
        }
        let counted: u64 = self.streams.iter().map(|s| u64::from(s.records)).sum();
        if counted != u64::from(self.records) || self.streams.iter().any(|s| s.records == 0) {
            return Err(format!("the block has {} records, its streams have {counted} together", self.records));
        }
        let mut numbers: Vec<u32> = self.streams.iter().map(|s| s.stream).collect();
        numbers.sort_unstable();
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("stream {} has two rows, one is expected", pair[0]));
        }
        if let Some(pair) = self.columns.windows(2).find(|pair| pair[0].id >= pair[1].id) {
            return Err(format!("column {} stands before column {}: their numbers must rise", pair[0].id, pair[1].id));
        }
        let (mut raw, mut stored) = (0u64, 0u64);
        for entry in &self.columns {
            if entry.raw_bytes > COLUMN_BYTES_MAX {
                return Err(format!("column {} claims {} bytes raw, the limit is {COLUMN_BYTES_MAX}", entry.id, entry.raw_bytes));
            }
            raw += entry.raw_bytes;
            stored = stored.checked_add(entry.stored_bytes).ok_or("the columns' lengths overflow")?;
        }
        if raw > BLOCK_BYTES_MAX {
            return Err(format!("the block claims {raw} bytes raw, the limit is {BLOCK_BYTES_MAX}"));
        }
        if stored != columns_bytes {
            return Err(format!("the columns claim {stored} stored bytes, the body has {columns_bytes}"));
        }
        Ok(())
    }

    /// Where a column's stored bytes lie in the body.
    #[must_use]
    pub fn column(&self, id: u16) -> Option<(&ColumnEntry, std::ops::Range<usize>)> {
        let mut at = self.columns_start;
        for entry in &self.columns {
            let end = at + usize::try_from(entry.stored_bytes).ok()?;
            if entry.id == id {
                return Some((entry, at..end));
            }
            at = end;
        }
        None
    }

    /// Checks that every column is one this build knows, or may skip.
    ///
    /// # Errors
    /// The name of the first that it may not.
    pub fn refuse_unknown(&self) -> Result<(), String> {
        let known =
            |id: u16| matches!(id, column::FRAME..=column::FLAGS) || column::STRINGS.iter().any(|k| (*k..=k + column::INDEX).contains(&id));
        match self.columns.iter().find(|c| !known(c.id) && c.flags & MUST_UNDERSTAND != 0) {
            Some(entry) => Err(format!("column {}", entry.id)),
            None => Ok(()),
        }
    }

    /// Checks that the body is that of the frame whose head has this checksum. Blocks of earlier builds do not say.
    ///
    /// # Errors
    /// When it belongs to another frame, in words.
    pub fn check_frame(&self, body: &[u8], frame_crc: u32) -> Result<(), String> {
        let Some((_, range)) = self.column(column::FRAME) else { return Ok(()) };
        let named = body.get(range).and_then(|stored| stored.try_into().ok()).map(u32::from_le_bytes);
        if named.is_some_and(|named| checksum::is_right(frame_crc, named)) { Ok(()) } else { Err(ANOTHER_FRAME.into()) }
    }

    /// Lowest and highest broker time of all streams.
    #[must_use]
    pub fn broker_time(&self) -> Option<(i64, i64)> {
        let with = || self.streams.iter().filter(|s| s.kinds & (kind::CREATE | kind::APPEND) != 0);
        Some((with().map(|s| s.broker_min).min()?, with().map(|s| s.broker_max).max()?))
    }
}

fn read_row(rest: &mut &[u8], base: i64) -> Option<BlockStream> {
    let stream = u32::try_from(varint::read_u64(rest)?).ok().filter(|s| *s < STREAMS_MAX)?;
    let records = u32::try_from(varint::read_u64(rest)?).ok()?;
    let first = varint::read_i64(rest)?;
    let last = first.checked_add_unsigned(varint::read_u64(rest)?)?;
    let leader_epoch = i32::try_from(varint::read_i64(rest)?).ok()?;
    let bytes_raw = varint::read_u64(rest)?;
    let record_bytes_max = varint::read_u64(rest)?;
    let arrival_min_ns = base.wrapping_add(varint::read_i64(rest)?);
    let arrival_max_ns = arrival_min_ns.wrapping_add_unsigned(varint::read_u64(rest)?);
    let kinds = u8::try_from(varint::read_u64(rest)?).ok().filter(|k| *k != 0 && *k < 8)?;
    let (mut broker_min, mut broker_max) = (0, 0);
    if kinds & (kind::CREATE | kind::APPEND) != 0 {
        broker_min = varint::read_i64(rest)?;
        broker_max = broker_min.wrapping_add_unsigned(varint::read_u64(rest)?);
    }
    Some(BlockStream {
        stream,
        records,
        first,
        last,
        leader_epoch,
        bytes_raw,
        record_bytes_max,
        arrival_min_ns,
        arrival_max_ns,
        kinds,
        broker_min,
        broker_max,
    })
}

//! From a builder to a block's bytes: columns compressed one by one, and the head that lists them. Layout: [`super`].

use super::{BlockBuilder, BlockStream, DURABLE_BYTES, kind};
use crate::record::EPOCH_UNKNOWN;
use crate::segment::codec::{ColumnEncoder, ColumnEntry, Compression, column};
use crate::varint;

/// The bytes of column [`column::FRAME`]'s row in a head: five small numbers and a checksum.
const FRAME_ROW_BYTES: usize = 9;

/// A block, ready to be written: everything of its body but what binds it to its place in a segment.
#[derive(Debug, Default)]
pub struct EncodedBlock {
    /// The columns' stored bytes but for the first column's. Large, so they are never copied together with the head.
    pub(in crate::segment) stored: Vec<u8>,
    columns: Vec<ColumnEntry>,
    /// The head, with room for the row of column [`column::FRAME`].
    head: Vec<u8>,
    /// Where that room begins.
    frame_row_at: usize,
    streams: Vec<BlockStream>,
    records: u32,
    bytes_raw: u64,
}

impl EncodedBlock {
    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Their key, value and header bytes.
    #[must_use]
    pub fn bytes_raw(&self) -> u64 {
        self.bytes_raw
    }

    /// The bytes of its body.
    #[must_use]
    pub fn bytes_stored(&self) -> u64 {
        self.body_bytes() as u64
    }

    pub(in crate::segment) fn body_bytes(&self) -> usize {
        // The head has its length before and its checksum behind it, then comes the column of the frame.
        DURABLE_BYTES + 4 + self.head.len() + 4 + 4 + self.stored.len()
    }

    /// The body up to `stored`, for the frame whose head has this checksum.
    pub(in crate::segment) fn body_start(&self, frames_durable: u64, frame_crc: u32) -> Vec<u8> {
        let frame = frame_crc.to_le_bytes();
        let durable = frames_durable.to_le_bytes();
        let mut out = Vec::with_capacity(self.body_bytes() - self.stored.len());
        out.extend_from_slice(&durable);
        out.extend_from_slice(&crc32c::crc32c(&durable).to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.head.len()).unwrap_or(u32::MAX).to_le_bytes());
        let (before, after) = self.head.split_at(self.frame_row_at);
        out.extend_from_slice(before);
        // Not must-understand: a reader that does not know it reads the records all the same.
        out.extend_from_slice(&[0, 0, 0, 4, 4]);
        out.extend_from_slice(&crc32c::crc32c(&frame).to_le_bytes());
        out.extend_from_slice(&after[FRAME_ROW_BYTES..]);
        out.extend_from_slice(&crc32c::crc32c(&out[DURABLE_BYTES..]).to_le_bytes());
        out.extend_from_slice(&frame);
        out
    }

    /// What it holds of each stream.
    #[must_use]
    pub fn streams(&self) -> &[BlockStream] {
        &self.streams
    }
}

/// Turns builders into blocks. Owns zstd's context: one per thread, reused.
pub struct BlockEncoder {
    columns: ColumnEncoder,
}

impl BlockEncoder {
    /// A new encoder.
    ///
    /// # Errors
    /// When zstd cannot have its memory.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { columns: ColumnEncoder::new()? })
    }

    /// Encodes what `builder` holds into `out`, replacing what is there.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn encode(&mut self, builder: &BlockBuilder, compression: Compression, out: &mut EncodedBlock) -> std::io::Result<()> {
        out.columns.clear();
        out.stored.clear();
        out.streams.clear();
        out.streams.extend_from_slice(&builder.streams);
        out.records = u32::try_from(builder.records).unwrap_or(u32::MAX);
        out.bytes_raw = builder.bytes_raw as u64;

        let mut runs_tail = Vec::new();
        if let Some((slot, length)) = builder.run {
            varint::write_u64(&mut runs_tail, u64::from(slot));
            varint::write_u64(&mut runs_tail, length);
        }
        let mut add = |id: u16, raw: &[u8]| -> std::io::Result<()> {
            let entry = self.columns.encode(id, raw, compression, &mut out.stored)?;
            out.columns.push(entry);
            Ok(())
        };
        if builder.streams.len() > 1 {
            add(column::STREAMS, &[builder.runs.as_slice(), &runs_tail].concat())?;
        }
        for (id, raw) in
            [(column::ARRIVAL, &builder.arrivals), (column::POSITION, &builder.positions), (column::BROKER_TIME, &builder.broker_times)]
        {
            if raw.iter().any(|b| *b != 0) {
                add(id, raw)?;
            }
        }
        if builder.streams.iter().any(|s| s.kinds.count_ones() > 1) {
            add(column::BROKER_TIME_KIND, &builder.kinds)?;
        }
        if builder.any_flag {
            add(column::FLAGS, &builder.flags)?;
        }
        for (id, strings) in builder.strings() {
            if strings.any {
                add(id, &strings.lengths)?;
                add(id + column::BYTES, &strings.bytes)?;
                if let Some(dictionary) = &strings.dictionary {
                    add(id + column::INDEX, &dictionary.index)?;
                }
            }
        }
        out.frame_row_at = write_head(builder, &out.columns, &mut out.head);
        Ok(())
    }
}

/// Writes the head; gives where in it the room for the row of column [`column::FRAME`] is.
fn write_head(builder: &BlockBuilder, columns: &[ColumnEntry], head: &mut Vec<u8>) -> usize {
    head.clear();
    varint::write_u64(head, builder.records as u64);
    varint::write_u64(head, builder.bytes_raw as u64);
    varint::write_i64(head, builder.base_arrival_ns);
    varint::write_u64(head, builder.streams.len() as u64);
    for row in &builder.streams {
        varint::write_u64(head, u64::from(row.stream));
        varint::write_u64(head, u64::from(row.records));
        varint::write_i64(head, row.first);
        varint::write_u64(head, row.last.wrapping_sub(row.first).cast_unsigned());
        varint::write_i64(head, i64::from(row.leader_epoch.max(EPOCH_UNKNOWN)));
        varint::write_u64(head, row.bytes_raw);
        varint::write_u64(head, row.record_bytes_max);
        varint::write_i64(head, row.arrival_min_ns.wrapping_sub(builder.base_arrival_ns));
        varint::write_u64(head, row.arrival_max_ns.wrapping_sub(row.arrival_min_ns).cast_unsigned());
        varint::write_u64(head, u64::from(row.kinds));
        if row.kinds & (kind::CREATE | kind::APPEND) != 0 {
            varint::write_i64(head, row.broker_min);
            varint::write_u64(head, row.broker_max.wrapping_sub(row.broker_min).cast_unsigned());
        }
    }
    varint::write_u64(head, columns.len() as u64 + 1);
    let frame_row_at = head.len();
    head.extend_from_slice(&[0; FRAME_ROW_BYTES]);
    for entry in columns {
        varint::write_u64(head, u64::from(entry.id));
        varint::write_u64(head, u64::from(entry.flags));
        varint::write_u64(head, u64::from(entry.codec));
        varint::write_u64(head, entry.raw_bytes);
        varint::write_u64(head, entry.stored_bytes);
        head.extend_from_slice(&entry.crc.to_le_bytes());
    }
    frame_row_at
}

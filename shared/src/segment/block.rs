//! Building a block: records in, columns out.
//!
//! # Layout of a block's body
//! ```text
//! body    = frames durable u64 · crc32c u32 of it · head length u32 · head · crc32c u32 of (head length · head) · columns
//! head    = records · raw bytes · base arrival (signed) · streams · stream row* · columns · column row*        (all varints)
//! stream row = number · records · first position (signed) · last − first · leader epoch (signed) · raw bytes · largest record
//!              · arrival min − base (signed) · arrival max − min · kinds · [broker time min (signed) · max − min, if kinds & 6]
//! column row = number · flags · codec · raw length · stored length · crc32c u32
//! ```
//! *frames durable* is how many of this segment's frames had been synced when the block was written: recovery uses it to
//! tell a torn tail from damage in what was safe. Column 0 names the frame that the body belongs to. Both are known only when
//! the block is written, after it was encoded.
//!
//! # Cost
//! One copy of the record's bytes, two to six varints, no allocation once the buffers have grown. Keys and header sets go
//! through a dictionary that gives itself up when it does not pay.

use super::block_strings::Strings;
use super::codec::column;
use crate::record::{BrokerTime, RECORD_BYTES_MAX, Record, StreamIx};
use crate::varint;

mod encoded;

pub use encoded::{BlockEncoder, EncodedBlock};

/// The bytes of a body before its head length.
pub const DURABLE_BYTES: usize = 12;
/// The most records that go into one block here: their numbers (53 bytes each at worst, and one more for each 127 bytes of a
/// string) and [`RECORD_BYTES_MAX`] of strings stay under [`super::BLOCK_BYTES_MAX`], so that what is written can be read.
const RECORDS_MAX: usize = 1 << 19;

/// Bits of a stream row's kinds.
pub mod kind {
    /// Some record has no broker time.
    pub const NONE: u8 = 1;
    /// Some record has a create time.
    pub const CREATE: u8 = 2;
    /// Some record has an append time.
    pub const APPEND: u8 = 4;
    /// The bit of the kind with this number in the kinds column.
    #[must_use]
    pub fn bit(number: u8) -> u8 {
        1 << number
    }
}

/// What a block holds of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockStream {
    /// The stream's number.
    pub stream: StreamIx,
    /// Its records.
    pub records: u32,
    /// Position of the first.
    pub first: i64,
    /// Position of the last.
    pub last: i64,
    /// The epoch of all of them.
    pub leader_epoch: i32,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// The bytes of the largest of them.
    pub record_bytes_max: u64,
    /// Earliest arrival.
    pub arrival_min_ns: i64,
    /// Latest arrival.
    pub arrival_max_ns: i64,
    /// Which kinds of broker time occur.
    pub kinds: u8,
    /// Lowest broker time, raw (0 where `kinds` says none).
    pub broker_min: i64,
    /// Highest broker time, raw.
    pub broker_max: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    previous_position: i64,
    previous_broker: i64,
}

/// Collects records into columns. `clear` keeps its memory.
pub struct BlockBuilder {
    streams: Vec<BlockStream>,
    lanes: Vec<Lane>,
    /// Stream number → index in `streams`, `u32::MAX` where absent.
    slots: Vec<u32>,
    records: usize,
    bytes_raw: usize,
    /// As `bytes_raw`, but header sets as they are encoded.
    bytes_encoded: usize,
    base_arrival_ns: i64,
    previous_arrival_ns: i64,
    run: Option<(u32, u64)>,
    runs: Vec<u8>,
    arrivals: Vec<u8>,
    positions: Vec<u8>,
    broker_times: Vec<u8>,
    kinds: Vec<u8>,
    flags: Vec<u8>,
    any_flag: bool,
    keys: Strings,
    headers: Strings,
    values: Strings,
    routing_keys: Strings,
    properties: Strings,
}

impl Default for BlockBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BlockBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self {
            streams: Vec::new(),
            lanes: Vec::new(),
            slots: Vec::new(),
            records: 0,
            bytes_raw: 0,
            bytes_encoded: 0,
            base_arrival_ns: 0,
            previous_arrival_ns: 0,
            run: None,
            runs: Vec::new(),
            arrivals: Vec::new(),
            positions: Vec::new(),
            broker_times: Vec::new(),
            kinds: Vec::new(),
            flags: Vec::new(),
            any_flag: false,
            keys: Strings::new(true),
            headers: Strings::new(true),
            values: Strings::new(false),
            routing_keys: Strings::new(true),
            properties: Strings::new(true),
        }
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        for stream in self.streams.drain(..) {
            self.slots[stream.stream as usize] = u32::MAX;
        }
        self.lanes.clear();
        self.records = 0;
        self.bytes_raw = 0;
        self.bytes_encoded = 0;
        self.run = None;
        self.any_flag = false;
        for column in [&mut self.runs, &mut self.arrivals, &mut self.positions, &mut self.broker_times, &mut self.kinds, &mut self.flags] {
            column.clear();
        }
        for strings in [&mut self.keys, &mut self.headers, &mut self.values, &mut self.routing_keys, &mut self.properties] {
            strings.clear();
        }
    }

    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Their key, value and header bytes.
    #[must_use]
    pub fn bytes_raw(&self) -> usize {
        self.bytes_raw
    }

    /// The memory its buffers hold, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        [&self.runs, &self.arrivals, &self.positions, &self.broker_times, &self.kinds, &self.flags]
            .iter()
            .map(|c| c.capacity())
            .sum::<usize>()
            + self.strings().iter().map(|(_, strings)| strings.memory()).sum::<usize>()
    }

    /// The columns of byte strings, by number.
    fn strings(&self) -> [(u16, &Strings); column::STRINGS.len()] {
        [
            (column::KEY, &self.keys),
            (column::ROUTING_KEY, &self.routing_keys),
            (column::HEADERS, &self.headers),
            (column::VALUE, &self.values),
            (column::PROPERTIES, &self.properties),
        ]
    }

    /// What it holds of each stream, in the order in which they came.
    #[must_use]
    pub fn streams(&self) -> &[BlockStream] {
        &self.streams
    }

    /// Whether this record may go into the same block as those that are there: a stream has one leader epoch in a
    /// block, its positions rise, and the block has room under the format's limits.
    #[must_use]
    pub fn accepts(&self, record: &Record<'_>) -> bool {
        let fits = self.records == 0 || (self.bytes_encoded + encoded_bytes(record) <= RECORD_BYTES_MAX && self.records < RECORDS_MAX);
        fits && match self.slots.get(record.stream as usize) {
            Some(&slot) if slot != u32::MAX => {
                let there = &self.streams[slot as usize];
                there.leader_epoch == record.leader_epoch && there.last < record.position
            }
            _ => true,
        }
    }

    /// Adds a record that [`BlockBuilder::accepts`].
    pub fn push(&mut self, record: &Record<'_>) {
        debug_assert!(self.accepts(record), "the caller asks accepts() first");
        if self.records == 0 {
            self.base_arrival_ns = record.arrival_ns;
            self.previous_arrival_ns = record.arrival_ns;
        }
        let slot = self.slot_of(record);
        self.push_run(slot);
        varint::write_i64(&mut self.arrivals, record.arrival_ns.wrapping_sub(self.previous_arrival_ns));
        self.previous_arrival_ns = record.arrival_ns;
        let lane = &mut self.lanes[slot as usize];
        varint::write_i64(&mut self.positions, record.position.wrapping_sub(lane.previous_position).wrapping_sub(1));
        lane.previous_position = record.position;
        let (kind_number, raw) = match record.broker_time {
            BrokerTime::None => (0u8, lane.previous_broker),
            BrokerTime::Create(raw) => (1, raw),
            BrokerTime::Append(raw) => (2, raw),
        };
        varint::write_i64(&mut self.broker_times, raw.wrapping_sub(lane.previous_broker));
        lane.previous_broker = raw;
        self.kinds.push(kind_number);
        self.flags.push(record.flags.0);
        self.any_flag |= record.flags.0 != 0;
        let headers = record.headers.as_bytes();
        self.keys.push(record.key);
        self.headers.push((!headers.is_empty()).then_some(headers));
        self.values.push(record.value);
        self.routing_keys.push(record.routing_key);
        self.properties.push((!record.properties.is_empty()).then(|| record.properties.as_bytes()));
        self.account(slot, record, kind_number, raw);
    }

    fn account(&mut self, slot: u32, record: &Record<'_>, kind_number: u8, raw: i64) {
        let bytes = record.bytes_raw();
        let row = &mut self.streams[slot as usize];
        row.records += 1;
        row.last = record.position;
        row.bytes_raw += bytes as u64;
        row.record_bytes_max = row.record_bytes_max.max(bytes as u64);
        row.arrival_min_ns = row.arrival_min_ns.min(record.arrival_ns);
        row.arrival_max_ns = row.arrival_max_ns.max(record.arrival_ns);
        if kind_number != 0 {
            let first = row.kinds & (kind::CREATE | kind::APPEND) == 0;
            row.broker_min = if first { raw } else { row.broker_min.min(raw) };
            row.broker_max = if first { raw } else { row.broker_max.max(raw) };
        }
        row.kinds |= kind::bit(kind_number);
        self.records += 1;
        self.bytes_raw += bytes;
        self.bytes_encoded += encoded_bytes(record);
    }

    #[inline]
    fn slot_of(&mut self, record: &Record<'_>) -> u32 {
        let at = record.stream as usize;
        if let Some(&slot) = self.slots.get(at)
            && slot != u32::MAX
        {
            return slot;
        }
        if self.slots.len() <= at {
            self.slots.resize(at + 1, u32::MAX);
        }
        let slot = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        self.slots[at] = slot;
        self.streams.push(BlockStream {
            stream: record.stream,
            records: 0,
            first: record.position,
            last: record.position,
            leader_epoch: record.leader_epoch,
            bytes_raw: 0,
            record_bytes_max: 0,
            arrival_min_ns: i64::MAX,
            arrival_max_ns: i64::MIN,
            kinds: 0,
            broker_min: 0,
            broker_max: 0,
        });
        self.lanes.push(Lane { previous_position: record.position.wrapping_sub(1), previous_broker: 0 });
        slot
    }

    #[inline]
    fn push_run(&mut self, slot: u32) {
        match &mut self.run {
            Some((open, length)) if *open == slot => *length += 1,
            run => {
                if let Some((open, length)) = run.replace((slot, 1)) {
                    varint::write_u64(&mut self.runs, u64::from(open));
                    varint::write_u64(&mut self.runs, length);
                }
            }
        }
    }
}

/// What a record's byte strings take in columns, at most.
#[inline]
fn encoded_bytes(record: &Record<'_>) -> usize {
    let strings = [record.key, record.value, record.routing_key].into_iter().flatten().map(<[u8]>::len).sum::<usize>();
    strings + record.headers.as_bytes().len() + record.properties.as_bytes().len()
}

//! Reading a block: its head, and as many of its columns as are wanted.
//!
//! Everything is checked before memory is asked for: limits first, then checksums, then lengths against each other. A
//! reader that wants only times decompresses only times ([`Wanted::TIMES`]).

use super::block_head::BlockHead;
use super::codec::{ByteStrings, ColumnDecoder, column};
use crate::amqp::Properties;
use crate::record::{BrokerTime, Headers, Record, RecordFlags};
use crate::varint;

/// Why a block cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockFault {
    /// Bytes are wrong; in words.
    Damaged(String),
    /// It has a column that must be understood and is not; its name.
    MustUnderstand(String),
}

impl From<String> for BlockFault {
    fn from(what: String) -> Self {
        Self::Damaged(what)
    }
}

/// Which columns to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    payloads: bool,
}

impl Wanted {
    /// Streams, positions, times, kinds and flags.
    pub const TIMES: Self = Self { payloads: false };
    /// All of it.
    pub const ALL: Self = Self { payloads: true };
}

/// A decoded block. Reuse it: `decode` keeps its memory.
#[derive(Default)]
pub struct Block {
    /// The head it was decoded by.
    pub head: BlockHead,
    /// Each record's stream, as an index into `head.streams`.
    slots: Vec<u32>,
    arrivals: Vec<i64>,
    positions: Vec<i64>,
    broker_times: Vec<i64>,
    kinds: Vec<u8>,
    flags: Vec<u8>,
    keys: ByteStrings,
    headers: ByteStrings,
    values: ByteStrings,
    routing_keys: ByteStrings,
    properties: ByteStrings,
    scratch: Vec<u8>,
    scratch_index: Vec<u8>,
}

impl Block {
    /// Decodes a body.
    ///
    /// # Errors
    /// [`BlockFault`].
    pub fn decode(&mut self, decoder: &mut ColumnDecoder, body: &[u8], wanted: Wanted) -> Result<(), BlockFault> {
        let body_bytes = u32::try_from(body.len()).map_err(|_| "the body is longer than 4 GiB".to_owned())?;
        self.head = BlockHead::decode(body, body_bytes)?;
        self.head.refuse_unknown().map_err(BlockFault::MustUnderstand)?;
        self.decode_slots(decoder, body)?;
        self.decode_numbers(decoder, body)?;
        let records = self.head.records as usize;
        for (id, name, strings) in [
            (column::KEY, "keys", &mut self.keys),
            (column::HEADERS, "header sets", &mut self.headers),
            (column::VALUE, "values", &mut self.values),
            (column::ROUTING_KEY, "routing keys", &mut self.routing_keys),
            (column::PROPERTIES, "properties", &mut self.properties),
        ] {
            strings.clear();
            if !wanted.payloads || !load(&self.head, decoder, body, id, &mut self.scratch)? {
                continue;
            }
            load(&self.head, decoder, body, id + column::BYTES, &mut strings.bytes)?;
            let indexed = load(&self.head, decoder, body, id + column::INDEX, &mut self.scratch_index)?;
            strings.read(name, &self.scratch, indexed.then_some(self.scratch_index.as_slice()), records)?;
        }
        for set in self.headers.stored() {
            Headers::parse(set).map_err(|e| e.to_string())?;
        }
        for properties in self.properties.stored() {
            Properties::parse(properties).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn decode_slots(&mut self, decoder: &mut ColumnDecoder, body: &[u8]) -> Result<(), BlockFault> {
        let records = self.head.records as usize;
        self.slots.clear();
        self.slots.reserve(records);
        if !load(&self.head, decoder, body, column::STREAMS, &mut self.scratch)? {
            if self.head.streams.len() > 1 {
                return Err("the block has several streams and no column that tells them apart".to_owned().into());
            }
            self.slots.resize(records, 0);
            return Ok(());
        }
        let mut runs = self.scratch.as_slice();
        let mut left: Vec<usize> = self.head.streams.iter().map(|s| s.records as usize).collect();
        while !runs.is_empty() {
            let run =
                varint::read_u64(&mut runs).zip(varint::read_u64(&mut runs)).ok_or_else(|| "the stream runs end too early".to_owned())?;
            let (slot, length) = (u32::try_from(run.0).unwrap_or(u32::MAX), usize::try_from(run.1).unwrap_or(usize::MAX));
            let Some(rest) = left.get_mut(slot as usize).filter(|rest| length <= **rest) else {
                return Err(format!("a run of {length} records of stream row {slot} is more than the rows say").into());
            };
            *rest -= length;
            self.slots.resize(self.slots.len() + length, slot);
        }
        if self.slots.len() == records {
            Ok(())
        } else {
            Err(format!("the stream runs cover {} of {records} records", self.slots.len()).into())
        }
    }

    fn decode_numbers(&mut self, decoder: &mut ColumnDecoder, body: &[u8]) -> Result<(), BlockFault> {
        let records = self.head.records as usize;
        let here = load(&self.head, decoder, body, column::ARRIVAL, &mut self.scratch)?;
        let mut previous = self.head.base_arrival_ns;
        read_differences("arrival times", here.then_some(self.scratch.as_slice()), records, &mut self.arrivals, |_, difference| {
            previous = previous.wrapping_add(difference);
            previous
        })?;
        let here = load(&self.head, decoder, body, column::POSITION, &mut self.scratch)?;
        let mut lanes: Vec<i64> = self.head.streams.iter().map(|s| s.first.wrapping_sub(1)).collect();
        let column = here.then_some(self.scratch.as_slice());
        read_lanes("positions", column, 1, &self.slots, &mut lanes, &mut self.positions)?;
        if let Some(row) = self.head.streams.iter().zip(&lanes).find(|(row, last)| row.last != **last) {
            return Err(format!("stream {} ends at position {} in the block, its row says {}", row.0.stream, row.1, row.0.last).into());
        }
        let here = load(&self.head, decoder, body, column::BROKER_TIME, &mut self.scratch)?;
        lanes.fill(0);
        let column = here.then_some(self.scratch.as_slice());
        read_lanes("broker times", column, 0, &self.slots, &mut lanes, &mut self.broker_times)?;
        if !load(&self.head, decoder, body, column::BROKER_TIME_KIND, &mut self.kinds)? {
            if self.head.streams.iter().any(|s| s.kinds.count_ones() > 1) {
                return Err("a stream has several kinds of broker time and there is no column that tells them apart".to_owned().into());
            }
            let kinds: Vec<u8> = self.head.streams.iter().map(|s| u8::try_from(s.kinds.trailing_zeros()).unwrap_or(0)).collect();
            self.kinds.clear();
            match kinds.first() {
                Some(kind) if kinds.iter().all(|k| k == kind) => self.kinds.resize(records, *kind),
                _ => self.kinds.extend(self.slots.iter().map(|slot| kinds[*slot as usize])),
            }
        }
        if !load(&self.head, decoder, body, column::FLAGS, &mut self.flags)? {
            self.flags.clear();
            self.flags.resize(records, 0);
        }
        if let Some(kind) = self.kinds.iter().find(|k| **k > 2) {
            return Err(format!("a record has broker time of kind {kind}, 0 to 2 expected").into());
        }
        if self.kinds.len() != records || self.flags.len() != records {
            return Err(format!("the block has {} kinds and {} flags for {records} records", self.kinds.len(), self.flags.len()).into());
        }
        Ok(())
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has none (only before the first `decode`).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Each record's stream, as an index into `head.streams`.
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// A record's arrival time.
    #[inline]
    #[must_use]
    pub fn arrival_ns(&self, record: usize) -> i64 {
        self.arrivals[record]
    }

    /// A record's broker time.
    #[inline]
    #[must_use]
    pub fn broker_time(&self, record: usize) -> BrokerTime {
        match self.kinds[record] {
            1 => BrokerTime::Create(self.broker_times[record]),
            2 => BrokerTime::Append(self.broker_times[record]),
            _ => BrokerTime::None,
        }
    }

    /// A record's flags.
    #[inline]
    #[must_use]
    pub fn flags(&self, record: usize) -> RecordFlags {
        RecordFlags(self.flags[record])
    }

    /// A record, as far as its columns were wanted. Its stream is the number in the segment.
    ///
    /// # Panics
    /// When `record` is not below [`Block::len`].
    #[inline]
    #[must_use]
    pub fn record(&self, record: usize) -> Record<'_> {
        let row = &self.head.streams[self.slots[record] as usize];
        Record {
            stream: row.stream,
            position: self.positions[record],
            leader_epoch: row.leader_epoch,
            arrival_ns: self.arrivals[record],
            broker_time: self.broker_time(record),
            key: self.keys.get(record),
            value: self.values.get(record),
            headers: self.headers.get(record).map_or(Headers::EMPTY, Headers::from_checked),
            flags: self.flags(record),
            routing_key: self.routing_keys.get(record),
            properties: self.properties.get(record).map_or(Properties::EMPTY, Properties::from_checked),
        }
    }
}

/// Loads a column into `out`; false when the block has none.
fn load(head: &BlockHead, decoder: &mut ColumnDecoder, body: &[u8], id: u16, out: &mut Vec<u8>) -> Result<bool, BlockFault> {
    let Some((entry, range)) = head.column(id) else {
        out.clear();
        return Ok(false);
    };
    let stored = body.get(range).ok_or_else(|| format!("column {id} runs past the body"))?;
    decoder.decode(entry, stored, out)?;
    Ok(true)
}

/// Reads a column of differences to the stream's record before, each `step` more than it says.
fn read_lanes(
    name: &str,
    column: Option<&[u8]>,
    step: i64,
    slots: &[u32],
    lanes: &mut [i64],
    out: &mut Vec<i64>,
) -> Result<(), BlockFault> {
    // A block of one stream is common, and needs no look at whose record comes next.
    if let [lane] = lanes {
        return read_differences(name, column, slots.len(), out, |_, difference| {
            *lane = lane.wrapping_add(difference).wrapping_add(step);
            *lane
        });
    }
    read_differences(name, column, slots.len(), out, |record, difference| {
        let lane = &mut lanes[slots[record] as usize];
        *lane = lane.wrapping_add(difference).wrapping_add(step);
        *lane
    })
}

#[inline]
fn read_differences(
    name: &str,
    column: Option<&[u8]>,
    records: usize,
    out: &mut Vec<i64>,
    mut value: impl FnMut(usize, i64) -> i64,
) -> Result<(), BlockFault> {
    out.clear();
    out.reserve(records);
    let Some(mut column) = column else {
        out.extend((0..records).map(|record| value(record, 0)));
        return Ok(());
    };
    for record in 0..records {
        let difference =
            varint::read_i64(&mut column).ok_or_else(|| format!("the column of {name} ends after {record} of {records} records"))?;
        out.push(value(record, difference));
    }
    if column.is_empty() { Ok(()) } else { Err(format!("the column of {name} has {} bytes too many", column.len()).into()) }
}

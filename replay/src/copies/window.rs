//! The recent records of the original, kept once for all copies, in the order in which they came; a bounded memory.

use std::collections::VecDeque;

use dejaq_shared::amqp::Properties;
use dejaq_shared::record::{BrokerTime, Headers, Record, RecordFlags, StreamIx};

/// The most memory for kept records.
pub const WINDOW_BYTES_MAX: usize = 16 << 20;
/// A chunk of memory is closed when it is this full.
const CHUNK_BYTES: usize = 1 << 20;
const ABSENT: u32 = u32::MAX;
/// The byte strings of a record.
const PARTS: usize = 5;

/// What is known of a kept record besides what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Its time, nanoseconds after the first of the pass.
    pub(crate) at_ns: u64,
    /// Whether this shard sends it; else only its place is kept.
    pub(crate) own: bool,
    /// Whether a thinned copy has it.
    pub(crate) in_thinned: bool,
    /// Whether its key is new in each pass.
    pub(crate) renewed: bool,
}

#[derive(Debug)]
struct Entry {
    kept: Kept,
    stream: StreamIx,
    position: i64,
    leader_epoch: i32,
    arrival_ns: i64,
    broker_time: BrokerTime,
    flags: RecordFlags,
    /// Which chunk, from the beginning of the run.
    chunk: u64,
    start: u32,
    /// Of key, value, header set, routing key and properties.
    lens: [u32; PARTS],
}

#[derive(Debug, Default)]
pub(crate) struct Window {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    chunks: VecDeque<Vec<u8>>,
    /// The number of the first chunk.
    first_chunk: u64,
    spare: Option<Vec<u8>>,
}

impl Window {
    /// Keeps a record at the end; false when there is no room.
    pub(crate) fn push(&mut self, kept: Kept, record: &Record<'_>) -> bool {
        let parts: [Option<&[u8]>; PARTS] = match kept.own {
            true => [record.key, record.value, Some(record.headers.as_bytes()), record.routing_key, Some(record.properties.as_bytes())],
            false => [None; PARTS],
        };
        let bytes = parts.into_iter().flatten().map(<[u8]>::len).sum::<usize>();
        let held = self.chunks.iter().map(Vec::len).sum::<usize>() + self.entries.len() * size_of::<Entry>();
        if held + bytes > WINDOW_BYTES_MAX && !self.entries.is_empty() {
            return false;
        }
        if self.chunks.back().is_none_or(|chunk| chunk.len() + bytes > CHUNK_BYTES) {
            self.chunks.push_back(self.spare.take().unwrap_or_default());
        }
        let Some(chunk) = self.chunks.back_mut() else { return false };
        let start = len_u32(chunk.len());
        for part in parts.into_iter().flatten() {
            chunk.extend_from_slice(part);
        }
        self.entries.push_back(Entry {
            kept,
            stream: record.stream,
            position: record.position,
            leader_epoch: record.leader_epoch,
            arrival_ns: record.arrival_ns,
            broker_time: record.broker_time,
            flags: record.flags,
            chunk: self.first_chunk + self.chunks.len() as u64 - 1,
            start,
            lens: parts.map(|bytes| bytes.map_or(ABSENT, |b| len_u32(b.len()))),
        });
        true
    }

    /// The record with this number.
    pub(crate) fn get(&self, number: u64) -> Option<(&Kept, Record<'_>)> {
        let entry = self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        let chunk = self.chunks.get(usize::try_from(entry.chunk - self.first_chunk).ok()?)?;
        let mut at = entry.start as usize;
        let [key, value, headers, routing_key, properties] = entry.lens.map(|len| {
            let bytes = (len != ABSENT).then(|| &chunk[at..at + len as usize]);
            at += bytes.map_or(0, <[u8]>::len);
            bytes
        });
        let record = Record {
            stream: entry.stream,
            position: entry.position,
            leader_epoch: entry.leader_epoch,
            arrival_ns: entry.arrival_ns,
            broker_time: entry.broker_time,
            key,
            value,
            headers: Headers::from_checked(headers.unwrap_or_default()),
            flags: entry.flags,
            routing_key,
            properties: Properties::from_checked(properties.unwrap_or_default()),
        };
        Some((&entry.kept, record))
    }

    /// Forgets all records before this number.
    pub(crate) fn drop_before(&mut self, number: u64) {
        while self.first < number && self.entries.pop_front().is_some() {
            self.first += 1;
        }
        let needed = self.entries.front().map_or(u64::MAX, |e| e.chunk);
        while self.first_chunk < needed && self.chunks.len() > usize::from(needed != u64::MAX) {
            let Some(mut chunk) = self.chunks.pop_front() else { break };
            self.first_chunk += 1;
            chunk.clear();
            chunk.shrink_to(2 * CHUNK_BYTES);
            self.spare = Some(chunk);
        }
    }

    /// From the first kept record to the last, in nanoseconds.
    pub(crate) fn span_ns(&self) -> u64 {
        self.entries.back().zip(self.entries.front()).map_or(0, |(last, first)| last.kept.at_ns - first.kept.at_ns)
    }
}

/// A chunk is closed at about 1 MiB, and a record has 128 MiB at most.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX - 1)
}

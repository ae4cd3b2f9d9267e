//! Ready records, many at a time, in one arena: nothing is allocated per record, and nothing is borrowed from the
//! recording.

use std::num::NonZeroU32;

use dejaq_shared::amqp::Properties;
use dejaq_shared::broker::sink::TargetIx;
use dejaq_shared::record::{Headers, Record, StreamIx};

use crate::partitioner::java_partition;
use crate::transform::shown::Shown;

const ABSENT: u32 = u32::MAX;

/// One ready record; its bytes are in its batch.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// When it is due, nanoseconds after the start of the run.
    pub due_ns: u64,
    /// Its position in its stream.
    pub position: i64,
    /// Its source stream.
    pub stream: StreamIx,
    /// The topic or exchange it goes to.
    pub target: TargetIx,
    /// Kafka: the partition it goes to. RabbitMQ: the connection that carries it.
    pub partition: i32,
    /// What its time stamp is made of, see [`Stamping`](crate::timestamps::Stamping).
    pub stamp: i64,
    /// Which copy of the traffic it belongs to, from 0: the original.
    pub copy: u32,
    /// Whether it carries the mark.
    pub mark: bool,
    start: u32,
    /// Of the key; RabbitMQ: of the routing key.
    key_len: u32,
    value_len: u32,
    /// Of the headers; RabbitMQ: of the properties.
    headers_len: u32,
    bytes_raw: u32,
}

impl Item {
    /// Key, value and header bytes; RabbitMQ: routing key, body and properties as they are encoded.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.bytes_raw)
    }

    /// What it takes in the arena: headers and properties lie there as they are encoded.
    fn arena_bytes(&self) -> usize {
        let present = |len| if len == ABSENT { 0 } else { len as usize };
        present(self.key_len) + present(self.value_len) + self.headers_len as usize
    }
}

/// Records that a rule left out, between two items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filtered {
    /// The item before which they stood.
    pub before: u32,
    /// Their stream.
    pub stream: StreamIx,
    /// How many.
    pub count: u64,
    /// Why.
    pub why: LeftOut,
}

/// Why a record was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// Its stream is not selected.
    Stream,
    /// `--copies` below 1 leaves it out.
    Thinned,
    /// The thinned copy lacks it.
    ThinnedCopy,
    /// The source's broker dead-lettered it (`--dead-lettered skip`).
    DeadLettered,
}

/// Where a stream's records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The topic or exchange, as an index into the target's list.
    pub target: TargetIx,
    /// The partition; where keys decide, that of records without one. RabbitMQ: the connection, from 0.
    pub partition: i32,
    /// The target's number of partitions, where each record's key decides among them.
    pub by_key: Option<NonZeroU32>,
}

impl Route {
    /// All records into one partition.
    #[must_use]
    pub fn fixed(target: TargetIx, partition: i32) -> Self {
        Self { target, partition, by_key: None }
    }

    /// The partition of a record with this key.
    #[must_use]
    #[inline]
    pub fn partition_of(&self, key: Option<&[u8]>) -> i32 {
        match (self.by_key, key) {
            (Some(partitions), Some(key)) => java_partition(key, partitions),
            _ => self.partition,
        }
    }
}

/// When a record is due, and what its time stamp is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// See [`Item::due_ns`].
    pub due_ns: u64,
    /// See [`Item::stamp`].
    pub stamp: i64,
}

/// Ready records of one pass, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Which pass of a loop they belong to, from 0.
    pub pass: u32,
    /// The records.
    pub items: Vec<Item>,
    /// What was left out between them.
    pub filtered: Vec<Filtered>,
    bytes: Vec<u8>,
    /// What rules wrote, each with the item that they wrote it into.
    shown: Vec<(u32, Shown)>,
    /// How many items were dealt with, and those of them that were not sent.
    dealt_with: u32,
    unsent: Vec<u32>,
}

impl Batch {
    /// An empty batch of a pass.
    #[must_use]
    pub fn of_pass(pass: u32) -> Self {
        Self { pass, ..Self::default() }
    }

    /// Adds a message. One for Kafka has a key and headers, one for RabbitMQ a routing key and properties (see `fit`): so these
    /// share their places.
    pub fn push(&mut self, record: &Record<'_>, route: Route, times: Times, copy: u32, mark: bool) {
        let start = len_u32(self.bytes.len());
        let key = record.key.or(record.routing_key);
        let headers = if record.properties.is_empty() { record.headers.as_bytes() } else { record.properties.as_bytes() };
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        self.bytes.extend_from_slice(headers);
        self.items.push(Item {
            due_ns: times.due_ns,
            position: record.position,
            stream: record.stream,
            target: route.target,
            partition: route.partition_of(record.key),
            stamp: times.stamp,
            copy,
            mark,
            start,
            key_len: key.map_or(ABSENT, |k| len_u32(k.len())),
            value_len: record.value.map_or(ABSENT, |v| len_u32(v.len())),
            headers_len: len_u32(headers.len()),
            bytes_raw: len_u32(record.bytes_raw()),
        });
    }

    /// Notes what rules wrote into the newest record.
    pub fn show(&mut self, shown: &[Shown]) {
        let item = len_u32(self.items.len()).saturating_sub(1);
        self.shown.extend(shown.iter().map(|s| (item, *s)));
    }

    /// Notes what became of it: its first `items` records were dealt with, and all of them were sent but `unsent` (in
    /// order), whose memory is exchanged for an empty one.
    pub fn done(&mut self, items: u32, unsent: &mut Vec<u32>) {
        self.dealt_with = items;
        self.unsent.clear();
        std::mem::swap(&mut self.unsent, unsent);
    }

    /// What rules wrote into those of its records that were sent, in order. Known after [`Batch::done`].
    pub fn shown_and_sent(&self) -> impl Iterator<Item = &Shown> {
        let mut unsent = self.unsent.iter().copied().peekable();
        self.shown.iter().take_while(|(item, _)| *item < self.dealt_with).filter_map(move |(item, shown)| {
            while unsent.next_if(|u| u < item).is_some() {}
            (unsent.peek() != Some(item)).then_some(shown)
        })
    }

    /// Notes that a record of `stream` was left out here.
    pub fn push_filtered(&mut self, stream: StreamIx, why: LeftOut) {
        let before = len_u32(self.items.len());
        match self.filtered.last_mut() {
            Some(last) if last.before == before && last.stream == stream && last.why == why => last.count += 1,
            _ => self.filtered.push(Filtered { before, stream, count: 1, why }),
        }
    }

    /// An item's key; RabbitMQ: its routing key.
    #[must_use]
    pub fn key(&self, item: &Item) -> Option<&[u8]> {
        (item.key_len != ABSENT).then(|| self.slice(item.start as usize, item.key_len))
    }

    /// An item's value.
    #[must_use]
    pub fn value(&self, item: &Item) -> Option<&[u8]> {
        let key_len = if item.key_len == ABSENT { 0 } else { item.key_len };
        (item.value_len != ABSENT).then(|| self.slice(item.start as usize + key_len as usize, item.value_len))
    }

    /// The headers of an item for Kafka.
    #[must_use]
    pub fn headers(&self, item: &Item) -> Headers<'_> {
        Headers::from_checked(self.last_part(item))
    }

    /// The properties of an item for RabbitMQ.
    #[must_use]
    pub fn properties(&self, item: &Item) -> Properties<'_> {
        Properties::from_checked(self.last_part(item))
    }

    fn last_part(&self, item: &Item) -> &[u8] {
        let end = item.start as usize + item.arena_bytes();
        &self.bytes[end - item.headers_len as usize..end]
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.filtered.is_empty()
    }

    /// The memory that it stands for.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len()
            + self.items.len() * size_of::<Item>()
            + self.filtered.len() * size_of::<Filtered>()
            + self.shown.len() * size_of::<(u32, Shown)>()
    }

    /// Empties it and keeps its memory, unless one huge record blew it up.
    pub fn clear(&mut self) {
        self.items.clear();
        self.filtered.clear();
        self.shown.clear();
        self.unsent.clear();
        self.dealt_with = 0;
        self.bytes.clear();
        self.bytes.shrink_to(4 << 20);
    }

    fn slice(&self, start: usize, len: u32) -> &[u8] {
        &self.bytes[start..start + len as usize]
    }
}

/// Lengths in a batch fit: a batch is closed at about 1 MiB, and a record has 128 MiB at most.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;
    use dejaq_shared::record::HeadersBuf;
    use proptest::prelude::*;

    type Bytes = Option<Vec<u8>>;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::option::of(prop::collection::vec(any::<u8>(), 0..20))
    }

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in(records in prop::collection::vec((bytes(), bytes(), prop::collection::vec((prop::collection::vec(any::<u8>(), 0..5), bytes()), 0..3)), 0..20)) {
            let mut batch = Batch::default();
            let mut sets = Vec::new();
            for (_, _, headers) in &records {
                let mut buf = HeadersBuf::default();
                for (name, value) in headers {
                    buf.push(name, value.as_deref());
                }
                sets.push(buf);
            }
            for ((key, value, _), headers) in records.iter().zip(&sets) {
                batch.push(&record(key.as_deref(), value.as_deref(), headers.as_headers()), Route::fixed(0, 0), Times::default(), 0, false);
            }
            for (item, ((key, value, _), headers)) in batch.items.iter().zip(records.iter().zip(&sets)) {
                prop_assert_eq!(batch.key(item), key.as_deref());
                prop_assert_eq!(batch.value(item), value.as_deref());
                prop_assert_eq!(batch.headers(item), headers.as_headers());
            }
        }
    }

    #[test]
    fn an_item_fills_a_cache_line_and_no_more() {
        assert_eq!(size_of::<Item>(), 64);
    }

    #[test]
    fn what_is_left_out_is_counted_where_it_stood() {
        let mut batch = Batch::default();
        batch.push_filtered(1, LeftOut::Stream);
        batch.push_filtered(1, LeftOut::Stream);
        batch.push_filtered(2, LeftOut::Stream);
        batch.push(&record(None, None, Headers::EMPTY), Route::fixed(0, 0), Times::default(), 0, false);
        batch.push_filtered(2, LeftOut::Stream);
        let expected =
            [(0, 1, 2), (0, 2, 1), (1, 2, 1)].map(|(before, stream, count)| Filtered { before, stream, count, why: LeftOut::Stream });
        assert_eq!(batch.filtered, expected);
    }
}

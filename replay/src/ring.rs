//! The ring of ready records between the planner, which runs ahead, and the pacer, which must never wait for a decoder.
//!
//! Records travel in batches, each with one arena for all its bytes. Bounds: [`RING_BYTES_MAX`] of records, or
//! [`RING_AHEAD_NS`] of schedule, whichever comes first; one batch is always let in, however large. Batches are reused.
//! One lock is taken per batch, none per record.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dejaq_shared::broker::sink::TargetIx;
use dejaq_shared::record::{Headers, Record, StreamIx};

use crate::feed::FeedError;

/// The most bytes of ready records.
pub const RING_BYTES_MAX: usize = 64 << 20;
/// The most schedule that is ready, in nanoseconds.
pub const RING_AHEAD_NS: u64 = 2_000_000_000;

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
    /// The topic it goes to.
    pub target: TargetIx,
    /// The partition it goes to.
    pub partition: i32,
    /// Whether it carries the mark.
    pub mark: bool,
    start: u32,
    key_len: u32,
    value_len: u32,
    headers_len: u32,
}

impl Item {
    /// Key, value and header bytes as they lie in the arena.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let present = |len| u64::from(if len == ABSENT { 0 } else { len });
        present(self.key_len) + present(self.value_len) + u64::from(self.headers_len)
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
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The topic, as an index into the target's list.
    pub target: TargetIx,
    /// The partition.
    pub partition: i32,
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
}

impl Batch {
    /// An empty batch of a pass.
    #[must_use]
    pub fn of_pass(pass: u32) -> Self {
        Self { pass, ..Self::default() }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record<'_>, route: Route, due_ns: u64, mark: bool) {
        let start = len_u32(self.bytes.len());
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        let headers = record.headers.as_bytes();
        self.bytes.extend_from_slice(headers);
        self.items.push(Item {
            due_ns,
            position: record.position,
            stream: record.stream,
            target: route.target,
            partition: route.partition,
            mark,
            start,
            key_len: record.key.map_or(ABSENT, |k| len_u32(k.len())),
            value_len: record.value.map_or(ABSENT, |v| len_u32(v.len())),
            headers_len: len_u32(headers.len()),
        });
    }

    /// Notes that a record of `stream` was left out here.
    pub fn push_filtered(&mut self, stream: StreamIx) {
        let before = len_u32(self.items.len());
        match self.filtered.last_mut() {
            Some(last) if last.before == before && last.stream == stream => last.count += 1,
            _ => self.filtered.push(Filtered { before, stream, count: 1 }),
        }
    }

    /// An item's key.
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

    /// An item's headers.
    #[must_use]
    pub fn headers(&self, item: &Item) -> Headers<'_> {
        let end = item.start as usize + usize::try_from(item.bytes()).unwrap_or(usize::MAX);
        Headers::from_checked(&self.bytes[end - item.headers_len as usize..end])
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.filtered.is_empty()
    }

    /// The memory that it stands for.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.items.len() * size_of::<Item>() + self.filtered.len() * size_of::<Filtered>()
    }

    /// Empties it and keeps its memory, unless one huge record blew it up.
    pub fn clear(&mut self) {
        self.items.clear();
        self.filtered.clear();
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

/// What the consumer of ready records is given.
#[derive(Debug)]
pub enum Next {
    /// Records.
    Batch(Batch),
    /// None are ready yet.
    Empty,
    /// There are no more.
    End,
}

/// Ready records, as the pacer sees them.
pub trait Batches {
    /// The next ones, without waiting.
    fn next(&mut self) -> Next;
    /// Waits until there are some, or the end, or `max` has passed.
    fn wait(&mut self, max: Duration);
    /// Gives a batch back to be filled again.
    fn recycle(&mut self, batch: Batch);
}

#[derive(Default)]
struct State {
    queue: VecDeque<Batch>,
    bytes: usize,
    spare: Vec<Batch>,
    ended: bool,
    error: Option<FeedError>,
    closed: bool,
}

/// The ring itself, shared by both threads.
#[derive(Default)]
pub struct Ring {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

impl Ring {
    /// Puts a batch in, waiting while the ring is full. Returns a batch to fill next; `None` when the consumer has gone.
    #[must_use]
    pub fn push(&self, batch: Batch) -> Option<Batch> {
        let weight = batch.weight();
        let mut state = self.lock();
        while !state.closed && !has_room(&state, &batch, weight) {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return None;
        }
        state.bytes += weight;
        state.queue.push_back(batch);
        let spare = state.spare.pop().unwrap_or_default();
        drop(state);
        self.filled.notify_one();
        Some(spare)
    }

    /// Says that nothing more will come, and why if it is not the end of the recording.
    pub fn end(&self, error: Option<FeedError>) {
        let mut state = self.lock();
        state.ended = true;
        state.error = error;
        drop(state);
        self.filled.notify_one();
    }

    /// Whether records are ready, or none will come.
    #[must_use]
    pub fn is_primed(&self) -> bool {
        let state = self.lock();
        !state.queue.is_empty() || state.ended
    }

    /// Says that nothing more is wanted.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.emptied.notify_one();
    }

    /// Why the producer ended early, once.
    #[must_use]
    pub fn take_error(&self) -> Option<FeedError> {
        self.lock().error.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_room(state: &State, batch: &Batch, weight: usize) -> bool {
    let Some(first) = state.queue.front() else { return true };
    let ahead = match (first.items.first(), batch.items.last()) {
        (Some(first), Some(last)) => last.due_ns.saturating_sub(first.due_ns),
        _ => 0,
    };
    state.bytes + weight <= RING_BYTES_MAX && ahead <= RING_AHEAD_NS
}

impl Batches for &Ring {
    fn next(&mut self) -> Next {
        let mut state = self.lock();
        match state.queue.pop_front() {
            Some(batch) => {
                state.bytes -= batch.weight();
                drop(state);
                self.emptied.notify_one();
                Next::Batch(batch)
            }
            None if state.ended => Next::End,
            None => Next::Empty,
        }
    }

    fn wait(&mut self, max: Duration) {
        let state = self.lock();
        if state.queue.is_empty() && !state.ended {
            drop(self.filled.wait_timeout(state, max));
        }
    }

    fn recycle(&mut self, mut batch: Batch) {
        batch.clear();
        let mut state = self.lock();
        if state.spare.len() < 8 {
            state.spare.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dejaq_shared::record::{BrokerTime, HeadersBuf, RecordFlags};
    use proptest::prelude::*;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, headers: Headers<'a>) -> Record<'a> {
        Record {
            stream: 3,
            position: 9,
            leader_epoch: -1,
            arrival_ns: 0,
            broker_time: BrokerTime::None,
            key,
            value,
            headers,
            flags: RecordFlags::default(),
        }
    }

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
                batch.push(&record(key.as_deref(), value.as_deref(), headers.as_headers()), Route { target: 0, partition: 0 }, 0, false);
            }
            for (item, ((key, value, _), headers)) in batch.items.iter().zip(records.iter().zip(&sets)) {
                prop_assert_eq!(batch.key(item), key.as_deref());
                prop_assert_eq!(batch.value(item), value.as_deref());
                prop_assert_eq!(batch.headers(item), headers.as_headers());
            }
        }
    }

    fn batch_due(due_ns: u64, bytes: usize) -> Batch {
        let mut batch = Batch::default();
        batch.push(&record(None, Some(&vec![0; bytes]), Headers::EMPTY), Route { target: 0, partition: 0 }, due_ns, false);
        batch
    }

    #[test]
    fn the_ring_holds_two_seconds_or_its_bytes() {
        let mut state = State::default();
        let large = batch_due(10_000_000_000, RING_BYTES_MAX * 2);
        assert!(has_room(&state, &large, large.weight()), "one is always let in");
        state.queue.push_back(batch_due(0, 10));
        assert!(has_room(&state, &batch_due(RING_AHEAD_NS, 10), 10));
        assert!(!has_room(&state, &batch_due(RING_AHEAD_NS + 1, 10), 10));
        assert!(!has_room(&state, &batch_due(0, 10), RING_BYTES_MAX + 1));
    }

    #[test]
    fn ends_and_closes() {
        let ring = Ring::default();
        let mut consumer = &ring;
        assert!(matches!(consumer.next(), Next::Empty));
        assert!(ring.push(batch_due(0, 1)).is_some());
        ring.end(Some(FeedError::new("block 7 is damaged")));
        assert!(matches!(consumer.next(), Next::Batch(_)));
        assert!(matches!(consumer.next(), Next::End));
        assert_eq!(ring.take_error().map(|e| e.to_string()), Some("block 7 is damaged".to_owned()));
        ring.close();
        assert!(ring.push(batch_due(0, 1)).is_none());
    }

    #[test]
    fn what_is_left_out_is_counted_where_it_stood() {
        let mut batch = Batch::default();
        batch.push_filtered(1);
        batch.push_filtered(1);
        batch.push_filtered(2);
        batch.push(&record(None, None, Headers::EMPTY), Route { target: 0, partition: 0 }, 0, false);
        batch.push_filtered(2);
        let expected = [(0, 1, 2), (0, 2, 1), (1, 2, 1)].map(|(before, stream, count)| Filtered { before, stream, count });
        assert_eq!(batch.filtered, expected);
    }
}

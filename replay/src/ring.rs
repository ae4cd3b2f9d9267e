//! The ring of ready records between the planner, which runs ahead, and the pacer, which must never wait for a decoder.
//!
//! Records travel in batches, each with one arena for all its bytes. Bounds: [`RING_BYTES_MAX`] of records, or
//! [`RING_AHEAD_NS`] of schedule, whichever comes first; one batch is always let in, however large. Batches are reused.
//! One lock is taken per batch, none per record.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batch::Batch;
use crate::engine::OnDrop;
use crate::feed::FeedError;

/// The most bytes of ready records.
pub const RING_BYTES_MAX: usize = 64 << 20;
/// The most schedule that is ready, in nanoseconds.
pub const RING_AHEAD_NS: u64 = 2_000_000_000;

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
    /// Whether it was full once.
    filled: bool,
    ended: bool,
    error: Option<FeedError>,
    closed: bool,
}

impl State {
    fn is_primed(&self) -> bool {
        self.filled || self.ended
    }
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
            state.filled = true;
            self.filled.notify_one();
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

    /// Lets `fill` put batches in. When it is gone, be it in a panic, the ring has its end, so that nobody waits for more.
    pub fn while_filled<T>(&self, fill: impl FnOnce(&Self) -> T) -> T {
        let _ended = OnDrop(|| {
            self.lock().ended = true;
            self.filled.notify_one();
        });
        fill(self)
    }

    /// Whether as many records are ready as it holds, or all that will come: a run that starts then begins with all its lead.
    #[must_use]
    pub fn is_primed(&self) -> bool {
        self.lock().is_primed()
    }

    /// Waits until it is, or something was put in, or `max` has passed.
    pub fn wait_primed(&self, max: Duration) {
        let state = self.lock();
        if !state.is_primed() {
            drop(self.filled.wait_timeout(state, max));
        }
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
    use crate::batch::{Route, Times};
    use crate::testing::record;
    use dejaq_shared::record::Headers;

    fn batch_due(due_ns: u64, bytes: usize) -> Batch {
        let mut batch = Batch::default();
        batch.push(&record(None, Some(&vec![0; bytes]), Headers::EMPTY), Route::fixed(0, 0), Times { due_ns, stamp: 0 }, 0, false);
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
    fn it_is_primed_when_it_is_full_or_all_is_in_it() {
        let ring = Ring::default();
        assert!(ring.push(batch_due(0, 1)).is_some());
        assert!(!ring.is_primed(), "there is room for more");
        std::thread::scope(|scope| {
            scope.spawn(|| ring.push(batch_due(RING_AHEAD_NS + 1, 1)));
            while !ring.is_primed() {
                ring.wait_primed(Duration::from_secs(1));
            }
            ring.close();
        });
        let ring = Ring::default();
        ring.end(None);
        assert!(ring.is_primed());
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
}

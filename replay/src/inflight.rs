//! What is known of each message between the client's taking it and its completion: a table of slots, indexed by the
//! tag that travels with the message.
//!
//! The pacer takes a free slot and fills it; the completing thread empties it and gives it back. No lock: a slot belongs
//! to one side at a time, and its state word hands it over (release on fill, acquire on completion). A tag that comes
//! back twice finds its slot empty and is answered with `None`. Memory: 40 bytes a slot, made once.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use dejaq_shared::record::StreamIx;

/// One message that the client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its source stream.
    pub stream: StreamIx,
    /// The class that its latency is filed under.
    pub class: u32,
    /// When it was to be sent, on the run's clock.
    pub intended_ns: u64,
    /// When it was handed to the client.
    pub sent_ns: u64,
    /// The part of `sent − intended` that no hold explains.
    pub late_ns: u64,
}

#[derive(Debug, Default)]
struct Slot {
    intended_ns: AtomicU64,
    sent_ns: AtomicU64,
    late_ns: AtomicU64,
    stream: AtomicU32,
    class: AtomicU32,
    state: AtomicU32,
}

const EMPTY: u32 = 0;
const FULL: u32 = 1;

/// The table.
#[derive(Debug)]
pub struct Slots {
    slots: Box<[Slot]>,
    free: ArrayQueue<u32>,
}

impl Slots {
    /// A table of `capacity` slots (at least one).
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.max(1);
        let free = ArrayQueue::new(capacity as usize);
        for tag in 0..capacity {
            // As many pushes as places.
            let _ = free.push(tag);
        }
        Self { slots: (0..capacity).map(|_| Slot::default()).collect(), free }
    }

    /// Takes a free slot; `None` when all are in use.
    #[must_use]
    pub fn acquire(&self) -> Option<usize> {
        self.free.pop().map(|tag| tag as usize)
    }

    /// Whether one could be taken.
    #[must_use]
    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Fills an acquired slot, before its message is submitted.
    pub fn fill(&self, tag: usize, sent: &Sent) {
        let slot = &self.slots[tag];
        slot.intended_ns.store(sent.intended_ns, Ordering::Relaxed);
        slot.sent_ns.store(sent.sent_ns, Ordering::Relaxed);
        slot.late_ns.store(sent.late_ns, Ordering::Relaxed);
        slot.stream.store(sent.stream, Ordering::Relaxed);
        slot.class.store(sent.class, Ordering::Relaxed);
        slot.state.store(FULL, Ordering::Release);
    }

    /// Empties a slot whose message was completed, or was not taken after all. `None` for a tag that is not in flight.
    pub fn take(&self, tag: usize) -> Option<Sent> {
        let slot = self.slots.get(tag)?;
        if slot.state.swap(EMPTY, Ordering::Acquire) != FULL {
            return None;
        }
        let sent = Sent {
            stream: slot.stream.load(Ordering::Relaxed),
            class: slot.class.load(Ordering::Relaxed),
            intended_ns: slot.intended_ns.load(Ordering::Relaxed),
            sent_ns: slot.sent_ns.load(Ordering::Relaxed),
            late_ns: slot.late_ns.load(Ordering::Relaxed),
        };
        // The queue has a place for every slot, and this one was out of it.
        let _ = self.free.push(u32::try_from(tag).unwrap_or(u32::MAX));
        Some(sent)
    }

    /// How many slots are in use.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Empties every slot in use. Only when nothing is submitted any more.
    pub fn take_all(&self, mut each: impl FnMut(Sent)) {
        for tag in 0..self.slots.len() {
            if let Some(sent) = self.take(tag) {
                each(sent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(n: u64) -> Sent {
        Sent { stream: 1, class: 2, intended_ns: n, sent_ns: n + 1, late_ns: n + 2 }
    }

    #[test]
    fn a_slot_comes_back_once() {
        let slots = Slots::new(2);
        let (a, b) = (slots.acquire().expect("free"), slots.acquire().expect("free"));
        assert_eq!(slots.acquire(), None);
        slots.fill(a, &sent(1));
        slots.fill(b, &sent(2));
        assert_eq!(slots.take(a), Some(sent(1)));
        assert_eq!(slots.take(a), None, "an answer given twice");
        assert_eq!(slots.take(99), None, "a tag that was never given out");
        assert_eq!(slots.in_flight(), 1);
        let mut left = Vec::new();
        slots.take_all(|s| left.push(s));
        assert_eq!((left, slots.in_flight()), (vec![sent(2)], 0));
    }

    #[test]
    fn two_threads_never_mix_up_slots() {
        let table = Slots::new(8);
        let slots = &table;
        let (to, from) = crossbeam_channel::unbounded::<(usize, u64)>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..50_000 {
                    let tag = loop {
                        if let Some(tag) = slots.acquire() {
                            break tag;
                        }
                        std::thread::yield_now();
                    };
                    slots.fill(tag, &sent(n));
                    to.send((tag, n)).expect("open");
                }
            });
            for (tag, n) in &from {
                assert_eq!(slots.take(tag), Some(sent(n)));
            }
        });
        assert_eq!(slots.in_flight(), 0);
    }
}

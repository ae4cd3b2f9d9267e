//! How the thread that completes messages is woken, without a lock or an allocation a message.
//!
//! Guarantees: a ring is never lost: whoever waits looks once more for work after it said that it waits. A ring costs an atomic
//! load while nobody waits. Wakers of slots are made once and used again.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Wakes the one thread that waits at it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    waiting: AtomicBool,
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Wakes whoever waits.
    pub(super) fn ring(&self) {
        // What was done before the ring must be seen by whoever is not seen waiting.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) && self.waiting.swap(false, Ordering::AcqRel) {
            *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_one();
        }
    }

    /// Waits at most `timeout` for a ring, unless `work` finds something to do.
    pub(super) fn wait(&self, timeout: Duration, work: impl FnOnce() -> bool) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        *rung = false;
        self.waiting.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !work() {
            drop(self.changed.wait_timeout_while(rung, timeout, |rung| !*rung));
        }
        self.waiting.store(false, Ordering::Relaxed);
    }
}

/// A bell as a waker: for what has no slot yet.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// A waker that says which slot is to be looked at.
struct SlotWaker {
    slot: usize,
    ready: Sender<usize>,
    bell: Arc<Bell>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Nobody looks any more: then nobody need know.
        let _ = self.ready.send(self.slot);
        self.bell.ring();
    }
}

/// The slots' wakers, and which slots were woken, in that order.
pub(super) struct Wakers {
    bell: Arc<Bell>,
    sender: Sender<usize>,
    ready: Receiver<usize>,
    /// Taken out while it was asked whether there is work.
    first: Option<usize>,
    all: Vec<Waker>,
}

impl Wakers {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        let (sender, ready) = mpsc::channel();
        Self { bell, sender, ready, first: None, all: Vec::new() }
    }

    /// The waker of a slot.
    pub(super) fn of(&mut self, slot: usize) -> &Waker {
        while self.all.len() <= slot {
            let waker = SlotWaker { slot: self.all.len(), ready: self.sender.clone(), bell: Arc::clone(&self.bell) };
            self.all.push(Waker::from(Arc::new(waker)));
        }
        &self.all[slot]
    }

    /// The next slot that was woken.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.first.take().or_else(|| self.ready.try_recv().ok())
    }

    /// Whether one was woken.
    pub(super) fn any(&mut self) -> bool {
        self.first = self.next();
        self.first.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// Far longer than any ring takes: a wait that ends by it has missed one.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn wait(bell: &Bell, work: impl FnOnce() -> bool) {
        let began = Instant::now();
        bell.wait(PATIENCE, work);
        assert!(began.elapsed() < PATIENCE, "a ring was missed");
    }

    #[test]
    fn slots_come_in_the_order_in_which_they_were_woken() {
        let mut wakers = Wakers::new(Arc::default());
        for slot in [2, 0, 2] {
            wakers.of(slot).wake_by_ref();
        }
        assert!(wakers.any() && wakers.any());
        assert_eq!(std::iter::from_fn(|| wakers.next()).collect::<Vec<_>>(), [2, 0, 2]);
        assert!(!wakers.any());
    }

    #[test]
    fn a_ring_before_the_wait_is_found_by_looking_and_one_in_it_ends_it() {
        let bell = Arc::new(Bell::default());
        bell.ring();
        wait(&bell, || true);
        // Rung again and again until the wait is over: it cannot be missed, whenever it begins.
        let over = Arc::new(AtomicBool::new(false));
        let ringing = thread::spawn({
            let (bell, over) = (Arc::clone(&bell), Arc::clone(&over));
            move || {
                while !over.load(Ordering::Relaxed) {
                    bell.ring();
                    thread::yield_now();
                }
            }
        });
        wait(&bell, || false);
        over.store(true, Ordering::Relaxed);
        ringing.join().expect("no panic");
    }

    #[test]
    fn no_wake_is_lost_between_two_threads() {
        let mut wakers = Wakers::new(Arc::default());
        let (bell, waker) = (Arc::clone(&wakers.bell), wakers.of(0).clone());
        const COUNT: usize = 20_000;
        let waking = thread::spawn(move || (0..COUNT).for_each(|_| waker.wake_by_ref()));
        let mut seen = 0;
        while seen < COUNT {
            while wakers.next().is_some() {
                seen += 1;
            }
            if seen < COUNT {
                wait(&bell, || wakers.any());
            }
        }
        waking.join().expect("no panic");
    }
}

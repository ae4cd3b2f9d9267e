//! The pacer's hands: the only place where the send path meets time. Tests put a simulation here.
//!
//! [`ThreadHands`] sleeps to just before an instant and then spins, where a core is free for it; on a machine of fewer than
//! [`SPIN_CORES_MIN`] cores spinning takes the time that the client needs, so there it sleeps to the instant with the
//! thread's timer slack at 1 ns.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use dejaq_shared::clock::Clock;

/// From this many cores on the pacer spins.
pub const SPIN_CORES_MIN: usize = 4;
/// How long before an instant the sleep ends and the spin begins: what a sleep with slack 1 ns overshoots at p99.
const SPIN_NS: u64 = 60_000;

/// Time, as the pacer sees it.
pub trait Hands {
    /// Now, in nanoseconds on the run's clock.
    fn now_ns(&mut self) -> u64;
    /// Returns at `at_ns` or a little later.
    fn wait_until(&mut self, at_ns: u64);
    /// Returns when a completion has freed room in the client, or at `at_ns`.
    fn wait_room(&mut self, at_ns: u64);
}

/// Wakes the pacer when there is room again.
#[derive(Debug, Default)]
pub struct Room {
    waiting: AtomicBool,
    pacer: OnceLock<Thread>,
}

impl Room {
    /// Called by the completing thread after each batch of completions.
    pub fn freed(&self) {
        if self.waiting.swap(false, Ordering::AcqRel)
            && let Some(pacer) = self.pacer.get()
        {
            pacer.unpark();
        }
    }
}

/// Hands on a thread of their own.
#[derive(Debug)]
pub struct ThreadHands<C> {
    clock: Arc<C>,
    room: Arc<Room>,
    spin_ns: u64,
}

impl<C: Clock> ThreadHands<C> {
    /// For the calling thread, whose timer slack is set to 1 ns.
    #[must_use]
    pub fn new(clock: Arc<C>, room: Arc<Room>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Where the system refuses (a sandbox), sleeps end 50 µs later, which the schedule error shows.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let _ = room.pacer.set(std::thread::current());
        Self { clock, room, spin_ns: if cores >= SPIN_CORES_MIN { SPIN_NS } else { 0 } }
    }
}

impl<C: Clock> Hands for ThreadHands<C> {
    fn now_ns(&mut self) -> u64 {
        self.clock.now_ns()
    }

    fn wait_until(&mut self, at_ns: u64) {
        self.clock.sleep_until(at_ns.saturating_sub(self.spin_ns));
        while self.spin_ns > 0 && self.clock.now_ns() < at_ns {
            std::hint::spin_loop();
        }
    }

    fn wait_room(&mut self, at_ns: u64) {
        self.room.waiting.store(true, Ordering::Release);
        let wait = at_ns.saturating_sub(self.clock.now_ns());
        std::thread::park_timeout(Duration::from_nanos(wait));
        self.room.waiting.store(false, Ordering::Relaxed);
    }
}

//! Caps on what is fetched from the source, so that a catch-up does not crowd out production's own consumers.
//!
//! A cap is a token bucket (governor's GCRA) of a tenth of a second. What a poll brought is paid for after it, so a single
//! poll can overshoot by what the client had fetched ahead (its own queue is bounded); no more is taken until that is paid,
//! and over any longer time the rate holds. Not polling is the back-pressure: the client's queue fills and it stops fetching.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dejaq_shared::clock::Clock;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// The bucket's unit: keeps rates up to 4 TiB/s inside the limiter's 32 bits.
const CELL_BYTES: u64 = 1 << 10;

#[derive(Clone)]
struct Time(Arc<dyn Clock>);

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.now_ns())
    }
}

/// One cap, in bytes a second.
pub struct Throttle {
    limiter: RateLimiter<NotKeyed, InMemoryState, Time, NoOpMiddleware<Duration>>,
    time: Time,
    burst: NonZeroU32,
    owed_bytes: u64,
}

impl Throttle {
    /// A cap of `bytes_per_s`; rates below 10 KiB/s are rounded up to that.
    #[must_use]
    pub fn new(bytes_per_s: u64, clock: Arc<dyn Clock>) -> Self {
        let cells = u32::try_from(bytes_per_s / CELL_BYTES).unwrap_or(u32::MAX).max(10);
        let rate = NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(cells / 10).unwrap_or(NonZeroU32::MIN);
        let time = Time(clock);
        let limiter = RateLimiter::direct_with_clock(Quota::per_second(rate).allow_burst(burst), time.clone());
        Self { limiter, time, burst, owed_bytes: 0 }
    }

    /// So much was taken.
    pub fn took(&mut self, bytes: u64) {
        self.owed_bytes += bytes;
    }

    /// How long to wait before more may be taken; zero: now.
    pub fn wait(&mut self) -> Duration {
        while self.owed_bytes >= CELL_BYTES {
            let owed = u32::try_from(self.owed_bytes / CELL_BYTES).unwrap_or(u32::MAX);
            let pay = NonZeroU32::new(owed).map_or(self.burst, |owed| owed.min(self.burst));
            match self.limiter.check_n(pay) {
                Ok(Ok(())) => self.owed_bytes -= u64::from(pay.get()) * CELL_BYTES,
                // At least a nanosecond, so that nobody takes it for "now".
                Ok(Err(until)) => return until.wait_time_from(self.time.now()).max(Duration::from_nanos(1)),
                // Never: `pay` is at most the burst.
                Err(_) => return Duration::from_millis(100),
            }
        }
        Duration::ZERO
    }
}

/// The caps of a capture: one that always holds, one that holds while it catches up.
#[derive(Default)]
pub struct Throttles {
    always: Option<Throttle>,
    catch_up: Option<Throttle>,
}

impl Throttles {
    /// The caps in bytes a second, where there are any.
    #[must_use]
    pub fn new(always: Option<u64>, catch_up: Option<u64>, clock: &Arc<dyn Clock>) -> Self {
        let cap = |rate: Option<u64>| rate.map(|r| Throttle::new(r, Arc::clone(clock)));
        Self { always: cap(always), catch_up: cap(catch_up) }
    }

    /// So much was taken.
    pub fn took(&mut self, bytes: u64, catching_up: bool) {
        if let Some(cap) = &mut self.always {
            cap.took(bytes);
        }
        if let Some(cap) = self.catch_up.as_mut().filter(|_| catching_up) {
            cap.took(bytes);
        }
    }

    /// How long to wait before more may be taken.
    pub fn wait(&mut self) -> Duration {
        let wait = |cap: &mut Option<Throttle>| cap.as_mut().map_or(Duration::ZERO, Throttle::wait);
        wait(&mut self.always).max(wait(&mut self.catch_up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dejaq_shared::clock::ManualClock;

    #[test]
    fn over_ten_seconds_the_rate_holds_whatever_the_size_of_the_polls() {
        for poll in [700u64, 64 << 10, 5 << 20] {
            let clock = Arc::new(ManualClock::at(1));
            let mut throttle = Throttle::new(10 << 20, Arc::clone(&clock) as Arc<dyn Clock>);
            let mut taken = 0;
            while clock.now_ns() < 10_000_000_000 {
                let wait = throttle.wait();
                if wait.is_zero() {
                    throttle.took(poll);
                    taken += poll;
                } else {
                    clock.advance(u64::try_from(wait.as_nanos()).expect("short"));
                }
            }
            let (allowed, burst) = (100u64 << 20, 1u64 << 20);
            assert!(taken <= allowed + burst + 2 * poll, "{poll}: {taken} taken, {allowed} allowed");
            assert!(taken >= allowed - burst, "{poll}: {taken} taken of {allowed}");
        }
    }

    #[test]
    fn the_catch_up_cap_does_not_hold_live_traffic() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(1));
        let mut throttles = Throttles::new(None, Some(1 << 20), &clock);
        throttles.took(1 << 30, false);
        assert_eq!(throttles.wait(), Duration::ZERO);
        throttles.took(1 << 30, true);
        assert!(throttles.wait() > Duration::ZERO);
    }
}

//! The one clock, injected: decisions take the time as a value, and tests turn the hands themselves.
//!
//! Intervals and schedules use the monotonic clock only. Wall time is a label: it is read once, beside the monotonic
//! clock, and carried forward by it ([`WallAnchor`]), so that a wall clock that is set back never turns time around
//! inside a recording or a run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of monotonic time, in nanoseconds from an origin of its own.
pub trait Clock: Send + Sync {
    /// Now. Never decreases.
    fn now_ns(&self) -> u64;
    /// Returns at `deadline_ns` or a little later; at once when it has passed.
    fn sleep_until(&self, deadline_ns: u64);
}

/// The machine's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        // u64 nanoseconds are 584 years.
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep_until(&self, deadline_ns: u64) {
        let now = self.now_ns();
        if deadline_ns > now {
            std::thread::sleep(Duration::from_nanos(deadline_ns - now));
        }
    }
}

/// The wall clock, in nanoseconds since 1970; negative before it.
#[must_use]
pub fn wall_now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// A wall-clock reading beside a monotonic one: turns monotonic time into wall time that never runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallAnchor {
    /// Wall time at the anchor, nanoseconds since 1970.
    pub wall_ns: i64,
    /// Monotonic time at the anchor.
    pub mono_ns: u64,
}

impl WallAnchor {
    /// Reads both clocks now.
    #[must_use]
    pub fn now(clock: &dyn Clock) -> Self {
        Self { wall_ns: wall_now_ns(), mono_ns: clock.now_ns() }
    }

    /// The wall time at a monotonic instant.
    #[must_use]
    pub fn wall_at(self, mono_ns: u64) -> i64 {
        let since = i128::from(mono_ns) - i128::from(self.mono_ns);
        i64::try_from(i128::from(self.wall_ns) + since).unwrap_or(i64::MAX)
    }
}

/// A clock that tests turn by hand: sleeping moves it.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: std::sync::atomic::AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now_ns`.
    #[must_use]
    pub fn at(now_ns: u64) -> Self {
        Self { now: now_ns.into() }
    }

    /// Moves it forward.
    pub fn advance(&self, by_ns: u64) {
        self.now.fetch_add(by_ns, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> u64 {
        self.now.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn sleep_until(&self, deadline_ns: u64) {
        self.now.fetch_max(deadline_ns, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_set_back_does_not_turn_time_around() {
        let anchor = WallAnchor { wall_ns: 1_000, mono_ns: 50 };
        assert_eq!(anchor.wall_at(50), 1_000);
        assert_eq!(anchor.wall_at(80), 1_030);
        assert_eq!(anchor.wall_at(40), 990);
    }
}

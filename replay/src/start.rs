//! The start of a run: when the first records are ready, or at a given wall time that several machines share.
//!
//! Guarantees: a run that is told when to start has exactly that time as its t0, or fails before anything is sent. While it
//! waits the client is polled, so that its events do not pile up and its tokens are refreshed. The wall clock is read once
//! more just before the start: a step of it during the wait is followed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dejaq_shared::broker::sink::Completions;
use dejaq_shared::clock::{Clock, WallAnchor, wall_now_ns};

use crate::engine::{Progress, RunError, WATCH};
use crate::ring::Ring;

/// Between the decision to start and the first message: the threads come up.
const LEAD_NS: u64 = 20_000_000;
/// How long before a given time the waiting ends and the threads come up.
const EARLY_NS: i64 = 1_000_000_000;
/// How long the start waits before it looks whether it was stopped.
const POLL: Duration = Duration::from_millis(20);

/// What a start depends on.
pub(crate) struct StartsAt<'a, C> {
    pub(crate) clock: &'a C,
    pub(crate) ring: &'a Ring,
    pub(crate) stop: &'a AtomicBool,
    /// The given time, nanoseconds since 1970.
    pub(crate) start_at_ns: Option<i64>,
}

/// When the run starts.
pub(crate) struct Start {
    pub(crate) anchor: WallAnchor,
    /// On the run's clock.
    pub(crate) t0_ns: u64,
    /// Nanoseconds since 1970.
    pub(crate) t0_unix_ns: i64,
}

/// Waits until as many records are ready as the ring holds (or all that there are), so that the run begins with all its lead, and then
/// for the given time.
///
/// # Errors
/// [`RunError::StartPassed`]; [`RunError::BeforeStart`].
pub(crate) fn await_start<C: Clock, D: Completions>(
    at: &StartsAt<'_, C>,
    completions: &mut D,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Start, RunError> {
    while !at.ring.is_primed() && !at.stop.load(Ordering::Relaxed) {
        at.ring.wait_primed(POLL);
    }
    let Some(start_at_ns) = at.start_at_ns else {
        let anchor = WallAnchor::now(at.clock);
        let t0_ns = at.clock.now_ns() + LEAD_NS;
        return Ok(Start { anchor, t0_ns, t0_unix_ns: anchor.wall_at(t0_ns) });
    };
    while !at.stop.load(Ordering::Relaxed) {
        let left_ns = start_at_ns.saturating_sub(wall_now_ns());
        if left_ns <= EARLY_NS {
            break;
        }
        let left_ns = left_ns.unsigned_abs();
        watch(&Progress { starts_in_ns: left_ns, warning: completions.take_warning(), ..Progress::default() });
        completions.poll(Duration::from_nanos(left_ns - EARLY_NS.unsigned_abs()).min(WATCH), &mut |_| {})?;
    }
    let anchor = WallAnchor::now(at.clock);
    let t0_ns = i128::from(anchor.mono_ns) + i128::from(start_at_ns) - i128::from(anchor.wall_ns);
    match u64::try_from(t0_ns) {
        Ok(t0_ns) if t0_ns >= anchor.mono_ns.saturating_add(LEAD_NS) => Ok(Start { anchor, t0_ns, t0_unix_ns: start_at_ns }),
        _ => Err(RunError::StartPassed {
            late_ns: anchor.wall_ns.saturating_sub(start_at_ns).saturating_add(LEAD_NS.cast_signed()).unsigned_abs(),
        }),
    }
}

//! Was the wall clock set while the run went on? Pure: both clocks are given.
//!
//! The two cannot be read at once, and a thread may have to wait for a core between them: the monotonic one is read before and after. A
//! look that took long says nothing, and the next one tells of a step just as well.

use crate::trust::CLOCK_STEP_NS;

/// The longest that a look may take: well below what counts as a step.
const LOOK_NS_MAX: u64 = CLOCK_STEP_NS / 10;

/// Looks at the wall clock beside the monotonic one, again and again, and remembers the largest step.
#[derive(Debug, Clone, Copy)]
pub struct ClockWatch {
    wall_ns: i64,
    mono_ns: u64,
    step_ns: u64,
}

impl ClockWatch {
    /// The first look.
    #[must_use]
    pub fn new(wall_ns: i64, mono_ns: u64) -> Self {
        Self { wall_ns, mono_ns, step_ns: 0 }
    }

    /// Another look: the wall clock was read between these two times of the monotonic one. A slow drift (NTP slewing) is no step:
    /// each look counts from the one before.
    pub fn look(&mut self, wall_ns: i64, mono_before_ns: u64, mono_after_ns: u64) {
        if mono_after_ns.saturating_sub(mono_before_ns) > LOOK_NS_MAX {
            return;
        }
        let mono_ns = mono_after_ns;
        let wall = i128::from(wall_ns) - i128::from(self.wall_ns);
        let mono = i128::from(mono_ns) - i128::from(self.mono_ns);
        let step = u64::try_from((wall - mono).unsigned_abs()).unwrap_or(u64::MAX);
        *self = Self { wall_ns, mono_ns, step_ns: self.step_ns.max(step) };
    }

    /// The largest step so far.
    #[must_use]
    pub fn step_ns(&self) -> u64 {
        self.step_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_drift_is_no_step() {
        let mut watch = ClockWatch::new(0, 0);
        for second in 1..1_000i64 {
            let mono_ns = second.unsigned_abs() * 1_000_000_000;
            watch.look(second * 1_000_500_000, mono_ns, mono_ns);
        }
        assert!(watch.step_ns() <= 500_000);
        watch.look(0, 1_000_000_000_000, 1_000_000_000_000);
        assert!(watch.step_ns() > CLOCK_STEP_NS);
    }

    #[test]
    fn a_thread_that_waited_for_a_core_saw_no_step_and_hides_none() {
        const MS: u64 = 1_000_000;
        let mut watch = ClockWatch::new(0, 0);
        // The wall clock was read at 500 ms, and the thread came back 300 ms later; or the other way round.
        watch.look(500_000_000, 500 * MS, 800 * MS);
        watch.look(1_300_000_000, 1_000 * MS, 1_300 * MS);
        assert_eq!(watch.step_ns(), 0);
        watch.look(1_700_000_000, 1_400 * MS, 1_600 * MS);
        watch.look(2_150_000_000, 2_000 * MS, 2_000 * MS);
        assert_eq!(watch.step_ns(), 150 * MS, "seen by the next look");
    }
}

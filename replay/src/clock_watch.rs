//! Was the wall clock set while the run went on? Pure: both clocks are given.

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

    /// Another look. A slow drift (NTP slewing) is no step: each look counts from the one before.
    pub fn look(&mut self, wall_ns: i64, mono_ns: u64) {
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
    use crate::trust::CLOCK_STEP_NS;

    #[test]
    fn slow_drift_is_no_step() {
        let mut watch = ClockWatch::new(0, 0);
        for second in 1..1_000i64 {
            watch.look(second * 1_000_500_000, second.unsigned_abs() * 1_000_000_000);
        }
        assert!(watch.step_ns() <= 500_000);
        watch.look(0, 1_000_000_000_000);
        assert!(watch.step_ns() > CLOCK_STEP_NS);
    }
}

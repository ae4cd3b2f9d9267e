//! A run as compare sees it: what happened in each unit of its time. A unit is a second, or several in a long run, so that
//! there are at most [`UNITS_MAX`] of them and memory is flat.
//!
//! Latencies and counts belong to the unit of the intended time, confirmations to that in which they came.

use super::bins::Bins;
use super::signals::Signal;
use crate::measure::latency::Latency;

/// The most units: more would make the bootstrap slower, not better.
pub const UNITS_MAX: u64 = 600;

/// The units that all runs of a comparison share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// The first second that counts: what lies before is warm-up.
    pub from_s: u64,
    /// The length of a unit.
    pub unit_s: u64,
    /// How many there are.
    pub units: usize,
}

impl Axis {
    /// The axis over the seconds from `from_s` on and before `end_s`.
    #[must_use]
    pub fn new(from_s: u64, end_s: u64) -> Self {
        let seconds = end_s.saturating_sub(from_s).max(1);
        let unit_s = seconds.div_ceil(UNITS_MAX);
        Self { from_s, unit_s, units: usize::try_from(seconds.div_ceil(unit_s)).unwrap_or(0) }
    }

    /// The unit of a second; `None` outside.
    #[must_use]
    pub fn unit(&self, second: u64) -> Option<usize> {
        let unit = usize::try_from(second.checked_sub(self.from_s)? / self.unit_s).ok()?;
        (unit < self.units).then_some(unit)
    }

    /// How much of a unit lies between two times, in seconds.
    #[must_use]
    pub fn overlap_s(&self, unit: usize, from_s: f64, to_s: f64) -> f64 {
        let begin = (self.from_s + unit as u64 * self.unit_s) as f64;
        (to_s.min(begin + self.unit_s as f64) - from_s.max(begin)).max(0.0)
    }
}

/// What happened in one unit.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    /// Messages due in it.
    pub scheduled: u64,
    /// Those of them that were confirmed, whenever.
    pub answered: u64,
    /// Confirmations that came in it.
    pub confirmed: u64,
    /// How much of it the run was at work, in seconds.
    pub active_s: f64,
    /// Acked − intended of the answered ones.
    pub response: Bins,
    /// Acked − sent of the answered ones.
    pub service: Bins,
}

/// One run.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// What it is called in the output.
    pub name: String,
    /// Its units, as many as its axis has.
    pub units: Vec<Unit>,
    /// Acked − intended, all units together.
    pub response: Latency<u64>,
    /// Acked − sent, all units together.
    pub service: Latency<u64>,
    /// Numbers that are shown and never tested, in the order of [`SHOWN`]. `None`: the run has none.
    pub shown: [Option<f64>; SHOWN.len()],
    /// What is known of the system under test.
    pub signals: Vec<Signal>,
}

/// What is shown and never tested: name, quantile, unit.
pub const SHOWN: [(&str, Option<f64>, &str); 4] =
    [("response", Some(1.0), "ns"), ("service", Some(1.0), "ns"), ("schedule_error", Some(0.99), "ns"), ("delivered", None, "share")];

impl Observed {
    /// Messages due.
    #[must_use]
    pub fn scheduled(&self) -> u64 {
        self.units.iter().map(|u| u.scheduled).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_longer_units_and_each_second_is_in_one() {
        let axis = Axis::new(10, 10 + 86_400);
        assert_eq!((axis.unit_s, axis.units), (144, 600));
        assert_eq!((axis.unit(9), axis.unit(10), axis.unit(10 + 86_399), axis.unit(10 + 86_400)), (None, Some(0), Some(599), None));
        let whole: f64 = (0..axis.units).map(|unit| axis.overlap_s(unit, 50.5, 20_000.25)).sum();
        assert!((whole - 19_949.75).abs() < 1e-6, "{whole}");
        assert_eq!(Axis::new(0, 0).units, 1);
    }
}

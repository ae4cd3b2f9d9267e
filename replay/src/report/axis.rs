//! The time axis of a chart: the run in bins, few enough to draw and to keep.

use serde::Serialize;

/// The most bins of a chart: a report has a bounded size however long the run was.
pub const BINS_MAX: u64 = 600;

/// Lengths that people read easily, in milliseconds; beyond, whole hours.
const LENGTHS_MS: [u64; 16] =
    [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];

/// Bins of one length, from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TimeAxis {
    /// The length of a bin, in milliseconds.
    pub bin_ms: u64,
    /// How many there are.
    pub bins: usize,
}

impl TimeAxis {
    /// Bins that reach to `end_ms`, each at least as long as `finest_ms` (what the data tells apart).
    #[must_use]
    pub fn reaching(end_ms: u64, finest_ms: u64) -> Self {
        let enough = |bin_ms: u64| bin_ms >= finest_ms && end_ms.div_ceil(bin_ms) <= BINS_MAX;
        let hours = || end_ms.div_ceil(3_600_000 * BINS_MAX).max(1) * 3_600_000;
        let bin_ms = LENGTHS_MS.into_iter().find(|length| enough(*length)).unwrap_or_else(hours);
        Self { bin_ms, bins: usize::try_from(end_ms.div_ceil(bin_ms)).unwrap_or(0) }
    }

    /// The bin of a time; `None` after the end.
    #[must_use]
    pub fn bin(&self, at_ms: u64) -> Option<usize> {
        usize::try_from(at_ms / self.bin_ms).ok().filter(|bin| *bin < self.bins)
    }

    /// Where each bin begins, in seconds, and then where the last one ends: that of `n` bins has `n + 1` values.
    #[must_use]
    pub fn edges_s(&self) -> Vec<f64> {
        (0..=self.bins as u64).map(|bin| (bin * self.bin_ms) as f64 / 1e3).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_time_has_a_bin_and_there_are_few(end_ms in 1u64..400 * 86_400_000, finest in prop::sample::select(vec![100u64, 1_000]), at in 0.0..1.0f64) {
            let axis = TimeAxis::reaching(end_ms, finest);
            prop_assert!(axis.bins as u64 <= BINS_MAX && axis.bin_ms.is_multiple_of(finest));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a positive number")]
            let at_ms = (end_ms as f64 * at) as u64;
            let bin = axis.bin(at_ms.min(end_ms - 1)).expect("before the end") as u64;
            prop_assert!(bin * axis.bin_ms <= at_ms && at_ms < (bin + 1) * axis.bin_ms + 1);
            prop_assert_eq!(axis.bin(axis.bins as u64 * axis.bin_ms), None);
            prop_assert_eq!(axis.edges_s().len(), axis.bins + 1);
        }
    }

    #[test]
    fn a_day_is_in_bins_of_five_minutes_and_a_minute_in_tenths_of_a_second() {
        assert_eq!(TimeAxis::reaching(86_400_000, 1_000), TimeAxis { bin_ms: 300_000, bins: 288 });
        assert_eq!(TimeAxis::reaching(60_000, 100), TimeAxis { bin_ms: 100, bins: 600 });
        assert_eq!(TimeAxis::reaching(60_000, 1_000), TimeAxis { bin_ms: 1_000, bins: 60 });
    }
}

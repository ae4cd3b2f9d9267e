//! One latency histogram: HDR with three digits from 1 ns to 1 h. What is longer is counted as overflow, never clamped; the
//! maximum is kept exactly.
//!
//! Percentiles are by rank over the whole denominator: answered values in order, then overflows, then the unanswered as
//! infinity. A percentile that falls among overflows or unanswered is `None`, and so is a maximum beside unanswered ones.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

/// The largest value that has a place in the histogram: one hour.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// A histogram with a counter type: `u32` for short intervals, `u64` for whole runs.
#[derive(Debug, Clone)]
pub struct Latency<C: Counter> {
    /// Made when the first value comes: most topics have none in most intervals.
    histogram: Option<Histogram<C>>,
    overflow: u64,
    max_ns: u64,
}

impl<C: Counter> Default for Latency<C> {
    fn default() -> Self {
        Self { histogram: None, overflow: 0, max_ns: 0 }
    }
}

impl<C: Counter> Latency<C> {
    /// Files one value.
    pub fn record(&mut self, ns: u64) {
        self.max_ns = self.max_ns.max(ns);
        let filed = ns <= LATENCY_NS_MAX && self.make().is_some_and(|h| h.record(ns).is_ok());
        self.overflow += u64::from(!filed);
    }

    /// Files a value that came `count` times.
    pub fn record_many(&mut self, ns: u64, count: u64) {
        self.max_ns = self.max_ns.max(ns);
        let times = C::from_u64(count).unwrap_or_else(C::zero);
        let filed = ns <= LATENCY_NS_MAX && self.make().is_some_and(|h| h.record_n(ns, times).is_ok());
        self.overflow += if filed { 0 } else { count };
    }

    /// Adds all values of another histogram.
    pub fn merge<D: Counter>(&mut self, other: &Latency<D>) {
        self.overflow += other.overflow;
        self.max_ns = self.max_ns.max(other.max_ns);
        if let Some(theirs) = &other.histogram {
            self.add(theirs);
        }
    }

    /// Adds all values of a histogram of these bounds, such as one that was read from an interval log.
    pub fn add<D: Counter>(&mut self, theirs: &Histogram<D>) {
        // Whoever knows the exact maximum has set it by now.
        self.max_ns = self.max_ns.max(if theirs.is_empty() { 0 } else { theirs.lowest_equivalent(theirs.max()) });
        let Some(mine) = self.make() else { return };
        for step in theirs.iter_recorded() {
            let count = C::from_u64(step.count_at_value().as_u64()).unwrap_or_else(C::zero);
            // Same bounds, so there is a place.
            let _ = mine.record_n(step.value_iterated_to(), count);
        }
    }

    /// The values at these quantiles, ascending, each in millionths; over the values and `unanswered` infinities, `None` where
    /// one falls beyond the histogram.
    #[must_use]
    pub fn at_millionths(&self, quantiles: &[u64], unanswered: u64) -> Vec<Option<u64>> {
        let all = self.count() + unanswered;
        self.values_at(&quantiles.iter().map(|millionths| rank(all, *millionths, 1_000_000)).collect::<Vec<_>>())
    }

    /// The exact maximum, where it is known.
    pub fn know_max(&mut self, max_ns: u64) {
        self.max_ns = self.max_ns.max(max_ns);
    }

    /// How many values were filed, overflows included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.in_range() + self.overflow
    }

    /// The histogram itself, without overflows.
    #[must_use]
    pub fn histogram(&self) -> Option<&Histogram<C>> {
        self.histogram.as_ref()
    }

    /// Percentiles over the values and `unanswered` infinities.
    #[must_use]
    pub fn summary(&self, unanswered: u64) -> LatencySummary {
        let all = self.count() + unanswered;
        let ranks = QUANTILES.map(|(thousandths, _)| rank(all, thousandths, 1_000));
        let values = self.values_at(&ranks);
        LatencySummary {
            count: self.count(),
            unanswered,
            p50_ns: values[0],
            p90_ns: values[1],
            p99_ns: values[2],
            p999_ns: values[3],
            max_ns: (unanswered == 0 && self.count() > 0).then_some(self.max_ns),
            overflow: self.overflow,
        }
    }

    fn make(&mut self) -> Option<&mut Histogram<C>> {
        if self.histogram.is_none() {
            // The bounds are constants that the crate accepts; were they not, everything would show as overflow.
            self.histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).ok();
        }
        self.histogram.as_mut()
    }

    fn in_range(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The values at ascending ranks (from 1); `None` beyond the histogram.
    fn values_at(&self, ranks: &[u64]) -> Vec<Option<u64>> {
        let mut out = vec![None; ranks.len()];
        let Some(histogram) = &self.histogram else { return out };
        let mut seen = 0;
        let mut next = 0;
        for step in histogram.iter_recorded() {
            seen += step.count_at_value().as_u64();
            while next < ranks.len() && ranks[next] > 0 && ranks[next] <= seen {
                // The histogram answers with the top of a bucket, which can lie above every value.
                out[next] = Some(step.value_iterated_to().min(self.max_ns));
                next += 1;
            }
        }
        out
    }
}

/// The published quantiles in thousandths, and their names.
pub const QUANTILES: [(u64, &str); 4] = [(500, "p50"), (900, "p90"), (990, "p99"), (999, "p999")];

/// The rank of a quantile among `count` values: ⌈q · count⌉, with q in parts of `whole`.
fn rank(count: u64, parts: u64, whole: u64) -> u64 {
    u64::try_from((u128::from(count) * u128::from(parts)).div_ceil(u128::from(whole))).unwrap_or(count)
}

/// A histogram's percentiles, as in `run.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LatencySummary {
    /// How many values there are (answered messages).
    pub count: u64,
    /// How many more rank as infinity.
    pub unanswered: u64,
    /// The median in nanoseconds; `None` when it falls among those without a value.
    pub p50_ns: Option<u64>,
    /// The 90th percentile.
    pub p90_ns: Option<u64>,
    /// The 99th percentile.
    pub p99_ns: Option<u64>,
    /// The 99.9th percentile.
    pub p999_ns: Option<u64>,
    /// The exact maximum; `None` when something was never answered, or there is nothing.
    pub max_ns: Option<u64>,
    /// Values over an hour: part of `count`, without a place in the histogram.
    pub overflow: u64,
}

impl LatencySummary {
    /// Each published percentile and the maximum, with its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<u64>); 5] {
        [("p50", self.p50_ns), ("p90", self.p90_ns), ("p99", self.p99_ns), ("p999", self.p999_ns), ("max", self.max_ns)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_values(values in prop::collection::vec(0u64..2 * LATENCY_NS_MAX, 1..300), unanswered in 0u64..50) {
            let mut latency = Latency::<u32>::default();
            let mut total = Latency::<u64>::default();
            for v in &values {
                latency.record(*v);
            }
            total.merge(&latency);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let n = values.len() as u64 + unanswered;
            let summary = total.summary(unanswered);
            prop_assert_eq!(summary.count, values.len() as u64);
            for ((thousandths, _), (_, found)) in QUANTILES.iter().zip(summary.named()) {
                let rank = usize::try_from((n * thousandths).div_ceil(1_000)).expect("small");
                let exact = sorted.get(rank - 1).copied().filter(|v| *v <= LATENCY_NS_MAX);
                prop_assert_eq!(found.is_some(), exact.is_some());
                if let (Some(found), Some(exact)) = (found, exact) {
                    prop_assert!(found.abs_diff(exact) <= exact / 1_000 + 1, "{} against {}", found, exact);
                }
            }
            prop_assert_eq!(summary.max_ns, (unanswered == 0).then(|| *sorted.last().expect("some")));
        }
    }

    #[test]
    fn nothing_has_no_percentiles() {
        let summary = Latency::<u64>::default().summary(0);
        assert_eq!(summary, LatencySummary::default());
    }

    #[test]
    fn one_unanswered_in_a_hundred_takes_the_maximum_but_not_the_median() {
        let mut latency = Latency::<u64>::default();
        for _ in 0..99 {
            latency.record(1_000);
        }
        let summary = latency.summary(1);
        assert_eq!((summary.p50_ns, summary.p99_ns, summary.p999_ns, summary.max_ns), (Some(1_000), Some(1_000), None, None));
    }

    #[test]
    fn more_than_an_hour_is_counted_and_not_clamped() {
        let mut latency = Latency::<u64>::default();
        latency.record(LATENCY_NS_MAX + 1);
        let summary = latency.summary(0);
        assert_eq!((summary.count, summary.overflow, summary.p50_ns, summary.max_ns), (1, 1, None, Some(LATENCY_NS_MAX + 1)));
    }
}

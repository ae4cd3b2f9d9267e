//! Latencies on a grid of steps of at most 0.2 %: what the bootstrap counts with. Published values never come from here.
//!
//! The grid is that of an HDR histogram with nine bits: whole nanoseconds up to 1,023, then 512 steps an octave.

use hdrhistogram::{Counter, Histogram};

/// Steps of an octave.
const STEPS: u64 = 512;

/// The step that a latency lies in.
fn bin_of(ns: u64) -> u16 {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(STEPS.trailing_zeros() + 1);
    u16::try_from(u64::from(shift) * STEPS + (ns >> shift)).unwrap_or(u16::MAX)
}

/// Where a step begins, in nanoseconds.
fn value_of(bin: u16) -> f64 {
    let bin = u64::from(bin);
    let shift = (bin / STEPS).saturating_sub(1);
    ((bin - shift * STEPS) << shift) as f64
}

/// Counts by step, only those that are not 0, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bins(Vec<(u16, u32)>);

impl Bins {
    /// Adds `count` latencies of `ns`.
    pub fn add(&mut self, ns: u64, count: u64) {
        let (bin, count) = (bin_of(ns), u32::try_from(count).unwrap_or(u32::MAX));
        match self.0.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (bin, count)),
        }
    }

    /// Adds all that is in a histogram of nanoseconds.
    pub fn add_all<C: Counter>(&mut self, histogram: &Histogram<C>) {
        for step in histogram.iter_recorded() {
            self.add(step.value_iterated_to(), step.count_at_value().as_u64());
        }
    }

    /// How many latencies are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The latency of a rank from 1, in nanoseconds; infinity beyond the last.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> f64 {
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += u64::from(*count);
            seen >= rank
        });
        found.map_or(f64::INFINITY, |(bin, _)| value_of(*bin))
    }
}

/// The counts of many units of time, so that any mixture of them has its quantile after a few sums.
#[derive(Debug, Clone)]
pub(crate) struct Mixture {
    units: usize,
    first: u16,
    /// For each step from `first` on, for each unit: how many latencies lie in it or below.
    below: Vec<u32>,
}

impl Mixture {
    pub(crate) fn new(of_units: &[&Bins]) -> Self {
        let bounds = of_units.iter().filter_map(|bins| Some((bins.0.first()?.0, bins.0.last()?.0)));
        let Some((first, last)) = bounds.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return Self { units: of_units.len(), first: 0, below: Vec::new() };
        };
        let units = of_units.len();
        let mut below = vec![0; units * (usize::from(last - first) + 1)];
        for (unit, bins) in of_units.iter().enumerate() {
            let mut entries = bins.0.iter().peekable();
            let mut seen = 0u32;
            for (row, bin) in below.chunks_exact_mut(units).zip(first..) {
                if let Some((_, count)) = entries.next_if(|(at, _)| *at == bin) {
                    seen = seen.saturating_add(*count);
                }
                row[unit] = seen;
            }
        }
        Self { units, first, below }
    }

    /// How many lie in the step or below, each unit taken as often as its weight says.
    fn at_most(&self, bin: u16, weights: &[u32]) -> u64 {
        let steps = self.below.len() / self.units.max(1);
        let Some(row) = bin.checked_sub(self.first).filter(|_| steps > 0).map(|row| usize::from(row).min(steps - 1)) else { return 0 };
        let row = &self.below[row * self.units..][..self.units];
        row.iter().zip(weights).map(|(count, weight)| u64::from(*count) * u64::from(*weight)).sum()
    }

    /// How many there are, each unit taken as often as its weight says.
    pub(crate) fn count(&self, weights: &[u32]) -> u64 {
        self.at_most(self.last(), weights)
    }

    fn last(&self) -> u16 {
        let steps = self.below.len() / self.units.max(1);
        self.first.saturating_add(u16::try_from(steps).unwrap_or(u16::MAX)).saturating_sub(1)
    }
}

/// The latency of a rank (from 1) in a mixture of several runs, each with how often it is taken; infinity beyond the last.
pub(crate) fn at_rank(mixtures: &[(&Mixture, u32)], weights: &[u32], rank: u64) -> f64 {
    let taken = || mixtures.iter().filter(|(mixture, times)| *times > 0 && !mixture.below.is_empty());
    let at_most = |bin| taken().map(|(mixture, times)| mixture.at_most(bin, weights) * u64::from(*times)).sum::<u64>();
    let bounds = taken().map(|(m, _)| m.first).min().zip(taken().map(|(m, _)| m.last()).max());
    let Some((mut low, mut high)) = bounds.filter(|(_, last)| at_most(*last) >= rank) else { return f64::INFINITY };
    while low < high {
        let middle = u16::midpoint(low, high);
        if at_most(middle) >= rank { high = middle } else { low = middle + 1 }
    }
    value_of(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_step_begins_at_most_a_fifth_of_a_percent_below(ns in 0u64..4_000_000_000_000) {
            let begin = value_of(bin_of(ns));
            prop_assert!(begin <= ns as f64 && begin >= ns as f64 * 0.998, "{ns} {begin}");
            prop_assert!(bin_of(ns) <= bin_of(ns + 1));
        }

        #[test]
        fn a_mixture_has_the_quantiles_of_its_values(
            units in prop::collection::vec((prop::collection::vec(0u64..5_000_000, 0..20), 0u32..4), 1..8),
            other in prop::collection::vec(0u64..5_000_000, 0..20),
            times in 0u32..3,
            rank in 1u64..100,
        ) {
            let fill = |values: &[u64]| { let mut bins = Bins::default(); values.iter().for_each(|v| bins.add(*v, 1)); bins };
            let bins: Vec<Bins> = units.iter().map(|(values, _)| fill(values)).collect();
            let weights: Vec<u32> = units.iter().map(|(_, weight)| *weight).collect();
            let first = Mixture::new(&bins.iter().collect::<Vec<_>>());
            let others: Vec<Bins> = bins.iter().map(|_| fill(&other)).collect();
            let second = Mixture::new(&others.iter().collect::<Vec<_>>());
            let mut all: Vec<u64> = Vec::new();
            for (values, weight) in &units {
                for _ in 0..*weight {
                    all.extend(values);
                    for _ in 0..times { all.extend(&other); }
                }
            }
            all.sort_unstable();
            let expected = all.get(usize::try_from(rank).expect("small") - 1).map_or(f64::INFINITY, |v| value_of(bin_of(*v)));
            prop_assert_eq!(at_rank(&[(&first, 1), (&second, times)], &weights, rank), expected);
        }
    }
}

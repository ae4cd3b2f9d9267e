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
        self.add_to(bin_of(ns), u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Adds all that is in others.
    pub fn merge(&mut self, others: &Self) {
        others.0.iter().for_each(|(bin, count)| self.add_to(*bin, *count));
    }

    fn add_to(&mut self, bin: u16, count: u32) {
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

/// Some of the latencies of a cell.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    bin: u16,
    count: u32,
    cell: u32,
}

/// The counts of many cells (the units of all runs of a side), so that any mixture of them has its quantiles after a few sums.
///
/// All entries are in order of latency. Before each stretch of them stands how many latencies every cell has up to there: a rank is
/// sought among the stretches first, then within one.
#[derive(Debug, Clone)]
pub(crate) struct Mixture {
    cells: usize,
    entries: Vec<Entry>,
    /// For each stretch, for each cell: how many latencies lie before it.
    before: Vec<u32>,
    /// For each stretch: how many lie before it, each cell taken once.
    plain: Vec<u64>,
}

impl Mixture {
    pub(crate) fn new(of_cells: &[&Bins]) -> Self {
        let entries = in_order(of_cells);
        let cells = of_cells.len();
        let mut so_far = vec![0u32; cells];
        let (mut before, mut plain, mut all) = (Vec::new(), Vec::new(), 0);
        for stretch in entries.chunks(Self::stretch(cells)) {
            before.extend_from_slice(&so_far);
            plain.push(all);
            for Entry { count, cell, .. } in stretch {
                let of_cell = &mut so_far[*cell as usize];
                *of_cell = of_cell.saturating_add(*count);
                all += u64::from(*count);
            }
        }
        Self { cells, entries, before, plain }
    }

    /// How many entries are a stretch: as many as there are cells, so that going through one takes as long as adding up cells.
    fn stretch(cells: usize) -> usize {
        cells.max(16)
    }

    /// The latency of a rank (from 1) when each cell is taken as often as its weight says; infinity beyond the last. `near` is
    /// the rank at which it would be were each taken once: the search begins there.
    pub(crate) fn at_rank(&self, weights: &[u32], rank: u64, near: u64) -> f64 {
        let stretches = self.plain.len();
        let before = |at: usize| -> u64 {
            let of_cells = &self.before[at * self.cells..][..self.cells];
            of_cells.iter().zip(weights).map(|(count, weight)| u64::from(*count) * u64::from(*weight)).sum()
        };
        // Steps that double, until the rank is between two stretches; then halves.
        let mut low = self.plain.partition_point(|before| *before < near).saturating_sub(1);
        let (mut high, mut step, mut seen) = (stretches, 1, 0);
        while low > 0 {
            seen = before(low);
            if seen < rank {
                break;
            }
            (high, low, seen) = (low, low.saturating_sub(step), 0);
            step *= 2;
        }
        step = 1;
        while low + 1 < high {
            let next = if high == stretches { (low + step).min(high - 1) } else { usize::midpoint(low, high) };
            let found = before(next);
            if found < rank {
                (low, seen) = (next, found);
            } else {
                high = next;
            }
            step *= 2;
        }
        let found = self.entries.iter().skip(low * Self::stretch(self.cells)).find(|entry| {
            seen += u64::from(entry.count) * u64::from(weights[entry.cell as usize]);
            seen >= rank
        });
        found.map_or(f64::INFINITY, |entry| value_of(entry.bin))
    }
}

/// All entries by step, in one pass for counting them and one for placing them: there are few steps and many entries.
fn in_order(of_cells: &[&Bins]) -> Vec<Entry> {
    let mut places: Vec<usize> = Vec::new();
    for (bin, _) in of_cells.iter().flat_map(|bins| &bins.0) {
        let next = usize::from(*bin) + 1;
        if next >= places.len() {
            places.resize(next + 1, 0);
        }
        places[next] += 1;
    }
    for bin in 1..places.len() {
        places[bin] += places[bin - 1];
    }
    let mut entries = vec![Entry::default(); places.last().copied().unwrap_or(0)];
    for (bins, cell) in of_cells.iter().zip(0..) {
        for (bin, count) in &bins.0 {
            let place = &mut places[usize::from(*bin)];
            entries[*place] = Entry { bin: *bin, count: *count, cell };
            *place += 1;
        }
    }
    entries
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
            cells in prop::collection::vec((prop::collection::vec(0u64..5_000_000, 0..60), 0u32..4), 1..20),
            rank in 1u64..2_000,
            near in 1u64..2_000,
        ) {
            let fill = |values: &[u64]| { let mut bins = Bins::default(); values.iter().for_each(|v| bins.add(*v, 1)); bins };
            let bins: Vec<Bins> = cells.iter().map(|(values, _)| fill(values)).collect();
            let weights: Vec<u32> = cells.iter().map(|(_, weight)| *weight).collect();
            let mixture = Mixture::new(&bins.iter().collect::<Vec<_>>());
            let mut all: Vec<u64> = cells.iter().flat_map(|(values, weight)| (0..*weight).flat_map(move |_| values)).copied().collect();
            all.sort_unstable();
            let expected = all.get(usize::try_from(rank).expect("small") - 1).map_or(f64::INFINITY, |v| value_of(bin_of(*v)));
            prop_assert_eq!(mixture.at_rank(&weights, rank, near), expected, "wherever the search begins");
        }
    }
}

//! `pick = "per-series"`: each original series has values of its own. They are given out as evenly as the occurrences of the
//! series allow: a series with fewer occurrences than its share leaves the rest to the others.

use std::collections::BTreeMap;

/// The values of each series.
#[derive(Debug, Clone, Default)]
pub(super) struct SeriesShares {
    /// By the hash of the series.
    hashes: Vec<u64>,
    shares: Vec<SeriesShare>,
}

/// The values of one series: `values` of them from `base` on, over so many occurrences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SeriesShare {
    pub(super) base: u64,
    pub(super) values: u64,
    pub(super) occurrences: u64,
}

impl SeriesShares {
    /// Gives out this many values. With fewer values than series some series share one.
    pub(super) fn new(series: &BTreeMap<u64, u64>, distinct: u64) -> Self {
        let hashes: Vec<u64> = series.keys().copied().collect();
        let counts: Vec<u64> = series.values().copied().collect();
        let mut shares = vec![SeriesShare::default(); counts.len()];
        let mut by_count: Vec<usize> = (0..counts.len()).collect();
        by_count.sort_by_key(|ix| counts[*ix]);
        let few = distinct < counts.len() as u64;
        let (mut left, mut base) = (distinct, 0);
        for (done, ix) in by_count.into_iter().enumerate() {
            let even = left / (counts.len() - done) as u64;
            let values = if few { 1 } else { even.min(counts[ix]) };
            shares[ix] = SeriesShare { base: if few { done as u64 % distinct } else { base }, values, occurrences: counts[ix] };
            left = left.saturating_sub(values);
            base += values;
        }
        Self { hashes, shares }
    }

    /// The number of a series, from 0.
    pub(super) fn find(&self, hash: u64) -> Option<usize> {
        self.hashes.binary_search(&hash).ok()
    }

    pub(super) fn share(&self, number: usize) -> SeriesShare {
        self.shares[number]
    }

    pub(super) fn len(&self) -> usize {
        self.shares.len()
    }

    /// How many values are shown.
    pub(super) fn shown(&self) -> u64 {
        self.shares.iter().map(|share| share.base + share.values).max().unwrap_or(0)
    }
}

//! Blocks of time for the bootstrap: how long they are, and which are drawn. Pure; the same seed gives the same draws.
//!
//! **Length.** The rule of Politis and White for the circular block bootstrap ("Automatic block-length selection for the
//! dependent bootstrap", Econometric Reviews 23, 2004, with the correction of Patton, Politis and White, 28, 2009): the more
//! a series resembles its own past, the longer. At most min(3 √n, n / 3) of n units.
//!
//! **Draws.** Blocks begin anywhere with equal chance and go on at the beginning where the series ends, so that every
//! unit is as likely as any other.

use crate::hash;

/// The block length for a series of `n` units that must serve several measures: the longest that one of them asks for.
pub(crate) fn length(series: &[Vec<f64>]) -> usize {
    series.iter().map(|values| politis_white(values)).max().unwrap_or(1)
}

fn politis_white(values: &[f64]) -> usize {
    let n = values.len();
    if n < 4 {
        return 1;
    }
    let count = n as f64;
    let mean = values.iter().sum::<f64>() / count;
    let covariance = |lag: usize| {
        let pairs = values.iter().zip(values.iter().skip(lag));
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / count
    };
    let variance = covariance(0);
    if variance <= 0.0 {
        return 1;
    }
    // From here on the series does not resemble its past: so many lags in a row without a notable correlation.
    let quiet_lags = whole(libm::sqrt(libm::log10(count))).max(5);
    let notable = 2.0 * libm::sqrt(libm::log10(count) / count);
    let lag_max = whole(libm::sqrt(count)) + quiet_lags;
    let quiet = |lag: usize| covariance(lag).abs() / variance < notable;
    let memory = (0..=lag_max).find(|m| (m + 1..=m + quiet_lags).all(quiet)).unwrap_or(lag_max).max(1);
    let window = (2 * memory).min(n - 1);
    let (mut bend, mut spectrum) = (0.0, variance);
    for lag in 1..=window {
        let share = lag as f64 / window as f64;
        let flat_top = if share <= 0.5 { 1.0 } else { 2.0 * (1.0 - share) };
        spectrum += 2.0 * flat_top * covariance(lag);
        bend += 2.0 * flat_top * lag as f64 * covariance(lag);
    }
    let longest = whole((3.0 * libm::sqrt(count)).min(count / 3.0));
    let denominator = 4.0 / 3.0 * spectrum * spectrum;
    if denominator <= 0.0 {
        return longest;
    }
    whole(libm::cbrt(2.0 * bend * bend / denominator * count)).clamp(1, longest)
}

/// The next whole number of units.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, and no number of units comes near that")]
fn whole(units: f64) -> usize {
    units.ceil() as usize
}

/// Numbers drawn at random, from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    key: u64,
    drawn: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: seed, drawn: 0 }
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.drawn += 1;
        usize::try_from(hash::below(hash::key(self.key, self.drawn), end as u64)).unwrap_or(0)
    }

    /// How often each of `units` units of time is taken: as many as there are (within a block), block by block.
    pub(crate) fn blocks(&mut self, units: usize, length: usize, weights: &mut Vec<u32>) {
        weights.clear();
        weights.resize(units, 0);
        if units == 0 {
            return;
        }
        for _ in 0..units.div_ceil(length.max(1)) {
            let start = self.below(units);
            for unit in start..start + length.max(1) {
                weights[unit % units] += 1;
            }
        }
    }

    /// How often each of `runs` runs is taken: as many as there are.
    pub(crate) fn runs(&mut self, runs: usize, times: &mut Vec<u32>) {
        times.clear();
        times.resize(runs, 0);
        for _ in 0..runs {
            times[self.below(runs)] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series of which each value is `memory` times the one before, and chance.
    fn series(memory: f64, seed: u64) -> Vec<f64> {
        let mut draws = Draws::new(seed);
        let mut value = 0.0;
        let mut next = || {
            let chance: f64 = (0..12).map(|_| draws.below(1_000_000) as f64 / 1e6).sum::<f64>() - 6.0;
            value = memory * value + chance;
            value
        };
        (0..400).map(|_| next()).collect()
    }

    #[test]
    fn blocks_are_longer_the_longer_the_memory() {
        let mean = |memory| (0..20).map(|seed| politis_white(&series(memory, seed))).sum::<usize>() as f64 / 20.0;
        let lengths = [0.0, 0.5, 0.9].map(mean);
        assert!(lengths[0] < 5.0 && lengths[1] > 6.0 && lengths[2] > 2.0 * lengths[1], "{lengths:?}");
        assert_eq!((politis_white(&[1.0; 50]), politis_white(&[1.0, 2.0])), (1, 1), "no variance, no series");
    }

    #[test]
    fn every_unit_is_as_likely_as_any_other() {
        let mut draws = Draws::new(3);
        let (mut weights, mut sums) = (Vec::new(), vec![0u32; 10]);
        for _ in 0..5_000 {
            draws.blocks(10, 3, &mut weights);
            assert_eq!(weights.iter().sum::<u32>(), 12, "four blocks of three");
            sums.iter_mut().zip(&weights).for_each(|(sum, weight)| *sum += weight);
        }
        assert!(sums.iter().all(|sum| sum.abs_diff(6_000) < 400), "{sums:?}");
    }
}

//! When messages came, in flat memory: the gaps between them, and how they bunch together.

use serde::{Deserialize, Serialize};

use super::counted::Counted;
use crate::measure::latency::Latency;

/// The scales of burstiness, in nanoseconds; each has whole bins of the shortest.
pub const SCALES_NS: [u64; 3] = [10_000_000, 100_000_000, 1_000_000_000];

/// The counts of the bins of one scale: the open one, and the squares of those that were left behind.
#[derive(Debug, Clone, Copy, Default)]
struct Scale {
    bin: u64,
    count: u64,
    squares: f64,
}

impl Scale {
    fn add(&mut self, bin: u64, count: u64) {
        if bin > self.bin {
            *self = Self { bin, count: 0, squares: self.squares + square(self.count) };
        }
        self.count += count;
    }

    /// Variance over mean of the counts of all bins that are over, empty ones too; 0 without any.
    fn dispersion(&self, messages: u64) -> f64 {
        let over = messages - self.count;
        let mean = over as f64 / self.bin as f64;
        if over == 0 { 0.0 } else { (self.squares / self.bin as f64 - mean * mean).max(0.0) / mean }
    }
}

fn square(count: u64) -> f64 {
    count as f64 * count as f64
}

/// See the module's words.
#[derive(Debug, Clone, Default)]
pub struct Timing {
    gaps: Latency<u64>,
    scales: [Scale; SCALES_NS.len()],
    messages: u64,
    newest_ns: u64,
    /// Messages of the newest bin of the shortest scale, which no scale has yet.
    pending: u64,
    /// Where that bin ends.
    end_ns: u64,
}

impl Timing {
    /// A message, so long after the start; one before its predecessor counts as at the same time.
    pub fn push(&mut self, ns: u64) {
        let ns = ns.max(self.newest_ns);
        if self.messages > 0 {
            self.gaps.record(ns - self.newest_ns);
        }
        if ns >= self.end_ns {
            self.count_pending();
            self.end_ns = (ns / SCALES_NS[0] + 1) * SCALES_NS[0];
        }
        self.pending += 1;
        self.messages += 1;
        self.newest_ns = ns;
    }

    /// What is known of it.
    #[must_use]
    pub fn summary(&self) -> TimingSummary {
        let mut all = self.clone();
        all.count_pending();
        TimingSummary {
            messages: all.messages,
            gaps_ns: all.gaps.histogram().map(Counted::of).unwrap_or_default(),
            dispersion: all.scales.map(|scale| scale.dispersion(all.messages)),
        }
    }

    fn count_pending(&mut self) {
        for (scale, length_ns) in self.scales.iter_mut().zip(SCALES_NS) {
            scale.add(self.newest_ns / length_ns, self.pending);
        }
        self.pending = 0;
    }
}

/// What is known of when messages came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TimingSummary {
    /// How many.
    pub messages: u64,
    /// The gaps between them, in nanoseconds; those over an hour are left out.
    pub gaps_ns: Counted,
    /// The index of dispersion (variance over mean) of the counts per 10 ms, 100 ms and 1 s, without the last one of each.
    pub dispersion: [f64; SCALES_NS.len()],
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dispersion_is_that_of_the_counts_of_all_bins(gaps in prop::collection::vec(0u64..700_000_000, 1..100)) {
            let mut timing = Timing::default();
            let times: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            times.iter().for_each(|at| timing.push(*at));
            let summary = timing.summary();
            prop_assert_eq!((summary.messages, summary.gaps_ns.count()), (times.len() as u64, times.len() as u64 - 1));
            for (length_ns, found) in SCALES_NS.iter().zip(summary.dispersion) {
                let bin = |at: &u64| usize::try_from(at / length_ns).expect("small");
                let mut counts = vec![0.0; bin(times.last().expect("some"))];
                for at in &times {
                    if let Some(count) = counts.get_mut(bin(at)) {
                        *count += 1.0;
                    }
                }
                if counts.iter().sum::<f64>() == 0.0 {
                    prop_assert_eq!(found, 0.0);
                    continue;
                }
                let mean = counts.iter().sum::<f64>() / counts.len() as f64;
                let variance = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / counts.len() as f64;
                prop_assert!((found - variance / mean).abs() < 1e-6, "{} {}", found, variance / mean);
            }
        }
    }
}

//! How many different things there were, in flat memory: exact while they are few, an estimate beyond, and it says which.
//!
//! Things are 64-bit hashes (two different things with one hash count as one: at a million things the chance of even one
//! such pair is below one in thirty million). Up to [`EXACT_MAX`] of them are kept and counted exactly; beyond, a HyperLogLog sketch
//! of 2¹⁴ registers counts on, whose relative standard error is [`ERROR_SHARE`] (Apache DataSketches, the HIP estimator:
//! 0.8326 / √k).

use datasketches::hll::{HllSketch, HllType};
use rustc_hash::FxHashSet;
use serde::Serialize;

/// The most things that are counted exactly.
pub const EXACT_MAX: usize = 1_024;
/// The relative standard error of an estimate: in two of three cases it is off by less.
pub const ERROR_SHARE: f64 = 0.0065;

const REGISTERS_LOG2: u8 = 14;

/// A number of distinct things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DistinctCount {
    /// How many.
    pub count: u64,
    /// Whether it is exact; else an estimate with the error of [`ERROR_SHARE`].
    pub exact: bool,
}

/// Counts. See the module's words.
#[derive(Debug, Clone, Default)]
pub struct Distinct {
    few: FxHashSet<u64>,
    many: Option<Box<HllSketch>>,
}

impl Distinct {
    /// Notes one thing, by its hash.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        if let Some(many) = &mut self.many {
            many.update(hash);
        } else if self.few.insert(hash) && self.few.len() > EXACT_MAX {
            self.estimate();
        }
    }

    /// How many there were so far.
    #[must_use]
    pub fn count(&self) -> DistinctCount {
        match &self.many {
            None => DistinctCount { count: self.few.len() as u64, exact: true },
            Some(many) => DistinctCount { count: rounded(many.estimate()), exact: false },
        }
    }

    fn estimate(&mut self) {
        // The number of registers is one that the library knows: it cannot refuse it.
        let Ok(mut many) = HllSketch::new(REGISTERS_LOG2, HllType::Hll8) else { return };
        for hash in std::mem::take(&mut self.few) {
            many.update(hash);
        }
        self.many = Some(Box::new(many));
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of things, far below 2^63 and not negative")]
fn rounded(estimate: f64) -> u64 {
    estimate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spread(n: u64) -> u64 {
        // SplitMix64's finisher: neighbours become unlike.
        let z = (n.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    proptest! {
        #[test]
        fn few_are_counted_exactly(things in prop::collection::vec(0u64..2_000, 0..1_000)) {
            let mut distinct = Distinct::default();
            let mut seen = std::collections::BTreeSet::new();
            for thing in things {
                distinct.add(spread(thing));
                seen.insert(thing);
            }
            prop_assert_eq!(distinct.count(), DistinctCount { count: seen.len() as u64, exact: true });
        }
    }

    #[test]
    fn many_are_estimated_within_the_error_that_is_stated() {
        for count in [2_000u64, 50_000, 1_000_000] {
            let mut distinct = Distinct::default();
            for thing in 0..count {
                distinct.add(spread(thing));
                distinct.add(spread(thing / 2));
            }
            let found = distinct.count();
            assert!(!found.exact);
            let off = (found.count as f64 / count as f64 - 1.0).abs();
            assert!(off < 4.0 * ERROR_SHARE, "{count}: {found:?} is off by {off}");
        }
    }

    #[test]
    fn it_is_exact_up_to_its_bound() {
        let mut distinct = Distinct::default();
        (0..EXACT_MAX as u64).for_each(|n| distinct.add(n));
        assert_eq!(distinct.count(), DistinctCount { count: EXACT_MAX as u64, exact: true });
        distinct.add(u64::MAX);
        assert!(!distinct.count().exact);
    }
}

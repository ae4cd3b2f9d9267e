//! A seeded permutation of 0..n without a table: a Feistel network over the next even number of bits, walked until it falls
//! back into the range. The same key and n give the same permutation on any machine.

use crate::hash::{key as key_of, mix};

const ROUNDS: usize = 4;

/// A permutation of 0..n.
#[derive(Debug, Clone)]
pub(super) struct Permutation {
    n: u64,
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// Of 0..n, which has at least one number.
    pub(super) fn new(n: u64, key: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let keys = std::array::from_fn(|round| key_of(key, round as u64));
        Self { n, half: bits.div_ceil(2).max(1), keys }
    }

    /// Where a number below n goes.
    pub(super) fn at(&self, number: u64) -> u64 {
        let mut at = number;
        // The network permutes at most 4n + 4 numbers, so a walk is short; it ends since it goes in a circle.
        loop {
            at = self.once(at);
            if at < self.n || self.n == 0 {
                return at;
            }
        }
    }

    fn once(&self, number: u64) -> u64 {
        let mask = u64::MAX >> (64 - self.half);
        let (mut left, mut right) = (number >> self.half, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_is_reached_once(n in 1u64..3_000, key in any::<u64>()) {
            let permutation = Permutation::new(n, key);
            let mut seen: Vec<u64> = (0..n).map(|x| permutation.at(x)).collect();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..n));
        }
    }

    #[test]
    fn a_large_range_is_kept_and_keys_differ() {
        let (one, other) = (Permutation::new(u64::MAX / 3, 1), Permutation::new(u64::MAX / 3, 2));
        assert!((0..1_000).all(|x| one.at(x) < u64::MAX / 3));
        assert!((0..1_000).filter(|x| one.at(*x) == other.at(*x)).count() < 2);
    }
}

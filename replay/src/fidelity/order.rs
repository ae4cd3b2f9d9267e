//! Whether the order within streams was kept between two recordings, judged by a sample of messages that both have.
//!
//! A message is known by its stream's name, its key and its value; of equal ones the first is the first. The sample is those
//! whose hash is small: the same messages on both sides, [`SAMPLE_MAX`] of them at most.

use std::collections::{HashMap, VecDeque};

use super::OrderKept;
use crate::hash;

/// The most messages that are looked at on a side: 24 bytes each.
pub const SAMPLE_MAX: usize = 1 << 18;

/// A message of the sample.
#[derive(Debug, Clone, Copy)]
struct Seen {
    hash: u64,
    stream: u32,
    /// Its number in its stream.
    number: u64,
}

/// The sample of one side.
#[derive(Debug, Clone, Default)]
pub struct OrderSample {
    seen: Vec<Seen>,
    /// One in 2^thinned is looked at.
    thinned: u32,
    /// How many messages each stream had so far.
    numbers: Vec<u64>,
}

impl OrderSample {
    /// The next message of a stream, whose name has the hash `name`.
    pub fn push(&mut self, stream: u32, name: u64, key: Option<&[u8]>, value: Option<&[u8]>) {
        let ix = stream as usize;
        if ix >= self.numbers.len() {
            self.numbers.resize(ix + 1, 0);
        }
        let number = self.numbers[ix];
        self.numbers[ix] += 1;
        let hash = hash::bytes(hash::bytes(name, key.unwrap_or_default()), value.unwrap_or_default());
        if !is_in(hash, self.thinned) {
            return;
        }
        self.seen.push(Seen { hash, stream, number });
        while self.seen.len() > SAMPLE_MAX {
            self.thin(self.thinned + 1);
        }
    }

    /// Holds the order of `other` against this one's.
    #[must_use]
    pub fn kept_by(mut self, mut other: Self) -> OrderKept {
        let thinned = self.thinned.max(other.thinned);
        self.thin(thinned);
        other.thin(thinned);
        let mut numbers: HashMap<u64, VecDeque<u64>> = HashMap::new();
        for seen in &self.seen {
            numbers.entry(seen.hash).or_default().push_back(seen.number);
        }
        let mut newest: HashMap<u32, u64> = HashMap::new();
        let mut kept = OrderKept::default();
        for seen in &other.seen {
            let Some(number) = numbers.get_mut(&seen.hash).and_then(VecDeque::pop_front) else { continue };
            let before = newest.insert(seen.stream, number);
            kept.of += 1;
            kept.violations += u64::from(before.is_some_and(|before| number <= before));
        }
        kept
    }

    fn thin(&mut self, thinned: u32) {
        self.thinned = thinned;
        self.seen.retain(|seen| is_in(seen.hash, thinned));
    }
}

fn is_in(hash: u64, thinned: u32) -> bool {
    hash.leading_zeros() >= thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: impl IntoIterator<Item = u64>) -> OrderSample {
        let mut sample = OrderSample::default();
        values.into_iter().for_each(|v| sample.push(0, 7, None, Some(&v.to_le_bytes())));
        sample
    }

    #[test]
    fn order_is_judged_by_what_both_have() {
        let base = || sample(0..100);
        assert_eq!(base().kept_by(sample(0..100)), OrderKept { violations: 0, of: 100 });
        assert_eq!(base().kept_by(sample((0..100).filter(|v| v % 3 == 0).chain(200..300))), OrderKept { violations: 0, of: 34 });
        assert_eq!(base().kept_by(sample((0..100).rev())), OrderKept { violations: 99, of: 100 });
        assert_eq!(base().kept_by(sample(200..300)), OrderKept::default());
        assert_eq!(sample([5; 50]).kept_by(sample([5; 50])).violations, 0, "of equal ones the first is the first");
    }

    #[test]
    fn long_recordings_are_judged_by_the_same_sample_of_both() {
        let long = SAMPLE_MAX as u64 * 3;
        let kept = sample(0..long).kept_by(sample(0..long / 2));
        assert!(kept.violations == 0 && kept.of > SAMPLE_MAX as u64 / 8 && kept.of < SAMPLE_MAX as u64, "{kept:?}");
    }
}

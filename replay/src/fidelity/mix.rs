//! What messages are like, in flat memory: their sizes, and how unevenly their keys come.
//!
//! Keys are told apart by 16 bits of a hash: where there are very many, several count as one, on both sides alike. Messages
//! without a key count as having one of their own.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::counted::Counted;
use crate::hash;

/// How many keys are told apart.
const KEY_CLASSES: usize = 1 << 16;
/// The largest size that is told apart from larger ones, in bytes.
const SIZE_BYTES_MAX: u64 = 1 << 30;

/// See the module's words.
#[derive(Debug, Clone)]
pub struct Mix {
    sizes: Option<Histogram<u64>>,
    keys: Vec<u64>,
}

impl Default for Mix {
    fn default() -> Self {
        Self { sizes: Histogram::new_with_bounds(1, SIZE_BYTES_MAX, 3).ok(), keys: vec![0; KEY_CLASSES] }
    }
}

impl Mix {
    /// A message of `bytes` (key, value and headers).
    pub fn push(&mut self, bytes: u64, key: Option<&[u8]>) {
        if let Some(sizes) = &mut self.sizes {
            sizes.saturating_record(bytes);
        }
        let class = key.map_or(0, |key| hash::bytes(0, key) >> 48);
        self.keys[usize::try_from(class).unwrap_or(0)] += 1;
    }

    /// What is known of it, less what is known of a part of it.
    #[must_use]
    pub fn summary_without(&self, part: Option<&Self>) -> MixSummary {
        let mut sizes = self.sizes.clone();
        if let (Some(all), Some(part)) = (&mut sizes, part.and_then(|part| part.sizes.as_ref())) {
            // The part is within the whole.
            let _ = all.subtract(part);
        }
        let mut keys_of_count = BTreeMap::new();
        for (class, count) in self.keys.iter().enumerate() {
            let left = count.saturating_sub(part.map_or(0, |part| part.keys[class]));
            if left > 0 {
                *keys_of_count.entry(left).or_insert(0) += 1;
            }
        }
        MixSummary {
            bytes: sizes.as_ref().map(Counted::of).unwrap_or_default(),
            keys_of_count: Counted::from_pairs(keys_of_count.into_iter().collect()),
        }
    }
}

/// What is known of what messages are like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MixSummary {
    /// Sizes in bytes.
    pub bytes: Counted,
    /// How often a key came, and how many keys came so often.
    pub keys_of_count: Counted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_can_be_taken_off_again() {
        let (mut all, mut part, mut rest) = (Mix::default(), Mix::default(), Mix::default());
        for n in 0..1_000u64 {
            let key = (n % 7).to_le_bytes();
            let key = (n % 3 > 0).then_some(&key[..]);
            all.push(n, key);
            if n % 5 == 0 { part.push(n, key) } else { rest.push(n, key) }
        }
        assert_eq!(all.summary_without(Some(&part)), rest.summary_without(None));
        let keys = rest.summary_without(None).keys_of_count;
        assert_eq!(keys.pairs().iter().map(|(_, keys)| keys).sum::<u64>(), 8, "seven keys, and none");
    }
}

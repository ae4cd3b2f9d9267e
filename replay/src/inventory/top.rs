//! The most frequent values, in flat memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005) with [`KEPT`] counters.
//!
//! While there are no more different values than counters, every count is exact. Beyond, a count is what is certain: a value
//! was seen at least as often. A value with a larger share than 1/[`KEPT`] is always among those kept.

use std::hash::BuildHasher as _;

use rustc_hash::FxBuildHasher;

/// How many values are kept.
pub const KEPT: usize = 64;
/// What is kept of a value, in bytes: longer ones are cut for showing, not for counting.
const VALUE_BYTES: usize = 256;

/// Counts values.
#[derive(Debug, Clone, Default)]
pub(super) struct Top {
    kept: Vec<Kept>,
    replaced: bool,
}

#[derive(Debug, Clone)]
struct Kept {
    hash: u64,
    value: Vec<u8>,
    count: u64,
    /// By how much the count may be too large.
    doubt: u64,
}

impl Top {
    /// Takes a value, and returns its hash.
    pub(super) fn add(&mut self, value: &[u8]) -> u64 {
        let hash = FxBuildHasher.hash_one(value);
        if let Some(kept) = self.kept.iter_mut().find(|k| k.hash == hash) {
            kept.count += 1;
        } else if self.kept.len() < KEPT {
            self.kept.push(Kept { hash, value: cut(value).to_vec(), count: 1, doubt: 0 });
        } else if let Some(least) = self.kept.iter_mut().min_by_key(|k| k.count) {
            self.replaced = true;
            least.value.clear();
            least.value.extend_from_slice(cut(value));
            (least.hash, least.doubt) = (hash, least.count);
            least.count += 1;
        }
        hash
    }

    /// Whether all counts are exact; else they are lower bounds.
    pub(super) fn is_exact(&self) -> bool {
        !self.replaced
    }

    /// The values seen most often, at most `most` of them, with how often each was seen for certain.
    pub(super) fn largest(&self, most: usize) -> Vec<(String, u64)> {
        let mut all: Vec<(&[u8], u64)> = self.kept.iter().map(|k| (k.value.as_slice(), k.count - k.doubt)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(most);
        all.into_iter().map(|(value, count)| (String::from_utf8_lossy(value).into_owned(), count)).collect()
    }
}

fn cut(value: &[u8]) -> &[u8] {
    &value[..value.len().min(VALUE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn counts_are_exact_while_they_fit_and_then_never_too_large(values in prop::collection::vec(0u32..200, 0..3_000), different in 1u32..200) {
            let mut top = Top::default();
            let mut model = BTreeMap::<String, u64>::new();
            for value in values.iter().map(|v| (v % different).min(v * v % different).to_string()) {
                top.add(value.as_bytes());
                *model.entry(value).or_default() += 1;
            }
            prop_assert_eq!(top.is_exact(), model.len() <= KEPT);
            let found = top.largest(usize::MAX);
            let right = |(value, count): &(String, u64)| if top.is_exact() { model[value] == *count } else { *count > 0 && model[value] >= *count };
            prop_assert!(found.iter().all(right), "{:?}", found);
            let all: u64 = model.values().sum();
            for (value, count) in &model {
                prop_assert!(*count * KEPT as u64 <= all || found.iter().any(|(v, _)| v == value), "{} of {}", count, all);
            }
            prop_assert!(found.is_sorted_by(|a, b| a.1 >= b.1));
        }
    }

    #[test]
    fn ids_that_come_once_are_not_made_to_look_frequent() {
        let mut top = Top::default();
        for n in 0..100_000u32 {
            top.add(n.to_string().as_bytes());
        }
        assert!(!top.is_exact() && top.largest(9).iter().all(|(_, count)| *count == 1));
    }
}

//! Which streams this machine sends, when several share a run (`--shard i/n`). Pure.
//!
//! Guarantees: every stream belongs to exactly one shard; which one follows from the recording and the selection alone, so
//! that n machines with the same options send together what one would. Shards are even by records as far as whole
//! streams allow: the largest stream first, each to the shard that has least.

use std::cmp::Reverse;

/// The most shards.
const SHARDS_MAX: u32 = 1_000;

/// One of the shards of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Reads `i/n`, 1 ≤ i ≤ n ≤ 1000.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let digits = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
        let (number, of) = (digits(number)?, digits(of)?);
        (1..=of).contains(&number).then_some(Self { number, of }).filter(|_| of <= SHARDS_MAX)
    }

    /// Which one, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// Of how many.
    #[must_use]
    pub fn of(self) -> u32 {
        self.of
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Gives each stream the number of its shard, from 1. `records` are those of each stream, `selected` says which are replayed;
/// the others belong to a shard as well, whose books have them as filtered.
#[must_use]
pub fn assign(records: &[u64], selected: &[bool], shards: u32) -> Vec<u32> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    let is_selected = |ix: usize| selected.get(ix).copied().unwrap_or(false);
    order.sort_by_key(|ix| (!is_selected(*ix), Reverse(records[*ix]), *ix));
    let mut loads: Vec<(u64, u32)> = (1..=shards.max(1)).map(|number| (0, number)).collect();
    let mut of_stream = vec![1; records.len()];
    for ix in order {
        let Some(least) = loads.iter_mut().min() else { continue };
        of_stream[ix] = least.1;
        least.0 = least.0.saturating_add(records[ix]);
    }
    of_stream
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_shard_that_there_is_is_one() {
        let shard = Shard::parse("2/3").expect("a shard");
        assert_eq!((shard.number(), shard.of(), shard.to_string()), (2, 3, "2/3".to_owned()));
        for text in ["", "1", "0/2", "3/2", "0/0", "1/0", "1/1001", "-1/2", "+1/2", "1/2/3", " 1/2", "a/b", "1/", "99999999999/99999999999"]
        {
            assert_eq!(Shard::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn each_stream_has_one_shard_and_they_are_even(records in prop::collection::vec(0u64..1_000, 1..60), chosen in prop::collection::vec(any::<bool>(), 60), shards in 1u32..9) {
            let selected = &chosen[..records.len()];
            let of_stream = assign(&records, selected, shards);
            prop_assert!(of_stream.iter().all(|s| (1..=shards).contains(s)));
            let load = |shard| -> u64 { (0..records.len()).filter(|ix| of_stream[*ix] == shard && selected[*ix]).map(|ix| records[ix]).sum() };
            let largest = (0..records.len()).filter(|ix| selected[*ix]).map(|ix| records[ix]).max().unwrap_or(0);
            let (low, high) = ((1..=shards).map(load).min().unwrap_or(0), (1..=shards).map(load).max().unwrap_or(0));
            prop_assert!(high - low <= largest, "{of_stream:?} {records:?}");
        }
    }
}

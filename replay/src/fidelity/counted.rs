//! Values and how often they came, in ascending order; and how far two such lists are apart.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

/// Values, ascending, each with its count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted(Vec<(u64, u64)>);

impl Counted {
    /// The values of a histogram.
    #[must_use]
    pub fn of<C: Counter>(histogram: &Histogram<C>) -> Self {
        Self(histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value().as_u64())).collect())
    }

    /// Values in any order, in which none is twice.
    #[must_use]
    pub fn from_pairs(mut pairs: Vec<(u64, u64)>) -> Self {
        pairs.sort_unstable();
        Self(pairs)
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Values and counts.
    #[must_use]
    pub fn pairs(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// The share of values that are no larger; no number without any.
    #[must_use]
    pub fn share_up_to(&self, value: u64) -> f64 {
        let up_to = self.0.iter().take_while(|(v, _)| *v <= value);
        up_to.map(|(_, count)| count).sum::<u64>() as f64 / self.count() as f64
    }

    /// Where values are counts of keys: the share of messages that the `rank` most frequent keys have; no number without any.
    #[must_use]
    pub fn share_of_ranks(&self, rank: u64) -> f64 {
        let mut left = rank;
        let of_rank = self.0.iter().rev().map(|(count, keys)| {
            let taken = left.min(*keys);
            left -= taken;
            count.saturating_mul(taken)
        });
        of_rank.sum::<u64>() as f64 / self.messages() as f64
    }

    /// Where values are counts of keys: all messages.
    fn messages(&self) -> u64 {
        self.0.iter().map(|(count, keys)| count.saturating_mul(*keys)).sum()
    }

    /// The distance of Kolmogorov and Smirnov: how far apart the shares of values up to a point are at most. Values that
    /// are no more than `tolerance(value)` apart are not told apart.
    ///
    /// With F and G the shares of values up to a point it is the least d for which F(x) ≤ G(x + tolerance) + d, and the other way round.
    #[must_use]
    pub fn distance(&self, other: &Self, tolerance: impl Fn(u64) -> u64) -> f64 {
        if self.count() == 0 || other.count() == 0 {
            return if self.count() == other.count() { 0.0 } else { 1.0 };
        }
        self.ahead_of(other, &tolerance).max(other.ahead_of(self, &tolerance)).max(0.0)
    }

    fn ahead_of(&self, other: &Self, tolerance: &impl Fn(u64) -> u64) -> f64 {
        let [mine_all, theirs_all] = [self, other].map(|c| c.count() as f64);
        let mut theirs = other.0.iter().peekable();
        let (mut seen, mut seen_of_theirs, mut most) = (0, 0, 0.0f64);
        for (value, count) in &self.0 {
            seen += count;
            let reach = value.saturating_add(tolerance(*value));
            while let Some((_, count)) = theirs.next_if(|(v, _)| *v <= reach) {
                seen_of_theirs += count;
            }
            most = most.max(seen as f64 / mine_all - seen_of_theirs as f64 / theirs_all);
        }
        most
    }
}

/// How far apart two lists of counts, the largest first, are as distributions over ranks: the largest difference between the
/// shares of the r most frequent, over all r. Each list is runs of equal counts: the count, and how many have it.
#[must_use]
pub fn rank_distance(a: &Counted, b: &Counted) -> f64 {
    let totals = [a, b].map(Counted::messages);
    if totals.contains(&0) {
        return if totals[0] == totals[1] { 0.0 } else { 1.0 };
    }
    // Between the ends of runs both shares are straight lines: the largest difference is at an end of one of them.
    let ends = |c: &Counted| {
        c.0.iter()
            .rev()
            .scan(0, |rank, (_, keys)| {
                *rank += keys;
                Some(*rank)
            })
            .collect::<Vec<u64>>()
    };
    let apart = |rank: &u64| (a.share_of_ranks(*rank) - b.share_of_ranks(*rank)).abs();
    ends(a).iter().chain(&ends(b)).map(apart).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(values: &[u64]) -> Counted {
        let mut counts = std::collections::BTreeMap::new();
        values.iter().for_each(|v| *counts.entry(*v).or_insert(0) += 1);
        Counted(counts.into_iter().collect())
    }

    fn share_up_to(values: &[u64], at: u64) -> f64 {
        values.iter().filter(|v| **v <= at).count() as f64 / values.len() as f64
    }

    proptest! {
        #[test]
        fn the_distance_is_the_largest_difference_of_shares(a in prop::collection::vec(0u64..40, 1..40), b in prop::collection::vec(0u64..40, 1..40)) {
            let expected = (0..40).map(|x| (share_up_to(&a, x) - share_up_to(&b, x)).abs()).fold(0.0, f64::max);
            prop_assert!((counted(&a).distance(&counted(&b), |_| 0) - expected).abs() < 1e-12);
        }

        #[test]
        fn values_within_the_tolerance_are_not_told_apart(a in prop::collection::vec((0u64..1_000, 0u64..=5), 1..40)) {
            let moved: Vec<u64> = a.iter().map(|(value, by)| value + by).collect();
            let values: Vec<u64> = a.iter().map(|(value, _)| *value).collect();
            prop_assert_eq!(counted(&values).distance(&counted(&moved), |_| 5), 0.0);
        }

        #[test]
        fn ranks_are_compared_whatever_the_keys(a in prop::collection::vec(1u64..30, 1..30), b in prop::collection::vec(1u64..30, 1..30)) {
            let share = |counts: &[u64], rank: usize| {
                let mut sorted = counts.to_vec();
                sorted.sort_unstable_by(|x, y| y.cmp(x));
                sorted.iter().take(rank).sum::<u64>() as f64 / counts.iter().sum::<u64>() as f64
            };
            let expected = (0..=30).map(|r| (share(&a, r) - share(&b, r)).abs()).fold(0.0, f64::max);
            prop_assert!((rank_distance(&counted(&a), &counted(&b)) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn nothing_is_like_nothing_and_like_nothing_else() {
        let (none, some) = (Counted::default(), counted(&[1]));
        assert_eq!((none.distance(&none, |_| 0), none.distance(&some, |_| 0), rank_distance(&some, &none)), (0.0, 1.0, 1.0));
    }
}

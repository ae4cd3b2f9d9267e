//! How many of M occurrences each rank gets: its share by weight, rounded, and at least one where that is asked for (and M
//! suffices). All quotas together are exactly M. What is kept is one number per block of ranks; within a block the
//! occurrences are spread evenly, in integers, so that a rank gets the quotient or one more.

use super::zipf::Block;

/// The quotas of one period.
#[derive(Debug, Clone, Default)]
pub(super) struct Quota {
    /// For each block its first occurrence, its first rank, its ranks.
    blocks: Vec<Part>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    from: u64,
    count: u64,
    start: u64,
    ranks: u64,
}

impl Quota {
    /// Shares this many occurrences. With `each` every rank gets at least one; there must be as many occurrences as ranks.
    pub(super) fn new(occurrences: u64, blocks: &[Block], each: bool) -> Self {
        let floor = |block: &Block| if each { block.ranks } else { 0 };
        let mut counts: Vec<u64> = blocks.iter().map(floor).collect();
        let given: u64 = counts.iter().sum();
        let (head, scale) = head(occurrences, given, blocks, each);
        // Cumulative shares are rounded, not each one: so the sum is exact, and no error adds up.
        let spare = occurrences.saturating_sub(given);
        let (mut sum, mut done) = (0.0, 0u64);
        for (ix, block) in blocks[..head].iter().enumerate() {
            sum += (scale * block.weight - floor(block) as f64).max(0.0);
            // Below 2⁵³ in any run; what rounding leaves goes to the last.
            let upto = if ix + 1 == head { spare } else { whole(sum + 0.5).min(spare).max(done) };
            counts[ix] += upto - done;
            done = upto;
        }
        let mut from = 0;
        let part = |(block, count): (&Block, u64)| {
            let part = Part { from, count, start: block.start, ranks: block.ranks };
            from += count;
            part
        };
        let blocks = blocks.iter().zip(counts).map(part).filter(|part| part.count > 0).collect();
        Self { blocks }
    }

    /// The rank of a slot below the number of occurrences.
    pub(super) fn rank(&self, slot: u64) -> u64 {
        let ix = self.blocks.partition_point(|part| part.from <= slot).saturating_sub(1);
        let Some(part) = self.blocks.get(ix) else { return 0 };
        let within = u128::from(slot - part.from) * u128::from(part.ranks) / u128::from(part.count);
        // Below `ranks`, since the slot lies in the part.
        part.start + u64::try_from(within).unwrap_or(0)
    }
}

/// How many blocks get more than the least, and what a unit of weight is worth there. With a least of one, the blocks whose
/// share would be less keep theirs, and the rest shares what is left: as many as possible, so that the blocks before are in
/// proportion to their weights.
fn head(occurrences: u64, given: u64, blocks: &[Block], each: bool) -> (usize, f64) {
    let mut left = occurrences.saturating_sub(given) as f64;
    let mut weight = 0.0;
    let mut best = (0, 0.0);
    for (ix, block) in blocks.iter().enumerate() {
        weight += block.weight;
        left += if each { block.ranks as f64 } else { 0.0 };
        let scale = left / weight;
        if ix == 0 || !each || scale * block.weight >= block.ranks as f64 {
            best = (ix + 1, scale);
        } else {
            break;
        }
    }
    best
}

/// A number that is not negative and below 2⁵³, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of values and of occurrences are far below 2^53")]
pub(super) fn whole(number: f64) -> u64 {
    libm::floor(number.max(0.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::super::zipf::{blocks, uniform};
    use super::*;
    use proptest::prelude::*;

    fn counts(quota: &Quota, ranks: u64) -> Vec<u64> {
        let mut counts = vec![0u64; usize::try_from(ranks).expect("small")];
        for slot in 0..quota.blocks.iter().map(|part| part.count).sum() {
            counts[usize::try_from(quota.rank(slot)).expect("small")] += 1;
        }
        counts
    }

    proptest! {
        #[test]
        fn every_rank_is_shown_and_no_other(ranks in 1u64..9_000, more in 0u64..30_000, exponent in 0.1f64..3.0, zipf in any::<bool>()) {
            let blocks = if zipf { blocks(ranks, exponent) } else { uniform(ranks) };
            let counts = counts(&Quota::new(ranks + more, &blocks, true), ranks);
            prop_assert!(counts.iter().all(|c| *c > 0));
            prop_assert_eq!(counts.iter().sum::<u64>(), ranks + more);
            if !zipf {
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            }
        }

        #[test]
        fn fewer_occurrences_than_ranks_are_all_shared(ranks in 1u64..9_000, m in 1u64..9_000, exponent in 0.1f64..3.0) {
            let quota = Quota::new(m, &blocks(ranks, exponent), false);
            prop_assert_eq!(counts(&quota, ranks).iter().sum::<u64>(), m);
        }
    }

    #[test]
    fn the_exponent_is_kept() {
        let counts = counts(&Quota::new(3_000_000, &blocks(100_000, 1.1), true), 100_000);
        // By least squares over the ranks that have some hundred occurrences.
        let points: Vec<(f64, f64)> = (1..=500u32).map(|k| (f64::from(k).ln(), (counts[k as usize - 1] as f64).ln())).collect();
        let n = points.len() as f64;
        let (sx, sy) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
        let (sxx, sxy) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 * p.0, y + p.0 * p.1));
        let slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
        assert!((slope + 1.1).abs() < 0.01, "{slope}");
    }

    #[test]
    fn a_hundred_million_ranks_need_little() {
        let quota = Quota::new(300_000_000, &blocks(100_000_000, 1.0), true);
        assert!(quota.blocks.len() < 8_000);
        assert_eq!(quota.rank(299_999_999), 99_999_999);
    }
}

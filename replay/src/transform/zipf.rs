//! Zipf's weights by blocks: the first ranks one by one, those behind them in blocks that are a 256th of their rank wide. So
//! 100 million ranks are some 6,000 numbers, and inside a block the weights differ by less than 1 % per unit of exponent.

/// Ranks that have a block of their own.
const SINGLE: u64 = 4_096;
/// A block behind those is this fraction of its rank wide.
const WIDTH_SHIFT: u32 = 8;

/// A run of ranks that are treated alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    /// The first rank, from 0.
    pub(super) start: u64,
    /// How many there are.
    pub(super) ranks: u64,
    /// The weight of all of them together.
    pub(super) weight: f64,
}

/// The blocks of this many ranks.
pub(super) fn blocks(ranks: u64, exponent: f64) -> Vec<Block> {
    let weight = |rank: f64| libm::pow(rank, -exponent);
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < ranks {
        let width = if start < SINGLE { 1 } else { start >> WIDTH_SHIFT };
        let width = width.min(ranks - start);
        // Simpson's rule over the block; exact enough by far for a block this narrow.
        let (low, high) = (start as f64 + 0.5, (start + width) as f64 + 0.5);
        let sum = if width == 1 {
            weight((start + 1) as f64)
        } else {
            width as f64 / 6.0 * (weight(low) + 4.0 * weight((low + high) / 2.0) + weight(high))
        };
        blocks.push(Block { start, ranks: width, weight: sum });
        start += width;
    }
    blocks
}

/// One block for all: every rank has the same weight.
pub(super) fn uniform(ranks: u64) -> Vec<Block> {
    vec![Block { start: 0, ranks, weight: 1.0 }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_are_all_ranks_and_their_weights_the_sum() {
        for exponent in [0.5, 1.0, 1.1, 2.0] {
            let blocks = blocks(1_000_000, exponent);
            assert!(blocks.len() < 6_000);
            let mut next = 0;
            for block in &blocks {
                assert_eq!(block.start, next);
                next += block.ranks;
            }
            assert_eq!(next, 1_000_000);
            let exact: f64 = (1..=1_000_000u32).map(|k| f64::from(k).powf(-exponent)).sum();
            let sum: f64 = blocks.iter().map(|b| b.weight).sum();
            assert!((sum / exact - 1.0).abs() < 1e-6, "{exponent}: {sum} {exact}");
        }
    }
}

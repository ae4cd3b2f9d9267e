//! The arithmetic of a capture's memory. What it holds at most, in bytes:
//!
//! | what | how much |
//! |---|---|
//! | blocks | (threads + 2) × (3 × [`BLOCK_BYTES`]: raw, columns encoded, body put together; and [`BLOCK_RECORDS`] × 64 of numbers) |
//! | zstd | threads × what a context of the level takes |
//! | the rest | 20 MiB: program, stacks, metadata, streams |
//! | the client's queue | what is left of the budget, at most 64 MiB |
//!
//! There is one block being filled, one per compressing thread and one being written; all of them travel in a ring of slots,
//! and the reader waits (does not poll) while none is free. A record larger than a block is a block of its own: it adds four
//! times its size while it passes.

use crate::checkpoint::{BLOCK_BYTES, BLOCK_RECORDS};
use crate::config::Compress;

/// The budget when none is given.
pub const DEFAULT_BUDGET: u64 = 192 << 20;
/// The most that the client's queue is given.
pub const SOURCE_QUEUE_MAX: u64 = 64 << 20;
/// The least that the client's queue can work with.
pub const SOURCE_QUEUE_MIN: u64 = 8 << 20;

const REST: u64 = 20 << 20;
const NUMBERS_PER_RECORD: u64 = 64;

/// How a budget is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Blocks that can be under way at once.
    pub slots: usize,
    /// For all blocks.
    pub blocks: u64,
    /// For compression.
    pub zstd: u64,
    /// For the client's queue of fetched messages, its bookkeeping for each message included.
    pub source_queue: u64,
}

impl MemoryPlan {
    /// Divides `budget`; `None` when what the other parts need leaves too little for the client's queue.
    #[must_use]
    pub fn divide(budget: u64, threads: usize, compress: Compress) -> Option<Self> {
        let slots = threads + 2;
        let blocks = slots as u64 * (3 * BLOCK_BYTES as u64 + BLOCK_RECORDS as u64 * NUMBERS_PER_RECORD);
        let zstd = threads as u64 * context_bytes(compress);
        let left = budget.checked_sub(blocks + zstd + REST)?;
        (left >= SOURCE_QUEUE_MIN).then_some(Self { slots, blocks, zstd, source_queue: left.min(SOURCE_QUEUE_MAX) })
    }

    /// All parts together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.blocks + self.zstd + REST + self.source_queue
    }
}

/// An upper bound of a zstd context's memory for blocks of this size.
fn context_bytes(compress: Compress) -> u64 {
    let level = match compress {
        Compress::None => return 0,
        Compress::Auto => crate::config::DEFAULT_LEVEL,
        Compress::Level(level) => level,
    };
    match level {
        ..=2 => 3 << 20,
        3..=5 => 8 << 20,
        6..=9 => 32 << 20,
        10..=15 => 64 << 20,
        _ => 160 << 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fits_the_default_budget_with_up_to_four_threads() {
        for threads in 1..=4 {
            let plan = MemoryPlan::divide(DEFAULT_BUDGET, threads, Compress::Level(3)).expect("fits");
            assert!(plan.total() <= DEFAULT_BUDGET, "{plan:?}");
            assert!(plan.source_queue >= SOURCE_QUEUE_MIN);
        }
        assert_eq!(MemoryPlan::divide(DEFAULT_BUDGET, 2, Compress::Auto).expect("fits").source_queue, SOURCE_QUEUE_MAX);
    }

    #[test]
    fn a_level_that_needs_more_than_the_budget_is_refused() {
        assert_eq!(MemoryPlan::divide(DEFAULT_BUDGET, 2, Compress::Level(19)), None);
    }
}

//! Which records a thinned copy keeps, so that every key keeps its share.
//!
//! The `r`-th record of a key is kept iff ⌊r·f + φ⌋ > ⌊(r−1)·f + φ⌋, with a seeded φ of the key's own, in exact integers; records
//! without a key count per stream. Guarantee: of any `n` records of a key in a row, n·f are kept, give or take less than one.
//!
//! Limit: memory is fixed (4 MiB), so that about the first 200,000 keys of a run are counted like that. Of a key beyond these each
//! record is kept or not by a draw of its own, with the same probability: its share is right on the average only.

use dejaq_shared::units::Ratio;

use crate::hash;

const CELLS: u64 = 1 << 18;
/// Places that a key may have.
const PROBES: u64 = 16;

pub(crate) struct Thinning {
    num: u64,
    den: u64,
    seed: u64,
    /// A key's hash (0: free) and what its share has summed up to, below `den`.
    cells: Vec<(u64, u64)>,
    nulls: Vec<u64>,
}

impl std::fmt::Debug for Thinning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Thinning({}/{})", self.num, self.den)
    }
}

impl Thinning {
    pub(crate) fn new(share: Ratio, streams: usize, seed: u64) -> Self {
        let (num, den) = (share.num(), share.den());
        let nulls = (0..streams as u64).map(|stream| hash::below(hash::key(seed, stream), den)).collect();
        Self { num, den, seed, cells: vec![(0, 0); usize::try_from(CELLS).unwrap_or(0)], nulls }
    }

    /// Whether the next record is kept: `key` is the hash of its key, `draw` one of its own.
    pub(crate) fn keeps(&mut self, stream: u32, key: Option<u64>, draw: u64) -> bool {
        let (num, den) = (self.num, self.den);
        let Some(key) = key else { return self.nulls.get_mut(stream as usize).is_some_and(|sum| step(sum, num, den)) };
        let tag = key | 1;
        for probe in 0..PROBES {
            let Some(cell) = self.cells.get_mut(usize::try_from((key >> 32).wrapping_add(probe) % CELLS).unwrap_or(0)) else { continue };
            if cell.0 == 0 {
                *cell = (tag, hash::below(hash::key(self.seed, key), den));
            }
            if cell.0 == tag {
                return step(&mut cell.1, num, den);
            }
        }
        hash::below(draw, den) < num
    }
}

/// Adds a share; whether that makes a whole.
fn step(sum: &mut u64, num: u64, den: u64) -> bool {
    let whole = *sum >= den - num;
    *sum = if whole { *sum - (den - num) } else { *sum + num };
    whole
}

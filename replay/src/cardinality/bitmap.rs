//! A set of small numbers, a bit each.

/// Which of the numbers below a bound were seen.
#[derive(Debug, Clone)]
pub(super) struct Bitmap {
    words: Vec<u64>,
    seen: u64,
}

impl Bitmap {
    /// None of the numbers below `bound`.
    pub(super) fn new(bound: u64) -> Self {
        Self { words: vec![0; usize::try_from(bound.div_ceil(64)).unwrap_or(0)], seen: 0 }
    }

    /// Notes a number. One beyond the bound is not noted: it would be a defect of the rules, and shows as a number missing.
    #[inline]
    pub(super) fn set(&mut self, number: u64) {
        let Some(word) = usize::try_from(number / 64).ok().and_then(|ix| self.words.get_mut(ix)) else { return };
        let bit = 1 << (number % 64);
        self.seen += u64::from(*word & bit == 0);
        *word |= bit;
    }

    /// How many were seen.
    pub(super) fn count(&self) -> u64 {
        self.seen
    }
}

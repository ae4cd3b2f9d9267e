//! Which keys occur once in the recording, in fixed memory (8 MiB): a counting sketch.
//!
//! Limit: a key that occurs once may be taken for one that recurs (with a million keys one in a few thousand, with four million one
//! in fifty), never the other way round.

use crate::hash;

const CELLS: u64 = 1 << 25;
const HASHES: u64 = 4;
/// Two-bit counters in a word.
const IN_WORD: u64 = 32;

/// See the module's words.
#[derive(Debug, PartialEq, Eq)]
pub struct OneShot {
    words: Vec<u64>,
}

impl Default for OneShot {
    fn default() -> Self {
        Self { words: vec![0; usize::try_from(CELLS / IN_WORD).unwrap_or(0)] }
    }
}

impl OneShot {
    /// Counts an occurrence of the key with this hash.
    pub fn add(&mut self, key: u64) {
        let least = self.count(key);
        for (word, shift) in cells(key) {
            if let Some(word) = self.words.get_mut(word)
                && (*word >> shift) & 3 == least
                && least < 2
            {
                *word += 1 << shift;
            }
        }
    }

    /// Whether it occurred once.
    #[must_use]
    pub fn has(&self, key: u64) -> bool {
        self.count(key) < 2
    }

    fn count(&self, key: u64) -> u64 {
        cells(key).map(|(word, shift)| self.words.get(word).map_or(0, |w| (w >> shift) & 3)).min().unwrap_or(0)
    }
}

fn cells(key: u64) -> impl Iterator<Item = (usize, u64)> {
    let second = hash::key(key, 7) | 1;
    (0..HASHES).map(move |n| {
        let cell = key.wrapping_add(second.wrapping_mul(n)) % CELLS;
        (usize::try_from(cell / IN_WORD).unwrap_or(0), cell % IN_WORD * 2)
    })
}

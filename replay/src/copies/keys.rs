//! The keys of copies. Copy `n` of a key is `key~n`; in a later pass of a loop, where keys are to be new, `key~n` and `pPASS`
//! (`key~0p3`: the original's in pass 3).
//!
//! Guarantee: no two different keys, copies or passes ever give the same bytes. The suffix has no digit in it, so that the numbers
//! can be read back from the end; and a recording in which a key already ends like that of a copy is refused before anything is
//! sent (see `survey`).

use crate::digits::push_decimal;

/// The suffix, unless another is asked for.
pub const SUFFIX: &str = "~";
/// The longest suffix.
const SUFFIX_BYTES_MAX: usize = 64;

/// Whether a suffix can be told from what follows it.
#[must_use]
pub fn check_suffix(suffix: &str) -> bool {
    !suffix.is_empty() && suffix.len() <= SUFFIX_BYTES_MAX && !suffix.bytes().any(|b| b.is_ascii_digit())
}

/// Writes the keys of copies into memory of its own.
#[derive(Debug, Clone, Default)]
pub struct CopyKeys {
    suffix: Vec<u8>,
    key: Vec<u8>,
}

impl CopyKeys {
    /// With this suffix.
    #[must_use]
    pub fn new(suffix: &str) -> Self {
        Self { suffix: suffix.as_bytes().to_vec(), key: Vec::new() }
    }

    /// The key of a copy in a pass; `pass` is 0 where keys are the same in each.
    pub fn key<'k>(&'k mut self, key: Option<&'k [u8]>, copy: u32, pass: u32) -> Option<&'k [u8]> {
        let key = key?;
        if copy == 0 && pass == 0 {
            return Some(key);
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.key.extend_from_slice(&self.suffix);
        push_decimal(&mut self.key, copy.into(), 0);
        if pass > 0 {
            self.key.push(b'p');
            push_decimal(&mut self.key, pass.into(), 0);
        }
        Some(&self.key)
    }

    /// Whether a recorded key ends as a copy's would.
    #[must_use]
    pub fn is_taken(&self, key: &[u8]) -> bool {
        let without_number = |key: &[u8]| key.len() - key.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let ends = |end: usize| end < key.len() && key[..end].ends_with(&self.suffix);
        let end = without_number(key);
        let pass = key[..end].strip_suffix(b"p").map(|rest| (rest.len(), without_number(rest)));
        ends(end) || (end < key.len() && pass.is_some_and(|(len, end)| end < len && key[..end].ends_with(&self.suffix)))
    }
}

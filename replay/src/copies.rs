//! Copies of the traffic (`--copies N`): more volume without touching the shape of its bursts. Pure.
//!
//! Copy 0 is the original. Copy `n` has the same records in the same order, each one phase later: the phase is the copy's own,
//! one for all its streams, seeded, in `0..jitter` of recorded time. A present key gets the suffix and the number `n`; a null one
//! stays null. The last copy of a fractional number is thinned, key by key (see `thinning`). The copies are merged by time plus
//! phase, then by number.
//!
//! Only one copy of the recent records is kept (see `window`), as long as the largest phase; each copy is a place in it. So a
//! thousand copies cost little more than what they send. At the end of a pass all copies run out before the next one begins.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use dejaq_shared::record::Record;
use dejaq_shared::units::Ratio;

use crate::hash;

mod keys;
mod one_shot;
mod survey;
mod thinning;
mod window;

pub use keys::{CopyKeys, SUFFIX, check_suffix};
pub use one_shot::OneShot;
pub(crate) use survey::key_hash;
pub use survey::{Survey, SurveyError, survey};
pub(crate) use thinning::Thinning;
pub use window::WINDOW_BYTES_MAX;
pub(crate) use window::{Kept, Window};

/// The most copies.
pub const COPIES_MAX: u32 = 100_000;

/// Which keys are new in each pass of a loop (`--loop-keys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopKeys {
    /// None: each pass has the recorded keys.
    #[default]
    Same,
    /// Those that occur once in the recording.
    OneShot,
    /// All.
    All,
}

impl LoopKeys {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::OneShot => "one-shot",
            Self::All => "all",
        }
    }
}

/// How the traffic is multiplied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// How many copies there are, the original and a thinned one included.
    pub count: u32,
    /// The share that the last one keeps, if it is thinned: below 1.
    pub last_share: Option<Ratio>,
    /// Phases lie in 0 to below this, nanoseconds of recorded time.
    pub jitter_ns: u64,
    /// What stands before the number in a copy's keys.
    pub suffix: String,
    /// Which keys are new in each pass.
    pub loop_keys: LoopKeys,
    /// The keys that occur once, where that is asked for.
    pub one_shot: Option<Arc<OneShot>>,
    /// The seed.
    pub seed: u64,
}

impl Default for Copies {
    fn default() -> Self {
        let suffix = SUFFIX.to_owned();
        Self { count: 1, last_share: None, jitter_ns: 0, suffix, loop_keys: LoopKeys::Same, one_shot: None, seed: 0 }
    }
}

impl Copies {
    /// `number` copies, such as 3.5: three and a half. `None` when there are too many.
    #[must_use]
    pub fn of(number: Ratio) -> Option<Self> {
        let (whole, rest) = (number.num() / number.den(), number.num() % number.den());
        let last_share = Ratio::new(rest, number.den());
        let count = whole.checked_add(u64::from(last_share.is_some()))?;
        let count = u32::try_from(count).ok().filter(|count| *count <= COPIES_MAX)?;
        Some(Self { count, last_share, ..Self::default() })
    }

    /// How many, as typed.
    #[must_use]
    pub fn number(&self) -> f64 {
        f64::from(self.count) - self.last_share.map_or(0.0, |share| 1.0 - share.as_f64())
    }

    /// Whether keys are written anew.
    #[must_use]
    pub fn rewrites_keys(&self) -> bool {
        self.count > 1 || self.loop_keys != LoopKeys::Same
    }

    /// The most bytes that a key grows by.
    #[must_use]
    pub fn key_growth_max(&self) -> usize {
        if self.rewrites_keys() { self.suffix.len() + 21 } else { 0 }
    }

    fn phase_ns(&self, copy: u32) -> u64 {
        if copy == 0 { 0 } else { hash::below(hash::bytes(self.seed, format!("phase of copy {copy}").as_bytes()), self.jitter_ns) }
    }

    /// The phase of every copy but the original.
    pub(crate) fn phases_ns(&self) -> Vec<u64> {
        (1..self.count).map(|copy| self.phase_ns(copy)).collect()
    }
}

/// Where the copies are: each one's next record, and which of them comes first.
#[derive(Debug)]
pub(crate) struct Merge {
    phases: Vec<u64>,
    /// The number of each copy's next record.
    next: Vec<u64>,
    heads: BinaryHeap<Reverse<(u64, u32)>>,
    /// Those that have had all that is kept.
    resting: Vec<u32>,
    slowest: u32,
    pub(crate) window: Window,
}

impl Merge {
    /// The merge of all copies but the original, which passes by; `None` when there is no other.
    pub(crate) fn new(copies: &Copies) -> Option<Self> {
        let phases = copies.phases_ns();
        let slowest = (1..copies.count).max_by_key(|copy| (phases[*copy as usize - 1], *copy))?;
        let next = vec![0; phases.len()];
        Some(Self { phases, next, heads: BinaryHeap::new(), resting: (1..copies.count).collect(), slowest, window: Window::default() })
    }

    /// The largest phase.
    pub(crate) fn longest_ns(&self) -> u64 {
        self.phases[self.slowest as usize - 1]
    }

    /// The copy whose record comes next and when, if that is before `end_ns`: since nothing of the original that is still to come
    /// lies before that.
    pub(crate) fn head(&self, end_ns: Option<u64>) -> Option<(u32, u64)> {
        let Reverse((at, copy)) = *self.heads.peek()?;
        end_ns.is_none_or(|end| at < end).then_some((copy, at))
    }

    /// The record that a copy is at.
    pub(crate) fn record(&self, copy: u32) -> Option<(&Kept, Record<'_>)> {
        self.window.get(self.next[copy as usize - 1])
    }

    /// The copy that came next goes on to its next record.
    pub(crate) fn advance(&mut self) {
        let Some(Reverse((_, copy))) = self.heads.pop() else { return };
        let ix = copy as usize - 1;
        self.next[ix] += 1;
        if copy == self.slowest {
            self.window.drop_before(self.next[ix]);
        }
        match self.window.get(self.next[ix]) {
            Some((kept, _)) => self.heads.push(Reverse((kept.at_ns.saturating_add(self.phases[ix]), copy))),
            None => self.resting.push(copy),
        }
    }

    /// Keeps a record of the original for the others. False when it has no room: the phases are too long.
    #[must_use]
    pub(crate) fn keep(&mut self, kept: Kept, record: &Record<'_>) -> bool {
        let at_ns = kept.at_ns;
        if !self.window.push(kept, record) {
            return false;
        }
        for copy in self.resting.drain(..) {
            self.heads.push(Reverse((at_ns.saturating_add(self.phases[copy as usize - 1]), copy)));
        }
        true
    }
}

#[cfg(test)]
mod tests;

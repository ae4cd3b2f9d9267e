//! From what was counted to which values are shown when.

use std::sync::Arc;

use super::bound::Bound;
use super::count::Counted;
use super::error::{Place, RulesError};

/// What the counting pass went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Horizon {
    /// Its length: nanoseconds after the start of the run.
    pub ns: u64,
    /// Whether the run goes on for ever with the same again (a loop without an end): time then starts anew for the rules
    /// every `ns`, and no value is shown that the first time did not show.
    pub repeats: bool,
}

/// What a rule will come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Where the rule begins in its file.
    pub place: Place,
    /// The tag; those of a combination are joined by `+`.
    pub tag: String,
    /// Values alive at once, in the end; `None` with `pick = "fresh"`.
    pub distinct: Option<u64>,
    /// Values born after the start in place of others (churn).
    pub births: u64,
    /// All values that the run must show.
    pub asked: u64,
    /// The values that it will show, exactly.
    pub will_show: u64,
    /// Occurrences: how many times a value is written.
    pub occurrences: u64,
    /// Why not all are shown, or what else is not as one might expect.
    pub reasons: Vec<Reason>,
}

/// Something that a person should know before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub why: String,
    /// What would make it otherwise.
    pub remedy: String,
}

/// Everything that decides which occurrence gets which value.
#[derive(Debug)]
pub struct Expansion {
    bound: Arc<Bound>,
    counted: Counted,
    horizon: Horizon,
    seed: u64,
    reach: Vec<Reach>,
}

impl Expansion {
    /// Plans the values.
    ///
    /// # Errors
    /// [`RulesError`] when a rule has nothing to write, or more than can be counted.
    pub fn new(bound: Arc<Bound>, counted: Counted, horizon: Horizon, seed: u64) -> Result<Self, RulesError> {
        Ok(Self { bound, counted, horizon, seed, reach: Vec::new() })
    }

    /// What each `[[expand]]` will come to, in the order of the file.
    #[must_use]
    pub fn reach(&self) -> &[Reach] {
        &self.reach
    }
}

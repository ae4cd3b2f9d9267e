//! What the counting pass found. Its size is bounded: one number per period of a rule, one sketch per rule, and with
//! `pick = "per-series"` one entry per series up to [`SERIES_MAX`].

use std::collections::BTreeMap;

use super::formats::{FormatKind, Malformed};
use super::sketch::Sketch;

/// The most periods (churn, growth) that a rule may have in the horizon.
pub const PERIODS_MAX: usize = 1 << 20;
/// The most original series that a rule with `pick = "per-series"` may have.
pub const SERIES_MAX: usize = 1 << 18;
/// What is kept of a value to learn its shape from.
const SHAPE_BYTES: usize = 256;

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    pub(super) rules: Vec<RuleCount>,
    pub(super) payloads: Vec<PayloadCount>,
}

impl Counted {
    /// What could not be done, by group of streams and format.
    #[must_use]
    pub fn payloads(&self) -> &[PayloadCount] {
        &self.payloads
    }
}

/// The payloads of one format, of streams that the same rules are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadCount {
    /// The format.
    pub format: FormatKind,
    /// Payloads looked at; null ones are not.
    pub payloads: u64,
    /// Payloads that are not of the format, and went unchanged.
    pub malformed: u64,
    /// The first of those.
    pub example: Option<Example>,
    /// Payloads that could not be written with what the rules wanted, and went unchanged.
    pub unwritten: u64,
    /// The first of those.
    pub unwritten_example: Option<Example>,
    /// Payloads without a time stamp, where a rule moves them.
    pub without_stamp: u64,
}

impl PayloadCount {
    pub(super) fn new(format: FormatKind) -> Self {
        Self { format, payloads: 0, malformed: 0, example: None, unwritten: 0, unwritten_example: None, without_stamp: 0 }
    }
}

/// Where a payload stands that could not be understood, or not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// Its stream.
    pub stream: u32,
    /// Its position there.
    pub position: i64,
    /// What is wrong with it.
    pub why: Malformed,
}

/// What was counted for one rule.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleCount {
    /// Occurrences by period.
    pub(super) periods: Vec<u64>,
    pub(super) occurrences: u64,
    /// Samples without the tag.
    pub(super) without: u64,
    /// Past [`PERIODS_MAX`].
    pub(super) too_many_periods: bool,
    /// The first value of each tag, to learn the shape from.
    pub(super) first: Vec<Option<Vec<u8>>>,
    /// How many different values were recorded.
    pub(super) originals: Sketch,
    /// With per-series: occurrences by series.
    pub(super) series: BTreeMap<u64, u64>,
    pub(super) too_many_series: bool,
}

impl RuleCount {
    pub(super) fn of_tags(tags: usize) -> Self {
        Self { first: vec![None; tags], ..Self::default() }
    }

    pub(super) fn see(&mut self, tag: usize, value: &[u8]) {
        if self.first[tag].is_none() {
            self.first[tag] = Some(value[..value.len().min(SHAPE_BYTES)].to_vec());
        }
    }

    pub(super) fn occur(&mut self, period: usize, original: Option<u64>, series: Option<u64>) {
        self.occurrences += 1;
        if let Some(original) = original {
            self.originals.add(original);
        }
        if period >= PERIODS_MAX {
            self.too_many_periods = true;
            return;
        }
        if self.periods.len() <= period {
            self.periods.resize(period + 1, 0);
        }
        self.periods[period] += 1;
        let Some(series) = series else { return };
        if self.series.len() < SERIES_MAX || self.series.contains_key(&series) {
            *self.series.entry(series).or_default() += 1;
        } else {
            self.too_many_series = true;
        }
    }
}

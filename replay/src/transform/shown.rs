//! What was written: one [`Shown`] per rule and sample, for whoever keeps the accounts of cardinality.

/// A value that a rule wrote (or, with `pick = "fresh"`, left as it was) in one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The `[[expand]]`, from 0 in the order of the file.
    pub rule: u16,
    /// The metric, an index into [`Transform::metrics`](super::Transform::metrics); [`METRIC_OTHER`] past the bound of that table.
    pub metric: u32,
    /// The value's index, below the rule's `asked`; a hash of the value written with `pick = "fresh"`, where there are no
    /// indices.
    pub value: u64,
    /// A hash of the value recorded; `None` where the tag was added.
    pub original: Option<u64>,
    /// A hash of the series (metric name and full tag set) as recorded.
    pub series_before: u64,
    /// A hash of the series as sent.
    pub series_after: u64,
}

/// All metrics that found the table of names full.
pub const METRIC_OTHER: u32 = u32::MAX;
/// The most metrics that are told apart.
pub const METRICS_MAX: usize = 1_024;

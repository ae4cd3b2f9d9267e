//! What an expansion really sent: `cardinality.json`, a ground truth that can be held against the target's own count.
//!
//! Guarantees: only what was handed to the client counts, not what was planned. The values that a rule wrote are counted in
//! a bitmap over their indices: exact at any number. What is known by its hash alone (recorded values, series, values
//! written by `pick = "fresh"`) is counted by [`Distinct`]: exact up to 1,024, beyond an estimate, and the file says which.
//! Memory is flat: a rule's bitmap has [`ASKED_MAX`](crate::transform::rules::ASKED_MAX) bits at most; metrics are told
//! apart while there are few, see [`METRICS_TOLD_MAX`], and their bitmaps together have [`METRIC_BITS_MAX`] bits.

mod bitmap;
mod report;

use crate::batch::Batch;
use crate::distinct::{Distinct, DistinctCount};
use crate::transform::shown::Shown;
use bitmap::Bitmap;

pub use report::{CARDINALITY_JSON, CardinalityReport, MetricCardinality, RuleCardinality, RuleNames};

/// The most metrics that have accounts of their own, over all rules; those that come later share one per rule.
pub const METRICS_TOLD_MAX: usize = 256;
/// The most bits of all metrics' bitmaps: 16 MiB. A metric beyond counts its values by hash.
pub const METRIC_BITS_MAX: u64 = 1 << 27;

/// The account of one rule, known before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleBound {
    /// All values that it may show: their indices lie below. 0: it has no indices (`pick = "fresh"`).
    pub asked: u64,
}

/// How values are counted.
#[derive(Debug, Clone)]
enum Values {
    Indices(Bitmap),
    Hashes(Distinct),
}

impl Values {
    fn add(&mut self, value: u64) {
        match self {
            Self::Indices(bitmap) => bitmap.set(value),
            Self::Hashes(distinct) => distinct.add(value),
        }
    }

    fn count(&self) -> DistinctCount {
        match self {
            Self::Indices(bitmap) => DistinctCount { count: bitmap.count(), exact: true },
            Self::Hashes(distinct) => distinct.count(),
        }
    }
}

/// The account of one metric under one rule.
#[derive(Debug)]
struct Metric {
    /// Its number in the transform's table of names; [`OTHERS`] for the shared account.
    number: u32,
    written: u64,
    before: Distinct,
    sent: Values,
    series_before: Distinct,
    series_sent: Distinct,
}

const OTHERS: u32 = u32::MAX;

#[derive(Debug)]
struct Rule {
    bound: RuleBound,
    written: u64,
    values: Values,
    metrics: Vec<Metric>,
    /// For each number of a metric the account that it has in `metrics`, or [`OTHERS`] while it has none.
    places: Vec<u32>,
}

/// The accounts of a run.
#[derive(Debug)]
pub struct Cardinality {
    rules: Vec<Rule>,
    /// Accounts of metrics that may still be opened.
    metrics_left: usize,
    /// Bits of metrics' bitmaps that may still be used.
    bits_left: u64,
}

impl Cardinality {
    /// Empty accounts.
    #[must_use]
    pub fn new(rules: &[RuleBound]) -> Self {
        let rule = |bound: &RuleBound| Rule {
            bound: *bound,
            written: 0,
            values: if bound.asked == 0 { Values::Hashes(Distinct::default()) } else { Values::Indices(Bitmap::new(bound.asked)) },
            metrics: Vec::new(),
            places: Vec::new(),
        };
        Self { rules: rules.iter().map(rule).collect(), metrics_left: METRICS_TOLD_MAX, bits_left: METRIC_BITS_MAX }
    }

    /// Enters what of a batch was sent.
    pub fn enter(&mut self, batch: &Batch) {
        for shown in batch.shown_and_sent() {
            self.add(shown);
        }
    }

    /// How many different values each rule has written so far.
    pub fn distinct(&self) -> impl Iterator<Item = u64> {
        self.rules.iter().map(|rule| rule.values.count().count)
    }

    fn add(&mut self, shown: &Shown) {
        let Some(rule) = self.rules.get_mut(shown.rule as usize) else { return };
        rule.written += 1;
        rule.values.add(shown.value);
        let place = rule.place(shown.metric, &mut self.metrics_left, &mut self.bits_left);
        let Some(metric) = rule.metrics.get_mut(place) else { return };
        metric.written += 1;
        metric.sent.add(shown.value);
        if let Some(original) = shown.original {
            metric.before.add(original);
        }
        metric.series_before.add(shown.series_before);
        metric.series_sent.add(shown.series_after);
    }
}

impl Rule {
    /// Where the account of a metric is; it is opened when there is none.
    fn place(&mut self, number: u32, metrics_left: &mut usize, bits_left: &mut u64) -> usize {
        // Numbers of metrics are small (the transform's table is bounded); only the one of "all others" is not.
        let slot = if number == OTHERS { 0 } else { number as usize + 1 };
        if slot >= self.places.len() {
            self.places.resize(slot + 1, OTHERS);
        }
        let known = self.places[slot];
        if known != OTHERS {
            return known as usize;
        }
        let own = if *metrics_left > 0 { number } else { OTHERS };
        let place = self.metrics.iter().position(|m| m.number == own).unwrap_or_else(|| {
            *metrics_left = metrics_left.saturating_sub(1);
            let indices = self.bound.asked > 0 && self.bound.asked <= *bits_left;
            if indices {
                *bits_left -= self.bound.asked;
            }
            let sent = if indices { Values::Indices(Bitmap::new(self.bound.asked)) } else { Values::Hashes(Distinct::default()) };
            self.metrics.push(Metric {
                number: own,
                written: 0,
                before: Distinct::default(),
                sent,
                series_before: Distinct::default(),
                series_sent: Distinct::default(),
            });
            self.metrics.len() - 1
        });
        self.places[slot] = u32::try_from(place).unwrap_or(OTHERS);
        place
    }
}

#[cfg(test)]
mod tests;

//! The signals of the system under test itself, beside the latencies: chosen metrics of Prometheus endpoints, and processes.
//!
//! `spec` what was typed → `exposition` a metrics page, `process` /proc → [`Series`] what each metric came to. Whether a source
//! still answers is for [`silence`](crate::measure::silence) to say.

pub mod exposition;
pub mod process;
pub mod spec;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The most series of one source; further ones are left out, and the report says how many.
pub const SERIES_MAX: usize = 64;

/// One value at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What it is of: a metric with its labels, or one of a process's figures.
    pub metric: String,
    /// The value.
    pub value: f64,
}

/// What one metric of a source came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SeriesSummary {
    /// How many values there were.
    pub samples: u64,
    /// The first.
    pub first: f64,
    /// The lowest.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The highest.
    pub max: f64,
    /// The last.
    pub last: f64,
}

/// The series of one source. Pure.
#[derive(Debug, Default)]
pub struct Series {
    series: BTreeMap<String, SeriesSummary>,
    left_out: BTreeSet<String>,
}

impl Series {
    /// Takes a value; false where the source has too many series already. What is no finite number (a quantile without a
    /// sample) is no value.
    pub fn add(&mut self, reading: &Reading) -> bool {
        let value = reading.value;
        if !value.is_finite() {
            return false;
        }
        if let Some(series) = self.series.get_mut(&reading.metric) {
            series.samples += 1;
            series.min = series.min.min(value);
            series.max = series.max.max(value);
            series.mean += (value - series.mean) / series.samples as f64;
            series.last = value;
            return true;
        }
        if self.series.len() >= SERIES_MAX {
            if self.left_out.len() < SERIES_MAX {
                self.left_out.insert(reading.metric.clone());
            }
            return false;
        }
        self.series
            .insert(reading.metric.clone(), SeriesSummary { samples: 1, first: value, min: value, mean: value, max: value, last: value });
        true
    }

    /// What each metric came to so far.
    #[must_use]
    pub fn summaries(&self) -> BTreeMap<String, SeriesSummary> {
        self.series.clone()
    }

    /// Series that were left out for lack of room, as far as they were counted (64 at most).
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(metric: &str, value: f64) -> Reading {
        Reading { metric: metric.to_owned(), value }
    }

    #[test]
    fn a_series_knows_its_bounds_and_its_mean() {
        let mut series = Series::default();
        for value in [3.0, 1.0, f64::NAN, 5.0, f64::INFINITY] {
            series.add(&reading("a", value));
        }
        let summary = SeriesSummary { samples: 3, first: 3.0, min: 1.0, mean: 3.0, max: 5.0, last: 5.0 };
        assert_eq!(series.summaries(), BTreeMap::from([("a".to_owned(), summary)]));
    }

    #[test]
    fn too_many_series_are_left_out_and_counted() {
        let mut series = Series::default();
        for _ in 0..2 {
            for number in 0..SERIES_MAX + 3 {
                assert_eq!(series.add(&reading(&format!("{number:03}"), 1.0)), number < SERIES_MAX);
            }
        }
        assert_eq!((series.summaries().len(), series.left_out()), (SERIES_MAX, 3));
    }
}

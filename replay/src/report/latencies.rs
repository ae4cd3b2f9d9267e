//! Latency over time and by percentile, from the interval log: histograms merged into bins, and into one for the whole
//! measured window. One open bin a measure is in memory.

use std::path::Path;

use hdrhistogram::Histogram;

use super::axis::TimeAxis;
use crate::measure::latency::{Latency, LatencySummary};
use crate::run::dir::RunDirError;
use crate::run::read::histograms;

/// The measures that are shown, by their tags.
pub(super) const MEASURES: [&str; 4] = ["response", "service", "schedule_error", "end_to_end"];
/// The one whose percentiles are of the whole run.
const END_TO_END: usize = 3;

/// One measure of a run.
#[derive(Debug, Default)]
pub(super) struct Measure {
    /// The percentiles of each bin; `None` where nothing was answered.
    pub(super) bins: Vec<Option<LatencySummary>>,
    /// The whole measured window; of end to end the whole run.
    pub(super) window: Latency<u64>,
    open: Option<(usize, Latency<u64>)>,
}

impl Measure {
    fn add(&mut self, bin: usize, histogram: &Histogram<u64>, measured: bool, scheduled: &[u64]) {
        if self.open.as_ref().is_some_and(|(open, _)| *open != bin) {
            self.close(scheduled);
        }
        self.open.get_or_insert_with(|| (bin, Latency::default())).1.add(histogram);
        if measured {
            self.window.add(histogram);
        }
    }

    /// `scheduled` says how many messages belong into each bin: those that are not here are infinite.
    fn close(&mut self, scheduled: &[u64]) {
        if let Some((bin, latency)) = self.open.take()
            && let Some(place) = self.bins.get_mut(bin)
        {
            let all = scheduled.get(bin).copied().unwrap_or(0);
            *place = Some(latency.summary(all.saturating_sub(latency.count())));
        }
    }
}

/// Reads the interval log, by [`MEASURES`]. `scheduled` has the messages of each bin of the axis: the denominator of response;
/// the measured window begins at `from_s`.
pub(super) fn read(run: &Path, axis: &TimeAxis, scheduled: &[u64], from_s: u64) -> Result<[Measure; 4], RunDirError> {
    let mut measures = MEASURES.map(|_| Measure { bins: vec![None; axis.bins], ..Measure::default() });
    histograms(run, &MEASURES, &mut |ix, second, histogram| {
        if let Some(bin) = axis.bin(second.saturating_mul(1_000)) {
            measures[ix].add(bin, histogram, second >= from_s || ix == END_TO_END, denominator(ix, scheduled));
        }
    })?;
    for (ix, measure) in measures.iter_mut().enumerate() {
        measure.close(denominator(ix, scheduled));
    }
    Ok(measures)
}

/// Only response counts what was not answered.
fn denominator(measure: usize, scheduled: &[u64]) -> &[u64] {
    if measure == 0 { scheduled } else { &[] }
}

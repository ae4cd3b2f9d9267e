//! The counts of a run over time: what was planned and sent (`counts.csv`), and what became of each second
//! (`intervals.csv`).

use std::path::Path;

use serde::Deserialize;

use super::axis::TimeAxis;
use super::files::{ReportError, rows};
use crate::measure::counts::{BUCKET_NS, Series};
use crate::run::dir::{COUNTS_CSV, INTERVALS_CSV};

const BUCKET_MS: u64 = BUCKET_NS / 1_000_000;

#[derive(Deserialize)]
struct CountRow {
    series: String,
    start_ms: u64,
    count: u64,
}

/// One second of a run, as far as the report needs it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct SecondRow {
    pub(super) second: u64,
    pub(super) scheduled: u64,
    pub(super) acked: u64,
    pub(super) held_max_ns: u64,
}

/// Messages per second: planned, sent and confirmed, each filed by its own time.
#[derive(Debug)]
pub(super) struct Rates {
    pub(super) axis: TimeAxis,
    pub(super) planned: Vec<f64>,
    pub(super) sent: Vec<f64>,
    pub(super) acked: Vec<f64>,
}

/// Reads the rates.
pub(super) fn rates(run: &Path) -> Result<Rates, ReportError> {
    let mut end_ms = 0;
    rows(run, COUNTS_CSV, |row: CountRow| end_ms = end_ms.max(row.start_ms + BUCKET_MS))?;
    let axis = TimeAxis::reaching(end_ms, BUCKET_MS);
    // What a ceiling allowed is not shown.
    let shown = [Series::Planned, Series::Sent, Series::Acked].map(Series::name);
    let mut counts = shown.map(|_| vec![0u64; axis.bins]);
    rows(run, COUNTS_CSV, |row: CountRow| {
        let of = counts.iter_mut().zip(shown).find(|(_, name)| row.series == *name);
        if let (Some((counts, _)), Some(bin)) = (of, axis.bin(row.start_ms)) {
            counts.get_mut(bin).into_iter().for_each(|count| *count += row.count);
        }
    })?;
    let per_second = |counts: Vec<u64>| {
        let rate = |(bin, count): (usize, u64)| {
            // The last bin ends where the data does.
            let length_ms = axis.bin_ms.min(end_ms - bin as u64 * axis.bin_ms);
            count as f64 * 1e3 / length_ms as f64
        };
        counts.into_iter().enumerate().map(rate).collect()
    };
    let [planned, sent, acked] = counts.map(per_second);
    Ok(Rates { axis, planned, sent, acked })
}

/// What became of the messages of each second, in bins.
#[derive(Debug)]
pub(super) struct Fates {
    pub(super) axis: TimeAxis,
    pub(super) scheduled: Vec<u64>,
    pub(super) acked: Vec<u64>,
    /// Totals of the seconds from `from_s` on: scheduled, acked.
    pub(super) window: (u64, u64),
}

/// Reads what became of each second; `each` is shown all of them.
pub(super) fn fates(run: &Path, from_s: u64, mut each: impl FnMut(&SecondRow)) -> Result<Fates, ReportError> {
    let mut end_s = 0;
    rows(run, INTERVALS_CSV, |row: SecondRow| end_s = end_s.max(row.second + 1))?;
    let axis = TimeAxis::reaching(end_s.saturating_mul(1_000), 1_000);
    let mut fates = Fates { axis, scheduled: vec![0; axis.bins], acked: vec![0; axis.bins], window: (0, 0) };
    rows(run, INTERVALS_CSV, |row: SecondRow| {
        each(&row);
        if let Some(bin) = axis.bin(row.second.saturating_mul(1_000)) {
            fates.scheduled[bin] += row.scheduled;
            fates.acked[bin] += row.acked;
        }
        if row.second >= from_s {
            fates.window = (fates.window.0 + row.scheduled, fates.window.1 + row.acked);
        }
    })?;
    Ok(fates)
}

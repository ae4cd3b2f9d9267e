//! The counts of a run over time: what was planned and sent (`counts.csv`), and what became of each second
//! (`intervals.csv`).

use std::path::Path;

use super::axis::TimeAxis;
use crate::measure::counts::{BUCKET_NS, Series};
use crate::run::dir::RunDirError;
use crate::run::read::{SecondCounts, counts, seconds};

const BUCKET_MS: u64 = BUCKET_NS / 1_000_000;

/// Messages per second: planned, sent and confirmed, each filed by its own time.
#[derive(Debug)]
pub(super) struct Rates {
    pub(super) axis: TimeAxis,
    pub(super) planned: Vec<f64>,
    pub(super) sent: Vec<f64>,
    pub(super) acked: Vec<f64>,
}

/// Reads the rates.
pub(super) fn rates(run: &Path) -> Result<Rates, RunDirError> {
    let mut end_ms = 0;
    counts(run, &mut |_, start_ms, _| end_ms = end_ms.max(start_ms.saturating_add(BUCKET_MS)))?;
    let axis = TimeAxis::reaching(end_ms, BUCKET_MS);
    // What a ceiling allowed is not shown.
    let shown = [Series::Planned, Series::Sent, Series::Acked].map(Series::name);
    let mut lines = shown.map(|_| vec![0u64; axis.bins]);
    counts(run, &mut |series, start_ms, count| {
        let of = lines.iter_mut().zip(shown).find(|(_, name)| series == *name);
        if let (Some((line, _)), Some(bin)) = (of, axis.bin(start_ms)) {
            line.get_mut(bin).into_iter().for_each(|so_far| *so_far += count);
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
    let [planned, sent, acked] = lines.map(per_second);
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
pub(super) fn fates(run: &Path, from_s: u64, mut each: impl FnMut(&SecondCounts)) -> Result<Fates, RunDirError> {
    let mut end_s = 0;
    seconds(run, &mut |row| end_s = end_s.max(row.second.saturating_add(1)))?;
    let axis = TimeAxis::reaching(end_s.saturating_mul(1_000), 1_000);
    let mut fates = Fates { axis, scheduled: vec![0; axis.bins], acked: vec![0; axis.bins], window: (0, 0) };
    seconds(run, &mut |row| {
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

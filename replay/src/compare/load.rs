//! Reads runs for a comparison: reports first, then the seconds on an axis that all share.
//!
//! A second that was closed before all in it was answered lacks the answers that came later. They are known in number alone,
//! and count as [`OPEN_SECONDS_MAX`] seconds, the least that they took, spread over the messages that such seconds lacked.

use std::path::{Path, PathBuf};

use super::comparable::{Facts, differences, invalid, other_plan, planned_otherwise};
use super::observed::{Axis, Observed, Unit};
use super::signals::signals;
use crate::measure::counts::BUCKET_NS;
use crate::measure::recorder::OPEN_SECONDS_MAX;
use crate::run::dir::{RunDirError, read_report};
use crate::run::read::{SecondCounts, counts, histograms, seconds};
use crate::run::report::RunReport;

const LATE_NS: u64 = OPEN_SECONDS_MAX as u64 * 1_000_000_000;

/// What a comparison starts from.
#[derive(Debug)]
pub struct Loaded {
    /// The runs of BASE.
    pub base: Vec<Observed>,
    /// The runs of NEW.
    pub new: Vec<Observed>,
    /// Their axis.
    pub axis: Axis,
    /// The runs that are not to be believed, and why.
    pub invalid: Vec<String>,
    /// Where they are of different recordings or plans.
    pub other_plan: Vec<String>,
    /// How they differ in what one compares: the client, the target.
    pub differences: Vec<String>,
    /// Whether the target's own pace decided when messages were sent, in any of them (`--max`).
    pub closed_loop: bool,
}

/// Reads both sides.
///
/// # Errors
/// [`RunDirError`].
pub fn load(base: &[PathBuf], new: &[PathBuf]) -> Result<Loaded, RunDirError> {
    let facts = base.iter().chain(new).map(|run| facts(run)).collect::<Result<Vec<Facts>, _>>()?;
    let from_s = facts.iter().filter_map(|f| f.report.warm_up.as_ref()).map(|warm_up| warm_up.until_s).max().unwrap_or(0);
    let axis = Axis::new(from_s, facts.iter().map(|f| f.end_s).max().unwrap_or(0));
    let runs = base.iter().chain(new).zip(&facts);
    let mut base_runs = runs.map(|(run, facts)| observed(run, facts, axis)).collect::<Result<Vec<Observed>, _>>()?;
    let closed_loop = facts.iter().any(|f| f.report.closed_loop);
    let mut other = other_plan(&facts);
    if other.is_empty() && !closed_loop {
        other = planned_otherwise(&base_runs.iter().collect::<Vec<_>>(), axis);
    }
    let new = base_runs.split_off(base.len());
    Ok(Loaded { base: base_runs, new, axis, invalid: invalid(&facts), other_plan: other, differences: differences(&facts), closed_loop })
}

/// Reads what is known of a run but for its latencies.
fn facts(run: &Path) -> Result<Facts, RunDirError> {
    let report = read_report(run)?;
    let mut end_s = report.duration_ns / 1_000_000_000 + 1;
    // What was skipped at the end was never sent: its seconds have rows, and count.
    seconds(run, &mut |row| {
        if row.scheduled > 0 {
            end_s = end_s.max(row.second.saturating_add(1));
        }
    })?;
    Ok(Facts { name: run.display().to_string(), report, end_s })
}

/// Reads a run onto an axis.
fn observed(run: &Path, facts: &Facts, axis: Axis) -> Result<Observed, RunDirError> {
    let report = &facts.report;
    let mut observed = Observed { name: facts.name.clone(), units: vec![Unit::default(); axis.units], ..Observed::default() };
    let mut rows = Vec::new();
    seconds(run, &mut |row| rows.push(row))?;
    let mut late = Late::new(report, &rows);
    for row in &rows {
        let late = late.of(row);
        let Some(unit) = axis.unit(row.second) else { continue };
        let unit = &mut observed.units[unit];
        unit.scheduled += row.scheduled;
        unit.answered += row.acked + late;
        for (bins, total) in [(&mut unit.response, &mut observed.response), (&mut unit.service, &mut observed.service)] {
            if late > 0 {
                bins.add(LATE_NS, late);
                total.record_many(LATE_NS, late);
            }
        }
    }
    // In the log a maximum is that of its step.
    observed.response.know_max(report.latency.response.and_then(|l| l.max_ns).unwrap_or(0));
    observed.service.know_max(report.latency.service.max_ns.unwrap_or(0));
    histograms(run, &["response", "service"], &mut |tag, second, histogram| {
        let Some(unit) = axis.unit(second) else { return };
        let unit = &mut observed.units[unit];
        let (bins, total) =
            if tag == 0 { (&mut unit.response, &mut observed.response) } else { (&mut unit.service, &mut observed.service) };
        bins.add_all(histogram);
        total.add(histogram);
    })?;
    let mut confirmed_s = 0.0_f64;
    counts(run, &mut |series, start_ms, count| {
        if series != "acked" || count == 0 {
            return;
        }
        confirmed_s = confirmed_s.max((start_ms as f64 * 1e6 + BUCKET_NS as f64) / 1e9);
        if let Some(unit) = axis.unit(start_ms / 1_000) {
            observed.units[unit].confirmed += count;
        }
    })?;
    // Confirmed messages over their rate is the time from the first sending to the last confirmation, which is known to 100 ms.
    // The run may have gone on, for it ends with the last sending or answer; where it has no rate, it was at work all the time.
    let duration_s = report.duration_ns as f64 / 1e9;
    let (work_from_s, work_to_s) = report.rate.achieved_per_s.map_or((0.0, duration_s), |rate| {
        let to_s = confirmed_s.min(duration_s);
        (to_s - report.ledger.counts.acked as f64 / rate, to_s)
    });
    for (unit, ix) in observed.units.iter_mut().zip(0..) {
        unit.active_s = axis.overlap_s(ix, work_from_s, work_to_s);
    }
    let ns = |value: Option<u64>| value.map(|ns| ns as f64);
    let latency = &report.latency;
    observed.shown = [
        ns(latency.response.and_then(|r| r.max_ns)),
        ns(latency.service.max_ns),
        ns(latency.schedule_error.and_then(|e| e.p99_ns)),
        report.delivered,
    ];
    observed.signals = report.observed.as_ref().map(signals).unwrap_or_default();
    Ok(observed)
}

/// Shares out the answers that came after their seconds were closed.
struct Late {
    answers: u64,
    /// Messages of which nothing was known when their seconds were closed.
    open: u64,
    before: u64,
}

impl Late {
    fn new(report: &RunReport, rows: &[SecondCounts]) -> Self {
        let in_time: u64 = rows.iter().map(|row| row.acked).sum();
        Self { answers: report.ledger.counts.acked.saturating_sub(in_time), open: rows.iter().map(SecondCounts::open).sum(), before: 0 }
    }

    /// The late answers of the next second, in proportion to what it lacked.
    fn of(&mut self, row: &SecondCounts) -> u64 {
        let share = |open: u64| u64::try_from(u128::from(self.answers) * u128::from(open) / u128::from(self.open.max(1))).unwrap_or(0);
        let late = share(self.before + row.open()) - share(self.before);
        self.before += row.open();
        late
    }
}

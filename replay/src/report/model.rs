//! What a report shows of a run.

use std::path::Path;

use serde::Serialize;

use super::axis::TimeAxis;
use super::chart::{Across, Chart, Line, Unit};
use super::counts::{Fates, Rates, fates, rates};
use super::curve;
use super::events::{Event, Marks};
use super::latencies::{Measure, read};
use super::likeness::{self, Likeness};
use super::numbers::{Number, numbers};
use super::observed;
use crate::cardinality::{CARDINALITY_JSON, CardinalityReport};
use crate::measure::latency::LatencySummary;
use crate::run::dir::{RunDirError, read_json, read_report};
use crate::run::report::RunReport;

/// A run, ready to be shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `run.json`.
    pub run: RunReport,
    /// What it comes down to.
    pub numbers: [Number; 5],
    /// The charts, in order; those without a value are left out.
    pub charts: Vec<Chart>,
    /// What is marked on the time axis.
    pub events: Vec<Event>,
    /// Where the time axis ends, in seconds.
    pub end_s: f64,
    /// How like its plan it was, where that is known.
    pub fidelity: Option<Likeness>,
    /// `cardinality.json`, where the run followed rules.
    pub cardinality: Option<CardinalityReport>,
}

impl Report {
    /// Reads a run directory, whether the run ended, was killed or still goes on.
    ///
    /// # Errors
    /// [`RunDirError`]: there is no `run.json`, or something is not what it should be.
    pub fn read(run_dir: &Path) -> Result<Self, RunDirError> {
        let run = read_report(run_dir)?;
        let from_s = run.warm_up.map_or(0, |w| w.until_s);
        let mut marks = Marks::default();
        let fates = fates(run_dir, from_s, |second| marks.see(second))?;
        let rates = rates(run_dir)?;
        let measures = read(run_dir, &fates.axis, &fates.scheduled, from_s)?;
        let mut charts = charts(&run, &rates, &fates, &measures);
        charts.extend(observed::charts(run_dir)?);
        charts.retain(Chart::has_values);
        let end_s = charts
            .iter()
            .filter(|c| c.across == Across::Time)
            .filter_map(|c| c.x.last().copied())
            .fold(run.duration_ns as f64 / 1e9, f64::max);
        let fidelity = likeness::read(run_dir, &run)?;
        let cardinality = read_json(run_dir, CARDINALITY_JSON)?;
        Ok(Self { numbers: numbers(&run), charts, events: marks.events(&run), end_s, fidelity, cardinality, run })
    }
}

fn charts(run: &RunReport, rates: &Rates, fates: &Fates, measures: &[Measure; 4]) -> Vec<Chart> {
    let [response, service, schedule_error, _] = measures;
    let (name, headline) = if run.closed_loop { ("Service", service) } else { ("Response", response) };
    let bin = length_words(fates.axis.bin_ms);
    vec![
        rate_chart(run, rates),
        over_time(
            "latency",
            &format!("{name} over time"),
            format!(
                "By the second in which a message was due. Each value is of {bin}; where the line is broken, that percentile was never answered."
            ),
            &fates.axis,
            headline,
        ),
        percentiles(run, fates, measures),
        over_time(
            "schedule-error",
            "Schedule error",
            format!("How late messages were sent: the generator's own quality. Each value is of {bin}."),
            &fates.axis,
            schedule_error,
        ),
        unanswered(fates),
    ]
}

fn rate_chart(run: &RunReport, rates: &Rates) -> Chart {
    let line = |name: &str, values: &[f64]| Line::over(rates.axis.bins, name, |bin| values.get(bin).copied());
    let mut lines = vec![line("sent", &rates.sent), line("acked", &rates.acked)];
    if !run.closed_loop {
        lines.insert(0, line("intended", &rates.planned));
        lines[0].filled = true;
    }
    Chart {
        id: "rate".to_owned(),
        title: "Rate".to_owned(),
        about: format!(
            "Messages per second: as planned, as they were sent, and as they were confirmed. Each value is the mean of {}.",
            length_words(rates.axis.bin_ms)
        ),
        unit: Unit::PerSecond,
        across: Across::Time,
        logarithmic: false,
        x: rates.axis.edges_s(),
        lines,
    }
}

fn over_time(id: &str, title: &str, about: String, axis: &TimeAxis, measure: &Measure) -> Chart {
    let line = |name: &str, of: fn(&LatencySummary) -> Option<u64>| {
        Line::over(axis.bins, name, |bin| measure.bins.get(bin)?.as_ref().and_then(of).map(|ns| ns as f64))
    };
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        about,
        unit: Unit::Ns,
        across: Across::Time,
        logarithmic: true,
        x: axis.edges_s(),
        lines: vec![line("p50", |s| s.p50_ns), line("p99", |s| s.p99_ns), line("p99.9", |s| s.p999_ns), line("max", |s| s.max_ns)],
    }
}

/// The percentiles of the measured window, to five nines as far as there are messages for them.
fn percentiles(run: &RunReport, fates: &Fates, measures: &[Measure; 4]) -> Chart {
    let [response, service, schedule_error, end_to_end] = measures;
    // What was answered after its second had to be closed is in the totals of run.json alone.
    let unanswered = run.latency.response.map_or(fates.window.0.saturating_sub(fates.window.1), |r| r.unanswered);
    let mut lines = vec![curve::line("service", &service.window, 0)];
    if !run.closed_loop {
        lines.insert(0, curve::line("response", &response.window, unanswered));
        lines.push(curve::line("schedule error", &schedule_error.window, 0));
    }
    lines.extend(run.latency.end_to_end.map(|whole| curve::line("end to end", &end_to_end.window, whole.unanswered)));
    curve::chart("Of the whole measured window; end to end is of the whole run.", lines)
}

fn unanswered(fates: &Fates) -> Chart {
    let missing = |bin: usize| Some(fates.scheduled.get(bin)?.saturating_sub(*fates.acked.get(bin)?));
    let any = (0..fates.axis.bins).any(|bin| missing(bin).is_some_and(|n| n > 0));
    let line = Line::over(fates.axis.bins, "unanswered", |bin| missing(bin).filter(|_| any).map(|n| n as f64));
    Chart {
        id: "unanswered".to_owned(),
        title: "Messages without an answer".to_owned(),
        about: format!("Skipped, failed or unknown, by the second in which they were due; in each {}.", length_words(fates.axis.bin_ms)),
        unit: Unit::Count,
        across: Across::Time,
        logarithmic: false,
        x: fates.axis.edges_s(),
        lines: vec![line],
    }
}

/// The length of a bin, for people.
fn length_words(bin_ms: u64) -> String {
    match bin_ms {
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms < 60_000 => format!("{} s", ms / 1_000),
        ms if ms < 3_600_000 => format!("{} min", ms / 60_000),
        ms => format!("{} h", ms / 3_600_000),
    }
}

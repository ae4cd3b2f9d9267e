//! The charts of a comparison: both sides on the same axes, BASE dashed, so that they are told apart without colour. Pure.
//!
//! Of several runs a side shows what all of them have together: percentiles of all messages, rates and counts of a run on
//! average. Percentiles over time are on the grid of the bootstrap (0.2 %), the curves have the digits of the histograms.

use super::bins::Bins;
use super::observed::{Axis, Observed, Unit};
use crate::measure::latency::Latency;
use crate::report::chart::{Across, Chart, Line, Unit as ValueUnit};
use crate::report::curve;

/// The colours of the sides.
const HUES: [u8; 2] = [1, 0];
const NAMES: [&str; 2] = ["BASE", "NEW"];
/// That of a plan which both sides have.
const PLAN_HUE: u8 = 7;

/// The two sides, whose runs have the units of `axis`.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The runs of BASE and of NEW.
    pub runs: [&'a [Observed]; 2],
    /// Their axis.
    pub axis: Axis,
    /// Whether all runs are of one plan.
    pub paired: bool,
    /// Whether there is no response (`--max`): then it is service that is shown.
    pub closed_loop: bool,
}

/// The charts, in order; those without a value are left out.
#[must_use]
pub fn charts(sides: &Sides<'_>) -> Vec<Chart> {
    let mut charts = vec![latency(sides), percentiles(sides), rate(sides), unanswered(sides)];
    charts.retain(Chart::has_values);
    charts
}

/// The same unit of all runs of a side.
fn of_unit(runs: &[Observed], unit: usize) -> impl Iterator<Item = &Unit> {
    runs.iter().filter_map(move |run| run.units.get(unit))
}

fn styled(line: Line, side: usize) -> Line {
    Line { name: format!("{} {}", NAMES[side], line.name).trim_end().to_owned(), dashed: side == 0, hue: Some(HUES[side]), ..line }
}

fn latency(sides: &Sides<'_>) -> Chart {
    let line = |side: usize, name: &str, thousandths: u64| {
        let value = |unit| percentile(sides.runs[side], unit, thousandths, sides.closed_loop);
        styled(Line::over(sides.axis.units, name, value), side)
    };
    let title = if sides.closed_loop { "Service over time" } else { "Response over time" };
    let lines = vec![line(0, "p50", 500), line(1, "p50", 500), line(0, "p99", 990), line(1, "p99", 990)];
    let about = "By the second in which a message was due. Where a line is broken, that percentile was never answered.";
    over_time("latency", title, about, (ValueUnit::Ns, true), sides, lines)
}

/// A percentile of all that was due in a unit; `None` where it is among the unanswered, or there is nothing.
fn percentile(runs: &[Observed], unit: usize, thousandths: u64, closed_loop: bool) -> Option<f64> {
    let mut all = Bins::default();
    of_unit(runs, unit).for_each(|unit| all.merge(if closed_loop { &unit.service } else { &unit.response }));
    let count = if closed_loop { all.count() } else { of_unit(runs, unit).map(|unit| unit.scheduled).sum() };
    Some(all.at_rank((count * thousandths).div_ceil(1_000))).filter(|ns| count > 0 && ns.is_finite())
}

fn percentiles(sides: &Sides<'_>) -> Chart {
    let line = |side: usize| {
        let mut merged = Latency::<u64>::default();
        sides.runs[side].iter().for_each(|run| merged.merge(if sides.closed_loop { &run.service } else { &run.response }));
        let scheduled = sides.runs[side].iter().map(Observed::scheduled).sum::<u64>();
        let unanswered = if sides.closed_loop { 0 } else { scheduled.saturating_sub(merged.count()) };
        styled(curve::line("", &merged, unanswered), side)
    };
    let about = if sides.closed_loop { "Service" } else { "Response" };
    curve::chart(&format!("{about}, of the whole measured window."), vec![line(0), line(1)])
}

fn rate(sides: &Sides<'_>) -> Chart {
    // A unit in which a run was hardly at work has no rate worth drawing.
    let per_second = |side: usize, unit: usize, of: fn(&Unit) -> u64| {
        let (mut count, mut active_s) = (0, 0.0);
        of_unit(sides.runs[side], unit).for_each(|unit| (count, active_s) = (count + of(unit), active_s + unit.active_s));
        let whole_s = sides.axis.unit_s as f64 * sides.runs[side].len() as f64;
        (active_s * 2.0 >= whole_s).then(|| count as f64 / active_s)
    };
    let achieved = |side: usize| styled(Line::over(sides.axis.units, "", |unit| per_second(side, unit, |unit| unit.confirmed)), side);
    let mut lines = vec![achieved(0), achieved(1)];
    if sides.paired {
        let due = Line::over(sides.axis.units, "planned", |unit| per_second(0, unit, |unit| unit.scheduled));
        lines.insert(0, Line { filled: true, hue: Some(PLAN_HUE), ..due });
    }
    over_time("rate", "Achieved rate", "Confirmations per second, of a run on average.", (ValueUnit::PerSecond, false), sides, lines)
}

fn unanswered(sides: &Sides<'_>) -> Chart {
    let missing = |side: usize, unit: usize| -> u64 {
        of_unit(sides.runs[side], unit).map(|unit| unit.scheduled.saturating_sub(unit.answered)).sum()
    };
    let any = (0..sides.axis.units).any(|unit| missing(0, unit) + missing(1, unit) > 0);
    let line = |side: usize| {
        let value = |unit| any.then(|| missing(side, unit) as f64 / sides.runs[side].len() as f64);
        styled(Line::over(sides.axis.units, "", value), side)
    };
    let about = "By the second in which they were due, of a run on average.";
    over_time("unanswered", "Messages without an answer", about, (ValueUnit::Count, false), sides, vec![line(0), line(1)])
}

fn over_time(id: &str, title: &str, about: &str, (unit, logarithmic): (ValueUnit, bool), sides: &Sides<'_>, lines: Vec<Line>) -> Chart {
    let Axis { from_s, unit_s, units } = sides.axis;
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        about: format!("{about} Each value is of {unit_s} s."),
        unit,
        across: Across::Time,
        logarithmic,
        x: (0..=units as u64).map(|unit| (from_s + unit * unit_s) as f64).collect(),
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A run in whose units messages took so many milliseconds; the last `missing` of a unit have no answer.
    fn run(units: &[(&[u64], u64)]) -> Observed {
        let mut run = Observed::default();
        for (took, missing) in units {
            let answered = took.len() as u64;
            let mut unit = Unit { scheduled: answered + missing, answered, confirmed: answered, active_s: 1.0, ..Unit::default() };
            for ms in *took {
                unit.response.add(ms * MS, 1);
                run.response.record(ms * MS);
            }
            run.units.push(unit);
        }
        run
    }

    fn drawn(base: &[Observed], new: &[Observed], closed_loop: bool) -> Vec<Chart> {
        let axis = Axis { from_s: 5, unit_s: 1, units: 2 };
        charts(&Sides { runs: [base, new], axis, paired: !closed_loop, closed_loop })
    }

    fn line<'a>(charts: &'a [Chart], id: &str, name: &str) -> &'a Line {
        let chart = charts.iter().find(|chart| chart.id == id).expect("a chart");
        chart.lines.iter().find(|line| line.name == name).expect("a line")
    }

    #[test]
    fn sides_are_on_one_axis_and_told_apart_without_colour() {
        let (base, new) = ([run(&[(&[1, 2, 3], 0), (&[4], 0)])], [run(&[(&[2, 4, 6], 0), (&[], 3)])]);
        let charts = drawn(&base, &new, false);
        assert_eq!(charts.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["latency", "percentiles", "rate", "unanswered"]);
        for chart in &charts {
            assert!(chart.lines.iter().all(|line| line.values.len() == chart.x.len()), "{}", chart.id);
            for line in chart.lines.iter().filter(|line| line.name != "planned") {
                assert_eq!(line.dashed, line.name.starts_with("BASE"), "{}: {}", chart.id, line.name);
            }
        }
        assert_eq!(charts[0].x, [5.0, 6.0, 7.0], "seconds of the run");
        let near = |name: &str, ms: u64| {
            let found = line(&charts, "latency", name).values[0].expect("a value");
            assert!((found / (ms * MS) as f64 - 1.0).abs() < 0.002, "{name}: {found}");
        };
        for (name, ms) in [("BASE p50", 2), ("NEW p50", 4), ("BASE p99", 3), ("NEW p99", 6)] {
            near(name, ms);
        }
        assert_eq!(line(&charts, "latency", "NEW p50").values[1], None, "never answered");
        assert_eq!(line(&charts, "unanswered", "NEW").values, [Some(0.0), Some(3.0), Some(3.0)]);
        assert_eq!(line(&charts, "rate", "planned").values[0], Some(3.0));
    }

    #[test]
    fn several_runs_are_one_line_of_all_their_messages_and_rates_are_those_of_a_run() {
        let base = [run(&[(&[1, 1], 0), (&[1], 0)]), run(&[(&[9, 9, 9], 0), (&[1], 1)])];
        let charts = drawn(&base, &base, false);
        let p50 = line(&charts, "latency", "BASE p50").values[0].expect("a value");
        assert!((p50 / (9 * MS) as f64 - 1.0).abs() < 0.002, "three of five took 9 ms: {p50}");
        assert_eq!(line(&charts, "rate", "BASE").values[0], Some(2.5));
        assert_eq!(line(&charts, "unanswered", "BASE").values[1], Some(0.5));
    }

    #[test]
    fn without_a_schedule_service_is_shown_and_no_plan() {
        let mut flood = run(&[(&[], 0), (&[], 0)]);
        flood.units[0].service.add(MS, 10);
        let charts = drawn(std::slice::from_ref(&flood), std::slice::from_ref(&flood), true);
        assert_eq!(charts[0].title, "Service over time");
        assert!(line(&charts, "latency", "NEW p50").values[0].is_some());
        assert!(charts.iter().flat_map(|chart| &chart.lines).all(|line| line.name != "planned"));
    }
}

//! How like its own plan a run was, as pictures: what [`crate::fidelity`] says, and the distributions that it was said of, planned
//! and sent on one axis. A run that has none (`--max`, or one that was killed) shows none.

use std::path::Path;

use serde::Serialize;

use super::chart::{Across, Chart, Line, Unit};
use crate::fidelity::Fidelity;
use crate::fidelity::counted::Counted;
use crate::fidelity::of_run::{Judged, OfRunError, judge_run};
use crate::fidelity::shape::{RunShape, Shape};
use crate::fidelity::timing::SCALES_NS;
use crate::run::dir::RunDirError;
use crate::run::report::RunReport;

/// The most values of a line.
const POINTS_MAX: u64 = 200;

/// How like its plan a run was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// What `dejaq fidelity` says of it.
    #[serde(flatten)]
    pub fidelity: Fidelity,
    /// How messages bunch together, at three scales.
    pub dispersion: Vec<Dispersion>,
    /// Gaps, sizes and key ranks.
    pub charts: Vec<Chart>,
}

/// The index of dispersion (variance over mean) of the counts of one scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dispersion {
    /// The length of a count, in nanoseconds.
    pub scale_ns: u64,
    /// As planned.
    pub planned: f64,
    /// As sent.
    pub sent: f64,
}

/// Reads it; `None`: the run has none.
pub(super) fn read(run_dir: &Path, run: &RunReport) -> Result<Option<Likeness>, RunDirError> {
    match judge_run(run_dir, run) {
        Ok(Judged { fidelity, shape }) => Ok(Some(Likeness { fidelity, dispersion: dispersion(&shape), charts: charts(&shape) })),
        Err(OfRunError::Run(error)) => Err(error),
        Err(OfRunError::NoSchedule | OfRunError::NoShape | OfRunError::Unfinished | OfRunError::OtherRecording { .. }) => Ok(None),
    }
}

fn dispersion(shape: &RunShape) -> Vec<Dispersion> {
    let [planned, sent] = [&shape.planned, &shape.sent].map(|shape| shape.timing.dispersion);
    let scales = SCALES_NS.iter().zip(planned.iter().zip(sent));
    scales.map(|(scale_ns, (planned, sent))| Dispersion { scale_ns: *scale_ns, planned: *planned, sent }).collect()
}

fn charts(shape: &RunShape) -> Vec<Chart> {
    let mut charts = vec![
        distribution(
            shape,
            "gaps",
            "Gaps between messages",
            "The share of gaps that are no longer; none at all stands at 1 ns.",
            Across::Ns,
            |s| &s.timing.gaps_ns,
        ),
        distribution(shape, "sizes", "Sizes", "The share of messages (key, value and headers) that are no larger.", Across::Bytes, |s| {
            &s.mix.bytes
        }),
        ranks(shape),
    ];
    charts.retain(Chart::has_values);
    charts
}

/// The share of values up to each point, planned and sent.
fn distribution(shape: &RunShape, id: &str, title: &str, about: &str, across: Across, of: fn(&Shape) -> &Counted) -> Chart {
    let both = [of(&shape.planned), of(&shape.sent)];
    // An axis of factors has no 0.
    let mut values: Vec<u64> = both.iter().flat_map(|counted| counted.pairs()).map(|(value, _)| (*value).max(1)).collect();
    values.sort_unstable();
    values.dedup();
    if values.len() as u64 > POINTS_MAX
        && let (Some(first), Some(last)) = (values.first().copied(), values.last().copied())
    {
        values = spread(first, last);
    }
    chart(id, title, about, across, &values, both, Counted::share_up_to)
}

/// The share of messages of the most frequent keys, planned and sent.
fn ranks(shape: &RunShape) -> Chart {
    let both = [&shape.planned.mix.keys_of_count, &shape.sent.mix.keys_of_count];
    let keys = both.iter().map(|counted| counted.count()).max().unwrap_or(0);
    let ranks = if keys == 0 { Vec::new() } else { spread(1, keys) };
    let about = "The share of messages that have one of the so many most frequent keys.";
    chart("ranks", "Key ranks", about, Across::Rank, &ranks, both, Counted::share_of_ranks)
}

/// Whole numbers from `first` to `last`, all of them or about as many as are drawn, each by the same factor further.
fn spread(first: u64, last: u64) -> Vec<u64> {
    let (from, to) = (libm::log(first.max(1) as f64), libm::log(last.max(1) as f64));
    let point = |step: u64| {
        let share = step as f64 / (POINTS_MAX - 1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two whole numbers")]
        let value = libm::exp(from + (to - from) * share).round() as u64;
        value.clamp(first, last)
    };
    let mut points: Vec<u64> = (0..POINTS_MAX).map(point).collect();
    points.dedup();
    points
}

fn chart(
    id: &str,
    title: &str,
    about: &str,
    across: Across,
    at: &[u64],
    both: [&Counted; 2],
    share: impl Fn(&Counted, u64) -> f64,
) -> Chart {
    let line = |name: &str, counted: &Counted, dashed: bool, hue: u8| {
        let values = at.iter().map(|at| Some(share(counted, *at)).filter(|_| counted.count() > 0)).collect();
        Line { values, dashed, hue: Some(hue), ..Line::named(name) }
    };
    Chart {
        id: format!("fidelity-{id}"),
        title: title.to_owned(),
        about: about.to_owned(),
        unit: Unit::Share,
        across,
        logarithmic: false,
        x: at.iter().map(|at| *at as f64).collect(),
        // In the colours of the rate.
        lines: vec![line("sent", both[1], false, 1), line("planned", both[0], true, 0)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::mix::MixSummary;
    use crate::fidelity::shape::SCHEMA_VERSION;
    use crate::fidelity::timing::TimingSummary;

    fn counted(pairs: &[(u64, u64)]) -> Counted {
        Counted::from_pairs(pairs.to_vec())
    }

    fn shape(gaps: &[(u64, u64)], bytes: &[(u64, u64)], keys: &[(u64, u64)]) -> Shape {
        Shape {
            timing: TimingSummary { messages: 0, gaps_ns: counted(gaps), dispersion: [1.0, 2.0, 3.0] },
            mix: MixSummary { bytes: counted(bytes), keys_of_count: counted(keys) },
        }
    }

    fn drawn(planned: Shape, sent: Shape) -> Vec<Chart> {
        charts(&RunShape { schema_version: SCHEMA_VERSION, gap_tolerance_ns: 0, planned, sent })
    }

    #[test]
    fn shares_are_cumulative_and_planned_is_dashed() {
        // Three keys: two with one message each, one with six.
        let planned = shape(&[(0, 1), (500, 3)], &[(10, 4)], &[(1, 2), (6, 1)]);
        let charts = drawn(planned, shape(&[(500, 4)], &[(20, 4)], &[(8, 1)]));
        let of = |id: &str| charts.iter().find(|c| c.id == id).expect("a chart");
        assert_eq!(of("fidelity-gaps").x, [1.0, 500.0], "0 has no place on an axis of factors");
        let lines = |id: &str| of(id).lines.iter().map(|l| (l.name.clone(), l.dashed, l.values.clone())).collect::<Vec<_>>();
        let line = |name: &str, dashed, values: &[f64]| (name.to_owned(), dashed, values.iter().copied().map(Some).collect::<Vec<_>>());
        assert_eq!(lines("fidelity-gaps"), [line("sent", false, &[0.0, 1.0]), line("planned", true, &[0.25, 1.0])]);
        assert_eq!(lines("fidelity-sizes"), [line("sent", false, &[0.0, 1.0]), line("planned", true, &[1.0, 1.0])]);
        assert_eq!(lines("fidelity-ranks"), [line("sent", false, &[1.0, 1.0, 1.0]), line("planned", true, &[0.75, 0.875, 1.0])]);
    }

    #[test]
    fn a_line_has_few_values_however_many_there_are_and_what_is_not_there_is_left_out() {
        let many: Vec<(u64, u64)> = (1..50_000).map(|value| (value * 7, 1)).collect();
        let charts = drawn(shape(&many, &[], &many), shape(&many, &[], &many));
        assert_eq!(charts.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["fidelity-gaps", "fidelity-ranks"]);
        for chart in &charts {
            assert!(chart.x.len() as u64 <= POINTS_MAX && chart.x.is_sorted_by(|a, b| a < b), "{}", chart.id);
            assert_eq!(chart.lines[0].values.last(), Some(&Some(1.0)), "{}", chart.id);
        }
    }
}

//! A run against its own planned schedule: from what it wrote while it sent.

use std::path::Path;

use super::shape::{RunShape, SHAPE_JSON};
use super::{Apart, Fidelity, OrderKept, Sides, judge};
use crate::run::dir::{RunDirError, read_json, read_report};
use crate::run::read::{counts, streams};
use crate::run::report::RunReport;

/// Why a run has no fidelity.
#[derive(Debug, thiserror::Error)]
pub enum OfRunError {
    /// A file of it.
    #[error(transparent)]
    Run(#[from] RunDirError),
    /// It had no schedule.
    #[error("a run with --max has no schedule that it could be like")]
    NoSchedule,
    /// It has no `shape.json`.
    #[error("the run has no shape.json: another version of dejaq made it")]
    NoShape,
    /// It was killed.
    #[error("the run did not end by itself, so its shape was never written")]
    Unfinished,
    /// It is of another recording.
    #[error("the run replayed recording {of_run}, not {asked}: give that recording's directory")]
    OtherRecording {
        /// What it replayed.
        of_run: String,
        /// What it is held against.
        asked: String,
    },
}

/// Judges a run. `recording` is the id of the recording that it must have replayed.
///
/// # Errors
/// [`OfRunError`].
pub fn of_run(run: &Path, recording: &str) -> Result<Fidelity, OfRunError> {
    let report: RunReport = read_report(run)?;
    if recording != report.recording.id {
        return Err(OfRunError::OtherRecording { of_run: report.recording.id, asked: recording.to_owned() });
    }
    judge_run(run, &report).map(|judged| judged.fidelity)
}

/// A run, judged.
#[derive(Debug)]
pub struct Judged {
    /// How like its plan it was.
    pub fidelity: Fidelity,
    /// What it was judged by, beside its counts.
    pub shape: RunShape,
}

/// Judges a run whose report is this, whatever it replayed: all that is needed stands in its directory.
///
/// # Errors
/// [`OfRunError`].
pub fn judge_run(run: &Path, report: &RunReport) -> Result<Judged, OfRunError> {
    if report.closed_loop {
        return Err(OfRunError::NoSchedule);
    }
    if !report.finished {
        return Err(OfRunError::Unfinished);
    }
    let shape: RunShape = read_json(run, SHAPE_JSON)?.ok_or(OfRunError::NoShape)?;
    let mut by_stream = Vec::new();
    streams(run, &mut |planned, sent| by_stream.push((planned, sent)))?;
    let fidelity = judge(&Sides {
        names: ["planned", "sent"],
        planned: &shape.planned,
        sent: &shape.sent,
        gap_tolerance_ns: shape.gap_tolerance_ns,
        rate: rate(run)?,
        streams: &by_stream,
        order: OrderKept { violations: report.order_violations, of: report.ledger.counts.sent },
    });
    Ok(Judged { fidelity, shape })
}

/// Holds the counts of `planned` (or `allowed`, where there was a ceiling) and `sent` against each other: 16 bytes for each 100 ms.
fn rate(run: &Path) -> Result<Apart, RunDirError> {
    let (mut planned, mut allowed) = (Vec::new(), Vec::new());
    counts(run, &mut |series, start_ms, count| match series {
        "planned" => planned.push((start_ms, count)),
        "allowed" => allowed.push((start_ms, count)),
        _ => {}
    })?;
    let mut planned = if allowed.is_empty() { planned } else { allowed }.into_iter().peekable();
    let mut apart = Apart::default();
    counts(run, &mut |series, start_ms, count| {
        if series != "sent" {
            return;
        }
        while let Some((_, earlier)) = planned.next_if(|(at, _)| *at < start_ms) {
            apart.add(earlier, 0);
        }
        apart.add(planned.next_if(|(at, _)| *at == start_ms).map_or(0, |(_, count)| count), count);
    })?;
    planned.for_each(|(_, count)| apart.add(count, 0));
    Ok(apart)
}

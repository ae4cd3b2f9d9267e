//! The report of a run: run directory → model → HTML, Markdown, JSON. Pure but for reading files and writing one.
//!
//! Guarantees: the page is one file that asks the network for nothing (and forbids it to itself); whatever stands in a run
//! directory is shown as text, never run; its size is bounded, however long the run was: a chart has at most
//! [`axis::BINS_MAX`] points a series, and percentiles of longer bins come from merged histograms, never from percentiles. A
//! run that was killed has a report too, of what it had saved. Series that a run does not have are left out.
//!
//! `axis` time in bins · `latencies` the interval log · `counts` the two tables beside it · `observed` what was sampled of the system under test ·
//! `likeness` the fidelity · `curve` percentiles to five nines · `chart`, `model` what is shown · `events` what is marked · `shell` a page with charts · `page`, `markdown` the texts.

pub mod axis;
pub mod chart;
mod counts;
pub mod curve;
pub mod events;
mod latencies;
pub mod likeness;
mod markdown;
pub mod model;
pub mod numbers;
mod observed;
mod page;
pub mod shell;

use std::path::Path;

pub use markdown::markdown;
pub use model::Report;
pub use page::html;

use crate::run::dir::{RunDir, RunDirError};

/// The name of the page in a run directory.
pub const REPORT_HTML: &str = "report.html";

/// Makes the page of a run and puts it into its directory.
///
/// # Errors
/// [`RunDirError`] when the directory cannot be read or written.
pub fn write(run: &Path) -> Result<Report, RunDirError> {
    let report = Report::read(run)?;
    RunDir::open(run).replace(REPORT_HTML, html(&report).as_bytes())?;
    Ok(report)
}

#[cfg(test)]
mod tests;

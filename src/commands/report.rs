//! `dejaq report`: a run directory as a page, as Markdown, as JSON.

use std::path::PathBuf;

use dejaq_replay::report::{self, REPORT_HTML, Report};
use dejaq_shared::outcome::Outcome;

use crate::progress::talk;

#[derive(clap::Args)]
#[command(after_help = "\
Writes report.html into the run directory: one file that needs no network. replay has written it at \
its end already. A run that was killed has a report too, of what it had saved.

Exit codes: those of the run: 0 done, and to be trusted; 4 a --fail-if was crossed; 3 INVALID, unfinished, \
load not delivered or messages lost; 1 there is nothing to report.

Examples:
  dejaq report run1
  dejaq report run1 --markdown >> \"$GITHUB_STEP_SUMMARY\"
  dejaq report run1 --json | jq '.numbers[] | {name, value}'")]
pub(crate) struct Arguments {
    /// The run directory
    #[arg(value_name = "RUNDIR")]
    run: PathBuf,
    /// What the page shows, as JSON on stdout; writes no page
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The verdict, the numbers and the command as Markdown on stdout; writes no page
    #[arg(long)]
    markdown: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let report = if arguments.json {
        let report = Report::read(&arguments.run)?;
        super::print_json(&report)?;
        report
    } else if arguments.markdown {
        let report = Report::read(&arguments.run)?;
        super::print(&report::markdown(&report))?;
        report
    } else {
        let report = report::write(&arguments.run)?;
        talk(format_args!("the report is in {}", arguments.run.join(REPORT_HTML).display()));
        report
    };
    Ok(report.run.outcome())
}

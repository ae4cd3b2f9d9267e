//! `dejaq expand --suggest`: a rule file to start from.

use std::path::PathBuf;

use dejaq_replay::inventory::suggest;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::segment::recording::Recording;

#[derive(clap::Args)]
#[command(after_help = "\
Reads every payload, recognises its format, and writes rules for the tags that are worth multiplying, with \
what was measured in comments. Change them, and see with plan --expand what they would reach.

Exit codes: 0 written; 3 written, and damaged blocks were left out; 1 failed; 2 usage.

Examples:
  dejaq expand --suggest rec > rules.toml
  dejaq plan rec --to kafka://staging:9092 --expand rules.toml")]
pub(crate) struct Arguments {
    /// The recording to write rules for; they go to stdout
    #[arg(long, value_name = "DIR")]
    suggest: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let recording = Recording::open(&arguments.suggest)?;
    let report = super::tags::read(&recording)?;
    super::print(&suggest(&report, &arguments.suggest.display().to_string()))?;
    Ok(if report.damaged_blocks == 0 { Outcome::Done } else { Outcome::Doubtful })
}

//! `dejaq fidelity`: how like the recording a replay was.

use std::path::PathBuf;

use anyhow::Context as _;
use dejaq_replay::fidelity::of_recordings::of_recordings;
use dejaq_replay::fidelity::of_run::of_run;
use dejaq_replay::fidelity::text::text;
use dejaq_replay::run::dir::RUN_JSON;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::segment::recording::Recording;

use super::Usage;
use crate::progress::talk;

#[derive(clap::Args)]
#[command(after_help = "\
A run is held against its own planned schedule (what speed, copies and ceilings made of the recording), so a run at four times \
the speed can be as like as one at the recorded pace. A recording, such as a capture of what arrived, is held against the recording as it \
is, both from their first record on. The score is the lowest of the parts: rate, inter-arrival, sizes, key ranks, stream shares, burstiness, \
order (docs/MEASUREMENT.md, section 10).

Exit codes: 0 done; 4 below --fail-below; 1 failed; 2 usage.

Examples:
  dejaq fidelity run1 rec
  dejaq fidelity recaptured rec --fail-below 0.95 --json")]
pub(crate) struct Arguments {
    /// A run directory, or a recording
    #[arg(value_name = "RUNDIR|DIR")]
    new: PathBuf,
    /// The recording: that the run must have replayed, or to hold the other against
    #[arg(value_name = "DIR")]
    base: PathBuf,
    /// Exit with 4 if the score is below this, from 0 to 1
    #[arg(long, value_name = "SCORE")]
    fail_below: Option<f64>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Where to sort a recording that is too far out of time order for memory (default: the system's directory for temporary files)
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments { new, base, fail_below, json, scratch } = arguments;
    if fail_below.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return Err(Usage::error("--fail-below is a score from 0 to 1"));
    }
    let fidelity = if new.join(RUN_JSON).exists() {
        let recording = Recording::open(base).with_context(|| format!("opening {}", base.display()))?;
        of_run(new, &recording.id_text())?
    } else {
        let scratch = scratch.clone().unwrap_or_else(std::env::temp_dir);
        of_recordings(new, base, &scratch)?
    };
    if *json {
        super::print_json(&fidelity)?;
    } else {
        super::print(&text(&fidelity))?;
    }
    let Some(least) = fail_below.filter(|least| fidelity.score < *least) else { return Ok(Outcome::Done) };
    talk(format_args!("{} is {:.4}, below {least}", fidelity.lowest, fidelity.score));
    Ok(Outcome::Threshold)
}

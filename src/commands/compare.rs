//! `dejaq compare`: is NEW better than BASE, the same, or worse?

use std::path::PathBuf;

use dejaq_replay::compare::charts::Sides;
use dejaq_replay::compare::load::{Loaded, load};
use dejaq_replay::compare::result::Comparison;
use dejaq_replay::compare::verdict::Verdict;
use dejaq_replay::compare::{Options, compare, page, text};
use dejaq_replay::fail_if::of_comparison::{Crossed, RatioThreshold};
use dejaq_replay::run::dir::write_whole;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::units::parse_percent;

use super::Usage;
use crate::progress::talk;

#[derive(clap::Args)]
#[command(after_help = "\
BASE and NEW are run directories; several runs of the same thing are joined by commas, and then what varies from run to run is in the \
intervals. Decisive are p50 and p99 of response, the achieved rate and the share of unanswered messages; the rest is shown \
(docs/MEASUREMENT.md, section 9).

Exit codes: 0 no regression; 4 NEW is worse, or a threshold crossed; 3 a run is INVALID and was compared all the same; 1 failed, or not \
comparable; 2 usage.

Examples:
  dejaq compare run1 run2
  dejaq compare base1,base2,base3 new1,new2,new3 --fail-if 'p99(response) > 1.1x' --markdown
  dejaq compare run1 run2 --html comparison.html
  dejaq compare run1 run2 --json | jq .verdict")]
pub(crate) struct Arguments {
    /// The run to compare with, or several: run1,run2,run3
    #[arg(value_name = "BASE")]
    base: String,
    /// The run to judge, or several
    #[arg(value_name = "NEW")]
    new: String,
    /// How far from 1 a ratio still counts as the same
    #[arg(long, value_name = "P", default_value = "5%")]
    margin: String,
    /// Exit with 4 if the whole interval of a ratio is beyond this: 'p99(response) > 1.1x', or the plain ratio of what a run
    /// has one value of: 'lag_messages_max > 2x'; may be given several times
    #[arg(long, value_name = "EXPR")]
    fail_if: Vec<String>,
    /// Exit with 4 also if a decisive measure, or a --fail-if, cannot be told
    #[arg(long)]
    fail_if_unsure: bool,
    /// Compare what is not comparable: an INVALID run, another recording, another plan
    #[arg(long)]
    anyway: bool,
    /// The seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// As JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As Markdown, for a pull request
    #[arg(long)]
    markdown: bool,
    /// Write a page too, with the intervals and both sides as pictures: one file that needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let margin = parse_percent(&arguments.margin).map_err(Usage::error)?;
    if !(0.0..1.0).contains(&margin) {
        return Err(Usage::error("--margin is a percentage below 100%"));
    }
    let thresholds = arguments.fail_if.iter().map(|e| RatioThreshold::parse(e)).collect::<Result<Vec<_>, _>>().map_err(Usage::error)?;
    let loaded = load(&paths("BASE", &arguments.base)?, &paths("NEW", &arguments.new)?)?;
    let objections: Vec<&String> = loaded.invalid.iter().chain(&loaded.other_plan).collect();
    if !objections.is_empty() && !arguments.anyway {
        let list: String = objections.iter().map(|o| format!("\n  {o}")).collect();
        anyhow::bail!("these runs are not comparable (--anyway compares them all the same):{list}");
    }
    let doubtful = !loaded.invalid.is_empty();
    let comparison = compared(&loaded, Options { margin, seed: arguments.seed, ..Options::default() });
    if let Some(file) = &arguments.html {
        let Loaded { base, new, axis, closed_loop, .. } = &loaded;
        let sides = Sides { runs: [base, new], axis: *axis, paired: comparison.paired, closed_loop: *closed_loop };
        write_whole(file, page::html(&comparison, &sides).as_bytes())?;
        talk(format_args!("the comparison is in {}", file.display()));
    }
    if arguments.json {
        super::print_json(&comparison)?;
    } else if arguments.markdown {
        super::print(&text::markdown(&comparison))?;
    } else {
        super::print(&text::text(&comparison))?;
    }
    let crossed = crossed(&comparison, &thresholds, arguments.fail_if_unsure)?;
    Ok(match comparison.outcome() {
        Outcome::Done if crossed => Outcome::Threshold,
        Outcome::Done if doubtful => Outcome::Doubtful,
        outcome => outcome,
    })
}

fn compared(loaded: &Loaded, options: Options) -> Comparison {
    let Loaded { base, new, axis, invalid, other_plan, differences, closed_loop } = loaded;
    let (axis, closed_loop) = (*axis, *closed_loop);
    // Without a schedule the second of a message is the target's doing: there is nothing to pair.
    let paired = other_plan.is_empty() && !closed_loop;
    let mut comparison = compare(base, new, axis, &Options { paired, closed_loop, ..options });
    comparison.notes.extend(invalid.iter().chain(other_plan).map(|why| format!("compared although {why}")));
    comparison.notes.extend(differences.iter().cloned());
    comparison
}

/// Whether something makes the command fail that the verdict does not; each is said.
fn crossed(comparison: &Comparison, thresholds: &[RatioThreshold], fail_if_unsure: bool) -> anyhow::Result<bool> {
    let mut fails = false;
    for threshold in thresholds {
        let found = threshold.judge(comparison).map_err(Usage::error)?;
        let words = match found {
            Crossed::Yes => "crossed: the whole interval is beyond it",
            Crossed::No => "not crossed",
            Crossed::YesByRatio => "crossed by the plain ratio: there is one value a run, so nothing is known of chance",
            Crossed::NoByRatio => "not crossed by the plain ratio: there is one value a run, so nothing is known of chance",
            Crossed::CannotTell => "cannot tell: it lies within the interval, or there is none, or no ratio",
        };
        talk(format_args!("--fail-if '{threshold}': {words}"));
        fails |= matches!(found, Crossed::Yes | Crossed::YesByRatio) || (fail_if_unsure && found == Crossed::CannotTell);
    }
    let unsure = comparison.measures.iter().filter(|m| m.primary && m.verdict == Verdict::CannotTell).count();
    if fail_if_unsure && unsure > 0 {
        talk(format_args!("--fail-if-unsure: {unsure} decisive measures cannot be told"));
        fails = true;
    }
    Ok(fails)
}

/// The run directories of a side.
fn paths(side: &str, typed: &str) -> anyhow::Result<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = typed.split(',').map(|path| PathBuf::from(path.trim())).collect();
    if paths.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(Usage::error(format_args!("{side} is a run directory, or several joined by commas")));
    }
    Ok(paths)
}

//! What was asked for and cannot be reached, why, and what would make it reachable. Pure.

use dejaq_shared::units::{format_bytes, format_count, format_duration_ns, format_rate};
use serde::Serialize;

use super::RunTotals;
use crate::engine::RunSetup;
use crate::schedule::Pace;

/// Something that was asked for and cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreachable {
    /// What was asked for.
    pub what: String,
    /// Why it cannot be.
    pub why: String,
    /// What would make it reachable.
    pub remedy: String,
}

/// Compares what was asked for with what the run comes to.
pub(super) fn unreachable(setup: &RunSetup, run: &RunTotals, peak_per_s: u64, peak_bytes_per_s: u64) -> Vec<Unreachable> {
    let mut found = Vec::new();
    let copies = setup.planner.copies.number();
    if let Some((asked, span)) =
        setup.planner.run_ns.zip(run.span_ns).filter(|(asked, span)| !setup.planner.repeat && !over(*span, *asked, run))
    {
        let profile = if let Pace::Profile(profile) = &setup.planner.pace { Some(profile) } else { None };
        let (what, remedy) = match profile.filter(|p| p.len_ns() == asked) {
            Some(profile) => {
                let more = profile.messages() as f64 / run.messages.unwrap_or(0).max(1) as f64 * copies;
                let what = format!("the {} messages of --profile in {}", format_count(profile.messages()), format_duration_ns(asked));
                (what, format!("--loop repeats the recording until then, or --copies {:.0} makes enough of it", more.ceil()))
            }
            None => (format!("a run of {}", format_duration_ns(asked)), "--loop repeats the recording until then".to_owned()),
        };
        let messages = format_count(run.messages.unwrap_or(0));
        let why = format!("the recording has {messages} messages for it and ends after {}", format_duration_ns(span));
        found.push(Unreachable { what, why, remedy });
    }
    if let (Pace::Profile(profile), Some(asked)) = (&setup.planner.pace, setup.asked_run_ns)
        && asked > profile.len_ns()
    {
        found.push(Unreachable {
            what: format!("--for {}", format_duration_ns(asked)),
            why: format!("the profile ends after {}, and the run with it", format_duration_ns(profile.len_ns())),
            remedy: "add a part to the profile, such as hold 10m".to_owned(),
        });
    }
    let (rate, bytes) = setup.asked_ceilings;
    if let Some(rate) = rate.filter(|rate| rate.as_f64() < peak_per_s as f64 && setup.planner.pace.is_scheduled()) {
        found.push(Unreachable {
            what: format!("the planned peak of {} messages in a second", format_count(peak_per_s)),
            why: format!("--max-rate {} holds what is above it back: it is sent later than intended", format_rate(rate.as_f64())),
            remedy: format!("--max-rate {peak_per_s}/s or more, or a lower pace"),
        });
    }
    if let Some(bytes) = bytes.filter(|bytes| *bytes < peak_bytes_per_s && setup.planner.pace.is_scheduled()) {
        found.push(Unreachable {
            what: format!("the planned peak of {} in a second", format_bytes(peak_bytes_per_s)),
            why: format!("--max-bytes {}/s holds what is above it back: it is sent later than intended", format_bytes(bytes)),
            remedy: format!("--max-bytes {peak_bytes_per_s}B/s or more, or a lower pace"),
        });
    }
    found
}

/// Whether a run that was to last `asked` did: its last message lies within a mean gap of the end.
fn over(span_ns: u64, asked_ns: u64, run: &RunTotals) -> bool {
    let gap_ns = span_ns / run.messages.unwrap_or(0).saturating_sub(1).max(1);
    run.cut || asked_ns.saturating_sub(span_ns) <= gap_ns
}

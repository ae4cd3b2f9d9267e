//! From a rule file to a run that follows it: rules are bound to the streams, a counting pass goes through the schedule
//! without sending, and from what it found every occurrence of a tag gets its value. Pure but for the reading.
//!
//! The counting pass is the planner itself with a transform that only counts, so that it meets exactly the occurrences that
//! the run will have: copies, thinning, time window, length of the run and all. It ends with the run, or, where that is long
//! or has no end, with the pass in which it has counted [`COUNTED_MAX`] records; what it counted then repeats.

use std::sync::Arc;

use dejaq_shared::units::format_count;
use serde::Serialize;

use crate::cardinality::{RuleBound, RuleNames};
use crate::feed::{FeedError, RecordFeed};
use crate::plan::Unreachable;
use crate::planner::{Planner, PlannerOptions};
use crate::transform::TransformJob;
use crate::transform::bound::Bound;
use crate::transform::count::{Counted, PayloadCount};
use crate::transform::error::RulesError;
use crate::transform::expansion::{Expansion, Horizon, Reach};

/// With more records than this the counting pass ends at the end of a pass of the recording.
pub const COUNTED_MAX: u64 = 20_000_000;

/// Why rules cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ExpandingError {
    /// The rules do not fit the recording.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The recording cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

/// What is known of the rules of a run before it starts.
#[derive(Debug, Clone, Default)]
pub struct Expanded {
    /// How the rules are called.
    pub names: Vec<RuleNames>,
    /// How many values each may show.
    pub bounds: Vec<RuleBound>,
    /// What each will come to.
    pub reached: Vec<RuleReach>,
    /// What was asked for and cannot be reached.
    pub unreachable: Vec<Unreachable>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// What one rule will come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleReach {
    /// The tag; those of a combination are joined by `+`.
    pub tag: String,
    /// The streams, as the rule has them.
    pub streams: String,
    /// Values alive at once; `null` where the rule sets no number.
    pub distinct: Option<u64>,
    /// Values born after the start in place of others.
    pub births: u64,
    /// All values that the run must show; `null` where the rule sets no number.
    pub asked: Option<u64>,
    /// The values that it will show, exactly; `null` where the rule sets no number.
    pub will_show: Option<u64>,
    /// How many times a value is written.
    pub occurrences: u64,
}

impl std::fmt::Display for RuleReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tag, streams, births, occurrences, .. } = self;
        write!(f, "{tag} in {streams}: ")?;
        if let (Some(distinct), Some(asked), Some(will_show)) = (self.distinct, self.asked, self.will_show) {
            let born = if *births > 0 { format!(", {} of them alive at once", format_count(distinct)) } else { String::new() };
            write!(f, "{} distinct values asked{born}; {} will be sent, ", format_count(asked), format_count(will_show))?;
        }
        write!(f, "written {} times", format_count(*occurrences))
    }
}

/// Counts and decides; the transform for the run comes back with what is known of it.
///
/// # Errors
/// [`ExpandingError`].
pub fn expand<F: RecordFeed + ?Sized>(
    options: &PlannerOptions,
    streams: &[String],
    bound: &Arc<Bound>,
    seed: u64,
    feed: &mut F,
    progress: &mut dyn FnMut(u64),
) -> Result<(TransformJob, Expanded), ExpandingError> {
    let (counted, horizon) = count(options, bound, feed, progress)?;
    let mut expanded = Expanded { notes: payload_notes(counted.payloads(), streams), ..Expanded::default() };
    let expansion = Expansion::new(Arc::clone(bound), &counted, horizon, seed)?;
    for (rule, reach) in bound.rules().expand.iter().zip(expansion.reach()) {
        expanded.names.push(RuleNames { tag: reach.tag.clone(), streams: rule.streams.clone() });
        expanded.bounds.push(RuleBound { asked: reach.distinct.map_or(0, |_| reach.asked) });
        expanded.take(&rule.streams, reach);
    }
    Ok((TransformJob::Rewrite { expansion: Arc::new(expansion), origin_ns: None }, expanded))
}

impl Expanded {
    fn take(&mut self, streams: &str, reach: &Reach) {
        let numbered = reach.distinct.is_some();
        self.reached.push(RuleReach {
            tag: reach.tag.clone(),
            streams: streams.to_owned(),
            distinct: reach.distinct,
            births: reach.births,
            asked: numbered.then_some(reach.asked),
            will_show: numbered.then_some(reach.will_show),
            occurrences: reach.occurrences,
        });
        let what = format!("{} distinct values of {} in {streams}", format_count(reach.asked), reach.tag);
        let missed = numbered && reach.will_show < reach.asked;
        for reason in &reach.reasons {
            if missed {
                self.unreachable.push(Unreachable { what: what.clone(), why: reason.why.clone(), remedy: reason.remedy.clone() });
            } else {
                self.notes.push(format!("{} in {streams}: {}; {}", reach.tag, reason.why, reason.remedy));
            }
        }
    }
}

fn count<F: RecordFeed + ?Sized>(
    options: &PlannerOptions,
    bound: &Arc<Bound>,
    feed: &mut F,
    progress: &mut dyn FnMut(u64),
) -> Result<(Counted, Horizon), FeedError> {
    let mut planner = Planner::new(PlannerOptions { transform: TransformJob::Count(Arc::clone(bound)), ..options.clone() });
    let (mut records, mut last_ns, mut cut) = (0, 0, false);
    loop {
        if options.repeat && !cut && (options.run_ns.is_none() || records >= COUNTED_MAX) {
            cut = true;
            planner.end_after_pass();
        }
        let more = planner.advance(feed)?;
        while let Some(mut batch) = planner.pop() {
            records += batch.items.len() as u64;
            last_ns = batch.items.last().map_or(last_ns, |item| item.due_ns);
            batch.clear();
            planner.reuse(batch);
        }
        progress(records);
        if !more {
            break;
        }
    }
    feed.rewind()?;
    let repeats = cut && !planner.is_over();
    let ns = if repeats { planner.pass_ns() } else { last_ns.saturating_add(1) };
    Ok((planner.into_books().transform.counted(), Horizon { ns, repeats }))
}

/// What of the payloads the rules could not be followed in, in words.
#[must_use]
pub fn payload_notes(payloads: &[PayloadCount], streams: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    for count in payloads {
        let format = count.format.name();
        let place = |example: &crate::transform::count::Example| {
            let stream = streams.get(example.stream as usize).map_or("", String::as_str);
            format!("for example {stream} at position {}: {}", example.position, example.why)
        };
        if let Some(example) = &count.example {
            let (malformed, payloads) = (format_count(count.malformed), format_count(count.payloads));
            notes.push(format!("{malformed} of {payloads} payloads are not {format} and go unchanged, {}", place(example)));
        }
        if let Some(example) = &count.unwritten_example {
            let unwritten = format_count(count.unwritten);
            notes.push(format!("{unwritten} {format} payloads cannot say what the rules want and go unchanged, {}", place(example)));
        }
        if count.without_stamp > 0 {
            notes.push(format!("{} {format} payloads have no time stamp to move", format_count(count.without_stamp)));
        }
    }
    notes
}

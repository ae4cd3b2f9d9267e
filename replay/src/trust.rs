//! Whether a run's numbers can be believed, and what limited it. Pure: facts in, reasons out.
//!
//! Any reason makes the run INVALID. Push-back by the target is a result and no reason. The generator was *late* when a
//! published percentile of response, or its maximum, differs by more than 5 % and 1 ms from what it would be without the
//! lateness that no hold explains.

use dejaq_shared::units::{format_count, format_ns, format_percent};
use serde::{Deserialize, Serialize};

use crate::measure::collector::Measured;

/// Whose fault a reason is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// dejaq itself, or the machine it runs on.
    Generator,
    /// The recording.
    Input,
    /// The way the run went.
    Run,
}

/// A reason not to believe a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reason {
    /// A short stable name.
    pub reason: String,
    /// Whose fault it is.
    pub cause: Cause,
    /// What was found, for people.
    pub detail: String,
}

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// No reason to doubt.
    Valid,
    /// The numbers cannot be trusted.
    Invalid,
}

/// What kept the run from its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LimitedBy {
    /// The target pushed back.
    Target,
    /// dejaq was not fast enough, or its queue was too small.
    Generator,
    /// `--max-rate` or `--max-bytes`.
    Ceiling,
}

/// The facts that trust is judged by.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Whether there was a schedule (not with `--max`).
    pub scheduled: bool,
    /// The percentiles of the measured window, and the warm-up that was left out of it.
    pub measured: Measured,
    /// Messages scheduled.
    pub messages: u64,
    /// Those sent within a second of their intended time.
    pub on_time: u64,
    /// What of the ledger does not hold, in words.
    pub imbalances: Vec<String>,
    /// Time from the start to the last answer.
    pub duration_ns: u64,
    /// Time held by ceilings.
    pub ceiling_ns: u64,
    /// Time held by a full client queue.
    pub full_queue_ns: u64,
    /// Time held by a broker that asked everybody to hold.
    pub blocked_ns: u64,
    /// The fewest messages in the client when its queue was full.
    pub queue_full_at: Option<usize>,
    /// The most messages due in one second.
    pub peak_per_s: u64,
    /// How often the ring was empty with its next record late already.
    pub dry_count: u64,
    /// The most lateness that this caused at a stretch.
    pub dry_late_max_ns: u64,
    /// The most lateness that no hold explains.
    pub late_max_ns: u64,
    /// Messages left out for lateness that was the generator's own.
    pub skipped_by_generator: u64,
    /// How far the wall clock jumped against the monotonic one.
    pub clock_step_ns: u64,
    /// Why the recording could not be read on.
    pub input_error: Option<String>,
    /// What of the recording was damaged, missing or cut off and so left out, in words.
    pub damages: Vec<String>,
    /// Why the client gave up.
    pub client_error: Option<String>,
    /// Rows of measurements that were lost because the disk was too slow.
    pub rows_lost: u64,
    /// Probes that ended before the run did, and why.
    pub probe_failures: Vec<String>,
    /// Messages whose output was not waited for to the end, since too many were waited for at once.
    pub outputs_crowded_out: u64,
}

/// What follows from the facts.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    /// Reasons not to believe the run; empty means VALID.
    pub reasons: Vec<Reason>,
    /// What kept it from its plan.
    pub limited_by: Option<LimitedBy>,
    /// The share of scheduled messages sent within a second of their intended time; `None` without a schedule.
    pub delivered: Option<f64>,
}

impl Trust {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.reasons.is_empty() { Verdict::Valid } else { Verdict::Invalid }
    }
}

/// Both must be exceeded for a percentile to differ.
const LATE_SHARE: f64 = 0.05;
/// See [`LATE_SHARE`].
const LATE_NS: u64 = 1_000_000;
/// A run of fewer messages, or shorter, says nothing about percentiles or rates.
pub const MESSAGES_MIN: u64 = 100;
/// See [`MESSAGES_MIN`].
pub const DURATION_NS_MIN: u64 = 100_000_000;
/// The client's queue must hold this much of the planned peak rate for its being full to be the target's doing.
const QUEUE_SECONDS_MIN: u64 = 2;
/// A wall clock that moves further than this against the monotonic one between two looks was set.
pub const CLOCK_STEP_NS: u64 = 100_000_000;
/// Below this share of delivered messages the planned load was not delivered.
pub const DELIVERED_MIN: f64 = 0.99;

/// Judges a run.
#[must_use]
pub fn judge(facts: &Facts) -> Trust {
    let late = late_percentiles(facts);
    let mut reasons = input_reasons(facts);
    reasons.extend(generator_reasons(facts, &late));
    reasons.extend(run_reasons(facts));
    Trust { reasons, limited_by: limited_by(facts, !late.is_empty()), delivered: delivered(facts) }
}

fn reason(reason: &str, cause: Cause, detail: String) -> Reason {
    Reason { reason: reason.to_owned(), cause, detail }
}

fn input_reasons(facts: &Facts) -> Vec<Reason> {
    let mut found = Vec::new();
    if let Some(error) = &facts.input_error {
        let detail = format!("the run ended where the recording could not be read on: {error}");
        found.push(reason("recording unreadable", Cause::Input, detail));
    }
    if let Some(first) = facts.damages.first() {
        let more = if facts.damages.len() > 1 { format!(" (and {} more)", facts.damages.len() - 1) } else { String::new() };
        let detail = format!("the recording is not whole: {first}{more}");
        found.push(reason("recording damaged", Cause::Input, detail));
    }
    found
}

fn generator_reasons(facts: &Facts, late: &[String]) -> Vec<Reason> {
    let mut found = Vec::new();
    let dry = facts.dry_count > 0 && facts.dry_late_max_ns >= facts.late_max_ns / 2;
    if !late.is_empty() && dry {
        let (count, latest) = (format_count(facts.dry_count), format_ns(facts.dry_late_max_ns));
        let detail = format!("reading the recording did not keep up {count} times, by up to {latest}; {}", late.join("; "));
        found.push(reason("recording ran dry", Cause::Input, detail));
    } else if !late.is_empty() {
        let detail = format!("the generator was late by up to {}; {}", format_ns(facts.late_max_ns), late.join("; "));
        found.push(reason("late pacer", Cause::Generator, detail));
    }
    if facts.skipped_by_generator > 0 {
        let detail = format!("{} messages were left out because the generator itself was late", format_count(facts.skipped_by_generator));
        found.push(reason("late pacer", Cause::Generator, detail));
    }
    if queue_too_small(facts) {
        let (held, peak) = (format_count(facts.queue_full_at.unwrap_or(0) as u64), format_count(facts.peak_per_s));
        let detail = format!(
            "the client's queue was full with {held} messages, less than {QUEUE_SECONDS_MIN} s of the planned peak of {peak} per second: enlarge it (queue.buffering.max.messages, queue.buffering.max.kbytes)"
        );
        found.push(reason("client queue too small", Cause::Generator, detail));
    }
    if facts.rows_lost > 0 {
        let count = format_count(facts.rows_lost);
        let detail = format!("{count} intervals could not be written in time: the run directory's disk is too slow");
        found.push(reason("measurements lost", Cause::Generator, detail));
    }
    if facts.outputs_crowded_out > 0 {
        let count = format_count(facts.outputs_crowded_out);
        let detail = format!(
            "more outputs were waited for than the probe has room for, and {count} messages were given up: look at a part of them (sample=10 in --probe), or wait less long (deadline=5s)"
        );
        found.push(reason("probe too small", Cause::Generator, detail));
    }
    found
}

fn run_reasons(facts: &Facts) -> Vec<Reason> {
    let mut found: Vec<Reason> = facts
        .probe_failures
        .iter()
        .map(|why| reason("probe failed", Cause::Run, format!("outputs could not be read to the end: {why}")))
        .collect();
    if let Some(error) = &facts.client_error {
        found.push(reason("client failed", Cause::Run, error.clone()));
    }
    if facts.messages < MESSAGES_MIN || facts.duration_ns < DURATION_NS_MIN {
        let (count, time, least) = (format_count(facts.messages), format_ns(facts.duration_ns), format_ns(DURATION_NS_MIN));
        let detail = format!("{count} messages in {time}: a run needs {MESSAGES_MIN} messages and {least} to say something");
        found.push(reason("too short", Cause::Run, detail));
    }
    found.extend(warm_up_only(facts).map(|detail| reason("warm-up only", Cause::Run, detail)));
    if facts.clock_step_ns > CLOCK_STEP_NS {
        let step = format_ns(facts.clock_step_ns);
        let detail = format!("the wall clock moved by {step} against the monotonic clock: it was set, or the machine was suspended");
        found.push(reason("clock step", Cause::Run, detail));
    }
    if !facts.imbalances.is_empty() {
        found.push(reason("unbalanced ledger", Cause::Run, facts.imbalances.join("; ")));
    }
    found
}

/// Why there is no measured window to speak of, if there is none.
fn warm_up_only(facts: &Facts) -> Option<String> {
    let Measured { scheduled, warm_up, unsettled_s, .. } = facts.measured;
    if let Some(seconds) = unsettled_s {
        return Some(format!("the first {seconds} s, half of the run, were slower than the rest with no more load: it never settled"));
    }
    let until_s = warm_up.filter(|_| scheduled < MESSAGES_MIN)?.until_s;
    Some(format!("after the warm-up of {until_s} s came {} messages: a run needs {MESSAGES_MIN}", format_count(scheduled)))
}

/// The percentiles that lateness changed, in words.
fn late_percentiles(facts: &Facts) -> Vec<String> {
    if !facts.scheduled {
        return Vec::new();
    }
    let (with, without) = (facts.measured.window.response.named(), facts.measured.window.response_on_time.named());
    let mut found = Vec::new();
    for ((name, with), (_, without)) in with.into_iter().zip(without) {
        match (with, without) {
            (Some(with), Some(without)) => {
                let by = with.abs_diff(without);
                if by > LATE_NS && by as f64 > LATE_SHARE * without as f64 {
                    found.push(format!("{name} of response is {}, without that lateness {}", format_ns(with), format_ns(without)));
                }
            }
            (None, Some(without)) => {
                found.push(format!("{name} of response is over an hour, without that lateness {}", format_ns(without)));
            }
            _ => {}
        }
    }
    found
}

fn queue_too_small(facts: &Facts) -> bool {
    let needed = facts.peak_per_s.saturating_mul(QUEUE_SECONDS_MIN);
    facts.scheduled && facts.full_queue_ns > LATE_NS && facts.queue_full_at.is_some_and(|held| (held as u64) < needed)
}

fn delivered(facts: &Facts) -> Option<f64> {
    (facts.scheduled && facts.messages > 0).then(|| facts.on_time as f64 / facts.messages as f64)
}

/// What held the run back most, if that was 1 % of its time or it did not deliver its load.
fn limited_by(facts: &Facts, late: bool) -> Option<LimitedBy> {
    let significant = |ns: u64| ns > 0 && ns >= facts.duration_ns / 100;
    if facts.scheduled && (late || queue_too_small(facts)) {
        return Some(LimitedBy::Generator);
    }
    let undelivered = delivered(facts).is_some_and(|share| share < DELIVERED_MIN);
    let pushed_back_ns = facts.full_queue_ns.saturating_add(facts.blocked_ns);
    let (held, by) =
        if pushed_back_ns >= facts.ceiling_ns { (pushed_back_ns, LimitedBy::Target) } else { (facts.ceiling_ns, LimitedBy::Ceiling) };
    if significant(held) || (undelivered && held > 0) {
        return Some(by);
    }
    // A flood that nothing held back went as fast as dejaq could.
    (!facts.scheduled || undelivered).then_some(LimitedBy::Generator)
}

/// A line for people about `delivered`.
#[must_use]
pub fn delivered_line(delivered: f64) -> String {
    format!("{} of the planned messages were sent within a second of their time", format_percent(delivered))
}

#[cfg(test)]
mod tests;

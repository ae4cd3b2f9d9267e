//! What may be compared: runs that are to be believed, of one recording and one plan. Pure.
//!
//! The plan is what the generator does: which records, when, with what in them. The client's settings, the target and its
//! topics are no part of it: they are what one compares.

use std::collections::BTreeMap;

use serde_json::Value;

use super::observed::{Axis, Observed};
use crate::run::report::RunReport;
use crate::trust::Verdict;

/// The options that make the plan.
const PLAN: [&str; 27] = [
    "speed",
    "rate",
    "profile",
    "max",
    "max-rate",
    "max-bytes-per-s",
    "copies",
    "copy-jitter-ns",
    "copy-suffix",
    "loop",
    "loop-keys",
    "streams",
    "for-ns",
    "from-time-ns",
    "to-time-ns",
    "clock",
    "shard",
    "late-skip-ns",
    "mark",
    "timestamps",
    "partitions",
    "key",
    "routing-key",
    "map-key",
    "expiration",
    "dead-lettered",
    "strip-reply-to",
];

/// The options that need not be the same and are not worth a note.
const INDIFFERENT: [&str; 10] = [
    "start-at-ns",
    "origin-ns",
    "scratch",
    "measure-topics",
    "create-topics",
    "map",
    "allow-unknown-source",
    "watch",
    "metrics",
    "fail-if",
];

/// What is known of a run, but for its latencies.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What it is called.
    pub name: String,
    /// Its report.
    pub report: RunReport,
    /// The second behind the last one in which something was due or was answered: the axis of a comparison ends with the last of them.
    pub end_s: u64,
}

/// The runs that are not to be believed, and why.
#[must_use]
pub fn invalid(runs: &[Facts]) -> Vec<String> {
    let of_run = |run: &Facts| {
        let Facts { name, report, .. } = run;
        let reasons: Vec<String> = report.trust.iter().map(|r| format!("{}: {}", r.reason, r.detail)).collect();
        (report.verdict != Verdict::Valid).then(|| format!("{name} is INVALID ({})", reasons.join("; ")))
    };
    runs.iter().filter_map(of_run).collect()
}

/// Where runs are of different recordings or plans, by what they say of themselves. The first run is held against all others.
#[must_use]
pub fn other_plan(runs: &[Facts]) -> Vec<String> {
    let mut found = Vec::new();
    let Some((first, others)) = runs.split_first() else { return found };
    for other in others {
        let names = format!("{} and {}", first.name, other.name);
        let (a, b) = (&first.report, &other.report);
        if a.recording.id != b.recording.id {
            found.push(format!("{names} replay different recordings ({} and {})", a.recording.id, b.recording.id));
        }
        for option in PLAN {
            if let Some((a, b)) = differing(&a.config, &b.config, option) {
                found.push(format!("{names} have different plans: {option} is {a} and {b}"));
            }
        }
        let copied = a.config.get("copies").and_then(Value::as_f64).is_some_and(|copies| (copies - 1.0).abs() > 0.0);
        let seeded = copied || is_set(&a.config, "expand");
        if seeded && a.seed != b.seed {
            found.push(format!("{names} have different plans: seed is {} and {}", a.seed, b.seed));
        }
        if rules(a) != rules(b) {
            found.push(format!("{names} have different plans: the rules of --expand are others (expand_rules in run.json)"));
        }
    }
    found
}

/// What is to be said of these runs, though it does not speak against comparing them.
#[must_use]
pub fn differences(runs: &[Facts]) -> Vec<String> {
    let mut found = Vec::new();
    let Some((first, others)) = runs.split_first() else { return found };
    for other in others {
        for option in first.report.config.keys().filter(|o| !PLAN.contains(&o.as_str()) && !INDIFFERENT.contains(&o.as_str())) {
            if let Some((a, b)) = differing(&first.report.config, &other.report.config, option) {
                found.push(format!("{option} is {a} in {} and {b} in {}", first.name, other.name));
            }
        }
        if first.report.target_cluster != other.report.target_cluster {
            let (a, b) = (&first.report.target_cluster, &other.report.target_cluster);
            found.push(format!("the target is {a} in {} and {b} in {}", first.name, other.name));
        }
    }
    found
}

/// Where the plans of runs differ in what was due, though their options are the same: a run that ended early, for instance.
#[must_use]
pub fn planned_otherwise(runs: &[&Observed], axis: Axis) -> Vec<String> {
    let Some((first, others)) = runs.split_first() else { return Vec::new() };
    let differs = |other: &&Observed| {
        let unit = first.units.iter().zip(&other.units).position(|(a, b)| a.scheduled != b.scheduled)?;
        let (a, b) = (first.units[unit].scheduled, other.units[unit].scheduled);
        let second = axis.from_s + unit as u64 * axis.unit_s;
        Some(format!("{} and {} have different plans: from second {second} on, {a} and {b} messages were due", first.name, other.name))
    };
    others.iter().filter_map(differs).collect()
}

/// The rule file, without its comments and its layout; as it stands, should it be no TOML.
fn rules(run: &RunReport) -> Option<Result<toml::Table, &str>> {
    run.expand_rules.as_deref().map(|text| text.parse().map_err(|_| text))
}

fn is_set(config: &BTreeMap<String, Value>, option: &str) -> bool {
    config.get(option).is_some_and(|value| !value.is_null())
}

/// The values of an option, if they differ.
fn differing<'a>(a: &'a BTreeMap<String, Value>, b: &'a BTreeMap<String, Value>, option: &str) -> Option<(&'a Value, &'a Value)> {
    let [a, b] = [a, b].map(|config| config.get(option).unwrap_or(&Value::Null));
    (a != b).then_some((a, b))
}

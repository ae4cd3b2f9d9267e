//! `cardinality.json`: the names are those of docs/EXPANSION.md and fixed.

use dejaq_shared::units::format_count;
use serde::{Deserialize, Serialize};

use super::{Cardinality, Metric, OTHERS, Rule};
use crate::distinct::{DistinctCount, ERROR_SHARE};

/// The name of the file in a run directory.
pub const CARDINALITY_JSON: &str = "cardinality.json";

/// What the rules of a run wrote into the messages that were sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardinalityReport {
    /// Rises when a reader would misread; 1 today.
    pub schema_version: u32,
    /// The relative standard error of every number that is not exact.
    pub estimate_error_share: f64,
    /// The `[[expand]]` rules, in the order of their file.
    pub rules: Vec<RuleCardinality>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleCardinality {
    /// The tag; those of a combination are joined by `+`.
    pub tag: String,
    /// The streams that it is for, as the rule has them.
    pub streams: String,
    /// Distinct values that the run had to show; `null` with `pick = "fresh"`, which sets no number.
    pub asked: Option<u64>,
    /// Distinct values that were sent.
    pub sent_distinct: u64,
    /// Whether `sent_distinct` is exact.
    pub sent_distinct_exact: bool,
    /// How often a value was written, in messages that were sent.
    pub written: u64,
    /// The same by metric, in the order in which they came; formats without metrics have one, without a name. Metrics
    /// past the bound of what is told apart share the last one, `(other metrics)`.
    pub metrics: Vec<MetricCardinality>,
}

impl std::fmt::Display for RuleCardinality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tag, streams, asked, sent_distinct, sent_distinct_exact, .. } = self;
        let about = if *sent_distinct_exact { "" } else { "about " };
        let asked = asked.map_or(String::new(), |asked| format!("{} distinct values asked, ", format_count(asked)));
        write!(f, "{tag} in {streams}: {asked}{about}{} sent (cardinality.json)", format_count(*sent_distinct))
    }
}

/// One metric under one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricCardinality {
    /// Its name.
    pub name: String,
    /// How often a value was written into it.
    pub written: u64,
    /// Distinct recorded values that were replaced.
    pub distinct_before: u64,
    /// Distinct values that were sent in their place.
    pub distinct_sent: u64,
    /// Distinct series (metric name and full tag set) as recorded.
    pub series_before: u64,
    /// Distinct series as sent.
    pub series_sent: u64,
    /// Which of the four are estimates, by their names; empty when all are exact.
    pub estimated: Vec<String>,
}

/// How a rule is called in the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleNames {
    /// See [`RuleCardinality::tag`].
    pub tag: String,
    /// See [`RuleCardinality::streams`].
    pub streams: String,
}

impl Cardinality {
    /// The report. `metrics` are the transform's names of metrics, by number.
    #[must_use]
    pub fn report(&self, rules: &[RuleNames], metrics: &[String]) -> CardinalityReport {
        let rules = self.rules.iter().zip(rules).map(|(rule, names)| rule_report(rule, names, metrics)).collect();
        CardinalityReport { schema_version: 1, estimate_error_share: ERROR_SHARE, rules }
    }
}

fn rule_report(rule: &Rule, names: &RuleNames, metrics: &[String]) -> RuleCardinality {
    let sent = rule.values.count();
    let mut accounts: Vec<MetricCardinality> =
        rule.metrics.iter().filter(|m| m.number != OTHERS).map(|m| metric_report(m, metrics)).collect();
    accounts.extend(rule.metrics.iter().filter(|m| m.number == OTHERS).map(|m| metric_report(m, metrics)));
    RuleCardinality {
        tag: names.tag.clone(),
        streams: names.streams.clone(),
        asked: (rule.bound.asked > 0).then_some(rule.bound.asked),
        sent_distinct: sent.count,
        sent_distinct_exact: sent.exact,
        written: rule.written,
        metrics: accounts,
    }
}

fn metric_report(metric: &Metric, names: &[String]) -> MetricCardinality {
    let counts: [(&str, DistinctCount); 4] = [
        ("distinct_before", metric.before.count()),
        ("distinct_sent", metric.sent.count()),
        ("series_before", metric.series_before.count()),
        ("series_sent", metric.series_sent.count()),
    ];
    let name = if metric.number == OTHERS { Some("(other metrics)") } else { names.get(metric.number as usize).map(String::as_str) };
    MetricCardinality {
        name: name.unwrap_or_default().to_owned(),
        written: metric.written,
        distinct_before: counts[0].1.count,
        distinct_sent: counts[1].1.count,
        series_before: counts[2].1.count,
        series_sent: counts[3].1.count,
        estimated: counts.iter().filter(|(_, count)| !count.exact).map(|(name, _)| (*name).to_owned()).collect(),
    }
}

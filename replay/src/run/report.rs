//! `run.json`: its fields are fixed; more may be added.

use std::collections::BTreeMap;

use dejaq_shared::outcome::Outcome;
use serde::{Deserialize, Serialize};

use crate::fail_if::of_run::ThresholdReport;
use crate::fit::FitReport;
use crate::ledger::{Counts, Reasons};
use crate::measure::latency::LatencySummary;
use crate::run::observed::ObservedReport;
use crate::trust::{DELIVERED_MIN, LimitedBy, Reason, Verdict};

/// The version of `run.json` that this build writes.
pub const SCHEMA_VERSION: u32 = 1;

/// A run, summed up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunReport {
    /// The version of this layout; it rises when a field changes its meaning or goes.
    pub schema_version: u32,
    /// False until the run has ended: then verdict and totals are those so far.
    pub finished: bool,
    /// Whether the numbers can be believed.
    pub verdict: Verdict,
    /// Why not.
    pub trust: Vec<Reason>,
    /// What kept the run from its plan; `null`: nothing did.
    pub limited_by: Option<LimitedBy>,
    /// The share of scheduled messages sent within a second of their intended time; `null` with `--max`.
    pub delivered: Option<f64>,
    /// The books.
    pub ledger: LedgerReport,
    /// The latencies of the measured window.
    pub latency: LatencyReport,
    /// What was left out of the latencies as warm-up; `null`: nothing.
    #[serde(default)]
    pub warm_up: Option<WarmUpReport>,
    /// Messages per second.
    pub rate: RateReport,
    /// The command as it was typed, word by word, secrets left out.
    #[serde(default)]
    pub command: Vec<String>,
    /// Every option as it held, secrets left out.
    pub config: BTreeMap<String, serde_json::Value>,
    /// The rule file of `--expand`, word for word; `null`: there was none.
    #[serde(default)]
    pub expand_rules: Option<String>,
    /// The seed.
    pub seed: u64,
    /// Which share of the streams this machine sent; `null`: all.
    pub shard: Option<String>,
    /// The start of the run, nanoseconds since 1970.
    pub t0_unix_ns: i64,
    /// What was replayed.
    pub recording: RecordingReport,
    /// The identity of the target's cluster.
    pub target_cluster: String,
    /// The run's own id, as in the mark.
    pub run_id: String,
    /// From the start to the last answer, in nanoseconds.
    pub duration_ns: u64,
    /// Whether service is that of a closed loop: the target's own pace decided when messages were sent (`--max`).
    pub closed_loop: bool,
    /// How long sending was held back, by what.
    pub holds: HoldsReport,
    /// Records sent before one of lower position in their stream and pass.
    pub order_violations: u64,
    /// What messages lost on their way to the target: `stripped`, `not_carried`.
    #[serde(flatten)]
    pub fit: FitReport,
    /// Latency by topic: the largest ones and `other`.
    pub topics: Vec<TopicReport>,
    /// What was observed of the system under test; `null`: nothing was looked at.
    #[serde(default)]
    pub observed: Option<ObservedReport>,
    /// What became of each `--fail-if`; empty until the run has ended.
    #[serde(default)]
    pub thresholds: Vec<ThresholdReport>,
    /// The clock of each stream and why, and whatever else was worth a warning.
    pub notes: Vec<String>,
}

/// The totals of the books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LedgerReport {
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// `{bucket: {reason: n}}`.
    pub reasons: Reasons,
}

/// The latencies; `null` where there was no schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LatencyReport {
    /// Sent − intended, of messages that were sent.
    pub schedule_error: Option<LatencySummary>,
    /// Acked − sent, of acked messages.
    pub service: LatencySummary,
    /// Acked − intended, every scheduled message in the denominator.
    pub response: Option<LatencySummary>,
    /// Response without the lateness that no hold explains.
    pub response_without_lateness: Option<LatencySummary>,
    /// Observed at the system's output − intended, every message that the probe waited for in the denominator; `null` without
    /// such a probe.
    #[serde(default)]
    pub end_to_end: Option<LatencySummary>,
}

/// The warm-up: it is in the books and the files of intervals, and not in [`RunReport::latency`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WarmUpReport {
    /// The first second of the measured window, counted from the start of the run.
    pub until_s: u64,
    /// Messages scheduled in the warm-up; all were confirmed.
    pub scheduled: u64,
    /// Acked − sent, of the warm-up alone.
    pub service: LatencySummary,
    /// Acked − intended, of the warm-up alone.
    pub response: Option<LatencySummary>,
}

/// Messages per second; `null` where it makes no sense (a single message, `--max`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RateReport {
    /// Scheduled messages over the time from the first to the last intended time.
    pub intended_per_s: Option<f64>,
    /// Acked messages over the time from the first sending to the last confirmation.
    pub achieved_per_s: Option<f64>,
}

/// What was replayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordingReport {
    /// The recording's id.
    pub id: String,
    /// The cluster it came from; several are joined by commas; empty when unknown.
    pub source_cluster: String,
}

/// Time held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HoldsReport {
    /// By ceilings, in nanoseconds.
    pub ceiling_ns: u64,
    /// By a full client queue, in nanoseconds.
    pub full_queue_ns: u64,
    /// By a broker that asked everybody to hold, in nanoseconds.
    #[serde(default)]
    pub blocked_ns: u64,
    /// The most lateness of a message that no hold explains, in nanoseconds.
    pub lateness_max_ns: u64,
}

/// One topic's latency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TopicReport {
    /// The target's topic, or `other`.
    pub name: String,
    /// Messages scheduled.
    pub scheduled: u64,
    /// Acked − sent.
    pub service: LatencySummary,
    /// Acked − intended.
    pub response: Option<LatencySummary>,
}

impl RunReport {
    /// How the run ended, for the exit code. INVALID numbers cross no threshold: 3 when it is INVALID or unfinished; 4 when a
    /// threshold is crossed; 3 when its load was not delivered, or messages were lost (skipped, failed or without an answer).
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let counts = &self.ledger.counts;
        let lost = counts.skipped + counts.failed + counts.unknown > 0;
        let undelivered = self.delivered.is_some_and(|share| share < DELIVERED_MIN);
        if self.verdict == Verdict::Invalid || !self.finished {
            Outcome::Doubtful
        } else if self.thresholds.iter().any(|threshold| threshold.crossed) {
            Outcome::Threshold
        } else if lost || undelivered {
            Outcome::Doubtful
        } else {
            Outcome::Done
        }
    }
}

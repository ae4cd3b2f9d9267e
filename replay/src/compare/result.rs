//! What a comparison found: the fields of `compare --json`, which are fixed; more may be added.

use dejaq_shared::outcome::Outcome;
use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// The version of the layout.
pub const SCHEMA_VERSION: u32 = 1;

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The verdict on all primary measures.
    pub verdict: Verdict,
    /// The runs of BASE.
    pub base: Vec<String>,
    /// The runs of NEW.
    pub new: Vec<String>,
    /// Whether seconds were paired: all runs are of one plan.
    pub paired: bool,
    /// Whether the intervals know nothing of what varies from run to run.
    pub within_run_only: bool,
    /// The first second that counts; before it is warm-up.
    pub from_s: u64,
    /// The length of a resampled unit in seconds.
    pub unit_s: u64,
    /// How many there are.
    pub units: usize,
    /// The length of a block in seconds.
    pub block_s: u64,
    /// How far from 1 a ratio still counts as the same, as a share.
    pub margin: f64,
    /// The seed of the bootstrap.
    pub seed: u64,
    /// How many resamplings.
    pub replicates: usize,
    /// What was compared, primary measures first.
    pub measures: Vec<Measure>,
    /// For people: why the runs are not comparable and were compared all the same, and how they differ.
    pub notes: Vec<String>,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What: `response`, `service`, `achieved_rate`, `unanswered_share`, `schedule_error`, `delivered`; of the system under test
    /// `lag_messages_max`, `rss_bytes_max` and so on.
    pub name: String,
    /// Whose: a consumer group, a source that was watched, a probe; `null`: dejaq's own, or of the only one in each run.
    #[serde(default)]
    pub of: Option<String>,
    /// Which quantile of it; 1 is the maximum; `null` where it is no distribution.
    pub quantile: Option<f64>,
    /// What the values are counted in: `ns`, `1/s`, `share`, `messages`, `bytes`, `cores`, `count`, `s`; empty: as its source has it.
    pub unit: String,
    /// The value of BASE; `null`: none, or infinite (among the unanswered).
    pub base: Option<f64>,
    /// The value of NEW, likewise.
    pub new: Option<f64>,
    /// NEW / BASE; `null`: none, or infinite.
    pub ratio: Option<f64>,
    /// The lower end of the interval of the ratio; `null`: not tested, or infinite.
    pub low: Option<f64>,
    /// The upper end; `null`: not tested, or infinite.
    pub high: Option<f64>,
    /// Whether there is an interval; then an end that is `null` is infinite.
    pub tested: bool,
    /// Whether a run has one value of it: there is no interval then, and a threshold is held against the plain ratio.
    #[serde(default)]
    pub single: bool,
    /// What the interval means.
    pub verdict: Verdict,
    /// Whether it counts in the verdict and the exit code.
    pub primary: bool,
    /// Why there is no interval, or what else is to be known.
    pub why: Option<String>,
}

impl Measure {
    /// One that is shown, without an interval: its values in BASE and NEW.
    pub(crate) fn untested(name: &str, quantile: Option<f64>, unit: &str, [base, new]: [Option<f64>; 2], why: &str) -> Self {
        Self {
            name: name.to_owned(),
            of: None,
            quantile,
            unit: unit.to_owned(),
            base,
            new,
            // An age can be below nothing, and has no ratio then.
            ratio: base.zip(new).filter(|(base, new)| base.min(*new) >= 0.0).and_then(|(base, new)| finite(new / base)),
            low: None,
            high: None,
            tested: false,
            single: false,
            verdict: Verdict::CannotTell,
            primary: false,
            why: Some(why.to_owned()),
        }
    }

    /// The name for people: `p99(response)`, `max(service)`, `achieved_rate`, `lag_messages_max(billing)`.
    #[must_use]
    pub fn title(&self) -> String {
        let of = self.of.as_ref().map(|of| format!("({of})")).unwrap_or_default();
        match self.quantile {
            Some(1.0) => format!("max({}{of})", self.name),
            Some(quantile) => format!("p{}({}{of})", quantile * 100.0, self.name),
            None => format!("{}{of}", self.name),
        }
    }

    /// The interval of the ratio, with infinity as such.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.tested.then(|| (self.low.unwrap_or(f64::INFINITY), self.high.unwrap_or(f64::INFINITY)))
    }
}

impl Comparison {
    /// How the command ends: with a regression when a primary measure is worse.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.verdict == Verdict::Worse { Outcome::Threshold } else { Outcome::Done }
    }
}

/// A number that JSON can say.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

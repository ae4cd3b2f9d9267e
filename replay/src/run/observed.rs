//! What `run.json` says of the system under test, beside the latencies of sending to it.

use std::collections::BTreeMap;

use dejaq_shared::units::format_count;
use serde::{Deserialize, Serialize};

use crate::measure::lag::LagReport;
use crate::measure::lag::rebalances::Rebalance;
use crate::measure::latency::LatencySummary;
use crate::measure::probe::freshness::FreshnessReport;
use crate::measure::silence::Silent;
use crate::measure::watch::SeriesSummary;

/// All that was observed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ObservedReport {
    /// `--probe`.
    pub probes: Vec<ProbeReport>,
    /// `--lag`.
    pub lag: Vec<GroupReport>,
    /// `--watch`.
    pub watch: Vec<WatchReport>,
}

impl ObservedReport {
    /// Observed − intended, of the probe that matches.
    #[must_use]
    pub fn end_to_end(&self) -> Option<LatencySummary> {
        self.probes.iter().find_map(|probe| probe.matched).map(|matched| matched.latency)
    }

    /// What a person should know beside the figures: who fell silent, and what could not be matched.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (name, answers) in self.lag.iter().map(|g| (&g.lag.group, &g.answers)).chain(self.watch.iter().map(|w| (&w.source, &w.answers)))
        {
            notes.extend(answers.silent.iter().map(|silent| format!("{name} {silent}")));
            notes.extend(answers.unwritten.iter().map(|why| format!("not all that {name} said is written: {why}")));
        }
        self.lag.iter().for_each(|group| notes.extend(group.lag.notes()));
        for group in self.lag.iter().filter(|group| !group.rebalances.is_empty()) {
            let count = group.rebalances.len() as u64 + group.rebalances_more;
            let first = group.rebalances.iter().take(1).map(Rebalance::to_string).collect::<String>();
            let more = if count > 1 { format!(", {} times in all", format_count(count)) } else { String::new() };
            notes.push(format!("{} {first}{more}", group.lag.group));
        }
        for matched in self.probes.iter().filter_map(|probe| probe.matched).filter(|m| m.without_value > 0) {
            let count = format_count(matched.without_value);
            notes.push(format!("{count} messages have nothing that the probe knows them by: they are not in end to end"));
        }
        notes
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProbeReport {
    /// As it holds, defaults and all.
    pub spec: String,
    /// Outputs read.
    pub outputs: u64,
    /// Why it ended early; `null`: it did not.
    pub failed: Option<String>,
    /// How messages and outputs came together; `null` for freshness.
    pub matched: Option<MatchReport>,
    /// How old the newest event was that outputs covered; `null` for a probe that matches.
    pub freshness: Option<FreshnessReport>,
}

/// How messages and outputs came together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MatchReport {
    /// Messages that were waited for: the denominator.
    pub expected: u64,
    /// Those whose output came.
    pub answered: u64,
    /// Those whose output did not come by the deadline.
    pub lost: u64,
    /// Those that were given up since too many were waited for at once; any makes the run INVALID.
    pub crowded_out: u64,
    /// Planned messages without the field that they are known by: not in the denominator.
    pub without_value: u64,
    /// Further outputs of a message.
    pub duplicates: u64,
    /// Outputs of no message that was waited for.
    pub unmatched: u64,
    /// Outputs without the field.
    pub outputs_without_value: u64,
    /// Observed − intended.
    pub latency: LatencySummary,
}

/// A consumer group, or a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GroupReport {
    /// Its lag.
    #[serde(flatten)]
    pub lag: LagReport,
    /// When it rebalanced, the oldest first.
    #[serde(default)]
    pub rebalances: Vec<Rebalance>,
    /// Further rebalances.
    #[serde(default)]
    pub rebalances_more: u64,
    /// When it could not be asked.
    #[serde(flatten)]
    pub answers: AnswersReport,
}

/// A source that was watched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WatchReport {
    /// Its name: an address without user, password and query, `pid:N` or `name:NAME`.
    pub source: String,
    /// What each metric came to.
    pub metrics: BTreeMap<String, SeriesSummary>,
    /// Metrics beyond those that have room.
    pub metrics_left_out: u64,
    /// When it could not be asked.
    #[serde(flatten)]
    pub answers: AnswersReport,
}

/// Whether a source answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AnswersReport {
    /// How often.
    pub answers: u64,
    /// When not, the oldest first.
    pub silent: Vec<Silent>,
    /// Further silences.
    pub silent_more: u64,
    /// Why not all of it is in the files; `null`: it is.
    pub unwritten: Option<String>,
}

//! What the target lacks and is to be made there: topics as the source had them (`--create-topics`), exchanges, queues and bindings as
//! they stood there (`--create-topology`).

use std::collections::BTreeMap;
use std::time::Duration;

use dejaq_replay::config::Options;
use dejaq_replay::recorded::SourceTopic;
use dejaq_replay::remap::{self, TopicPlan};
use dejaq_shared::broker::AnyTarget;
use dejaq_shared::broker::sink::{NewTopic, TargetTopic};
use dejaq_shared::broker::topic_settings;
use dejaq_shared::segment::recording::Recording;

use super::ready::TIMEOUT;
use super::snapshot::Snapshot;

/// Everything that is to be made.
pub(super) struct Making {
    topics: Vec<NewTopic>,
    topology: Option<Snapshot>,
    notes: Vec<String>,
}

impl Making {
    /// What is to be made, as far as that was asked for; the target has been asked whether it would. Nothing is made yet.
    pub(super) fn of(
        options: &Options,
        recording: &Recording,
        source: &BTreeMap<String, SourceTopic>,
        plan: &TopicPlan,
        at_target: &[TargetTopic],
        target: &AnyTarget,
    ) -> anyhow::Result<Self> {
        let topology = options.create_topology.then(|| Snapshot::of(recording)).transpose()?;
        let (topics, notes) = if options.create_topics { missing_topics(source, plan, at_target, target)? } else { Default::default() };
        Ok(Self { topics, topology, notes })
    }

    /// Takes what will be made for there.
    pub(super) fn plan(&self, plan: &TopicPlan, at_target: &mut Vec<TargetTopic>) {
        at_target.retain(|there| !self.topics.iter().any(|missing| missing.name == there.name));
        at_target.extend(self.topics.iter().map(topic_settings::planned));
        if let Some(topology) = &self.topology {
            topology.plan(plan, at_target);
        }
    }

    /// Makes it, and says what of it a person should know; `None`: there was nothing to make.
    pub(super) fn make(&self, target: &AnyTarget, timeout: Duration) -> anyhow::Result<Option<Vec<String>>> {
        if self.topics.is_empty() && self.topology.is_none() {
            return Ok(None);
        }
        target.create_topics(&self.topics, timeout)?;
        let said = self.topology.as_ref().map(|topology| target.create_topology(topology.bytes(), timeout)).transpose()?;
        Ok(Some(said.unwrap_or_default()))
    }

    /// What will not be as at the source.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

/// The topics that are to be made, as the target can have them, and what of them is not as at the source.
fn missing_topics(
    source: &BTreeMap<String, SourceTopic>,
    plan: &TopicPlan,
    at_target: &[TargetTopic],
    target: &AnyTarget,
) -> anyhow::Result<(Vec<NewTopic>, Vec<String>)> {
    let own = |topic: &str| source.get(topic).map(|t| t.settings.clone().into_iter().collect()).unwrap_or_default();
    let mut missing = remap::to_create(plan, at_target, &|topic| source.get(topic).map(|t| t.partitions), &own);
    if missing.is_empty() {
        return Ok((missing, Vec::new()));
    }
    let replicas = target.default_replicas(TIMEOUT)?;
    let notes = missing.iter_mut().flat_map(|topic| topic_settings::fit(topic, replicas)).collect();
    target.would_create(&missing, TIMEOUT)?;
    Ok((missing, notes))
}

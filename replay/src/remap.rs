//! What goes where: topics by `--map OLD=NEW`, partitions by `--partitions`. Everything that can be refused is refused
//! here, before anything is sent. Pure.

use std::num::NonZeroU32;

use dejaq_shared::broker::sink::{NewTopic, TargetIx, TargetTopic};
use dejaq_shared::record::Stream;
use dejaq_shared::units::format_bytes;

use crate::batch::Route;

/// What Kafka's limit counts besides a message's own bytes, at least: the head of a batch of one (61 bytes, KIP-98) and the
/// record's own lengths.
const BATCH_BYTES: u64 = 68;

/// How partitions are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartitionMode {
    /// The recorded partition; refused when the target has fewer.
    #[default]
    Exact,
    /// The recorded partition modulo the target's count: order per partition is kept.
    Modulo,
    /// By the key, as Kafka's Java client does: order per key is kept, not per partition. Records without a key, which that
    /// client spreads as it likes, go by the recorded partition modulo the target's count, and so keep their order.
    Rekey,
}

impl PartitionMode {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Modulo => "modulo",
            Self::Rekey => "rekey",
        }
    }
}

/// Why the target cannot take the recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemapError {
    /// A mapping that matches nothing.
    #[error("--map {old}={new}: the recording has no selected topic {old:?}; it has {known}")]
    NoSuchTopic {
        /// The recorded name.
        old: String,
        /// The name to give.
        new: String,
        /// The topics there are.
        known: String,
    },
    /// The target lacks topics.
    #[error("the target has no topic {}; create {}, or give --create-topics", .0.join(", "), if .0.len() == 1 { "it" } else { "them" })]
    Missing(Vec<String>),
    /// The target has fewer partitions.
    #[error("topic {topic:?} has {have} partitions at the target, the recording needs {need} (records of partition {}); make it as wide, or give --partitions modulo (or rekey)", need - 1)]
    TooFewPartitions {
        /// The target's topic.
        topic: String,
        /// What it has.
        have: u32,
        /// What is needed.
        need: u32,
    },
    /// A recorded partition that cannot be one.
    #[error("stream {0} has a negative partition")]
    BadPartition(String),
}

/// Which topics the target must have, and what goes into them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicPlan {
    /// The target's topics, in the order of [`TargetIx`].
    pub topics: Vec<PlannedTopic>,
    /// For each stream of the recording its topic; `None`: not selected.
    pub of_stream: Vec<Option<TargetIx>>,
}

/// A topic at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTopic {
    /// Its name there.
    pub name: String,
    /// The recorded topics that go into it.
    pub sources: Vec<String>,
    /// How many partitions it needs to take them one to one.
    pub partitions: u32,
}

/// Names the target's topics. `selected` says which streams are replayed.
///
/// # Errors
/// [`RemapError`].
pub fn topics(streams: &[Stream], selected: &[bool], map: &[(String, String)]) -> Result<TopicPlan, RemapError> {
    let mut plan = TopicPlan { topics: Vec::new(), of_stream: vec![None; streams.len()] };
    let chosen = || streams.iter().zip(selected).filter(|(_, s)| **s).map(|(stream, _)| stream);
    for (old, new) in map {
        if !chosen().any(|s| s.topic() == old) {
            let mut known: Vec<&str> = chosen().map(Stream::topic).collect();
            known.sort_unstable();
            known.dedup();
            return Err(RemapError::NoSuchTopic { old: old.clone(), new: new.clone(), known: known.join(", ") });
        }
    }
    for (ix, stream) in streams.iter().enumerate().filter(|(ix, _)| selected.get(*ix) == Some(&true)) {
        let source = stream.topic();
        let name = map.iter().find(|(old, _)| old == source).map_or(source, |(_, new)| new);
        let partition = u32::try_from(stream.partition()).map_err(|_| RemapError::BadPartition(stream.name()))?;
        let at = plan.topics.iter().position(|t| t.name == name).unwrap_or_else(|| {
            plan.topics.push(PlannedTopic { name: name.to_owned(), sources: Vec::new(), partitions: 0 });
            plan.topics.len() - 1
        });
        let topic = &mut plan.topics[at];
        topic.partitions = topic.partitions.max(partition.saturating_add(1));
        if !topic.sources.iter().any(|s| s == source) {
            topic.sources.push(source.to_owned());
        }
        plan.of_stream[ix] = TargetIx::try_from(at).ok();
    }
    Ok(plan)
}

/// The topics that the target lacks, as wide as at the source (the larger of what is recorded and `source_partitions`,
/// which the recording's attachments may tell), with `settings` of the first source topic.
#[must_use]
pub fn to_create(
    plan: &TopicPlan,
    at_target: &[TargetTopic],
    source_partitions: &dyn Fn(&str) -> Option<u32>,
    settings: &dyn Fn(&str) -> Vec<(String, String)>,
) -> Vec<NewTopic> {
    let missing = plan.topics.iter().filter(|t| partitions_of(&t.name, at_target).is_none());
    missing
        .map(|topic| NewTopic {
            name: topic.name.clone(),
            partitions: topic.sources.iter().filter_map(|s| source_partitions(s)).fold(topic.partitions, u32::max),
            settings: topic.sources.first().map(|s| settings(s)).unwrap_or_default(),
        })
        .collect()
}

/// Where each stream's records go, given the topics that the target has.
///
/// # Errors
/// [`RemapError`] when a topic is missing or too narrow.
pub fn routes(
    plan: &TopicPlan,
    streams: &[Stream],
    at_target: &[TargetTopic],
    mode: PartitionMode,
) -> Result<Vec<Option<Route>>, RemapError> {
    let missing: Vec<String> =
        plan.topics.iter().filter(|t| partitions_of(&t.name, at_target).is_none()).map(|t| format!("{:?}", t.name)).collect();
    if !missing.is_empty() {
        return Err(RemapError::Missing(missing));
    }
    let mut routes = Vec::with_capacity(streams.len());
    for (stream, target) in streams.iter().zip(&plan.of_stream) {
        let Some((target, topic)) = target.and_then(|ix| Some((ix, plan.topics.get(ix as usize)?))) else {
            routes.push(None);
            continue;
        };
        let have = partitions_of(&topic.name, at_target).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let partition = u32::try_from(stream.partition()).map_err(|_| RemapError::BadPartition(stream.name()))?;
        let partition = match mode {
            PartitionMode::Exact if partition >= have.get() => {
                return Err(RemapError::TooFewPartitions { topic: topic.name.clone(), have: have.get(), need: topic.partitions });
            }
            PartitionMode::Exact => partition,
            PartitionMode::Modulo | PartitionMode::Rekey => partition % have,
        };
        let by_key = (mode == PartitionMode::Rekey).then_some(have);
        routes.push(Some(Route { target, partition: i32::try_from(partition).unwrap_or(i32::MAX), by_key }));
    }
    Ok(routes)
}

/// What order `--partitions` gives up, in words; `None`: none.
#[must_use]
pub fn order_given_up(mode: PartitionMode) -> Option<&'static str> {
    match mode {
        PartitionMode::Exact => None,
        PartitionMode::Modulo => Some("--partitions modulo: order is kept within each recorded partition; several may share one"),
        PartitionMode::Rekey => Some(
            "--partitions rekey: a key's records keep their order, a recorded partition's do not: they spread over the target's partitions by murmur2 (records without a key: recorded partition modulo the count)",
        ),
    }
}

/// Warnings about records that are larger than their topic takes. `largest` is each stream's largest record in bytes.
#[must_use]
pub fn too_large(plan: &TopicPlan, streams: &[Stream], at_target: &[TargetTopic], largest: &[u64]) -> Vec<String> {
    let mut warnings = Vec::new();
    for ((stream, target), largest) in streams.iter().zip(&plan.of_stream).zip(largest) {
        let Some(topic) = target.and_then(|ix| plan.topics.get(ix as usize)) else { continue };
        let limit = at_target.iter().find(|t| t.name == topic.name).and_then(|t| t.message_bytes_max);
        if let Some(limit) = limit.filter(|limit| largest.saturating_add(BATCH_BYTES) > *limit) {
            let (name, topic) = (stream.name(), &topic.name);
            warnings.push(format!(
                "stream {name} has a record of {}, topic {topic:?} takes {} at most (max.message.bytes): such records will fail or be skipped, and are counted",
                format_bytes(*largest),
                format_bytes(limit)
            ));
        }
    }
    warnings
}

fn partitions_of(name: &str, at_target: &[TargetTopic]) -> Option<u32> {
    at_target.iter().find(|t| t.name == name).and_then(|t| t.partitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partitioner::java_partition;
    use crate::testing::stream;
    use dejaq_shared::broker::sink::TopicTimes;

    fn target(name: &str, partitions: Option<u32>) -> TargetTopic {
        TargetTopic { name: name.to_owned(), partitions, message_bytes_max: Some(1_000), times: TopicTimes::default() }
    }

    fn pairs(map: &[(&str, &str)]) -> Vec<(String, String)> {
        map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn exact_keeps_partitions_and_refuses_a_narrow_target() {
        let streams = [stream("a", 0), stream("a", 4), stream("b", 0)];
        let plan = topics(&streams, &[true; 3], &pairs(&[("b", "bb")])).expect("plan");
        let wide = [target("a", Some(5)), target("bb", Some(1))];
        let found = routes(&plan, &streams, &wide, PartitionMode::Exact).expect("routes");
        assert_eq!(found, [Some(Route::fixed(0, 0)), Some(Route::fixed(0, 4)), Some(Route::fixed(1, 0))]);
        let narrow = [target("a", Some(4)), target("bb", Some(1))];
        let refused = routes(&plan, &streams, &narrow, PartitionMode::Exact).expect_err("narrow");
        assert_eq!(refused, RemapError::TooFewPartitions { topic: "a".into(), have: 4, need: 5 });
        assert!(refused.to_string().contains("--partitions modulo"));
        let modulo = routes(&plan, &streams, &narrow, PartitionMode::Modulo).expect("modulo");
        assert_eq!(modulo[1], Some(Route::fixed(0, 0)));
        let rekey = routes(&plan, &streams, &narrow, PartitionMode::Rekey).expect("rekey")[1].expect("selected");
        assert_eq!((rekey.partition_of(None), rekey.by_key), (0, NonZeroU32::new(4)));
        assert_eq!(rekey.partition_of(Some(b"")), java_partition(b"", NonZeroU32::new(4).expect("4")), "an empty key is a key");
    }

    #[test]
    fn streams_that_are_not_selected_go_nowhere() {
        let streams = [stream("a", 0), stream("b", 0)];
        let plan = topics(&streams, &[false, true], &[]).expect("plan");
        assert_eq!(routes(&plan, &streams, &[target("b", Some(1))], PartitionMode::Exact), Ok(vec![None, Some(Route::fixed(0, 0))]));
    }

    #[test]
    fn missing_topics_are_named_and_can_be_created_as_wide_as_at_the_source() {
        let streams = [stream("a", 1), stream("b", 0)];
        let plan = topics(&streams, &[true; 2], &pairs(&[("a", "x")])).expect("plan");
        let at_target = [target("b", Some(1)), target("x", None)];
        assert_eq!(routes(&plan, &streams, &at_target, PartitionMode::Exact), Err(RemapError::Missing(vec!["\"x\"".into()])));
        let created = to_create(&plan, &at_target, &|t| (t == "a").then_some(6), &|_| pairs(&[("cleanup.policy", "compact")]));
        assert_eq!(created, [NewTopic { name: "x".into(), partitions: 6, settings: pairs(&[("cleanup.policy", "compact")]) }]);
    }

    #[test]
    fn a_mapping_of_nothing_is_refused() {
        let refused = topics(&[stream("a", 0)], &[true], &pairs(&[("c", "d")])).expect_err("no c");
        assert_eq!(refused.to_string(), "--map c=d: the recording has no selected topic \"c\"; it has a");
    }

    #[test]
    fn records_too_large_for_their_topic_are_told_before() {
        let streams = [stream("a", 0), stream("a", 1)];
        let plan = topics(&streams, &[true; 2], &[]).expect("plan");
        let warnings = too_large(&plan, &streams, &[target("a", Some(2))], &[1_000 - BATCH_BYTES, 1_001 - BATCH_BYTES]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("stream a/1"), "{warnings:?}");
    }
}

//! What goes where: topics and exchanges by `--map OLD=NEW`, partitions by `--partitions` or by the key, connections by
//! `--connections`. Everything that can be refused is refused here, before anything is sent. Pure.

use std::num::NonZeroU32;

use dejaq_shared::broker::sink::{Destination, NewTopic, TargetIx, TargetKind, TargetTopic};
use dejaq_shared::record::{DEFAULT_EXCHANGE, Lane, Stream};
use dejaq_shared::units::format_bytes;

use crate::batch::Route;
use crate::partitioner::java_partition;

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
    #[error("--map {old}={new}: the recording has no selected {what} {old:?}; it has {known}")]
    NoSuchTopic {
        /// The recorded name.
        old: String,
        /// The name to give.
        new: String,
        /// What the recording has: topics, or exchanges and queues.
        what: &'static str,
        /// Those that there are.
        known: String,
    },
    /// The target lacks exchanges.
    #[error("the target has no exchange {}; declare {}, or give --create-topology", .0.join(", "), if .0.len() == 1 { "it" } else { "them" })]
    NoExchange(Vec<String>),
    /// What is published to the default exchange names queues, not topics.
    #[error(
        "stream {stream} is RabbitMQ's default exchange, which has no name that a topic could have: give --map '{DEFAULT_EXCHANGE}=TOPIC', or leave it out with --streams"
    )]
    DefaultExchange {
        /// The stream.
        stream: String,
    },
    /// The name of an exchange or a queue that no topic can have.
    #[error(
        "stream {stream} would go into a topic called {name:?}, and Kafka takes letters, digits, '.', '_' and '-' only, 249 at most: give --map '{stream}=TOPIC'"
    )]
    NoTopicName {
        /// The stream.
        stream: String,
        /// The name.
        name: String,
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

/// A topic or an exchange at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTopic {
    /// Its name there, for people: an exchange has its virtual host in front, where that is another than `/`.
    pub name: String,
    /// Where it is.
    pub destination: Destination,
    /// The recorded topics, exchanges and queues that go into it.
    pub sources: Vec<String>,
    /// Kafka: how many partitions it needs to take them one to one.
    pub partitions: u32,
}

impl PlannedTopic {
    fn new(destination: Destination, kind: TargetKind) -> Self {
        let name = match (&destination.vhost, destination.name.as_str()) {
            (Some(vhost), name) if vhost != "/" => format!("{vhost}/{}", if name.is_empty() { DEFAULT_EXCHANGE } else { name }),
            (_, "") if kind == TargetKind::RabbitMq => DEFAULT_EXCHANGE.to_owned(),
            (_, name) => name.to_owned(),
        };
        Self { name, destination, sources: Vec::new(), partitions: 0 }
    }
}

/// What names at the target depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Which broker it is.
    pub kind: TargetKind,
    /// RabbitMQ: whether its URL names the virtual host that everything goes into; else the recorded ones are kept.
    pub vhost_given: bool,
}

impl Target {
    /// A Kafka cluster.
    pub const KAFKA: Self = Self { kind: TargetKind::Kafka, vhost_given: false };
}

/// What a stream is called in `--map`, if it is there: an exchange or a queue by its whole name, too (`queue:log`).
fn mapped<'m>(stream: &Stream, map: &'m [(String, String)]) -> Option<&'m (String, String)> {
    let called = |name: &str| map.iter().find(|(old, _)| old == name);
    let whole = if matches!(stream.lane, Lane::Kafka { .. }) { None } else { called(&stream.name()) };
    whole.or_else(|| called(stream.topic()))
}

/// Where a stream's records go.
fn destination(stream: &Stream, new: Option<&str>, target: Target) -> Result<Destination, RemapError> {
    if target.kind == TargetKind::Kafka {
        let name = match (new, &stream.lane) {
            (Some(new), _) => new,
            (None, Lane::RabbitExchange { exchange, .. }) if exchange.is_empty() => {
                return Err(RemapError::DefaultExchange { stream: stream.name() });
            }
            (None, _) => stream.topic(),
        };
        // What a topic of Kafka's was called, a topic can be called.
        if !matches!(stream.lane, Lane::Kafka { .. }) && !can_be_topic(name) {
            return Err(RemapError::NoTopicName { stream: stream.name(), name: name.to_owned() });
        }
        return Ok(Destination::named(name));
    }
    let name = match (new, &stream.lane) {
        (Some(DEFAULT_EXCHANGE), _) | (None, Lane::RabbitQueue { .. }) => "",
        (Some(new), _) => new,
        (None, Lane::RabbitExchange { exchange, .. }) => exchange,
        (None, Lane::Kafka { topic, .. }) => topic,
    };
    let vhost = match &stream.lane {
        Lane::RabbitExchange { vhost, .. } | Lane::RabbitQueue { vhost, .. } => (!target.vhost_given).then(|| vhost.clone()),
        Lane::Kafka { .. } => None,
    };
    Ok(Destination { vhost, name: name.to_owned() })
}

/// Kafka's rule (`org.apache.kafka.common.internals.Topic.validate`).
fn can_be_topic(name: &str) -> bool {
    let taken = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(taken) && !matches!(name, "." | "..")
}

/// What a stream is a part of, or the whole of: a topic, an exchange or a queue.
fn source_of(stream: &Stream) -> String {
    if matches!(stream.lane, Lane::Kafka { .. }) { stream.topic().to_owned() } else { stream.name() }
}

/// The partition of a stream of Kafka's.
fn recorded_partition(stream: &Stream) -> Result<Option<u32>, RemapError> {
    match &stream.lane {
        Lane::Kafka { partition, .. } => u32::try_from(*partition).map(Some).map_err(|_| RemapError::BadPartition(stream.name())),
        Lane::RabbitExchange { .. } | Lane::RabbitQueue { .. } => Ok(None),
    }
}

/// Names the target's topics or exchanges. `selected` says which streams are replayed.
///
/// # Errors
/// [`RemapError`].
pub fn topics(streams: &[Stream], selected: &[bool], map: &[(String, String)], target: Target) -> Result<TopicPlan, RemapError> {
    let mut plan = TopicPlan { topics: Vec::new(), of_stream: vec![None; streams.len()] };
    let chosen = || streams.iter().zip(selected).filter(|(_, s)| **s).map(|(stream, _)| stream);
    for (old, new) in map {
        let is_used = |stream| mapped(stream, map).is_some_and(|(used, _)| used == old);
        if !chosen().any(is_used) {
            let mut known: Vec<String> = chosen().map(source_of).collect();
            known.sort_unstable();
            known.dedup();
            let all_kafka = chosen().all(|stream| matches!(stream.lane, Lane::Kafka { .. }));
            let what = if all_kafka { "topic" } else { "exchange or queue" };
            return Err(RemapError::NoSuchTopic { old: old.clone(), new: new.clone(), what, known: known.join(", ") });
        }
    }
    for (ix, stream) in streams.iter().enumerate().filter(|(ix, _)| selected.get(*ix) == Some(&true)) {
        let to = destination(stream, mapped(stream, map).map(|(_, new)| new.as_str()), target)?;
        let partition = recorded_partition(stream)?.unwrap_or(0);
        let at = plan.topics.iter().position(|t| t.destination == to).unwrap_or_else(|| {
            plan.topics.push(PlannedTopic::new(to, target.kind));
            plan.topics.len() - 1
        });
        let source = source_of(stream);
        let topic = &mut plan.topics[at];
        topic.partitions = topic.partitions.max(partition.saturating_add(1));
        if !topic.sources.contains(&source) {
            topic.sources.push(source);
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

/// What a topic or an exchange is divided into.
#[derive(Debug, Clone, Copy)]
pub enum Lanes<'a> {
    /// Kafka: partitions.
    Partitions(PartitionMode),
    /// RabbitMQ: the connection of each stream, from 0.
    Connections(&'a [u32]),
}

/// Where each stream's records go, given the topics or exchanges that the target has.
///
/// # Errors
/// [`RemapError`] when one is missing, or a topic is too narrow.
pub fn routes(plan: &TopicPlan, streams: &[Stream], at_target: &[TargetTopic], lanes: Lanes<'_>) -> Result<Vec<Option<Route>>, RemapError> {
    let is_missing = |topic: &&PlannedTopic| partitions_of(&topic.name, at_target).is_none() && !topic.destination.name.is_empty();
    let missing: Vec<String> = plan.topics.iter().filter(is_missing).map(|t| format!("{:?}", t.name)).collect();
    if !missing.is_empty() {
        return Err(match lanes {
            Lanes::Partitions(_) => RemapError::Missing(missing),
            Lanes::Connections(_) => RemapError::NoExchange(missing),
        });
    }
    let mut routes = Vec::with_capacity(streams.len());
    for (ix, (stream, target)) in streams.iter().zip(&plan.of_stream).enumerate() {
        let Some((target, topic)) = target.and_then(|ix| Some((ix, plan.topics.get(ix as usize)?))) else {
            routes.push(None);
            continue;
        };
        let have = partitions_of(&topic.name, at_target).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let (partition, by_key) = match (lanes, recorded_partition(stream)?) {
            (Lanes::Connections(connections), _) => (connections.get(ix).copied().unwrap_or(0), None),
            (Lanes::Partitions(PartitionMode::Exact), Some(partition)) if partition >= have.get() => {
                return Err(RemapError::TooFewPartitions { topic: topic.name.clone(), have: have.get(), need: topic.partitions });
            }
            (Lanes::Partitions(PartitionMode::Exact), Some(partition)) => (partition, None),
            (Lanes::Partitions(PartitionMode::Modulo), Some(partition)) => (partition % have, None),
            (Lanes::Partitions(PartitionMode::Rekey), Some(partition)) => (partition % have, Some(have)),
            // A stream's records without a key stay in their order.
            (Lanes::Partitions(_), None) => (java_partition(stream.name().as_bytes(), have).unsigned_abs(), Some(have)),
        };
        routes.push(Some(Route { target, partition: i32::try_from(partition).unwrap_or(i32::MAX), by_key }));
    }
    Ok(routes)
}

/// What order a replay into RabbitMQ over several connections gives up, in words; `None`: none.
#[must_use]
pub fn order_over_connections(connections: u32) -> Option<String> {
    (connections > 1).then(|| {
        format!("--connections {connections}: order is kept within each stream; between streams that travel by different connections it is given up")
    })
}

/// What order RabbitMQ's streams have in Kafka's partitions, in words.
#[must_use]
pub fn order_by_key(key: &crate::fit::KeySource) -> String {
    match key {
        crate::fit::KeySource::None => "--key none: all of an exchange goes into one partition, in its order".to_owned(),
        key => format!(
            "--key {key}: a key's messages keep their order, an exchange's do not: they spread over the topic's partitions by murmur2 (those without a key: one partition for each exchange)"
        ),
    }
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
mod tests;

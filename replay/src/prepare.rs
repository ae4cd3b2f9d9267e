//! The pre-flight: a recording, options and what the target says → everything that a run needs, or why there must be none.
//! Pure; whoever asks the target calls [`topics`] first, creates what is missing if that was asked for, then [`prepare`].

use std::collections::BTreeSet;
use std::sync::Arc;

use dejaq_shared::broker::sink::{QueueLimits, TargetKind, TargetTopic};
use dejaq_shared::record::{Lane, MARK_HEADER, Stream};
use dejaq_shared::segment::timeline::TimeStatistics;
use dejaq_shared::units::{Ratio, format_count};

use crate::assemble::RunIdentity;
use crate::ceiling::{CeilingError, Ceilings};
use crate::clock_choice::ClockDecision;
use crate::config::Options;
use crate::copies::Copies;
use crate::engine::RunSetup;
use crate::expanding::Expanded;
use crate::fit::Fit;
use crate::guard::{self, GuardError};
use crate::observers::Observers;
use crate::planner::PlannerOptions;
use crate::remap::{self, Lanes, RemapError, Target, TopicPlan};
use crate::run::report::RecordingReport;
use crate::schedule::Pace;
use crate::select::{SelectError, select};
use crate::shard::{Shard, assign};
use crate::timestamps::{self, Asked, TimestampError};
use crate::transform::TransformJob;

/// What must be known of a recording.
#[derive(Debug, Clone, Default)]
pub struct RecordingFacts {
    /// Its id.
    pub id: String,
    /// The clusters that its streams came from; an empty one is unknown.
    pub clusters: Vec<String>,
    /// The clusters that replayed traffic in it came from.
    pub ancestors: Vec<String>,
    /// Its streams.
    pub streams: Vec<Stream>,
    /// The records of each.
    pub records: Vec<u64>,
    /// The bytes of each one's largest record.
    pub record_bytes_max: Vec<u64>,
    /// The bytes of all, as [`Record::bytes_raw`](dejaq_shared::record::Record::bytes_raw) counts them.
    pub bytes_raw: u64,
    /// Whether it is still being written.
    pub live: bool,
    /// The times of each stream.
    pub times: Vec<TimeStatistics>,
}

/// What must be known of the target.
#[derive(Debug, Clone)]
pub struct TargetFacts {
    /// Which broker it is.
    pub kind: TargetKind,
    /// The identity of its cluster.
    pub cluster: String,
    /// Its topics or exchanges, as far as they matter, by the names of the plan.
    pub topics: Vec<TargetTopic>,
    /// When it was asked, nanoseconds since 1970: the time stamps are held against that.
    pub asked_at_ns: i64,
}

/// Why there must be no run.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The target is, or may be, the source.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The selection.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The target's topics.
    #[error(transparent)]
    Remap(#[from] RemapError),
    /// A ceiling.
    #[error(transparent)]
    Ceiling(#[from] CeilingError),
    /// Time stamps that the target would not keep.
    #[error(transparent)]
    Timestamps(#[from] TimestampError),
    /// Shards that would not agree on what there is.
    #[error("--shard: the recording is still being written, so that machines would not see the same in it; wait for the capture to end")]
    ShardOfLive,
    /// A shard without a stream.
    #[error("--shard {shard}: there are fewer streams ({streams} with records) than shards, and none is left for this one")]
    EmptyShard {
        /// Which one.
        shard: Shard,
        /// How many streams are replayed.
        streams: usize,
    },
    /// Nothing to send.
    #[error("nothing to replay: the selected streams have no records")]
    Nothing,
}

/// The client's queue: 96 MiB, of which librdkafka itself takes about this much a message.
const QUEUE_BYTES: u64 = 96 << 20;
const MESSAGE_OVERHEAD_BYTES: u64 = 304;
/// RabbitMQ's client slows down with the messages that it waits for: a flood has this many a connection.
const FLOOD_MESSAGES: usize = 1_000;
/// The name of the class of all topics that have none of their own.
pub const OTHER: &str = "other";

/// The topics or exchanges that the target must have.
///
/// # Errors
/// [`PrepareError`].
pub fn topics(recording: &RecordingFacts, options: &Options, target: Target) -> Result<TopicPlan, PrepareError> {
    let selected = select(&options.streams, &recording.streams)?;
    let with_records: Vec<bool> = selected.iter().zip(&recording.records).map(|(selected, records)| *selected && *records > 0).collect();
    if !with_records.contains(&true) {
        return Err(PrepareError::Nothing);
    }
    Ok(remap::topics(&recording.streams, &with_records, &options.map, target)?)
}

/// The limits of the client's queue: by the recording's mean size, unless the properties say otherwise. A flood into RabbitMQ has
/// less.
#[must_use]
pub fn queue_limits(recording: &RecordingFacts, options: &Options, plan: &TopicPlan, kind: TargetKind) -> QueueLimits {
    let set = |name: &str| options.properties.iter().rev().find(|(key, _)| key == name).and_then(|(_, value)| value.parse::<usize>().ok());
    let records: u64 = recording.records.iter().sum();
    let mean = recording.bytes_raw / records.max(1);
    let messages = usize::try_from((QUEUE_BYTES / (mean + MESSAGE_OVERHEAD_BYTES)).clamp(1_000, 1_000_000)).unwrap_or(usize::MAX);
    let flood = (kind == TargetKind::RabbitMq && options.pace == Pace::Max).then(|| {
        let vhosts: BTreeSet<_> = plan.topics.iter().map(|topic| topic.destination.vhost.as_deref()).collect();
        vhosts.len().max(1).saturating_mul(options.connections as usize).saturating_mul(FLOOD_MESSAGES)
    });
    QueueLimits {
        messages_max: set("queue.buffering.max.messages").unwrap_or(flood.unwrap_or(messages).min(messages)),
        bytes_max: set("queue.buffering.max.kbytes")
            .map_or(usize::try_from(QUEUE_BYTES).unwrap_or(usize::MAX), |kb| kb.saturating_mul(1024)),
    }
}

/// Puts a run together. `plan` is from [`topics`], `target.topics` what the target has of them by now.
///
/// # Errors
/// [`PrepareError`].
pub fn prepare(
    recording: &RecordingFacts,
    options: &Options,
    plan: &TopicPlan,
    target: &TargetFacts,
    clock: &ClockDecision,
    run_id: String,
) -> Result<RunSetup, PrepareError> {
    guard::check(&recording.clusters, &recording.ancestors, &target.cluster, options.allow_unknown_source)?;
    let connections = connections(recording, options, plan);
    let lanes = match target.kind {
        TargetKind::Kafka => Lanes::Partitions(options.partitions),
        TargetKind::RabbitMq => Lanes::Connections(&connections),
    };
    let routes = remap::routes(plan, &recording.streams, &target.topics, lanes)?;
    let chosen_max = recording.record_bytes_max.iter().zip(&routes).filter(|(_, r)| r.is_some()).map(|(b, _)| *b).max().unwrap_or(0);
    let mark_clusters: Vec<String> = recording.clusters.iter().chain(&recording.ancestors).filter(|c| !c.is_empty()).cloned().collect();
    // The mark's value: run id and clusters, escaped threefold at worst.
    let mark_max = MARK_HEADER.len() + 3 * (run_id.len() + mark_clusters.iter().map(|c| c.len() + 1).sum::<usize>()) + 4;
    let fit = fit(recording, options, plan, target.kind);
    let growth = mark_max + options.copies.key_growth_max() + fit.growth_bytes();
    let ceilings = ceilings(options, chosen_max.saturating_add(growth as u64))?;
    let (elsewhere, shard_note) = elsewhere(recording, options, plan)?;
    let (classes, class_of_target) = classes(plan, &recording.records, options.measure_topics as usize);
    let class_of_stream = plan.of_stream.iter().map(|t| t.and_then(|t| class_of_target.get(t as usize).copied())).collect();
    let mut notes = clock.reasons.clone();
    notes.extend(remap::too_large(plan, &recording.streams, &target.topics, &recording.record_bytes_max));
    notes.extend(order_notes(recording, options, plan, target.kind));
    notes.extend(timestamps::check(&asked(recording, options, target), plan, &target.topics)?);
    notes.extend(shard_note);
    let identity = RunIdentity {
        run_id,
        seed: options.seed,
        recording: RecordingReport { id: recording.id.clone(), source_cluster: recording.clusters.join(",") },
        mark_clusters,
        target_cluster: target.cluster.clone(),
        // Only the caller knows what was typed.
        command: Vec::new(),
        config: options.describe(),
        // Whoever read the rules knows them.
        expand_rules: None,
        notes,
        class_of_stream,
        shard: options.shard,
        thresholds: options.thresholds.clone(),
    };
    let largest = recording.record_bytes_max.iter().copied().max().unwrap_or(0);
    let planner = PlannerOptions {
        routes,
        elsewhere,
        from_time_ns: options.from_time_ns,
        to_time_ns: options.to_time_ns,
        pace: options.pace.clone(),
        repeat: options.repeat,
        run_ns: run_ns(options),
        copies: Copies { jitter_ns: options.copy_jitter_ns.unwrap_or(0), ..options.copies.clone() },
        marks: options.mark,
        transform: TransformJob::None,
        fit: Arc::new(fit),
        timestamps: options.timestamps,
        record_bytes_max: usize::try_from(largest).unwrap_or(usize::MAX),
    };
    Ok(RunSetup {
        identity,
        planner,
        ceilings,
        late_skip_ns: options.late_skip_ns,
        drain_ns: options.drain_ns,
        start_at_ns: options.start_at_ns,
        origin_ns: options.origin_ns,
        streams: recording.streams.iter().map(Stream::name).collect(),
        classes,
        class_of_target,
        target_names: plan.topics.iter().map(|t| t.name.clone()).collect(),
        asked_run_ns: options.run_ns,
        asked_ceilings: (options.max_rate, options.max_bytes),
        expanded: Expanded::default(),
        queue: queue_limits(recording, options, plan, target.kind),
        observers: Observers::default(),
    })
}

/// A ceiling is that of the run: each shard has its part.
fn ceilings(options: &Options, record_bytes_max: u64) -> Result<Ceilings, CeilingError> {
    let shards = options.shard.map_or(1, |shard| u64::from(shard.of()));
    let max_rate = options.max_rate.and_then(|rate| Ratio::new(rate.num(), rate.den().saturating_mul(shards)));
    Ceilings::new(max_rate, options.max_bytes.map(|bytes| bytes / shards), record_bytes_max)
}

/// What the time stamps are held against.
fn asked<'a>(recording: &'a RecordingFacts, options: &Options, target: &TargetFacts) -> Asked<'a> {
    Asked {
        mode: options.timestamps,
        origin_ns: options.origin_ns,
        start_ns: options.start_at_ns.unwrap_or(target.asked_at_ns),
        window_ns: (options.from_time_ns, options.to_time_ns),
        times: &recording.times,
    }
}

/// For each stream the connection that carries it, from 0: as even by records as whole streams allow.
fn connections(recording: &RecordingFacts, options: &Options, plan: &TopicPlan) -> Vec<u32> {
    let selected: Vec<bool> = plan.of_stream.iter().map(Option::is_some).collect();
    assign(&recording.records, &selected, options.connections).into_iter().map(|number| number.saturating_sub(1)).collect()
}

/// How records are made into messages of the target.
fn fit(recording: &RecordingFacts, options: &Options, plan: &TopicPlan, kind: TargetKind) -> Fit {
    let is_default =
        |target: &Option<u32>| target.and_then(|ix| plan.topics.get(ix as usize)).is_some_and(|topic| topic.destination.name.is_empty());
    let to_default: Vec<bool> = plan.of_stream.iter().map(is_default).collect();
    let speed = if let Pace::Recorded { speed } = options.pace { speed } else { Ratio::ONE };
    Fit::new(&recording.streams, &to_default, kind, &options.fit, speed)
}

/// What order is given up, and which virtual hosts become one.
fn order_notes(recording: &RecordingFacts, options: &Options, plan: &TopicPlan, kind: TargetKind) -> Vec<String> {
    let chosen = || recording.streams.iter().zip(&plan.of_stream).filter(|(_, target)| target.is_some()).map(|(stream, _)| &stream.lane);
    let from_rabbit = chosen().any(|lane| !matches!(lane, Lane::Kafka { .. }));
    let mut notes = Vec::new();
    match kind {
        TargetKind::Kafka if from_rabbit => notes.push(remap::order_by_key(&options.fit.key)),
        TargetKind::Kafka => notes.extend(remap::order_given_up(options.partitions).map(str::to_owned)),
        TargetKind::RabbitMq => notes.extend(remap::order_over_connections(options.connections)),
    }
    let vhosts: BTreeSet<&str> = chosen()
        .filter_map(|lane| match lane {
            Lane::RabbitExchange { vhost, .. } | Lane::RabbitQueue { vhost, .. } => Some(vhost.as_str()),
            Lane::Kafka { .. } => None,
        })
        .collect();
    if vhosts.len() > 1 && kind == TargetKind::RabbitMq && plan.topics.iter().all(|topic| topic.destination.vhost.is_none()) {
        let names: Vec<&str> = vhosts.into_iter().collect();
        notes.push(format!("the virtual hosts {} all go into the one that --to names", names.join(", ")));
    }
    notes
}

/// The length of the run: a profile's end ends it.
fn run_ns(options: &Options) -> Option<u64> {
    let profile = if let Pace::Profile(profile) = &options.pace { Some(profile.len_ns()) } else { None };
    [options.run_ns, profile].into_iter().flatten().min()
}

/// For each stream whether another shard sends it, and what this one sends in words; nothing without `--shard`.
fn elsewhere(recording: &RecordingFacts, options: &Options, plan: &TopicPlan) -> Result<(Vec<bool>, Option<String>), PrepareError> {
    let Some(shard) = options.shard else { return Ok((Vec::new(), None)) };
    if recording.live {
        return Err(PrepareError::ShardOfLive);
    }
    let selected: Vec<bool> = plan.of_stream.iter().map(Option::is_some).collect();
    let of_stream = assign(&recording.records, &selected, shard.of());
    let own = || of_stream.iter().zip(&selected).zip(&recording.records).filter(|((s, selected), _)| **s == shard.number() && **selected);
    let streams = selected.iter().filter(|s| **s).count();
    if own().next().is_none() {
        return Err(PrepareError::EmptyShard { shard, streams });
    }
    let records = format_count(own().map(|(_, records)| *records).sum());
    let note =
        format!("shard {shard}: {} of {streams} streams, {records} records; rates and due times are those of the whole run", own().count());
    Ok((of_stream.iter().map(|s| *s != shard.number()).collect(), Some(note)))
}

/// The classes that latency is filed under: the topics with the most records, and `other` if there are more. Returns
/// the names and the class of each target topic.
#[must_use]
pub fn classes(plan: &TopicPlan, records: &[u64], largest: usize) -> (Vec<String>, Vec<u32>) {
    let mut sizes = vec![0u64; plan.topics.len()];
    for (target, records) in plan.of_stream.iter().zip(records) {
        if let Some(size) = target.and_then(|t| sizes.get_mut(t as usize)) {
            *size += records;
        }
    }
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // By size, equal ones by name: the same on every machine.
    order.sort_by(|a, b| sizes[*b].cmp(&sizes[*a]).then_with(|| plan.topics[*a].name.cmp(&plan.topics[*b].name)));
    let own = order.len().min(largest);
    let mut names: Vec<String> = order[..own].iter().map(|ix| plan.topics[*ix].name.clone()).collect();
    if own < order.len() {
        names.push(OTHER.to_owned());
    }
    let mut class_of_target = vec![0; order.len()];
    for (rank, ix) in order.into_iter().enumerate() {
        class_of_target[ix] = u32::try_from(rank.min(own)).unwrap_or(u32::MAX);
    }
    (names, class_of_target)
}

#[cfg(test)]
mod tests;

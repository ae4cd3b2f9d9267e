//! The pre-flight: a recording, options and what the target says → everything that a run needs, or why there must be none.
//! Pure; whoever asks the target calls [`topics`] first, creates what is missing if that was asked for, then [`prepare`].

use dejaq_shared::broker::sink::{QueueLimits, TargetTopic};
use dejaq_shared::record::{MARK_HEADER, Stream};

use crate::assemble::RunIdentity;
use crate::ceiling::{CeilingError, Ceilings};
use crate::clock_choice::ClockDecision;
use crate::config::Options;
use crate::engine::RunSetup;
use crate::guard::{self, GuardError};
use crate::planner::PlannerOptions;
use crate::remap::{self, RemapError, TopicPlan};
use crate::run::report::RecordingReport;
use crate::select::{SelectError, select};

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
    /// The key, value and header bytes of all.
    pub bytes_raw: u64,
}

/// What must be known of the target.
#[derive(Debug, Clone, Default)]
pub struct TargetFacts {
    /// The identity of its cluster.
    pub cluster: String,
    /// Its topics, as far as they matter.
    pub topics: Vec<TargetTopic>,
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
    /// Nothing to send.
    #[error("nothing to replay: the selected streams have no records")]
    Nothing,
}

/// The client's queue: 96 MiB, of which librdkafka itself takes about this much a message.
const QUEUE_BYTES: u64 = 96 << 20;
const MESSAGE_OVERHEAD_BYTES: u64 = 304;
/// The name of the class of all topics that have none of their own.
pub const OTHER: &str = "other";

/// The topics that the target must have.
///
/// # Errors
/// [`PrepareError`].
pub fn topics(recording: &RecordingFacts, options: &Options) -> Result<TopicPlan, PrepareError> {
    let selected = select(&options.streams, &recording.streams)?;
    let with_records: Vec<bool> = selected.iter().zip(&recording.records).map(|(selected, records)| *selected && *records > 0).collect();
    if !with_records.contains(&true) {
        return Err(PrepareError::Nothing);
    }
    Ok(remap::topics(&recording.streams, &with_records, &options.map)?)
}

/// The limits of the client's queue: by the recording's mean size, unless the properties say otherwise.
#[must_use]
pub fn queue_limits(recording: &RecordingFacts, options: &Options) -> QueueLimits {
    let set = |name: &str| options.properties.iter().rev().find(|(key, _)| key == name).and_then(|(_, value)| value.parse::<usize>().ok());
    let records: u64 = recording.records.iter().sum();
    let mean = recording.bytes_raw / records.max(1);
    let messages = (QUEUE_BYTES / (mean + MESSAGE_OVERHEAD_BYTES)).clamp(1_000, 1_000_000);
    QueueLimits {
        messages_max: set("queue.buffering.max.messages").unwrap_or(usize::try_from(messages).unwrap_or(usize::MAX)),
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
    let routes = remap::routes(plan, &recording.streams, &target.topics, options.partitions)?;
    let chosen_max = recording.record_bytes_max.iter().zip(&routes).filter(|(_, r)| r.is_some()).map(|(b, _)| *b).max().unwrap_or(0);
    let mark_clusters: Vec<String> = recording.clusters.iter().chain(&recording.ancestors).filter(|c| !c.is_empty()).cloned().collect();
    // The mark's value: run id and clusters, escaped threefold at worst.
    let mark_max = MARK_HEADER.len() + 3 * (run_id.len() + mark_clusters.iter().map(|c| c.len() + 1).sum::<usize>()) + 4;
    let ceilings = Ceilings::new(options.max_rate, options.max_bytes, chosen_max.saturating_add(mark_max as u64))?;
    let (classes, class_of_target) = classes(plan, &recording.records, options.measure_topics as usize);
    let class_of_stream = plan.of_stream.iter().map(|t| t.and_then(|t| class_of_target.get(t as usize).copied())).collect();
    let mut notes = clock.reasons.clone();
    notes.extend(remap::too_large(plan, &recording.streams, &target.topics, &recording.record_bytes_max));
    let identity = RunIdentity {
        run_id,
        seed: options.seed,
        recording: RecordingReport { id: recording.id.clone(), source_cluster: recording.clusters.join(",") },
        mark_clusters,
        target_cluster: target.cluster.clone(),
        config: options.describe(),
        notes,
        class_of_stream,
    };
    let largest = recording.record_bytes_max.iter().copied().max().unwrap_or(0);
    let planner = PlannerOptions {
        routes,
        from_time_ns: options.from_time_ns,
        to_time_ns: options.to_time_ns,
        pace: options.pace,
        repeat: options.repeat,
        run_ns: options.run_ns,
        marks: options.mark,
        record_bytes_max: usize::try_from(largest).unwrap_or(usize::MAX),
    };
    Ok(RunSetup {
        identity,
        planner,
        ceilings,
        late_skip_ns: options.late_skip_ns,
        drain_ns: options.drain_ns,
        streams: recording.streams.iter().map(Stream::name).collect(),
        classes,
        class_of_target,
        queue: queue_limits(recording, options),
    })
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
mod tests {
    use super::*;
    use crate::config::RawOptions;
    use crate::testing::stream;

    fn facts() -> RecordingFacts {
        RecordingFacts {
            id: "r".into(),
            clusters: vec!["prod".into()],
            streams: vec![stream("a", 0), stream("b", 0), stream("c", 0), stream("d", 0)],
            records: vec![5, 50, 500, 0],
            record_bytes_max: vec![10, 20, 30, 0],
            bytes_raw: 5_550,
            ..RecordingFacts::default()
        }
    }

    fn target(cluster: &str) -> TargetFacts {
        let topic = |name: &str| TargetTopic { name: name.into(), partitions: Some(1), message_bytes_max: None };
        TargetFacts { cluster: cluster.into(), topics: vec![topic("a"), topic("b"), topic("c")] }
    }

    fn run(options: &RawOptions, cluster: &str) -> Result<RunSetup, PrepareError> {
        let options = options.validate().expect("valid");
        let plan = topics(&facts(), &options)?;
        let clock = ClockDecision { clocks: Vec::new(), reasons: Vec::new() };
        prepare(&facts(), &options, &plan, &target(cluster), &clock, "run".into())
    }

    #[test]
    fn topics_without_records_are_not_needed_and_the_largest_are_measured() {
        let setup = run(&RawOptions { measure_topics: Some(1), ..RawOptions::default() }, "staging").expect("prepared");
        assert_eq!(setup.classes, ["c", OTHER]);
        assert_eq!(setup.class_of_target, [1, 1, 0]);
        assert_eq!(setup.identity.class_of_stream, [Some(1), Some(1), Some(0), None]);
        assert_eq!(setup.planner.routes[3], None);
    }

    #[test]
    fn the_source_is_refused_before_anything_else() {
        assert!(matches!(
            run(&RawOptions { allow_unknown_source: true, ..RawOptions::default() }, "prod"),
            Err(PrepareError::Guard(GuardError::Source { .. }))
        ));
    }

    #[test]
    fn nothing_to_send_is_an_error() {
        assert!(matches!(run(&RawOptions { streams: vec!["d".into()], ..RawOptions::default() }, "staging"), Err(PrepareError::Nothing)));
    }
}

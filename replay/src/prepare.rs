//! The pre-flight: a recording, options and what the target says → everything that a run needs, or why there must be none.
//! Pure; whoever asks the target calls [`topics`] first, creates what is missing if that was asked for, then [`prepare`].

use dejaq_shared::broker::sink::{QueueLimits, TargetTopic};
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
use crate::guard::{self, GuardError};
use crate::observers::Observers;
use crate::planner::PlannerOptions;
use crate::remap::{self, RemapError, TopicPlan};
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
    /// The key, value and header bytes of all.
    pub bytes_raw: u64,
    /// Whether it is still being written.
    pub live: bool,
    /// The times of each stream.
    pub times: Vec<TimeStatistics>,
}

/// What must be known of the target.
#[derive(Debug, Clone, Default)]
pub struct TargetFacts {
    /// The identity of its cluster.
    pub cluster: String,
    /// Its topics, as far as they matter.
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
    /// Another broker's records.
    #[error(
        "stream {stream} is RabbitMQ's: replaying RabbitMQ's records is not built yet, neither into Kafka nor into RabbitMQ; leave such \
         streams out with --streams, or use inspect, verify, sort and export"
    )]
    Broker {
        /// One of its streams.
        stream: String,
    },
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
    let other = recording.streams.iter().zip(&with_records).find(|(stream, chosen)| **chosen && !matches!(stream.lane, Lane::Kafka { .. }));
    if let Some((stream, _)) = other {
        return Err(PrepareError::Broker { stream: stream.name() });
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
    let shards = options.shard.map_or(1, |shard| u64::from(shard.of()));
    // A ceiling is that of the run: each shard has its part.
    let max_rate = options.max_rate.and_then(|rate| Ratio::new(rate.num(), rate.den().saturating_mul(shards)));
    let max_bytes = options.max_bytes.map(|bytes| bytes / shards);
    let ceilings = Ceilings::new(max_rate, max_bytes, chosen_max.saturating_add((mark_max + options.copies.key_growth_max()) as u64))?;
    let (elsewhere, shard_note) = elsewhere(recording, options, plan)?;
    let (classes, class_of_target) = classes(plan, &recording.records, options.measure_topics as usize);
    let class_of_stream = plan.of_stream.iter().map(|t| t.and_then(|t| class_of_target.get(t as usize).copied())).collect();
    let mut notes = clock.reasons.clone();
    notes.extend(remap::too_large(plan, &recording.streams, &target.topics, &recording.record_bytes_max));
    notes.extend(remap::order_given_up(options.partitions).map(str::to_owned));
    let asked = Asked {
        mode: options.timestamps,
        origin_ns: options.origin_ns,
        start_ns: options.start_at_ns.unwrap_or(target.asked_at_ns),
        window_ns: (options.from_time_ns, options.to_time_ns),
        times: &recording.times,
    };
    notes.extend(timestamps::check(&asked, plan, &target.topics)?);
    notes.extend(shard_note);
    let identity = RunIdentity {
        run_id,
        seed: options.seed,
        recording: RecordingReport { id: recording.id.clone(), source_cluster: recording.clusters.join(",") },
        mark_clusters,
        target_cluster: target.cluster.clone(),
        config: options.describe(),
        notes,
        class_of_stream,
        shard: options.shard,
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
        queue: queue_limits(recording, options),
        observers: Observers::default(),
    })
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
mod tests {
    use super::*;
    use crate::config::RawOptions;
    use crate::testing::stream;
    use dejaq_shared::broker::sink::TopicTimes;

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
        let topic =
            |name: &str| TargetTopic { name: name.into(), partitions: Some(1), message_bytes_max: None, times: TopicTimes::default() };
        TargetFacts { cluster: cluster.into(), topics: vec![topic("a"), topic("b"), topic("c")], asked_at_ns: 0 }
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

    #[test]
    fn shards_take_whole_streams_and_their_part_of_a_ceiling() {
        let sharded = |text: &str, rate: Option<&str>| {
            run(&RawOptions { shard: Some(text.into()), max_rate: rate.map(Into::into), ..RawOptions::default() }, "staging")
        };
        let (first, second) = (sharded("1/2", None).expect("prepared"), sharded("2/2", None).expect("prepared"));
        assert_eq!(first.planner.elsewhere, [true, true, false, true], "the largest stream alone");
        assert_eq!(second.planner.elsewhere, [false, false, true, false]);
        assert_eq!(first.planner.routes, second.planner.routes);
        assert!(
            second.identity.notes.iter().any(|n| n.starts_with("shard 2/2: 2 of 3 streams, 55 records")),
            "{:?}",
            second.identity.notes
        );
        let refused = sharded("4/4", None).expect_err("three streams").to_string();
        assert!(refused.contains("4/4") && refused.contains("3 with records"), "{refused}");
        // A ceiling of 1/s cannot be divided.
        assert!(matches!(sharded("1/2", Some("1/s")), Err(PrepareError::Ceiling(_))));
        assert!(sharded("1/2", Some("2/s")).is_ok());
        let live = RecordingFacts { live: true, ..facts() };
        let options = RawOptions { shard: Some("1/2".into()), ..RawOptions::default() }.validate().expect("valid");
        let plan = topics(&live, &options).expect("topics");
        let clock = ClockDecision { clocks: Vec::new(), reasons: Vec::new() };
        assert!(matches!(prepare(&live, &options, &plan, &target("staging"), &clock, "run".into()), Err(PrepareError::ShardOfLive)));
    }

    #[test]
    fn time_stamps_that_the_target_would_delete_are_refused() {
        let mut old = facts();
        let ms = 1_700_000_000_000;
        old.times =
            vec![TimeStatistics { records: 5, create: 5, sane_ms: Some((ms, ms)), raw_ms: Some((ms, ms)), ..TimeStatistics::default() }; 4];
        let mut target = target("staging");
        target.asked_at_ns = (ms + 86_400_001) * 1_000_000;
        target.topics[1].times.retention_ms = Some(86_400_000);
        let options = RawOptions { timestamps: Some("original".into()), ..RawOptions::default() }.validate().expect("valid");
        let plan = topics(&old, &options).expect("topics");
        let clock = ClockDecision { clocks: Vec::new(), reasons: Vec::new() };
        let refused = prepare(&old, &options, &plan, &target, &clock, "run".into()).expect_err("a day").to_string();
        assert!(refused.contains("\"b\"") && refused.contains("retention.ms"), "{refused}");
    }
}

//! A recording and a target brought together: everything that can be refused before anything is sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dejaq_replay::clock_choice::{ClockDecision, StreamTimes, choose};
use dejaq_replay::config::Options;
use dejaq_replay::copies::survey;
use dejaq_replay::engine::RunSetup;
use dejaq_replay::partitioner::{self, TopicPartitioner};
use dejaq_replay::prepare::{RecordingFacts, TargetFacts, prepare, queue_limits, topics};
use dejaq_replay::recorded::{RecordedFeed, facts, incomplete, source_topics, window};
use dejaq_replay::remap::{PartitionMode, Target, TopicPlan};
use dejaq_shared::broker::AnyTarget;
use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::sink::{Destination, SinkOptions, TargetKind, TargetTopic};
use dejaq_shared::clock::wall_now_ns;
use dejaq_shared::record::{Lane, Stream};
use dejaq_shared::segment::ordered::SortCost;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::timeline::{TimeStatistics, measure};
use dejaq_shared::units::{duration_ns, format_bytes, format_count, format_ns};

use super::choices::Choices;
use super::making::Making;
use super::observing;
use crate::commands::Usage;
use crate::commands::following::Following;
use crate::commands::sort::show_sorting;
use crate::progress::Progress;

/// How long the cluster may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to create topics and to serve them.
const CREATE_TIMEOUT: Duration = Duration::from_secs(60);

/// A recording and a target that fit together.
pub(super) struct Ready {
    pub(super) target: AnyTarget,
    pub(super) topics: TopicPlan,
    pub(super) at_target: Vec<TargetTopic>,
    pub(super) setup: RunSetup,
    pub(super) feed: RecordedFeed,
    pub(super) partitioners: Vec<TopicPartitioner>,
}

/// Everything that can be refused before anything is sent, and what must be done before: sorting, into `scratch` unless the
/// options name another place. `create` says whether missing topics are really made.
pub(super) fn ready(choices: &Choices, create: bool, scratch: &Path) -> anyhow::Result<Ready> {
    let options = choices.options()?;
    let rules = Following::read(&options)?;
    let endpoint = Endpoint::from_url_and_environment(&choices.to).map_err(Usage::error)?;
    let recording = Arc::new(Recording::open(&choices.dir)?);
    let rules = rules.map(|rules| rules.bind(&recording)).transpose()?;
    let mut facts = facts(&recording);
    let place = place_of(&endpoint)?;
    let plan = topics(&facts, &options, place)?;
    check_brokers(&options, &facts, &plan, place.kind)?;
    let statistics = measure(&recording)?;
    let decision = decide(&options, &facts, &plan, &statistics)?;
    facts.times.clone_from(&statistics);
    let source = source_topics(&recording)?;
    let rekey = options.partitions == PartitionMode::Rekey;
    // What the plan tells; a run only needs it where it changes something.
    let wanted = rekey || !create;
    let partitioners = if wanted { partitioner::sample(&recording, &|t| source.get(t).map(|t| t.partitions))? } else { Vec::new() };

    let queue = queue_limits(&facts, &options, &plan, place.kind);
    let client = SinkOptions { queue, profile: options.client, connections: options.connections, user: options.properties.clone() };
    let target = AnyTarget::connect(&endpoint, &client, TIMEOUT)?;
    // Before the target is asked for anything more: the guard must have spoken.
    dejaq_replay::guard::check(&facts.clusters, &facts.ancestors, target.cluster(), options.allow_unknown_source)?;
    let mut at_target = ask(&target, &plan)?;
    let making = Making::of(&options, &recording, &source, &plan, &at_target.topics, &target)?;
    making.plan(&plan, &mut at_target.topics);
    // What is refused is refused before topics are made.
    let run_id = crate::commands::new_id();
    let mut setup = prepare(&facts, &options, &plan, &at_target, &decision, run_id.clone())?;
    let made = if create { making.make(&target, CREATE_TIMEOUT)? } else { None };
    if made.is_some() {
        at_target = ask(&target, &plan)?;
        setup = prepare(&facts, &options, &plan, &at_target, &decision, run_id)?;
    }
    setup.identity.notes.extend(incomplete(&recording));
    setup.identity.notes.extend(target.notes());
    setup.identity.notes.extend(making.notes());
    setup.identity.notes.extend(made.into_iter().flatten());
    setup.identity.notes.extend(partitioner::words(&partitioners, rekey));
    // Sorting may take a while: only when the target has nothing left to refuse. If it fails (no room), topics that were made stay.
    let window = window(options.from_time_ns, options.to_time_ns);
    multiply(&mut setup, &recording, &options)?;
    let mut progress = Progress::new();
    let scratch = options.scratch.as_deref().unwrap_or(scratch);
    let feed = RecordedFeed::open(recording, &decision.clocks, &statistics, window, scratch, &mut |p| show_sorting(&mut progress, p));
    progress.end();
    let mut feed = feed?;
    if options.copy_jitter_ns.is_none() {
        setup.planner.copies.jitter_ns = mean_gap_ns(&setup, &facts, &feed);
    }
    setup.identity.notes.extend(feed.sort_cost().map(sorted_note));
    if let Some(rules) = rules {
        rules.count(&mut setup, &mut feed)?;
    }
    // Last: what comes out of the system before the run is not to pile up.
    setup.observers = observing::observers(&options, &endpoint, create, TIMEOUT)?;
    Ok(Ready { target, topics: plan, at_target: at_target.topics, setup, feed, partitioners })
}

/// What names at the target depend on.
fn place_of(endpoint: &Endpoint) -> anyhow::Result<Target> {
    match endpoint {
        Endpoint::Kafka(_) => Ok(Target::KAFKA),
        Endpoint::Amqp(amqp) => Ok(Target { kind: TargetKind::RabbitMq, vhost_given: amqp.vhost.is_some() }),
        other => Err(Usage::error(format!("--to {other}: replay does not know this broker"))),
    }
}

/// Refuses options that the brokers at hand have no use for.
fn check_brokers(options: &Options, facts: &RecordingFacts, plan: &TopicPlan, kind: TargetKind) -> anyhow::Result<()> {
    let chosen = || facts.streams.iter().zip(&plan.of_stream).filter(|(_, target)| target.is_some()).map(|(stream, _)| stream);
    let is_kafka = |stream: &Stream| matches!(stream.lane, Lane::Kafka { .. });
    let (from_kafka, from_rabbit) = (chosen().any(is_kafka), !chosen().all(is_kafka));
    options.check_brokers(from_kafka, from_rabbit, kind).map_err(Usage::error)
}

/// What the target has of the topics or exchanges, by the names of the plan.
fn ask(target: &AnyTarget, plan: &TopicPlan) -> anyhow::Result<TargetFacts> {
    let destinations: Vec<Destination> = plan.topics.iter().map(|t| t.destination.clone()).collect();
    let mut topics = target.topics(&destinations, TIMEOUT)?;
    for (topic, planned) in topics.iter_mut().zip(&plan.topics) {
        topic.name.clone_from(&planned.name);
    }
    Ok(TargetFacts { kind: target.kind(), cluster: target.cluster().to_owned(), topics, asked_at_ns: wall_now_ns() })
}

/// What copies and new keys need to know of the recorded keys.
fn multiply(setup: &mut RunSetup, recording: &Recording, options: &Options) -> anyhow::Result<()> {
    if !options.copies.rewrites_keys() {
        return Ok(());
    }
    let found = survey(recording, &setup.planner.routes, &setup.planner.fit, &options.copies)?;
    if found.without_key > 0 {
        setup.identity.notes.push(format!(
            "{} of {} records have no key: their copies cannot be told apart by it",
            format_count(found.without_key),
            format_count(found.records)
        ));
    }
    setup.planner.copies.one_shot = found.one_shot.map(Arc::new);
    Ok(())
}

/// The mean distance between the recorded records that are replayed: what copies are apart at most, unless that is given.
fn mean_gap_ns(setup: &RunSetup, facts: &RecordingFacts, feed: &RecordedFeed) -> u64 {
    let records: u64 = facts.records.iter().zip(&setup.planner.routes).filter(|(_, route)| route.is_some()).map(|(n, _)| n).sum();
    feed.span().map_or(0, |(first, last)| last.abs_diff(first)) / records.saturating_sub(1).max(1)
}

fn sorted_note(cost: SortCost) -> String {
    format!(
        "the recording is out of time order by more than the read budget ({} of blocks overlap): sorted through {} of scratch in {}",
        format_bytes(cost.open_bytes),
        format_bytes(cost.scratch_bytes),
        format_ns(duration_ns(cost.took))
    )
}

/// Each stream's clock. Streams that are left out go by their own: they must not stand in the way of the others.
fn decide(options: &Options, facts: &RecordingFacts, plan: &TopicPlan, statistics: &[TimeStatistics]) -> anyhow::Result<ClockDecision> {
    let chosen: Vec<usize> = (0..facts.streams.len()).filter(|ix| plan.of_stream[*ix].is_some()).collect();
    let times: Vec<StreamTimes> = chosen.iter().map(|ix| StreamTimes { name: facts.streams[*ix].name(), times: statistics[*ix] }).collect();
    let decision = choose(options.clock, &times)?;
    let mut clocks: Vec<_> = statistics.iter().map(TimeStatistics::preferred_clock).collect();
    for (ix, clock) in chosen.into_iter().zip(decision.clocks) {
        clocks[ix] = clock;
    }
    Ok(ClockDecision { clocks, reasons: decision.reasons })
}

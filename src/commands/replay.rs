//! `dejaq replay` and `dejaq plan`: recording to broker, and what would be sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dejaq_replay::clock_choice::{ClockDecision, StreamTimes, choose};
use dejaq_replay::config::{Options, RawOptions};
use dejaq_replay::copies::survey;
use dejaq_replay::engine::{self, RunSetup};
use dejaq_replay::partitioner::{self, TopicPartitioner};
use dejaq_replay::plan::{PlanReport, SortReport, plan};
use dejaq_replay::prepare::{RecordingFacts, TargetFacts, prepare, queue_limits, topics};
use dejaq_replay::recorded::{RecordedFeed, SourceTopic, facts, incomplete, source_topics, window};
use dejaq_replay::remap::{self, PartitionMode, TopicPlan};
use dejaq_replay::run::dir::RunDir;
use dejaq_replay::summary::summary;
use dejaq_shared::broker::AnyTarget;
use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::kafka::settings;
use dejaq_shared::broker::sink::{NewTopic, SinkOptions, TargetTopic};
use dejaq_shared::clock::{SystemClock, wall_now_ns};
use dejaq_shared::outcome::Outcome;
use dejaq_shared::segment::ordered::SortCost;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::timeline::{TimeStatistics, measure};
use dejaq_shared::units::{duration_ns, format_bytes, format_count, format_ns};

use super::Usage;
use super::following::Following;
use super::sort::show_sorting;
use crate::progress::{Progress, talk};
use crate::stop;

mod metrics;
mod observing;

/// How long the cluster may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to create topics and to serve them.
const CREATE_TIMEOUT: Duration = Duration::from_secs(60);

/// What `replay` and `plan` share.
#[derive(clap::Args)]
pub(crate) struct Choices {
    /// The recording
    dir: PathBuf,
    /// The target: kafka://host:port[,host:port…], kafkas://… for TLS. Never the recording's source
    #[arg(long, value_name = "URL")]
    to: String,
    /// N times as fast (default 1)
    #[arg(long, value_name = "N")]
    speed: Option<String>,
    /// A steady rate in recorded order: 50k/s
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// A rate curve in recorded order: 'ramp 1k/s..50k/s 10m, hold 30m, spike x5 30s'; also step and sine. Its end ends the run
    #[arg(long, value_name = "P")]
    profile: Option<String>,
    /// As fast as the target takes it
    #[arg(long)]
    max: bool,
    /// N times the traffic, each copy with keys of its own; fractions too (3.5, 0.1): every key keeps its share
    #[arg(long, value_name = "N")]
    copies: Option<String>,
    /// How far copies are apart at most, in recorded time (default: the recording's mean gap)
    #[arg(long, value_name = "DUR")]
    copy_jitter: Option<String>,
    /// What a copy's number follows in its keys (default ~)
    #[arg(long, value_name = "TEXT")]
    copy_suffix: Option<String>,
    /// Give a topic another name at the target; may be given several times
    #[arg(long, value_name = "OLD=NEW")]
    map: Vec<String>,
    /// Only streams whose name (topic/partition) or topic matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    streams: Vec<String>,
    /// exact (default; refused if the target has fewer), modulo, or rekey (by the key, as Kafka's Java client does)
    #[arg(long, value_name = "MODE")]
    partitions: Option<String>,
    /// Begin again at the end
    #[arg(long = "loop")]
    repeat: bool,
    /// With --loop, which keys are new in each pass: same (default: none), one-shot (those that occur once), all
    #[arg(long, value_name = "WHICH")]
    loop_keys: Option<String>,
    /// The length of the run: 10m, 24h
    #[arg(long = "for", value_name = "DUR")]
    run_for: Option<String>,
    /// Only records from this time on (RFC 3339, by the chosen clock)
    #[arg(long, value_name = "T")]
    from_time: Option<String>,
    /// Only records before this time
    #[arg(long, value_name = "T")]
    to_time: Option<String>,
    /// Which time counts: auto (default), append, create, arrival
    #[arg(long, value_name = "CLOCK")]
    clock: Option<String>,
    /// Time stamps: now (default), shift (as far after --origin as intended after the start) or original (as recorded)
    #[arg(long, value_name = "WHICH")]
    timestamps: Option<String>,
    /// What shifted time stamps count from (RFC 3339; default: the start)
    #[arg(long, value_name = "T")]
    origin: Option<String>,
    /// precise (default: each message leaves at once) or prod-like (the client's defaults, and production's linger.ms,
    /// batch.size, compression.type and acks that you give with -X)
    #[arg(long, value_name = "PROFILE")]
    client: Option<String>,
    /// When to send the first message (RFC 3339): machines that share a run start together
    #[arg(long, value_name = "T")]
    start_at: Option<String>,
    /// Send the i-th of n parts of the streams only: n machines with the same options send together what one would
    #[arg(long, value_name = "i/n")]
    shard: Option<String>,
    /// A file of rules for what messages say: tags with any number of distinct values, time stamps of now (docs/EXPANSION.md)
    #[arg(long, value_name = "FILE")]
    expand: Option<PathBuf>,
    /// Messages that carry the dejaq-run header: first (default: of each stream, and one per stream and second), all, off
    #[arg(long, value_name = "WHICH")]
    mark: Option<String>,
    /// Messages per second that no second exceeds; of all shards together
    #[arg(long, value_name = "RATE")]
    max_rate: Option<String>,
    /// Bytes per second that no second exceeds: 10MiB/s; of all shards together
    #[arg(long, value_name = "RATE")]
    max_bytes: Option<String>,
    /// Leave out what is later than this: skip=5s
    #[arg(long, value_name = "skip=DUR")]
    late: Option<String>,
    /// How long answers are waited for at the end (default 30s)
    #[arg(long, value_name = "DUR")]
    drain: Option<String>,
    /// The seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Make topics that the target lacks, with the partitions and settings that the source had, as far as the target can
    #[arg(long)]
    create_topics: bool,
    /// How many topics have a latency of their own (default 16)
    #[arg(long, value_name = "N")]
    measure_topics: Option<u32>,
    /// Where to sort a recording that is too far out of time order for memory (default: replay the run directory, plan the
    /// system's directory for temporary files). Nothing is left there
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Replay a recording that does not say where it came from
    #[arg(long)]
    allow_unknown_source: bool,
    #[command(flatten)]
    observe: observing::Flags,
    /// Settings as TOML, by the flags' names; flags override
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A property for librdkafka; may be given several times
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    property: Vec<String>,
}

#[derive(clap::Args)]
#[command(after_help = "\
The time line is the recorded one unless --speed, --rate or --max say otherwise. Latency counts from \
the intended send time. The run directory holds run.json, latency.hlog and the counts per second and \
per stream.

Exit codes: 0 done, and to be trusted; 3 INVALID, or load not delivered, or messages lost; 1 failed; \
2 usage.

Examples:
  dejaq replay rec --to kafka://staging:9092 --run run1 --create-topics
  dejaq replay rec --to kafka://staging:9092 --run run2 --speed 4 --for 10m
  dejaq replay rec --to kafka://staging:9092 --run run3 --rate 50k/s --map orders=orders-test")]
pub(crate) struct Arguments {
    #[command(flatten)]
    choices: Choices,
    /// The run directory: new or empty
    #[arg(long, value_name = "RUNDIR")]
    run: PathBuf,
}

#[derive(clap::Args)]
#[command(after_help = "\
Reads the recording, asks the target for its topics, sends nothing and creates nothing. Takes the flags of replay.

Examples:
  dejaq plan rec --to kafka://staging:9092 --speed 4
  dejaq plan rec --to kafka://staging:9092 --create-topics --json | jq .peak_per_s")]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    choices: Choices,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
}

impl Choices {
    fn options(&self) -> anyhow::Result<Options> {
        let mut flags = RawOptions {
            speed: self.speed.clone(),
            rate: self.rate.clone(),
            profile: self.profile.clone(),
            copies: self.copies.clone(),
            copy_jitter: self.copy_jitter.clone(),
            copy_suffix: self.copy_suffix.clone(),
            loop_keys: self.loop_keys.clone(),
            max: self.max,
            max_rate: self.max_rate.clone(),
            max_bytes: self.max_bytes.clone(),
            map: self.map.clone(),
            streams: self.streams.clone(),
            partitions: self.partitions.clone(),
            run_for: self.run_for.clone(),
            from_time: self.from_time.clone(),
            to_time: self.to_time.clone(),
            repeat: self.repeat,
            clock: self.clock.clone(),
            mark: self.mark.clone(),
            late: self.late.clone(),
            drain: self.drain.clone(),
            seed: self.seed,
            timestamps: self.timestamps.clone(),
            origin: self.origin.clone(),
            client: self.client.clone(),
            start_at: self.start_at.clone(),
            expand: self.expand.clone(),
            shard: self.shard.clone(),
            create_topics: self.create_topics,
            measure_topics: self.measure_topics,
            scratch: self.scratch.clone(),
            allow_unknown_source: self.allow_unknown_source,
            ..RawOptions::default()
        };
        self.observe.onto(&mut flags);
        flags.properties.extend(super::properties(&self.property)?);
        let file = match &self.config {
            None => RawOptions::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                RawOptions::from_toml(&text).map_err(|e| Usage::error(format!("{}: {e}", path.display())))?
            }
        };
        let options = flags.over(file).validate().map_err(Usage::error)?;
        options.check_start(wall_now_ns()).map_err(Usage::error)?;
        Ok(options)
    }
}

/// A recording and a target that fit together.
struct Ready {
    target: AnyTarget,
    topics: TopicPlan,
    at_target: Vec<TargetTopic>,
    setup: RunSetup,
    feed: RecordedFeed,
    partitioners: Vec<TopicPartitioner>,
}

/// Everything that can be refused before anything is sent, and what must be done before: sorting, into `scratch` unless the
/// options name another place. `create` says whether missing topics are really made.
fn ready(choices: &Choices, create: bool, scratch: &Path) -> anyhow::Result<Ready> {
    let options = choices.options()?;
    let rules = Following::read(&options)?;
    let endpoint = Endpoint::from_url_and_environment(&choices.to).map_err(Usage::error)?;
    let recording = Arc::new(Recording::open(&choices.dir)?);
    let rules = rules.map(|rules| rules.bind(&recording)).transpose()?;
    let mut facts = facts(&recording);
    let plan = topics(&facts, &options)?;
    let statistics = measure(&recording)?;
    let decision = decide(&options, &facts, &plan, &statistics)?;
    facts.times.clone_from(&statistics);
    let source = source_topics(&recording)?;
    let rekey = options.partitions == PartitionMode::Rekey;
    // What the plan tells; a run only needs it where it changes something.
    let wanted = rekey || !create;
    let partitioners = if wanted { partitioner::sample(&recording, &|t| source.get(t).map(|t| t.partitions))? } else { Vec::new() };

    let client =
        SinkOptions { queue: queue_limits(&facts, &options), profile: options.client, connections: 1, user: options.properties.clone() };
    let target = AnyTarget::connect(&endpoint, &client, TIMEOUT)?;
    let names: Vec<String> = plan.topics.iter().map(|t| t.name.clone()).collect();
    let ask = || -> anyhow::Result<TargetFacts> {
        let topics = target.topics(&names, TIMEOUT)?;
        Ok(TargetFacts { cluster: target.cluster().to_owned(), topics, asked_at_ns: wall_now_ns() })
    };
    let mut at_target = ask()?;
    // Before the target is asked for anything more: the guard must have spoken.
    dejaq_replay::guard::check(&facts.clusters, &facts.ancestors, &at_target.cluster, options.allow_unknown_source)?;
    let (missing, made_notes) = missing_topics(&options, &source, &plan, &at_target.topics, &target)?;
    at_target.topics.retain(|t| !missing.iter().any(|m| m.name == t.name));
    at_target.topics.extend(missing.iter().map(settings::planned));
    // What is refused is refused before topics are made.
    let run_id = super::new_id();
    let mut setup = prepare(&facts, &options, &plan, &at_target, &decision, run_id.clone())?;
    if create && !missing.is_empty() {
        target.create_topics(&missing, CREATE_TIMEOUT)?;
        at_target = ask()?;
        setup = prepare(&facts, &options, &plan, &at_target, &decision, run_id)?;
    }
    setup.identity.notes.extend(incomplete(&recording));
    setup.identity.notes.extend(target.notes());
    setup.identity.notes.extend(made_notes);
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
    setup.observers = observing::observers(&options, &endpoint, TIMEOUT)?;
    Ok(Ready { target, topics: plan, at_target: at_target.topics, setup, feed, partitioners })
}

/// What copies and new keys need to know of the recorded keys.
fn multiply(setup: &mut RunSetup, recording: &Recording, options: &Options) -> anyhow::Result<()> {
    if !options.copies.rewrites_keys() {
        return Ok(());
    }
    let found = survey(recording, &setup.planner.routes, &options.copies)?;
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

/// The topics that are to be made, as the target can have them, and what of them is not as at the source.
fn missing_topics(
    options: &Options,
    source: &BTreeMap<String, SourceTopic>,
    plan: &TopicPlan,
    at_target: &[TargetTopic],
    target: &AnyTarget,
) -> anyhow::Result<(Vec<NewTopic>, Vec<String>)> {
    if !options.create_topics {
        return Ok((Vec::new(), Vec::new()));
    }
    let own = |topic: &str| source.get(topic).map(|t| t.settings.clone().into_iter().collect()).unwrap_or_default();
    let mut missing = remap::to_create(plan, at_target, &|topic| source.get(topic).map(|t| t.partitions), &own);
    if missing.is_empty() {
        return Ok((missing, Vec::new()));
    }
    let replicas = target.default_replicas(TIMEOUT)?;
    let notes = missing.iter_mut().flat_map(|topic| settings::fit(topic, replicas)).collect();
    target.would_create(&missing, TIMEOUT)?;
    Ok((missing, notes))
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    // What costs nothing to find out comes first: contradictions, then the run directory.
    let page = arguments.choices.options()?.observe.metrics.map(metrics::Page::serve).transpose()?;
    let dir = RunDir::create(&arguments.run)?;
    let Ready { target, topics, setup, mut feed, .. } = ready(&arguments.choices, true, &arguments.run)?;
    for note in &setup.identity.notes {
        talk(format_args!("note: {note}"));
    }
    talk(format_args!("replaying into cluster {}", setup.identity.target_cluster));
    if let Some(page) = &page {
        talk(format_args!("the run's figures are at http://{}/metrics", page.address));
    }
    let names: Vec<String> = topics.topics.iter().map(|t| t.name.clone()).collect();
    let (mut sink, mut completions) = target.open(&names, TIMEOUT)?;
    let stop = stop::on_signal()?;
    let clock = Arc::new(SystemClock::new());
    let mut progress = Progress::new();
    let planned_ns = setup.planned_ns(feed.span());
    let result = engine::run(setup, &dir, &mut sink, &mut completions, &mut feed, &clock, &stop, &mut |p| {
        if let Some(warning) = &p.warning {
            progress.note(format_args!("warning: {warning}"));
        }
        if let Some(page) = &page {
            page.update(p, planned_ns);
        }
        progress.show(format_args!("{}", observing::line(p, planned_ns)));
    });
    progress.end();
    // What is not answered by now is counted as unknown; the client need not wait for it.
    sink.give_up();
    let report = result?;
    super::print(&summary(&report))?;
    talk(format_args!("the run is in {}", arguments.run.display()));
    Ok(report.outcome())
}

pub(crate) fn run_plan(arguments: &PlanArguments) -> anyhow::Result<Outcome> {
    let Ready { target, topics, at_target, setup, mut feed, partitioners } = ready(&arguments.choices, false, &std::env::temp_dir())?;
    let client = target.describe(&at_target).into_iter().collect();
    let sort = feed.sort_cost().map(SortReport::from);
    let report = PlanReport { partitioners, client, sort, ..plan(&setup, &mut feed)? };
    if arguments.json {
        super::print_json(&report)?;
        return Ok(Outcome::Done);
    }
    let mut text = report.to_string();
    for topic in &topics.topics {
        text.push_str(&format!("topic      {} from {} ({} partitions needed)\n", topic.name, topic.sources.join(", "), topic.partitions));
    }
    super::print(&text)?;
    Ok(Outcome::Done)
}

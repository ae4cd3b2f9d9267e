//! `dejaq replay` and `dejaq plan`: recording to broker, and what would be sent.

use std::path::PathBuf;
use std::sync::Arc;

use dejaq_replay::engine;
use dejaq_replay::plan::{PlanReport, SortReport, plan};
use dejaq_replay::run::dir::RunDir;
use dejaq_replay::summary::summary;
use dejaq_shared::broker::sink::{Destination, TargetKind};
use dejaq_shared::clock::SystemClock;
use dejaq_shared::outcome::Outcome;

use crate::progress::{Progress, talk};
use crate::stop;

mod choices;
mod live;
mod making;
mod metrics;
mod observing;
mod ready;
mod snapshot;

use choices::Choices;
use live::Live;
use ready::{Ready, TIMEOUT, ready};

#[derive(clap::Args)]
#[command(after_help = "\
The time line is the recorded one unless --speed, --rate, --profile or --max say otherwise. Latency counts from \
the intended send time. The run directory holds report.html, run.json, latency.hlog and the counts per \
second and per stream.

Exit codes: 0 done, and to be trusted; 4 a --fail-if was crossed; 3 INVALID (whatever was crossed), or load \
not delivered, or messages lost; 1 failed; 2 usage.

Examples:
  dejaq replay rec --to kafka://staging:9092 --run run1 --create-topics
  dejaq replay rec --to kafka://staging:9092 --run run2 --speed 4 --for 10m
  dejaq replay rec --to kafka://staging:9092 --run run3 --rate 50k/s --map orders=orders-test
  dejaq replay rec --to kafka://staging:9092 --run run4 --fail-if 'p99(response) > 50ms'")]
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

Exit codes: 0 planned, even where it says that something cannot be reached; 1 failed or refused; 2 usage.

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

/// Runs it; `command` is what was typed.
pub(crate) fn run(arguments: &Arguments, command: Vec<String>) -> anyhow::Result<Outcome> {
    // What costs nothing to find out comes first: contradictions, then the run directory.
    let page = arguments.choices.options()?.observe.metrics.map(metrics::Page::serve).transpose()?;
    let dir = RunDir::create(&arguments.run)?;
    let Ready { target, topics, mut setup, mut feed, .. } = ready(&arguments.choices, true, &arguments.run)?;
    setup.identity.command = command;
    for note in &setup.identity.notes {
        talk(format_args!("note: {note}"));
    }
    talk(format_args!("replaying into cluster {}", setup.identity.target_cluster));
    if let Some(page) = &page {
        talk(format_args!("the run's figures are at http://{}/metrics", page.address));
    }
    let destinations: Vec<Destination> = topics.topics.iter().map(|t| t.destination.clone()).collect();
    let (mut sink, mut completions) = target.open(&destinations, TIMEOUT)?;
    let stop = stop::on_signal()?;
    let clock = Arc::new(SystemClock::new());
    let mut progress = Progress::new();
    let planned_ns = setup.planned_ns(feed.span());
    let mut live = Live::new(planned_ns);
    let result = engine::run(setup, &dir, &mut sink, &mut completions, &mut feed, &clock, &stop, &mut |p| {
        if let Some(warning) = &p.warning {
            progress.note(format_args!("warning: {warning}"));
        }
        if let Some(page) = &page {
            page.update(p, planned_ns);
        }
        match progress.draws() {
            true => progress.view(live.share(p), live.lines(p)),
            false => progress.show(format_args!("{}", live.line(p))),
        }
    });
    progress.end();
    // What is not answered by now is counted as unknown; the client need not wait for it.
    sink.give_up();
    let report = result?;
    super::print(&summary(&report))?;
    for threshold in &report.thresholds {
        talk(format_args!("--fail-if {threshold}"));
    }
    dejaq_replay::report::write(&arguments.run)?;
    talk(format_args!("the run is in {}: report.html shows it", arguments.run.display()));
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
        let (name, sources) = (&topic.name, topic.sources.join(", "));
        text.push_str(&match setup.planner.fit.kind() {
            TargetKind::Kafka => format!("topic      {name} from {sources} ({} partitions needed)\n", topic.partitions),
            TargetKind::RabbitMq => format!("exchange   {name} from {sources}\n"),
        });
    }
    super::print(&text)?;
    Ok(Outcome::Done)
}

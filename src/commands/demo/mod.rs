//! `dejaq demo`: the whole loop in one process, against librdkafka's own mock of Kafka.
//!
//! It runs the very commands that it prints. The mock keeps 5 MiB a partition and answers from one thread: its latencies say
//! how the demo runs, not how a broker would.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use dejaq_aggregator::{By, Service, Stats, Traffic, traffic};
use dejaq_replay::cardinality::{CARDINALITY_JSON, CardinalityReport};
use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::units::format_count;

use crate::progress::talk;

/// A hundred times as many processes as the traffic has.
const RULES: &str = r#"[[expand]]
streams  = "metrics"
format   = "dogstatsd"
tag      = "process"
distinct = 4_000
pick     = { zipf = 1.0 }
"#;
/// The topic that the aggregator publishes to.
const OUTPUT: &str = "aggregates";
/// How long the traffic lasts.
const TRAFFIC: Duration = Duration::from_secs(12);
/// How long the capture listens: the traffic, and what is on its way.
const CAPTURE: &str = "14s";

#[derive(clap::Args)]
#[command(after_help = "\
Needs nothing but this program: both clusters are simulated in it. Takes about 20 seconds.

Examples:
  dejaq demo
  dejaq demo --out my-demo")]
pub(crate) struct Arguments {
    /// Where recording and run are put (default: a new directory for temporary files)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The seed of the traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let out = arguments.out.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("dejaq-demo-{}", super::new_id())));
    std::fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
    let (recording, run, rules) = (out.join("recording"), out.join("run"), out.join("processes.toml"));
    let text = |path: &Path| path.display().to_string();

    talk(format_args!(
        "dejaq demo: production traffic, recorded and replayed four times as fast, with a hundred times as many processes\n"
    ));
    talk(format_args!("1. Two Kafka clusters start in this process, \"prod\" and \"staging\"."));
    let prod = EmbeddedKafka::start(&traffic::TOPICS)?;
    let staging = EmbeddedKafka::start(&[traffic::TOPICS.as_slice(), &[(OUTPUT, 1)]].concat())?;

    talk(format_args!("2. A service sends DogStatsD metrics and orders to prod, in bursts; dejaq records them as they come."));
    let producer = {
        let [metrics, orders] = traffic::TOPICS.map(|(name, _)| name.to_owned());
        let traffic = Traffic { brokers: brokers(&prod), metrics, orders, seed: arguments.seed };
        std::thread::Builder::new().name("traffic".into()).spawn(move || traffic.send(TRAFFIC))?
    };
    let captured = step(&[
        "capture",
        "--from",
        &prod.url(),
        "--topics",
        "metrics,orders",
        "--out",
        &text(&recording),
        "--start",
        "beginning",
        "--for",
        CAPTURE,
        "-X",
        "fetch.wait.max.ms=10",
    ])?;
    let sent = producer.join().map_err(|_| anyhow::anyhow!("the traffic thread ended unexpectedly: this is a defect in dejaq"))??;
    talk(format_args!("   (the service sent {sent} messages)\n"));

    talk(format_args!("3. The recording is checked: every byte of it is under a checksum."));
    let verified = step(&["verify", &text(&recording)])?;
    talk(format_args!("\n4. What is in it:"));
    step(&["inspect", &text(&recording)])?;
    talk(format_args!("\n5. Which tags its metrics have, and how many values each:"));
    step(&["inspect", &text(&recording), "--tags"])?;
    talk(format_args!(
        "\n6. It is replayed into staging on its own time line, four times as fast, with {} processes instead of {}, and into a\n   service that aggregates metrics (examples/aggregator):\n\n{RULES}",
        traffic::PROCESSES * 100,
        traffic::PROCESSES
    ));
    std::fs::write(&rules, RULES).with_context(|| format!("writing {}", rules.display()))?;
    let aggregator = Aggregator::start(&staging)?;
    let replayed =
        step(&["replay", &text(&recording), "--to", &staging.url(), "--run", &text(&run), "--speed", "4", "--expand", &text(&rules)])?;
    let kept = aggregator.stop()?;
    talk(format_args!("\n{}", cardinality(&run)?));
    talk(format_args!("   the aggregator read {} messages and keeps {} sets of tags\n", format_count(kept.0), format_count(kept.1)));
    if replayed == Outcome::Doubtful {
        talk(format_args!(
            "\nINVALID is not a failure of the demo: it sends tens of thousands of messages a second from the machine that also plays both\n\
             clusters, and this one was too busy to send each on time. dejaq says so instead of showing numbers that are wrong."
        ));
    }
    talk(format_args!("{}", farewell(&text(&recording), &text(&run))));
    Ok([captured, verified, replayed].into_iter().find(|o| *o != Outcome::Done).unwrap_or(Outcome::Done))
}

/// A cluster's address, as clients other than dejaq write it.
fn brokers(cluster: &EmbeddedKafka) -> String {
    cluster.url().trim_start_matches("kafka://").to_owned()
}

/// The system under test, on a thread of its own.
struct Aggregator {
    stop: Arc<AtomicBool>,
    stats: Arc<Stats>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Aggregator {
    fn start(cluster: &EmbeddedKafka) -> anyhow::Result<Self> {
        let (stop, stats) = (Arc::new(AtomicBool::new(false)), Arc::new(Stats::default()));
        let (metrics, _) = traffic::TOPICS[0];
        let service = Service {
            brokers: brokers(cluster),
            input: metrics.to_owned(),
            output: OUTPUT.to_owned(),
            group: "aggregator".to_owned(),
            by: By::TagSet,
        };
        let (its_stop, its_stats) = (Arc::clone(&stop), Arc::clone(&stats));
        let thread = std::thread::Builder::new().name("aggregator".into()).spawn(move || service.run(&its_stats, &its_stop))?;
        Ok(Self { stop, stats, thread })
    }

    /// Ends it; returns the messages that it read and the groups that it keeps.
    fn stop(self) -> anyhow::Result<(u64, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the aggregator ended unexpectedly: this is a defect in dejaq's example"))??;
        Ok((self.stats.read.load(Ordering::Relaxed), self.stats.groups.load(Ordering::Relaxed)))
    }
}

/// What staging got to see of the processes, by the run's own account.
fn cardinality(run: &Path) -> anyhow::Result<String> {
    let path = run.join(CARDINALITY_JSON);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let report: CardinalityReport = serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let mut lines = format!("   {:<16}{:>14}{:>14}{:>16}{:>14}\n", "metric", "before", "processes", "series before", "series sent");
    for metric in report.rules.iter().flat_map(|rule| &rule.metrics) {
        let [before, processes, series_before, series] =
            [metric.distinct_before, metric.distinct_sent, metric.series_before, metric.series_sent].map(format_count);
        lines.push_str(&format!("   {:<16}{before:>14}{processes:>14}{series_before:>16}{series:>14}\n", metric.name));
    }
    Ok(lines)
}

/// Prints a command and runs it.
fn step(words: &[&str]) -> anyhow::Result<Outcome> {
    talk(format_args!("   $ dejaq {}", words.join(" ")));
    let words: Vec<OsString> = std::iter::once("dejaq").chain(words.iter().copied()).map(OsString::from).collect();
    crate::Arguments::try_parse_from(&words)?.command.run(&words)
}

fn farewell(recording: &str, run: &str) -> String {
    format!(
        "
What you saw: every message reached staging with its key and headers, in its partition's order, on the recorded time line.
Only the process in it was another: exactly 4,000 of them, as often as Zipf's law has it; the aggregator keeps state for
each set of tags, so it shows. Latency counts from the moment a
message was due, so a stall cannot hide. The clusters were simulated: the numbers show that the loop works, not how fast a
broker is.

Next:
  docs/CASE.md                                              the same on real clusters: a service that breaks, and is mended
  dejaq export {recording} | head -1                        look at a record
  dejaq inspect {recording} --json                          for scripts
  xdg-open {run}/report.html                                the report of the run, to look at
  less {run}/run.json                                       all that is known of it
  dejaq expand --suggest {recording}                    rules to start from
  dejaq capture --from kafka://PROD:9092 --topics '^YOURS' --out rec --for 10m
  dejaq plan rec --to kafka://STAGING:9092 --create-topics
  dejaq replay rec --to kafka://STAGING:9092 --run run1 --create-topics"
    )
}

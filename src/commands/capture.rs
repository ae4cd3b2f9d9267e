//! `dejaq capture`: broker to recording.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dejaq_capture::config::{Scalar, Wanted};
use dejaq_capture::{Capture, CaptureConfig, CaptureError, CapturePlan, CaptureSummary, Report};
use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::mirror::{ExchangeSelection, Mirror as _};
use dejaq_shared::broker::source::{Source as _, SourceOptions, TopicSelection};
use dejaq_shared::broker::{AnyMirror, AnySource};
use dejaq_shared::clock::SystemClock;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::units::{format_bytes, format_count, format_duration_ns, format_rate};

use super::Usage;
use crate::progress::{Progress, talk};
use crate::stop;

/// How long the cluster may take to answer for the first time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
#[command(after_help = "\
The capture reads with an identity of its own: it commits nothing, joins no group and steals no \
message. Of RabbitMQ's exchanges it reads copies, in a queue of its own, and acknowledges them when they are on disk. A directory that holds a recording is continued: nothing missing, nothing twice. SIGINT and \
SIGTERM end it properly.

Transactions: all records are recorded, those of aborted ones too; -X isolation.level=read_committed \
leaves these out. The recording says which.

Secrets: DEJAQ_KAFKA_PASSWORD or DEJAQ_KAFKA_PASSWORD_FILE, for the user named in the URL. DEJAQ_KAFKA_TOKEN_FILE, read \
again before the token expires, or DEJAQ_KAFKA_TOKEN, with -X sasl.mechanisms=OAUTHBEARER. RabbitMQ: DEJAQ_AMQP_PASSWORD or \
DEJAQ_AMQP_PASSWORD_FILE.

Exit codes: 0 done, 3 done and a gap was recorded, 1 failed (what was captured is whole), 2 usage.

Examples:
  dejaq capture --from kafka://prod:9092 --topics orders,payments --out rec --for 10m
  dejaq capture --from kafkas://me@prod:9093 --topics '^web' --out rec --start beginning --until end
  dejaq capture --from amqp://me@prod/shop --exchanges orders,events --out rec --for 10m
  dejaq capture --config capture.toml --check")]
pub(crate) struct Arguments {
    /// The broker: kafka://host:port[,host:port…], kafkas://… for TLS; amqp://user@host:port/vhost, amqps://…
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// Kafka: topics, separated by commas; one that starts with ^ is a regular expression
    #[arg(long, value_name = "LIST")]
    topics: Option<String>,
    /// RabbitMQ: exchanges, separated by commas; (default) is the default exchange
    #[arg(long, value_name = "LIST")]
    exchanges: Option<String>,
    /// The virtual hosts of these exchanges, separated by commas (default: the one in the URL, or /)
    #[arg(long, value_name = "LIST")]
    vhosts: Option<String>,
    /// Bind to all that these exchanges get, what is routed nowhere included
    #[arg(long)]
    catch_all: bool,
    /// Take what is published to these exchanges from the broker's trace
    #[arg(long)]
    firehose: bool,
    /// RabbitMQ: a stream queue, which is read from an offset and not consumed
    #[arg(long, value_name = "NAME")]
    stream_queue: Option<String>,
    /// The recording: a new directory, or one to continue
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where to begin in a new recording: end (default), beginning, or a time as RFC 3339
    #[arg(long, value_name = "WHERE")]
    start: Option<String>,
    /// Stop when all that was there at the start has been read: end
    #[arg(long, value_name = "end")]
    until: Option<String>,
    /// Stop after this time: 90s, 10m, 24h
    #[arg(long = "for", value_name = "DUR")]
    run_for: Option<String>,
    /// Stop when the recording holds this many records
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// Traffic that dejaq replayed: stop recording its streams (default), or include it
    #[arg(long, value_name = "stop|include")]
    replayed: Option<String>,
    /// zstd level (default 3), none, or auto: lower while behind
    #[arg(long, value_name = "LEVEL")]
    compress: Option<String>,
    /// Fetch at most so many bytes a second: 50MiB/s
    #[arg(long, value_name = "RATE")]
    fetch_rate: Option<String>,
    /// The same, while catching up
    #[arg(long, value_name = "RATE")]
    catch_up_rate: Option<String>,
    /// Settings as TOML; flags override
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A property for the client (Kafka: librdkafka's); may be given several times
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    property: Vec<String>,
    /// Connect, print what holds (secrets left out), and capture nothing
    #[arg(long)]
    check: bool,
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

impl Arguments {
    fn plan(self) -> anyhow::Result<CapturePlan> {
        let text = |t: Option<String>| t.map(Scalar::Text);
        let flags = CaptureConfig {
            from: self.from,
            // The list is split where it is understood: a comma can be part of a pattern.
            topics: self.topics.map(|list| vec![list]),
            exchanges: self.exchanges.map(|list| split(&list)),
            vhosts: self.vhosts.map(|list| split(&list)),
            catch_all: self.catch_all.then_some(true),
            firehose: self.firehose.then_some(true),
            stream_queue: self.stream_queue,
            out: self.out,
            start: self.start,
            until: self.until,
            run_for: self.run_for,
            records: self.records,
            replayed: self.replayed,
            compress: text(self.compress),
            fetch_rate: text(self.fetch_rate),
            catch_up_rate: text(self.catch_up_rate),
            properties: super::properties(&self.property)?.into_iter().map(|(k, v)| (k, Scalar::Text(v))).collect::<BTreeMap<_, _>>(),
            ..CaptureConfig::default()
        };
        let file = self.config.map_or_else(|| Ok(CaptureConfig::default()), |path| CaptureConfig::read(&path));
        file.and_then(|file| file.overridden_by(flags).plan()).map_err(Usage::error)
    }
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Outcome> {
    let check = arguments.check;
    let plan = arguments.plan()?;
    let endpoint = Endpoint::from_url_and_environment(&plan.from).map_err(Usage::error)?;
    let options = SourceOptions {
        memory_budget_bytes: usize::try_from(plan.memory.source_queue)?,
        user: plan.properties.clone().into_iter().collect(),
        ..SourceOptions::default()
    };
    match &plan.wanted {
        Wanted::Topics(topics) => run_source(&plan, topics, &endpoint, &options, check),
        Wanted::StreamQueue(queue) => run_source(&plan, &TopicSelection::exactly(queue), &endpoint, &options, check),
        Wanted::Exchanges(selection) => run_mirror(&plan, selection, &endpoint, &options, check),
    }
}

/// Captures, or shows, what stands in logs.
fn run_source(
    plan: &CapturePlan,
    topics: &TopicSelection,
    endpoint: &Endpoint,
    options: &SourceOptions,
    check: bool,
) -> anyhow::Result<Outcome> {
    let mut source = AnySource::connect(endpoint, topics, options, CONNECT_TIMEOUT)?;
    if check {
        return show(plan, topics, &mut source);
    }
    let (cluster, client) = (source.cluster().to_owned(), source.describe());
    record(plan, &cluster, &client, |capture, observer| capture.run(source, topics, observer))
}

/// Captures, or shows, what exchanges pass on.
fn run_mirror(
    plan: &CapturePlan,
    selection: &ExchangeSelection,
    endpoint: &Endpoint,
    options: &SourceOptions,
    check: bool,
) -> anyhow::Result<Outcome> {
    let mut mirror = AnyMirror::connect(endpoint, selection, options, CONNECT_TIMEOUT)?;
    if check {
        return show_mirror(plan, &mut mirror);
    }
    let (cluster, client) = (mirror.cluster().to_owned(), mirror.describe());
    record(plan, &cluster, &client, |capture, observer| capture.mirror(mirror, observer))
}

/// Runs a capture with its progress shown, and says how it went.
fn record(
    plan: &CapturePlan,
    cluster: &str,
    client: &[(String, String)],
    run: impl FnOnce(&Capture<'_>, &mut dyn FnMut(&Report<'_>)) -> Result<CaptureSummary, CaptureError>,
) -> anyhow::Result<Outcome> {
    let stop = stop::on_signal()?;
    let mut progress = Progress::new();
    let clock: Arc<dyn dejaq_shared::clock::Clock> = Arc::new(SystemClock::new());
    let capture = Capture { plan, client, clock: &clock, stop: &stop };
    let result = run(&capture, &mut |report| tell(&mut progress, cluster, report));
    progress.end();
    let summary = result?;
    talk(format_args!("{}", summary_text(&summary)));
    Ok(summary.outcome())
}

fn tell(progress: &mut Progress, cluster: &str, report: &Report<'_>) {
    match report {
        Report::Started { streams, resumed: None } => progress.note(format_args!("capturing {streams} streams of cluster {cluster}")),
        Report::Started { streams, resumed: Some(records) } => {
            progress.note(format_args!("going on with {streams} streams of cluster {cluster}, after {} records", format_count(*records)));
        }
        Report::Warning(text) => progress.note(format_args!("warning: {text}")),
        Report::Progress(p) => {
            let lag = p.lag.map_or("?".to_owned(), format_count);
            let free = p.disk_free.map_or(String::new(), |free| format!(" ({} free)", format_bytes(free)));
            progress.show(format_args!(
                "{}  {} records  {}  {}/s  lag {lag}  gaps {}  disk {}{free}  synced {}",
                format_duration_ns(p.elapsed.as_secs().saturating_mul(1_000_000_000)),
                format_count(p.records),
                format_rate(p.records_per_s),
                format_bytes(p.bytes_per_s),
                p.gaps,
                format_bytes(p.bytes_stored),
                format_count(p.records_synced),
            ));
        }
    }
}

fn summary_text(summary: &CaptureSummary) -> String {
    let mut text = format!(
        "{}: {} records ({} raw, {} on disk) of {} streams in {}; {} holes, {} gaps; books {}",
        summary.stopped,
        format_count(summary.records),
        format_bytes(summary.bytes_raw),
        format_bytes(summary.bytes_stored),
        summary.streams,
        format_duration_ns(u64::try_from(summary.duration.as_nanos()).unwrap_or(u64::MAX)),
        format_count(summary.holes),
        summary.gaps,
        if summary.books_balance { "balance" } else { "DO NOT BALANCE" },
    );
    if let Some(d) = &summary.mirror {
        text.push_str(&format!(
            "; delivered {} = {} written + {} duplicates + {} unparseable + {} left out; {} redelivered, {} of them possible duplicates",
            format_count(d.delivered),
            format_count(d.written),
            format_count(d.duplicates),
            format_count(d.unparseable),
            format_count(d.left_out),
            format_count(d.redelivered),
            format_count(d.possible_duplicates),
        ));
    }
    if summary.records_total != summary.records {
        text.push_str(&format!("; the recording holds {}", format_count(summary.records_total)));
    }
    if summary.replayed_streams > 0 {
        text.push_str(&format!("; {} streams carry replayed traffic", summary.replayed_streams));
    }
    text
}

/// What holds. The whole is a configuration file that gives the same plan: what is not, is a comment.
fn shown(plan: &CapturePlan, client: &[(String, String)], cluster: &str) -> String {
    let mut text = plan.describe();
    for line in plan.describe_memory().lines() {
        text.push_str(&format!("# {line}\n"));
    }
    text.push_str("\n# the client\n");
    for (name, value) in client {
        text.push_str(&format!("#   {name} = {value}\n"));
    }
    text.push_str(&format!("\n# cluster {cluster}\n"));
    text
}

/// `--check`: what holds, and whether the broker has what is asked for, and lets us.
fn show_mirror(plan: &CapturePlan, mirror: &mut AnyMirror) -> anyhow::Result<Outcome> {
    let warnings = mirror.check(CONNECT_TIMEOUT)?;
    let mut text = shown(plan, &mirror.describe(), mirror.cluster());
    for filter in mirror.filters() {
        text.push_str(&format!("#   {filter}\n"));
    }
    for words in warnings {
        text.push_str(&format!("# warning: {words}\n"));
    }
    super::print(&text)?;
    Ok(Outcome::Done)
}

/// `--check`: what holds, and whether the cluster has what is asked for.
fn show(plan: &CapturePlan, wanted: &TopicSelection, source: &mut AnySource) -> anyhow::Result<Outcome> {
    let topics = source.topics(wanted, CONNECT_TIMEOUT)?;
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    source.check_rights(&names, CONNECT_TIMEOUT)?;
    let mut text = shown(plan, &source.describe(), source.cluster());
    for topic in &topics {
        let id = topic.id.map_or("unknown".to_owned(), |id| id.to_string());
        text.push_str(&format!("#   topic {} ({} partitions, id {id})\n", topic.name, topic.lanes.len()));
    }
    super::print(&text)?;
    Ok(Outcome::Done)
}

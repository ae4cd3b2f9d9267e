//! `--probe`, `--lag`, `--watch` and `--metrics` on their way into a run.

use std::time::Duration;

#[cfg(feature = "kafka")]
use anyhow::Context as _;
use dejaq_replay::config::{ObserveOptions, Options, RawOptions};
use dejaq_replay::observers::Observers;
use dejaq_shared::broker::endpoint::Endpoint;
#[cfg(feature = "kafka")]
use dejaq_shared::broker::source::{SourceOptions, TopicSelection};
#[cfg(feature = "kafka")]
use dejaq_shared::broker::{AnyBacklog, AnySource};

/// What the client of a probe may keep of the output that is not looked at yet.
#[cfg(feature = "kafka")]
const PROBE_BYTES: usize = 16 << 20;

/// What to look at meanwhile.
#[derive(clap::Args)]
pub(super) struct Flags {
    /// Look for each message at the system's output: topic=out,match=header:id; also from=FIELD, deadline=30s, sample=N, where FIELD is
    /// key, header:NAME, json:$.PATH or regex:PATTERN; or how fresh it is: topic=out,freshness=json:$.ts[,unit=ms]
    #[arg(long, value_name = "SPEC")]
    probe: Vec<String>,
    /// Follow how far a consumer group is behind, without joining it; may be given several times
    #[arg(long, value_name = "GROUP")]
    lag: Vec<String>,
    /// Sample a signal each second: http://host/metrics#metric,metric, pid:N or name:NAME; may be given several times
    #[arg(long, value_name = "SOURCE")]
    watch: Vec<String>,
    /// Serve the run's figures for Prometheus: ADDRESS:PORT, or a port of this machine alone
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
}

impl Flags {
    /// Puts them where the other flags are.
    pub(super) fn onto(&self, flags: &mut RawOptions) {
        flags.probe.clone_from(&self.probe);
        flags.lag.clone_from(&self.lag);
        flags.watch.clone_from(&self.watch);
        flags.metrics.clone_from(&self.metrics);
    }
}

/// Connects those who look; each has a client of its own.
pub(super) fn observers(options: &Options, target: &Endpoint, timeout: Duration) -> anyhow::Result<Observers> {
    let mut observers = Observers::default();
    connect(&mut observers, &options.observe, target, timeout)?;
    for source in &options.observe.watch {
        observers.watch(source);
    }
    Ok(observers)
}

/// Probes and groups are Kafka's.
#[cfg(feature = "kafka")]
fn connect(observers: &mut Observers, options: &ObserveOptions, target: &Endpoint, timeout: Duration) -> anyhow::Result<()> {
    // A person's properties are for the producer: those of the connection are in the endpoint.
    let client = SourceOptions { memory_budget_bytes: PROBE_BYTES, ..SourceOptions::default() };
    let is_kafka = matches!(target, Endpoint::Kafka(_));
    anyhow::ensure!(is_kafka || options.probes.is_empty(), "{target}: --probe looks at topics, which are Kafka's");
    for probe in &options.probes {
        let wanted = TopicSelection::exactly(&probe.topic);
        let begun = AnySource::connect(target, &wanted, &client, timeout).context("connecting");
        begun.and_then(|source| Ok(observers.probe(probe, source, timeout)?)).with_context(|| format!("--probe {probe}"))?;
    }
    for group in &options.lag {
        let backlog = AnyBacklog::connect(target, group, &client, timeout).with_context(|| format!("--lag {group}"))?;
        observers.lag(group, Box::new(backlog));
    }
    Ok(())
}

#[cfg(not(feature = "kafka"))]
fn connect(_: &mut Observers, options: &ObserveOptions, target: &Endpoint, _: Duration) -> anyhow::Result<()> {
    let nothing = options.probes.is_empty() && options.lag.is_empty();
    anyhow::ensure!(nothing, "{target}: --probe and --lag look at Kafka, and this build of dejaq has none (cargo feature kafka)");
    Ok(())
}

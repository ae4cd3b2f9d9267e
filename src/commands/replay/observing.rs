//! `--probe`, `--lag`, `--watch` and `--metrics` on their way into a run.

use std::time::Duration;

use anyhow::{Context as _, Error};
use dejaq_replay::config::{ObserveOptions, Options, RawOptions};
use dejaq_replay::observers::Observers;
use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::source::SourceOptions;
use dejaq_shared::broker::tap::Tap as _;
use dejaq_shared::broker::{AnyBacklog, AnyTap};

/// What the client of a probe may keep of the output that is not looked at yet.
const PROBE_BYTES: usize = 16 << 20;

/// What to look at meanwhile.
#[derive(clap::Args)]
pub(super) struct Flags {
    /// Look for each message at the system's output: topic=out,match=header:id; also from=FIELD, deadline=30s, sample=N, where FIELD is
    /// key, header:NAME, json:$.PATH or regex:PATTERN; or how fresh it is: topic=out,freshness=json:$.ts[,unit=ms].
    /// RabbitMQ: exchange=out[,binding=KEY] (a copy), or queue=out (nobody else may consume it; it is emptied); FIELD also
    /// property:message_id, correlation_id, type, app_id; key is the routing key
    #[arg(long, value_name = "SPEC")]
    probe: Vec<String>,
    /// Follow how far a consumer group is behind, without joining it; RabbitMQ: how much is ready in a queue, without consuming it. May
    /// be given several times
    #[arg(long, value_name = "NAME")]
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

/// Connects those who look; each has a client of its own. `begin`: there will be a run, so probes begin to read.
pub(super) fn observers(options: &Options, target: &Endpoint, begin: bool, timeout: Duration) -> anyhow::Result<Observers> {
    let mut observers = Observers::default();
    let ObserveOptions { probes, lag, watch, .. } = &options.observe;
    let client = SourceOptions { memory_budget_bytes: PROBE_BYTES, user: properties(options, target), ..SourceOptions::default() };
    for probe in probes {
        let mut tap = AnyTap::connect(target, &probe.outlet, &client, timeout).with_context(|| format!("--probe {probe}: connecting"))?;
        if begin {
            tap.begin(timeout).with_context(|| format!("--probe {probe}"))?;
        }
        observers.probe(probe, tap).map_err(Error::msg).with_context(|| format!("--probe {probe}"))?;
    }
    for name in lag {
        let backlog = AnyBacklog::connect(target, name, &client, timeout).with_context(|| format!("--lag {name}"))?;
        observers.lag(name, Box::new(backlog));
    }
    for source in watch {
        observers.watch(source);
    }
    Ok(observers)
}

/// A person's properties are for Kafka's producer: those of the connection are in the endpoint. RabbitMQ has one list for all.
fn properties(options: &Options, target: &Endpoint) -> Vec<(String, String)> {
    if matches!(target, Endpoint::Kafka(_)) { Vec::new() } else { options.properties.clone() }
}

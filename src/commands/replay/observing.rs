//! `--probe`, `--lag`, `--watch` and `--metrics` on their way into a run, and its progress as people and machines see it.

use std::time::Duration;

use anyhow::{Context as _, Error};
use dejaq_replay::config::{ObserveOptions, Options, RawOptions};
use dejaq_replay::engine::Progress;
use dejaq_replay::observers::Observers;
use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::source::SourceOptions;
use dejaq_shared::broker::tap::Tap as _;
use dejaq_shared::broker::{AnyBacklog, AnyTap};
use dejaq_shared::units::{format_count, format_duration_ns, format_ns, format_rate};

const SECOND_NS: u64 = 1_000_000_000;
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

/// A run's state in a line; `planned_ns` is how long it will take, where that is known.
pub(super) fn line(p: &Progress, planned_ns: Option<u64>) -> String {
    if p.starts_in_ns > 0 {
        return format!("ready: the first message is sent in {}", format_duration_ns(p.starts_in_ns.next_multiple_of(SECOND_NS)));
    }
    if p.outputs_only {
        return format!("all is sent and answered; waiting for {} outputs", format_count(p.observed.outputs_open));
    }
    let mut parts = vec![
        time(p, planned_ns),
        format!("{} scheduled", format_count(p.scheduled)),
        format!("{} sent", format_count(p.sent)),
        format!("{} in flight", format_count(p.in_flight as u64)),
        format!("held by the target {}", format_duration_ns(p.pushed_back_ns)),
    ];
    let recent = &p.recent;
    if recent.seconds > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        parts.push(format_rate(recent.acked as f64 / recent.seconds as f64));
    }
    let (name, latency) = if recent.response.count > 0 { ("response", recent.response) } else { ("service", recent.service) };
    if let (Some(p50), Some(p99)) = (latency.p50_ns, latency.p99_ns) {
        parts.push(format!("{name} p50 {} p99 {}", format_ns(p50), format_ns(p99)));
    }
    if let Some(error) = recent.schedule_error.p99_ns {
        parts.push(format!("schedule error p99 {}", format_ns(error)));
    }
    parts.extend(p.distinct.iter().map(|(tag, count)| format!("{} of {tag}", format_count(*count))));
    parts.extend(observed(p));
    parts.join("  ")
}

/// How long it runs, and how long it will.
fn time(p: &Progress, planned_ns: Option<u64>) -> String {
    let whole = |ns: u64| format_duration_ns((ns / SECOND_NS).max(1) * SECOND_NS);
    match planned_ns.filter(|planned| *planned > p.run_ns) {
        Some(planned) => format!("{} ({} left)", whole(p.run_ns), whole(planned - p.run_ns)),
        None => whole(p.run_ns),
    }
}

/// What is known of the system under test.
fn observed(p: &Progress) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(p99) = p.observed.end_to_end.and_then(|latency| latency.p99_ns) {
        parts.push(format!("end to end p99 {}", format_ns(p99)));
    }
    for (group, lag) in &p.observed.lag {
        parts.extend(lag.map(|lag| format!("{group} behind by {}", format_count(lag.messages))));
    }
    if !p.observed.silent.is_empty() {
        parts.push(format!("silent: {}", p.observed.silent.join(", ")));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use dejaq_replay::measure::lag::Lag;

    #[test]
    fn a_line_says_what_is_known_and_leaves_out_what_is_not() {
        let mut p = Progress { run_ns: 3_500_000_000, scheduled: 12_000, sent: 11_999, in_flight: 3, ..Progress::default() };
        assert_eq!(line(&p, None), "3 s  12,000 scheduled  11,999 sent  3 in flight  held by the target 0 ns");
        (p.recent.seconds, p.recent.acked) = (5, 20_000);
        (p.recent.response.count, p.recent.response.p50_ns, p.recent.response.p99_ns) = (1, Some(1_000_000), Some(2_000_000));
        p.recent.schedule_error.p99_ns = Some(50_000);
        p.distinct = vec![("host".into(), 1_200)];
        p.observed.lag = vec![("billing".into(), Some(Lag { messages: 7, ..Lag::default() })), ("audit".into(), None)];
        p.observed.silent = vec!["pid:1".into()];
        let text = line(&p, Some(63_500_000_000));
        assert!(text.starts_with("3 s (1 min 0 s left)  "), "{text}");
        assert!(text.contains("response p50 1 ms p99 2 ms  schedule error p99 50 µs"), "{text}");
        assert!(text.ends_with("1,200 of host  billing behind by 7  silent: pid:1"), "{text}");
    }

    #[test]
    fn a_line_says_what_it_waits_for() {
        let waiting = Progress { starts_in_ns: 1_200_000_000, ..Progress::default() };
        assert_eq!(line(&waiting, None), "ready: the first message is sent in 2 s");
        let mut outputs = Progress { outputs_only: true, ..Progress::default() };
        outputs.observed.outputs_open = 5;
        assert_eq!(line(&outputs, None), "all is sent and answered; waiting for 5 outputs");
    }
}

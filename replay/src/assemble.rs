//! Puts the books of all threads together: the facts for trust, and the report.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::cardinality::CardinalityReport;
use crate::fail_if::of_run::RunThreshold;
use crate::fit::{FitCounts, FitReport};
use crate::ledger::{Counts, Ledger};
use crate::measure::collector::{Excluded, Measured, Summaries, Totals};
use crate::measure::recorder::RecorderBooks;
use crate::pacer::{Live, PacerBooks};
use crate::run::observed::ObservedReport;
use crate::run::report::{
    HoldsReport, LatencyReport, LedgerReport, RateReport, RecordingReport, RunReport, SCHEMA_VERSION, TopicReport, WarmUpReport,
};
use crate::shard::Shard;
use crate::trust::{Cause, Facts, Reason, Verdict, judge};

/// Who a run is, known before it starts.
#[derive(Debug, Clone, Default)]
pub struct RunIdentity {
    /// Its own id, as in the mark.
    pub run_id: String,
    /// The seed.
    pub seed: u64,
    /// What is replayed.
    pub recording: RecordingReport,
    /// The source cluster and its ancestors, for the mark.
    pub mark_clusters: Vec<String>,
    /// The target's cluster.
    pub target_cluster: String,
    /// The command as it was typed, word by word, secrets left out.
    pub command: Vec<String>,
    /// Every option as it holds.
    pub config: BTreeMap<String, serde_json::Value>,
    /// The rule file of `--expand`.
    pub expand_rules: Option<String>,
    /// The clock's choice, warnings of the pre-flight.
    pub notes: Vec<String>,
    /// For each stream the class that its topic's latency is filed under.
    pub class_of_stream: Vec<Option<u32>>,
    /// Which shard of a run it is.
    pub shard: Option<Shard>,
    /// What it is held against at its end.
    pub thresholds: Vec<RunThreshold>,
}

/// What all threads knew at the end.
pub(crate) struct Ended {
    pub(crate) t0_ns: u64,
    pub(crate) t0_unix_ns: i64,
    pub(crate) scheduled: bool,
    pub(crate) pacer: PacerBooks,
    pub(crate) recorder: RecorderBooks,
    pub(crate) totals: Totals,
    pub(crate) input_error: Option<String>,
    pub(crate) damages: Vec<String>,
    pub(crate) client_error: Option<String>,
    pub(crate) clock_step_ns: u64,
    pub(crate) rows_lost: u64,
    pub(crate) cardinality: Option<CardinalityReport>,
    pub(crate) observed: Option<ObservedReport>,
    pub(crate) payload_notes: Vec<String>,
    pub(crate) fitted: FitCounts,
    pub(crate) address_notes: Vec<String>,
    pub(crate) classes: Vec<String>,
    pub(crate) streams: Vec<String>,
}

/// The report of a run that has ended, and its whole ledger.
pub(crate) fn finished(identity: &RunIdentity, ended: &Ended) -> (RunReport, Ledger) {
    let mut ledger = ended.pacer.ledger.clone();
    ledger.merge(&ended.recorder.ledger);
    let facts = facts(ended, &ledger);
    let trust = judge(&facts);
    let counts = *ledger.total();
    let measured = facts.measured;
    let mut notes = identity.notes.clone();
    // What the counting pass said already is not said again.
    notes.extend(ended.payload_notes.iter().filter(|note| !identity.notes.contains(note)).cloned());
    notes.extend(ended.fitted.notes());
    notes.extend(ended.address_notes.iter().cloned());
    notes.extend(ended.cardinality.iter().flat_map(|c| &c.rules).map(ToString::to_string));
    notes.extend(ended.observed.iter().flat_map(ObservedReport::notes));
    if ended.pacer.stopped {
        notes.push("the run was stopped before its end".to_owned());
    }
    if ended.totals.incomplete_seconds > 0 {
        notes.push(format!(
            "{} seconds were closed before all in them was answered; later answers are in the totals alone",
            ended.totals.incomplete_seconds
        ));
    }
    let mut report = RunReport {
        finished: true,
        verdict: trust.verdict(),
        trust: trust.reasons,
        limited_by: trust.limited_by,
        delivered: trust.delivered,
        ledger: LedgerReport { counts, reasons: ledger.reasons() },
        latency: LatencyReport {
            end_to_end: ended.observed.as_ref().and_then(ObservedReport::end_to_end),
            ..latencies(&measured.window, ended.scheduled)
        },
        warm_up: warm_up(&measured, ended.scheduled),
        rate: rates(ended, &counts),
        duration_ns: facts.duration_ns,
        holds: HoldsReport {
            ceiling_ns: facts.ceiling_ns,
            full_queue_ns: facts.full_queue_ns,
            blocked_ns: facts.blocked_ns,
            lateness_max_ns: facts.late_max_ns,
        },
        order_violations: ended.pacer.order_violations,
        fit: ended.fitted.report(),
        topics: topics(identity, ended, &ledger),
        observed: ended.observed.clone(),
        notes,
        ..blank(identity, ended.t0_unix_ns, ended.scheduled)
    };
    report.thresholds = identity.thresholds.iter().map(|threshold| threshold.judge(&report)).collect();
    (report, ledger)
}

/// The report of a run that is still going on: what is known if it is killed.
pub(crate) fn unfinished(
    identity: &RunIdentity,
    live: &Live,
    totals: &Totals,
    observed: Option<ObservedReport>,
    t0_unix_ns: i64,
    scheduled: bool,
) -> RunReport {
    let detail = "the run had not ended when this was written: counts are those so far, latencies those of closed seconds, and outputs those whose fate was known".to_owned();
    let measured = totals.measured(totals.scheduled);
    let sent = live.sent.load(Ordering::Relaxed);
    let counts = Counts { scheduled: live.scheduled.load(Ordering::Relaxed), sent, acked: totals.acked, ..Counts::default() };
    RunReport {
        trust: vec![Reason { reason: "unfinished".to_owned(), cause: Cause::Run, detail }],
        ledger: LedgerReport { counts, ..LedgerReport::default() },
        latency: LatencyReport {
            end_to_end: observed.as_ref().and_then(ObservedReport::end_to_end),
            ..latencies(&measured.window, scheduled)
        },
        warm_up: warm_up(&measured, scheduled),
        observed,
        ..blank(identity, t0_unix_ns, scheduled)
    }
}

fn latencies(window: &Summaries, scheduled: bool) -> LatencyReport {
    LatencyReport {
        schedule_error: scheduled.then_some(window.schedule_error),
        service: window.service,
        response: scheduled.then_some(window.response),
        response_without_lateness: scheduled.then_some(window.response_on_time),
        end_to_end: None,
    }
}

fn warm_up(measured: &Measured, scheduled: bool) -> Option<WarmUpReport> {
    let Excluded { until_s, scheduled: messages, latencies } = measured.warm_up?;
    Some(WarmUpReport { until_s, scheduled: messages, service: latencies.service, response: scheduled.then_some(latencies.response) })
}

/// The report of a run of which nothing is known yet.
pub(crate) fn blank(identity: &RunIdentity, t0_unix_ns: i64, scheduled: bool) -> RunReport {
    RunReport {
        schema_version: SCHEMA_VERSION,
        finished: false,
        verdict: Verdict::Invalid,
        trust: Vec::new(),
        limited_by: None,
        delivered: None,
        ledger: LedgerReport::default(),
        latency: LatencyReport::default(),
        warm_up: None,
        rate: RateReport::default(),
        command: identity.command.clone(),
        config: identity.config.clone(),
        expand_rules: identity.expand_rules.clone(),
        seed: identity.seed,
        shard: identity.shard.map(|shard| shard.to_string()),
        t0_unix_ns,
        recording: identity.recording.clone(),
        target_cluster: identity.target_cluster.clone(),
        run_id: identity.run_id.clone(),
        duration_ns: 0,
        closed_loop: !scheduled,
        holds: HoldsReport::default(),
        order_violations: 0,
        fit: FitReport::default(),
        topics: Vec::new(),
        observed: None,
        thresholds: Vec::new(),
        notes: identity.notes.clone(),
    }
}

fn facts(ended: &Ended, ledger: &Ledger) -> Facts {
    let Ended { pacer, recorder, .. } = ended;
    let counts = ledger.total();
    let name = |stream: Option<u32>| {
        stream.map_or("in total".to_owned(), |ix| ended.streams.get(ix as usize).cloned().unwrap_or_else(|| format!("stream {ix}")))
    };
    let mut imbalances: Vec<String> = ledger.imbalances().into_iter().map(|(stream, words)| format!("{}: {words}", name(stream))).collect();
    if recorder.stray > 0 {
        imbalances.push(format!("{} answers came for messages that were not in flight", recorder.stray));
    }
    let last_ns = [pacer.sent_span_ns, recorder.acked_span_ns].into_iter().flatten().map(|(_, last)| last).max().unwrap_or(ended.t0_ns);
    Facts {
        scheduled: ended.scheduled,
        measured: ended.totals.measured(counts.scheduled),
        messages: counts.scheduled,
        on_time: pacer.on_time,
        imbalances,
        duration_ns: last_ns.saturating_sub(ended.t0_ns),
        ceiling_ns: pacer.holds.ceiling_ns(),
        full_queue_ns: pacer.holds.full_queue_ns(),
        blocked_ns: pacer.holds.blocked_ns(),
        queue_full_at: pacer.queue_full_at,
        peak_per_s: pacer.peak_per_s,
        dry_count: pacer.dry_count,
        dry_late_max_ns: pacer.dry_late_max_ns,
        late_max_ns: pacer.late_max_ns,
        skipped_by_generator: pacer.skipped_by_generator,
        clock_step_ns: ended.clock_step_ns,
        input_error: ended.input_error.clone(),
        damages: ended.damages.clone(),
        client_error: ended.client_error.clone(),
        rows_lost: ended.rows_lost,
        probe_failures: ended
            .observed
            .iter()
            .flat_map(|o| &o.probes)
            .filter_map(|p| p.failed.as_ref().map(|why| format!("{}: {why}", p.spec)))
            .collect(),
        outputs_crowded_out: ended.observed.iter().flat_map(|o| &o.probes).filter_map(|p| p.matched).map(|m| m.crowded_out).sum(),
    }
}

fn rates(ended: &Ended, counts: &Counts) -> RateReport {
    let per_s = |count: u64, span: Option<(u64, u64)>| {
        let (first, last) = span?;
        (last > first).then(|| count as f64 * 1e9 / (last - first) as f64)
    };
    let answered = ended.pacer.sent_span_ns.zip(ended.recorder.acked_span_ns).map(|((sent, _), (_, acked))| (sent, acked));
    RateReport {
        // n messages make n − 1 gaps.
        intended_per_s: if ended.scheduled { per_s(counts.scheduled.saturating_sub(1), ended.pacer.due_span_ns) } else { None },
        achieved_per_s: per_s(counts.acked, answered),
    }
}

fn topics(identity: &RunIdentity, ended: &Ended, ledger: &Ledger) -> Vec<TopicReport> {
    let mut scheduled = vec![0; ended.classes.len()];
    for (counts, class) in ledger.streams().iter().zip(&identity.class_of_stream) {
        if let Some(of_class) = class.and_then(|c| scheduled.get_mut(c as usize)) {
            *of_class += counts.scheduled;
        }
    }
    let named = ended.classes.iter().zip(&ended.totals.topics).zip(scheduled);
    named
        .map(|((name, latency), scheduled)| TopicReport {
            name: name.clone(),
            scheduled,
            service: latency.service.summary(0),
            response: ended.scheduled.then(|| latency.response.summary(scheduled.saturating_sub(latency.response.count()))),
        })
        .collect()
}

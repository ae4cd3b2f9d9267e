//! A run for people: the verdict first, then what limited it, then the numbers.

use std::fmt::Write as _;

use dejaq_shared::units::{format_count, format_duration_ns, format_ns, format_rate};

use crate::measure::latency::LatencySummary;
use crate::run::report::RunReport;
use crate::trust::{DELIVERED_MIN, LimitedBy, Verdict, delivered_line};
use crate::unit::{in_unit, of_metric};

/// The summary, many lines.
#[must_use]
pub fn summary(report: &RunReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &RunReport) -> std::fmt::Result {
    match report.verdict {
        Verdict::Valid => {
            writeln!(out, "VALID: nothing speaks against these numbers")?;
        }
        Verdict::Invalid => {
            writeln!(out, "INVALID: do not trust these numbers")?;
            for reason in &report.trust {
                writeln!(out, "  {}: {}", reason.reason, reason.detail)?;
            }
        }
    }
    write_limits(out, report)?;
    let counts = &report.ledger.counts;
    writeln!(out)?;
    writeln!(
        out,
        "messages   {} scheduled, {} sent, {} acked",
        format_count(counts.scheduled),
        format_count(counts.sent),
        format_count(counts.acked)
    )?;
    for (bucket, reasons) in &report.ledger.reasons {
        for (reason, count) in reasons {
            writeln!(out, "           {} {bucket}: {reason}", format_count(*count))?;
        }
    }
    let intended = report.rate.intended_per_s.map(|r| format!("{} intended, ", format_rate(r))).unwrap_or_default();
    let achieved = report.rate.achieved_per_s.map_or("not known".to_owned(), format_rate);
    writeln!(out, "rate       {intended}{achieved} achieved over {}", format_duration_ns(report.duration_ns))?;
    if report.order_violations > 0 {
        writeln!(out, "order      {} messages were sent out of their stream's order", format_count(report.order_violations))?;
    }
    writeln!(out)?;
    write_latency(out, report)?;
    if let Some(warm_up) = &report.warm_up {
        let shown = warm_up.response.as_ref().unwrap_or(&warm_up.service);
        writeln!(
            out,
            "warm-up    the first {} s, {} messages, are left out of these latencies: their p99 is {}",
            warm_up.until_s,
            format_count(warm_up.scheduled),
            shown.p99_ns.map_or("not known".to_owned(), format_ns)
        )?;
    }
    write_observed(out, report)?;
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

fn write_limits(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let held = |ns| format!("sending was held back for {}", format_ns(ns));
    match report.limited_by {
        Some(LimitedBy::Target) => {
            let holds = &report.holds;
            let asked = if holds.blocked_ns > 0 {
                format!(", {} of it because its broker asked to", format_ns(holds.blocked_ns))
            } else {
                String::new()
            };
            writeln!(
                out,
                "limited by the target: {} by a full client queue or a broker that asked to hold{asked}",
                held(holds.full_queue_ns.saturating_add(holds.blocked_ns))
            )?;
        }
        Some(LimitedBy::Ceiling) => {
            writeln!(out, "limited by the ceiling: {} by --max-rate or --max-bytes", held(report.holds.ceiling_ns))?;
        }
        Some(LimitedBy::Generator) => writeln!(out, "limited by the generator: dejaq, or the machine it runs on, was not fast enough")?,
        None => {}
    }
    match report.delivered {
        Some(share) if share < DELIVERED_MIN => writeln!(out, "planned load not delivered: {}", delivered_line(share)),
        Some(share) => writeln!(out, "{}", delivered_line(share)),
        None => Ok(()),
    }
}

fn write_latency(out: &mut String, report: &RunReport) -> std::fmt::Result {
    writeln!(out, "{:<16}{:>12}{:>12}{:>12}{:>12}{:>12}", "latency", "p50", "p90", "p99", "p99.9", "max")?;
    let latency = &report.latency;
    if let Some(response) = &latency.response {
        write_row(out, "response", response)?;
    }
    write_row(out, if report.closed_loop { "service (closed)" } else { "service" }, &latency.service)?;
    if let Some(end_to_end) = &latency.end_to_end {
        write_row(out, "end to end", end_to_end)?;
    }
    if let Some(error) = &latency.schedule_error {
        write_row(out, "schedule error", error)?;
    }
    if report.closed_loop {
        writeln!(
            out,
            "closed loop: with --max the target's own pace decides when messages are sent, so waiting does not show in these latencies"
        )?;
    }
    Ok(())
}

/// What was seen of the system under test.
fn write_observed(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let Some(observed) = &report.observed else { return Ok(()) };
    writeln!(out)?;
    for probe in &observed.probes {
        if let Some(matched) = &probe.matched {
            let [expected, answered, lost, duplicates, unmatched] =
                [matched.expected, matched.answered, matched.lost, matched.duplicates, matched.unmatched].map(format_count);
            writeln!(out, "outputs    {answered} of {expected} came, {lost} lost; {duplicates} duplicates, {unmatched} unmatched")?;
        }
        if let Some(freshness) = &probe.freshness {
            let age = |ns: Option<i64>| ns.map_or("not known".to_owned(), |ns| in_unit(ns as f64, "ns"));
            let (max, end) = (age(freshness.age_ns_max), age(freshness.age_ns_end));
            writeln!(out, "freshness  the newest event in {} outputs: {max} old at most, {end} at the end", format_count(probe.outputs))?;
        }
    }
    for group in &observed.lag {
        let lag = &group.lag;
        let most = lag.messages_max.map_or("not known".to_owned(), |n| format!("{} messages at most", format_count(n)));
        let time = lag.time_ns_max.map_or(String::new(), |ns| format!(", {}", format_ns(ns)));
        let end = lag.end.map_or(String::new(), |lag| format!(", {} at the end", format_count(lag.messages)));
        let held = lag.unacknowledged_max.map_or(String::new(), |n| format!("; its consumers held {} at most", format_count(n)));
        writeln!(out, "lag        {}: {most}{time}{end}{held}", lag.group)?;
    }
    for source in &observed.watch {
        for (metric, series) in &source.metrics {
            let [min, max, mean] = [series.min, series.max, series.mean].map(|value| in_unit(value, of_metric(metric)));
            writeln!(out, "watched    {} {metric}: {min} to {max}, mean {mean}", source.source)?;
        }
    }
    Ok(())
}

fn write_row(out: &mut String, name: &str, summary: &LatencySummary) -> std::fmt::Result {
    write!(out, "{name:<16}")?;
    for (_, value) in summary.named() {
        let cell = match value {
            Some(ns) => format_ns(ns),
            None if summary.unanswered > 0 => "> deadline".to_owned(),
            None if summary.overflow > 0 => "> 1 h".to_owned(),
            None => "-".to_owned(),
        };
        write!(out, "{cell:>12}")?;
    }
    if summary.unanswered > 0 {
        write!(out, "   {} unanswered", format_count(summary.unanswered))?;
    }
    writeln!(out)
}

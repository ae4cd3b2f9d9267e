//! The five numbers that a run comes down to.

use dejaq_shared::units::{format_count, format_duration_ns, format_ns, format_percent, format_rate};
use serde::Serialize;

use crate::measure::latency::LatencySummary;
use crate::run::report::RunReport;
use crate::trust::{DELIVERED_MIN, LimitedBy};

/// A number for people, and what it is to be seen beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Number {
    /// What it is.
    pub name: String,
    /// Itself, with its unit.
    pub value: String,
    /// What it is to be seen beside.
    pub beside: String,
    /// Whether it is one to worry about.
    pub bad: bool,
}

/// The rate, the median and the 99th percentile of response (of service, where there was no schedule), what was delivered,
/// and what was not answered.
#[must_use]
pub fn numbers(run: &RunReport) -> [Number; 5] {
    let number = |name: &str, value: String, beside: String, bad: bool| Number { name: name.to_owned(), value, beside, bad };
    let (measure, latency) = headline(run);
    let counts = &run.ledger.counts;
    let rate = run.rate.achieved_per_s.map_or("–".to_owned(), format_rate);
    let intended = match run.rate.intended_per_s {
        Some(rate) => format!("of {} intended", format_rate(rate)),
        None if run.closed_loop => "as fast as the target took it".to_owned(),
        None => format!("{} sent", format_count(counts.sent)),
    };
    let lost: Vec<String> = [(counts.failed, "failed"), (counts.unknown, "unknown"), (counts.skipped, "skipped")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", format_count(count)))
        .collect();
    let unanswered = if run.finished { counts.skipped + counts.failed + counts.unknown } else { latency.unanswered };
    let share = if counts.scheduled == 0 { 0.0 } else { unanswered as f64 / counts.scheduled as f64 };
    let scheduled = format!("of {} messages", format_count(counts.scheduled));
    [
        number("rate achieved", rate, intended, false),
        number(
            &format!("p50 {measure}"),
            percentile(latency, latency.p50_ns),
            format!("p90 {}", percentile(latency, latency.p90_ns)),
            false,
        ),
        number(
            &format!("p99 {measure}"),
            percentile(latency, latency.p99_ns),
            format!("p99.9 {}, max {}", percentile(latency, latency.p999_ns), percentile(latency, latency.max_ns)),
            false,
        ),
        match run.delivered {
            Some(share) => number("delivered", format_percent(share), limits(run), share < DELIVERED_MIN),
            None => number("acked", format_count(counts.acked), limits(run), false),
        },
        number("unanswered", format_percent(share), if lost.is_empty() { scheduled } else { lost.join(", ") }, unanswered > 0),
    ]
}

/// The latency that is reported: response, or service where there was no schedule.
pub(super) fn headline(run: &RunReport) -> (&'static str, &LatencySummary) {
    run.latency.response.as_ref().map_or(("service", &run.latency.service), |response| ("response", response))
}

/// A percentile in words, the infinite ones too.
pub(super) fn percentile(of: &LatencySummary, value: Option<u64>) -> String {
    match value {
        Some(ns) => format_ns(ns),
        None if of.unanswered > 0 => "> deadline".to_owned(),
        None if of.overflow > 0 => "> 1 h".to_owned(),
        None => "–".to_owned(),
    }
}

/// What kept the run from its plan.
pub(super) fn limits(run: &RunReport) -> String {
    match run.limited_by {
        Some(LimitedBy::Target) => {
            let held_ns = run.holds.full_queue_ns.saturating_add(run.holds.blocked_ns);
            format!("limited by the target: held for {}", format_duration_ns(held_ns))
        }
        Some(LimitedBy::Ceiling) => format!("limited by the ceiling: held for {}", format_duration_ns(run.holds.ceiling_ns)),
        Some(LimitedBy::Generator) => "limited by the generator".to_owned(),
        None if run.delivered.is_some() => "sent within 1 s of their time".to_owned(),
        None => String::new(),
    }
}

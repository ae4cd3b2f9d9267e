//! The report as a page: the verdict and the five numbers, the charts, then all that is needed to understand them and to run
//! it again.

use dejaq_shared::units::{format_count, format_duration_ns, format_ns, format_percent, format_time_ns};
use maud::{Markup, html};

use super::likeness::Likeness;
use super::model::Report;
use super::numbers::{headline, limits, percentile};
use super::shell::{Drawn, figure, page, top, without_script};
use crate::cardinality::{CardinalityReport, MetricCardinality};
use crate::measure::latency::LatencySummary;
use crate::run::report::RunReport;
use crate::trust::Verdict;

/// The most rows of a list or table; the files of the run have the rest.
const ROWS_MAX: usize = 100;

/// The page.
#[must_use]
pub fn html(report: &Report) -> String {
    let run = &report.run;
    let title = format!("{}: dejaq run {}", verdict(run), short(&run.run_id));
    let body = html! {
        header { (head(run)) }
        main {
            section class="numbers" aria-label="the five numbers" {
                @for number in &report.numbers {
                    div class={ "number" @if number.bad { " bad" } } {
                        span class="name" { (number.name) }
                        strong { (number.value) }
                        span class="beside" { (number.beside) }
                    }
                }
            }
            (thresholds(run))
            @if run.warm_up.is_some() { p class="remark" { (warm_up(run)) } }
            @if report.charts.is_empty() { p class="remark" { "No interval was complete when this was written: there is nothing to draw." } }
            (without_script("the files of the run directory"))
            div class="charts lead" { @for chart in &report.charts { (figure(chart)) } }
            @if let Some(likeness) = &report.fidelity { (fidelity(likeness)) }
            @if let Some(cardinality) = &report.cardinality { (cardinalities(cardinality)) }
            (latency_table(run))
            (ledger_table(run))
            (again(run))
            (notes(run))
        }
        footer { p { "dejaq · run " (run.run_id) " · recording " (run.recording.id) " · target cluster " (run.target_cluster) } }
    };
    let of_fidelity = report.fidelity.iter().flat_map(|likeness| &likeness.charts);
    page(&title, &body, &Drawn { charts: report.charts.iter().chain(of_fidelity).collect(), events: &report.events, end_s: report.end_s })
}

/// The verdict as it is shown: a run that has not ended has none yet.
pub(super) fn verdict(run: &RunReport) -> &'static str {
    match (run.finished, run.verdict) {
        (false, _) => "UNFINISHED",
        (true, Verdict::Valid) => "VALID",
        (true, Verdict::Invalid) => "INVALID",
    }
}

fn short(id: &str) -> &str {
    id.split('-').next().unwrap_or(id)
}

fn head(run: &RunReport) -> Markup {
    let (verdict, said) = match verdict(run) {
        "VALID" => ("VALID", "Nothing speaks against these numbers."),
        "INVALID" => ("INVALID", "Do not trust these numbers."),
        unfinished => (unfinished, "The run was killed, or still goes on: INVALID until it has ended."),
    };
    html! {
        (top())
        div class={ "verdict " (verdict.to_lowercase()) } {
            h1 { (verdict) }
            p { (said) }
            @if !run.trust.is_empty() {
                ul { @for reason in &run.trust { li { strong { (reason.reason) } ": " (reason.detail) } } }
            }
            @if run.limited_by.is_some() { p { "The run was " (limits(run)) "." } }
        }
        p class="facts" {
            span { (format_time_ns(run.t0_unix_ns - run.t0_unix_ns.rem_euclid(1_000_000_000))) }
            @if run.duration_ns > 0 { span { (format_duration_ns(run.duration_ns)) } }
            span { (format_count(run.ledger.counts.scheduled)) " messages" }
            @if let Some(shard) = &run.shard { span { "shard " (shard) } }
            @if run.closed_loop { span { "closed loop (--max): the target's own pace decided when messages were sent" } }
        }
    }
}

/// What it was held against (`--fail-if`).
fn thresholds(run: &RunReport) -> Markup {
    html! {
        @if !run.thresholds.is_empty() {
            section id="thresholds" {
                h2 { "Thresholds" }
                div class="scroll" { table class="narrow" { tbody {
                    @for threshold in &run.thresholds {
                        tr {
                            th scope="row" { (threshold.expr) }
                            td class="text" { @if threshold.crossed { strong { "crossed" } } @else { "not crossed" } }
                            td class="text" { (threshold.found) }
                        }
                    }
                } } }
            }
        }
    }
}

fn warm_up(run: &RunReport) -> String {
    let Some(warm_up) = run.warm_up else { return String::new() };
    let shown = warm_up.response.as_ref().unwrap_or(&warm_up.service);
    format!(
        "The first {} s were warm-up: {} messages, p99 {}. They are drawn, and left out of the numbers above.",
        warm_up.until_s,
        format_count(warm_up.scheduled),
        percentile(shown, shown.p99_ns)
    )
}

fn latency_row(name: &str, of: &LatencySummary) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            @for (_, value) in of.named() { td { (percentile(of, value)) } }
            td { (format_count(of.count)) }
            td { (format_count(of.unanswered)) }
        }
    }
}

fn latency_table(run: &RunReport) -> Markup {
    let latency = &run.latency;
    let (measure, _) = headline(run);
    html! {
        section {
            h2 { "Latency" }
            p class="about" {
                "Response counts from the intended time, and every scheduled message is in its denominator; service from the sending. "
                "Percentiles are by rank."
            }
            div class="scroll" { table {
                thead { tr { th {} @for name in ["p50", "p90", "p99", "p99.9", "max", "count", "unanswered"] { th scope="col" { (name) } } } }
                tbody {
                    @if let Some(response) = &latency.response { (latency_row("response", response)) }
                    (latency_row("service", &latency.service))
                    @if let Some(error) = &latency.schedule_error { (latency_row("schedule error", error)) }
                    @if let Some(end_to_end) = &latency.end_to_end { (latency_row("end to end", end_to_end)) }
                    @for topic in &run.topics {
                        (latency_row(&format!("{measure}, {}", topic.name), topic.response.as_ref().unwrap_or(&topic.service)))
                    }
                }
            } }
        }
    }
}

fn ledger_table(run: &RunReport) -> Markup {
    let c = &run.ledger.counts;
    let rows = [
        ("read", c.read),
        ("cloned", c.cloned),
        ("filtered", c.filtered),
        ("scheduled", c.scheduled),
        ("skipped", c.skipped),
        ("sent", c.sent),
        ("acked", c.acked),
        ("failed", c.failed),
        ("unknown", c.unknown),
    ];
    html! {
        section {
            h2 { "What became of every message" }
            p class="about" { "read + cloned = scheduled + filtered, scheduled = sent + skipped, sent = acked + failed + unknown" }
            div class="scroll" { table class="narrow" { tbody {
                @for (name, count) in rows {
                    tr { th scope="row" { (name) } td { (format_count(count)) } td class="text" {
                        @for (reason, count) in run.ledger.reasons.get(name).into_iter().flatten() { div { (format_count(*count)) " " (reason) } }
                    } }
                }
            } } }
        }
    }
}

/// A number beside a bar of its length.
fn bar(text: &str, number: f64, longest: f64) -> Markup {
    let share = if longest > 0.0 { number / longest } else { 0.0 };
    html! { td class="bar" { span style={ "width:" (format!("{:.1}", share * 100.0)) "%" } {} (text) } }
}

fn count_bar(count: u64, longest: u64) -> Markup {
    bar(&format_count(count), count as f64, longest as f64)
}

fn fidelity(likeness: &Likeness) -> Markup {
    let Likeness { fidelity, dispersion, charts } = likeness;
    let longest = dispersion.iter().map(|scale| scale.planned.max(scale.sent)).fold(0.0, f64::max);
    html! {
        section id="fidelity" {
            h2 { "Fidelity " (format!("{:.4}", fidelity.score)) }
            p class="about" { "How like its own plan the run was, each part from 0 to 1. The score is the lowest part: " (fidelity.lowest) "." }
            div class="scroll" { table { tbody {
                @for part in &fidelity.parts {
                    tr {
                        th scope="row" { (part.name) @if part.name == fidelity.lowest { " " span class="lowest" { "lowest" } } }
                        @if let Some(score) = part.score { (bar(&format!("{score:.4}"), score, 1.0)) } @else { td { "–" } }
                        td class="text" { (part.detail) }
                    }
                }
            } } }
            div class="charts" {
                @for chart in charts { (figure(chart)) }
                div {
                    h2 { "Burstiness" }
                    p class="about" { "The index of dispersion (variance over mean) of the messages in each span: 1 is pure chance, 0 a clock." }
                    div class="scroll" { table {
                        thead { tr { th scope="col" { "per" } th scope="col" { "planned" } th scope="col" { "sent" } } }
                        tbody { @for scale in dispersion { tr {
                            th scope="row" { (format_ns(scale.scale_ns)) }
                            (bar(&format!("{:.2}", scale.planned), scale.planned, longest)) (bar(&format!("{:.2}", scale.sent), scale.sent, longest))
                        } } }
                    } }
                }
            }
        }
    }
}

fn cardinalities(report: &CardinalityReport) -> Markup {
    let metrics = || report.rules.iter().flat_map(|rule| rule.metrics.iter().map(move |metric| (rule, metric)));
    let longest = |of: fn(&MetricCardinality) -> u64| metrics().map(|(_, m)| of(m)).max().unwrap_or(0);
    let (values, series) = (longest(|m| m.distinct_before.max(m.distinct_sent)), longest(|m| m.series_before.max(m.series_sent)));
    html! {
        section id="cardinality" {
            h2 { "Cardinality" }
            p class="about" { "Distinct values of each expanded tag, and distinct series (metric and all tags), as recorded and as sent." }
            @for rule in &report.rules { p { (rule) } }
            div class="scroll" { table {
                thead { tr { th scope="col" { "tag" } th scope="col" class="text" { "metric" }
                    @for name in ["values recorded", "values sent", "series recorded", "series sent"] { th scope="col" { (name) } } } }
                tbody {
                    @for (rule, metric) in metrics().take(ROWS_MAX) {
                        tr {
                            th scope="row" { (rule.tag) }
                            td class="text" { (metric.name) @if !metric.estimated.is_empty() { " (estimated within " (format_percent(report.estimate_error_share)) ")" } }
                            (count_bar(metric.distinct_before, values)) (count_bar(metric.distinct_sent, values))
                            (count_bar(metric.series_before, series)) (count_bar(metric.series_sent, series))
                        }
                    }
                }
            } }
            (more(metrics().count(), "cardinality.json"))
        }
    }
}

fn again(run: &RunReport) -> Markup {
    html! {
        section {
            h2 { "Run it again" }
            @if run.command.is_empty() {
                p class="about" { "The run did not keep its command. These are the options as they held." }
            } @else {
                p class="about" { "The command as it was typed; --run needs a new directory. Secrets are left out." }
                pre id="command" { (super::markdown::shell_line(&run.command)) }
            }
            details {
                summary { "Every option as it held" }
                div class="scroll" { table class="narrow" { tbody {
                    @for (name, value) in &run.config {
                        tr { th scope="row" { (name) } td class="text" { (value) } }
                    }
                } } }
            }
            @if let Some(rules) = &run.expand_rules {
                details {
                    summary { "The rules of --expand" }
                    pre id="rules" { (rules) }
                }
            }
        }
    }
}

fn notes(run: &RunReport) -> Markup {
    html! {
        @if !run.notes.is_empty() {
            section {
                h2 { "Notes" }
                ul { @for note in run.notes.iter().take(ROWS_MAX) { li { (note) } } }
                (more(run.notes.len(), "run.json"))
            }
        }
    }
}

fn more(count: usize, file: &str) -> Markup {
    html! { @if count > ROWS_MAX { p class="about" { "and " (count - ROWS_MAX) " more in " (file) } } }
}

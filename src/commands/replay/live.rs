//! A run as people see it while it goes on: a few lines that are drawn anew on a terminal, one line when piped.
//!
//! What is not known is left out. Latencies are those of the last seconds that are whole.

use std::collections::VecDeque;

use dejaq_replay::engine::Progress;
use dejaq_replay::measure::latency::LatencySummary;
use dejaq_shared::units::{format_count, format_duration_ns, format_ns, format_rate};

const SECOND_NS: u64 = 1_000_000_000;
/// How many looks a trace shows: half a second each.
const TRACE: usize = 48;
/// From nothing to the most.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is drawn, and what of the past is needed for it.
pub(super) struct Live {
    /// How long the run will take, in nanoseconds, where that is known.
    planned_ns: Option<u64>,
    /// The look before: when it was, and what was sent by then.
    before: (u64, u64),
    /// Messages sent per second, from look to look.
    rates: VecDeque<f64>,
    /// p99 of response at each look, in nanoseconds.
    p99s: VecDeque<f64>,
}

impl Live {
    /// Of a run that will take so long.
    pub(super) fn new(planned_ns: Option<u64>) -> Self {
        Self { planned_ns, before: (0, 0), rates: VecDeque::with_capacity(TRACE), p99s: VecDeque::with_capacity(TRACE) }
    }

    /// The share of the run that is over, where its length is known.
    #[expect(clippy::cast_precision_loss, reason = "a share for a bar")]
    pub(super) fn share(&self, p: &Progress) -> Option<f64> {
        self.planned_ns.map(|planned| p.run_ns as f64 / planned.max(1) as f64)
    }

    /// The run's state in a line.
    pub(super) fn line(&self, p: &Progress) -> String {
        if let Some(waiting) = waiting(p) {
            return waiting;
        }
        let mut parts = vec![
            self.time(p),
            format!("{} scheduled", format_count(p.scheduled)),
            format!("{} sent", format_count(p.sent)),
            format!("{} in flight", format_count(p.in_flight as u64)),
            format!("held by the target {}", format_duration_ns(p.pushed_back_ns)),
        ];
        parts.extend(acked(p).map(format_rate));
        let (name, latency) = decisive(p);
        if let (Some(p50), Some(p99)) = (latency.p50_ns, latency.p99_ns) {
            parts.push(format!("{name} p50 {} p99 {}", format_ns(p50), format_ns(p99)));
        }
        if let Some(error) = p.recent.schedule_error.p99_ns {
            parts.push(format!("schedule error p99 {}", format_ns(error)));
        }
        parts.extend(p.distinct.iter().map(|(tag, count)| format!("{} of {tag}", format_count(*count))));
        if let Some(p99) = p.observed.end_to_end.and_then(|latency| latency.p99_ns) {
            parts.push(format!("end to end p99 {}", format_ns(p99)));
        }
        for (name, lag) in &p.observed.lag {
            parts.extend(lag.map(|lag| format!("{name} behind by {}", format_count(lag.messages))));
        }
        if !p.observed.silent.is_empty() {
            parts.push(format!("silent: {}", p.observed.silent.join(", ")));
        }
        parts.join("  ")
    }

    /// The run's state in lines, one for each thing to look at; the first goes beside the bar.
    pub(super) fn lines(&mut self, p: &Progress) -> String {
        self.remember(p);
        if let Some(waiting) = waiting(p) {
            return waiting;
        }
        let mut rows = Vec::new();
        let rate = acked(p).map_or_else(String::new, format_rate);
        let sent = format!("{} sent, {} in flight", format_count(p.sent), format_count(p.in_flight as u64));
        rows.push(("rate", format!("{} {rate} acked, {sent}", trace(&self.rates))));
        let (name, latency) = decisive(p);
        rows.extend(percentiles(&latency).map(|text| (name, format!("{} {text}", trace(&self.p99s)))));
        rows.extend(percentiles(&p.recent.schedule_error).map(|text| ("schedule error", text)));
        if p.pushed_back_ns > 0 {
            rows.push(("held", format!("{} by the target", format_duration_ns(p.pushed_back_ns))));
        }
        if let Some(text) = p.observed.end_to_end.as_ref().and_then(percentiles) {
            rows.push(("end to end", format!("{text}; {} outputs waited for", format_count(p.observed.outputs_open))));
        }
        for (name, lag) in &p.observed.lag {
            let behind = lag.map_or_else(|| "not known".to_owned(), |lag| format!("{} messages", format_count(lag.messages)));
            rows.push(("lag", format!("{name}: {behind}")));
        }
        rows.extend(p.distinct.iter().map(|(tag, count)| ("cardinality", format!("{} values of {tag}", format_count(*count)))));
        rows.extend(p.observed.silent.iter().map(|source| ("silent", source.clone())));
        let rows = rows.iter().map(|(name, text)| format!("\n  {name:<15}{text}"));
        self.time(p) + &rows.collect::<String>()
    }

    /// How long it runs, and how long it will.
    fn time(&self, p: &Progress) -> String {
        let whole = |ns: u64| format_duration_ns((ns / SECOND_NS).max(1) * SECOND_NS);
        match self.planned_ns.filter(|planned| *planned > p.run_ns) {
            Some(planned) => format!("{} ({} left)", whole(p.run_ns), whole(planned - p.run_ns)),
            None => whole(p.run_ns),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "rates for a trace")]
    fn remember(&mut self, p: &Progress) {
        let (at_ns, sent) = std::mem::replace(&mut self.before, (p.run_ns, p.sent));
        let passed_ns = p.run_ns.saturating_sub(at_ns);
        if passed_ns > 0 {
            push(&mut self.rates, p.sent.saturating_sub(sent) as f64 * 1e9 / passed_ns as f64);
            push(&mut self.p99s, decisive(p).1.p99_ns.unwrap_or(0) as f64);
        }
    }
}

/// What is waited for, when nothing is sent.
fn waiting(p: &Progress) -> Option<String> {
    if p.starts_in_ns > 0 {
        let left = format_duration_ns(p.starts_in_ns.next_multiple_of(SECOND_NS));
        return Some(format!("ready: the first message is sent in {left}"));
    }
    let outputs = || format!("all is sent and answered; waiting for {} outputs", format_count(p.observed.outputs_open));
    p.outputs_only.then(outputs)
}

/// Confirmations per second.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn acked(p: &Progress) -> Option<f64> {
    (p.recent.seconds > 0).then(|| p.recent.acked as f64 / p.recent.seconds as f64)
}

/// Response, or service where there is no schedule.
fn decisive(p: &Progress) -> (&'static str, LatencySummary) {
    if p.recent.response.count > 0 { ("response", p.recent.response) } else { ("service", p.recent.service) }
}

fn percentiles(latency: &LatencySummary) -> Option<String> {
    let named = [("p50", latency.p50_ns), ("p99", latency.p99_ns), ("p99.9", latency.p999_ns), ("max", latency.max_ns)];
    let known: Vec<String> = named.iter().filter_map(|(name, ns)| Some(format!("{name} {}", format_ns((*ns)?)))).collect();
    (!known.is_empty()).then(|| known.join("  "))
}

fn push(trace: &mut VecDeque<f64>, value: f64) {
    if trace.len() == TRACE {
        trace.pop_front();
    }
    trace.push_back(value);
}

/// The past as blocks, the newest to the right, in proportion to the highest of them.
fn trace(values: &VecDeque<f64>) -> String {
    let most = values.iter().copied().fold(0.0, f64::max);
    let step = |value: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7")]
        let at = if most > 0.0 { (value / most * 7.0).round() as usize } else { 0 };
        STEPS.get(at).copied().unwrap_or('█')
    };
    values.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dejaq_replay::measure::lag::Lag;

    fn known() -> Progress {
        let mut p = Progress { run_ns: 3_500_000_000, scheduled: 12_000, sent: 11_999, in_flight: 3, ..Progress::default() };
        (p.recent.seconds, p.recent.acked) = (5, 20_000);
        (p.recent.response.count, p.recent.response.p50_ns, p.recent.response.p99_ns) = (1, Some(1_000_000), Some(2_000_000));
        p.recent.schedule_error.p99_ns = Some(50_000);
        p.distinct = vec![("host".into(), 1_200)];
        p.observed.lag = vec![("billing".into(), Some(Lag { messages: 7, ..Lag::default() })), ("audit".into(), None)];
        p.observed.silent = vec!["pid:1".into()];
        p
    }

    #[test]
    fn a_line_says_what_is_known_and_leaves_out_what_is_not() {
        let p = Progress { run_ns: 3_500_000_000, scheduled: 12_000, sent: 11_999, in_flight: 3, ..Progress::default() };
        assert_eq!(Live::new(None).line(&p), "3 s  12,000 scheduled  11,999 sent  3 in flight  held by the target 0 ns");
        let text = Live::new(Some(63_500_000_000)).line(&known());
        assert!(text.starts_with("3 s (1 min 0 s left)  "), "{text}");
        assert!(text.contains("response p50 1 ms p99 2 ms  schedule error p99 50 µs"), "{text}");
        assert!(text.ends_with("1,200 of host  billing behind by 7  silent: pid:1"), "{text}");
    }

    #[test]
    fn what_it_waits_for_is_said_both_ways() {
        let starting = Progress { starts_in_ns: 1_200_000_000, ..Progress::default() };
        let mut outputs = Progress { outputs_only: true, ..Progress::default() };
        outputs.observed.outputs_open = 5;
        for (p, said) in
            [(starting, "ready: the first message is sent in 2 s"), (outputs, "all is sent and answered; waiting for 5 outputs")]
        {
            let mut live = Live::new(None);
            assert_eq!((live.line(&p).as_str(), live.lines(&p).as_str()), (said, said));
        }
    }

    #[test]
    fn a_terminal_has_a_line_for_each_thing() {
        let mut live = Live::new(Some(7_000_000_000));
        live.lines(&Progress { run_ns: 3_000_000_000, sent: 11_499, ..Progress::default() });
        let expected = "3 s (3 s left)
  rate           █▃ 4k/s acked, 11,999 sent, 3 in flight
  response       ▁█ p50 1 ms  p99 2 ms
  schedule error p99 50 µs
  lag            billing: 7 messages
  lag            audit: not known
  cardinality    1,200 values of host
  silent         pid:1";
        // 3,833 a second in the first three seconds, 1,000 in the half second after.
        assert_eq!(live.lines(&known()), expected);
        assert_eq!(live.share(&known()), Some(0.5));
    }

    #[test]
    fn a_trace_is_as_long_as_what_it_shows_and_forgets_the_oldest() {
        let mut values = VecDeque::new();
        (0..=TRACE).for_each(|value| push(&mut values, if value == 0 { 1e9 } else { 7.0 }));
        assert_eq!(trace(&values), "█".repeat(TRACE), "what was highest is forgotten");
        assert_eq!(trace(&VecDeque::from([0.0, 1.0, 7.0, f64::NAN])), "▁▂█▁");
        assert_eq!(trace(&VecDeque::from([0.0])), "▁");
    }
}

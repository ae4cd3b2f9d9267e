//! What is marked on the time axis: warm-up, push-back, messages without an answer, the parts of a profile, and what was seen of the
//! system under test: sources that were silent, groups that rebalanced.
//!
//! Neighbouring seconds make one mark. There are at most [`EVENTS_MAX`] of a kind: of more, the longest ones.

use serde::Serialize;

use crate::profile::Profile;
use crate::run::observed::ObservedReport;
use crate::run::read::SecondCounts;
use crate::run::report::RunReport;
use dejaq_shared::units::{format_count, format_ns};

/// The most marks of one kind.
pub const EVENTS_MAX: usize = 50;
/// A message held back for less is not worth a mark.
const HELD_NS_MIN: u64 = 100_000_000;

/// What kind of mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Left out of the measured window.
    WarmUp,
    /// Sending was held back.
    Held,
    /// Messages without an answer.
    Unanswered,
    /// A part of the profile begins.
    Profile,
    /// A source that was sampled did not answer.
    Silent,
    /// A consumer group rebalanced.
    Rebalance,
}

/// A mark on the time axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Of which kind.
    pub kind: Kind,
    /// Where it begins, in seconds since the start.
    pub from_s: f64,
    /// Where it ends; where it begins, if it is an instant.
    pub to_s: f64,
    /// What it says.
    pub label: String,
}

/// Spans of neighbouring seconds, each with a number that is worth telling.
#[derive(Debug, Default)]
struct Spans(Vec<(u64, u64, u64)>);

impl Spans {
    /// Adds a second; `told` puts the numbers of two together.
    fn add(&mut self, second: u64, number: u64, told: fn(u64, u64) -> u64) {
        match self.0.last_mut() {
            Some((_, to, sum)) if *to >= second => (*to, *sum) = (second + 1, told(*sum, number)),
            _ => self.0.push((second, second + 1, number)),
        }
        // Half of them go, so that this is rare.
        if self.0.len() > 2 * EVENTS_MAX {
            self.keep_longest();
        }
    }

    fn keep_longest(&mut self) {
        // The last one may still grow.
        let last = self.0.pop();
        self.0.sort_by_key(|(from, to, number)| std::cmp::Reverse((to - from, *number)));
        self.0.truncate(EVENTS_MAX - 1);
        self.0.extend(last);
        self.0.sort_unstable();
    }

    fn events(mut self, kind: Kind, label: impl Fn(u64) -> String) -> Vec<Event> {
        if self.0.len() > EVENTS_MAX {
            self.keep_longest();
        }
        let event = |(from, to, number): (u64, u64, u64)| Event { kind, from_s: from as f64, to_s: to as f64, label: label(number) };
        self.0.into_iter().map(event).collect()
    }
}

/// Finds marks while the seconds of a run pass by, in order.
#[derive(Debug, Default)]
pub(super) struct Marks {
    held: Spans,
    unanswered: Spans,
}

impl Marks {
    pub(super) fn see(&mut self, row: &SecondCounts) {
        if row.held_max_ns >= HELD_NS_MIN {
            self.held.add(row.second, row.held_max_ns, u64::max);
        }
        let unanswered = row.scheduled.saturating_sub(row.acked);
        if unanswered > 0 {
            self.unanswered.add(row.second, unanswered, u64::saturating_add);
        }
    }

    /// All marks of a run.
    pub(super) fn events(self, run: &RunReport) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(warm_up) = run.warm_up {
            events.push(Event { kind: Kind::WarmUp, from_s: 0.0, to_s: warm_up.until_s as f64, label: "warm-up".to_owned() });
        }
        let by = match (run.holds.full_queue_ns.saturating_add(run.holds.blocked_ns), run.holds.ceiling_ns) {
            (_, 0) => "target pushed back",
            (0, _) => "held by the ceiling",
            _ => "held back by target or ceiling",
        };
        events.extend(self.held.events(Kind::Held, |ns| format!("{by}, up to {}", format_ns(ns))));
        events.extend(self.unanswered.events(Kind::Unanswered, |count| format!("{} without an answer", format_count(count))));
        events.extend(run.config.get("profile").and_then(|p| p.as_str()).map(profile_parts).unwrap_or_default());
        events.extend(run.observed.as_ref().map(|observed| observed_events(observed, run.duration_ns)).unwrap_or_default());
        events
    }
}

/// What was seen of the system under test; what had no end ends with the run.
fn observed_events(observed: &ObservedReport, end_ns: u64) -> Vec<Event> {
    let event = |kind, from_ns: u64, to_ns: Option<u64>, label: String| {
        let to_ns = to_ns.unwrap_or(end_ns).max(from_ns);
        Event { kind, from_s: from_ns as f64 / 1e9, to_s: to_ns as f64 / 1e9, label }
    };
    let groups = observed.lag.iter().map(|group| (&group.lag.group, &group.answers));
    let sources = groups.chain(observed.watch.iter().map(|watch| (&watch.source, &watch.answers)));
    let silent = sources.flat_map(|(name, answers)| answers.silent.iter().map(move |silent| (name, silent)));
    let silent = silent.map(|(name, silent)| event(Kind::Silent, silent.from_ns, silent.to_ns, format!("{name} silent")));
    let rebalances = observed.lag.iter().flat_map(|group| group.rebalances.iter().map(move |rebalance| (&group.lag.group, rebalance)));
    let rebalances = rebalances.map(|(name, r)| event(Kind::Rebalance, r.from_ns, r.to_ns, format!("{name} {r}")));
    [longest(silent.collect()), longest(rebalances.collect())].concat()
}

/// At most [`EVENTS_MAX`] of them, in order of time.
fn longest(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by(|a, b| (b.to_s - b.from_s).total_cmp(&(a.to_s - a.from_s)));
    events.truncate(EVENTS_MAX);
    events.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    events
}

fn profile_parts(text: &str) -> Vec<Event> {
    let Ok(profile) = Profile::parse(text) else { return Vec::new() };
    let part = |(at_ns, label): (u64, String)| {
        let at_s = at_ns as f64 / 1e9;
        Event { kind: Kind::Profile, from_s: at_s, to_s: at_s, label }
    };
    profile.parts().into_iter().take(EVENTS_MAX).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::{RunIdentity, blank};
    use crate::run::report::HoldsReport;
    use serde_json::{Value, json};

    const S: u64 = 1_000_000_000;

    fn second(second: u64, unanswered: u64, held_max_ns: u64) -> SecondCounts {
        SecondCounts { second, scheduled: 10, acked: 10 - unanswered, held_max_ns, ..SecondCounts::default() }
    }

    #[test]
    fn neighbours_make_one_mark() {
        let mut marks = Marks::default();
        for (at, unanswered) in [(0, 0), (1, 2), (2, 3), (3, 0), (5, 1), (7, 4)] {
            marks.see(&second(at, unanswered, 0));
        }
        assert_eq!(marks.unanswered.0, [(1, 3, 5), (5, 6, 1), (7, 8, 4)]);
    }

    #[test]
    fn of_too_many_the_longest_are_kept_and_memory_is_flat() {
        let mut marks = Marks::default();
        for at in (0..100_000).filter(|at| at % 3 == 0 || (at / 10) % 7 == 0) {
            marks.see(&second(at, 0, HELD_NS_MIN + at));
            assert!(marks.held.0.len() <= 2 * EVENTS_MAX);
        }
        let events = marks.held.events(Kind::Held, |ns| ns.to_string());
        assert_eq!(events.len(), EVENTS_MAX);
        assert!(events.iter().filter(|e| e.to_s - e.from_s < 10.0).count() <= 1, "{events:?}");
        assert!(events.is_sorted_by(|a, b| a.to_s < b.from_s));
    }

    #[test]
    fn silences_and_rebalances_are_marked_and_what_had_no_end_ends_with_the_run() {
        let silent = |from_s: u64, to_s: Option<u64>| json!({"from_ns": from_s * S, "to_ns": to_s.map(|s| s * S), "why": "refused"});
        let answers = |silent: Value| json!({"answers": 3, "silent": silent, "silent_more": 0, "unwritten": null});
        let mut group = answers(json!([]));
        group.as_object_mut().expect("an object").extend(
            json!({"group": "billing", "samples": 3, "partitions": 1, "messages_max": null, "time_ns_max": null, "end": null, "left_out": 0,
                "rebalances": [{"from_ns": 2 * S, "to_ns": 3 * S, "joined": 1, "left": 0}], "rebalances_more": 0})
            .as_object()
            .expect("an object")
            .clone(),
        );
        let many: Vec<Value> = (0..60).map(|at| silent(100 + 10 * at, Some(104 + 10 * at))).chain([silent(5, None)]).collect();
        let mut watch = answers(json!(many));
        watch["source"] = json!("pid:1");
        (watch["metrics"], watch["metrics_left_out"]) = (json!({}), json!(0));
        let observed = serde_json::from_value(json!({"probes": [], "lag": [group], "watch": [watch]})).expect("a report");
        let events = observed_events(&observed, 900 * S);
        let of = |kind: Kind| events.iter().filter(|e| e.kind == kind).map(|e| (e.from_s, e.to_s, e.label.as_str())).collect::<Vec<_>>();
        assert_eq!(of(Kind::Rebalance), [(2.0, 3.0, "billing rebalanced after 2 s: 1 joined")]);
        let silences = of(Kind::Silent);
        assert_eq!((silences.len(), silences[0]), (EVENTS_MAX, (5.0, 900.0, "pid:1 silent")), "the longest ones, in order");
    }

    #[test]
    fn a_hold_is_called_after_all_that_held() {
        let label = |[full_queue_ns, blocked_ns, ceiling_ns]: [u64; 3]| {
            let mut run = blank(&RunIdentity::default(), 0, true);
            run.holds = HoldsReport { full_queue_ns, blocked_ns, ceiling_ns, ..HoldsReport::default() };
            let mut marks = Marks::default();
            marks.see(&second(0, 0, S));
            marks.events(&run)[0].label.clone()
        };
        assert_eq!([[1, 0, 1], [0, 1, 1]].map(label), ["held back by target or ceiling, up to 1 s"; 2]);
        assert_eq!([[1, 0, 0], [0, 1, 0]].map(label), ["target pushed back, up to 1 s"; 2]);
        assert_eq!(label([0, 0, 1]), "held by the ceiling, up to 1 s");
    }

    #[test]
    fn each_part_of_a_profile_is_marked_where_it_begins() {
        let events = profile_parts("ramp 1k/s..50k/s 10m, hold 30m, spike x5 30s");
        let found: Vec<_> = events.iter().map(|e| (e.from_s, e.label.as_str())).collect();
        assert_eq!(found, [(0.0, "ramp 1k/s..50k/s 10m"), (600.0, "hold 30m"), (2_400.0, "spike x5 30s")]);
    }
}

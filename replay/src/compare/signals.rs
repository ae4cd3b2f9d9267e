//! What runs say of the system under test, as measures: one value a run, which is shown and never tested. Pure.
//!
//! They are called as in the thresholds of a run. A consumer group or a source is known by its name; where no run has more than
//! one of its kind, that one is meant whatever it is called: a process has another number in every run, and a trial often a group
//! of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::Observed;
use super::result::Measure;
use super::together::Together;
use crate::run::observed::{ObservedReport, ProbeReport};
use crate::unit::of_metric;

/// What a signal is of: within a kind there may be several sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Probe,
    Lag,
    Watch,
}

/// One value that a run has of something.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    name: String,
    quantile: Option<f64>,
    unit: &'static str,
    kind: Kind,
    source: String,
    together: Together,
    /// `None`: infinite, or never seen.
    value: Option<f64>,
}

/// All that a run's report has of them.
#[must_use]
pub fn signals(report: &ObservedReport) -> Vec<Signal> {
    let mut found: Vec<Signal> = report.probes.iter().flat_map(of_probe).collect();
    for group in &report.lag {
        let lag = |name: &str, unit, together, value| signal(name, unit, Kind::Lag, &group.lag.group, together, value);
        let end = group.lag.end.map(|end| end.messages as f64);
        found.push(lag("lag_messages_max", "messages", Together::Largest, group.lag.messages_max.map(|n| n as f64)));
        found.push(lag("lag_messages_end", "messages", Together::Mean, end));
        found.push(lag("lag_time_max", "ns", Together::Largest, group.lag.time_ns_max.map(|ns| ns as f64)));
    }
    for watch in &report.watch {
        for (metric, series) in &watch.metrics {
            let (name, together, value) = match metric.as_str() {
                // A peak of a second says little of the work that was done.
                "cpu_cores" => (suffixed(metric, "_mean"), Together::Mean, series.mean),
                _ => (suffixed(metric, "_max"), Together::Largest, series.max),
            };
            found.push(signal(&name, of_metric(metric), Kind::Watch, &watch.source, together, Some(value)));
        }
    }
    found
}

fn of_probe(probe: &ProbeReport) -> Vec<Signal> {
    let of = |name: &str, unit, together, value| signal(name, unit, Kind::Probe, &probe.spec, together, value);
    let mut found = Vec::new();
    if let Some(matched) = &probe.matched {
        let percentile = |quantile, ns: Option<u64>| Signal {
            quantile: Some(quantile),
            ..of("end_to_end", "ns", Together::Mean, ns.map(|ns| ns as f64))
        };
        found.push(percentile(0.5, matched.latency.p50_ns));
        found.push(percentile(0.99, matched.latency.p99_ns));
        let share = matched.lost as f64 / matched.expected.max(1) as f64;
        found.push(of("end_to_end_lost_share", "share", Together::Mean, Some(share)));
    }
    if let Some(freshness) = &probe.freshness {
        found.push(of("freshness_age_max", "ns", Together::Largest, freshness.age_ns_max.map(|ns| ns as f64)));
        found.push(of("freshness_age_end", "ns", Together::Mean, freshness.age_ns_end.map(|ns| ns as f64)));
    }
    found
}

fn signal(name: &str, unit: &'static str, kind: Kind, source: &str, together: Together, value: Option<f64>) -> Signal {
    Signal { name: name.to_owned(), quantile: None, unit, kind, source: source.to_owned(), together, value }
}

/// The name with what is said of it, which comes before a metric's labels.
fn suffixed(metric: &str, suffix: &str) -> String {
    let at = metric.find('{').unwrap_or(metric.len());
    format!("{}{suffix}{}", &metric[..at], &metric[at..])
}

/// A signal's place among those of other runs.
type Place = (Kind, String, Option<String>, Option<u64>);

/// The measures of two sides, in the order in which the runs have them.
pub(crate) fn measures(base: &[Observed], new: &[Observed]) -> Vec<Measure> {
    let all = || base.iter().chain(new);
    let is_named = |kind: Kind| {
        let of_run: Vec<BTreeSet<&String>> = all().map(|run| sources(run, kind)).collect();
        let alike = of_run.iter().all(|sources| sources == &of_run[0]);
        // What was typed for a probe is too long for a name.
        of_run.iter().any(|sources| sources.len() > 1) || (alike && kind != Kind::Probe)
    };
    let named: BTreeSet<Kind> = [Kind::Probe, Kind::Lag, Kind::Watch].into_iter().filter(|kind| is_named(*kind)).collect();
    let place = |signal: &Signal| -> Place {
        let source = named.contains(&signal.kind).then(|| signal.source.clone());
        (signal.kind, signal.name.clone(), source, signal.quantile.map(f64::to_bits))
    };
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    let sides = [base, new].map(|runs| values(runs, &place));
    for signal in all().flat_map(|run| &run.signals) {
        let place = place(signal);
        if seen.insert(place.clone()) {
            let [base, new] =
                [0, 1].map(|side: usize| sides[side].get(&place).and_then(|of_runs| signal.together.of(of_runs.iter().copied())));
            let measure = Measure::untested(&signal.name, signal.quantile, signal.unit, [base, new], "one value a run, never tested");
            found.push(Measure { of: place.2, single: true, ..measure });
        }
    }
    found
}

/// The sources of a kind that a run has.
fn sources(run: &Observed, kind: Kind) -> BTreeSet<&String> {
    run.signals.iter().filter(|s| s.kind == kind).map(|s| &s.source).collect()
}

/// Every signal's value in each of the runs; `None` in one that lacks it.
fn values(runs: &[Observed], place: &impl Fn(&Signal) -> Place) -> BTreeMap<Place, Vec<Option<f64>>> {
    let mut values = BTreeMap::new();
    for (ix, run) in runs.iter().enumerate() {
        for signal in &run.signals {
            values.entry(place(signal)).or_insert_with(|| vec![None; runs.len()])[ix] = signal.value;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A run that followed these groups and watched these processes.
    fn run(groups: &[(&str, u64)], processes: &[(&str, f64)]) -> Observed {
        let silent = json!({"answers": 3, "silent": [], "silent_more": 0, "unwritten": null});
        let with = |mut value: serde_json::Value| {
            value.as_object_mut().expect("an object").extend(silent.as_object().expect("an object").clone());
            value
        };
        let groups = groups.iter().map(|(group, end)| {
            with(json!({"group": group, "samples": 3, "partitions": 1, "messages_max": end + 10, "time_ns_max": 5, "left_out": 0,
                "end": {"messages": end, "time_ns": 5, "at_least": false}}))
        });
        let series = |max: f64| json!({"samples": 3, "first": 0.0, "min": 0.0, "mean": max / 2.0, "max": max, "last": 0.0});
        let processes = processes.iter().map(|(source, max)| {
            with(json!({"source": source, "metrics_left_out": 0, "metrics": {"rss_bytes": series(*max), "cpu_cores": series(1.0),
                "queue{shard=\"1\"}": series(3.0)}}))
        });
        let report = json!({"probes": [], "lag": groups.collect::<Vec<_>>(), "watch": processes.collect::<Vec<_>>()});
        let report: ObservedReport = serde_json::from_value(report).expect("a report");
        Observed { signals: signals(&report), ..Observed::default() }
    }

    fn found<'a>(measures: &'a [Measure], title: &str) -> &'a Measure {
        measures.iter().find(|m| m.title() == title).unwrap_or_else(|| panic!("no {title}: {measures:#?}"))
    }

    #[test]
    fn the_only_one_of_its_kind_is_meant_whatever_it_is_called() {
        let measures = measures(&[run(&[("a", 10)], &[("pid:1", 100.0)])], &[run(&[("b", 40)], &[("pid:2", 250.0)])]);
        let end = found(&measures, "lag_messages_end");
        assert_eq!((end.base, end.new, end.ratio, end.unit.as_str()), (Some(10.0), Some(40.0), Some(4.0), "messages"));
        assert!(!end.tested && !end.primary && end.single && end.interval().is_none(), "{end:?}");
        assert_eq!(found(&measures, "rss_bytes_max").ratio, Some(2.5));
        assert_eq!((found(&measures, "cpu_cores_mean").base, found(&measures, "queue_max{shard=\"1\"}").unit.as_str()), (Some(0.5), ""));
        let titles: Vec<String> = measures.iter().map(Measure::title).collect();
        let all = ["lag_messages_max", "lag_messages_end", "lag_time_max", "cpu_cores_mean", "queue_max{shard=\"1\"}", "rss_bytes_max"];
        assert_eq!(titles, all);
    }

    #[test]
    fn what_is_called_the_same_in_all_runs_keeps_its_name() {
        let measures = measures(&[run(&[("a", 10)], &[])], &[run(&[("a", 40)], &[])]);
        assert_eq!(found(&measures, "lag_messages_end(a)").ratio, Some(4.0));
    }

    #[test]
    fn several_are_told_apart_by_name_and_what_a_side_lacks_has_no_value() {
        let base = [run(&[("a", 10), ("b", 1)], &[])];
        let measures = measures(&base, &[run(&[("a", 20)], &[])]);
        assert_eq!(found(&measures, "lag_messages_end(a)").ratio, Some(2.0));
        let gone = found(&measures, "lag_messages_end(b)");
        assert_eq!((gone.base, gone.new, gone.ratio), (Some(1.0), None, None));
    }

    #[test]
    fn a_side_has_no_value_of_what_one_of_its_runs_lacks() {
        let base = [run(&[("a", 10), ("b", 1)], &[]), run(&[("a", 30)], &[])];
        let measures = measures(&base, &[run(&[("a", 20), ("b", 7)], &[])]);
        let part = found(&measures, "lag_messages_end(b)");
        assert_eq!((part.base, part.new, part.ratio), (None, Some(7.0), None), "a mean of one run is not that of two");
        assert_eq!(found(&measures, "lag_messages_end(a)").base, Some(20.0));
    }

    #[test]
    fn an_age_below_nothing_has_no_ratio() {
        let ratio = |base, new| Measure::untested("freshness_age_end", None, "ns", [Some(base), Some(new)], "").ratio;
        assert_eq!([ratio(-1.0, 5.0), ratio(-1.0, -3.0), ratio(5.0, -1.0), ratio(2.0, 6.0)], [None, None, None, Some(3.0)]);
    }

    #[test]
    fn of_several_runs_comes_the_mean_and_of_a_maximum_the_largest() {
        let measures = measures(&[run(&[("a", 10)], &[]), run(&[("a", 30)], &[])], &[run(&[("a", 0)], &[])]);
        assert_eq!((found(&measures, "lag_messages_end(a)").base, found(&measures, "lag_messages_max(a)").base), (Some(20.0), Some(40.0)));
    }
}

use proptest::prelude::*;

use dejaq_shared::broker::sink::TargetKind;

use super::of_comparison::RatioThreshold;
use super::of_run::{Measurable, RunThreshold, Unit};
use super::*;
use crate::assemble::{RunIdentity, blank};
use crate::ledger::Counts;
use crate::measure::lag::LagReport;
use crate::measure::latency::{Latency, LatencySummary};
use crate::run::observed::{GroupReport, ObservedReport};
use crate::run::report::RunReport;

const MS: u64 = 1_000_000;

/// A thousand messages in 1 to 1,000 ms, and so many without an answer.
fn latency(unanswered: u64) -> LatencySummary {
    let mut latency = Latency::<u64>::default();
    (1..=1_000).for_each(|ms| latency.record(ms * MS));
    latency.summary(unanswered)
}

fn run() -> RunReport {
    let mut run = blank(&RunIdentity::default(), 0, true);
    run.delivered = Some(0.98);
    run.ledger.counts = Counts { scheduled: 1_020, acked: 1_000, ..Counts::default() };
    run.latency.response = Some(latency(20));
    run.latency.service = latency(0);
    run.rate.achieved_per_s = Some(9_000.0);
    let lag = |group: &str, seen: Option<u64>| GroupReport {
        lag: LagReport { group: group.into(), messages_max: seen, time_ns_max: seen.map(|n| n * MS), ..LagReport::default() },
        ..GroupReport::default()
    };
    let (mut partly, mut many) = (lag("partly", Some(1)), lag("many", Some(1)));
    (partly.lag.without_total, many.lag.left_out) = (1, 5);
    let lag = vec![lag("bil (l)>ing", Some(70)), lag("idle", None), partly, many];
    run.observed = Some(ObservedReport { lag, ..ObservedReport::default() });
    run
}

#[test]
fn a_run_is_held_against_its_thresholds() {
    for (text, crossed, value) in [
        ("p50(service) > 499ms", true, Some(500e6)),
        ("p50(service) >= 1s", false, Some(500e6)),
        ("max(service) >= 1s", true, Some(1e9)),
        ("max(service) > 1s", false, Some(1e9)),
        ("p90(service) < 1s", true, Some(900e6)),
        ("p99(response) > 1h", true, None),
        ("p99(response) < 1ms", false, None),
        ("p999 ( response )>1h", true, None),
        ("achieved_rate < 9k/s", false, Some(9_000.0)),
        ("achieved_rate <= 9k/s", true, Some(9_000.0)),
        ("unanswered_share > 1.9%", true, Some(20.0 / 1_020.0)),
        ("unanswered_share > 0", true, Some(20.0 / 1_020.0)),
        ("unanswered_share > 2%", false, Some(20.0 / 1_020.0)),
        ("delivered < 0.999", true, Some(0.98)),
        ("lag_messages_max(bil (l)>ing) > 69", true, Some(70.0)),
        ("lag_messages_max(bil (l)>ing) > 70", false, Some(70.0)),
        ("lag_time_max( bil (l)>ing ) > 50ms", true, Some(70e6)),
        ("lag_messages_max(idle) > 1000", true, None),
        ("lag_messages_max(partly) > 1000", true, None),
        ("lag_messages_max(many) > 1000", false, Some(1.0)),
        ("lag_time_max(many) > 1h", true, None),
        ("p50(end_to_end) < 1ms", true, None),
    ] {
        let judged = RunThreshold::parse(text).expect(text).judge(&run());
        assert_eq!(judged.crossed, crossed, "{judged}");
        match (judged.value, value) {
            // Percentiles are on the histogram's grid.
            (Some(found), Some(expected)) => assert!((found - expected).abs() <= expected / 1_000.0, "{judged}"),
            (found, expected) => assert_eq!(found, expected, "{judged}"),
        }
    }
}

#[test]
fn what_is_infinite_and_what_is_not_known_is_said() {
    let said = |text: &str| RunThreshold::parse(text).expect(text).judge(&run()).to_string();
    assert_eq!(said("p99(response)>5s"), "p99(response) > 5s: crossed: infinite: it falls among the unanswered");
    assert_eq!(said("lag_time_max(idle) > 5s"), "lag_time_max(idle) > 5s: crossed: not known, which counts as crossed");
    assert_eq!(said("p50(service) > 5s"), "p50(service) > 5s: not crossed: 500 ms");
    assert_eq!(said("achieved_rate < 8k/s"), "achieved_rate < 8k/s: not crossed: 9k/s");
}

#[test]
fn what_is_no_threshold_is_refused_with_the_reason() {
    for (text, why) in [
        ("", "no < or >"),
        ("p99(response) = 5ms", "no < or >"),
        ("> 5ms", "no measure"),
        ("p99(response) >", "nothing after"),
        ("p99(response) >= ", "nothing after"),
        ("p99(response > 5ms", "a ( without its )"),
        ("p99(response) > 1.1x", "duration"),
        ("p99(response) > 5", "duration"),
        ("p99(response) > 2h", "up to 1h"),
        ("p98(response) > 5ms", "no such measure"),
        ("p99(answer) > 5ms", "no such measure"),
        ("response > 5ms", "no such measure"),
        ("achieved_rate < 9k", "rate such as"),
        ("delivered < 99", "share such as"),
        ("delivered < 101%", "share such as"),
        ("delivered < inf", "share such as"),
        ("unanswered_share > -1%", "share such as"),
        ("lag_messages_max(g) > 1.5", "number of messages"),
    ] {
        let error = RunThreshold::parse(text).expect_err(text).to_string();
        assert!(error.contains(why) && error.contains("--fail-if") && error.contains("for example"), "{text}: {error}");
    }
}

#[test]
fn what_a_run_will_not_have_is_refused_before_it_starts() {
    let groups = ["billing".to_owned()];
    let all = Measurable { scheduled: true, end_to_end: true, lag: &groups, target: Some(TargetKind::Kafka) };
    let flood = Measurable { scheduled: false, end_to_end: false, lag: &[], target: None };
    for (text, why) in [
        ("p99(response) > 5ms", "--max"),
        ("max(schedule_error) > 5ms", "--max"),
        ("delivered < 1", "--max"),
        ("p99(end_to_end) > 5s", "--probe"),
        ("lag_messages_max(billing) > 5", "--lag billing"),
        ("lag_time_max(billing) > 5s", "--lag billing"),
    ] {
        let threshold = RunThreshold::parse(text).expect(text);
        assert_eq!(threshold.check(&all), Ok(()), "{text}");
        let error = threshold.check(&flood).expect_err(text).to_string();
        assert!(error.contains(why), "{error}");
    }
    let queue = Measurable { target: Some(TargetKind::RabbitMq), ..all };
    let threshold = |text| RunThreshold::parse(text).expect("good");
    let error = threshold("lag_time_max(billing) > 5s").check(&queue).expect_err("a queue has no positions").to_string();
    assert!(error.contains("RabbitMQ") && error.contains("lag_messages_max(billing)"), "{error}");
    assert_eq!(threshold("lag_messages_max(billing) > 5").check(&queue), Ok(()));
    for text in ["p99(service) > 5ms", "achieved_rate < 5/s", "unanswered_share > 0"] {
        assert_eq!(RunThreshold::parse(text).expect(text).check(&flood), Ok(()), "{text}");
    }
}

/// A measure of a run, and how its bound is typed.
fn measure_and_bound() -> impl Strategy<Value = (String, String)> {
    let latency = (prop::sample::select(vec!["p50", "p90", "p99", "p99.9", "max"]), "response|service|schedule_error|end_to_end")
        .prop_map(|(percentile, latency)| format!("{percentile}({latency})"));
    let lag = "[a-z<>()=. -]{0,9}[a-z)]".prop_map(|group| group.trim().to_owned());
    prop_oneof![
        (latency, "[1-9][0-9]{0,2}(ns|us|ms|s)"),
        (Just("achieved_rate".to_owned()), "[1-9][0-9]{0,4}k?/s"),
        ("unanswered_share|delivered", "[0-9]{1,2}(\\.[0-9]{1,3})?%|0\\.[0-9]{1,4}|0|1"),
        (lag.clone().prop_map(|group| format!("lag_messages_max({group})")), "[0-9]{1,6}"),
        (lag.prop_map(|group| format!("lag_time_max({group})")), "[1-9][0-9]{0,5}s"),
    ]
}

proptest! {
    #[test]
    fn whatever_is_typed_is_read_or_refused(text in "\\PC*") {
        let _ = (RunThreshold::parse(&text), RatioThreshold::parse(&text));
    }

    #[test]
    fn nearly_thresholds_are_read_or_refused(text in "(p99|p|max|[a-zü_ ]{0,4})[( ]{0,2}(response|ü)?[) ]{0,2}(<|>|=|≥){0,3} ?[0-9.,-]{0,4}(ms|x|%|k/s| |ü)?") {
        for again in RunThreshold::parse(&text).iter().map(ToString::to_string) {
            prop_assert_eq!(RunThreshold::parse(&again).map(|t| t.to_string()), Ok(again));
        }
        for again in RatioThreshold::parse(&text).iter().map(ToString::to_string) {
            prop_assert_eq!(RatioThreshold::parse(&again).map(|t| t.to_string()), Ok(again));
        }
    }

    #[test]
    fn a_threshold_is_read_back_as_it_is_shown(
        (measure, bound) in measure_and_bound(),
        relation in prop::sample::select(vec!["<", "<=", ">", ">="]),
        blanks in prop::array::uniform4(" {0,2}"),
    ) {
        let [a, b, c, d] = &blanks;
        let read = RunThreshold::parse(&format!("{a}{measure}{b}{relation}{c}{bound}{d}"));
        prop_assert_eq!(read.as_ref().map(ToString::to_string), Ok(format!("{measure} {relation} {bound}")));
        let read = read.expect("just seen");
        prop_assert_eq!(RunThreshold::parse(&read.to_string()), Ok(read));
    }

    #[test]
    fn a_value_is_on_one_side_of_a_bound_or_the_other(value: f64, bound: f64) {
        for (relation, opposite) in [(Relation::Above, Relation::AtMost), (Relation::Below, Relation::AtLeast)] {
            let comparable = value.partial_cmp(&bound).is_some();
            prop_assert_eq!(relation.holds(value, bound) ^ opposite.holds(value, bound), comparable);
        }
    }
}

#[test]
fn units_are_named_as_in_a_comparison() {
    let json = |unit| serde_json::to_value(unit).expect("a name");
    assert_eq!([Unit::Ns, Unit::PerSecond, Unit::Share].map(json), ["ns", "1/s", "share"]);
}

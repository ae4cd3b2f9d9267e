use super::*;
use crate::batch::{Route, Times};
use crate::testing::record;
use crate::transform::shown::METRIC_OTHER;
use dejaq_shared::record::Headers;

fn shown(rule: u16, metric: u32, value: u64) -> Shown {
    Shown { rule, metric, value, original: Some(value / 10), series_before: value / 5, series_after: value }
}

/// A batch of records, one value in each, of which all but the last `unsent` ones and the `skipped` ones were sent.
fn batch(values: &[Shown], skipped: &[u32], unsent: usize) -> Batch {
    let mut batch = Batch::default();
    for value in values {
        batch.push(&record(None, Some(b"v"), Headers::EMPTY), Route::fixed(0, 0), Times::default(), 0, false);
        batch.show(std::slice::from_ref(value));
    }
    let mut skipped = skipped.to_vec();
    batch.done(u32::try_from(values.len() - unsent).expect("few"), &mut skipped);
    batch
}

fn names() -> Vec<RuleNames> {
    vec![RuleNames { tag: "host".into(), streams: "m*".into() }]
}

#[test]
fn values_are_counted_exactly_by_index_and_per_metric() {
    let mut accounts = Cardinality::new(&[RuleBound { asked: 5_000 }]);
    let values: Vec<Shown> = (0..5_000).map(|n| shown(0, u32::from(n % 2 == 1), n)).collect();
    accounts.enter(&batch(&values, &[], 0));
    accounts.enter(&batch(&values, &[], 0));
    let report = accounts.report(&names(), &["a".into(), "b".into()]);
    let rule = &report.rules[0];
    assert_eq!((rule.asked, rule.sent_distinct, rule.sent_distinct_exact, rule.written), (Some(5_000), 5_000, true, 10_000));
    let told: Vec<_> = rule.metrics.iter().map(|m| (m.name.as_str(), m.written, m.distinct_sent, m.distinct_before)).collect();
    assert_eq!(told, [("a", 5_000, 2_500, 500), ("b", 5_000, 2_500, 500)]);
    assert_eq!(rule.metrics[0].estimated, ["series_sent"], "2,500 series are more than are kept; 1,000 before are not");
}

#[test]
fn what_was_not_sent_does_not_count() {
    let mut accounts = Cardinality::new(&[RuleBound { asked: 10 }]);
    let values: Vec<Shown> = (0..10).map(|n| shown(0, 0, n)).collect();
    accounts.enter(&batch(&values, &[3, 5], 2));
    let report = accounts.report(&names(), &["a".into()]);
    assert_eq!((report.rules[0].sent_distinct, report.rules[0].written), (6, 6));
}

#[test]
fn metrics_past_the_bound_share_one_account() {
    let mut accounts = Cardinality::new(&[RuleBound { asked: 4 }]);
    let metrics = u32::try_from(METRICS_TOLD_MAX).expect("few");
    let mut values: Vec<Shown> = (0..metrics + 50).map(|n| shown(0, n, u64::from(n % 4))).collect();
    values.push(shown(0, METRIC_OTHER, 0));
    accounts.enter(&batch(&values, &[], 0));
    let report = accounts.report(&names(), &[]);
    let last = report.rules[0].metrics.last().expect("metrics");
    assert_eq!((report.rules[0].metrics.len(), last.name.as_str(), last.written), (METRICS_TOLD_MAX + 1, "(other metrics)", 51));
}

#[test]
fn a_rule_without_indices_counts_by_hash_and_says_when_it_estimates() {
    let mut accounts = Cardinality::new(&[RuleBound { asked: 0 }]);
    let values: Vec<Shown> = (0..6_000).map(|n| shown(0, 0, n)).collect();
    accounts.enter(&batch(&values, &[], 0));
    let rule = accounts.report(&names(), &["".into()]).rules.remove(0);
    assert_eq!((rule.asked, rule.sent_distinct_exact), (None, false));
    assert!(rule.sent_distinct.abs_diff(6_000) < 300, "{}", rule.sent_distinct);
}

#[test]
fn bitmaps_of_metrics_stay_within_their_bits() {
    let mut accounts = Cardinality::new(&[RuleBound { asked: METRIC_BITS_MAX - 1 }]);
    accounts.enter(&batch(&[shown(0, 0, 1), shown(0, 1, 1), shown(0, 1, 1)], &[], 0));
    let rule = accounts.report(&names(), &["a".into(), "b".into()]).rules.remove(0);
    assert_eq!(rule.metrics.iter().map(|m| m.distinct_sent).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(accounts.bits_left, 1);
}

//! Each reason, and what is none.

use super::*;
use crate::measure::collector::{Excluded, Summaries};
use crate::measure::latency::LatencySummary;

fn response(ns: u64) -> LatencySummary {
    LatencySummary {
        count: 1_000,
        unanswered: 0,
        p50_ns: Some(ns),
        p90_ns: Some(ns),
        p99_ns: Some(ns),
        p999_ns: Some(ns),
        max_ns: Some(ns),
        overflow: 0,
    }
}

fn window(with: u64, without: u64) -> Summaries {
    Summaries { response: response(with), response_on_time: response(without), ..Summaries::default() }
}

fn good() -> Facts {
    let measured = |ns| Measured { window: window(ns, ns), scheduled: 1_000, ..Measured::default() };
    Facts {
        scheduled: true,
        measured: measured(2_000_000),
        messages: 1_000,
        on_time: 1_000,
        duration_ns: 10_000_000_000,
        peak_per_s: 100,
        ..Facts::default()
    }
}

fn warmed_up() -> Measured {
    Measured { warm_up: Some(Excluded { until_s: 3, scheduled: 900, latencies: window(1, 1) }), ..good().measured }
}

fn names(facts: &Facts) -> Vec<String> {
    judge(facts).reasons.into_iter().map(|r| r.reason).collect()
}

#[test]
fn nothing_to_complain_is_valid() {
    let trust = judge(&good());
    assert_eq!((trust.verdict(), trust.limited_by, trust.delivered), (Verdict::Valid, None, Some(1.0)));
}

#[test]
fn lateness_counts_beyond_five_percent_and_a_millisecond() {
    let with = |on_time: u64, with: u64| Facts {
        measured: Measured { window: window(with, on_time), ..good().measured },
        late_max_ns: 9,
        ..good()
    };
    assert_eq!(names(&with(1_000, 900_000)), [] as [&str; 0], "far more than 5 %, less than 1 ms");
    assert_eq!(names(&with(1_000_000_000, 1_040_000_000)), [] as [&str; 0], "40 ms, but 4 %");
    assert_eq!(names(&with(10_000_000, 11_100_000)), ["late pacer"]);
    let dry = Facts { dry_count: 1, dry_late_max_ns: 9, ..with(10_000_000, 20_000_000) };
    assert_eq!(names(&dry), ["recording ran dry"]);
    assert_eq!(names(&Facts { scheduled: false, ..with(10_000_000, 20_000_000) }), [] as [&str; 0]);
}

#[test]
fn a_full_queue_is_the_target_s_doing_if_it_held_two_seconds() {
    let full = |held| Facts { full_queue_ns: 2_000_000_000, queue_full_at: Some(held), ..good() };
    let target = judge(&full(200));
    assert_eq!((target.verdict(), target.limited_by), (Verdict::Valid, Some(LimitedBy::Target)));
    let small = judge(&full(199));
    assert_eq!((small.verdict(), small.limited_by), (Verdict::Invalid, Some(LimitedBy::Generator)));
    assert_eq!(small.reasons[0].reason, "client queue too small");
}

#[test]
fn a_broker_that_asks_to_hold_is_the_target_s_doing_whatever_the_queue_held() {
    let blocked = judge(&Facts { blocked_ns: 2_000_000_000, ceiling_ns: 1_000_000_000, ..good() });
    assert_eq!((blocked.verdict(), blocked.limited_by), (Verdict::Valid, Some(LimitedBy::Target)));
    let ceiling = judge(&Facts { blocked_ns: 2_000_000_000, ceiling_ns: 3_000_000_000, ..good() });
    assert_eq!(ceiling.limited_by, Some(LimitedBy::Ceiling));
}

#[test]
fn each_fault_has_its_reason() {
    let cases = [
        (Facts { messages: 99, on_time: 99, ..good() }, "too short", Cause::Run),
        (Facts { duration_ns: 99_999_999, ..good() }, "too short", Cause::Run),
        (Facts { clock_step_ns: CLOCK_STEP_NS + 1, ..good() }, "clock step", Cause::Run),
        (Facts { input_error: Some("x".into()), ..good() }, "recording unreadable", Cause::Input),
        (Facts { damages: vec!["x".into()], ..good() }, "recording damaged", Cause::Input),
        (Facts { client_error: Some("x".into()), ..good() }, "client failed", Cause::Run),
        (Facts { imbalances: vec!["x".into()], ..good() }, "unbalanced ledger", Cause::Run),
        (Facts { skipped_by_generator: 1, ..good() }, "late pacer", Cause::Generator),
        (Facts { rows_lost: 1, ..good() }, "measurements lost", Cause::Generator),
        (Facts { outputs_crowded_out: 1, ..good() }, "probe too small", Cause::Generator),
        (Facts { probe_failures: vec!["x".into()], ..good() }, "probe failed", Cause::Run),
        (Facts { measured: Measured { unsettled_s: Some(5), ..good().measured }, ..good() }, "warm-up only", Cause::Run),
        (Facts { measured: Measured { scheduled: 99, ..warmed_up() }, ..good() }, "warm-up only", Cause::Run),
    ];
    for (facts, reason, cause) in cases {
        let trust = judge(&facts);
        assert_eq!(trust.reasons.iter().map(|r| (r.reason.as_str(), r.cause)).collect::<Vec<_>>(), [(reason, cause)]);
        assert_eq!(trust.verdict(), Verdict::Invalid);
    }
}

#[test]
fn a_warm_up_with_enough_after_it_is_no_reason() {
    assert_eq!(names(&Facts { measured: Measured { scheduled: MESSAGES_MIN, ..warmed_up() }, ..good() }), [] as [&str; 0]);
}

#[test]
fn what_limits_a_flood() {
    let flood = Facts { scheduled: false, ..good() };
    assert_eq!(judge(&flood).limited_by, Some(LimitedBy::Generator));
    assert_eq!(judge(&Facts { full_queue_ns: 9_000_000_000, queue_full_at: Some(1), ..flood.clone() }).limited_by, Some(LimitedBy::Target));
    let held = judge(&Facts { ceiling_ns: 9_000_000_000, ..flood });
    assert_eq!((held.limited_by, held.delivered, held.verdict()), (Some(LimitedBy::Ceiling), None, Verdict::Valid));
}

//! Times that cannot be: what the clock choice makes of them, and that it says so.

use serde_json::{Value, json};

use crate::dejaq::{dejaq, inspect};
use crate::kit::{Scratch, assert_sent_in_full, kafka, records, replay, run_json};

/// Received a millisecond apart, from 2023-11-14T22:13:20Z on.
const FIRST_NS: i64 = 1_700_000_000_000_000_000;

fn plan(recording: &str, url: &str, more: &[&str]) -> Value {
    dejaq(&[&["plan", recording, "--to", url, "--json"], more].concat()).expect(0).json()
}

/// The create time of the record with this number.
type ChangeTime = Box<dyn Fn(i64) -> Value>;

/// 1000 records whose create times are changed.
fn changed(change: impl Fn(i64) -> Value) -> Vec<Value> {
    let mut all = records(1000, 1);
    for (i, record) in all.iter_mut().enumerate() {
        record["broker_ts"] = change(i64::try_from(i).expect("few"));
        if record["broker_ts"].is_null() {
            record["broker_ts_kind"] = json!("none");
        }
    }
    all
}

#[test]
fn create_times_that_are_insane_are_not_followed() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let ms = FIRST_NS / 1_000_000;
    let insane: [(&str, ChangeTime); 6] = [
        ("zero", Box::new(|_| json!(0))),
        ("before-2000", Box::new(move |i| json!(900_000_000_000 + i))),
        ("future", Box::new(move |i| json!(ms + 7_200_000 + i))),
        ("backwards", Box::new(move |i| json!(ms - i * 600_000))),
        ("extreme", Box::new(|i| json!(if i % 2 == 0 { i64::MAX } else { i64::MIN }))),
        ("none", Box::new(|_| Value::Null)),
    ];
    for (name, change) in insane {
        let recording = scratch.recording(name, &changed(change), Some("elsewhere"));
        let report = inspect(&scratch.path(name));
        assert_eq!(report["clock"], "arrival", "{name}: {report:#}");
        assert_eq!((&report["first_time_ns"], &report["last_time_ns"]), (&json!(FIRST_NS), &json!(FIRST_NS + 999_000_000)), "{name}");
        let plan = plan(&recording, &target.url(), &[]);
        assert!(plan.to_string().contains("arrival time for t/0"), "{name}: {plan:#}");
    }
}

#[test]
fn a_few_insane_ones_take_their_predecessors_time_and_are_counted() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let ms = FIRST_NS / 1_000_000;
    let recording = scratch.recording("rec", &changed(|i| json!(if i % 200 == 100 { i64::MAX - i } else { ms + i })), Some("elsewhere"));
    let report = inspect(&scratch.path("rec"));
    assert_eq!((&report["clock"], &report["last_time_ns"]), (&json!("create"), &json!(FIRST_NS + 999_000_000)), "{report:#}");
    let plan = plan(&recording, &target.url(), &[]);
    assert!(plan.to_string().contains("5 records without a sane create time"), "{plan:#}");
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--mark", "off"]);
    assert_sent_in_full(&ended, &run_json(&run));
}

#[test]
fn a_capture_clock_that_was_set_back_is_told_and_time_does_not_run_backwards() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut all = changed(|_| Value::Null);
    for (i, record) in all.iter_mut().enumerate() {
        // Back by an hour in the middle.
        let back = if i >= 500 { 3_600_000_000_000 } else { 0 };
        record["arrival_ns"] = json!(FIRST_NS + i64::try_from(i).expect("few") * 1_000_000 - back);
    }
    let recording = scratch.recording("rec", &all, Some("elsewhere"));
    let report = inspect(&scratch.path("rec"));
    assert_eq!(report["clock"], "arrival", "{report:#}");
    assert!(report["first_time_ns"].as_i64() <= report["last_time_ns"].as_i64(), "{report:#}");
    let plan = plan(&recording, &target.url(), &[]);
    assert!(plan.to_string().contains("set back"), "{plan:#}");
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--mark", "off"]);
    assert_sent_in_full(&ended, &run_json(&run));
}

#[test]
fn a_clock_that_the_records_do_not_have_is_refused() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(10, 1), Some("elsewhere"));
    let ended = replay(&recording, &target, &scratch.arg("run"), &["--clock", "append"]).expect(1);
    assert!(ended.stderr.contains("append") && ended.stderr.contains("t/0"), "{}", ended.stderr);
}

#[test]
fn times_at_the_ends_of_the_range_do_no_harm() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    for (name, times) in [("far", [i64::MIN, 0, i64::MAX]), ("end", [i64::MAX; 3]), ("start", [i64::MIN; 3])] {
        let mut all = records(3, 1);
        for (record, at) in all.iter_mut().zip(times) {
            record["arrival_ns"] = json!(at);
            record["broker_ts"] = json!(at);
            record["broker_ts_kind"] = json!("append");
        }
        let recording = scratch.recording(name, &all, Some("elsewhere"));
        // No panic and no hang is what matters (asserted in `dejaq`); which error it is does not.
        dejaq(&["inspect", &recording]);
        dejaq(&["verify", &recording]).expect(0);
        for clock in ["auto", "append", "arrival"] {
            dejaq(&["plan", &recording, "--to", &target.url(), "--clock", clock]);
        }
    }
}

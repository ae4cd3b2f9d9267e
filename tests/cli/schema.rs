//! Every `run.json` is what `docs/run.schema.json` says: of runs that ended, of one that was killed, with and without a schedule.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::interrupting::Running;
use crate::kit::*;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/run.schema.json")).expect("JSON")
}

/// The schema, but that whatever it does not name is wrong: nothing is written that it does not describe.
fn closed() -> Validator {
    fn close(schema: &mut Value) {
        if let Some(object) = schema.as_object_mut() {
            if object.contains_key("properties") {
                object.insert("unevaluatedProperties".to_owned(), json!(false));
            }
            object.values_mut().for_each(close);
        }
        schema.as_array_mut().into_iter().flatten().for_each(close);
    }
    let mut schema = schema();
    close(&mut schema);
    jsonschema::draft202012::new(&schema).expect("a schema")
}

fn assert_described(report: &Value) {
    let errors: Vec<String> = closed().iter_errors(report).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report:#}");
}

#[test]
fn the_schema_is_one_and_refuses_what_is_not_a_report() {
    assert!(jsonschema::draft202012::meta::is_valid(&schema()));
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(200, 1), Some("elsewhere"));
    let run = scratch.arg("run");
    replay(&recording, &target, &run, &[]);
    let report = run_json(&run);
    let change = |path: &str, to: Value| {
        let mut other = report.clone();
        *other.pointer_mut(path).expect(path) = to;
        other
    };
    let mut without = report.clone();
    without.as_object_mut().expect("an object").remove("ledger");
    let schema = jsonschema::draft202012::new(&schema()).expect("a schema");
    assert!(schema.is_valid(&report), "{report:#}");
    for wrong in [
        change("/schema_version", json!(2)),
        change("/verdict", json!("valid")),
        change("/ledger/acked", json!(-1)),
        change("/latency/response/p99_ns", json!("1 ms")),
        change("/limited_by", json!("nobody")),
        without,
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong:#}");
    }
}

#[test]
fn a_run_that_is_looked_at_and_held_against_thresholds() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 2)]));
    let recording = scratch.recording("rec", &records(400, 2), Some("elsewhere"));
    let (run, watch) = (scratch.arg("run"), format!("pid:{}", std::process::id()));
    let observed = ["--probe", "topic=t,match=key,deadline=20s", "--probe", "topic=t,freshness=json:$.ts", "--lag", "nobody"];
    let watched = ["--watch", &watch, "--watch", "http://127.0.0.1:1/metrics", "--fail-if", "p99(end_to_end) > 1h"];
    replay(&recording, &target, &run, &[&observed[..], &watched].concat());
    let report = run_json(&run);
    assert_described(&report);
    for path in [
        "/observed/probes/0/matched/latency/p50_ns",
        "/observed/probes/1/freshness/without_time",
        "/observed/watch/0/metrics/rss_bytes/max",
        "/observed/watch/1/silent/0/why",
        "/thresholds/0/value",
    ] {
        assert!(report.pointer(path).is_some_and(|value| !value.is_null()), "{path} is to be there: {report:#}");
    }
    assert_eq!(report["observed"]["lag"][0]["end"], Value::Null);
}

#[test]
fn a_flood_of_which_not_all_is_answered() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &["--max", "--loop", "--drain", "1ms", "--shard", "1/1"]);
    running.says(" in flight ");
    target.round_trip_ms(1, 5_000).expect("a broker");
    running.says(" in flight ").signal("-INT");
    let (_, report, _) = running.ends();
    assert_described(&report);
    assert!(report["latency"]["response"].is_null() && report["ledger"]["unknown"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn a_run_that_was_killed() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &["--loop"]);
    running.says(" in flight ").signal("-KILL");
    let (_, report, _) = running.ends();
    assert_eq!(report["finished"], false);
    assert_described(&report);
}

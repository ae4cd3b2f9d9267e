//! A target that cannot keep up is a result: the run is VALID, it says that the target limited it, and `compare` finds the
//! regression.

use serde_json::json;

use crate::dejaq::dejaq;
use crate::interrupting::Running;
use crate::kit::*;

#[test]
fn one_that_blocks_is_a_result_that_compare_finds() {
    // 1,000 messages a second for six seconds. The client has room for more than two seconds of them; what has no room waits.
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &records(6_000, 1), Some("elsewhere"));
    let run = |name: &str, round_trip_ms: i32| {
        let target = kafka(&[("t", 1)]);
        let mut running = Running::of(&recording, scratch.arg(name), &target, &["-X", "queue.buffering.max.messages=2500"]);
        running.says("replaying into cluster");
        target.round_trip_ms(1, round_trip_ms).expect("a broker");
        let (code, report, _) = running.ends();
        (code, report)
    };
    run("base", 100);
    // All that is late is late by seconds: what a busy machine adds to that is no reason not to believe it.
    let (code, report) = run("new", 3_000);
    assert_eq!((code, &report["verdict"], &report["limited_by"]), (Some(3), &json!("VALID"), &json!("target")), "{report:#}");
    assert!(report["delivered"].as_f64().is_some_and(|share| share < 0.9), "{report:#}");
    assert_balanced(&report);
    assert_eq!(report["ledger"]["scheduled"], report["ledger"]["acked"], "nothing was lost: {report:#}");

    // Where this machine was too busy for BASE to be believed, the difference is still one of seconds.
    let found = dejaq(&["compare", &scratch.arg("base"), &scratch.arg("new"), "--anyway", "--json"]).expect(4).json();
    assert_eq!(found["verdict"], "worse", "{found:#}");
    let p99 = found["measures"].as_array().expect("measures").iter().find(|m| m["name"] == "response" && m["quantile"] == 0.99);
    let p99 = p99.expect("known");
    assert!(p99["verdict"] == "worse" && p99["ratio"].as_f64() > Some(5.0), "{found:#}");
}

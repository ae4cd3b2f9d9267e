//! The README's first command.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dejaq::{dejaq, inspect, verify_clean};
use crate::kit::{Scratch, assert_sent_in_full, exported, run_json, text};

#[test]
fn the_demo_shows_the_whole_loop() {
    let scratch = Scratch::new();
    let out = scratch.arg("demo");
    let began = Instant::now();
    let ended = dejaq(&["demo", "--out", &out]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let (recording, run) = (scratch.path("demo/recording"), scratch.arg("demo/run"));
    let report = run_json(&run);
    assert_sent_in_full(&ended, &report);

    let clean = verify_clean(&recording);
    let records = clean["records"].as_u64().expect("a count");
    assert!(records > 1_000, "{records}");
    assert_eq!(report["ledger"]["read"], records, "every record was due");
    let said = ended.stderr.split("the service sent ").nth(1).and_then(|t| t.split(' ').next()).and_then(|n| n.parse().ok());
    assert_eq!(said, Some(records), "everything sent was recorded");
    let seen = inspect(&recording);
    assert_eq!((&seen["records"], seen["streams"].as_array().map(Vec::len)), (&Value::from(records), Some(6)), "{seen:#}");
    assert_eq!(exported(&text(&recording)).len() as u64, records);
    // Four times as fast.
    let span = |of: &Value, name: &str| of[name].as_f64().expect("a number");
    let recorded = span(&seen, "last_time_ns") - span(&seen, "first_time_ns");
    let replayed = span(&report, "duration_ns");
    assert!(replayed > recorded / 4.0 * 0.99, "{replayed} after {recorded}: not ahead of time");
    for next in ["dejaq export", "dejaq inspect", "run.json", "dejaq capture --from", "dejaq replay rec"] {
        assert!(ended.stderr.contains(next), "{next}: {}", ended.stderr);
    }
    // A hundred times as many processes, exactly.
    let cardinality: Value =
        serde_json::from_slice(&std::fs::read(scratch.path("demo/run/cardinality.json")).expect("written")).expect("JSON");
    let rule = &cardinality["rules"][0];
    assert_eq!((&rule["asked"], &rule["sent_distinct"]), (&Value::from(4_000), &Value::from(4_000)), "{rule:#}");
    assert!(rule["metrics"].as_array().expect("metrics").iter().all(|m| m["distinct_before"] == 40), "{rule:#}");
    assert!(ended.stdout.contains("VALID"), "{}", ended.stdout);
}

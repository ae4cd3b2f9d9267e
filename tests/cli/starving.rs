//! A generator that is starved on purpose: the run is INVALID, exit code 3, and the reason is the right one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::interrupting::Running;
use crate::kit::*;

/// The reasons that name one thing.
fn reasons(report: &Value) -> Vec<&str> {
    report["trust"].as_array().expect("trust").iter().filter_map(|r| r["reason"].as_str()).collect()
}

#[test]
fn one_that_stands_still_for_a_second_was_late() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &["--loop", "--for", "4s"]);
    running.says(" in flight ").signal("-STOP");
    // What it is robbed of; nothing is waited for.
    std::thread::sleep(Duration::from_millis(1_200));
    running.signal("-CONT");
    let (code, report, _) = running.ends();
    assert_eq!((code, &report["verdict"], &report["limited_by"]), (Some(3), &json!("INVALID"), &json!("generator")), "{report:#}");
    assert!(reasons(&report).contains(&"late pacer"), "{report:#}");
    assert!(report["holds"]["lateness_max_ns"].as_u64() > Some(1_000_000_000), "{report:#}");
}

#[test]
fn one_that_gets_a_quarter_of_its_time_was_late() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &["--loop", "--for", "3s"]);
    running.says(" in flight ");
    // As cpulimit does it: it runs for 20 ms, then stands still for 60 ms. Nothing is waited for.
    while running.goes_on() {
        running.signal("-STOP");
        std::thread::sleep(Duration::from_millis(60));
        running.signal("-CONT");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, report, _) = running.ends();
    assert_eq!((code, &report["verdict"], &report["limited_by"]), (Some(3), &json!("INVALID"), &json!("generator")), "{report:#}");
    assert!(reasons(&report).contains(&"late pacer"), "{report:#}");
}

#[test]
fn one_whose_queue_holds_too_little_is_not_the_target_s_fault() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    target.round_trip_ms(1, 100).expect("a broker");
    let mut running = Running::start(&scratch, &target, &["--loop", "--for", "2s", "-X", "queue.buffering.max.messages=20"]);
    running.says(" in flight ");
    let (code, report, _) = running.ends();
    assert_eq!((code, &report["verdict"], &report["limited_by"]), (Some(3), &json!("INVALID"), &json!("generator")), "{report:#}");
    assert!(reasons(&report).contains(&"client queue too small"), "{report:#}");
}
